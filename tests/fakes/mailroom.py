"""A mail server (aiosmtpd) on loopback that says "no" where it is told to, and keeps every mail it takes."""

import asyncio
import email
import email.policy
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = "calls@mail.example", "open sesame, please"


@dataclass
class FakeMailServer:
    """`says` has for `MAIL`, `RCPT` or `DATA` what is answered in turn; then everything is taken.

    An answer may be an event: nothing is said until it is set.
    """

    says: dict = field(default_factory=dict)
    port: int = 0
    mails: list = field(default_factory=list)
    envelopes: list = field(default_factory=list)
    sign_ins: list = field(default_factory=list)
    greetings: list = field(default_factory=list)
    inside: int = 0
    most_inside: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    taken: asyncio.Queue = field(default_factory=asyncio.Queue)

    async def _answer(self, command, otherwise):
        answers = self.says.get(command)
        answer = answers.pop(0) if answers else otherwise
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            answer = otherwise
        return answer

    async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802 - aiosmtpd's name
        session.host_name = hostname
        self.greetings.append(hostname)
        return responses

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802 - as above
        self.inside += 1
        self.most_inside = max(self.inside, self.most_inside)
        self.arrived.set()
        answer = await self._answer("MAIL", "250 OK")
        if answer.startswith("250"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - as above
        answer = await self._answer("RCPT", "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - as above
        answer = await self._answer("DATA", "250 2.0.0 queued as 4711")
        self.inside -= 1
        if answer.startswith("250"):
            self.envelopes.append(envelope)
            self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
            self.taken.put_nowait(self.mails[-1])
        return answer

    def authenticate(self, server, session, envelope, mechanism, given):
        self.sign_ins.append((mechanism, given.login.decode(), given.password.decode()))
        return AuthResult(success=self.sign_ins[-1][1:] == (USER, PASSWORD), handled=False)


@asynccontextmanager
async def mail_server(*, tls=None, at_once=False, sign_in=False, **says):
    """One that offers STARTTLS when it has a certificate, or speaks TLS from the beginning (`at_once`)."""
    loop = asyncio.get_running_loop()
    fake = FakeMailServer({command: list(answers) for command, answers in says.items()})

    def speaker():
        return SMTP(
            fake,
            hostname="mail.example",
            loop=loop,
            enable_SMTPUTF8=True,
            tls_context=None if at_once else tls,
            authenticator=fake.authenticate,
            auth_required=sign_in and not at_once,
            auth_require_tls=not at_once,
        )

    server = await loop.create_server(speaker, "127.0.0.1", 0, ssl=tls if at_once else None)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
