"""People: who is known to an app. A deleted user leaves its id behind, so that the tokens it had stay revoked."""

from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import absences, devices, presence_sources, users
from service.wire.users import UserBody, UserView

NOW = func.clock_timestamp()
TOLD = (
    users.c.id.label("user_id"),
    *(column for column in users.c if column.name in UserView.model_fields),
)


def _is(app_id: str, user_id: str) -> ColumnElement[bool]:
    return and_(users.c.app_id == app_id, users.c.id == user_id, users.c.deleted_at.is_(None))


async def put_user(connection: AsyncConnection, app_id: str, user_id: str, body: UserBody) -> tuple[UserView, bool]:
    """Make the user, or change what the body says of it; true when it is new."""
    said = {**body.said(), "updated_at": NOW}
    change = update(users).where(_is(app_id, user_id)).values(**said).returning(*TOLD)
    if row := (await connection.execute(change)).one_or_none():
        return _view(row), False
    fresh = {**UserBody().model_dump(), **said, "created_at": NOW, "deleted_at": None, "last_seen_at": None}
    made = await connection.execute(
        insert(users)
        .values(app_id=app_id, id=user_id, **fresh)
        .on_conflict_do_update(
            index_elements=[users.c.app_id, users.c.id], set_=fresh, where=users.c.deleted_at.is_not(None)
        )
        .returning(*TOLD),
    )
    if row := made.one_or_none():
        return _view(row), True
    # Somebody else made the user between the two statements.
    return _view((await connection.execute(change)).one()), False


async def get_user(connection: AsyncConnection, app_id: str, user_id: str) -> UserView | None:
    """The user of that id; `None` for one that is not known."""
    row = (await connection.execute(select(*TOLD).where(_is(app_id, user_id)))).one_or_none()
    return None if row is None else _view(row)


async def list_users(connection: AsyncConnection, app_id: str, after: str | None, limit: int) -> list[UserView]:
    """Users in the order of their ids, behind `after`."""
    rows = await connection.execute(_page(select(*TOLD), app_id, after, limit))
    return [_view(row) for row in rows]


async def list_user_ids(connection: AsyncConnection, app_id: str, after: str | None, limit: int) -> list[str]:
    """The ids alone, as :func:`list_users`."""
    return list((await connection.execute(_page(select(users.c.id), app_id, after, limit))).scalars())


def _page(query: Any, app_id: str, after: str | None, limit: int) -> Any:
    query = query.where(users.c.app_id == app_id, users.c.deleted_at.is_(None))
    if after is not None:
        query = query.where(users.c.id > after)
    return query.order_by(users.c.id).limit(limit)


async def revoke_tokens(connection: AsyncConnection, app_id: str, user_id: str) -> bool:
    """Refuse every token of the user issued before this moment; false when there is no such user."""
    done = await connection.execute(update(users).where(_is(app_id, user_id)).values(tokens_valid_from=NOW))
    return done.rowcount > 0


async def forget_user(connection: AsyncConnection, app_id: str, user_id: str) -> bool:
    """Delete a user with devices and presence, and revoke its tokens (scenario 60); false when there is none."""
    nothing = UserBody().model_dump()
    done = await connection.execute(
        update(users)
        .where(_is(app_id, user_id))
        .values(**nothing, deleted_at=NOW, tokens_valid_from=NOW, last_seen_at=None, updated_at=NOW),
    )
    for table in (devices, presence_sources, absences):
        await connection.execute(delete(table).where(table.c.app_id == app_id, table.c.user_id == user_id))
    return done.rowcount > 0


def _view(row: Row[Any]) -> UserView:
    return UserView.model_validate(row)
