"""WHIP and WHEP at the front door: who may, what is refused and how, and what the session's URL is good for.

What the media worker makes of it is in stories/test_whip.py; here it says what the test wants it to.
"""

import base64
from dataclasses import replace

import pytest

from service.api.application import build_api
from service.api.deps import ApiConfig
from service.api.limits import Limits, LimitsConfig
from service.core.refusals import Code, Refusal
from service.core.vocabulary import Role
from service.media.backend import Candidates, Close, Description, Restart
from service.wire.ice import IceConfig, IceServer
from service.wire.turn import TurnConfig
from tests.api.front import front_door, problem
from tests.api.whip.encoders import (
    ANSWER,
    FRAGMENT,
    OFFER,
    PWD,
    SDP,
    TRICKLED,
    leg_of,
    now,
    opened,
    post,
    url_of,
)


@pytest.fixture
async def call(front):
    """Ana and Ben talk in a routed call."""
    return await front.talking(topology="routed")


@pytest.mark.parametrize(("way", "publish"), [("whip", True), ("whep", False)])
async def test_who_is_in_the_call_gets_a_further_connection(front, worker, call, way, publish):
    answer = await opened(front.user("ana"), url_of(call), way)
    assert answer.text == ANSWER
    assert answer.headers["content-type"] == SDP
    assert answer.headers["location"].startswith(f"{url_of(call)}/{way}/")
    assert answer.headers["accept-patch"] == FRAGMENT
    assert answer.headers["etag"].startswith('"')
    sender, message = worker.last
    assert (sender.user_id, sender.publish, sender.subscribe) == ("ana", publish, not publish)
    assert sender.device_id == leg_of(call, "ana").get("device_id")
    assert isinstance(message, Description)
    assert (message.to, message.type, message.sdp) == ("sfu", "offer", OFFER)
    assert message.pc.startswith(f"{way}-")
    again = await opened(front.user("ana"), url_of(call), way)
    assert worker.last[1].pc != message.pc
    assert again.headers["location"] != answer.headers["location"]


async def test_anybody_else_comes_in_by_it_and_leaves_with_it(front, worker, call):
    cleo = front.user("cleo", call_id=call["id"])
    answer = await opened(cleo, url_of(call))
    leg = leg_of(await now(front, call), "cleo")
    assert leg["device_id"] == "whip"
    assert leg["state"] != "left"
    assert worker.last[0].device_id == "whip"
    gone = await cleo.delete(answer.headers["location"])
    assert (gone.status_code, gone.content) == (200, b"")
    assert leg_of(await now(front, call), "cleo")["state"] == "left"
    assert (await cleo.delete(answer.headers["location"])).status_code == 200


async def test_a_backend_says_for_whom(front, worker, call):
    problem(await post(front.http, f"{url_of(call)}/whip"), 422, "invalid_request")
    await opened(front.http, url_of(call), user_id="encoder")
    assert worker.last[0].user_id == "encoder"
    problem(await post(front.user("ana"), f"{url_of(call)}/whip?user_id=ben"), 403, "not_authorized")


async def test_the_end_of_a_further_connection_is_not_the_end_of_the_part(front, worker, call):
    ana = front.user("ana")
    answer = await opened(ana, url_of(call))
    pc = worker.last[1].pc
    assert (await ana.delete(answer.headers["location"])).status_code == 200
    assert worker.last[1] == Close(pc)
    assert leg_of(await now(front, call), "ana")["state"] not in {"left", "ended"}


async def test_who_has_another_session_stays_until_the_last_one_ends(front, worker, call):
    """An encoder crashed and came back: neither the first session's end nor the second's is the wrong one."""
    cleo = front.user("cleo", call_id=call["id"])
    first, second = [(await opened(cleo, url_of(call))).headers["location"] for _ in range(2)]
    worker.left = 1
    assert (await cleo.delete(first)).status_code == 200
    assert isinstance(worker.last[1], Close)
    assert worker.last[1].unless_last
    assert leg_of(await now(front, call), "cleo")["state"] == "answered"
    worker.left = 0
    assert (await cleo.delete(second)).status_code == 200
    assert leg_of(await now(front, call), "cleo")["state"] == "left"


async def test_a_session_without_a_worker_is_ended_by_leaving(front, worker, call):
    cleo = front.user("cleo", call_id=call["id"])
    location = (await opened(cleo, url_of(call))).headers["location"]
    worker.says = Refusal(Code.MEDIA_UNAVAILABLE, "no media worker carries this call now")
    assert (await cleo.delete(location)).status_code == 200
    assert leg_of(await now(front, call), "cleo")["state"] == "left"


async def test_a_session_of_an_earlier_attempt_ends_and_changes_nothing(front, worker, call):
    cleo = front.user("cleo", call_id=call["id"])
    earlier = await opened(cleo, url_of(call))
    await cleo.delete(earlier.headers["location"])
    await opened(cleo, url_of(call))
    count = len(worker.asked)
    assert (await cleo.delete(earlier.headers["location"])).status_code == 200
    for tag in (earlier.headers["etag"], "*"):
        headers = {"content-type": FRAGMENT, "if-match": tag}
        problem(await cleo.patch(earlier.headers["location"], content=TRICKLED, headers=headers), 404, "not_found")
    assert len(worker.asked) == count
    assert leg_of(await now(front, call), "cleo")["state"] == "answered"


async def test_a_connection_that_the_worker_does_not_know_any_more_is_not_found(front, worker, call):
    """So that the encoder POSTs again."""
    ana = front.user("ana")
    answer = await opened(ana, url_of(call))
    headers = {"content-type": FRAGMENT, "if-match": answer.headers["etag"]}
    worker.says = Refusal(Code.INVALID_REQUEST, "there is no such connection")
    for fragment in (TRICKLED, TRICKLED.partition("a=candidate")[0]):
        problem(await ana.patch(answer.headers["location"], content=fragment, headers=headers), 404, "not_found")
    worker.says = Refusal(Code.NOT_FOUND, "there is no such connection")
    headers["if-match"] = "*"
    problem(await ana.patch(answer.headers["location"], content=TRICKLED, headers=headers), 404, "not_found")


async def test_the_location_is_under_the_public_url(front, worker, call):
    front.app = build_api(replace(front.deps, config=ApiConfig(public_url="https://calls.example.org/voice/")))
    location = (await opened(front.user("ana"), url_of(call))).headers["location"]
    assert location.startswith(f"https://calls.example.org/voice{url_of(call)}/whip/")


async def test_whom_the_call_rings_answers_it_so(front, worker):
    """The encoder is one more device of theirs: the phone stops ringing."""
    await front.online("eve")
    ringing = await front.call("dora", "eve", topology="routed")
    await opened(front.user("eve"), url_of(ringing))
    leg = leg_of(await now(front, ringing), "eve")
    assert (leg["state"], leg["device_id"]) == ("answered", "whip")
    _, phone = await front.ring(ringing["id"], "eve")
    kinds = [event["type"] for event in await front.events(ringing["id"])]
    assert "call.answered" in kinds
    await phone.aclose()


async def test_every_post_makes_a_session_whatever_key_it_has(front, worker, call):
    ana, url = front.user("ana"), f"{url_of(call)}/whip"
    told = [await post(ana, url, **{"idempotency-key": "one"}) for _ in range(2)]
    assert len({answer.headers["location"] for answer in told}) == 2
    said = (await front.http.get("/openapi.json")).json()["paths"]["/v1/calls/{call_id}/whip"]["post"]
    assert "Idempotency-Key" in said["description"]


async def test_candidates_are_taken_with_the_entity_tag(front, worker, call):
    ana = front.user("ana")
    answer = await opened(ana, url_of(call))
    pc = worker.last[1].pc
    headers = {"content-type": FRAGMENT, "if-match": answer.headers["etag"]}
    taken = await ana.patch(answer.headers["location"], content=TRICKLED, headers=headers)
    assert (taken.status_code, taken.content) == (204, b"")
    candidate = "candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host"
    assert worker.last[1] == Candidates("sfu", ({"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0},), pc)
    listed = {**headers, "if-match": f'"other", {answer.headers["etag"]}'}
    assert (await ana.patch(answer.headers["location"], content=TRICKLED, headers=listed)).status_code == 204
    weak = {**headers, "if-match": f'"other",W/{answer.headers["etag"]}'}
    problem(await ana.patch(answer.headers["location"], content=TRICKLED, headers=weak), 412, "precondition_failed")
    stale = await ana.patch(answer.headers["location"], content=TRICKLED.replace("EsAw", "Othr"), headers=headers)
    problem(stale, 412, "precondition_failed")
    without = await ana.patch(answer.headers["location"], content=TRICKLED, headers={"content-type": FRAGMENT})
    problem(without, 428, "precondition_required")


@pytest.mark.parametrize("any_tag", ["*", '"*"'])
async def test_ice_is_restarted_on_the_same_connection(front, worker, call, any_tag):
    ana = front.user("ana")
    answer = await opened(ana, url_of(call))
    pc = worker.last[1].pc
    fresh = f"a=ice-ufrag:Anew\r\na=ice-pwd:{PWD}\r\n"
    headers = {"content-type": FRAGMENT, "if-match": any_tag}
    again = await ana.patch(answer.headers["location"], content=fresh, headers=headers)
    assert again.status_code == 200
    assert again.headers["content-type"] == FRAGMENT
    assert again.headers["etag"] != answer.headers["etag"]
    assert worker.last[1] == Restart(pc, "Anew", PWD)
    assert again.text.split("\r\n") == [
        "a=ice-lite", "a=group:BUNDLE 0", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:0", "a=ice-ufrag:Work",
        f"a=ice-pwd:{PWD}", "a=candidate:1 1 udp 2113929471 127.0.0.1 4000 typ host", "a=end-of-candidates", "",
    ]  # fmt: skip
    late = {"content-type": FRAGMENT, "if-match": again.headers["etag"]}
    more = TRICKLED.replace("EsAw", "Anew")
    assert (await ana.patch(answer.headers["location"], content=more, headers=late)).status_code == 204


@pytest.mark.parametrize(
    "fragment",
    [
        "", "x", "a=ice-ufrag:EsAw\r\n", TRICKLED.replace("typ host", ""), TRICKLED.replace("a=mid:0", "a=mid: 0"),
        TRICKLED.replace("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", ""), TRICKLED + "a=candidate:1\r\n",
        TRICKLED + "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" * 200, "x" * 40_000, "\x00",
        TRICKLED.replace("192", "é"),
    ],
)  # fmt: skip
async def test_a_fragment_that_is_none_is_refused(front, worker, call, fragment):
    ana = front.user("ana")
    answer = await opened(ana, url_of(call))
    count = len(worker.asked)
    headers = {"content-type": FRAGMENT, "if-match": answer.headers["etag"]}
    refused = await ana.patch(answer.headers["location"], content=fragment.encode(), headers=headers)
    problem(refused, 422, "invalid_request")
    assert len(worker.asked) == count


async def test_a_session_is_nobody_elses_and_cannot_be_made_up(front, call):
    answer = await opened(front.user("ana"), url_of(call))
    location = answer.headers["location"]
    stranger, other = front.user("ben"), await front.call("dora", "eve", topology="routed")
    said, _, signature = location.rpartition("/")[2].partition(".")
    forged = (
        base64.urlsafe_b64encode(base64.urlsafe_b64decode(said + "==").replace(b"ana", b"ben")).rstrip(b"=").decode()
    )
    for client, url in (
        (stranger, location),
        (front.user("ana"), location.replace("/whip/", "/whep/")),
        (front.http, location.replace(call["id"], other["id"])),
        (front.http, f"{url_of(call)}/whip/{forged}.{signature}"),
        (front.http, f"{url_of(call)}/whip/{said}"),
        (front.http, f"{url_of(call)}/whip/x"),
        (front.http, f"{url_of(call)}/whip/%C3%A9"),
    ):
        problem(await client.delete(url), 404, "not_found")
    assert len(signature) >= 24, "144 bits cannot be guessed"
    assert (await front.http.delete(location)).status_code == 200, "a backend may end every session"


async def test_only_a_routed_call_is_open_to_it(front, worker):
    relayed = await front.talking("dora", "eve", topology="relayed")
    for client in (front.user("dora"), front.user("fred", call_id=relayed["id"])):
        told = problem(await post(client, f"{url_of(relayed)}/whip"), 422, "invalid_request")
        assert "relayed" in told["detail"]
    assert worker.asked == []
    assert "fred" not in {leg["user_id"] for leg in (await now(front, relayed))["legs"]}


async def test_a_call_that_may_grow_moves_to_a_worker_with_a_third_one(front, call):
    auto = await front.talking("dora", "eve")
    assert auto["topology"] == "relayed"
    await opened(front.user("fred", call_id=auto["id"]), url_of(auto))
    assert (await now(front, auto))["topology"] == "routed"


async def test_rights_are_kept(front, worker, call):
    mute = front.user("gina", call_id=call["id"], role=Role.SUBSCRIBER)
    problem(await post(mute, f"{url_of(call)}/whip"), 403, "media_permission_denied")
    assert worker.asked == []
    await opened(mute, url_of(call), "whep")
    blind = front.user("hans", call_id=call["id"], grants={"subscribe": False})
    problem(await post(blind, f"{url_of(call)}/whep"), 403, "media_permission_denied")
    await opened(blind, url_of(call), "whip")
    # What the leg may not, a backend does not make it do.
    problem(await post(front.http, f"{url_of(call)}/whip?user_id=gina"), 403, "media_permission_denied")


async def test_whoever_came_in_for_an_offer_that_fails_is_out_again(front, worker, call):
    worker.says = Refusal(Code.INVALID_REQUEST, "no section has a codec that is forwarded")
    told = problem(await post(front.user("cleo", call_id=call["id"]), f"{url_of(call)}/whip"), 422, "invalid_request")
    assert "codec" in told["detail"]
    assert leg_of(await now(front, call), "cleo")["state"] == "left"
    problem(await post(front.user("ana"), f"{url_of(call)}/whip"), 422, "invalid_request")
    assert leg_of(await now(front, call), "ana")["state"] != "left"


async def test_without_workers_or_without_a_call_there_is_none(front, worker, call):
    worker.says = Refusal(Code.MEDIA_UNAVAILABLE, "no media worker carries this call now")
    problem(await post(front.user("ana"), f"{url_of(call)}/whip"), 503, "media_unavailable")
    problem(await post(front.user("zoe"), f"{url_of(call)}/whip"), 404, "not_found")
    problem(await post(front.client(None), f"{url_of(call)}/whip"), 401, "not_authenticated")
    await front.post(f"/calls/{call['id']}/end")
    problem(await post(front.user("ana"), f"{url_of(call)}/whip"), 410, "call_ended")


async def test_bodies_and_answers_of_another_kind(front, call):
    ana, url = front.user("ana"), f"{url_of(call)}/whip"
    for kind in ("application/json", "text/plain", "application/sdp2", FRAGMENT):
        answer = await ana.post(url, content=OFFER, headers={"content-type": kind})
        problem(answer, 415, "unsupported_media_type")
    for sdp in ("", "v=0\r\n", "\x00", OFFER.replace("a=ice-pwd", "a=ice-bwd")):
        problem(await post(ana, url, sdp), 422, "invalid_request")
    problem(await post(ana, url, b"\xff"), 422, "invalid_request")
    problem(await post(ana, url, OFFER + "a" * 130_000), 413, "payload_too_large")
    problem(await post(ana, url, OFFER + "é" * 62_000), 413, "payload_too_large")
    problem(await post(ana, url, accept="application/json"), 406, "not_acceptable")
    problem(await post(ana, url, accept="application/sdp;q=0"), 406, "not_acceptable")
    for accept in ("application/sdp", "*/*", "application/*", "text/html, application/sdp;q=0.1"):
        assert (await post(ana, url, accept=accept)).status_code == 201
    assert (await ana.post(url, content=OFFER, headers={"content-type": "Application/SDP; charset=utf-8"})).is_success
    location = (await opened(ana, url_of(call))).headers["location"]
    wrong = await ana.patch(location, content=TRICKLED, headers={"content-type": SDP, "if-match": "*"})
    problem(wrong, 415, "unsupported_media_type")


async def test_other_methods_are_not_allowed_and_options_says_what_is(front, call):
    ana, nobody, url = front.user("ana"), front.client(None), f"{url_of(call)}/whip"
    location = (await opened(ana, url_of(call))).headers["location"]
    for method, where in (("GET", url), ("PUT", url), ("DELETE", url), ("GET", location), ("POST", location)):
        told = await ana.request(method, where)
        problem(told, 405, "method_not_allowed")
        assert "OPTIONS" in told.headers["allow"]
    for way in ("whip", "whep"):
        said = await nobody.request("OPTIONS", f"{url_of(call)}/{way}")
        assert (said.status_code, said.headers["accept-post"], said.headers["allow"]) == (204, SDP, "OPTIONS, POST")
    said = await nobody.request("OPTIONS", location)
    assert (said.status_code, said.headers["accept-patch"]) == (204, FRAGMENT)


async def test_the_ice_servers_come_as_links(front, call):
    ice = IceConfig(
        (
            IceServer(urls=("stun:stun.example.com:3478",)),
            IceServer(urls=("turn:a:1",), username='q"', credential="\\"),
        ),
        turn=TurnConfig(("turn:turn.example.com:3478?transport=udp",), ("secret",)),
    )
    front.app = build_api(replace(front.deps, ice=ice))
    answer = await opened(front.user("ana"), url_of(call))
    stun, fixed, own = answer.headers.get_list("link")
    assert stun == '<stun:stun.example.com:3478>; rel="ice-server"'
    assert fixed == '<turn:a:1>; rel="ice-server"; username="q\\""; credential="\\\\"; credential-type="password"'
    assert own.startswith('<turn:turn.example.com:3478?transport=udp>; rel="ice-server"; username="')
    assert ':ana"; credential="' in own
    assert own.endswith('; credential-type="password"')


async def test_a_page_may_read_what_it_needs(database, worker):
    async with front_door(database, config=ApiConfig(cors_origins=("https://app.example.com",))) as front:
        asked = {
            "origin": "https://app.example.com",
            "access-control-request-method": "PATCH",
            "access-control-request-headers": "authorization, content-type, if-match",
        }
        allowed = await front.client(None).request("OPTIONS", "/v1/calls/x/whip/y", headers=asked)
        assert allowed.status_code == 200
        read = await front.http.get("/v1/calls", headers={"origin": "https://app.example.com"})
        exposed = read.headers["access-control-expose-headers"].lower()
        assert {"location", "link", "etag"} <= set(exposed.replace(" ", "").split(","))


async def test_offers_of_a_device_have_a_limit(front, worker, call):
    limits = LimitsConfig(0, 0, offers_per_device=1)
    front.deps = replace(front.deps, limits=Limits(limits, lambda: front.clock.ahead))
    front.app = build_api(front.deps)
    answers = [await post(front.user("ana"), f"{url_of(call)}/whip") for _ in range(3)]
    assert answers[0].status_code == 201
    for answer in answers[1:]:
        problem(answer, 429, "rate_limited")
        assert answer.headers["retry-after"] == "1"
    assert len(worker.asked) == 1
