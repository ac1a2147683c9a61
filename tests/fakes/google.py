"""Google on loopback: a token server that checks assertions, and FCM that checks tokens, paths and bodies."""

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from service.wire.credentials import FcmCredentials
from tests.dispatch.receiver import Receiver, listening, status
from tests.fixtures.google import faults, send_path

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PROJECT = "demo-project"
ACCOUNT = "calls@demo-project.example"


@cache
def private_key(name="account"):
    """RSA keys take a while to make."""
    return rsa.generate_private_key(65_537, 2_048)


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def error(code, state, message, error_code=None):
    """Google's way to say no."""
    said = {"code": code, "message": message, "status": state}
    if error_code:
        said["details"] = [
            {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": error_code},
        ]
    return code, {"error": said}


UNREGISTERED = error(404, "NOT_FOUND", "Requested entity was not found.", "UNREGISTERED")
INVALID = error(400, "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token",
                "INVALID_ARGUMENT")  # fmt: skip
OTHER_SENDER = error(403, "PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH")
DISABLED = error(403, "PERMISSION_DENIED", "Firebase Cloud Messaging API has not been used in project 1 before")
UNAUTHENTICATED = error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
QUOTA = error(429, "RESOURCE_EXHAUSTED", "Quota exceeded", "QUOTA_EXCEEDED")
UNAVAILABLE = error(503, "UNAVAILABLE", "The service is currently unavailable.", "UNAVAILABLE")
INTERNAL = error(500, "INTERNAL", "Internal error encountered.", "INTERNAL")


@dataclass
class FakeGoogle(Receiver):
    """Answers of FCM come from `answers`, those of the token server from `token_answers`; then all goes well.

    An answer is (status, object) or (status, object, header), or what a receiver takes. `sent` are FCM's bodies,
    `assertions` the claims of what tokens were asked for with, `wrong` what Google would not have taken.
    """

    keys: tuple = ("account",)
    life_s: object = 3_599
    token_answers: list = field(default_factory=list)
    sent: list = field(default_factory=list)
    assertions: list = field(default_factory=list)
    issued: list = field(default_factory=list)
    wrong: list = field(default_factory=list)

    def answer_to(self, request):
        answer = self._token(request) if request.target == "/token" else self._send(request)
        if isinstance(answer, tuple):
            code, said, *headers = answer
            body = said if isinstance(said, bytes) else json.dumps(said).encode()
            return status(code, "content-type: application/json", *headers, body=body)
        return answer

    def _token(self, request):
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        claims = self._asserted(form.get("assertion", ""))
        self.assertions.append(claims)
        if self.token_answers:
            return self.token_answers.pop(0)
        if claims is None or form["grant_type"] != GRANT or claims["aud"] != self.token_uri:
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        if claims["scope"] != SCOPE or claims["exp"] - claims["iat"] > 3_600:
            return 400, {"error": "invalid_scope", "error_description": "Invalid scope or life."}
        self.issued.append(f"ya29.token-{len(self.issued) + 1}")
        said = {"access_token": self.issued[-1], "token_type": "Bearer"}
        return 200, said if self.life_s is None else said | {"expires_in": self.life_s}

    def _asserted(self, assertion):
        for name in self.keys:
            try:
                return jwt.decode(assertion, RSAKey.import_key(private_key(name).public_key()), ["RS256"]).claims
            except (JoseError, ValueError):
                continue
        return None

    def _send(self, request):
        body = json.loads(request.body)
        self.sent.append(body)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.issued:
            return UNAUTHENTICATED
        if request.target != send_path(PROJECT):
            return 404, b"<html>Not Found</html>"
        if self.answers:
            return self.answers.pop(0)
        if wrong := faults("SendMessageRequest", body):
            self.wrong += wrong
            return INVALID
        if body.get("validateOnly"):
            return INVALID
        return 200, {"name": f"projects/{PROJECT}/messages/0:{len(self.sent)}"}

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def token_uri(self):
        return f"{self.base}/token"

    def credentials(self, key="account", **changed):
        """A service account's credentials, as they are downloaded."""
        account = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": f"id-of-{key}",
            "private_key": pem(private_key(key)),
            "client_email": ACCOUNT,
            "client_id": "1",
            "token_uri": self.token_uri,
        }
        return FcmCredentials(service_account=account | changed)


@asynccontextmanager
async def google(**how):
    """Google on a free port."""
    async with listening(FakeGoogle(**how)) as fake:
        yield fake
