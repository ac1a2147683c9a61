"""Folded stacks (`outer;inner count`, as `bench.sampled` writes them) told as shares of the time."""

import re
from collections import Counter
from dataclasses import dataclass, field

FRAME = re.compile(r"^(?P<function>.+) \((?P<file>[^()]*?)(?::\d+)?\)$")
ROOMS = re.compile(r"(?:^|/)service/([a-z_]+)")
PACKAGE = re.compile(r"(?:site-packages/|python3\.\d+/(?!site-packages/))([A-Za-z0-9_]+)")


@dataclass
class Shares:
    """Samples by function (itself; with all it calls) and by place (a room of the service or a library)."""

    total: int = 0
    own: Counter = field(default_factory=Counter)
    within: Counter = field(default_factory=Counter)
    rooms: Counter = field(default_factory=Counter)


def parse(text):
    shares = Shares()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdigit():
            continue
        frames = [name_of(frame) for frame in stack.split(";")]
        shares.total += int(count)
        shares.own[frames[-1]] += int(count)
        shares.rooms[frames[-1][0]] += int(count)
        for frame in set(frames):
            shares.within[frame] += int(count)
    return shares


def name_of(frame):
    """(place, function) of one frame: `("service/store", "save (calls.py)")`."""
    match = FRAME.match(frame)
    if not match:
        return "process", frame
    file = match["file"]
    function = f"{match['function']} ({file.rpartition('/')[2]})"
    if room := ROOMS.search(file):
        return f"service/{room[1]}", function
    package = PACKAGE.search(file)
    return (package[1] if package else file.partition("/")[0] or file), function


def lines(shares, top, who="the service while it played calls over the socket"):
    """Markdown: by place, then the functions with the most time of their own and with all they call."""
    if not shares.total:
        return ["No samples were taken."]

    def percent(count):
        return f"{100 * count / shares.total:.1f} %"

    out = [f"{shares.total} samples of {who}.", ""]
    out += ["| place | share |", "|---|---:|"]
    out += [f"| {place} | {percent(count)} |" for place, count in shares.rooms.most_common(12)]
    out += ["", "| function (its own time) | place | share |", "|---|---|---:|"]
    out += [f"| `{name}` | {place} | {percent(count)} |" for (place, name), count in shares.own.most_common(top)]
    ours = [(key, count) for key, count in shares.within.most_common() if key[0].startswith("service/")]
    out += ["", "| function of the service (with all it calls) | place | share |", "|---|---|---:|"]
    out += [f"| `{name}` | {place} | {percent(count)} |" for (place, name), count in ours[:top]]
    return out
