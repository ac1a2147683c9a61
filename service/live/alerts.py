"""Which alerts a session's device has been told of: compared with the call each time, so nothing is told twice.

Each alert that was told gets one stop when it ends; one that is silenced before gets `silenced` first.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from service.core.calls import Call, Leg, Ring
from service.core.vocabulary import SOUNDING_RING, UNTOLD_RING, RingState, Topology
from service.live.framing import json_frame, replaced, ring_body, ring_stop
from service.live.session import Session, Watch


class Alerts:
    """Rings, stops and moves to another device, as frames."""

    def __init__(self, clock: Callable[[], datetime], ring_token: Callable[[Call, Leg, Ring], str | None]) -> None:
        self._clock = clock
        self._ring_token = ring_token

    def begin(self, session: Session, call: Call, leg: Leg, watch: Watch) -> list[Ring]:
        """The open alerts of the session's device; from now on they have been told."""
        if call.topology is Topology.ROUTED and leg.joined and leg.device_id == session.connection.device_id:
            watch.carried = 0 if leg.moved_at else 1  # whoever was away may not have heard of a later one
        self._carriers(session, call, leg, watch)
        device_id = session.connection.device_id
        if leg.joined and leg.device_id == device_id:
            session.active.add(call.id)
        own = self._own(session, leg)
        rings = [ring for ring in own if self._rings(leg, ring)]
        for ring in rings:
            session.rings[ring.id] = call.id
        for ring in own:
            if ring.state is RingState.SILENCED:
                session.rings[ring.id] = call.id
                session.silenced.add(ring.id)
        return rings

    def body(self, call: Call, leg: Leg, ring: Ring) -> dict[str, Any]:
        """The `ring` object with its action token."""
        return ring_body(call, leg, ring, self._clock(), self._ring_token(call, leg, ring))

    def frames(self, session: Session, call: Call, leg: Leg, watch: Watch) -> bytes:
        """What the device must be told of now."""
        device_id = session.connection.device_id
        frames = []
        for ring in self._own(session, leg):
            if self._rings(leg, ring):
                if ring.id not in session.rings:
                    session.rings[ring.id] = call.id
                    frames.append({"type": "ring", "ring": self.body(call, leg, ring)})
            elif ring.id in session.rings:
                frames += self._stops(session, call, ring)
        if leg.joined and leg.device_id == device_id:
            session.active.add(call.id)
        elif call.id in session.active:
            session.active.remove(call.id)
            if leg.joined:
                frames.append(replaced(call, leg.device_id))
        self._carriers(session, call, leg, watch)
        if leg.pending and watch.asked != leg.attempt and call.rings(leg):
            self._ask(session, call, leg, watch)
        return b"".join(map(json_frame, frames))

    @staticmethod
    def _own(session: Session, leg: Leg) -> list[Ring]:
        """The rings of the session's device. A guest has none, whatever device it says that it is (T-03)."""
        if session.connection.guest:
            return []
        return [ring for ring in leg.rings if ring.device_id == session.connection.device_id]

    @staticmethod
    def _stops(session: Session, call: Call, ring: Ring) -> list[dict[str, Any]]:
        """Silence stops the noise at once; what still shows the call is stopped when the alert really ends."""
        if ring.state is not RingState.SILENCED:
            del session.rings[ring.id]
            session.silenced.discard(ring.id)
        elif ring.id in session.silenced:
            return []
        else:
            session.silenced.add(ring.id)
        return [ring_stop(call, ring)]

    @staticmethod
    def _carriers(session: Session, call: Call, leg: Leg, watch: Watch) -> None:
        """Another worker than before carries the media, or one does for the first time: the device offers to it."""
        if not leg.joined or leg.device_id != session.connection.device_id:
            watch.carried = None
            return
        if call.topology is Topology.RELAYED:
            watch.carried = 0
            return
        room = call.room
        if watch.carried is None:
            watch.carried = room.epoch if room else 1
        if room and room.host and room.epoch > watch.carried:
            watch.carried = room.epoch
            session.restart_me(call.id, room.epoch)

    @staticmethod
    def _rings(leg: Leg, ring: Ring) -> bool:
        return leg.pending and ring.attempt == leg.attempt and ring.state in SOUNDING_RING

    @staticmethod
    def _ask(session: Session, call: Call, leg: Leg, watch: Watch) -> None:
        """The device came online while the call was being dialled, so the dial knew nothing of it (scenario 18)."""
        if session.connection.guest:
            return
        ring = leg.ring_of(session.connection.device_id)
        if ring is None or ring.state in UNTOLD_RING:
            watch.asked = leg.attempt
            session.ring_me(call.id)
