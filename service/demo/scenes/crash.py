"""The service is killed while it rings. Nothing acknowledged is lost, and nobody stays busy."""

import asyncio

from service.demo.stage import Stage, standing

RING_S = 5
DOWN_AFTER_DEADLINE_S = 1.0


async def play(stage: Stage) -> None:
    """Kill it, let the deadline pass, start it again."""
    tell, cast, server = stage.tell, stage.cast, stage.server
    tell.scene("The service is killed while it rings")
    call = (await cast.ana.socket.call(["ben"], ring_timeout_s=RING_S)).call
    began = tell.seconds
    await asyncio.gather(cast.ben_phone.ring(call.id), cast.ben_tablet.ring(call.id))
    await server.kill()
    tell.say(f"Ana calls Ben, it rings for at most {RING_S} s; kill -9 in the middle. Everybody is cut off.")
    await asyncio.sleep(began + RING_S + DOWN_AFTER_DEADLINE_S - tell.seconds)
    tell.say("The ring's deadline passes while there is no service.")
    before = tell.seconds
    await server.start()
    tell.say(f"The service is started again; ready after {tell.seconds - before:.1f} s. The devices come back.")
    heard = await cast.ana.event(call.id, "call.ended", within_s=40)
    due = heard.call.ended_at
    tell.fact(
        f"The call is settled: {standing(heard.call)}, as of the moment it was due, and it says so: "
        f"late_by_ms {heard.late_by_ms}.",
        standing(heard.call) == "ended(no_answer)"
        and heard.late_by_ms >= DOWN_AFTER_DEADLINE_S * 1000 * 0.9
        and due is not None
        and (due - heard.call.created_at).total_seconds() == RING_S,
        f"{standing(heard.call)}, {heard.late_by_ms}",
    )
    await asyncio.gather(cast.ben_phone.ring_stop(call.id), cast.ben_tablet.ring_stop(call.id))
    engaged = await stage.engaged("ana", "ben")
    tell.fact("Ben's devices have stopped ringing; nobody is busy.", not engaged, engaged)
    again = (await cast.ana.socket.call(["ben"])).call
    await cast.ben_phone.ring(again.id)
    await cast.ana.socket.cancel(again.id)
    heard = await cast.ana.event(again.id, "call.ended")
    tell.fact(
        f"Ana calls again and Ben rings again; she thinks better of it: {standing(heard.call)}.",
        standing(heard.call) == "ended(canceled)",
        standing(heard.call),
    )
