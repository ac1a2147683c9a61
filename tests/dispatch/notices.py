"""A notice as the pump hands it to a channel, and what the app's channels sign in with."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from service.core.vocabulary import AlertKind, Channel
from service.dispatch.push.channel import Address, Notice
from service.wire.credentials import EmailCredentials, Granted, MessageCredentials

NOW = datetime(2026, 11, 20, 8, 15, 30, 123_000, tzinfo=UTC)
PAYLOAD = {
    "v": 1,
    "type": "call.ring",
    "call_id": "019a9f6e-7c5a-7c3e-8d55-2b1f0a4c9e01",
    "caller": {"id": "ann", "name": "Ann", "avatar_url": None},
    "links": {"state": "https://calls.example.com/v1/rings/7"},
}


def notice(kind=AlertKind.FALLBACK, payload=PAYLOAD, **how):
    """A ring for bob; `how` are fields of the notice, or of its address."""
    address = {name: how.pop(name) for name in ("email", "phone", "user_id", "locale", "push") if name in how}
    address = {"email": "bob@example.com", "phone": "+49 30 1234", "user_id": "bob", **address}
    fields = {
        "id": UUID("4f6c7c1e-0000-5000-8000-000000000001"),
        "title": "Ann is calling",
        "body": "",
        "expires_at": NOW + timedelta(seconds=45),
        "collapse": "019a9f6e7c5a7c3e8d552b1f0a4c9e01",
    }
    return Notice(kind=kind, address=Address(**address), payload=payload, **{**fields, **how})


def ring(push, kind=AlertKind.RING, **how):
    """A ring for a device of bob's, with what lets it act."""
    payload = {
        **PAYLOAD,
        "ring_id": "019a9f6e-7c5a-5c3e-8d55-2b1f0a4c9e02",
        "expires_at": "2026-11-20T08:16:15.123Z",
        "action_token": "header.claims-of-the-ring.signature",
    }
    return notice(kind, **{"payload": payload, "push": push, **how})


def granted(body, environment="production"):
    return Granted("app", body.channel, environment, body)


def by_mail(port, **how):
    """What an app signs in with at a mail server on this machine."""
    body = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "calls@example.com"}
    return Granted("app", Channel.EMAIL, "production", EmailCredentials(**{**body, **how}))


def by_message(**how):
    """What an app's messages are sent with."""
    return Granted("app", Channel.MESSAGE, "production", MessageCredentials(**how))
