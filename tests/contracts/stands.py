"""Channels with their providers at hand, for the suite that all channels keep to (test_channels.py)."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from service.dispatch.guard import Guard, SystemResolver
from service.dispatch.post import PostConfig, Poster
from service.dispatch.push.answers import plain
from service.dispatch.push.apns import ApnsChannel
from service.dispatch.push.apprise import Apprise
from service.dispatch.push.channel import Address, Notice, Outcome, Receipt
from service.dispatch.push.email import EmailChannel, EmailConfig
from service.dispatch.push.fcm import FcmChannel, FcmConfig
from service.dispatch.push.message import MessageChannel
from service.dispatch.push.webpush import WebPushChannel, WebPushConfig
from service.wire.credentials import Granted
from service.wire.signatures import new_secret
from tests.dispatch.notices import by_mail, by_message, granted, notice, ring
from tests.dispatch.receiver import hang, listening, status
from tests.fakes import google as says
from tests.fakes.apple import FakeProviderTokens, apns_credentials
from tests.fakes.channel import FakeChannel
from tests.fakes.mailroom import PASSWORD, USER, mail_server
from tests.fakes.push_service import CAPABILITY, push_service
from tests.fixtures.apns import apns as stands_in
from tests.fixtures.apns import token
from tests.fixtures.certificates import certificate

HOSTILE = "a\x00b\x1b[31mc"
"""What no provider should say, and PostgreSQL does not take."""
LIMIT_S = 0.5
"""How long a try may take in these tests."""
MAIL_LIMIT_S = 3.0
"""The same where each try shakes hands by TLS with a server in this same process."""


@dataclass
class Stand:
    """A channel and what it sends; its provider does what `behave` says with the next notice, and takes all others.

    `behave` knows `gone`, `refused`, `later`, `silent`, `unauthorized` and `hostile`; `leave` takes the provider away.
    `heard` are texts in which what came to the provider can be read. `gone` is what the channel makes of an address
    that is gone, `asks_s` for how long its provider can ask to be left alone, `limit_s` how long a try may take. No
    receipt may have any of `secrets` in it.
    """

    channel: Any
    notice: Notice
    granted: Granted
    behave: Callable[[str], None]
    heard: Callable[[], list[str]]
    leave: Callable[[], Awaitable[None]]
    secrets: tuple[str, ...]
    gone: Outcome = Outcome.GONE
    asks_s: float = 7.0
    limit_s: float = LIMIT_S


@asynccontextmanager
async def fake(tmp_path):
    channel = FakeChannel()
    receipts = {
        "gone": Receipt(Outcome.GONE, 410, reason="Gone"),
        "refused": Receipt(Outcome.REFUSED, 400, reason="Bad"),
        "later": Receipt(Outcome.LATER, 503, reason="Busy", retry_after_s=7.0),
        "silent": Receipt(Outcome.LATER, reason="no_answer"),
        "unauthorized": Receipt(Outcome.MISCONFIGURED, 403, reason="Forbidden", detail="the key is not known"),
        "hostile": plain(Receipt(Outcome.REFUSED, 400, HOSTILE, HOSTILE, HOSTILE)),
    }

    async def leave():
        channel.script.append(Receipt(Outcome.LATER, reason="no_connection"))

    yield Stand(
        channel,
        notice(),
        by_mail(25, password="not to be told"),
        lambda word: channel.script.append(receipts[word]),
        lambda: [str(each.payload) for each in channel.sent],
        leave,
        ("not to be told",),
    )


@asynccontextmanager
async def email(tmp_path):
    theirs, ours = certificate(tmp_path, "mail.example")
    gate = asyncio.Event()
    says = {
        "gone": ("RCPT", "550 5.1.1 no such user"),
        "refused": ("DATA", "554 5.7.1 no"),
        "later": ("RCPT", "451 4.7.1 later"),
        "silent": ("MAIL", gate),
        "unauthorized": ("MAIL", "530 5.7.0 sign in first"),
        "hostile": ("RCPT", f"550 5.1.1 {HOSTILE}"),
    }

    async def here(host, port):
        return ["127.0.0.1"]

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(mail_server(tls=theirs, sign_in=True))
        yield Stand(
            EmailChannel(Guard(here, allow_private=True), EmailConfig(timeout_s=MAIL_LIMIT_S), ours),
            notice(),
            by_mail(server.port, host="mail.example", security="starttls", username=USER, password=PASSWORD),
            lambda word: server.says.setdefault(says[word][0], []).append(says[word][1]),
            lambda: [mail.as_string() for mail in server.mails],
            stack.aclose,
            (PASSWORD,),
            gone=Outcome.REFUSED,
            asks_s=0.0,
            limit_s=MAIL_LIMIT_S,
        )
        gate.set()


@asynccontextmanager
async def apns(tmp_path):
    words = {"gone": "gone", "refused": "bad", "later": "down 7", "silent": "silent", "unauthorized": "invalid"}
    words["hostile"] = "hostile"
    tokens = {word: token("once", *what.split()) for word, what in words.items()}
    credentials = apns_credentials()

    def behave(word):
        stand.notice = replace(stand.notice, address=Address(push={"provider": "apns", "token": tokens[word]}))

    async with AsyncExitStack() as stack:
        # It does not mind that the notice is of another day.
        apple = await stack.enter_async_context(stands_in(tmp_path, credentials, lifetime_s=1e9))
        stand = Stand(
            ApnsChannel(FakeProviderTokens(), apple.config(timeout_s=LIMIT_S)),
            ring({"provider": "apns", "token": token("ok")}),
            granted(credentials),
            behave,
            lambda: [str(request["payload"]) for request in apple.requests],
            stack.aclose,
            (*tokens.values(), "bearer", "eyJ", *credentials.private_key.splitlines()[1:-1]),
        )
        yield stand


@asynccontextmanager
async def fcm(tmp_path):
    token = "cXk-registration:APA91b-of-a-phone"
    answers = {
        "gone": says.UNREGISTERED,
        "refused": says.error(400, "INVALID_ARGUMENT", f"{token} is none", "INVALID_ARGUMENT"),
        "later": (*says.UNAVAILABLE, "retry-after: 7"),
        "silent": hang,
        "unauthorized": says.DISABLED,
        "hostile": (200, {"name": HOSTILE}),
    }
    async with AsyncExitStack() as stack:
        google = await stack.enter_async_context(says.google())
        credentials = google.credentials()
        yield Stand(
            FcmChannel(SystemResolver(), FcmConfig(google.base, timeout_s=LIMIT_S, allow_private=True)),
            ring({"provider": "fcm", "token": token}),
            granted(credentials),
            lambda word: google.answers.append(answers[word]),
            lambda: [str(body) for body in google.sent],
            stack.aclose,
            (token, "ya29", *credentials.service_account.private_key.splitlines()[1:-1]),
        )
        assert google.wrong == []


@asynccontextmanager
async def webpush(tmp_path):
    answers = {
        "gone": status(410, body=CAPABILITY.encode()),
        "refused": status(400, body=CAPABILITY.encode()),
        "later": status(503, "retry-after: 7"),
        "silent": hang,
        "unauthorized": status(403),
        "hostile": status(400, body=HOSTILE.encode()),
    }
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(push_service())
        yield Stand(
            WebPushChannel(SystemResolver(), WebPushConfig(timeout_s=LIMIT_S, allow_private=True)),
            ring(service.push),
            granted(service.credentials),
            lambda word: service.answers.append(answers[word]),
            lambda: [text.decode() for text in service.heard],
            stack.aclose,
            (CAPABILITY, service.credentials.private_key, *service.push["subscription"]["keys"].values()),
        )


@asynccontextmanager
async def message(tmp_path):
    secret = new_secret()
    answers = {
        "gone": status(410),
        "refused": status(422),
        "later": status(503, "retry-after: 7"),
        "silent": hang,
        "unauthorized": status(401),
        "hostile": status(200, body=json.dumps({"id": HOSTILE}).encode()),
    }
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(listening())
        guard = Guard(SystemResolver(), allow_private=True)
        yield Stand(
            MessageChannel(Poster(guard, PostConfig(timeout_s=LIMIT_S, allow_private=True)), Apprise()),
            notice(),
            by_message(url=gateway.url, secret=secret),
            lambda word: gateway.answers.append(answers[word]),
            lambda: [request.body.decode() for request in gateway.requests],
            stack.aclose,
            (secret,),
        )
