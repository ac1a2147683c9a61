"""Everybody who is connected to this process, and what each of them has heard.

A user of a call hears every event of it once, in `seq` order, whichever process committed it: what is exactly next is
sent at once, what was heard is dropped, and a gap is filled from the database. Nothing here waits or does I/O.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID
from zlib import crc32

from service.core.calls import Call, Leg, Ring
from service.core.vocabulary import LegState
from service.live.alerts import Alerts
from service.live.session import REPLACED, Session, Watch
from service.live.turns import Turn
from service.live.wanted import Wanted
from service.store.hearing import Heard
from service.telemetry.logs import logger
from service.wire.feed import Told

MOST_AHEAD = 32
"""Turns kept for a moment because an earlier one has not come yet; what is beyond comes from the database."""

BROKEN = 1011
Key = tuple[str, str]


@dataclass(slots=True)
class Live:
    """A call that concerns somebody here, as it was seen last, and the turns that came too early."""

    call: Call
    version: int
    ahead: list[Turn] = field(default_factory=list)


class Hub:
    """The sessions of this process, and the calls they hear of.

    `clock` is asked for the `server_time` of rings; `ring_token` for a ring's action token. `wanted` collects the
    calls that must be read from the database.
    """

    def __init__(self, clock: Callable[[], datetime], ring_token: Callable[[Call, Leg, Ring], str | None]) -> None:
        self.wanted = Wanted()
        self.alerts = Alerts(clock, ring_token)
        self._sessions: dict[Key, list[Session]] = {}
        self._connections: dict[UUID, Session] = {}
        self._hashes: Counter[int] = Counter()
        self._lives: dict[str, Live] = {}
        self._ended: tuple[set[str], set[str]] = (set(), set())

    # Who is here

    def enter(self, session: Session) -> list[Session]:
        """A new session; returns the older ones of the same device, which are closed with 4409 and out of here."""
        connection = session.connection
        sessions = self._sessions.setdefault((connection.app_id, connection.user_id), [])
        older = [other for other in sessions if other.connection.device_id == connection.device_id]
        sessions.append(session)
        self._connections[connection.id] = session
        self._hashes[user_hash(connection.app_id, connection.user_id)] += 1
        for other in older:
            self.leave(other)
            other.close(REPLACED, "this device has a newer connection")
        return older

    def leave(self, session: Session) -> None:
        """The session hears nothing any more; leaving twice is fine."""
        connection = session.connection
        if self._connections.pop(connection.id, None) is None:
            return
        key = (connection.app_id, connection.user_id)
        sessions = self._sessions[key]
        sessions.remove(session)
        if not sessions:
            del self._sessions[key]
        digest = user_hash(*key)
        self._hashes[digest] -= 1
        if not self._hashes[digest]:
            del self._hashes[digest]
        for call_id in session.watches:
            live = self._lives.get(call_id)
            if live and next(self._listeners(live.call), None) is None:
                del self._lives[call_id]

    @property
    def anybody(self) -> bool:
        """Whether anybody is connected here at all."""
        return bool(self._connections)

    def session(self, connection_id: UUID) -> Session | None:
        """The session of that connection."""
        return self._connections.get(connection_id)

    def sessions(self) -> list[Session]:
        """Everybody who is here."""
        return list(self._connections.values())

    def sessions_of(self, app_id: str, user_id: str, device_id: str | None = None) -> list[Session]:
        """The sessions of a user here, or of one device."""
        sessions = self._sessions.get((app_id, user_id), ())
        return [s for s in sessions if not s.closed and device_id in {None, s.connection.device_id}]

    def concerned(self, hashes: Sequence[int]) -> bool:
        """Whether one of these users (by :func:`user_hash`) may be connected here."""
        return any(digest in self._hashes for digest in hashes)

    def call(self, call_id: str) -> Call | None:
        """The call as it was seen last, if it concerns somebody here."""
        live = self._lives.get(call_id)
        return live.call if live else None

    def newest(self, call_id: str) -> Call | None:
        """As :meth:`call`, with the version at which the database has it."""
        live = self._lives.get(call_id)
        return replace(live.call, version=live.version) if live else None

    # What is told

    def told(self, batch: Sequence[Told]) -> None:
        """The switchboard's listener: turns that this process has committed."""
        if self._sessions:
            for told in batch:
                self._hear(Turn.committed(told))

    def caught_up(self, heard: Heard) -> None:
        """A call and events of it, read from the database."""
        version = heard.call.version
        for told in heard.told:
            self._hear(Turn(told, version))
        self._hear(Turn(Told(heard.call, (), 0), version))

    def open(self, session: Session, standing: Sequence[Heard]) -> list[tuple[Call, Leg, Ring]]:
        """Let a session stand where the database says, and return the open rings of its device.

        What was told meanwhile follows with :meth:`release`.
        """
        rings = []
        for heard in standing:
            call = heard.call
            leg = call.leg(session.connection.user_id)
            if leg is None or session.only_call not in {None, call.id}:
                continue
            removed = leg.state is LegState.REMOVED
            watch = session.watches[call.id] = Watch(call.seq + 1, call.version, removed)
            self._remember(Turn(Told(call, (), 0), call.version))
            rings += [(call, leg, ring) for ring in self.alerts.begin(session, call, leg, watch)]
        return rings

    def release(self, session: Session) -> None:
        """The welcome has been said: tell what was held back."""
        held, session.held = session.held, None
        for turn in held or ():
            unknown = turn.call.id not in session.watches
            leg = turn.call.leg(session.connection.user_id)
            if unknown and leg and turn.call.ended and turn.first > leg.first_seq:
                continue  # the tail of a call that was over when the session began to stand
            self._hear(turn)

    def behind(self, call_id: str, version: int = 0, seq: int = 0) -> int | None:
        """The `seq` after which a call must be read, because a listener has a gap or the call has come further.

        `None` when everybody here has heard everything.
        """
        live = self._lives.get(call_id)
        if live is None:
            return 0
        lowest = live.call.seq + 1
        for session, leg in self._listeners(live.call):
            watch = session.watches.get(call_id) or Watch(leg.first_seq)
            if session.held is None and not (watch.removed and leg.state is LegState.REMOVED):
                lowest = min(lowest, watch.next)
        further = version > live.version or seq > live.call.seq
        return lowest - 1 if further or lowest <= live.call.seq else None

    def ringing(self) -> list[UUID]:
        """Calls for which somebody here is alerted, or waits for a media worker.

        Their version is worth a look, even when nothing was told.
        """
        sessions = self._connections.values()
        rung = {call_id for session in sessions for call_id in session.rings.values()}
        waits = {call_id for session in sessions for call_id in session.active if self._wants_worker(call_id)}
        return [UUID(call_id) for call_id in rung | waits]

    def _wants_worker(self, call_id: str) -> bool:
        live = self._lives.get(call_id)
        return live is not None and live.call.room is not None and live.call.room.host is None

    def sweep(self) -> None:
        """Forget calls that ended before the last sweep. Until then late echoes of them are still recognised."""
        old, new = self._ended
        self._ended = (new, set())
        for call_id in old:
            if self.behind(call_id) is not None:
                new.add(call_id)
            elif live := self._lives.pop(call_id, None):
                for session, _leg in self._listeners(live.call):
                    session.watches.pop(call_id, None)

    def _hear(self, turn: Turn) -> None:
        """Tell a turn to everybody here whom it concerns."""
        if not self._remember(turn):
            return
        call_id = turn.call.id
        live = self._lives[call_id]
        if not self._offer(turn):
            if len(live.ahead) < MOST_AHEAD:
                live.ahead.append(turn)
            self.wanted.add(UUID(call_id))
        elif live.ahead:
            live.ahead.sort(key=lambda waiting: waiting.first)
            live.ahead = [waiting for waiting in live.ahead if not self._offer(waiting)]

    def _remember(self, turn: Turn) -> bool:
        """Keep the newest state of the call while somebody here has a part in it."""
        call = turn.call
        live = self._lives.get(call.id)
        if live is None:
            if next(self._listeners(call), None) is None:
                return False
            self._lives[call.id] = Live(call, turn.version)
        elif turn.version > live.version:
            live.call, live.version = call, turn.version
        if call.ended:
            self._ended[1].add(call.id)
        return True

    def _listeners(self, call: Call) -> Iterator[tuple[Session, Leg]]:
        for leg in call.legs:
            for session in self._sessions.get((call.app_id, leg.user_id), ()):
                if not session.closed and session.only_call in {None, call.id}:
                    yield session, leg

    def _offer(self, turn: Turn) -> bool:
        """Tell it to each listener for whom it is next; false when one of them has a gap before it."""
        complete = True
        for session, leg in list(self._listeners(turn.call)):
            if session.held is not None:
                session.held.append(turn)
                continue
            try:
                complete = self._tell(session, leg, turn) and complete
            except Exception:  # noqa: BLE001 - the turn is committed: the others must hear it, whatever is wrong here
                logger("live").exception("a session failed", call_id=turn.call.id)
                session.close(BROKEN, "internal error; connect again with resume_after")
        return complete

    def _tell(self, session: Session, leg: Leg, turn: Turn) -> bool:
        call_id = turn.call.id
        watch = session.watches.get(call_id)
        if watch is None:
            watch = session.watches[call_id] = Watch(leg.first_seq)
        frames = b""
        if turn.version > watch.version:
            watch.version = turn.version
            frames = self.alerts.frames(session, turn.call, leg, watch)
        if watch.next <= turn.last:
            if turn.first > watch.next:
                if watch.removed and leg.state is LegState.REMOVED:
                    return True
                if frames:
                    session.send(frames)
                return False
            frames += self._events(leg, watch, turn)
        if frames:
            session.send(frames)
        return True

    @staticmethod
    def _events(leg: Leg, watch: Watch, turn: Turn) -> bytes:
        start, watch.next = watch.next, turn.last + 1
        if watch.removed and not turn.invites(leg.user_id):
            return b""
        watch.removed = turn.removes(leg.user_id)
        return turn.frames_for(leg.user_id, start)


def user_hash(app_id: str, user_id: str) -> int:
    """A short name for a user; two users may share one, which costs a look at the database and no more."""
    return crc32(f"{app_id}\0{user_id}".encode())
