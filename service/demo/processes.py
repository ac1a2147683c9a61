"""The processes under the service, as Linux lists them: which of them has a UDP port."""

from pathlib import Path

from service.demo.teller import NotAsTold

PROC = Path("/proc")


def holder_of(port: int, under: int) -> int:
    """The process with that UDP port, among `under` and all below it. Raises `NotAsTold` when there is none."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    for pid in _family(under):
        if sockets & _descriptors(pid):
            return pid
    raise NotAsTold(f"no process of the service has the UDP port {port}")


def _inodes(port: int) -> set[str]:
    """The sockets on that port: its number is the second half of the second column, in hexadecimal."""
    rows = [line.split() for line in (PROC / "net/udp").read_text(encoding="ascii").splitlines()[1:]]
    return {row[9] for row in rows if int(row[1].rpartition(":")[2], 16) == port}


def _family(pid: int) -> list[int]:
    parents = {child: parent for child, parent in map(_parent, PROC.glob("[0-9]*")) if parent}
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family


def _parent(process: Path) -> tuple[int, int]:
    try:
        # Behind the command, which may contain anything, parentheses too: state, parent, ….
        return int(process.name), int((process / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:  # it has ended meanwhile
        return int(process.name), 0


def _descriptors(pid: int) -> set[str]:
    try:
        return {str(descriptor.readlink()) for descriptor in (PROC / str(pid) / "fd").iterdir()}
    except OSError:
        return set()
