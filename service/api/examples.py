"""Examples for the OpenAPI, made by the machine itself: a call just dialled, and what was told of it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from service.core.calls import Actor, Call
from service.core.commands import Device, Dial, Person
from service.core.dialing import dial
from service.core.refusals import Code, Refusal
from service.core.settings import AppSettings, policy_of
from service.core.timeline import timeline
from service.core.trace import trace
from service.core.vocabulary import ActorType, CallType, Topology
from service.core.witness import Evidence
from service.wire.canonical import rfc3339
from service.wire.feed import envelopes, seal
from service.wire.problems import problem, refusal_extra
from service.wire.snapshots import call_snapshot
from service.wire.told import heard
from service.wire.trace import trace_view

AT = datetime(2026, 11, 20, 8, 15, 30, 123_000, tzinfo=UTC)
CALL_ID = "019a9f3c-55ab-7c3e-9d21-6f0a4b1c2d3e"
EVENT_ID = "019a9f3c-55ad-7a10-b2c4-5d6e7f809102"
RING_ID = "3c0a2f6e-1b7d-5e9a-8c41-2d5b7f90a1c3"


def _dialled() -> tuple[Call, dict[str, Any]]:
    """The call and the envelope of its first event, always the same."""
    dialled = dial(
        Dial(
            actor=Actor(ActorType.API, "key_5f2c"),
            call_id=CALL_ID,
            app_id="app",
            initiator=Person("ana", name="Ana"),
            callees=(Person("ben", name="Ben", devices=(Device("ben-phone", connected=True),)),),
            call_type=CallType.AUDIO_VIDEO,
            topology=Topology.RELAYED,
            policy=policy_of(AppSettings(), Topology.RELAYED),
            custom={"order": "A-17"},
            device_id="ana-laptop",
        ),
        {},
        AT,
    )
    if isinstance(dialled, Refusal):
        raise TypeError(dialled.detail)
    call = dialled.call
    event = orjson.loads(envelopes(call, dialled.events[:1])[0].text)
    event["data"]["event_id"] = EVENT_ID
    del event["data"]["hash"]
    event["data"]["hash"] = seal(event)[1]
    return call, event


def answer_examples() -> dict[str, Any]:
    """An example for each shape that is told of calls, by the shape's name."""
    call, event = _dialled()
    snapshot = _plain(call_snapshot(call))
    connection = {
        "topology": "relayed",
        "call_id": CALL_ID,
        "token": "eyJhbGciOiJIUzI1NiIsImtpZCI6InNpZ18uLi4ifQ.….…",
        "expires_at": rfc3339(AT.replace(minute=20)),
        "ws_url": "wss://calls.example.org/v1/ws",
        "ice_servers": [{"urls": ["stun:stun.example.org:3478"]}],
    }
    ring = {
        "ring_id": RING_ID,
        "call_id": CALL_ID,
        "device_id": "ben-phone",
        "attempt": 1,
        "state": "sent",
        "stop_reason": None,
        "call_type": "audio_video",
        "caller": {"id": "ana", "name": "Ana", "avatar_url": None},
        "sent_at": rfc3339(AT),
        "expires_at": rfc3339(AT.replace(minute=16)),
        "server_time": rfc3339(AT.replace(second=31)),
        "custom": {"order": "A-17"},
    }
    gone = Refusal(Code.CALL_ENDED, "the call has ended: canceled")
    return {
        "CallView": snapshot,
        "CallAnswer": {"call": snapshot},
        "JoinedAnswer": {"call": snapshot, "connection": connection},
        "CreatedAnswer": {"call": snapshot, "connection": connection},
        "ConnectionView": connection,
        "CallPage": {"items": [snapshot], "next_cursor": None},
        "CallEvent": event,
        "CallEventPage": {"items": [event], "next_cursor": None},
        "FeedPage": {"items": [event], "next_cursor": f"81723.{UUID(CALL_ID).hex}.1", "more": False},
        "RingAnswer": {"ring": ring, "call": snapshot},
        "TraceView": _traced(call, event),
        "Problem": problem(gone.code, 410, gone.detail, _plain(refusal_extra(gone, call))),
    }


def _traced(call: Call, event: dict[str, Any]) -> dict[str, Any]:
    """What is known of the call a second later: the device's socket got the ring, and no acknowledgement came yet."""
    known = Evidence(AT.replace(second=31), (heard(orjson.dumps(event).decode()),))
    told = trace(call, known)
    return trace_view(told, timeline(told, known)).model_dump(mode="json", by_alias=True)


def _plain(value: Any) -> Any:
    """As it is read on the other side."""
    return orjson.loads(orjson.dumps(value))


REQUEST_EXAMPLES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("CreateCall", {"initiator": "ana", "participants": ["ben"], "call_type": "audio_video"}),
    (
        "CreateCall",
        {"initiator": "ana", "participants": [{"user_id": "ben", "role": "moderator"}, "cleo"], "hunt": True},
    ),
    ("CreateCall", {"initiator": "ana", "participants": ["ben"], "ring_initiator": True}),
    ("AnswerCall", {"user_id": "ben", "device_id": "ben-phone"}),
    ("JoinCall", {"device_id": "ben-tv"}),
    ("DeclineCall", {"reason": "do_not_disturb", "message": "I call you back at five"}),
    ("Act", {"device_id": "ben-phone"}),
    ("InviteToCall", {"participants": ["dora"]}),
    ("MuteParticipant", {"audio": False}),
    ("SendSignal", {"type": "chat", "data": {"text": "hello"}, "to": ["ben"]}),
    ("UpgradeCall", {"action": "request"}),
    ("DeclineRing", {"reason": "none"}),
    ("AnswerRing", {"call_waiting": "end_and_accept"}),
    ("Empty", {}),
)
"""What is sent, by the shape's name."""
