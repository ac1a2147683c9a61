"""Nobody answers: the service hangs up by itself."""

from service.demo.stage import Stage, standing

RING_S = 5
MOST_LATE_MS = 2_000


async def play(stage: Stage) -> None:
    """Ring until the deadline."""
    tell, cast = stage.tell, stage.cast
    tell.scene("Cy calls Dee, and nobody answers")
    call = (await cast.cy.socket.call(["dee"], ring_timeout_s=RING_S)).call
    await cast.dee.ring(call.id)
    await cast.dee.socket.ack(call.id)
    tell.say(f"A ring lasts 60 s unless the app or the call says otherwise; this call says {RING_S} s.")
    heard = await cast.cy.event(call.id, "call.ended", within_s=RING_S + 20)
    lasted = (heard.call.ended_at - heard.call.created_at).total_seconds() if heard.call.ended_at else 0.0
    tell.fact(
        f"After {lasted:.3f} s the service gives up by itself: {standing(heard.call)}, {heard.late_by_ms} ms late.",
        standing(heard.call) == "ended(no_answer)" and lasted == RING_S and heard.late_by_ms <= MOST_LATE_MS,
        f"{standing(heard.call)}, {lasted} s, {heard.late_by_ms} ms late",
    )
    stop = await cast.dee.ring_stop(call.id)
    missed = await cast.dee.event(call.id, "call.missed")
    tell.fact(
        f"Dee's browser stops ringing ({stop.stop_reason}) and shows a missed call.",
        stop.stop_reason == "timed_out" and missed.user_id == "dee",
        stop.stop_reason,
    )
