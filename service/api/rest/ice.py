"""ICE servers: how media finds its way through firewalls."""

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.responses import Response

from service.api.door import Ask, Door
from service.api.pages import one
from service.wire.ice import IceServersView

routes = APIRouter(route_class=Door, tags=["media"])


@routes.get("/v1/ice-servers", summary="Read the STUN and TURN servers", response_model=IceServersView)
async def get_ice_servers(ask: Ask) -> Response:
    """What to pass to `RTCPeerConnection`. Empty unless the operator has configured some.

    TURN credentials are the asker's own and run out; ask again at `expires_at`.
    """
    ice, now = ask.deps.ice, ask.deps.clock()
    servers = ice.servers_for(ask.principal.user_id or ask.app_id, now)
    expires_at = datetime.fromtimestamp(ice.good_until(now), UTC)
    return one(IceServersView(ice_servers=servers, expires_at=expires_at))
