"""The documentation of the interface, served by the service itself: nothing is loaded from anywhere else."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.api.door import Door
from service.api.reference import page
from service.api.replies import Reply

routes = APIRouter(route_class=Door, tags=["health"])

HTML = b"text/html; charset=utf-8"
POLICY = (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'")


@routes.get("/openapi.json", summary="The OpenAPI of this service", response_model=None)
async def get_openapi(request: Request) -> Response:
    """OpenAPI 3.1 with the `webhooks` section."""
    return Reply(request.app.openapi())


@routes.get("/docs", summary="The reference, for reading", response_model=None, include_in_schema=False)
async def get_docs(request: Request) -> Response:
    """One page that needs neither scripts nor a network."""
    return Reply(page(request.app.openapi()).encode(), content_type=HTML, headers=(POLICY,))
