"""A worker that is sampled by the CPU time it uses: `python -m bench.media.sampled DESCRIPTOR FILE SETUP`.

From SIGUSR1 on stacks are counted; they are written to FILE at the end, as bench.sampled does for the service.
"""

import atexit
import signal
import socket
import sys
from pathlib import Path

import msgspec

from bench.sampled import Sampler
from service.media.worker.main import run
from service.media.worker.messages import Setup

if __name__ == "__main__":
    sampler = Sampler(Path(sys.argv[2]))
    signal.signal(signal.SIGUSR1, sampler.begin)
    atexit.register(sampler.write)
    sys.exit(run(msgspec.json.decode(sys.argv[3], type=Setup), socket.socket(fileno=int(sys.argv[1]))))
