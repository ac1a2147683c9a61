"""A browser's push service on loopback, and the browser itself, which reads what comes."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from joserfc import jwt
from joserfc.jwk import ECKey

from service.wire.credentials import WebPushCredentials
from service.wire.vapid import make_vapid_key, vapid_key, vapid_public_key
from tests.dispatch.receiver import Receiver, listening, status
from tests.fakes.browser import Browser

SUBJECT = "mailto:push@calls.example.org"
CAPABILITY = "gAAAAABk-the-path-by-which-anybody-may-push-to-this-browser"


@dataclass
class FakePushService(Receiver):
    """Takes messages of whom the browser subscribed with (`credentials`), unless `answers` say otherwise.

    `heard` are the texts that the browser could read, `claims` what senders told of themselves, `wrong` what a push
    service or a browser would not have taken.
    """

    browser: Browser = field(default_factory=Browser)
    credentials: WebPushCredentials = field(
        default_factory=lambda: WebPushCredentials(subject=SUBJECT, private_key=make_vapid_key())
    )
    heard: list = field(default_factory=list)
    claims: list = field(default_factory=list)
    wrong: list = field(default_factory=list)

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def push(self):
        """The device's registration."""
        return {
            "provider": "webpush",
            "subscription": self.browser.subscription(f"{self.origin}/wpush/v2/{CAPABILITY}"),
        }

    def answer_to(self, request):
        answer = super().answer_to(request)
        if answer is not self.otherwise:
            return answer
        fault = self._fault(request)
        if fault:
            self.wrong.append(fault)
            return status(400, body=fault.encode())
        return status(201, f"location: {self.origin}/m/{len(self.heard)}")

    def _fault(self, request):
        headers = request.headers
        wanted = {"content-encoding": "aes128gcm", "content-type": "application/octet-stream"}
        if any(headers.get(name) != value for name, value in wanted.items()):
            return f"headers: {headers}"
        if not headers["ttl"].isdecimal() or headers["urgency"] not in {"very-low", "low", "normal", "high"}:
            return f"ttl {headers['ttl']}, urgency {headers['urgency']}"
        scheme, _, rest = headers["authorization"].partition(" ")
        shown = dict(part.strip().split("=", 1) for part in rest.split(","))
        if scheme != "vapid" or shown["k"] != vapid_public_key(self.credentials):
            return "not whom the browser subscribed with"
        key = ECKey.import_key(vapid_key(self.credentials).public_key())
        self.claims.append(jwt.decode(shown["t"], key, ["ES256"]).claims)
        text = self.browser.read(request.body)
        if text is None or len(request.body) > 4_096:
            return "the browser cannot read it"
        self.heard.append(text)
        return None


@asynccontextmanager
async def push_service(**how):
    """A push service on a free port."""
    async with listening(FakePushService(**how)) as fake:
        yield fake
        assert fake.wrong == []
