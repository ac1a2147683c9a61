"""Is it alive, is it ready, how is it doing."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from service.api.door import Door, KeyAsk
from service.api.replies import Reply
from service.store.database import StoreUnavailableError

METRICS_TYPE = b"text/plain; version=1.0.0; charset=utf-8"

routes = APIRouter(route_class=Door, tags=["health"])


@routes.get("/healthz", summary="Is the process alive?", response_model=None)
async def healthz(_request: Request) -> Response:
    """Always 200 while the process answers at all."""
    return Reply({"status": "ok"})


@routes.get("/readyz", summary="Should requests be sent here?", response_model=None)
async def readyz(request: Request) -> Response:
    """200 when the database answers and the process is not stopping, else 503 with `Retry-After`."""
    if not await request.app.deps.ready():
        raise StoreUnavailableError("not ready")
    return Reply({"status": "ready"})


@routes.get(
    "/metrics",
    summary="Prometheus metrics of this process",
    response_model=None,
    response_class=PlainTextResponse,
)
async def metrics(ask: KeyAsk) -> Response:
    """In the text form of Prometheus; any app's API key opens it, because it tells of all apps together."""
    return Reply(ask.deps.metrics(), content_type=METRICS_TYPE)
