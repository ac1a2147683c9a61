"""Test users: what an integrator calls who has no phones."""

from service.demo.stage import Stage, standing

ROBOT = "test:answer@200ms:hangup@300ms"


async def play(stage: Stage) -> None:
    """A backend makes a call, and a test user behaves as its name says."""
    tell = stage.tell
    tell.scene("A backend tries it without phones (an app with sandbox: true)")
    created = (await stage.backend.call("cy", [ROBOT])).call
    tell.say(f"POST /v1/calls with the API key: Cy calls {ROBOT}.")
    heard = await stage.cast.cy.event(created.id, "call.ended")
    answered = heard.call.answered_at
    took = (answered - created.created_at).total_seconds() if answered else 0.0
    tell.fact(
        f"It answers after {took:.3f} s and hangs up: {standing(heard.call)}, by {ROBOT}.",
        standing(heard.call) == "ended(hangup)" and 0.2 <= took < 5,
        f"{standing(heard.call)}, {took} s",
    )
