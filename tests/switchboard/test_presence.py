from service.core.presence import Activity, State
from service.core.vocabulary import CallState
from service.store.users import put_user
from service.switchboard.presence import look
from service.wire.users import UserBody
from tests.switchboard.desk import APP, Desk


async def seen(desk, *names):
    told = await look(desk.database, desk.board, APP, desk.settings, list(names))
    return {presence.user_id: (presence.state, presence.activity) for presence in told}


async def test_presence_follows_a_call_and_only_known_users_have_one(desk):
    async with desk.database.begin() as connection:
        await put_user(connection, APP, "carl", UserBody())
    await desk.online("anna")
    await desk.online("ben")
    call = (await desk.dial("anna", "ben")).call
    await desk.ack(call.id, "ben")
    assert await seen(desk, "anna", "ben", "carl", "nobody") == {
        "anna": (State.BUSY, Activity.DIALING),
        "ben": (State.ONLINE, Activity.RINGING),
        "carl": (State.OFFLINE, Activity.IDLE),
    }
    await desk.hang_up(call.id, "anna")
    assert await seen(desk, "anna", "ben") == dict.fromkeys(["anna", "ben"], (State.ONLINE, Activity.IDLE))


async def test_nobody_is_busy_in_a_call_that_is_overdue(desk):
    await desk.online("anna")
    await desk.online("ben")
    call = (await desk.dial("anna", "ben")).call
    await desk.make_overdue(call.id, 600)
    assert await seen(desk, "anna", "ben") == dict.fromkeys(["anna", "ben"], (State.ONLINE, Activity.IDLE))
    assert desk.told[-1].call.state is CallState.ENDED


async def test_an_app_may_call_a_ringing_user_busy(database):
    desk = await Desk(database, busy_while_ringing=True).open()
    await desk.online("anna")
    await desk.online("ben")
    call = (await desk.dial("anna", "ben")).call
    await desk.ack(call.id, "ben")
    assert (await seen(desk, "ben"))["ben"] == (State.BUSY, Activity.RINGING)


async def test_test_users_are_there_before_anybody_has_called_them(database):
    desk = await Desk(database, sandbox=True).open()
    names = ("test:answer@3s", "test:silent", "test:busy", "test:offline", "test:juggle", "anna")
    online, offline = (State.ONLINE, Activity.IDLE), (State.OFFLINE, Activity.IDLE)
    assert await seen(desk, *names) == {**dict.fromkeys(names[:3], online), "test:offline": offline}
    (robot,) = await look(desk.database, desk.board, APP, desk.settings, ["test:answer@3s"])
    (device,) = robot.devices
    assert (device.device_id, device.platform, device.state) == ("test-device", "web", "online")
    assert robot.reachable == "connected"
    assert robot.since == robot.last_seen_at == device.last_seen_at is not None
    await desk.online("anna")
    await desk.dial("anna", "test:answer@3s")
    assert (await seen(desk, *names))["test:answer@3s"] == (State.ONLINE, Activity.RINGING)


async def test_elsewhere_such_a_name_is_an_ordinary_user(desk):
    assert await seen(desk, "test:answer") == {}
