"""The door: how a request becomes a call of an endpoint.

Endpoints are written as FastAPI wants them, and FastAPI writes the OpenAPI from their signatures; but requests go the
short way: credential, limit, strict body, pydantic, endpoint. That saves two thirds of the framework's time for each
request, and nothing of what was sent is ever repeated in an error.
"""

import inspect
import types
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

from fastapi import params
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from service.api.auth import Admitted
from service.api.bodies import header, read_json, read_text
from service.api.connections import Asker, ws_url_of
from service.api.deps import Deps
from service.api.errors import RefusedError, invalid
from service.core.refusals import Code
from service.core.rights import Credential, Principal
from service.core.settings import AppSettings
from service.wire.requests import Empty
from service.wire.tokens import TokenError

SLASH = "\x00"
"""Stands for an encoded slash in a path parameter while the request is routed."""
MOST_QUERY_FIELDS = 256
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Ask(Request):
    """A request by somebody: an API key or a user token was shown."""

    credentials: ClassVar[frozenset[Credential]] = frozenset({Credential.API_KEY, Credential.USER})
    admitted: Admitted

    @property
    def deps(self) -> Deps:
        deps: Deps = self.scope["app"].deps
        return deps

    @property
    def principal(self) -> Principal:
        return self.admitted.principal

    @property
    def app_id(self) -> str:
        return self.admitted.principal.app_id

    @property
    def settings(self) -> AppSettings:
        return self.admitted.app.settings

    @property
    def asker(self) -> Asker:
        """As the commands of calls want it."""
        return Asker(self.deps, self.admitted, ws_url_of(self.deps, self))


class KeyAsk(Ask):
    """A request that only a backend may make, with an API key."""

    credentials = frozenset({Credential.API_KEY})


class RingAsk(Ask):
    """A request that may also be made with the action token of a ring."""

    credentials = frozenset(Credential)


async def admit(ask: Ask) -> Admitted:
    """Check the credential, the kind of it, and the limits. Raises `TokenError` or `RefusedError`."""
    value = header(ask.scope, b"authorization")
    scheme, _, credential = (value or b"").decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not credential:
        raise TokenError("an Authorization header with a Bearer credential is needed")
    deps = ask.deps
    admitted = await deps.gate.admit(credential.strip())
    if admitted.principal.credential not in ask.credentials:
        raise RefusedError(Code.NOT_AUTHORIZED, "this kind of credential may not be used here")
    deps.limits.count(admitted.principal)
    return admitted


@dataclass(slots=True)
class Plan:
    """How one endpoint is called, read from its signature once."""

    endpoint: Callable[..., Awaitable[Response]]
    ask: tuple[str, type[Request]]
    path: list[tuple[str, TypeAdapter[Any]]] = field(default_factory=list)
    headers: list[tuple[str, bytes, TypeAdapter[Any], Any]] = field(default_factory=list)
    query: tuple[str, type[BaseModel]] | None = None
    body: tuple[str, type[BaseModel]] | None = None
    content: tuple[str, str] | None = None  # a body of text, and its content type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Response:
        name, kind = self.ask
        request = kind(scope, receive, send)
        if isinstance(request, Ask):
            request.admitted = scope["admitted"] = await admit(request)
        values: dict[str, Any] = {name: request}
        for name, adapter in self.path:
            values[name] = path_value(name, adapter, scope["path_params"][name])
        for name, field_name, adapter, default in self.headers:
            values[name] = header_value(field_name, adapter, header(scope, field_name), default)
        if self.query:
            values[self.query[0]] = query_value(self.query[1], scope["query_string"])
        if self.content:
            values[self.content[0]] = await read_text(scope, receive, self.content[1])
        elif self.body:
            values[self.body[0]] = await body_value(self.body[1], scope, receive)
        elif scope["method"] in WITH_BODY:
            await body_value(Empty, scope, receive)
        return await self.endpoint(**values)


def plan(endpoint: Callable[..., Any]) -> Plan:
    """Read a signature: one request, path parameters, at most one query model and one body, headers.

    A body with a content type of its own (`Body(media_type=…)`) is handed over as text.
    """
    hints = get_type_hints(endpoint, include_extras=True)
    defaults = {name: parameter.default for name, parameter in inspect.signature(endpoint).parameters.items()}
    made = Plan(endpoint, ("request", Request))
    for name, hint in hints.items():
        if name == "return":
            continue
        plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        marks = getattr(hint, "__metadata__", ())
        if isinstance(plain, type) and issubclass(plain, Request):
            made.ask = (name, plain)
        elif any(isinstance(mark, params.Query) for mark in marks):
            made.query = (name, plain)
        elif content := next((mark.media_type for mark in marks if isinstance(mark, params.Body)), None):
            made.content = (name, content)
        elif any(isinstance(mark, params.Header) for mark in marks):
            made.headers.append((name, name.replace("_", "-").encode(), TypeAdapter(hint), defaults[name]))
        elif isinstance(plain, type) and issubclass(plain, BaseModel):
            made.body = (name, plain)
        else:
            made.path.append((name, TypeAdapter(hint)))
    return made


def path_value(name: str, adapter: TypeAdapter[Any], text: str) -> Any:
    """A parameter in the path. An id that cannot be one names nothing: 404."""
    try:
        return adapter.validate_python(text.replace(SLASH, "/"))
    except ValidationError as error:
        raise RefusedError(Code.NOT_FOUND, f"there is nothing with this {name}") from error


def header_value(name: bytes, adapter: TypeAdapter[Any], value: bytes | None, default: Any) -> Any:
    """A header's value, or its default."""
    if value is None:
        return default
    try:
        return adapter.validate_python(value.decode("latin-1"))
    except ValidationError as error:
        raise invalid(error, name.decode()) from error


def query_value(model: type[BaseModel], query: bytes) -> BaseModel:
    """The query as its model. A name that is there twice must be a list's; unknown names are refused by the model."""
    fields: dict[str, Any] = {}
    for name, value in query_pairs(query):
        if _is_list(model, name):
            fields.setdefault(name, []).append(value)
        elif name in fields:
            raise RefusedError(Code.INVALID_REQUEST, "query: a parameter is given twice")
        else:
            fields[name] = value
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise invalid(error, "query") from error


def query_pairs(query: bytes) -> list[tuple[str, str]]:
    """Names and values of a query, in UTF-8 and without NUL."""
    if not query:
        return []
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_QUERY_FIELDS
        )
    except ValueError:
        raise RefusedError(Code.INVALID_REQUEST, "the query is not valid") from None
    if any("\x00" in text for pair in pairs for text in pair):
        raise RefusedError(Code.INVALID_REQUEST, "query: a text contains NUL")
    return pairs


def _is_list(model: type[BaseModel], name: str) -> bool:
    known = model.model_fields.get(name)
    return known is not None and _holds_list(known.annotation)


def _holds_list(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin in {Union, types.UnionType, Annotated}:
        return any(_holds_list(part) for part in get_args(annotation))
    return origin in {list, tuple, set, frozenset}


async def body_value(model: type[BaseModel], scope: Scope, receive: Receive) -> BaseModel:
    """The body as its model. An empty body is an empty object."""
    data = await read_json(scope, receive)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise invalid(error, "body") from error


class Door(APIRoute):
    """A route whose requests go the short way."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._plan = plan(endpoint)

    @property
    def asks(self) -> type[Request]:
        """What kind of request the endpoint takes: it says which credentials open this door."""
        return self._plan.ask[1]

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in (self.methods or ()):
            raise HTTPException(405, headers={"Allow": ", ".join(self._methods_here(scope))})
        response = await self._plan(scope, receive, send)
        await response(scope, receive, send)

    def _methods_here(self, scope: Scope) -> list[str]:
        """Every method that this path takes, at whichever door."""
        doors = (route for route in scope["app"].routes if isinstance(route, Door))
        here = (door for door in doors if door.matches(scope)[0] is not Match.NONE)
        return sorted({method for door in here for method in door.methods or ()})
