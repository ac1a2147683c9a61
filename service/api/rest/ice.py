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
    """What to pass to `RTCPeerConnection`. Empty unless the operator has configured some."""
    ice = ask.deps.ice
    expires_at = datetime.fromtimestamp(ask.deps.clock() + ice.ttl_s, UTC)
    return one(IceServersView(ice_servers=list(ice.servers), expires_at=expires_at))
