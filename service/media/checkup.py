"""What `doctor` wants to know of the media workers' surroundings: their ports, their buffer, their addresses."""

import socket
from ipaddress import ip_address
from pathlib import Path

from service.media.config import MediaConfig
from service.store.checkup import Finding

LIMIT = Path("/proc/sys/net/core/rmem_max")
MEBIBYTE = 1024 * 1024
KERNEL_BUFFER = 4 * MEBIBYTE
"""What a worker asks for; `worker/mux.py` is not imported here, because it brings all of the media stack."""


def examine_media(config: MediaConfig | None, *, off: bool = False, remote: bool = False) -> list[Finding]:
    """Look at what workers will find; `None` when this process runs none, `off` when no process does.

    `remote`: clients of the service are on other machines.
    """
    if off:
        return [Finding("media is off: calls are relayed between the clients, for up to four people", note=True)]
    if config is None:
        told = "no media workers here, which takes the role media: without a process that has it, routed calls fail"
        return [Finding(told, note=True)]
    warm = config.warm_workers
    on = Finding(f"media is on: routed calls, {warm} {'worker waits' if warm == 1 else 'workers wait'} for one")
    if fault := _refused(config.host):
        return [
            on,
            Finding(f"media workers cannot listen on {config.host} (HOOKSWITCH_MEDIA_HOST): {fault}", fault=True),
        ]
    return [on, _ports(config), _address(config, remote=remote), _buffer(config.host)]


def out_of_reach(config: MediaConfig, *, remote: bool) -> str | None:
    """Why clients of the service will get no media, when nobody has chosen an address that they reach."""
    if not remote or config.addresses or not ip_address(config.host).is_loopback:
        return None
    return (
        f"the service is for other machines, its media workers for this one alone ({config.host}): in group calls "
        "nobody elsewhere is heard or seen; set HOOKSWITCH_MEDIA_HOST, and behind NAT HOOKSWITCH_MEDIA_PUBLIC_IP"
    )


def _refused(host: str) -> str | None:
    """Why no UDP port can be had there, if so."""
    try:
        with _udp(host) as sock:
            sock.bind((host, 0))
    except OSError as error:
        return error.strerror or str(error)
    return None


def _ports(config: MediaConfig) -> Finding:
    if not config.low_port:
        return Finding(
            "each media worker takes any free UDP port: a firewall before it has to let all of them in", note=True
        )
    taken = [port for port in range(config.low_port, config.high_port + 1) if not _is_free(config.host, port)]
    wanted = config.high_port - config.low_port + 1
    free = wanted - len(taken)
    told = f"{free} of the {wanted} UDP ports {config.low_port} to {config.high_port} are free for media workers"
    return Finding(told, fault=len(taken) == wanted, note=bool(taken))


def _address(config: MediaConfig, *, remote: bool) -> Finding:
    if fault := out_of_reach(config, remote=remote):
        return Finding(fault, fault=True)
    try:
        told = config.addresses or (_outgoing(config.host),)
    except OSError:
        wanted = "media workers find no address to tell clients: set HOOKSWITCH_MEDIA_PUBLIC_IP"
        return Finding(wanted, fault=True)
    named = ", ".join(told)
    if all(ip_address(address).is_loopback for address in told):
        return Finding(f"clients are told to send media to {named}: only this machine's own can", note=True)
    if not any(ip_address(address).is_global for address in told):
        return Finding(f"clients are told to send media to {named}: only those of its private network can", note=True)
    return Finding(f"clients are told to send media to {named}")


def _outgoing(host: str) -> str:
    """What a worker tells that listens on every address: the one that packets leave from. Nothing is sent."""
    if not ip_address(host).is_unspecified:
        return host
    with _udp(host) as sock:
        sock.connect(("2001:db8::1" if ":" in host else "192.0.2.1", 9))
        return str(sock.getsockname()[0])


def _buffer(host: str) -> Finding:
    """A burst of key frames must fit in while the worker is busy: 208 KB lose packets at high rates."""
    with _udp(host) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER)
        granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # Linux tells twice what it counts
    if granted >= KERNEL_BUFFER:
        return Finding(f"the kernel grants media workers a receive buffer of {granted / MEBIBYTE:.0f} MiB")
    limit = LIMIT.read_text(encoding="ascii").strip() if LIMIT.is_file() else "unknown"
    told = (
        f"the kernel grants media workers a receive buffer of {granted // 1024} KiB and loses packets of bursts: "
        f"net.core.rmem_max is {limit}, let it be {KERNEL_BUFFER} (sysctl -w net.core.rmem_max={KERNEL_BUFFER})"
    )
    return Finding(told, note=True)


def _is_free(host: str, port: int) -> bool:
    with _udp(host) as sock:
        try:
            sock.bind((host, port))
        except OSError:
            return False
    return True


def _udp(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
