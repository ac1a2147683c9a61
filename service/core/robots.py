"""Magic test users: an integrator tests ring flows without phones; the user's name is the script.

    name   := "test:" verb
    verb   := "answer" [delay] [":hangup" [delay]] | "decline" [delay] [":" reason]
            | "busy" [delay] | "silent" | "offline"
    delay  := "@" number ("s" | "ms")

Only apps with `sandbox: true` have them; everywhere else such a name is an ordinary user.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from service.core.vocabulary import DeclineReason

PREFIX = "test:"
TEST_DEVICE = "test-device"
"""The one device every test user but the offline one has."""
LONGEST_DELAY_S = 3_600.0
PART = re.compile(r"(?P<verb>[a-z_]+)(?:@(?P<number>[0-9]{1,9}(?:\.[0-9]{1,3})?)(?P<unit>ms|s))?", re.ASCII)


class Action(StrEnum):
    """What a robot does."""

    ANSWER = "answer"
    DECLINE = "decline"
    HANGUP = "hangup"


@dataclass(slots=True, frozen=True)
class Step:
    """One act, `after_s` seconds after the one before (the first: after the ring)."""

    action: Action
    after_s: float = 0.0
    reason: DeclineReason = DeclineReason.NONE


@dataclass(slots=True, frozen=True)
class Script:
    """How a test user behaves.

    `offline`: it has no device at all. `busy`: it is not rung. `ack`: its device acknowledges the ring at once.
    `error`: the name begins with `test:` but says nothing that exists; whoever dials it is told this sentence.
    """

    steps: tuple[Step, ...] = ()
    offline: bool = False
    busy: bool = False
    ack: bool = True
    error: str | None = None

    @property
    def device(self) -> str | None:
        """Its one device, which is always connected."""
        return None if self.offline else TEST_DEVICE


@dataclass(slots=True, frozen=True)
class _Part:
    verb: str
    after_s: float | None


def script(user_id: str) -> Script | None:
    """The script in a user's name; `None` for ordinary users. Raises nothing: see `Script.error`."""
    if not user_id.startswith(PREFIX):
        return None
    first, *rest = (_part(text) for text in user_id.removeprefix(PREFIX).split(":"))
    if first is None or None in rest or len(rest) > 1:
        return _wrong(f"{user_id!r} is not like test:answer@1s:hangup@5s")
    return _read(user_id, first, rest[0] if rest else None)


def is_robot(user_id: str, device_id: str | None) -> bool:
    """Whether a leg is a test user's own, and not one that another device of that user took over."""
    return device_id in {None, TEST_DEVICE} and script(user_id) is not None


def _part(text: str) -> _Part | None:
    match = PART.fullmatch(text)
    if match is None:
        return None
    if match["number"] is None:
        return _Part(match["verb"], None)
    seconds = float(match["number"]) / (1_000 if match["unit"] == "ms" else 1)
    return _Part(match["verb"], seconds) if seconds <= LONGEST_DELAY_S else None


def _read(user_id: str, first: _Part, second: _Part | None) -> Script:
    after_s = first.after_s or 0.0
    if first.verb == "answer" and second is None:
        return Script((Step(Action.ANSWER, after_s),))
    if first.verb == "answer" and second and second.verb == "hangup":
        return Script((Step(Action.ANSWER, after_s), Step(Action.HANGUP, second.after_s or 0.0)))
    if first.verb == "decline":
        return _decline(user_id, after_s, second)
    if second is not None:
        return _wrong(f"{user_id!r}: {first.verb} takes no {second.verb}")
    if first.verb == "busy" and first.after_s is None:
        return Script(busy=True)
    if first.verb == "busy":
        return Script((Step(Action.DECLINE, after_s, DeclineReason.BUSY),))
    if first.verb in {"silent", "offline"} and first.after_s is None:
        offline = first.verb == "offline"
        return Script(offline=offline, ack=not offline)
    return _wrong(f"{user_id!r}: there is no test user of that kind")


def _decline(user_id: str, after_s: float, second: _Part | None) -> Script:
    if second is None:
        return Script((Step(Action.DECLINE, after_s),))
    if second.after_s is not None or second.verb not in set(DeclineReason):
        return _wrong(f"{user_id!r}: reasons are {', '.join(DeclineReason)}")
    return Script((Step(Action.DECLINE, after_s, DeclineReason(second.verb)),))


def _wrong(error: str) -> Script:
    return Script(offline=True, ack=False, error=error)
