"""Eli's phone is connected to nothing: it is woken by push, acts with what the push brings, and the trace tells why."""

import asyncio
from pathlib import Path

from service.client import Call
from service.demo.google import ACCOUNT
from service.demo.sleeper import Sleeper
from service.demo.stage import Stage, standing

ELI, PHONE = "eli", "phone"
RING_S = 6
"""Long enough for the trace to say that the phone is off, and not that it had no time."""


async def play(stage: Stage) -> None:
    """Wake the phone, answer on it, then call it while it is off."""
    stage.tell.scene("Ana calls Eli, whose phone is asleep")
    phone = await _register(stage)
    await _told_why(stage, await _wake(stage, phone), "rang.svg")
    await _told_why_not(stage, await _off(stage, phone), "missed.svg")


async def _register(stage: Stage) -> Sleeper:
    tell, backend, google = stage.tell, stage.backend, stage.google
    known = await backend.push.put("fcm", {"service_account": google.account})
    tell.fact(
        "The backend uploads its Google service account (PUT /v1/push-credentials/fcm/production); from now on the "
        "service tells nothing of it but the name. (Google is a stand-in here, which checks keys and tokens.)",
        known.about["client_email"] == ACCOUNT and "private_key" not in known.about,
        known,
    )
    phone = Sleeper(google, "token-of-eli-s-phone")
    await backend.users.put(ELI, name="Eli")
    await backend.users.put_device(ELI, PHONE, "android", push={"provider": "fcm", "token": phone.device_token})
    (eli,) = await backend.presence.of(ELI)
    tell.fact(
        f"Eli's app has registered his phone. It is on no socket: he is {eli.state}, and can be reached by "
        f"{eli.reachable}.",
        (eli.state, eli.reachable) == ("offline", "push"),
        eli,
    )
    return phone


async def _wake(stage: Stage, phone: Sleeper) -> Call:
    tell, ana = stage.tell, stage.cast.ana
    began = tell.seconds
    call = (await ana.socket.call([ELI])).call
    push = await phone.woken(call.id)
    took = (tell.seconds - began) * 1000
    tell.fact(
        f"Ana calls. {took:.0f} ms later Google has the push: {push.payload['type']}, from "
        f"{push.payload['caller']['name']}, priority {push.priority}.",
        (push.payload["caller"]["name"], push.priority) == ("Ana", "HIGH"),
        push,
    )
    sent = await ana.event(call.id, "notification.sent")
    tell.fact(
        f"Ana's laptop hears that a push went out (notification.sent). Her call is still {sent.call.state}: that "
        "Google took the push does not mean that it rings.",
        sent.call.state == "dialing" and "call.ringing" not in {e.type for e in ana.events if e.call_id == call.id},
        sent.call.state,
    )
    await phone.post(push, "ack")
    heard = await ana.event(call.id, "call.ringing")
    tell.fact(
        "The phone wakes, shows the call, and says so by one POST, with the action token from the push and no login. "
        "Now Ana hears it ring (call.ringing).",
        heard.call.leg(ELI).state == "ringing",
        heard.call.leg(ELI),
    )
    answer = await phone.post(push, "answer")
    answered = await ana.event(call.id, "call.answered")
    tell.fact(
        "Eli answers in the same way, and gets what the phone needs for sound and picture.",
        answer["connection"]["call_id"] == call.id and answered.call.leg(ELI).device_id == PHONE,
        answer,
    )
    await ana.socket.hang_up(call.id)
    over = await ana.event(call.id, "call.ended")
    tell.fact(f"Ana hangs up: {standing(over.call)}.", standing(over.call) == "ended(hangup)", standing(over.call))
    return call


async def _off(stage: Stage, phone: Sleeper) -> Call:
    tell, ana = stage.tell, stage.cast.ana
    call = (await ana.socket.call([ELI], ring_timeout_s=RING_S)).call
    push = await phone.woken(call.id)
    tell.say(
        f"Ana calls again. The phone is off now: Google takes the push, nobody acknowledges it, and after {RING_S} s …"
    )
    over = await ana.event(call.id, "call.ended", within_s=RING_S + 20)
    missed = await phone.woken(call.id, "call.missed")
    tell.fact(
        f"… the call is {standing(over.call)}. The ring is not kept for the phone, but that it missed a call is "
        f"(call.missed): Google has {missed.keep_s / 3600:.0f} hours to tell it.",
        standing(over.call) == "ended(no_answer)" and push.keep_s <= RING_S and missed.keep_s > 23 * 3600,
        f"{standing(over.call)}, {push.keep_s} s, {missed.keep_s} s",
    )
    return call


async def _told_why(stage: Stage, call: Call, name: str) -> None:
    told = await _trace(stage, call)
    stage.tell.fact(f'Why did it ring? GET /v1/calls/…/trace says: "{told}".', told.startswith("woken by FCM, rang"))
    await _draw(stage, call, name)


async def _told_why_not(stage: Stage, call: Call, name: str) -> None:
    told = await _trace(stage, call)
    stage.tell.fact(
        f'Why did it not ring? The trace says: "{told}".',
        told.startswith("push accepted by FCM at") and told.endswith("phone probably off, or notifications disabled"),
    )
    await _draw(stage, call, name)


async def _trace(stage: Stage, call: Call) -> str:
    """The sentence about the phone."""
    (device,) = (await stage.backend.calls.trace(call.id)).leg(ELI).devices
    return device.verdict


async def _draw(stage: Stage, call: Call, name: str) -> None:
    """Who said what to whom, and when, as telephone engineers draw it; to be opened in a browser."""
    drawn = await stage.backend.calls.ladder(call.id)
    picture: Path = stage.server.folder / name
    await asyncio.to_thread(picture.write_text, drawn, encoding="utf-8")
    stage.tell.fact(f"As a picture: {picture}", drawn.startswith("<svg ") and "FCM" in drawn, drawn[:100])
