"""The AsyncAPI: what it says is what goes over the wire, in both directions."""

import os
import signal

import pytest
from jsonschema.validators import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from service.api.ws.commands import FRAMES
from service.wire.asyncapi import document
from service.wire.presence import PresenceChange
from service.wire.server_frames import QualityReported, SpeakerChanged
from tests.fixtures.routed import connect, routed_call, routing
from tests.fixtures.sockets import phone_at, phones

SDP = {"type": "offer", "sdp": "v=0\r\n"}
CANDIDATE = {"candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
OPEN = ("custom", "data")
"""Members that hold what clients make up, or what other documents describe."""
ROUTED = {"server.media.slots", "server.media.restart"}
"""Frames of calls with a media worker."""
UNPLACED = {
    "speaker.changed": SpeakerChanged,
    "quality.reported": QualityReported,
    "presence.changed": PresenceChange,
}
"""Events without a place in the feed for whoever comes back."""


def strict(schema, name=""):
    """The same shapes without room for members that nobody told of."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(part, key) for key, part in schema.items()}
    if made.get("additionalProperties") is True and name not in OPEN:
        made["additionalProperties"] = False
    return made


@pytest.fixture(scope="module")
def fits():
    made = strict(document())
    registry = Registry().with_resource("urn:asyncapi", Resource.from_contents(made, DRAFT202012))

    def check(side, frame):
        schema = {"$ref": f"urn:asyncapi#/components/messages/{side}.{frame['type']}/payload"}
        Draft202012Validator(schema, registry=registry).validate(frame)
        return f"{side}.{frame['type']}"

    return check


def references(part):
    if isinstance(part, dict):
        yield from (value for key, value in part.items() if key == "$ref")
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_every_reference_leads_somewhere():
    made = document()
    for reference in set(references(made)):
        place = made
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_frame_that_is_taken_is_told_of():
    told = {key.partition(".")[2] for key in document()["components"]["messages"] if key.startswith("client.")}
    assert told == {*FRAMES, "hello"}


async def test_every_frame_of_a_call_is_as_told(running_service, fits):
    async with phones(running_service, "ann", "bob") as (ann, bob):
        tablet = await phone_at(running_service, "bob", "bob-tablet")
        call = await ann.dial("bob", custom={"order": {"n": 7}}, call_type="audio_upgradable")
        await bob.do("call.ack", call)
        assert (await ann.ask("presence.subscribe", user_ids=["ann", "bob", "carl"]))["presences"][1][
            "busy_with"
        ] is None
        again = await phone_at(running_service, "bob", "bob-tablet", resume_after=ann.cursor)
        await bob.do("call.answer", call)
        for phone, peer in ((ann, "bob"), (bob, "ann")):
            await phone.do("media.connected", call, peer=peer)
        await ann.do("call.signal", call, signal_type="chat", data={"a": [1]}, to=["bob"])
        await ann.ask("rtc.description", call_id=call, to="bob", description=SDP)
        await ann.ask("rtc.candidates", call_id=call, to="bob", candidates=[CANDIDATE])
        await ann.do("call.invite", call, participants=["carl"])
        carl = await phone_at(running_service, "carl")
        await carl.gets("ring")
        await ann.hears("presence.changed", "carl")
        await ann.hears("presence.changed", "ann")
        await again.do("call.join", call)
        await bob.gets("call.replaced")
        await ann.say("nonsense", id=1)
        await ann.gets("error")
        await ann.ask("ping")
        await ann.do("call.hangup", call)
        await running_service.http.post(f"/v1/calls/{call}/end")
        assert (await bob.ask("call.answer", call_id=call))["problem"]["call"]
        everybody = (ann, bob, tablet, again, carl)
        told = {fits("server", frame) for phone in everybody for frame in phone.frames}
        assert told == {key for key in document()["components"]["messages"] if key.startswith("server.")} - ROUTED
        for frame in (f["event"] for phone in everybody for f in phone.frames if f["type"] == "event"):
            if frame["type"] == "presence.changed":
                PresenceChange.model_validate(frame)
        for phone in (tablet, again, carl):
            await phone.close()


async def test_every_frame_of_a_click_to_dial_is_as_told(running_service, fits):
    async with phones(running_service, "ann", "bob", "carl") as (ann, bob, carl):
        asked = {"participants": ["bob", "carl"], "ring_initiator": True, "custom": {"order": 7}}
        call = (await ann.ask("call.create", **asked))["call"]["id"]
        assert (await ann.gets("ring"))["ring"]["outgoing"]
        again = await phone_at(running_service, "ann", "ann-tablet")
        assert again.welcome["rings"][0]["outgoing"]
        await ann.do("call.answer", call)
        for phone in (bob, carl):
            assert (await phone.gets("ring"))["ring"]["group"]["count"] == 3
        await ann.do("call.cancel", call)
        for phone in (ann, bob, carl, again):
            await phone.hears("call.ended")
            assert {fits("server", frame) for frame in phone.frames} >= {"server.welcome", "server.event"}
        await again.close()


async def test_every_frame_of_a_routed_call_is_as_told(db_url, tmp_path, fits):
    async with (
        routing(db_url, tmp_path) as reached,
        routed_call((reached, "ann"), (reached, "bob")) as (call, people),
    ):
        ann, bob = (one.phone for one in people.values())
        await ann.ask("media.watch", call_id=call, quality=True)
        await connect(people)
        wishes = [{"stream_id": "018f5e10-0000-7000-8000-000000000001", "paused": True, "layer": "low", "width": 320}]
        await ann.ask("media.subscribe", call_id=call, streams=wishes)
        await ann.hears("speaker.changed")
        await ann.hears("quality.reported")
        await bob.gets("media.slots")
        os.kill(reached.service.media.local.rooms[call].handle.pid, signal.SIGKILL)
        await bob.gets("media.restart")
        told = {fits("server", frame) for one in people.values() for frame in one.phone.frames}
        assert told > ROUTED
        passing = [f for f in ann.frames if f["type"] == "event" and "cursor" not in f]
        assert {f["event"]["type"] for f in passing} == set(UNPLACED)
        for frame in passing:
            UNPLACED[frame["event"]["type"]].model_validate(frame["event"])


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "hello", "token": "t", "device_id": "d"},
        {"type": "ping", "id": 7},
        {"type": "presence.subscribe", "user_ids": ["ann"]},
        {"type": "presence.unsubscribe", "id": "x", "user_ids": None},
        {"type": "media.watch", "call_id": "018f5e10-0000-7000-8000-000000000001", "quality": True},
        {"type": "media.subscribe", "call_id": "018f5e10-0000-7000-8000-000000000001", "only": None, "audio": False},
        {
            "type": "rtc.description",
            "call_id": "018f5e10-0000-7000-8000-000000000001",
            "to": "sfu",
            "pc": "pub",
            "streams": [{"mid": "0", "source": "camera", "name": "front"}],
            "description": SDP,
        },
        {"type": "call.create", "participants": ["bob", {"user_id": "carl", "role": "moderator"}]},
        {
            "type": "rtc.candidates",
            "call_id": "018f5e10-0000-7000-8000-000000000001",
            "to": "b",
            "candidates": [CANDIDATE],
        },
    ],
)
def test_what_clients_send_fits_what_is_told(frame, fits):
    fits("client", frame)
