"""Telling of a user's devices: the event, its deliveries and what rules make of it, written with what it tells of."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, any_, func, insert, literal, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.calls import Actor
from service.store.lanes import RULE_FOR, RULE_LANE
from service.store.tables import alerts, deliveries, events, rules, users, webhooks
from service.wire.feed import Envelope
from service.wire.user_feed import Chain, user_envelope


async def tell_devices(
    connection: AsyncConnection,
    app_id: str,
    user_id: str,
    kind: str,
    facts: Mapping[str, Any],
    *,
    cause: str,
    by: Actor,
) -> None:
    """Tell the next event of a user's devices, in the transaction that makes it true. The user must exist."""
    this = (users.c.app_id == app_id, users.c.id == user_id)
    now = func.clock_timestamp()
    found = await connection.execute(
        select(users.c.devices_seq, users.c.devices_hash, now).where(*this).with_for_update()
    )
    envelope, after = user_envelope(app_id, user_id, Chain(*found.one()), kind, facts, cause=cause, by=by)
    await connection.execute(update(users).where(*this).values(devices_seq=after.seq, devices_hash=after.last_hash))
    await connection.execute(
        insert(events).values(
            stream=envelope.stream,
            seq=envelope.seq,
            event_id=envelope.event_id,
            app_id=app_id,
            type=kind,
            text=envelope.text,
        ),
    )
    wanted = select(webhooks.c.id, literal(envelope.stream), literal(envelope.seq)).where(
        webhooks.c.app_id == app_id, webhooks.c.enabled, literal(kind).like(any_(webhooks.c.patterns))
    )
    await connection.execute(insert(deliveries).from_select(["webhook_id", "stream", "seq"], wanted))
    await connection.execute(insert(alerts).from_select(SEED, _seeds(app_id, kind, envelope)))


SEED = ("id", "app_id", "kind", "user_id", "channel", "lane", "rule_id", "stream", "seq", "next_attempt_at", "until")


def _seeds(app_id: str, kind: str, envelope: Envelope) -> Select[Any]:
    """One row for each rule that may be meant (ruled.py)."""
    now = func.statement_timestamp()
    return select(
        func.gen_random_uuid(),
        literal(app_id),
        literal("rule"),
        literal(""),
        literal("rule"),
        literal_column(RULE_LANE).concat(literal(app_id)),
        rules.c.id,
        literal(envelope.stream),
        literal(envelope.seq),
        now,
        now + literal_column(RULE_FOR),
    ).where(rules.c.app_id == app_id, rules.c.enabled, literal(kind).like(any_(rules.c.patterns)))
