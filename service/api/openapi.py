"""The OpenAPI: what FastAPI reads from the endpoints, and what it cannot know."""

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from service.api.declared import CODES
from service.api.door import Ask, Door
from service.api.errors import STATUS
from service.api.examples import REQUEST_EXAMPLES, answer_examples
from service.api.links import add_links
from service.core.refusals import Code
from service.core.rights import Credential
from service.wire.event_types import KEPT_TYPES
from service.wire.problems import CONTENT_TYPE, TITLES
from service.wire.user_feed import PRESENCE_CHANGED
from service.wire.views import CallEvent, Event, Problem

REFERENCE = "#/components/schemas/"

ABOUT = """\
Hookswitch makes people's devices ring and keeps the one true state of every call.

Times are RFC 3339 in UTC with milliseconds. Lists are pages: pass `next_cursor` as `cursor`.
Unknown fields are refused.
Every "no" is `application/problem+json` (RFC 9457) with a stable `code`. Repeating a command that has had its effect
answers 200 with the current state and tells nobody anything.
"""
TAGS = (
    ("calls", "Ring people, and everything that can be done with a call."),
    ("rings", "What a woken phone does with the action token that came in its push."),
    ("events", "Everything told in the app, for consumers that prefer pulling."),
    ("tokens", "How an app's backend lets its users in."),
    ("users", "People who can be rung."),
    ("devices", "What rings."),
    ("presence", "Online, offline or busy; with whom and on which device."),
    ("webhooks", "Where the app's events are sent."),
    ("push", "What the app signs in with to push services, to its mail server and to its message gateway."),
    ("rules", "Which people are told of what, by push, mail or message."),
    ("media", "What media needs to find its way."),
    ("app", "The app's settings."),
    ("health", "For operators."),
)
SECURITY: tuple[tuple[Credential, str, dict[str, str]], ...] = (
    (
        Credential.API_KEY,
        "apiKey",
        {"type": "http", "scheme": "bearer", "description": "An app's API key: may do everything in its app."},
    ),
    (
        Credential.USER,
        "userToken",
        {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A user's token, from `POST /v1/tokens` or signed by the backend: acts as that user.",
        },
    ),
    (
        Credential.RING,
        "ringToken",
        {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The action token of one ring, from its push: opens that ring's endpoints alone.",
        },
    ),
)
ALWAYS = (Code.INVALID_REQUEST, Code.INTERNAL_ERROR, Code.SERVICE_UNAVAILABLE)
WITH_CREDENTIAL = (
    Code.NOT_AUTHENTICATED,
    Code.TOKEN_EXPIRED,
    Code.TOKEN_REVOKED,
    Code.NOT_AUTHORIZED,
    Code.RATE_LIMITED,
)
RETRY_LATER = frozenset({STATUS[Code.RATE_LIMITED], STATUS[Code.SERVICE_UNAVAILABLE]})
WEBHOOK_HEADERS = (
    ("webhook-id", "The event's id: the same on every retry."),
    ("webhook-timestamp", "When it was sent, in seconds since the epoch."),
    (
        "webhook-signature",
        "`v1,` and the signature in base64; several, with spaces between, while a secret is rotated.",
    ),
)


def document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """The whole OpenAPI of these routes. Always the same for the same routes."""
    doors = [route for route in routes if isinstance(route, Door)]
    made = get_openapi(
        title="Hookswitch",
        version=version("hookswitch"),
        openapi_version="3.1.0",
        description=ABOUT,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "http://127.0.0.1:8080", "description": "`hookswitch serve` on this machine"}],
        tags=[{"name": name, "description": about} for name, about in TAGS],
        routes=doors,
    )
    schemas = made["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for model in (Problem, Event, CallEvent):
        _add_model(schemas, model)
    shared: dict[str, Any] = made["components"].setdefault("responses", {})
    for door, operation in _operations(doors, made["paths"]):
        _complete(door, operation, schemas)
        _add_refusals(operation["responses"], _always(door, operation), shared)
    add_links({operation["operationId"]: operation for _door, operation in _operations(doors, made["paths"])})
    _add_examples(schemas)
    made["components"]["securitySchemes"] = {name: scheme for _, name, scheme in SECURITY}
    made["webhooks"] = webhooks()
    return made


def _operations(doors: Iterable[APIRoute], paths: dict[str, Any]) -> Iterator[tuple[Door, dict[str, Any]]]:
    for door in doors:
        if isinstance(door, Door) and door.include_in_schema:
            for method in door.methods or ():
                yield door, paths[door.path_format][method.lower()]


def _add_model(schemas: dict[str, Any], model: Any) -> None:
    shape = model.model_json_schema(ref_template=REFERENCE + "{model}", mode="serialization")
    for name, part in shape.pop("$defs", {}).items():
        schemas.setdefault(name, part)
    schemas.setdefault(model.__name__, shape)


def _complete(door: Door, operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """Names, credentials and refusals of one operation."""
    operation["operationId"] = door.name
    kinds = door.asks.credentials if issubclass(door.asks, Ask) else frozenset()
    operation["security"] = [{name: []} for each, name, _ in SECURITY if each in kinds]
    if body := operation.get("requestBody"):
        reference = body["content"].get("application/json", {}).get("schema", {}).get("$ref")
        body["required"] = reference is None or bool(schemas[reference.removeprefix(REFERENCE)].get("required"))


def _always(door: Door, operation: Mapping[str, Any]) -> list[Code]:
    """The codes that an operation of this kind may answer without saying so."""
    codes = list(ALWAYS)
    if operation["security"]:
        codes.extend(WITH_CREDENTIAL)
    if "requestBody" in operation:
        codes.append(Code.PAYLOAD_TOO_LARGE)
    if "{" in door.path:
        codes.append(Code.NOT_FOUND)
    return codes


def _add_refusals(responses: dict[str, Any], codes: list[Code], shared: dict[str, Any]) -> None:
    """One response for each status with the codes it may carry; equal ones are shared by all operations."""
    meant: dict[int, list[Code]] = {}
    for response in responses.values():
        for value in response.pop(CODES, ()):
            meant.setdefault(STATUS[Code(value)], []).append(Code(value))
    for code in codes:
        if code not in meant.setdefault(STATUS[code], []):
            meant[STATUS[code]].append(code)
    for status, of_status in meant.items():
        name = "-".join(code.value for code in of_status)
        shared.setdefault(name, _refusal(status, of_status))
        responses[str(status)] = {"$ref": f"#/components/responses/{name}"}
    for name in sorted(responses):
        responses[name] = responses.pop(name)


def _refusal(status: int, codes: list[Code]) -> dict[str, Any]:
    shape = {
        "allOf": [{"$ref": f"{REFERENCE}Problem"}],
        "properties": {"code": {"enum": [code.value for code in codes]}},
    }
    response: dict[str, Any] = {
        "description": "\n".join(f"- `{code.value}`: {TITLES[code]}" for code in codes),
        "content": {CONTENT_TYPE: {"schema": shape}},
    }
    if status in RETRY_LATER:
        about = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
        response["headers"] = {"Retry-After": about}
    return response


def _add_examples(schemas: dict[str, Any]) -> None:
    for name, example in (*answer_examples().items(), *REQUEST_EXAMPLES):
        if name in schemas:
            schemas[name].setdefault("examples", []).append(example)


def webhooks() -> dict[str, Any]:
    """The `webhooks` section: every event that an endpoint may be sent."""
    parameters = [
        {"name": name, "in": "header", "required": True, "description": about, "schema": {"type": "string"}}
        for name, about in WEBHOOK_HEADERS
    ]
    return {name: {"post": _webhook(name, parameters)} for name in KEPT_TYPES}


def _shape_of(name: str) -> str:
    """The shape of that event."""
    if name == PRESENCE_CHANGED:
        return "PresenceChange"
    return "CallEvent" if name.startswith(("call.", "participant.")) or name == "signal.sent" else "Event"


def _webhook(name: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    shape = {
        "allOf": [{"$ref": f"{REFERENCE}{_shape_of(name)}"}],
        "properties": {"type": {"const": name}},
    }
    return {
        "operationId": f"on_{name.replace('.', '_')}",
        "summary": name,
        "tags": ["webhooks"],
        "parameters": parameters,
        "requestBody": {"required": True, "content": {"application/json": {"schema": shape}}},
        "responses": {
            "2XX": {"description": "Taken; it is not sent again."},
            "410": {"description": "Gone: the webhook is disabled."},
            "default": {"description": "Not taken; it is sent again later."},
        },
    }
