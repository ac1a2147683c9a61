"""What an app's channels sign in with: taken once, kept encrypted, never told again (5-api is silent; see /docs)."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from service.core.vocabulary import Channel
from service.wire.shapes import Body, Flag, Moment, View
from service.wire.texts import Line

Environment = Literal["production", "sandbox"]
Pem = Annotated[str, StringConstraints(min_length=1, max_length=8_192, pattern=r"^[\x20-\x7e\r\n]+$")]
"""A private key in PEM, as its issuer hands it out."""
Word = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[!-~]+$")]
Hidden = Annotated[str, StringConstraints(min_length=1, max_length=1_024, pattern=r"^[ -~]+$")]
Mailbox = Annotated[str, StringConstraints(min_length=3, max_length=320, pattern=r"^[^\s@<>]+@[^\s@<>]+$")]


class ApnsCredentials(Body):
    """Apple's token authentication: the key's `.p8` file, its id, the team's id, and the app's bundle id."""

    channel: Literal[Channel.APNS] = Channel.APNS
    private_key: Pem
    key_id: Word
    team_id: Word
    bundle_id: Word


class ServiceAccount(Body):
    """A Google service account's JSON file, as it was downloaded; what is not used is passed over."""

    model_config = Body.model_config | {"extra": "ignore"}

    type: Literal["service_account"]
    project_id: Word
    private_key_id: Word
    private_key: Pem
    client_email: Word
    token_uri: Line


class FcmCredentials(Body):
    """Firebase Cloud Messaging by HTTP v1: the service account that may send."""

    channel: Literal[Channel.FCM] = Channel.FCM
    service_account: ServiceAccount


class WebPushCredentials(Body):
    """Voluntary identification (VAPID, RFC 8292): who push services may write to, and the key browsers subscribe with.

    `subject` is `mailto:…` or `https://…`.
    `private_key` is a P-256 key in PEM, or its 32 bytes in base64url as other tools write it. Left out, one is made.
    """

    channel: Literal[Channel.WEBPUSH] = Channel.WEBPUSH
    subject: Line
    private_key: Pem | None = None


class EmailCredentials(Body):
    """A mail server that takes mail of this app. `sender` is what people see as the sender's address."""

    channel: Literal[Channel.EMAIL] = Channel.EMAIL
    host: Word
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: Hidden | None = None
    password: Hidden | None = None
    sender: Mailbox


class MessageCredentials(Body):
    """Messages by SMS or chat: a signed POST to the app's own gateway, or an address of the optional apprise.

    `url` takes Standard Webhooks requests signed with `secret` (`whsec_…`, made when it is left out). An `apprise_url`
    may contain `{phone}`, the number of the person.
    """

    channel: Literal[Channel.MESSAGE] = Channel.MESSAGE
    url: Line | None = None
    secret: Word | None = None
    apprise_url: Line | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.url is None) == (self.apprise_url is None):
            raise ValueError("url or apprise_url: one of them is needed")
        if self.secret is not None and self.url is None:
            raise ValueError("secret: goes with url")
        return self


Credentials = Annotated[
    ApnsCredentials | FcmCredentials | WebPushCredentials | EmailCredentials | MessageCredentials,
    Field(discriminator="channel"),
]


@dataclass(slots=True, frozen=True)
class Granted:
    """An app's credentials for one channel in one environment, decrypted for the moment of their use."""

    app_id: str
    channel: Channel
    environment: Environment
    body: Any = field(repr=False)


class CredentialsView(View):
    """What may be told of an app's credentials for one channel.

    `about` names them without giving them away (key id, team, project, mail server, VAPID public key). `works` is false
    after the provider refused them, null while they were not used; `problem` says what it said.
    """

    channel: Channel
    environment: Environment
    about: dict[str, str]
    works: Flag | None
    problem: str | None
    created_at: Moment
    updated_at: Moment


class UploadedView(CredentialsView):
    """Credentials that were taken. `secret` signs messages to the gateway; told only where it was made just now."""

    secret: str | None = None


class PublicKeyView(View):
    """What a browser subscribes to Web Push with (`applicationServerKey`): a P-256 point in base64url."""

    public_key: str
