"""Hundreds of broken offers, candidates and fragments through the front door: no 5xx, and the worker lives."""

import random
import re
from collections import Counter
from itertools import count

import pytest

from service.api.strict import MalformedError, parse
from tests.fixtures.mutations import mutated
from tests.fixtures.routed import routed_call, routing
from tests.media.worker.recorded import offer
from tests.wire.test_fuzz import FRAGMENT, broken_frame

pytestmark = pytest.mark.timeout(120)

ENOUGH = 100
KINDS = ("whip", "offer", "candidates", "fragment")
USERS = ("ann", "bob", "cat", "dan", "eve", "fay", "gil", "hal", "ida", "jon")
"""Several, because a device may offer five times a second only; what is refused for that is not counted."""
SDP, FRAGMENT_TYPE = {"content-type": "application/sdp"}, "application/trickle-ice-sdpfrag"
NAMES = ("obs", "gstreamer", "ffmpeg", "chrome_pub", "aiortc")


@pytest.fixture
async def routed(db_url, tmp_path):
    async with routing(db_url, tmp_path, requests_per_key=0, requests_per_user=0) as reached:
        yield reached


async def test_what_is_broken_is_refused_and_breaks_nothing(routed):
    chance, told = random.Random(3), Counter()
    async with routed_call(*((routed, user) for user in USERS)) as (call, people):
        url = f"/v1/calls/{call}/whip?user_id="
        sound = await routed.http.post(f"{url}ann", content=offer("obs"), headers=SDP)
        assert sound.status_code == 201, sound.text
        worker = routed.service.media.local.rooms[call].handle
        for number in count():
            if min(judged(told, kind) for kind in KINDS) >= ENOUGH:
                break
            user, text = USERS[number % len(USERS)], offer(NAMES[number % len(NAMES)])
            posted = await routed.http.post(f"{url}{user}", content=mutated(text, chance).encode(), headers=SDP)
            told["whip", posted.status_code] += 1
            if posted.status_code == 201:
                await routed.http.delete(posted.headers["location"])
            description = {"type": "offer", "sdp": mutated(text, chance).replace("\x00", "")}
            said = await people[user].phone.ask(
                "rtc.description", call_id=call, to="sfu", pc="pub", description=description
            )
            told["offer", status(said)] += 1
            said = await people[user].phone.ask("rtc.candidates", **candidates(call, chance))
            told["candidates", status(said)] += 1
            told["fragment", await patched(routed.http, sound, chance)] += 1
        assert not [row for row in told if row[1] >= 500], told
        assert routed.service.media.local.rooms[call].handle is worker
        assert worker.alive
        fine = await people["jon"].phone.ask("media.subscribe", call_id=call)
        assert fine["type"] == "result"


def judged(told, kind):
    return sum(often for (what, code), often in told.items() if what == kind and code != 429)


def status(answer):
    return 200 if answer["type"] == "result" else answer["problem"]["status"]


def candidates(call, chance):
    """The members of a frame that is broken, but for what finds its answer."""
    try:
        frame = dict(parse(broken_frame(chance)))
    except (MalformedError, TypeError, ValueError):
        frame = {"candidates": []}
    for name in ("id", "type", "call_id"):
        frame.pop(name, None)
    return {**frame, "call_id": call}


async def patched(http, sound, chance):
    """The status of a broken fragment for a session that is sound."""
    ufrag, pwd = (re.search(rf"a=ice-{name}:(\S+)", offer("obs"))[1] for name in ("ufrag", "pwd"))
    text = FRAGMENT.replace("EsAw", ufrag).replace("P2uYro0UCOQ4zxjKXaWCBui1", pwd)
    tag = chance.choice(("*", sound.headers["etag"], '"x", "y"', mutated(sound.headers["etag"], chance)))
    headers = {"content-type": FRAGMENT_TYPE, "if-match": re.sub(r"[^!-~]", "?", tag)}
    answer = await http.patch(sound.headers["location"], content=mutated(text, chance).encode(), headers=headers)
    return answer.status_code
