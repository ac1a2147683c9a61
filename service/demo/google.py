"""Stands for Google on this machine: where a service account signs in, and FCM, which wakes phones.

It checks what Google checks: that the account signed the question for a token, and that a push came with that token.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs

import orjson
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from google.auth import jwt

from service.demo.cast import PATIENCE_S
from service.demo.endpoint import Endpoint, Request
from service.demo.teller import NotAsTold

PROJECT = "hookswitch-demo"
ACCOUNT = f"calls@{PROJECT}.iam.gserviceaccount.com"
TOKEN_PATH, SEND_PATH = "/token", f"/v1/projects/{PROJECT}/messages:send"
LIFE_S = 3_600


@dataclass(frozen=True, slots=True)
class Push:
    """A message that FCM took: what the phone will be told, and how long that is kept for a phone that is off."""

    device_token: str
    priority: str
    keep_s: float
    payload: dict[str, Any] = field(repr=False)


class Google:
    """Entered, it listens at `url`; `account` is then the file that its console would give a backend."""

    def __init__(self) -> None:
        self._endpoint = Endpoint(self._answer)
        self._public = b""
        self._issued: set[str] = set()
        self._came = asyncio.Condition()
        self.account: dict[str, str] = {}
        self.pushes: list[Push] = []

    async def __aenter__(self) -> Self:
        await self._endpoint.__aenter__()
        key = await asyncio.to_thread(rsa.generate_private_key, 65_537, 2_048)
        self._public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.account = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "demo",
            "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "client_email": ACCOUNT,
            "token_uri": f"{self.url}{TOKEN_PATH}",
        }
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._endpoint.__aexit__(*exc)

    @property
    def url(self) -> str:
        """Where it is reached."""
        return self._endpoint.url

    async def push(self, device_token: str, call_id: str, kind: str) -> Push:
        """The first push of that kind, for that call, to that phone. Raises `NotAsTold` when none comes."""

        def found() -> Push | None:
            wanted = device_token, call_id, kind
            return next((p for p in self.pushes if (p.device_token, *_about(p, "call_id", "type")) == wanted), None)

        try:
            async with asyncio.timeout(PATIENCE_S), self._came:
                while (push := found()) is None:
                    await self._came.wait()
                return push
        except TimeoutError:
            raise NotAsTold(f"no push {kind} came within {PATIENCE_S:.0f} s") from None

    async def _answer(self, request: Request) -> tuple[int, bytes]:
        if request.path == TOKEN_PATH:
            return self._token(request)
        if request.path != SEND_PATH:
            return _refusal(404, "NOT_FOUND")
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self._issued:
            return _refusal(401, "UNAUTHENTICATED")
        message = orjson.loads(request.body)["message"]
        self.pushes.append(_push(message))
        async with self._came:
            self._came.notify_all()
        return 200, orjson.dumps({"name": f"projects/{PROJECT}/messages/{len(self.pushes)}"})

    def _token(self, request: Request) -> tuple[int, bytes]:
        asked = parse_qs(request.body.decode())
        try:
            signed, check = asked["assertion"][0], {"certs": self._public, "audience": self.account["token_uri"]}
            claims = jwt.decode(signed, **check)  # type: ignore[no-untyped-call]  # the library has no types
        except (KeyError, ValueError):
            return 400, orjson.dumps({"error": "invalid_grant"})
        if claims["iss"] != ACCOUNT:
            return 400, orjson.dumps({"error": "invalid_grant"})
        token = f"token-{len(self._issued) + 1}"
        self._issued.add(token)
        return 200, orjson.dumps({"access_token": token, "token_type": "Bearer", "expires_in": LIFE_S})


def _about(push: Push, *names: str) -> tuple[Any, ...]:
    return tuple(push.payload.get(name) for name in names)


def _push(message: dict[str, Any]) -> Push:
    android = message["android"]
    payload = orjson.loads(message["data"]["payload"])
    return Push(message["token"], android["priority"], float(android["ttl"].removesuffix("s")), payload)


def _refusal(status: int, word: str) -> tuple[int, bytes]:
    return status, orjson.dumps({"error": {"code": status, "status": word}})
