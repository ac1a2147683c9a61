"""Registered devices and what wakes them. Push credentials go in here and are not told again."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.claims import Registration
from service.store.tables import absences, devices, users
from service.wire.devices import DeviceBody, DeviceView, push_view

NOW = func.clock_timestamp()
MOST_DEVICES = 50
"""Devices of one user; each is a ring to send."""
TOLD = (
    devices.c.id.label("device_id"),
    *(column for column in devices.c if column.name in DeviceView.model_fields),
)


class TooManyDevicesError(Exception):
    """The user has :data:`MOST_DEVICES` registered already."""


def _of(app_id: str, user_id: str) -> ColumnElement[bool]:
    return and_(devices.c.app_id == app_id, devices.c.user_id == user_id)


async def put_device(
    connection: AsyncConnection, app_id: str, user_id: str, device_id: str, body: DeviceBody
) -> tuple[DeviceView, DeviceView | None]:
    """Register a device, or replace its registration; answers it as it is now and as it was before, if it was.

    Raises :class:`TooManyDevicesError`. The user must exist.
    """
    # One registration at a time for each user, so that the limit holds.
    await connection.execute(
        select(users.c.id).where(users.c.app_id == app_id, users.c.id == user_id).with_for_update(),
    )
    before = await get_device(connection, app_id, user_id, device_id)
    if before is None:
        count = await connection.scalar(select(func.count()).select_from(devices).where(_of(app_id, user_id)))
        if (count or 0) >= MOST_DEVICES:
            raise TooManyDevicesError
    said = {
        "platform": body.platform.value,
        "push": body.push.kept() if body.push else None,
        "hardware_id": body.hardware_id,
        "app_version": body.app_version,
        "updated_at": NOW,
    }
    written = await connection.execute(
        insert(devices)
        .values(app_id=app_id, user_id=user_id, id=device_id, **said)
        .on_conflict_do_update(index_elements=list(devices.primary_key), set_=said)
        .returning(*TOLD),
    )
    return _view(written.one()), before


async def get_device(connection: AsyncConnection, app_id: str, user_id: str, device_id: str) -> DeviceView | None:
    """The user's device of that id; `None` when it is not registered."""
    rows = await connection.execute(select(*TOLD).where(_of(app_id, user_id), devices.c.id == device_id))
    row = rows.one_or_none()
    return None if row is None else _view(row)


async def list_devices(
    connection: AsyncConnection,
    app_id: str,
    user_id: str,
    after: str | None,
    limit: int,
) -> list[DeviceView]:
    """The user's devices in the order of their ids, behind `after`."""
    query = select(*TOLD).where(_of(app_id, user_id))
    if after is not None:
        query = query.where(devices.c.id > after)
    return [_view(row) for row in await connection.execute(query.order_by(devices.c.id).limit(limit))]


async def remove_device(connection: AsyncConnection, app_id: str, user_id: str, device_id: str) -> DeviceView | None:
    """Forget a registration; answers it as it was, `None` when there was none. What has just gone is gone at once."""
    await connection.execute(
        delete(absences).where(
            absences.c.app_id == app_id, absences.c.user_id == user_id, absences.c.device_id == device_id
        ),
    )
    done = await connection.execute(
        delete(devices).where(_of(app_id, user_id), devices.c.id == device_id).returning(*TOLD),
    )
    row = done.one_or_none()
    return None if row is None else _view(row)


async def remove_gone(
    connection: AsyncConnection, app_id: str, user_id: str, device_id: str, found: Registration, since: datetime | None
) -> DeviceView | None:
    """Forget a registration that its provider calls gone, unless it was made anew: `None` then.

    `since` is when the provider saw it go, where it says so; a registration newer than that stays (scenario 15).
    """
    if since is not None and found.updated_at > since:
        return None
    done = await connection.execute(
        delete(devices)
        .where(_of(app_id, user_id), devices.c.id == device_id, devices.c.updated_at == found.updated_at)
        .returning(*TOLD),
    )
    row = done.one_or_none()
    return None if row is None else _view(row)


def _view(row: Row[Any]) -> DeviceView:
    return DeviceView.model_validate({**row._mapping, "push": push_view(row.push)})  # noqa: SLF001 - SQLAlchemy's public name
