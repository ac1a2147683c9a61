"""Credentials as they come in: what can be seen to be wrong with them, what is made where it was left out.

And what may be told of them later. No sentence repeats anything of what was given.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from service.wire.apple import provider_key
from service.wire.apprise import PHONE, check_apprise
from service.wire.credentials import (
    ApnsCredentials,
    EmailCredentials,
    FcmCredentials,
    MessageCredentials,
    WebPushCredentials,
)
from service.wire.signatures import key_of, new_secret
from service.wire.urls import FIRST_FREE_PORT, MAIL_PORTS, check_host, check_url
from service.wire.vapid import make_vapid_key, vapid_public_key

NO_RSA_KEY = "is no RSA key in PEM, as Google's service accounts have it"
SHORTEST_RSA = 2_048
CONTACT = re.compile(r"mailto:[^\s@]+@[^\s@]+|https://\S+")
"""Whom a push service may turn to (RFC 8292, 2.1)."""
VOIP = ".voip"

Checked = ApnsCredentials | FcmCredentials | WebPushCredentials | EmailCredentials | MessageCredentials


class UploadError(Exception):
    """These credentials cannot be used: which field, and one plain sentence why."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(f"{place}: {why}")
        self.place, self.why = place, why


@dataclass(slots=True, frozen=True)
class Upload:
    """Credentials as they are kept, what may be told of them, and a secret that was made for them."""

    body: Checked = field(repr=False)
    about: dict[str, str]
    secret: str | None = field(default=None, repr=False)


def check_upload(body: Checked, *, allow_private: bool = False) -> None:
    """Raises :class:`UploadError`. Takes up to a second for a long key: not for an event loop.

    `allow_private` (development, tests) permits servers at private addresses, and such without TLS.
    """
    match body:
        case ApnsCredentials():
            _check_apns(body)
        case FcmCredentials():
            _check_fcm(body, allow_private=allow_private)
        case WebPushCredentials():
            _check_webpush(body)
        case EmailCredentials():
            _check_email(body, allow_private=allow_private)
        case MessageCredentials():
            _check_message(body, allow_private=allow_private)


def completed(body: Checked, before: Checked | None) -> Upload:
    """With what was left out: kept from `before`, the credentials that these replace, or else made.

    A key that browsers have subscribed with, and a secret that a gateway knows, go on. The body must have been checked.
    """
    if isinstance(body, WebPushCredentials) and body.private_key is None:
        known = before.private_key if isinstance(before, WebPushCredentials) else None
        body = body.model_copy(update={"private_key": known or make_vapid_key()})
    secret = None
    if isinstance(body, MessageCredentials) and body.url is not None and body.secret is None:
        known = before.secret if isinstance(before, MessageCredentials) else None
        secret = None if known else new_secret()
        body = body.model_copy(update={"secret": known or secret})
    if isinstance(body, FcmCredentials):
        account = body.service_account.model_copy(update={"private_key": _lines(body.service_account.private_key)})
        body = body.model_copy(update={"service_account": account})
    return Upload(body, {name: str(fact) for name, fact in _about(body).items() if fact is not None}, secret)


def _about(body: Checked) -> Mapping[str, Any]:
    if isinstance(body, ApnsCredentials):
        return {"key_id": body.key_id, "team_id": body.team_id, "bundle_id": body.bundle_id}
    if isinstance(body, FcmCredentials):
        account = body.service_account
        told = {"project_id": account.project_id, "client_email": account.client_email}
        return told | {"private_key_id": account.private_key_id}
    if isinstance(body, WebPushCredentials):
        return {"subject": body.subject, "public_key": vapid_public_key(body)}
    if isinstance(body, EmailCredentials):
        return {"host": body.host, "port": body.port, "security": body.security, "sender": body.sender}
    # What stands behind the host may be a secret.
    if body.url is not None:
        parts = urlsplit(body.url)
        return {"url": f"{parts.scheme}://{parts.netloc}/…"}
    url = body.apprise_url or ""
    return {"apprise_url": f"{url.partition('://')[0]}://…{PHONE if PHONE in url else ''}"}


def _check_apns(body: ApnsCredentials) -> None:
    try:
        provider_key(body)
    except ValueError:
        raise UploadError("private_key", "is no P-256 key in PEM, as Apple's .p8 files hold it") from None
    if body.bundle_id.endswith(VOIP):
        raise UploadError("bundle_id", f"is the app's own, without {VOIP}")


def _check_fcm(body: FcmCredentials, *, allow_private: bool) -> None:
    account = body.service_account
    try:
        key = load_pem_private_key(_lines(account.private_key).encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UploadError("service_account.private_key", NO_RSA_KEY) from None
    if not isinstance(key, RSAPrivateKey):
        raise UploadError("service_account.private_key", NO_RSA_KEY)
    if key.key_size < SHORTEST_RSA:
        raise UploadError("service_account.private_key", f"has fewer than {SHORTEST_RSA} bits")
    _check_url("service_account.token_uri", account.token_uri, allow_private=allow_private)
    if not allow_private and not account.token_uri.startswith("https://"):
        raise UploadError("service_account.token_uri", "must begin with https://")


def _check_webpush(body: WebPushCredentials) -> None:
    if not CONTACT.fullmatch(body.subject):
        raise UploadError("subject", "must be mailto: with an address, or an address that begins with https://")
    if body.private_key is None:
        return
    try:
        vapid_public_key(body)
    except ValueError:
        raise UploadError("private_key", "is neither PEM of a P-256 key nor its 32 bytes in base64url") from None


def _check_email(body: EmailCredentials, *, allow_private: bool) -> None:
    try:
        check_host(body.host, allow_private=allow_private)
    except ValueError as error:
        raise UploadError("host", _unnamed(error, body.host)) from None
    if body.port < FIRST_FREE_PORT and body.port not in MAIL_PORTS:
        raise UploadError("port", "belongs to another kind of server")
    if (body.username is None) != (body.password is None):
        raise UploadError("password", "goes with username, and username with password")
    if body.password is not None and body.security == "none" and not allow_private:
        raise UploadError("security", "with none the password would be sent for everybody to read")


def _check_message(body: MessageCredentials, *, allow_private: bool) -> None:
    if body.url is not None:
        _check_url("url", body.url, allow_private=allow_private)
    if body.apprise_url is not None:
        try:
            check_apprise(body.apprise_url, allow_private=allow_private)
        except ValueError as error:
            raise UploadError("apprise_url", str(error)) from None
    if body.secret is not None:
        try:
            key_of(body.secret)
        except ValueError as error:
            raise UploadError("secret", str(error)) from None


def _check_url(place: str, url: str, *, allow_private: bool) -> None:
    try:
        check_url(url, allow_private=allow_private)
    except ValueError as error:
        raise UploadError(place, _unnamed(error, urlsplit(url).hostname or "")) from None


def _unnamed(error: ValueError, host: str) -> str:
    """Whoever pastes a password into the wrong field shall not read it again in a log."""
    return str(error).replace(host.removesuffix("."), "the host") if host else str(error)


def _lines(pem: str) -> str:
    """A key that was copied out of a JSON file still has its line ends written out."""
    return pem.replace("\\n", "\n").strip() + "\n"
