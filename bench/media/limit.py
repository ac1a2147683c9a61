"""The physical limit: a C program that does nothing but encrypt and send what the fan-out sends."""

import asyncio
import contextlib
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from bench.media.client import BUFFER
from bench.media.cores import forwarder_core
from bench.media.streams import VIDEO_SIZE

SOURCE = Path(__file__).with_name("limit.c")


@dataclass
class Bare:
    """What it came to."""

    packets: int
    cpu_us: float
    rate: float


def missing():
    return None if shutil.which("gcc") else "apt-get install gcc libc6-dev"


class Limit:
    """The compiled program. RuntimeError with the compiler's words when it cannot be built."""

    def __init__(self, folder):
        self._program = Path(folder) / "limit"

    async def build(self):
        command = ["gcc", "-O2", "-Wall", "-Werror", "-o", self._program, SOURCE, "-l:libcrypto.so.3"]
        compiler = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        _, said = await compiler.communicate()
        if compiler.returncode:
            raise RuntimeError(f"{SOURCE.name} does not compile: {said.decode(errors='replace')[-400:]}")

    async def run(self, load, receivers, rate, seconds):
        """Send `rate` times a second (0: as often as it can) to all receivers, which throw it away."""
        with contextlib.ExitStack() as stack:
            ports = [str(stack.enter_context(sink(load)).getsockname()[1]) for _ in range(receivers)]
            with forwarder_core():
                words = [load.host, str(rate), str(seconds), str(VIDEO_SIZE), *ports]
                program = await asyncio.create_subprocess_exec(self._program, *words, stdout=asyncio.subprocess.PIPE)
            told, _ = await program.communicate()
        packets, cpu, wall = (int(word) for word in told.split())
        return Bare(packets, cpu / packets / 1000, packets / wall * 1e9)


@contextlib.contextmanager
def sink(load):
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bare:
        bare.setblocking(False)
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        bare.bind((load.host, 0))
        loop.add_reader(bare.fileno(), load.slab.receive, bare.fileno())
        yield bare
        loop.remove_reader(bare.fileno())
