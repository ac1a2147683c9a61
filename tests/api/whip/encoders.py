"""A front door for encoders and players; what the media worker says is what the test wants it to say."""

from contextlib import asynccontextmanager
from dataclasses import replace

from service.api.application import build_api
from service.core.refusals import Refusal
from service.media.backend import Close
from service.switchboard.board import Switchboard
from tests.api.front import front_door

SDP, FRAGMENT = "application/sdp", "application/trickle-ice-sdpfrag"
PWD = "P2uYro0UCOQ4zxjKXaWCBui1"
OFFER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"
    f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}\r\n"
    f"a=ice-ufrag:EsAw\r\na=ice-pwd:{PWD}\r\n"
)
ANSWER = OFFER.replace("a=group", "a=ice-lite\r\na=group").replace("EsAw", "Work") + (
    "a=candidate:1 1 udp 2113929471 127.0.0.1 4000 typ host\r\na=end-of-candidates\r\na=rtpmap:111 opus/48000/2\r\n"
)
TRICKLED = (
    f"a=ice-ufrag:EsAw\r\na=ice-pwd:{PWD}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n"
)


class Worker:
    """What a media desk is asked, and what it says."""

    def __init__(self):
        self.asked = []
        self.says = {"type": "rtc.description", "description": {"type": "answer", "sdp": ANSWER}}
        self.left = 0

    async def ask(self, sender, call_id, message):
        self.asked.append((sender, message))
        if isinstance(message, Close) and not isinstance(self.says, Refusal):
            return {"type": "closed", "left": self.left}
        return self.says

    async def signal(self, sender, call_id, message):
        self.asked.append((sender, message))
        return self.says if isinstance(self.says, Refusal) else None

    @property
    def last(self):
        return self.asked[-1]


@asynccontextmanager
async def door_with(worker, database):
    """A front door whose desk is that worker."""
    async with front_door(database) as front:
        board = Switchboard(database, [front.told.extend, front.deps.bell.ring], workers=True)
        front.deps = replace(front.deps, switchboard=board, ask=worker.ask, signal=worker.signal)
        front.app = build_api(front.deps)
        async with front.client(front.credentials.api_key) as front.http:
            yield front


async def post(client, url, body=OFFER, **headers):
    return await client.post(url, content=body, headers={"content-type": SDP, **headers})


async def opened(client, url, way="whip", **query):
    answer = await client.post(f"{url}/{way}", content=OFFER, headers={"content-type": SDP}, params=query)
    assert answer.status_code == 201, answer.text
    return answer


def url_of(call):
    return f"/v1/calls/{call['id']}"


def leg_of(call, user_id):
    return next(leg for leg in call["legs"] if leg["user_id"] == user_id)


async def now(front, call):
    return (await front.http.get(url_of(call))).json()
