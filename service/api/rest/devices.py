"""Devices: where a user can be rung, and how they are woken."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from service.api.calling import allowed
from service.api.declared import refusals
from service.api.door import Ask, Door
from service.api.errors import RefusedError
from service.api.pages import one, page
from service.api.replies import nothing
from service.api.rest.users import no_such_user
from service.api.urls import check_receiver
from service.core.refusals import Code
from service.core.rights import may_change_user, may_read_user
from service.store import devices as store
from service.store.directory import ensure_users
from service.store.users import get_user
from service.switchboard.devices import register, unregister
from service.wire.devices import DeviceBody, DeviceView
from service.wire.shapes import Page, PageQuery
from service.wire.texts import DeviceId, UserId

routes = APIRouter(route_class=Door, tags=["devices"])


def no_such_device() -> RefusedError:
    """404 for a device that is not registered."""
    return RefusedError(Code.NOT_FOUND, "the user has no such device")


async def need_user(ask: Ask, user_id: str) -> None:
    """The user comes into being where the app lets users do so. Raises `RefusedError` (`not_found`) elsewhere."""
    if ask.settings.auto_create_users:
        async with ask.deps.database.hot() as driver:
            await ensure_users(driver, ask.app_id, [user_id])
        return
    async with ask.deps.database.begin() as connection:
        if await get_user(connection, ask.app_id, user_id) is None:
            raise no_such_user()


@routes.put(
    "/v1/users/{user_id}/devices/{device_id}",
    summary="Register a device, or replace its registration",
    response_model=DeviceView,
    responses=refusals(Code.NOT_FOUND, Code.CAPACITY_EXCEEDED, also=(201, DeviceView, "The device is new.")),
)
async def put_device(ask: Ask, user_id: UserId, device_id: DeviceId, body: DeviceBody) -> Response:
    """The body is the whole registration: what it leaves out goes back to its default.

    A push token or subscription is never shown again. A user has at most 50 devices (409 `capacity_exceeded`).
    """
    allowed(may_change_user(ask.principal, user_id))
    if body.push and body.push.subscription:
        check_receiver(ask.deps, body.push.subscription.endpoint, "push.subscription.endpoint")
    await need_user(ask, user_id)
    try:
        device, created = await register(
            ask.deps.database, ask.deps.switchboard, ask.app_id, user_id, device_id, body, ask.principal.actor
        )
    except store.TooManyDevicesError:
        limit = f"a user has at most {store.MOST_DEVICES} devices; delete one first"
        raise RefusedError(Code.CAPACITY_EXCEEDED, limit) from None
    ask.deps.moved(ask.app_id, user_id)
    ask.deps.owed()
    return one(device, 201 if created else 200)


@routes.get(
    "/v1/users/{user_id}/devices",
    summary="List a user's devices",
    response_model=Page[DeviceView],
)
async def list_devices(ask: Ask, user_id: UserId, query: Annotated[PageQuery, Query()]) -> Response:
    """In the order of their ids. Empty for a user without devices, and for one that is not known."""
    allowed(may_read_user(ask.principal, user_id))
    async with ask.deps.database.begin() as connection:
        devices = await store.list_devices(connection, ask.app_id, user_id, query.cursor, query.limit + 1)
    return page(devices, query.limit, lambda device: device.device_id)


@routes.get(
    "/v1/users/{user_id}/devices/{device_id}",
    summary="Read a device",
    response_model=DeviceView,
    responses=refusals(Code.NOT_FOUND),
)
async def get_device(ask: Ask, user_id: UserId, device_id: DeviceId) -> Response:
    """Without the secrets of its push registration."""
    allowed(may_read_user(ask.principal, user_id))
    async with ask.deps.database.begin() as connection:
        device = await store.get_device(connection, ask.app_id, user_id, device_id)
    if device is None:
        raise no_such_device()
    return one(device)


@routes.delete(
    "/v1/users/{user_id}/devices/{device_id}",
    summary="Unregister a device",
    status_code=204,
    response_model=None,
    responses=refusals(Code.NOT_FOUND),
)
async def delete_device(ask: Ask, user_id: UserId, device_id: DeviceId) -> Response:
    """If it rings it stops; the user's other devices go on (scenario 57)."""
    allowed(may_change_user(ask.principal, user_id))
    deps, actor = ask.deps, ask.principal.actor
    if not await unregister(deps.database, deps.switchboard, ask.app_id, user_id, device_id, actor):
        raise no_such_device()
    deps.moved(ask.app_id, user_id)
    deps.owed()
    return nothing()
