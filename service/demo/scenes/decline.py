"""Dee does not want to talk now, and says why."""

from service.demo.stage import Stage, standing

MESSAGE = "In a meeting, I'll call back."


async def play(stage: Stage) -> None:
    """A ring that is refused, with a reason and a quick reply."""
    tell, cast = stage.tell, stage.cast
    tell.scene("Ana calls Dee, who declines")
    call = (await cast.ana.socket.call(["dee"], call_type="audio_only")).call
    await cast.dee.ring(call.id)
    await cast.dee.socket.decline(call.id, reason="do_not_disturb", message=MESSAGE)
    heard = await cast.ana.event(call.id, "call.ended")
    dee = heard.call.leg("dee")
    tell.fact(
        f'Dee declines: {dee.decline_reason}, "{dee.message}". Ana is told; the call is {standing(heard.call)}.',
        (dee.decline_reason, dee.message, standing(heard.call)) == ("do_not_disturb", MESSAGE, "ended(declined)"),
        standing(heard.call),
    )
    told = [event.type for event in cast.ana.events if event.call_id == call.id]
    tell.fact("She is told once.", told.count("participant.declined") == 1 and told.count("call.ended") == 1, told)
