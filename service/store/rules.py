"""Rules as the apps keep them. What comes of an event is in `ruled.py`."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import apps, rules
from service.wire.event_types import like_patterns
from service.wire.feed import new_id
from service.wire.rules import RuleBody, RuleView

NOW = func.clock_timestamp()
MOST_RULES = 100
"""Rules of one app."""


class TooManyRulesError(Exception):
    """The app has :data:`MOST_RULES` rules already."""


def _of(app_id: str, rule_id: UUID) -> ColumnElement[bool]:
    return and_(rules.c.app_id == app_id, rules.c.id == rule_id)


async def create_rule(connection: AsyncConnection, app_id: str, body: RuleBody) -> RuleView:
    """Keep a new rule. Raises :class:`TooManyRulesError`; of many at once none slips through."""
    await connection.execute(select(apps.c.id).where(apps.c.id == app_id).with_for_update(key_share=True))
    count = await connection.scalar(select(func.count()).select_from(rules).where(rules.c.app_id == app_id))
    if (count or 0) >= MOST_RULES:
        raise TooManyRulesError
    made = await connection.execute(
        insert(rules).values(id=new_id(), app_id=app_id, **_columns(body)).returning(rules),
    )
    return _view(made.one())


async def get_rule(
    connection: AsyncConnection, app_id: str, rule_id: UUID, *, to_change: bool = False
) -> RuleBody | None:
    """The app's rule of that id; `None` when there is none. `to_change`: nobody else changes it meanwhile."""
    query = select(rules).where(_of(app_id, rule_id))
    row = (await connection.execute(query.with_for_update() if to_change else query)).one_or_none()
    return None if row is None else rule_body(row.name, row.enabled, row.body)


async def view_rule(connection: AsyncConnection, app_id: str, rule_id: UUID) -> RuleView | None:
    """The same as it is told."""
    row = (await connection.execute(select(rules).where(_of(app_id, rule_id)))).one_or_none()
    return None if row is None else _view(row)


async def list_rules(connection: AsyncConnection, app_id: str, before: UUID | None, limit: int) -> list[RuleView]:
    """The app's rules, newest first, older than `before`."""
    query = select(rules).where(rules.c.app_id == app_id)
    if before is not None:
        query = query.where(rules.c.id < before)
    rows = await connection.execute(query.order_by(rules.c.id.desc()).limit(limit))
    return [_view(row) for row in rows]


async def put_rule(connection: AsyncConnection, app_id: str, rule_id: UUID, body: RuleBody) -> RuleView:
    """Keep a rule in place of the one that is there."""
    done = await connection.execute(
        update(rules).where(_of(app_id, rule_id)).values(**_columns(body), updated_at=NOW).returning(rules),
    )
    return _view(done.one())


async def delete_rule(connection: AsyncConnection, app_id: str, rule_id: UUID) -> bool:
    """Forget a rule; what it has not told yet never will be. False: no such rule."""
    done = await connection.execute(delete(rules).where(_of(app_id, rule_id)))
    return done.rowcount > 0


def rule_body(name: str, enabled: bool, body: dict[str, Any]) -> RuleBody:  # noqa: FBT001 - two columns and the rest
    """A rule from its row."""
    return RuleBody.model_validate({**body, "name": name, "enabled": enabled})


def _columns(body: RuleBody) -> dict[str, Any]:
    kept = body.model_dump(mode="json", exclude={"name", "enabled"})
    return {"name": body.name, "enabled": body.enabled, "patterns": like_patterns(body.types), "body": kept}


def _view(row: Row[Any]) -> RuleView:
    kept = rule_body(row.name, row.enabled, row.body)
    return RuleView(
        id=str(row.id),
        created_at=row.created_at,
        updated_at=row.updated_at,
        types=list(kept.types),
        **{
            name: getattr(kept, name)
            for name in ("name", "users", "conditions", "receivers", "channel", "template", "enabled")
        },
    )
