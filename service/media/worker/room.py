"""A room: who is in it, what they send, and who is shown what. It forwards nothing itself; ports and slots do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from service.media.worker.dtls import Certificate
from service.media.worker.inbound import Track
from service.media.worker.joining import Door, restarted
from service.media.worker.members import SCREEN_AUDIO, Connection, Participant, Publication, Who
from service.media.worker.messages import Member, Offer, RestartPeer, SetSubscriptions
from service.media.worker.mux import Mux
from service.media.worker.port import Port, PortListener
from service.media.worker.quality import samples
from service.media.worker.session import State
from service.media.worker.speaker import Speakers, Speaking
from service.media.worker.viewing import Heard, View, rows

LOOKS = 10
"""While nothing happens, a look at everybody's layers takes so many ticks; what happens is acted upon at the next."""
ARRANGE_S = 1.0
"""How often slots are filled anew without anything having happened: who spoke when changes by itself."""
CHANGED_S = 1.0
"""Changes of a stream are told at most so often, the last one in any case."""
LOST_S = 60.0
"""So long a lost connection may come back by itself; the call gives its participant up earlier."""


class Room:
    """One call's media. `report` takes `{"report": {"kind", …}}` and `{"notice": {"kind", …}}`.

    Reports: `peer.up`, `peer.down`, `stream.created`, `stream.changed`, `stream.destroyed`. Notices: `slots`,
    `speaker`, `quality`. `addresses` are told to clients as candidates, with the mux's port. `limits` may set
    `connections`, `streams` and `slots`, the most of one participant.
    """

    def __init__(
        self,
        room_id: str,
        epoch: int,
        mux: Mux,
        certificate: Certificate,
        clock: Callable[[], float],
        report: Callable[[dict[str, Any]], None],
        limits: Mapping[str, float],
        addresses: tuple[str, ...] = ("127.0.0.1",),
    ) -> None:
        self.room_id = room_id
        self.epoch = epoch
        self._clock = clock
        self._report = report
        listener = PortListener(self._track_started, self._track_ended, self._level, self._state)
        self._door = Door(mux, certificate, clock, addresses, limits, listener)
        self._participants: dict[Who, Participant] = {}
        self._publications: dict[str, Publication] = {}
        self._by_track: dict[Track, Publication] = {}
        self._views: dict[tuple[Who, str], View] = {}
        self._speakers = Speakers(clock())
        self._changed = False  # what everybody is shown has to be looked at
        self._touched: set[Who] = set()  # or what these are
        self._round: list[Participant] = []

    # What the service asks for

    def set_members(self, members: Sequence[Member]) -> None:
        """All who are in the call with the device they are in with; who is not named is out.

        Who is named with another attempt has been out meanwhile, and comes in anew.
        """
        now = {(member.user_id, member.device_id): member for member in members}
        for who, participant in list(self._participants.items()):
            if who not in now or now[who].attempt != participant.member.attempt:
                self._remove(who)
        for who, member in now.items():
            known = self._participants.get(who)
            if known is None:
                self._participants[who] = Participant(member)
            else:
                known.member = member
        for publication in self._publications.values():
            self._silence(publication)
        self._changed = True
        self._tell_changed(self._clock())

    def offer(self, request: Offer, pc: str) -> str:
        """The answer to an offer of a member's connection `pc`.

        Raises:
            LookupError: no such member.
            OfferError: it cannot be answered; nothing has changed then.
        """
        participant = self.participant(request.user_id, request.device_id)
        connection = self._door.offer(participant, request, pc)
        connection.told = None  # who offers anew may have forgotten what is in the slots
        self._touched.add(participant.key)
        self._tell_changed(self._clock())
        return connection.negotiated.sdp

    def restart(self, request: RestartPeer) -> str:
        """The answer to new ICE credentials of a connection that stays (RFC 9725, 4.3.3).

        Raises:
            LookupError: no such member, or no such connection.
            OfferError: it cannot be answered.
        """
        connection = self.participant(request.user_id, request.device_id).connections.get(request.pc)
        if connection is None:
            raise LookupError("there is no such connection")
        return self.offer(restarted(connection, request.ufrag, request.pwd), request.pc)

    def subscribe(self, wishes: SetSubscriptions) -> None:
        """What a member wants to receive, on all its connections.

        Raises:
            LookupError: no such member.
        """
        participant = self.participant(wishes.user_id, wishes.device_id)
        participant.wishes = wishes
        for connection in participant.connections.values():
            connection.told = None  # what is in the slots follows in any case: a client that was away may ask so
        self._touched.add(participant.key)

    def tell_again(self, user_id: str, device_id: str | None) -> None:
        """What is in a member's slots, and who speaks: its device was away.

        Raises:
            LookupError: no such member.
        """
        participant = self.participant(user_id, device_id)
        for connection in participant.connections.values():
            connection.told = None
        self._touched.add(participant.key)
        self._tell_speaker(self._speakers.told, to=participant.who)

    def close_peer(self, user_id: str, device_id: str | None, pc: str) -> None:
        """End a member's connection; one that is not there is no fault."""
        participant = self._participants.get((user_id, device_id))
        connection = participant.connections.pop(pc, None) if participant is not None else None
        if participant is not None and connection is not None:
            connection.close()
            self._forget_views(participant)
            self._raise_or_lower(participant, "closed")

    def close(self) -> None:
        """End everything."""
        for who in list(self._participants):
            self._remove(who)

    # Time

    def tick(self, now: float) -> None:
        """Every 20 ms."""
        for participant in self._participants.values():
            for connection in participant.all_connections():
                if connection.session.state != connection.state:
                    self._follow(participant, connection, now)
                connection.port.tick(now)
                if connection.probe_bps:
                    connection.port.probe(connection.probe_bps, now)
            self._expire(participant, now)
        change = self._speakers.step(now)
        if change is not None:
            self._tell_speaker(change)
            self._changed = True
        if self._changed:
            self._tell_changed(now)
            self._changed = False
            self._touched.clear()
            self._round = []
            self._look(list(self._participants.values()), now, fresh=True)
        else:
            self._look_around(now)

    def quality(self, now: float) -> None:
        """Tell how all streams do; how often is the caller's choice."""
        everybody = [
            (participant, c) for participant in self._participants.values() for c in participant.connections.values()
        ]
        self._notice("quality", streams=samples(everybody, self._by_track, now))

    def counts(self) -> dict[str, int]:
        """How much is kept, by what it is; all 0 in an empty room."""
        return {
            "participants": len(self._participants),
            "connections": sum(1 for _ in self._everything()),
            "streams": len(self._publications) + len(self._by_track),
            "views": len(self._views),
            "voices": len(self._speakers.sources),
        }

    def withheld(self) -> int:
        """How many pictures viewers do not get, because the path to them does not carry more."""
        everything = (held for view in self._views.values() for held in view.held.values())
        return sum(held.dropped and held.layer is None for held in everything)

    def resent(self) -> dict[int, int]:
        """Packets that went out again, by SSRC of the stream to a client."""
        return {slot.ssrc: slot.resent for _, c in self._everything() for slot in c.port.slots.values()}

    # What ports tell

    def _track_started(self, port: Port, track: Track) -> None:
        found = next(((p, c) for p, c in self._everything() if c.port is port), None)
        if found is None:
            return
        publication = Publication(str(uuid4()), found[0], found[1], track)
        self._publications[publication.stream_id] = publication
        self._by_track[track] = publication
        self._silence(publication)
        publication.told = publication.facts()
        self._tell("stream.created", publication.participant, stream=publication.told)
        self._changed = True

    def _track_ended(self, port: Port, track: Track) -> None:
        del port
        publication = self._by_track.pop(track, None)
        if publication is not None:
            del self._publications[publication.stream_id]
            self._speakers.remove(publication.stream_id)
            self._tell("stream.destroyed", publication.participant, stream=publication.told)
            self._changed = True

    def _level(self, port: Port, track: Track, level: int, voice: bool, now: float) -> None:  # noqa: FBT001 - PortListener's
        del port, now
        publication = self._by_track.get(track)
        if publication is not None and publication.naming.source != SCREEN_AUDIO:
            self._speakers.hear(publication.stream_id, level, voice=voice)

    def _state(self, port: Port, state: State) -> None:
        """What is lost is followed in the next tick: nothing is closed from within its own callback.

        A new connection is not: the one that it replaces ends before the first packet on it begins a stream.
        """
        found = next((each for each in self._everything() if each[1].port is port), None)
        if found is not None and state == "connected":
            self._follow(*found, self._clock())

    # Connections

    def participant(self, user_id: str, device_id: str | None) -> Participant:
        """The member with that device.

        Raises:
            LookupError: no such member.
        """
        found = self._participants.get((user_id, device_id))
        if found is None:
            raise LookupError("this device is not in the room")
        return found

    def _everything(self) -> Iterator[tuple[Participant, Connection]]:
        for participant in self._participants.values():
            for connection in participant.all_connections():
                yield participant, connection

    def _follow(self, participant: Participant, connection: Connection, now: float) -> None:
        """The session's state is another one than last time."""
        session = connection.session
        connection.state = session.state
        connection.lost_at = now if session.state == "lost" else None
        self._touched.add(participant.key)
        if session.state == "connected":
            connection.was_connected = True
            if connection.replaces is not None:
                connection.replaces.close()
                connection.replaces = None
        self._raise_or_lower(participant, session.reason)

    def _expire(self, participant: Participant, now: float) -> None:
        """Connections that are lost for good are closed."""
        for connection in list(participant.connections.values()):
            if connection.lost_at is None:
                continue
            final = connection.session.reason != "silence" or not connection.was_connected
            if final or now - connection.lost_at > LOST_S:
                older, connection.replaces = connection.replaces, None
                connection.close()
                if older is None:
                    del participant.connections[connection.pc]
                    self._forget_views(participant)
                else:
                    participant.connections[connection.pc] = older

    def _raise_or_lower(self, participant: Participant, reason: str | None) -> None:
        up = any(connection.connected for connection in participant.all_connections())
        if up == participant.up:
            return
        participant.up = up
        if up:
            self._tell("peer.up", participant)
            if self._speakers.told.key is not None:
                self._tell_speaker(self._speakers.told, to=participant.who)
        else:
            self._tell("peer.down", participant, reason=reason)

    def _remove(self, who: Who) -> None:
        participant = self._participants.pop(who)
        for connection in participant.connections.values():
            connection.close()
        participant.connections.clear()
        self._forget_views(participant)
        self._touched.discard(who)
        self._round = [each for each in self._round if each is not participant]
        self._raise_or_lower(participant, "closed")
        self._changed = True

    def _forget_views(self, participant: Participant) -> None:
        """Those of connections that are no more; what is left is looked at anew."""
        groups = {connection.group for connection in participant.connections.values()}
        for key in [key for key in self._views if key[0] == participant.key and key[1] not in groups]:
            del self._views[key]
        self._touched.add(participant.key)

    # Streams

    def _silence(self, publication: Publication) -> None:
        silent = publication.participant.silent(publication.track.kind)
        publication.track.muted = silent
        if silent:
            self._speakers.remove(publication.stream_id)

    def _tell_changed(self, now: float) -> None:
        """What is put off for being too often is found again with the next round."""
        for publication in self._publications.values():
            if now - publication.changed_at < CHANGED_S:
                continue
            facts = publication.facts()
            if facts != publication.told and publication.participant.changes.take(1, now):
                publication.told, publication.changed_at = facts, now
                self._tell("stream.changed", publication.participant, stream=facts)
                self._changed = True

    def _look_around(self, now: float) -> None:
        """At those to whom something happened, and at some of the others."""
        if self._touched:
            touched, self._touched = self._touched, set()
            self._look([each for who, each in self._participants.items() if who in touched], now, fresh=True)
        if not self._round:
            self._tell_changed(now)
            self._round = list(self._participants.values())
        count = -(-len(self._participants) // LOOKS)
        self._look(self._round[:count], now, fresh=False)
        del self._round[:count]

    def _look(self, participants: Sequence[Participant], now: float, *, fresh: bool) -> None:
        """Bring their slots in line: all anew when something happened, else only the layers."""
        heard: Heard | None = None
        for participant in participants:
            for group, connections in participant.viewing().items():
                view = self._views.setdefault((participant.key, group), View())
                if fresh or now - view.arranged_at >= ARRANGE_S:
                    heard = heard or self._heard(now)
                    view.arrange(participant, connections, self._publications, heard, now)
                    changed = connections
                else:
                    changed = view.adjust(participant, now)
                self._tell_slots(participant, view, changed)

    def _tell_slots(self, participant: Participant, view: View, connections: Sequence[Connection]) -> None:
        for connection in connections:
            told = rows(view, connection, self._publications)
            if told and told != connection.told:
                connection.told = told
                self._notice("slots", **participant.who, pc=connection.pc, slots=told)

    def _heard(self, now: float) -> Heard:
        users: dict[str, int] = {}
        for stream, seconds in self._speakers.led(now).items():
            user = self._publications[stream].participant.user_id
            users[user] = min(seconds, users.get(user, seconds))
        return Heard(self._speakers.spoken(now), users)

    # Telling

    def _tell_speaker(self, change: Speaking, **only: Any) -> None:
        publication = self._publications.get(change.key) if change.key is not None else None
        if publication is None:
            self._notice("speaker", user_id=None, stream_id=None, level=None, **only)
        else:
            user, level = publication.participant.user_id, -round(change.level, 1)
            self._notice("speaker", user_id=user, stream_id=publication.stream_id, level=level, **only)

    def _tell(self, kind: str, participant: Participant, **facts: Any) -> None:
        self._report({"report": {"kind": kind, **participant.who, **facts}})

    def _notice(self, kind: str, **facts: Any) -> None:
        self._report({"notice": {"kind": kind, **facts}})
