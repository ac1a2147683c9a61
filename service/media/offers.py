"""What can be said of an offer without a worker: whoever comes into a call by one is told before."""

from service.core.calls import Call
from service.core.refusals import Code, Refusal
from service.core.routing import MOST_STREAMS
from service.media.hosted import has_video
from service.media.worker import negotiate
from service.media.worker.sdp import OfferError


def objection(call: Call, sdp: str, *, publish: bool, subscribe: bool) -> Refusal | None:
    """Why every worker would refuse this offer of a device that has no connection yet, if so."""
    try:
        _, sections = negotiate.agree(
            negotiate.read(sdp),
            publish=publish,
            subscribe=subscribe,
            previous=None,
            new_ssrc=_unused,
            video=has_video(call),
        )
    except OfferError as error:
        code = Code.MEDIA_PERMISSION_DENIED if error.denied else Code.INVALID_REQUEST
        return Refusal(code, error.detail)
    if sum(each.receives for each in sections) > MOST_STREAMS:
        return Refusal(Code.INVALID_REQUEST, f"a device sends at most {MOST_STREAMS} streams")
    return None


def _unused() -> int:
    """Stands for the SSRCs of an answer that is not written."""
    return 1
