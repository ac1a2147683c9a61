"""Composing: from a claimed alert to the notice that a channel puts into its provider's form."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID, uuid5

from service.core.calls import Call, Leg, Ring
from service.core.vocabulary import AlertKind, Channel
from service.core.wording import words
from service.dispatch.push.channel import Address, Notice
from service.store.claims import Claim
from service.store.lanes import channel_of
from service.wire.push import Doors, notify_payload, push_payload

RingToken = Callable[[Call, Leg, Ring, datetime], Awaitable[str | None]]
"""The action token of a ring, good until a grace after that moment; `None` when the app has no signing key."""


class Letters:
    """`base_url` is where woken devices reach the service."""

    def __init__(self, ring_token: RingToken, base_url: Callable[[], str]) -> None:
        self._ring_token = ring_token
        self._base_url = base_url

    async def notice(self, claim: Claim, now: datetime) -> Notice | None:
        """What is to be told; `None` when the person or the device has no address for this channel."""
        address = _address(claim)
        if address is None:
            return None
        alert, call = claim.alert, claim.call
        if claim.facts is not None:
            payload = notify_payload(claim.facts["payload"], now=now, until=alert.until)
            title, body = claim.facts["title"], claim.facts["body"]
        elif call is not None and (leg := call.leg(alert.user_id)):
            ring = next((ring for ring in leg.rings if ring.id == alert.ring_id), None)
            doors = await self._doors(call, leg, ring, alert.until) if ring else None
            payload = push_payload(alert.kind, call, leg, ring, now=now, until=alert.until, doors=doors)
            locale = claim.person.locale if claim.person else None
            title = words(call, leg, alert.kind, locale, ring.stop_reason if ring else None)
            body = ""
        else:
            return None
        return Notice(
            id=uuid5(alert.id, str(claim.taken + 1)),
            kind=alert.kind,
            address=address,
            payload=payload,
            title=title,
            body=body,
            expires_at=alert.until,
            collapse=UUID(call.id).hex if call and alert.kind is not AlertKind.RULE else alert.id.hex,
        )

    async def _doors(self, call: Call, leg: Leg, ring: Ring, until: datetime) -> Doors | None:
        token = await self._ring_token(call, leg, ring, (ring.open and leg.ring_deadline) or until)
        return Doors(token, self._base_url()) if token else None


def _address(claim: Claim) -> Address | None:
    channel = channel_of(claim.lane)
    user_id = claim.alert.user_id
    if channel in {Channel.APNS, Channel.FCM, Channel.WEBPUSH}:
        known = claim.registration
        return Address(push=known.push, user_id=user_id, platform=known.platform) if known else None
    given = claim.facts or {}
    email = given.get("email") or (claim.person.email if claim.person else None)
    phone = given.get("phone") or (claim.person.phone if claim.person else None)
    locale = claim.person.locale if claim.person else None
    if channel == Channel.EMAIL:
        return Address(email=email, user_id=user_id, locale=locale) if email else None
    return Address(phone=phone, email=email, user_id=user_id, locale=locale)
