"""Ana calls Ben: it rings on two devices, one answers, they hear and see each other, a third one finds Ben busy."""

import asyncio

from service.client import Call
from service.demo.mesh import Mesh
from service.demo.stage import Stage, legs, standing

ANA_SHADE, BEN_SHADE = 60, 190
SOUNDS, PICTURES = 75, 20
SHADE_OFF_BY = 12


async def play(stage: Stage) -> None:
    """Ring, answer, talk, hang up; in the middle Cy calls."""
    stage.tell.scene("Ana calls Ben, who has a phone and a tablet")
    call = await _ring(stage)
    await _answer(stage, call)
    ana, ben = stage.cast.ana, stage.cast.ben_tablet
    async with (
        Mesh(ana.socket, call.id, "ana", shade=ANA_SHADE) as ana_media,
        Mesh(ben.socket, call.id, "ben", shade=BEN_SHADE) as ben_media,
    ):
        await asyncio.gather(ana_media.connect(["ben"]), ben_media.connect(["ana"]))
        await _connected(stage, call, ana_media.relayed + ben_media.relayed)
        await _hear_and_see(stage, ana_media, ben_media)
        await _busy(stage, call)
        await _hang_up(stage, call)


async def _ring(stage: Stage) -> Call:
    tell, cast = stage.tell, stage.cast
    tell.say("Ana's laptop says call.create over its socket.")
    began = tell.seconds
    placed = await cast.ana.socket.call(["ben"], call_type="audio_video")
    call = placed.call
    await asyncio.gather(cast.ben_phone.ring(call.id), cast.ben_tablet.ring(call.id))
    took = (tell.seconds - began) * 1000
    connection = placed.connection
    tell.fact(
        f"Both of Ben's devices ring, {took:.0f} ms after Ana pressed the button.",
        took < 5000 and connection is not None and connection.topology == "relayed",
        f"{took:.0f} ms, {connection}",
    )
    await cast.ben_phone.socket.ack(call.id)
    heard = await cast.ana.event(call.id, "call.ringing")
    tell.fact("His phone shows the call and says so; Ana hears it ring (call.ringing).", heard.call.state == "ringing")
    ana, ben = await stage.backend.presence.of("ana", "ben")
    tell.fact(
        f"Presence: Ana is {ana.state} ({ana.activity}) with Ben; Ben is {ben.state} ({ben.activity}).",
        (ana.state, ana.activity, ben.state, ben.activity) == ("busy", "dialing", "online", "ringing")
        and [other.user_id for other in ana.busy_with or ()] == ["ben"],
    )
    return call


async def _answer(stage: Stage, call: Call) -> None:
    tell, cast = stage.tell, stage.cast
    answered = await cast.ben_tablet.socket.answer(call.id)
    stop = await cast.ben_phone.ring_stop(call.id)
    tell.fact(
        f"Ben answers on the tablet. His phone stops at once: {stop.stop_reason}.",
        stop.stop_reason == "answered_elsewhere" and answered.call.leg("ben").device_id == "tablet",
    )
    heard = await cast.ana.event(call.id, "call.answered")
    tell.fact("Ana is told (call.answered); the call is connecting.", heard.call.answered_at is not None)


async def _connected(stage: Stage, call: Call, relayed: int) -> None:
    active = await stage.cast.ana.event(call.id, "call.active")
    stage.tell.fact(
        f"The service passes their {relayed} SDP and ICE messages on; the media itself goes straight from one to the "
        "other.",
        relayed >= 4,
    )
    stage.tell.fact(
        "Both report that sound and picture are up; the call is active.",
        legs(active.call) == {"ana": "connected", "ben": "connected"} and active.call.state == "active",
        legs(active.call),
    )


async def _hear_and_see(stage: Stage, ana_media: Mesh, ben_media: Mesh) -> None:
    at_ana, at_ben = ana_media.peers["ben"], ben_media.peers["ana"]
    began = stage.tell.seconds
    await asyncio.gather(at_ana.heard_and_seen(SOUNDS, PICTURES), at_ben.heard_and_seen(SOUNDS, PICTURES))
    took = stage.tell.seconds - began
    for name, other, peer, shade in (("Ana", "Ben", at_ana, BEN_SHADE), ("Ben", "Ana", at_ben, ANA_SHADE)):
        got, packets = peer.received, await peer.packets()
        stage.tell.fact(
            f"In {took:.1f} s {name} received {packets.audio} packets of sound and {packets.video} of picture, "
            f"{packets.lost} lost. Decoded: {got.sounds} pieces of sound, {got.pictures} pictures; they are {other}'s, "
            f"by their grey ({got.shade} of 255).",
            abs(got.shade - shade) <= SHADE_OFF_BY and packets.audio >= SOUNDS and packets.video >= PICTURES,
            f"{other} sends {shade}",
        )


async def _busy(stage: Stage, call: Call) -> None:
    tell, cast = stage.tell, stage.cast
    tell.scene("Meanwhile Cy calls Ben")
    busy = (await cast.cy.socket.call(["ben"])).call
    tell.fact(
        f"Ben is talking: Cy's call is {standing(busy)} at once, SIP {busy.sip_status}. Nothing rang at Ben's.",
        standing(busy) == "ended(busy)" and not any(getattr(a, "call_id", "") == busy.id for a in _alerts(stage)),
        standing(busy),
    )
    missed = await cast.ben_tablet.event(busy.id, "call.missed")
    tell.fact("Ben finds it among his missed calls (call.missed).", missed.user_id == "ben")
    (ben,) = await stage.backend.presence.of("ben")
    on = [device.device_id for device in ben.devices if device.state == "busy"]
    tell.fact(
        f"Presence, as a telephone exchange reads it: Ben is {ben.state} ({ben.activity}) with "
        f"{', '.join(other.name or '?' for other in ben.busy_with or ())}, on the {', '.join(on)}.",
        (ben.state, ben.activity, on) == ("busy", "in_call", ["tablet"])
        and [other.call_id for other in ben.busy_with or ()] == [call.id],
    )


def _alerts(stage: Stage) -> list[object]:
    return [*stage.cast.ben_phone.alerts, *stage.cast.ben_tablet.alerts]


async def _hang_up(stage: Stage, call: Call) -> None:
    tell, cast = stage.tell, stage.cast
    await cast.ben_tablet.socket.hang_up(call.id)
    heard = await cast.ana.event(call.id, "call.ended")
    tell.fact(
        f"Then Ben hangs up. Of two, the first hang-up ends it for both: {standing(heard.call)}, by ben, after "
        f"{heard.call.talk_s} s of talk.",
        standing(heard.call) == "ended(hangup)" and heard.call.ended_by is not None,
        standing(heard.call),
    )
    engaged = await stage.engaged("ana", "ben", "cy")
    tell.fact("Nobody is busy any more.", not engaged, engaged)
