"""Is it alive, is it ready, how is it doing."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.api.door import Door, KeyAsk
from service.api.errors import RETRY_AFTER_S
from service.api.replies import Reply

METRICS_TYPE = b"text/plain; version=1.0.0; charset=utf-8"

routes = APIRouter(route_class=Door, tags=["health"])


@routes.get("/healthz", summary="Is the process alive?", response_model=None)
async def healthz(_request: Request) -> Response:
    """Always 200 while the process answers at all."""
    return Reply({"status": "ok"})


@routes.get("/readyz", summary="Should requests be sent here?", response_model=None)
async def readyz(request: Request) -> Response:
    """200 when the database answers and the process is not stopping, else 503 with `Retry-After`."""
    if await request.app.deps.ready():
        return Reply({"status": "ready"})
    return Reply({"status": "unavailable"}, 503, headers=((b"retry-after", str(RETRY_AFTER_S).encode()),))


@routes.get("/metrics", summary="Prometheus metrics of this process", response_model=None)
async def metrics(ask: KeyAsk) -> Response:
    """In the text form of Prometheus; any app's API key opens it, because it tells of all apps together."""
    return Reply(ask.deps.metrics(), content_type=METRICS_TYPE)
