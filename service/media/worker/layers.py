"""Which layer each video slot shows: what its viewer wants to see, and what the connection carries.

Pure. Encodings are numbered from low to high. The sources of a connection are served in their order of importance:
everybody's lowest layer first, then larger ones from the front, as long as the estimate lasts. Audio is no part of
this: its share is taken off before, and it is never dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

UP = 1.15
"""A larger layer is chosen when it has fitted with this margin for `STEADY_S`; a smaller one at once."""
STEADY_S = 1.0
KEPT = 0.7
"""A picture that is shown stays in its lowest layer while so much of it fits: a little too much is sent again or shows
as delay, and less than its lowest layer nobody can send."""
TINY_BPS = 50_000.0
"""A picture of less is never withheld: it takes no more than a voice, and shows to no estimate what a path carries."""
RETRY_S = 2.0
"""So long a picture is withheld before it is tried again; twice as long each time that the path was too narrow."""
TRIAL_S = 1.0
"""So long it is shown then, unless the estimate falls before."""
_RETRY_MOST_S = 8.0
_FORGET_S = 10.0  # a trial so long ago says nothing of this path
_FALLEN = 0.95  # of the estimate at the beginning of a trial
_SHARE = 0.95  # of the estimate; the rest is for retransmissions
ENLARGED = 1.1
"""So much larger than it is a picture may be shown; that is not seen."""
USUAL = 1280, 720
"""What the largest layer is taken for where no sizes can be read. Each layer below has half of it."""
_NAMES = MappingProxyType({"low": 0, "medium": 1, "high": 2})


@dataclass(slots=True, frozen=True)
class Encoding:
    """One layer as it comes in now. Size 0: not known. Inactive ones (nothing came for 2 s) are not chosen."""

    bitrate_bps: float
    height: int = 0
    active: bool = True
    width: int = 0


@dataclass(slots=True, frozen=True)
class Want:
    """What a viewer wants of one source. `most` limits the layer by name; the size is of the element, in pixels."""

    encodings: tuple[Encoding, ...]
    most: str | None = None
    height: int | None = None
    paused: bool = False
    width: int | None = None


@dataclass(slots=True)
class Held:
    """What a slot was given last, since when more would have fitted, and whether want of bandwidth emptied it.

    `wish` is what its viewer wanted then. `aim` is the layer that is waited for: meanwhile padding may show that the
    path carries it. A picture is withheld since `withheld_at` and for `patience_s`; then comes a `trial`, which has an
    end, and a beginning estimate in bit/s.
    """

    layer: int | None = None
    fits_since: float | None = None
    dropped: bool = False
    aim: int | None = None
    wish: int | None = None
    withheld_at: float | None = None
    patience_s: float = RETRY_S
    tried_at: float = float("-inf")
    trial: tuple[float, float] | None = None


def wished(want: Want) -> int | None:
    """The layer to show when the connection carries everything; nothing when paused or nothing comes in."""
    active = [place for place, encoding in enumerate(want.encodings) if encoding.active]
    if want.paused or not active:
        return None
    limit = len(want.encodings) - 1
    if want.most is not None:
        limit = _named(want.most, len(want.encodings))
    if want.width or want.height:
        limit = min(limit, _filling(want, active))
    return max((place for place in active if place <= limit), default=active[0])


def _filling(want: Want, active: Sequence[int]) -> int:
    """The smallest layer that fills the element in what is told of it: width, height or both; else the largest."""
    widths = _sizes([encoding.width for encoding in want.encodings], USUAL[0])
    heights = _sizes([encoding.height for encoding in want.encodings], USUAL[1])
    wide, high = (want.width or 0) / ENLARGED, (want.height or 0) / ENLARGED
    return next((place for place in active if widths[place] >= wide and heights[place] >= high), active[-1])


def _sizes(known: Sequence[int], usual: int) -> list[int]:
    """With those that are not known by their places: each layer has half the size of the next."""
    highest = max((place for place, size in enumerate(known) if size), default=None)
    last = len(known) - 1
    top = usual if highest is None else known[highest] << (last - highest)
    return [size or top >> (last - place) for place, size in enumerate(known)]


def allot(
    wants: Sequence[Want], held: Sequence[Held], estimate_bps: float | None, now: float, audio_bps: float = 0.0
) -> list[int | None]:
    """The layer of each source, the most important first. `held` goes along with `wants` and is brought up to date.

    No estimate means no limit (no feedback of any kind came yet). `audio_bps` is what the audio beside them takes.
    """
    wishes = [wished(want) for want in wants]
    if estimate_bps is None:
        affordable = wishes
        generous = wishes
    else:
        budget = max(estimate_bps - audio_bps, 0.0) * _SHARE
        affordable = _fill(wants, wishes, budget, [1.0 if each.layer is None else KEPT for each in held])
        generous = _fill(wants, wishes, budget / UP, [1.0] * len(wants))
    given: list[int | None] = []
    for want, each, fits, certain, wish in zip(wants, held, affordable, generous, wishes, strict=True):
        layer = _steady(each, fits, certain, wish, now)
        if layer is None and each.dropped and estimate_bps is not None:
            alone = not any(other.trial for other in held if other is not each)
            layer = each.layer = _lowest(want) if _on_trial(each, estimate_bps, now, alone=alone) else None
        else:
            each.withheld_at = each.trial = None
        given.append(layer)
    return given


def _on_trial(held: Held, estimate_bps: float, now: float, *, alone: bool) -> bool:
    """Whether to show a withheld picture all the same: nothing else tells what its path carries by now."""
    if held.trial is not None:
        until, before_bps = held.trial
        if now < until and estimate_bps >= _FALLEN * before_bps:
            return True
        held.trial, held.withheld_at = None, now
        held.patience_s = min(2 * held.patience_s, _RETRY_MOST_S)
    elif held.withheld_at is None:
        held.withheld_at = now
        if now - held.tried_at > _FORGET_S:
            held.patience_s = RETRY_S
    elif alone and now - held.withheld_at >= held.patience_s:
        held.tried_at = now
        held.trial = now + TRIAL_S, estimate_bps
        return True
    return False


def _lowest(want: Want) -> int:
    return next(place for place, encoding in enumerate(want.encodings) if encoding.active)


def _steady(held: Held, fits: int | None, certain: int | None, wish: int | None, now: float) -> int | None:
    """Down at once, up only after the larger one has fitted for a while; what the viewer himself changed, at once."""
    held.aim = None
    before = -1 if held.layer is None else held.layer
    first = held.layer is None and not held.dropped  # the first picture waits for nobody
    raised = held.wish is not None and held.layer == held.wish and wish is not None and wish > held.wish
    held.wish = wish
    if wish is None or fits is None or first or fits <= before:
        held.layer, held.fits_since, held.dropped = fits, None, wish is not None and fits is None
    elif raised and certain is not None and certain > before:  # nothing but the old wish held it down
        held.layer, held.fits_since = certain, None
    elif certain is None or certain <= before:
        held.fits_since = None
    elif held.fits_since is None:
        held.fits_since, held.aim = now, certain
    elif now - held.fits_since >= STEADY_S:
        held.layer, held.fits_since, held.dropped = certain, None, False
    else:
        held.aim = certain
    return held.layer


def _fill(
    wants: Sequence[Want], wishes: Sequence[int | None], budget: float, least: Sequence[float]
) -> list[int | None]:
    """`least` is the part of each one's lowest layer that must fit."""
    given: list[int | None] = [None] * len(wants)
    for place, (want, wish) in enumerate(zip(wants, wishes, strict=True)):
        if wish is None:
            continue
        lowest = _lowest(want)
        cost = want.encodings[lowest].bitrate_bps
        if cost * least[place] <= budget or cost <= TINY_BPS:
            given[place], budget = lowest, max(budget - cost, 0.0)
    for place, (want, wish) in enumerate(zip(wants, wishes, strict=True)):
        now_given = given[place]
        if wish is None or now_given is None:
            continue
        for layer in range(wish, now_given, -1):
            more = want.encodings[layer].bitrate_bps - want.encodings[now_given].bitrate_bps
            if want.encodings[layer].active and more <= budget:
                given[place], budget = layer, budget - max(more, 0.0)
                break
    return given


def _named(name: str, count: int) -> int:
    """Low, medium and high of however many layers there are: of two, medium is the lower."""
    place = _NAMES.get(name, 2)
    return count - 1 if place == 2 else min(place, max(count - 2, 0))
