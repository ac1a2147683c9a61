"""The welcome: how a device learns where everything stands, and hears what it missed."""

from typing import Any

from service.api.ws.deps import SocketDeps
from service.core.calls import Call
from service.core.vocabulary import RingState
from service.live.framing import json_frame
from service.live.replay import replay
from service.live.session import Session
from service.store.hearing import Cursor, Heard, Standing, resume, standing
from service.wire.canonical import rfc3339
from service.wire.snapshots import call_snapshot


async def welcome(deps: SocketDeps, session: Session, resume_after: str | None) -> None:
    """Let an entered session stand, and say so. Raises `StoreUnavailableError`."""
    connection = session.connection
    found = await _read(deps, session, resume_after)
    rings = deps.hub.open(session, found.heard)
    bodies = [deps.hub.alerts.body(*ring) for ring in rings]
    greeting: dict[str, Any] = {
        "type": "welcome",
        "session_id": str(connection.id),
        "user_id": connection.user_id,
        "server_time": rfc3339(found.now),
        "heartbeat_s": deps.config.heartbeat_s,
        "calls": [call_snapshot(call) for call in _calls(session, found.heard)],
        "rings": bodies,
    }
    if resume_after is not None:
        greeting["resumed"] = found.resumed
    session.send(json_frame(greeting))
    # An alert that the device has not acknowledged is told as any other is; the list above is how things stand.
    alerts = [
        json_frame({"type": "ring", "ring": body})
        for (_call, _leg, ring), body in zip(rings, bodies, strict=True)
        if ring.state is not RingState.ALERTING
    ]
    missed = replay(found.heard, connection.user_id, session.only_call)
    if frames := b"".join(alerts) + missed:
        session.send(frames)
    deps.hub.release(session)


async def _read(deps: SocketDeps, session: Session, resume_after: str | None) -> Standing:
    connection = session.connection
    async with deps.api.database.hot() as driver:
        if resume_after is None:
            return await standing(driver, connection.app_id, connection.user_id)
        return await resume(driver, connection.app_id, connection.user_id, Cursor.parse(resume_after))


def _calls(session: Session, heard: list[Heard]) -> list[Call]:
    """The calls that the user has a live part in."""
    found = []
    for call in (each.call for each in heard):
        leg = call.leg(session.connection.user_id)
        if leg and leg.live and not call.ended and session.only_call in {None, call.id}:
            found.append(call)
    return found
