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
