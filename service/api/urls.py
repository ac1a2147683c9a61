"""Receivers' URLs as clients give them: checked by the pure rules before anything is remembered."""

from service.api.deps import Deps
from service.api.errors import RefusedError
from service.core.refusals import Code
from service.wire.urls import check_url


def check_receiver(deps: Deps, url: str, field: str) -> None:
    """Raises `RefusedError` (`invalid_request`) for a URL that the service must not send to."""
    try:
        check_url(url, allow_private=deps.config.allow_private_webhooks)
    except ValueError as error:
        where = f"body.{field}"
        fault = {"where": where, "what": str(error)}
        raise RefusedError(Code.INVALID_REQUEST, f"{where}: {error}", {"errors": [fault]}) from None
