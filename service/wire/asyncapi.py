"""The AsyncAPI of the live socket, written from the frames: what clients may send, what they must expect."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.wire.frames import ClientFrame, Hello
from service.wire.server_frames import ServerFrame

ABOUT = """\
One socket per device. The client says `hello` within 5 seconds; the service answers `welcome`, or an `error` and
closes with 4401. From then on the client sends commands and gets their results, and hears every event of its user's
calls in `seq` order.

Frames are JSON objects in text messages of at most 256 KB. A frame that does not fit its shape is answered by `error`
(`invalid_request`), and the socket stays open. Commands of one socket are done one after the other.

| close code | meaning |
|---|---|
| 1007 | a text message was not UTF-8 |
| 1009 | a message was larger than 256 KB |
| 1001, 1012 | the service is stopping: connect again |
| 1013 | the service cannot let anybody in now: try again |
| 4401 | not welcome: no hello in time, a token that is not valid, or one that was revoked meanwhile |
| 4408 | the client does not read: connect again with `resume_after` |
| 4409 | this device has a newer connection |
"""
CHANNEL = "live"
Models = tuple[type[BaseModel], ...]
SCHEMAS = "#/components/schemas/"


def document() -> dict[str, Any]:
    """The whole AsyncAPI 3.0 document. Always the same for the same frames."""
    clients: Models = (Hello, *_members(ClientFrame))
    said = {_key("client", model): model for model in clients}
    answered = {_key("server", model): model for model in _members(ServerFrame)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Hookswitch live socket",
            "version": version("hookswitch"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0"},
            "tags": [{"name": "calls"}, {"name": "presence"}, {"name": "media"}],
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": {
                "host": "127.0.0.1:8080",
                "protocol": "ws",
                "description": "`hookswitch serve` on this machine",
            },
        },
        "channels": {
            CHANNEL: {
                "address": "/v1/ws",
                "description": "The sub-protocol is `hookswitch.v1`; it may be left out.",
                "servers": [{"$ref": "#/servers/local"}],
                "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in (*said, *answered)},
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            },
        },
        "operations": {
            "listen": _operation(
                "receive", "What clients say.", "`hello` comes first; with an `id` a frame is answered.", said
            ),
            "tell": _operation(
                "send", "What clients hear.", "`welcome` comes first; events of a call come in order.", answered
            ),
        },
        "components": {
            "messages": {key: _message(key, model) for key, model in {**said, **answered}.items()},
            "schemas": _schemas((*said.values(), *answered.values())),
        },
    }


def _members(union: Any) -> Models:
    """The models of an annotated union."""
    members: Models = get_args(get_args(union)[0])
    return members


def _key(side: str, model: type[BaseModel]) -> str:
    return f"{side}.{_type(model)}"


def _type(model: type[BaseModel]) -> str:
    """The frame's `type`."""
    return str(get_args(model.model_fields["type"].annotation)[0])


def _operation(action: str, summary: str, description: str, messages: Iterable[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{CHANNEL}"},
        "summary": summary,
        "description": description,
        "messages": [{"$ref": f"#/channels/{CHANNEL}/messages/{key}"} for key in messages],
    }


def _message(key: str, model: type[BaseModel]) -> dict[str, Any]:
    return {
        "name": _type(model),
        "title": key.partition(".")[2],
        "summary": " ".join((model.__doc__ or "").split()),
        "contentType": "application/json",
        "payload": {"$ref": SCHEMAS + model.__name__},
    }


def _schemas(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """The shapes of all frames and of what they are made of, by name. Each is as it goes over the wire."""
    _, made = models_json_schema([(model, "validation") for model in models], ref_template=SCHEMAS + "{model}")
    schemas: dict[str, Any] = dict(sorted(made["$defs"].items()))
    return schemas
