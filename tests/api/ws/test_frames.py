"""Commands as frames, and frames that are none: the socket stays open, the problem is the same as over REST."""

import pytest

from service.core.vocabulary import Role
from tests.fixtures.sockets import phone_at, phones

NOWHERE = "018f5e10-0000-7000-8000-000000000001"


@pytest.fixture
async def pair(running_service):
    async with phones(running_service, "ann", "bob") as pair:
        yield pair


async def test_pings_are_answered(pair):
    ann, _ = pair
    pong = await ann.ask("ping")
    assert pong["server_time"].endswith("Z")
    await ann.say("ping")
    await ann.gets("pong")


MALFORMED = (
    ("nonsense", "not valid JSON"),
    ("[1]", "a frame is a JSON object"),
    ("{}", "type: there is no such frame"),
    ('{"type":"call.destroy"}', "type: there is no such frame"),
    ('{"type":["ping"]}', "type: there is no such frame"),
    ('{"type":"hello","token":"x","device_id":"y"}', "type: there is no such frame"),
    ('{"type":"ping","extra":1}', "extra: there is no such field"),
    ('{"type":"ping","type":"ping"}', "an object has the same name twice"),
    ('{"type":"call.answer"}', "call_id: is required"),
    ('{"type":"call.answer","call_id":"x"}', "call_id: is not a UUID"),
    ('{"type":"call.create","participants":["\\u0000"]}', "a text contains NUL"),
    ('{"type":"call.create","participants":["\\ud800"]}', "not valid JSON"),
    ('{"type":"call.create","participants":[],"custom":{"n":NaN}}', "not valid JSON"),
    ('{"type":"call.create","participants":["bob"],"custom":{"n":1e400}}', "not valid JSON"),
    ("{" * 40, "not valid JSON"),
)


async def test_malformed_frames_are_refused_and_the_socket_stays(pair):
    ann, _ = pair
    for message, _ in MALFORMED:
        await ann.socket.send(message)
    assert (await ann.ask("ping"))["type"] == "pong"
    problems = [frame["problem"] for frame in ann.frames if frame["type"] == "error"]
    assert {(problem["code"], problem["status"]) for problem in problems} == {("invalid_request", 422)}
    for (message, detail), problem in zip(MALFORMED, problems, strict=True):
        assert detail in problem["detail"], message


async def test_content_beyond_its_size_is_refused_and_the_socket_stays(pair):
    ann, _ = pair
    large = {"text": "x" * 8_192}
    offer = {"type": "offer", "sdp": "ü" * 61_441}
    for kind, fields in (
        ("call.create", {"participants": ["bob"], "custom": large}),
        ("call.signal", {"call_id": NOWHERE, "signal_type": "chat", "data": large}),
        ("rtc.description", {"call_id": NOWHERE, "to": "bob", "description": offer}),
    ):
        answer = await ann.ask(kind, **fields)
        assert (answer["problem"]["code"], answer["problem"]["status"]) == ("payload_too_large", 413), kind
    assert answer["problem"]["detail"] == "description.sdp: is larger than 122880 bytes"


async def test_binary_frames_are_refused_and_the_socket_stays(pair):
    ann, _ = pair
    await ann.socket.send(b'{"type":"ping"}')
    assert (await ann.gets("error"))["problem"]["code"] == "invalid_request"
    assert (await ann.ask("ping"))["type"] == "pong"


async def test_a_text_that_is_not_utf_8_closes(pair):
    ann, _ = pair
    await ann.socket.send(b"\xff\xfe", text=True)
    assert await ann.bye() == 1007


async def test_a_frame_beyond_the_limit_closes(pair):
    ann, _ = pair
    await ann.socket.send('{"type":"ping","id":"' + "x" * 262_144 + '"}')
    assert await ann.bye() == 1009


async def test_fragments_make_one_frame(pair):
    ann, _ = pair
    await ann.socket.send(iter(['{"type":', '"ping",', '"id":"in parts"}']))
    await ann.gets("pong", id="in parts")


async def test_an_error_carries_the_id_and_the_same_problem_as_rest(pair, running_service):
    ann, _ = pair
    answer = await ann.ask("call.answer", call_id=NOWHERE)
    async with running_service.as_user("ann") as http:
        rest = (await http.post(f"/v1/calls/{NOWHERE}/answer", json={})).json()
    assert answer["problem"] == rest
    assert rest["code"] == "not_found"


async def test_results_carry_the_id_as_it_came(pair):
    ann, _ = pair
    await ann.say("call.create", id=7, participants=["bob"])
    assert (await ann.gets("result", id=7))["connection"]["topology"] == "relayed"
    await ann.say("call.create", participants=["bob"])
    assert (await ann.gets("error"))["problem"]["code"] == "initiator_busy"


async def test_whoever_is_too_late_gets_the_call(pair):
    ann, bob = pair
    call = await ann.dial("bob")
    await ann.do("call.cancel", call)
    answer = await bob.ask("call.answer", call_id=call)
    assert answer["problem"]["code"] == "call_ended"
    assert answer["problem"]["call"]["end_reason"] == "canceled"


async def test_a_socket_acts_on_its_own_device_and_for_its_own_user(pair):
    ann, bob = pair
    call = await ann.dial("bob")
    assert await bob.refused("call.answer", call_id=call, device_id="another") == "not_authorized"
    assert await bob.refused("call.answer", call_id=call, user_id="ann") == "not_authorized"
    answered = await bob.do("call.answer", call, device_id="bob-phone", user_id="bob")
    assert answered["legs"][1]["device_id"] == "bob-phone"


async def test_53_a_create_with_a_key_is_made_once_over_both_ways(pair, running_service):
    ann, _ = pair
    first = await ann.ask("call.create", participants=["bob"], idempotency_key="k1")
    again = await ann.ask("call.create", participants=["bob"], idempotency_key="k1")
    assert first["call"]["id"] == again["call"]["id"]
    async with running_service.as_user("ann") as http:
        answer = await http.post("/v1/calls", json={"participants": ["bob"]}, headers={"Idempotency-Key": "k1"})
        assert answer.json()["call"]["id"] == first["call"]["id"]
    assert await ann.refused("call.create", participants=["carl"], idempotency_key="k1") == "idempotency_conflict"


async def test_every_command_goes_through_the_socket(pair, running_service):
    ann, bob = pair
    call = await ann.dial("bob", call_type="audio_upgradable", custom={"order": 7})
    await bob.do("call.ack", call)
    await bob.do("call.silence", call)
    await bob.do("call.answer", call)
    for phone, peer in ((ann, "bob"), (bob, "ann")):
        await phone.do("media.connected", call, peer=peer)
    await ann.do("call.signal", call, signal_type="chat", data={"text": "hello"}, to=["bob"])
    said = await bob.hears("signal.sent")
    assert said["signal"] == {"type": "chat", "data": {"text": "hello"}, "to": ["bob"]}
    await ann.do("media.changed", call, audio=False)
    muted = await bob.hears("participant.media_changed", "ann")
    assert muted["participant"]["media"]["audio"] is False
    await ann.do("call.upgrade", call, action="request")
    await bob.do("call.upgrade", call, action="accept")
    assert (await ann.hears("participant.upgraded"))["call"]["call_type"] == "audio_video"
    await ann.do("call.invite", call, participants=["carl"])
    await bob.do("media.lost", call, peer="ann")
    await ann.hears("participant.reconnecting", "bob")
    await bob.do("call.join", call)
    await bob.do("call.hangup", call)
    left = await ann.do("call.hangup", call)
    await ann.heard_all(call, left["seq"])


async def test_a_subscriber_may_not_unmute(running_service):
    async with phones(running_service, "bob") as (bob,):
        token = running_service.token("ann", role=Role.SUBSCRIBER)
        ann = await phone_at(running_service, "ann", token=token)
        call = await ann.dial("bob")
        await bob.do("call.answer", call)
        assert await ann.refused("media.changed", call_id=call, video=True) == "media_permission_denied"
        await ann.do("media.changed", call, video=False)
        await ann.close()


async def test_a_flood_is_refused_and_the_socket_stays(pair):
    ann, _ = pair
    for number in range(150):
        await ann.say("call.ack", id=number, call_id=NOWHERE)
    await ann.until(lambda: sum(f["type"] == "error" for f in ann.frames) == 150, "150 answers")
    limited = [f["problem"] for f in ann.frames if f.get("problem", {}).get("code") == "rate_limited"]
    assert limited
    assert limited[0]["retry_after_s"] == 1
    assert (await ann.ask("ping"))["type"] == "pong"


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("rtc.description", {"to": "sfu", "description": {"type": "offer", "sdp": "v=0"}}),
        ("rtc.candidates", {"to": "sfu", "candidates": [{"candidate": ""}]}),
        ("media.subscribe", {"audio": True}),
        ("media.watch", {"quality": True}),
    ],
)
async def test_a_flood_for_the_media_worker_is_refused_to_its_device_alone(pair, kind, fields):
    ann, bob = pair
    for number in range(100):
        await ann.say(kind, id=number, call_id=NOWHERE, **fields)
    await ann.until(lambda: sum(f["type"] == "error" for f in ann.frames) == 100, "100 answers")
    problems = [f["problem"] for f in ann.frames if f["type"] == "error"]
    assert {problem["code"] for problem in problems} == {"not_found", "rate_limited"}
    assert {problem["retry_after_s"] for problem in problems if problem["code"] == "rate_limited"} == {1}
    assert await bob.refused(kind, call_id=NOWHERE, **fields) == "not_found"
    assert (await ann.ask("ping"))["type"] == "pong"
