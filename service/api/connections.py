"""What a participant needs to join the media: the `connection` of a create, an answer and a join."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.requests import HTTPConnection

from service.api.auth import Admitted
from service.api.deps import Deps
from service.api.errors import RefusedError
from service.core.calls import Call
from service.core.refusals import Code
from service.core.rights import Principal, grants_of
from service.core.settings import AppSettings
from service.core.vocabulary import Role
from service.wire.canonical import rfc3339
from service.wire.tokens import TokenKey, UserClaims, end_of, mint_user

WS_PATH = "/v1/ws"


@dataclass(slots=True, frozen=True)
class Asker:
    """Who asks for something to be done with a call, over REST or a socket. `ws_url` is where sockets are opened."""

    deps: Deps
    admitted: Admitted
    ws_url: str

    @property
    def principal(self) -> Principal:
        return self.admitted.principal

    @property
    def settings(self) -> AppSettings:
        return self.admitted.app.settings


def ws_url_of(deps: Deps, connection: HTTPConnection) -> str:
    """The socket's address as the client can reach it: of the public URL, or of the host it has just asked."""
    public = deps.config.public_url
    if public:
        scheme, _, rest = public.rstrip("/").partition("://")
        return f"{'ws' if scheme == 'http' else 'wss'}://{rest}{WS_PATH}"
    scheme = "wss" if connection.scope["scheme"] in {"https", "wss"} else "ws"
    return f"{scheme}://{connection.headers.get('host', 'localhost')}{WS_PATH}"


def public_address(deps: Deps, path: str) -> str:
    """Where a resource is reached: under the public URL; without one the path, which is of the host just asked."""
    return f"{(deps.config.public_url or '').rstrip('/')}{path}"


async def connection_of(asker: Asker, call: Call, user_id: str, device_id: str | None) -> dict[str, Any]:
    """Credentials for this user in this call, good for a few minutes. Raises as `AppBook`."""
    deps = asker.deps
    signer = await deps.book.signer(call.app_id)
    if signer is None:
        raise RefusedError(Code.NOT_AUTHORIZED, "the app has no signing key, so nobody can be let in")
    now, ttl_s = deps.clock(), float(deps.config.join_token_s)
    key = TokenKey(signer.kid, call.app_id, signer.secret)
    return {
        "topology": call.topology.value,
        "call_id": call.id,
        "token": mint_user(key, _claims(asker, call, user_id, device_id), now=now, ttl_s=ttl_s),
        "expires_at": rfc3339(datetime.fromtimestamp(end_of(now, ttl_s), UTC)),
        "ws_url": asker.ws_url,
        "ice_servers": [server.model_dump(exclude_none=True) for server in deps.ice.servers_for(user_id, now)],
    }


def _claims(asker: Asker, call: Call, user_id: str, device_id: str | None) -> UserClaims:
    """As much as the user's own token says, never more; a backend's join gives what the leg was given."""
    principal = asker.principal
    leg = call.leg(user_id)
    role = leg.role if leg else Role.PUBLISHER
    grants: Mapping[str, bool] | None = None
    if principal.user_id is not None and principal.role is not Role.PUBLISHER:
        role = principal.role
    if principal.user_id is not None and principal.grants != grants_of(principal.role):
        grants = asdict(principal.grants)
    return UserClaims(
        user_id=user_id,
        name=principal.name or (leg.name if leg else None),
        role=role,
        grants=grants,
        kind=principal.kind,
        call_id=call.id,
        device_id=device_id,
        data=asker.admitted.data,
    )
