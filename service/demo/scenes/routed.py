"""Three in one call that a worker of the service carries: who speaks is told, and a moderator's mute is enforced."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType

from service.client import Client
from service.demo.routed import Routed
from service.demo.scenes import takeover
from service.demo.slots import AUDIO, VIDEO
from service.demo.stage import Group, Stage

SHADES: Mapping[str, int] = MappingProxyType({"ana": 60, "ben": 125, "cy": 190})
SHADE_OFF_BY = 12
SOUNDS, PICTURES = 40, 6
UNDER_WAY, SILENCE = 15, 25
"""Pieces of sound of 20 ms: what may still be between sender and ear, and for how long nothing shall come then."""
QUALITY_S = 15.0


async def play(stage: Stage) -> None:
    """Ring two, connect three, talk in turns, mute one; then see how the call outlives its worker."""
    tell, cast = stage.tell, stage.cast
    tell.scene("Ana calls Ben and Cy: a worker of the service carries the call")
    devices = {"ana": cast.ana, "ben": cast.ben_phone, "cy": cast.cy}
    placed = await cast.ana.socket.call(["ben", "cy"])
    connection = placed.connection
    tell.fact(
        "With three in it topology: auto is routed: nobody has to send to everybody, and the service carries it.",
        connection is not None and (connection.topology, placed.call.topology) == ("routed", "routed"),
        placed.call.topology,
    )
    await asyncio.gather(*(devices[name].ring(placed.call.id) for name in ("ben", "cy")))
    async with AsyncExitStack() as stack:
        group = Group(placed.call.id, devices)
        for name, shade in SHADES.items():
            media = Routed(devices[name].socket, group.call_id, others=2, shade=shade)
            group.media[name] = await stack.enter_async_context(media)
        await _answer(stage, group)
        await _hear_and_see(stage, group)
        await _speak(stage, group)
        await _mute(stage, group)
        await _quality(stage, group)
        await takeover.play(stage, group)


async def _answer(stage: Stage, group: Group) -> None:
    """Ben answers, and Cy after him; the time is from the answer to the first picture that was decoded."""
    tell, devices, media, clock = stage.tell, group.devices, group.media, asyncio.get_running_loop().time
    began = clock()
    answered = await devices["ben"].socket.answer(group.call_id)
    await asyncio.gather(media["ana"].connect(), media["ben"].connect())
    slots = [media[name].slots for name in ("ana", "ben")]
    await asyncio.gather(*(one.first_picture() for one in slots))
    took = min(one.first_picture_at or 0.0 for one in slots) - began
    tell.fact(
        f"Ben answers. A worker process gets the call; {took * 1000:.0f} ms later the first picture is there.",
        answered.call.answered_at is not None and 0 < took < 10,
        f"{took} s",
    )
    await devices["cy"].socket.answer(group.call_id)
    await media["cy"].connect()
    heard = await devices["ana"].event(group.call_id, "participant.joined", "cy")
    tell.fact(
        "Cy answers, too. At Ana's and Ben's nothing is negotiated again: he appears in a slot that was free.",
        heard.call.leg("cy").state == "connected" and [media[name].offers for name in media] == [2, 2, 2],
        {name: one.offers for name, one in media.items()},
    )


async def _hear_and_see(stage: Stage, group: Group) -> None:
    await asyncio.gather(
        *(media.slots.heard_and_seen(group.others(name), SOUNDS, PICTURES) for name, media in group.media.items())
    )
    pairs = [(media.slots, other) for name, media in group.media.items() for other in group.others(name)]
    sounds = sum(slots.came(other, AUDIO) for slots, other in pairs)
    seen = {other: showing.shade for slots, other in pairs if (showing := slots.of(other, VIDEO))}
    pictures = sum(slots.came(other, VIDEO) for slots, other in pairs)
    stage.tell.fact(
        f"Everybody hears and sees both others, each in a slot of its own. Decoded: {sounds} pieces of sound, "
        f"{pictures} pictures; by their grey they are of those whom media.slots names.",
        len(pairs) == 6 and all(abs(seen[name] - shade) <= SHADE_OFF_BY for name, shade in SHADES.items()),
        seen,
    )


async def _speak(stage: Stage, group: Group) -> None:
    cy, media = group.devices["cy"], group.media
    await cy.socket.media_watch(group.call_id)
    media["ana"].tone.loud = True
    first = await cy.event(group.call_id, "speaker.changed", "ana")
    media["ana"].tone.loud, media["ben"].tone.loud = False, True
    then = await cy.event(group.call_id, "speaker.changed", "ben")
    stage.tell.fact(
        f"Ana speaks, then Ben. Everybody is told: speaker.changed to ana ({first.data['level']:.0f} dB), then to ben "
        f"({then.data['level']:.0f} dB). Told in passing, without a number, and kept nowhere.",
        (first.seq, then.seq, first.cursor, then.cursor) == (0, 0, None, None),
        (first.seq, then.seq),
    )


async def _mute(stage: Stage, group: Group) -> None:
    tell, cy = stage.tell, group.media["cy"].slots
    ben = cy.of("ben", AUDIO)
    token = await stage.backend.users.token("ana", role="moderator")
    async with Client(stage.server.url, token.token) as moderator:
        await moderator.calls.mute(group.call_id, "ben", audio=False)
        changed = await group.devices["ben"].event(group.call_id, "stream.changed", "ben")
        await cy.more("ana", AUDIO, UNDER_WAY)
        before = ben.total if ben else 0
        await asyncio.gather(cy.more("ana", AUDIO, SILENCE), cy.more("ben", VIDEO, 2))
        tell.fact(
            "Ana, whose token says moderator, mutes Ben: his app goes on sending, and the worker lets none of it "
            f"through. Of {SILENCE} pieces of Ana's sound that Cy hears meanwhile, none of Ben's; his picture goes on.",
            ben is not None and ben.total == before and changed.data["stream"]["muted"],
            f"{(ben.total if ben else 0) - before} came",
        )
        await moderator.calls.mute(group.call_id, "ben", audio=True)
        await cy.more("ben", AUDIO, UNDER_WAY)
        tell.fact("She allows it again, and Cy hears him.", ben is not None and ben.total > before)


async def _quality(stage: Stage, group: Group) -> None:
    heard = await group.devices["cy"].event(group.call_id, "quality.reported", within_s=QUALITY_S)
    down = [stream for stream in heard.data["streams"] if stream["to"] == "cy"]
    rate = sum(stream["bitrate_bps"] for stream in down) / 1000
    stage.tell.fact(
        f"Cy asked how well it goes, and is told every 5 s (quality.reported): {len(down)} streams reach him with "
        f"{rate:.0f} kbit/s, {max((stream['loss'] for stream in down), default=0):.0%} lost.",
        len(down) == 4 and rate > 0 and heard.seq == 0,
        heard.data,
    )
