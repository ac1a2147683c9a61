"""What a participant is shown: streams of others into the slots of its connections, and which layer of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.media.worker.forward import Slot
from service.media.worker.layers import Held, Want, allot
from service.media.worker.members import COMPANIONS, SCREEN, Connection, Participant, Publication
from service.media.worker.messages import SetSubscriptions, StreamWish
from service.media.worker.sections import Kind
from service.media.worker.slots import LAST, Rank, Source, beside, choose_audio, choose_video, place

Key = str
"""A slot among all of a participant: label of the connection and mid."""


@dataclass(slots=True, frozen=True)
class Heard:
    """Seconds since somebody spoke: of audio streams, and of users since they were the speaker."""

    streams: Mapping[str, int]
    users: Mapping[str, int]


Showing = tuple[Publication, Slot, StreamWish | None]


@dataclass(slots=True)
class View:
    """The slots of one participant's connections, taken together: a stream is in one of them at most."""

    placed: dict[Key, str] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    arranged_at: float = float("-inf")
    shown: dict[Connection, list[Showing]] = field(default_factory=dict)
    layers: dict[Connection, list[int | None]] = field(default_factory=dict)

    def arrange(
        self,
        viewer: Participant,
        connections: Sequence[Connection],
        publications: Mapping[str, Publication],
        heard: Heard,
        now: float,
    ) -> None:
        """Bring all slots in line with what is there and wanted. Only connected connections are touched."""
        wishes = {wish.stream_id: wish for wish in viewer.wishes.streams} if viewer.wishes is not None else {}
        slots = {f"{c.pc} {mid}": (c, slot) for c in connections for mid, slot in c.port.slots.items()}
        self.held = {stream: held for stream, held in self.held.items() if stream in publications}
        companions, partners = _companions(publications), _partners(connections)
        placed: dict[Key, str] = {}
        order: list[str] = []
        for kind in Kind:
            keys = [key for key, (_, slot) in slots.items() if slot.kind is kind]
            # Audio, which is placed first, comes beside the pictures that are shown already; those beside audio.
            rank = beside(partners, placed or self.placed, companions)
            chosen, settled = self._choose(kind, keys, viewer, slots, publications, heard, rank)
            order += chosen
            placed.update(settled)
        for key, (_, slot) in slots.items():
            if key not in placed and slot.track is not None:
                slot.clear()
        self.placed = placed
        self.arranged_at = now
        self.shown, self.layers = {}, {}
        for connection in connections:
            here = {stream: slots[key][1] for key, stream in placed.items() if slots[key][0] is connection}
            shown = [(publications[each], here[each], wishes.get(each)) for each in order if each in here]
            self.shown[connection] = [showing for showing in shown if showing[1].kind is Kind.VIDEO]
            for publication, slot, wish in shown:
                if slot.kind is Kind.AUDIO:
                    off = viewer.member.held or (wish is not None and wish.paused)
                    _turn(slot, publication, None if off else 0, now)
        self.adjust(viewer, now)

    def adjust(self, viewer: Participant, now: float) -> list[Connection]:
        """Only the layers of what is shown, by what the connections carry now; those in which one has changed."""
        changed: list[Connection] = []
        for connection, video in self.shown.items():
            if not connection.connected:
                continue
            layers = self._adjust(viewer, connection, video, now)
            if layers != self.layers.get(connection):
                self.layers[connection] = layers
                changed.append(connection)
        return changed

    def _choose(
        self,
        kind: Kind,
        keys: list[Key],
        viewer: Participant,
        slots: Mapping[Key, tuple[Connection, Slot]],
        publications: Mapping[str, Publication],
        heard: Heard,
        rank: Rank,
    ) -> tuple[list[str], dict[Key, str]]:
        if not keys:
            return [], {}
        known: dict[tuple[int, int], bool] = {}  # by what slots and tracks have in common with others

        def fits(key: Key, stream: str) -> bool:
            slot, track = slots[key][1], publications[stream].track
            alike = id(slot.codecs), id(track.codec)
            found = known.get(alike)
            if found is None:
                found = known[alike] = slot.can_show(track)
            return found

        sources = [
            source
            for source in _sources(kind, viewer, publications.values(), heard)
            if any(fits(key, source.stream_id) for key in keys)
        ]
        choose = choose_audio if kind is Kind.AUDIO else choose_video
        chosen = choose(sources, len(keys), frozenset(self.placed.values()))
        return chosen, place(keys, self.placed, chosen, fits, rank)

    def _adjust(
        self, viewer: Participant, connection: Connection, video: list[Showing], now: float
    ) -> list[int | None]:
        wants = [_want(publication, wish, now) for publication, _, wish in video]
        held = [self.held.setdefault(publication.stream_id, Held()) for publication, _, _ in video]
        layers = allot(wants, held, connection.port.estimate_bps, now, _audio_bps(connection))
        connection.probe_bps = 0.0 if viewer.member.held else sum(map(_more, wants, held))
        for (publication, slot, _), layer in zip(video, layers, strict=True):
            _turn(slot, publication, None if viewer.member.held else layer, now)
        return layers


def rows(view: View, connection: Connection, publications: Mapping[str, Publication]) -> list[dict[str, Any]]:
    """The connection's slots as they are told to its client: all of them, in the order of its sections."""
    told: list[dict[str, Any]] = []
    for mid, slot in connection.port.slots.items():
        row: dict[str, Any] = {"mid": mid, "kind": slot.kind.value}
        publication = publications.get(view.placed.get(f"{connection.pc} {mid}", ""))
        if publication is None:
            row |= {"user_id": None, "stream_id": None, "source": None, "layer": None, "paused": False, "muted": False}
        else:
            encoding = slot.wanted or slot.encoding
            row |= {
                "user_id": publication.participant.user_id,
                "stream_id": publication.stream_id,
                "source": publication.naming.source,
                "layer": encoding.rid if encoding is not None else None,
                "paused": encoding is None,
                "muted": publication.track.muted,
            }
        told.append(row)
    return told


def _companions(publications: Mapping[str, Publication]) -> dict[str, str]:
    """The picture that goes with a sound, and the sound that goes with a picture."""
    by_source = {(each.participant.key, each.naming.source): stream for stream, each in publications.items()}
    found: dict[str, str] = {}
    for (who, source), stream in by_source.items():
        companion = by_source.get((who, COMPANIONS.get(source, "")))
        if companion is not None:
            found[stream] = companion
    return found


def _partners(connections: Iterable[Connection]) -> dict[Key, Key]:
    """Slots by the slots that are played in step with them."""
    found: dict[Key, Key] = {}
    for connection in connections:
        places: dict[int, Key] = {}
        for section in connection.negotiated.sections:
            key = f"{connection.pc} {section.mid}"
            other = places.setdefault(section.place, key)
            if other != key:
                found[key], found[other] = other, key
    return found


def _audio_bps(connection: Connection) -> float:
    """What the sounds in its slots take now."""
    sounds = (slot for slot in connection.port.slots.values() if slot.kind is Kind.AUDIO and slot.encoding is not None)
    return sum(slot.gross_bps for slot in sounds)


def _turn(slot: Slot, publication: Publication, layer: int | None, now: float) -> None:
    if layer is not None:
        slot.show(publication.track, layer, now)
    elif slot.track is publication.track:
        slot.pause()
    else:
        slot.clear()


def _sources(kind: Kind, viewer: Participant, publications: Iterable[Publication], heard: Heard) -> Iterable[Source]:
    """What may be shown to that viewer: of others, not held, and not ruled out by its wishes."""
    wishes = viewer.wishes or SetSubscriptions(0, "", "", None)
    if not (wishes.audio if kind is Kind.AUDIO else wishes.video):
        return
    wanted = {wish.stream_id: wish for wish in wishes.streams}
    only = frozenset(wishes.only) if wishes.only is not None else None
    for publication in publications:
        stream, participant = publication.stream_id, publication.participant
        if publication.track.kind is not kind or participant.user_id == viewer.user_id or participant.member.held:
            continue
        if only is not None and stream not in only:
            continue
        wish = wanted.get(stream)
        recent = heard.streams.get(stream, LAST) if kind is Kind.AUDIO else heard.users.get(participant.user_id, LAST)
        if wish is not None and wish.paused:
            recent = LAST + 1  # keeps its slot only as long as nobody else needs it
        yield Source(
            stream,
            participant.user_id,
            screen=publication.naming.source == SCREEN,
            recent=recent,
            wished=wish is not None and not wish.paused,
            muted=participant.muted(kind),
        )


def _more(want: Want, held: Held) -> float:
    """What the layer that is waited for would add, in bit/s."""
    if held.aim is None:
        return 0.0
    now = want.encodings[held.layer].bitrate_bps if held.layer is not None else 0.0
    return max(want.encodings[held.aim].bitrate_bps - now, 0.0)


def _want(publication: Publication, wish: StreamWish | None, now: float) -> Want:
    encodings = publication.incoming(now)
    if wish is None:
        return Want(encodings)
    return Want(encodings, wish.layer, wish.height, wish.paused, wish.width)
