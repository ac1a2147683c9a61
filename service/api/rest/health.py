"""Is it alive, is it ready, how is it doing."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.api.door import Door
from service.api.replies import Reply

routes = APIRouter(route_class=Door, tags=["health"])


@routes.get("/healthz", summary="Is the process alive?", response_model=None)
async def healthz(_request: Request) -> Response:
    """Always 200 while the process answers at all."""
    return Reply({"status": "ok"})
