"""Devices come and go: kept, told of, and heard of by the calls that they ring for."""

from datetime import datetime

from service.core.calls import SERVER, Actor
from service.core.commands import Device, DeviceRegistered, DeviceRemoved, UserCommand
from service.core.vocabulary import Provider
from service.store.claims import Registration
from service.store.database import Database
from service.store.devices import put_device, remove_device, remove_gone
from service.store.directory import engaged_in
from service.store.user_feed import tell_devices
from service.switchboard.board import Switchboard
from service.wire.devices import DeviceBody, DeviceView
from service.wire.user_feed import DEVICE_REGISTERED, DEVICE_REMOVED


async def register(
    database: Database,
    board: Switchboard,
    app_id: str,
    user_id: str,
    device_id: str,
    body: DeviceBody,
    actor: Actor,
) -> tuple[DeviceView, bool]:
    """Register a device, or replace its registration; true when it is new. Told only when something is different.

    One that can be woken is rung by the calls that ring its user: a token often changes just when the old one failed.

    Raises `TooManyDevicesError`. The user must exist.
    """
    async with database.begin() as connection:
        device, before = await put_device(connection, app_id, user_id, device_id, body)
        if before is None or _lasting(before) != _lasting(device):
            facts = {"device": device.model_dump(mode="json")}
            await tell_devices(connection, app_id, user_id, DEVICE_REGISTERED, facts, cause="register", by=actor)
    if body.push and body.push.provider != "none":
        found = Device(
            device_id, provider=Provider(body.push.provider), platform=body.platform, hardware_id=body.hardware_id
        )
        await _tell_calls(database, board, app_id, DeviceRegistered(actor, user_id, device_id, device=found))
    return device, before is None


async def unregister(
    database: Database, board: Switchboard, app_id: str, user_id: str, device_id: str, actor: Actor
) -> bool:
    """Forget a device; if it rings it stops, the user's others go on (scenario 57). False: it was not registered.

    The calls hear of it while it is known where to send the stop, and once more for those that began meanwhile.
    Whoever was interrupted does it again: the calls hear of it in any case.
    """
    gone = DeviceRemoved(actor, user_id, device_id)
    await _tell_calls(database, board, app_id, gone)
    async with database.begin() as connection:
        device = await remove_device(connection, app_id, user_id, device_id)
        if device is not None:
            facts = {"device": device.model_dump(mode="json")}
            await tell_devices(connection, app_id, user_id, DEVICE_REMOVED, facts, cause="unregister", by=actor)
    await _tell_calls(database, board, app_id, gone)
    return device is not None


async def forget_gone(
    database: Database, app_id: str, user_id: str, device_id: str, found: Registration, since: datetime | None
) -> bool:
    """A provider says that the device's registration is gone: forget it, and tell. False: it stays, being newer.

    Calls need not hear of it: the ring has failed, or is told by a socket (scenario 15).
    """
    async with database.begin() as connection:
        device = await remove_gone(connection, app_id, user_id, device_id, found, since)
        if device is not None:
            facts = {"device": device.model_dump(mode="json"), "reason": "gone"}
            await tell_devices(connection, app_id, user_id, DEVICE_REMOVED, facts, cause="gone", by=SERVER)
    return device is not None


async def _tell_calls(database: Database, board: Switchboard, app_id: str, command: UserCommand) -> None:
    """Tell it to the calls that the user is engaged in."""
    async with database.hot() as driver:
        calls = await engaged_in(driver, app_id, command.user_id)
    for call_id in calls:
        await board.do(app_id, call_id, command)


def _lasting(device: DeviceView) -> dict[str, object]:
    """What is worth telling when it differs: everything but times."""
    return device.model_dump(exclude={"created_at", "updated_at", "last_seen_at"})
