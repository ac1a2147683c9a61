"""Four in one call, device to device: it goes on when the one who began it leaves."""

import asyncio
from contextlib import AsyncExitStack

from service.client import Call
from service.demo.cast import Device
from service.demo.mesh import Mesh
from service.demo.stage import Stage, legs, standing

SOUNDS, PICTURES = 20, 4


async def play(stage: Stage) -> None:
    """Ring three, connect four, let one leave, end it for the rest."""
    tell, cast = stage.tell, stage.cast
    tell.scene("Ana calls Ben, Cy and Dee: four in one call")
    devices = {"ana": cast.ana, "ben": cast.ben_phone, "cy": cast.cy, "dee": cast.dee}
    call = (await cast.ana.socket.call(["ben", "cy", "dee"], topology="relayed")).call
    await asyncio.gather(*(device.ring(call.id) for name, device in devices.items() if name != "ana"))
    tell.say("Ana's app asks for topology: relayed: sound and picture go from device to device.")
    tell.say("It rings at all three. Ben answers on the phone this time, Cy and Dee in their browsers.")
    for name in ("ben", "cy", "dee"):
        await devices[name].socket.answer(call.id)
    async with AsyncExitStack() as media:
        await _connect(stage, call, devices, media)
        await _leave(stage, call, devices)


async def _connect(stage: Stage, call: Call, devices: dict[str, Device], media: AsyncExitStack) -> None:
    meshes = {
        name: await media.enter_async_context(Mesh(device.socket, call.id, name, shade=40 + 45 * number))
        for number, (name, device) in enumerate(devices.items())
    }
    await asyncio.gather(*(mesh.connect(set(devices) - {name}) for name, mesh in meshes.items()))
    last = await devices["dee"].event(call.id, "participant.joined", "dee")
    peers = [peer for mesh in meshes.values() for peer in mesh.peers.values()]
    await asyncio.gather(*(peer.heard_and_seen(SOUNDS, PICTURES) for peer in peers))
    pictures = sum(peer.received.pictures for peer in peers)
    stage.tell.fact(
        f"Everybody is connected with everybody: {len(peers) // 2} connections, {pictures} pictures so far, sound "
        "on every one.",
        len(peers) == 12 and last.call.leg("dee").state == "connected",
        len(peers),
    )
    busy = await stage.backend.presence.of(*devices)
    stage.tell.fact(
        "Presence: all four are busy, in_conference.",
        {(p.state, p.activity) for p in busy} == {("busy", "in_conference")},
        {p.user_id: p.activity for p in busy},
    )


async def _leave(stage: Stage, call: Call, devices: dict[str, Device]) -> None:
    tell = stage.tell
    await devices["ana"].socket.hang_up(call.id)
    heard = await devices["dee"].event(call.id, "participant.left", "ana")
    tell.fact(
        "Ana, who began it, leaves. The other three go on.",
        heard.call.state == "active" and legs(heard.call)["ana"] == "left",
        legs(heard.call),
    )
    await stage.backend.calls.end(call.id)
    over = [await devices[name].event(call.id, "call.ended") for name in ("ben", "cy", "dee")]
    tell.fact(
        f"The backend ends it for everybody (POST /v1/calls/…/end): {standing(over[0].call)}.",
        {standing(event.call) for event in over} == {"ended(terminated)"},
    )
