"""Whose presence is heard by which sockets of this process: everybody's own, and those that were asked for.

A change goes to a socket at most once, the newest truth last; what comes late, by another way, is dropped. Frames have
no cursor: nobody resumes behind a presence, a client that comes back asks for the present.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from service.live.framing import text_frame
from service.live.session import Session
from service.telemetry.logs import logger
from service.wire.redaction import without_company
from service.wire.user_feed import stream_of


@dataclass(slots=True, frozen=True)
class Sighting:
    """A `presence.changed` on its way to sockets; `visible_to`: who may see with whom the user is busy."""

    stream: UUID
    seq: int
    text: str
    visible_to: str


@dataclass(slots=True)
class Subject:
    """A user whose presence somebody here hears of, up to `heard`, the number of the last event."""

    user_id: str
    heard: int = 0
    sessions: dict[Session, None] = field(default_factory=dict)


class Watchers:
    """The sockets of this process by the users they hear of. Nothing here waits or does I/O."""

    def __init__(self) -> None:
        self._subjects: dict[UUID, Subject] = {}
        self._early: dict[Session, list[bytes]] = {}

    def come(self, session: Session) -> None:
        """A socket hears of its own user; not a guest's, nor one for a single call. All waits for the welcome."""
        connection = session.connection
        if not connection.guest and session.only_call is None and not session.closed:
            self._early[session] = []
            self._add(session, stream_of(connection.app_id, connection.user_id), connection.user_id)

    def release(self, session: Session) -> None:
        """The welcome has been said: tell what was held back."""
        for frames in self._early.pop(session, ()):
            session.send(frames)

    def watch(self, session: Session, user_ids: Iterable[str], most: int) -> bool:
        """Let a socket hear of these users, too; false when it would be more than `most`: then of none of them.

        One that is gone hears of nobody: what it asked for may come after it has left, and nobody would let it go.
        """
        if session.closed:
            return True
        own, app_id = session.connection.user_id, session.connection.app_id
        wanted = {stream_of(app_id, user_id): user_id for user_id in user_ids}
        if len(session.sees | {stream for stream, user_id in wanted.items() if user_id != own}) > most:
            return False
        for stream, user_id in wanted.items():
            self._add(session, stream, user_id)
            if user_id != own:
                session.sees.add(stream)
        return True

    def unwatch(self, session: Session, user_ids: Iterable[str] | None = None) -> None:
        """Let a socket hear no more of these users, or of all but its own."""
        app_id = session.connection.app_id
        asked = session.sees if user_ids is None else {stream_of(app_id, user_id) for user_id in user_ids}
        for stream in session.sees & asked:
            self._remove(session, stream)
        session.sees -= asked

    def leave(self, session: Session) -> None:
        """The socket is gone; leaving twice is fine."""
        self._early.pop(session, None)
        self.unwatch(session)
        self._remove(session, stream_of(session.connection.app_id, session.connection.user_id))

    def concerned(self, stream: UUID, seq: int) -> bool:
        """Whether somebody here hears of that user, and not that much yet."""
        subject = self._subjects.get(stream)
        return subject is not None and subject.heard < seq

    def tell(self, batch: Iterable[Sighting]) -> None:
        """Tell everybody here who hears of these users, unless they have heard as much.

        What one socket hears of goes out in one write: every write is a system call.
        """
        frames: dict[Session, list[bytes]] = {}
        for seen in batch:
            if self.concerned(seen.stream, seen.seq):
                self._collect(seen, frames)
        for session, some in frames.items():
            try:
                self._send(session, b"".join(some))
            except Exception:  # noqa: BLE001 - the others must hear it, whatever is wrong with this one
                logger("live").exception("a session failed", connection_id=str(session.connection.id))

    def _collect(self, seen: Sighting, frames: dict[Session, list[bytes]]) -> None:
        subject = self._subjects[seen.stream]
        subject.heard = seen.seq
        whole, discreet = _frame(seen.text), None
        for session in subject.sessions:
            if seen.visible_to == "users" or session.connection.user_id == subject.user_id:
                frames.setdefault(session, []).append(whole)
            else:
                discreet = discreet or _frame(without_company(seen.text))
                frames.setdefault(session, []).append(discreet)

    def _send(self, session: Session, frames: bytes) -> None:
        early = self._early.get(session)
        if early is None:
            session.send(frames)
        else:
            early.append(frames)

    def _add(self, session: Session, stream: UUID, user_id: str) -> None:
        self._subjects.setdefault(stream, Subject(user_id)).sessions[session] = None

    def _remove(self, session: Session, stream: UUID) -> None:
        if subject := self._subjects.get(stream):
            subject.sessions.pop(session, None)
            if not subject.sessions:
                del self._subjects[stream]


def _frame(text: str) -> bytes:
    return text_frame(b'{"type":"event","event":' + text.encode() + b"}")
