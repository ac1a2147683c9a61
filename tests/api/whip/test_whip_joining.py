"""An encoder comes into a call: what moves with it, and what is refused before anybody's phone stops ringing."""

from dataclasses import replace

import pytest

from service.api.application import build_api
from service.api.errors import rate_limited
from service.api.limits import Limits, LimitsConfig
from service.store.apps import AppBook
from tests.api.front import NO_LIMITS, problem
from tests.api.whip.encoders import (
    FRAGMENT,
    OFFER,
    TRICKLED,
    leg_of,
    now,
    opened,
    post,
    url_of,
)


@pytest.mark.parametrize("way", ["whip", "whep"])
async def test_a_call_of_two_moves_to_a_worker_for_it(front, worker, way):
    auto = await front.talking("dora", "eve")
    await opened(front.user("dora"), url_of(auto), way)
    assert (await now(front, auto))["topology"] == "routed"
    assert worker.last[0].device_id == leg_of(auto, "dora").get("device_id")
    (moved,) = [event for event in await front.events(auto["id"]) if event["type"] == "call.updated"]
    assert moved["data"]["change"] == "topology"
    await opened(front.user("eve"), url_of(auto), way)
    assert [event["type"] for event in await front.events(auto["id"])].count("call.updated") == 1


async def test_a_call_that_rings_is_answered_by_it_and_moves(front):
    await front.online("eve")
    ringing = await front.call("dora", "eve")
    await opened(front.user("eve"), url_of(ringing))
    answered = await now(front, ringing)
    assert (answered["topology"], leg_of(answered, "eve")["state"]) == ("routed", "answered")


BAD = {
    "without a codec": (OFFER.replace("opus", "speex"), 422, "invalid_request"),
    "with nothing to send": (OFFER.replace("a=mid", "a=recvonly\r\na=mid"), 403, "media_permission_denied"),
    "with too many streams": (
        OFFER.replace("BUNDLE 0", "BUNDLE " + " ".join(map(str, range(17))))
        + "".join(
            f"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{n}\r\na=rtpmap:111 opus/48000/2\r\n" for n in range(1, 17)
        ),
        422,
        "invalid_request",
    ),
    "of pictures": (
        OFFER.replace("m=audio", "m=video").replace("opus/48000/2", "VP8/90000"),
        403,
        "media_permission_denied",
    ),
}


@pytest.mark.parametrize(("sdp", "status", "code"), BAD.values(), ids=BAD)
async def test_an_offer_that_no_worker_would_take_answers_nobodys_phone(front, worker, sdp, status, code):
    ringing = await front.call("dora", "eve", topology="routed", call_type="audio_upgradable")
    problem(await post(front.user("eve"), f"{url_of(ringing)}/whip", sdp), status, code)
    assert leg_of(await now(front, ringing), "eve")["state"] == "invited"
    assert worker.asked == []
    await opened(front.user("eve"), url_of(ringing))


class Full(Limits):
    """Nobody may ask anything more of a worker in this second."""

    def count_media(self, app_id, user_id, device_id, act):
        raise rate_limited(1)


async def test_one_offer_too_many_answers_nobodys_phone(front, worker):
    ringing = await front.call("dora", "eve", topology="routed")
    front.app = build_api(replace(front.deps, limits=Full(NO_LIMITS, front.clock)))
    problem(await post(front.user("eve"), f"{url_of(ringing)}/whip"), 429, "rate_limited")
    assert leg_of(await now(front, ringing), "eve")["state"] == "invited"
    assert worker.asked == []


class Keyless(AppBook):
    """Apps whose signing keys are all revoked."""

    async def signer(self, app_id):
        return None


async def test_who_gets_no_session_for_want_of_a_key_answers_nobodys_phone(front, worker):
    ringing = await front.call("dora", "eve", topology="routed")
    front.app = build_api(replace(front.deps, book=Keyless(front.database, front.clock)))
    problem(await post(front.user("eve"), f"{url_of(ringing)}/whip"), 403, "not_authorized")
    assert leg_of(await now(front, ringing), "eve")["state"] == "invited"
    assert worker.asked == []


@pytest.mark.parametrize("fragment", [TRICKLED, TRICKLED.replace("EsAw", "Anew")], ids=["trickled", "with a restart"])
async def test_candidates_of_a_device_have_a_limit(front, worker, fragment):
    call = await front.talking(topology="routed")
    ana = front.user("ana")
    answer = await opened(ana, url_of(call))
    front.app = build_api(
        replace(front.deps, limits=Limits(LimitsConfig(0, 0, 0, candidates_per_device=1), lambda: 0.0))
    )
    ana, tag = front.user("ana"), "*" if "Anew" in fragment else answer.headers["etag"]
    headers = {"content-type": FRAGMENT, "if-match": tag}
    count = len(worker.asked)
    answers = [await ana.patch(answer.headers["location"], content=fragment, headers=headers) for _ in range(3)]
    assert answers[0].is_success
    for answer in answers[1:]:
        problem(answer, 429, "rate_limited")
    assert len(worker.asked) == count + (2 if "Anew" in fragment else 1)
