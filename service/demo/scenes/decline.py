"""Ben does not want to talk now, and says why."""

import asyncio

from service.demo.stage import Stage, standing

MESSAGE = "In a meeting, I will call back"


async def play(stage: Stage) -> None:
    """A ring that is refused on one device, with a reason and a quick reply."""
    tell, cast = stage.tell, stage.cast
    tell.scene("Ana calls Ben again, and he declines")
    call = (await cast.ana.socket.call(["ben"], call_type="audio_only")).call
    await asyncio.gather(cast.ben_phone.ring(call.id), cast.ben_tablet.ring(call.id))
    await cast.ben_phone.socket.decline(call.id, reason="do_not_disturb", message=MESSAGE)
    stop = await cast.ben_tablet.ring_stop(call.id)
    tell.fact(
        f"He declines on the phone; the tablet stops at once: {stop.stop_reason}.",
        stop.stop_reason == "declined_elsewhere",
        stop.stop_reason,
    )
    heard = await cast.ana.event(call.id, "call.ended")
    ben = heard.call.leg("ben")
    told = [event.type for event in cast.ana.events if event.call_id == call.id]
    tell.fact(
        f'Ana is told once, and why: {ben.decline_reason}, "{ben.message}". The call is {standing(heard.call)}.',
        (ben.decline_reason, ben.message, standing(heard.call)) == ("do_not_disturb", MESSAGE, "ended(declined)")
        and told.count("participant.declined") == told.count("call.ended") == 1,
        (standing(heard.call), told),
    )
