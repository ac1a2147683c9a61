"""Writing a mail: one small letter in two forms, text and simple HTML, that says the same in both.

Whatever comes from outside (titles, texts, links) is escaped, and nothing in it can add a header.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from html import escape
from typing import Any

from service.core.templates import one_line
from service.core.vocabulary import AlertKind
from service.core.wording import language, until
from service.dispatch.push.channel import Notice

EXPIRING = frozenset({AlertKind.RING, AlertKind.FALLBACK, AlertKind.NOTIFY})
"""What can still be answered, so that it matters until when."""
NAME = re.compile(r"""[^\x00-\x20\x7f-\x9f()<>\[\]:;@\\,"]{1,64}""")
DOMAIN = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*", re.ASCII)
PAGE = (
    '<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title></head>\n'
    '<body style="font-family: sans-serif; line-height: 1.5">\n<h1 style="font-size: 1.2em">{title}</h1>\n'
    "{parts}\n</body></html>\n"
)


def mailbox(address: str) -> Address:
    """An address as it goes over the wire: the domain in ASCII. Raises `ValueError` for what is none that mail goes to.

    The old forms with quotes, comments and literal addresses are left out: nobody is reached by them, and programs on
    the way read them in different ways.
    """
    name, _, domain = address.rpartition("@")
    if not domain.isascii():
        domain = domain.encode("idna").decode()
    if not (NAME.fullmatch(name) and DOMAIN.fullmatch(domain)):
        raise ValueError("not an e-mail address")
    return Address(username=name, domain=domain)


def letter(notice: Notice, sender: Address, to: Address, now: datetime) -> EmailMessage:
    """The mail of a notice."""
    message = EmailMessage(policy=SMTP if is_plain(sender, to) else SMTPUTF8)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = one_line(notice.title)
    message["Date"] = now.astimezone(UTC).replace(microsecond=0)
    message["Message-ID"] = message_id(notice, sender)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine may answer
    paragraphs = [paragraph for paragraph in (notice.body.strip(), _until(notice)) if paragraph]
    link = _link(notice.payload)
    text = "\n\n".join([one_line(notice.title), *paragraphs, *([link] if link else [])])
    message.set_content(text + "\n", cte="quoted-printable")
    parts = [f"<p>{escape(paragraph).replace(chr(10), '<br>')}</p>" for paragraph in paragraphs]
    if link:
        parts.append(f'<p><a href="{escape(link)}">{escape(link)}</a></p>')
    page = PAGE.format(
        language=language(notice.address.locale), title=escape(one_line(notice.title)), parts="\n".join(parts)
    )
    message.add_alternative(page, subtype="html", cte="quoted-printable")
    return message


def is_plain(*addresses: Address) -> bool:
    """Whether any mail server can take these addresses; others need SMTPUTF8 (RFC 6531)."""
    return all(address.username.isascii() for address in addresses)


def message_id(notice: Notice, sender: Address) -> str:
    """The same for every retry of the same try, so that mail servers can tell."""
    return f"<{notice.id}@{sender.domain}>"


def _until(notice: Notice) -> str | None:
    return until(notice.expires_at, notice.address.locale) if notice.kind in EXPIRING else None


def _link(payload: Mapping[str, Any]) -> str | None:
    """Where the person can see to a ring: a page if the payload names one, else its state."""
    links = payload.get("links") or {}
    link = links.get("open") or links.get("state")
    return link if isinstance(link, str) and link.startswith(("https://", "http://")) else None
