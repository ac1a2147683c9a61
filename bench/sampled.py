"""Run the service and sample it by the CPU time that it uses: `python -m bench.sampled FILE serve ...`.

A signal comes after every few milliseconds of CPU, not of waiting; on a machine whose cores are shared by the service,
its database and the load, only this tells what costs. From SIGUSR1 on stacks are counted, and written to FILE (folded:
`outer;inner count`) at the end.
"""

import atexit
import signal
import sys
from collections import Counter
from pathlib import Path

from service.__main__ import main

EVERY_S = 0.004
DEEPEST = 80


class Sampler:
    def __init__(self, target):
        self.target = target
        self.stacks = Counter()

    def begin(self, *_):
        signal.signal(signal.SIGPROF, self.sample)
        signal.siginterrupt(signal.SIGPROF, False)
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def sample(self, _number, frame):
        frames = []
        while frame is not None and len(frames) < DEEPEST:
            frames.append(frame.f_code)
            frame = frame.f_back
        self.stacks[tuple(reversed(frames))] += 1

    def write(self):
        signal.setitimer(signal.ITIMER_PROF, 0)
        folded = Counter()
        for stack, count in self.stacks.items():
            folded[";".join(f"{code.co_qualname} ({code.co_filename}:{code.co_firstlineno})" for code in stack)] += (
                count
            )
        self.target.write_text("".join(f"{stack} {count}\n" for stack, count in folded.items()), encoding="utf-8")


if __name__ == "__main__":
    sampler = Sampler(Path(sys.argv.pop(1)))
    signal.signal(signal.SIGUSR1, sampler.begin)
    atexit.register(sampler.write)
    sys.exit(main())
