"""E-mail: one mail to one person, by the mail server that the app's backend named.

That server is somebody else's: its name is resolved and its addresses are checked as those of webhooks are
(dispatch/guard.py), its certificate must be good, and however it behaves, a try is over within its time.
What it says decides: 4xx is later, 5xx is never; a sign-in that is refused, a sender that is not allowed, a server that
cannot do what the credentials ask for are the app's to repair.
"""

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage

import httpcore2
from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)

from service.dispatch.guard import ForbiddenAddressError, Guard
from service.dispatch.push.answers import later, told
from service.dispatch.push.channel import Notice, Outcome, Receipt
from service.dispatch.push.mime import is_plain, letter, mailbox, message_id
from service.store.checkup import Finding
from service.wire.credentials import EmailCredentials, Granted
from service.wire.urls import FIRST_FREE_PORT, MAIL_PORTS

GOODBYE_S = 0.5
"""How long a server may take to say goodbye after it has the mail."""
SIGN_IN = frozenset({530, 534, 535, 538})
"""Codes by which a server wants another sign-in (RFC 4954, 6)."""
NO_SUCH_WAY = 504
"""What a server says that offers a way to sign in which it does not know."""
ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})\b", re.ASCII)
"""An enhanced status code (RFC 3463)."""


@dataclass(slots=True, frozen=True)
class EmailConfig:
    """Bounds: seconds for a try, and mails under way to one mail server at a time."""

    timeout_s: float = 5.0
    per_host: int = 20


@dataclass(slots=True)
class _Room:
    free: asyncio.Semaphore
    inside: int = 0


class EmailChannel:
    """One connection for each mail; no more of them than a mail server bears."""

    def __init__(self, guard: Guard, config: EmailConfig | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._config = config or EmailConfig()
        self._tls = tls or httpcore2.default_ssl_context()
        self._rooms: dict[str, _Room] = {}

    async def send(self, notice: Notice, granted: Granted, now: datetime) -> Receipt:
        """Hand one mail over. Raises nothing: every fault is a receipt."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        receipt = await self._tried(notice, granted.body, now)
        return replace(receipt, latency_ms=round((loop.time() - began) * 1000))

    async def check(self, granted: Granted, now: datetime) -> Finding:
        """What the doctor wants to know: whether the server lets the app in and takes its sender. No mail is sent."""
        del now
        credentials: EmailCredentials = granted.body
        name = f"e-mail ({granted.environment}), {credentials.host}:{credentials.port}"
        try:
            await self._greeted(credentials)
        except TimeoutError:
            return Finding(f"{name}: no answer within {self._config.timeout_s:g} s", fault=True)
        except (SMTPException, OSError, ValueError, httpcore2.ConnectError) as fault:
            receipt = _receipt_of(fault)
            return Finding(f"{name}: {receipt.detail or receipt.reason}", fault=True)
        return Finding(f"{name}: the server takes mail of {credentials.sender}")

    async def _greeted(self, credentials: EmailCredentials) -> None:
        """As if there were a mail, up to its sender."""
        sender = mailbox(credentials.sender)
        async with asyncio.timeout(self._config.timeout_s), self._room(credentials.host):
            smtp = await self._connected(credentials)
            try:
                await smtp.ehlo()
                await smtp.mail(sender.addr_spec, options=[] if is_plain(sender, sender) else ["SMTPUTF8"])
                with suppress(SMTPException, OSError):
                    await smtp.quit(timeout=GOODBYE_S)
            finally:
                smtp.close()

    async def close(self) -> None:
        """Nothing is kept between mails."""

    async def _tried(self, notice: Notice, credentials: EmailCredentials, now: datetime) -> Receipt:
        try:
            sender, to = mailbox(credentials.sender), mailbox(notice.address.email or "")
        except ValueError:
            return Receipt(Outcome.REFUSED, reason="bad_address", detail="the address is not one that mail can go to")
        try:
            mail = letter(notice, sender, to, now)
            answer = await self._delivered(mail, sender, to, credentials)
        except TimeoutError:
            return later("no_answer", f"no answer within {self._config.timeout_s:g} s")
        except (SMTPException, OSError, ValueError, httpcore2.ConnectError) as fault:
            return _receipt_of(fault)
        return Receipt(Outcome.TAKEN, 250, message_id(notice, sender), detail=told(answer))

    async def _delivered(self, mail: EmailMessage, sender: Address, to: Address, credentials: EmailCredentials) -> str:
        """Hand the mail over; the server's answer to it."""
        smtp: SMTP | None = None
        try:
            async with asyncio.timeout(self._config.timeout_s), self._room(credentials.host):
                smtp = await self._connected(credentials)
                options = [] if is_plain(sender, to) else ["SMTPUTF8"]
                _, answer = await smtp.sendmail(sender.addr_spec, [to.addr_spec], mail.as_bytes(), mail_options=options)
            with suppress(SMTPException, OSError):  # it has the mail
                await smtp.quit(timeout=GOODBYE_S)
        finally:
            if smtp is not None:
                smtp.close()
        return answer

    async def _connected(self, credentials: EmailCredentials) -> SMTP:
        """Connected to an address that was checked, encrypted and signed in as the credentials say."""
        if credentials.port < FIRST_FREE_PORT and credentials.port not in MAIL_PORTS:
            raise ForbiddenAddressError(f"port {credentials.port} belongs to another kind of server")
        plain = await self._guard.connected(credentials.host, credentials.port)
        here = plain.getsockname()[0]
        smtp = SMTP(
            hostname=credentials.host.removesuffix("."),
            sock=plain,
            local_hostname=f"[IPv6:{here}]" if ":" in here else f"[{here}]",
            use_tls=credentials.security == "tls",
            start_tls=credentials.security == "starttls",
            tls_context=self._tls,
            timeout=None,
        )
        try:
            await smtp.connect()
            if credentials.username is not None:
                await _sign_in(smtp, credentials.username, credentials.password or "", credentials.security)
        except BaseException:
            smtp.close()
            raise
        return smtp

    @asynccontextmanager
    async def _room(self, host: str) -> AsyncIterator[None]:
        """A place at that mail server; waits for one."""
        host = host.lower()
        room = self._rooms.setdefault(host, _Room(asyncio.Semaphore(self._config.per_host)))
        room.inside += 1
        try:
            async with room.free:
                yield
        finally:
            room.inside -= 1
            if not room.inside:
                del self._rooms[host]


async def _sign_in(smtp: SMTP, username: str, password: str, security: str) -> None:
    """Sign in once: servers take their time to refuse, and some lock out who tries again and again.

    Where nothing is encrypted, by the way that does not show the password, if the server has it.
    """
    await smtp.ehlo()
    ways = {"plain": smtp.auth_plain, "login": smtp.auth_login, "cram-md5": smtp.auth_crammd5}
    order = ("cram-md5", "plain", "login") if security == "none" else ("plain", "login", "cram-md5")
    offered = [ways[name] for name in order if name in smtp.supported_auth_methods]
    for sign_in in offered:
        try:
            await sign_in(username, password)
        except SMTPAuthenticationError as fault:
            if fault.code != NO_SUCH_WAY or sign_in is offered[-1]:
                raise
        else:
            return
    raise SMTPException("the mail server offers no way to sign in")


def _receipt_of(fault: Exception) -> Receipt:
    """What a fault means: whose it is, and whether to try again."""
    if isinstance(fault, SMTPRecipientsRefused):
        fault = fault.recipients[0]
    if isinstance(fault, SMTPResponseException):
        return _answered(fault)
    cause = next((error for error in (fault, fault.__cause__) if isinstance(error, ssl.SSLError)), None)
    if cause:
        return Receipt(Outcome.MISCONFIGURED, reason="tls_failed", detail=told(str(cause)))
    if isinstance(fault, ForbiddenAddressError):
        return Receipt(Outcome.MISCONFIGURED, reason="forbidden_address", detail=told(str(fault)))
    if isinstance(fault, OSError | SMTPServerDisconnected | httpcore2.ConnectError):
        return later("no_connection", told(_in_words(fault.__cause__ or fault)))
    if isinstance(fault, SMTPNotSupported | ValueError):
        return Receipt(Outcome.REFUSED, reason="bad_address", detail="the mail server cannot take that address")
    # What is left is a server that cannot do what the credentials ask for.
    return Receipt(Outcome.MISCONFIGURED, reason="not_offered", detail=told(str(fault)))


def _answered(fault: SMTPResponseException) -> Receipt:
    """A server's "no", by its code."""
    code = fault.code
    enhanced = ENHANCED.match(fault.message)
    reason = f"{code} {enhanced[1]}" if enhanced else str(code)
    if not 500 <= code < 600:
        return Receipt(Outcome.LATER, code if code > 0 else None, reason=reason, detail=told(fault.message))
    if isinstance(fault, SMTPAuthenticationError) or code in SIGN_IN:
        # Its words stay out: some servers repeat what was sent.
        detail = f"the mail server refused the sign-in ({reason})"
        return Receipt(Outcome.MISCONFIGURED, code, reason="not_signed_in", detail=detail)
    if isinstance(fault, SMTPSenderRefused):
        detail = told(f"the mail server refused the sender: {fault.message}")
        return Receipt(Outcome.MISCONFIGURED, code, reason=reason, detail=detail)
    return Receipt(Outcome.REFUSED, code, reason=reason, detail=told(fault.message))


def _in_words(fault: BaseException) -> str:
    """What the system says of a connection, without numbers and places."""
    return os.strerror(fault.errno) if isinstance(fault, OSError) and fault.errno else str(fault)
