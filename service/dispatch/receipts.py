"""What a provider's receipt means: for the alert's own row, and for the call whose evidence it is."""

from dataclasses import replace
from datetime import datetime

from service.core.calls import SERVER
from service.core.commands import Command, FellBack, Pushed
from service.core.ringing import next_push, try_again
from service.core.vocabulary import AlertKind, Channel
from service.dispatch.push.channel import Outcome, Receipt
from service.store.alerts import Result
from service.store.claims import Claim
from service.store.lanes import channel_of
from service.wire.canonical import rfc3339, rfc3339_or_none
from service.wire.masking import masked_name

AWAY = "database_away"
UNREACHED = "no_connection"
"""What channels say when nothing was sent."""


def result_of(claim: Claim, receipt: Receipt, at: datetime) -> Result:
    """What becomes of the alert after its provider's word at `at`."""
    attempt = {
        "at": rfc3339(at),
        "outcome": receipt.outcome.value,
        "status": receipt.status,
        "provider_id": receipt.provider_id,
        "reason": receipt.reason,
        "detail": receipt.detail,
        "latency_ms": receipt.latency_ms,
        "gone_since": rfc3339_or_none(receipt.gone_since),
    }
    if receipt.taken:
        again = next_push(claim.call, claim.alert, claim.taken + 1, at) if claim.call else None
        return Result(claim, "pending" if again else "sent", None, again, claim.taken + 1, 0, attempt)
    failures = claim.failures + 1
    if receipt.outcome is Outcome.LATER:
        again = try_again(claim.alert, at, failures, receipt.retry_after_s)
        if again:
            return Result(claim, "pending", receipt.reason, again, claim.taken, failures, attempt)
    return Result(claim, "failed", receipt.reason, None, claim.taken, failures, attempt)


def unsent(claim: Claim, reason: str, at: datetime) -> Result:
    """Something of our own went wrong at `at` before anything was sent: the same again, a while later."""
    again = try_again(claim.alert, at, claim.failures + 1)
    return Result(claim, "pending" if again else "failed", reason, again, claim.taken, claim.failures + 1)


def evidence(claim: Claim, receipt: Receipt, result: Result) -> list[Command]:
    """What the call is told: what was taken, what was perhaps, and what failed for good.

    Everybody in the call hears it, so a provider's name for what it took is masked.
    """
    alert = claim.alert
    if claim.call is None:
        return []
    final = receipt.taken or result.state == "failed"
    if alert.kind is AlertKind.FALLBACK:
        return [_fell_back(claim, receipt)] if final else []
    if alert.kind is not AlertKind.RING:
        return []
    told = perhaps(claim) if _unknown(claim, receipt) else []
    return [*told, _pushed(claim, receipt)] if final else told


def perhaps(claim: Claim) -> list[Command]:
    """A ring of which nobody knows whether its provider took it: the device gets its stop in any case."""
    if claim.alert.kind is not AlertKind.RING:
        return []
    return [replace(_pushed(claim, Receipt(Outcome.LATER)), perhaps=True)]


def _unknown(claim: Claim, receipt: Receipt) -> bool:
    """Whether it may have been taken although no provider said so: silence is no refusal."""
    silent = receipt.status is None and receipt.reason != UNREACHED
    return receipt.outcome is Outcome.LATER and (silent or claim.held)


def _fell_back(claim: Claim, receipt: Receipt) -> FellBack:
    return FellBack(
        SERVER,
        claim.alert.user_id,
        attempt=claim.alert.attempt,
        channel=Channel(channel_of(claim.lane)),
        accepted=receipt.taken,
        provider_id=masked_name(receipt.provider_id),
        reason=receipt.reason,
    )


def _pushed(claim: Claim, receipt: Receipt) -> Pushed:
    return Pushed(
        SERVER,
        claim.alert.user_id,
        claim.alert.device_id,
        ring_id=claim.alert.ring_id or "",
        channel=Channel(channel_of(claim.lane)),
        accepted=receipt.taken,
        number=claim.taken + 1,
        provider_id=masked_name(receipt.provider_id),
        reason=receipt.reason,
    )
