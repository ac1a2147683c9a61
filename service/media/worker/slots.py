"""Which sources go into which slots of a subscribing connection.

Pure. Slots are fixed when the connection is negotiated; sources come and go in them. A source that is shown keeps its
slot as long as it is chosen at all, because every move costs a key frame and a jump on the viewer's screen.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

Fits = Callable[[str, str], bool]
"""Whether a slot (its mid) can show a source (its stream id): a codec in common."""
Rank = Callable[[str, str], int]
"""How well a slot suits a source; 0 is best."""

LAST = 1_000_000
"""Has not spoken."""


@dataclass(slots=True, frozen=True)
class Source:
    """One stream of somebody else. `recent`: whole seconds since it, or its user, spoke."""

    stream_id: str
    user_id: str
    screen: bool = False
    recent: int = LAST
    wished: bool = False
    """Asked for by a size, a layer or by name: those come before the rest."""
    muted: bool = False
    """Nothing of it is forwarded now, so that it has a slot only as long as nobody else needs that."""


def choose_audio(sources: Sequence[Source], count: int, shown: Collection[str]) -> list[str]:
    """All streams when there is room for them, else those that spoke last; who is heard stays ahead of equals."""
    if len(sources) <= count:
        return [source.stream_id for source in sources]
    ordered = sorted(
        sources, key=lambda source: (source.muted, source.recent, source.stream_id not in shown, source.stream_id)
    )
    return [source.stream_id for source in ordered[:count]]


def choose_video(sources: Sequence[Source], count: int, shown: Collection[str]) -> list[str]:
    """Last-N, the most important first: not muted, wished for, screens, who spoke last, who is shown already."""
    ordered = sorted(
        sources,
        key=lambda source: (
            source.muted,
            not source.wished,
            not source.screen,
            source.recent,
            source.stream_id not in shown,
            source.stream_id,
        ),
    )
    return [source.stream_id for source in ordered[:count]]


def beside(partners: Mapping[str, str], occupied: Mapping[str, str], companions: Mapping[str, str]) -> Rank:
    """Best beside one's own companion, so that lips and voice are played in step; worst where another's may come.

    `partners` are slots of the other kind by slots, `occupied` what is in those, `companions` streams by streams.
    """

    def rank(mid: str, stream: str) -> int:
        neighbour = occupied.get(partners.get(mid, ""))
        if neighbour is None:
            return 1
        return 0 if companions.get(stream) == neighbour else 2

    return rank


def place(
    slots: Sequence[str], before: Mapping[str, str], chosen: Sequence[str], fits: Fits, rank: Rank = lambda *_: 0
) -> dict[str, str]:
    """Slot by mid → stream. Who is chosen again stays where it was; the others take the best of the free slots."""
    wanted = set(chosen)
    after = {mid: before[mid] for mid in slots if mid in before and before[mid] in wanted and fits(mid, before[mid])}
    settled = set(after.values())
    for stream in chosen:
        if stream in settled:
            continue
        free = [mid for mid in slots if mid not in after and fits(mid, stream)]
        if free:
            after[min(free, key=lambda mid: rank(mid, stream))] = stream
    return {mid: after[mid] for mid in slots if mid in after}
