"""Starting and stopping the servers under measurement, and what the kernel says they cost.

Only processes started here are ever stopped, each by its own id.
"""

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def unprivileged():
    """Arguments for `subprocess.Popen` that give up root (PostgreSQL refuses it); nothing for ordinary users."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def give_away(folder):
    """Hand a folder to the user that `unprivileged` names."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)


def stat_of(pid):
    """Parent's id, CPU ticks with those of reaped children, and resident pages of a process; None if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return parse_stat(text)


def parse_stat(text):
    """As `stat_of`, of the text of /proc/PID/stat; the command's name may hold blanks and brackets."""
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[1]), sum(int(ticks) for ticks in fields[11:15]), int(fields[21])


def tree_of(*roots):
    """The ids of the processes and of all that descend from them."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := stat_of(entry.name)):
            parents[int(entry.name)] = stat[0]
    return descendants(parents, roots)


def descendants(parents, roots):
    found = {pid for pid in roots if pid in parents}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found


def cpu_seconds(*roots):
    """User and system time of the process trees so far, in seconds; children that ended count through their parent."""
    stats = (stat_of(pid) for pid in tree_of(*roots))
    return sum(stat[1] for stat in stats if stat) / TICKS


def resident_kb(*roots):
    stats = (stat_of(pid) for pid in tree_of(*roots))
    return sum(stat[2] for stat in stats if stat) * PAGE_KB


def wait_until(ready, *, seconds, what, every=0.02):
    """Poll `ready` until it is true; RuntimeError after `seconds`."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not happen within {seconds} s")
        time.sleep(every)


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
        return True
    return False


@dataclass
class Server:
    """One process started by the bench, with its log in a file."""

    name: str
    process: subprocess.Popen
    log: Path

    @classmethod
    def start(cls, name, command, folder, *, env=None, root=True, log=None):
        """Start `command` in `folder`; with root=False as an unprivileged user when the bench runs as root.

        The log is written into the folder `log`, or else beside where it runs.
        """
        log = Path(log or folder) / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                **({} if root else unprivileged()),
            )
        return cls(name, process, log)

    @property
    def pid(self):
        return self.process.pid

    def tail(self, lines=15):
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def wait_for(self, ready, seconds=30):
        """Wait until `ready()`; a RuntimeError tells the end of the log if the process ends or is late."""

        def ready_or_dead():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")
            return ready()

        try:
            wait_until(ready_or_dead, seconds=seconds, what=f"{self.name} ready")
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{self.tail()}") from error

    def stop(self, sign=signal.SIGTERM, seconds=10):
        """End the process and whatever it started; by force when it does not follow in time."""
        tree = tree_of(self.pid)
        if self.process.poll() is None:
            self.process.send_signal(sign)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(seconds)
        for pid in tree - {self.pid}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill(self):
        """The power cut: SIGKILL, at once."""
        self.process.kill()
        self.process.wait(10)
