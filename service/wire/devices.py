"""Devices and how they can be woken. What wakes them is a secret: taken, kept, and never told again."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from service.core.vocabulary import Platform
from service.wire.shapes import Body, Moment, View
from service.wire.texts import DeviceId, Line

Secret = Annotated[str, StringConstraints(min_length=1, max_length=4_096, pattern=r"^[!-~]+$")]
"""A provider's token: visible ASCII."""
Base64Url = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_+/=-]+$")]
ONLY_RINGS = "the device registered no alert_token, and its VoIP token can do nothing but ring"
SHOWN = 4
SHORTEST_SHOWN = 16
"""Of a secret shorter than this nothing is shown."""


class SubscriptionKeys(Body):
    """The keys of a Web Push subscription (RFC 8291), in base64url."""

    p256dh: Base64Url
    auth: Base64Url


class Subscription(Body):
    """A browser's `PushSubscription.toJSON()`, as it is. The endpoint must be a public https address."""

    endpoint: Secret
    keys: SubscriptionKeys
    expiration_time: Annotated[float, Field(ge=0, le=2**53)] | None = Field(default=None, alias="expirationTime")


class PushBody(Body):
    """How the device is woken: `token` for APNs and FCM, `subscription` for Web Push, neither for `none`.

    An iOS app has two tokens. `token` is PushKit's (VoIP), which rings and can do nothing else; `alert_token` is that
    of `didRegisterForRemoteNotificationsWithDeviceToken`, by which the app is told that a ring is over and that a call
    was missed. Without it such things reach the device on its socket alone, and alerts say `no_alert_token`.
    `topic` is the app's bundle id where it is not that of the credentials. `environment` (default: production) is
    Apple's alone; for other providers it is not kept.
    """

    provider: Literal["apns", "fcm", "webpush", "none"]
    token: Secret | None = None
    alert_token: Secret | None = None
    subscription: Subscription | None = None
    topic: Line | None = None
    environment: Literal["production", "sandbox"] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wants_token, wants_subscription = self.provider in {"apns", "fcm"}, self.provider == "webpush"
        if wants_token != (self.token is not None):
            raise ValueError("token: needed for apns and fcm, and for them alone")
        if self.alert_token is not None and self.provider != "apns":
            raise ValueError("alert_token: for apns alone")
        if wants_subscription != (self.subscription is not None):
            raise ValueError("subscription: needed for webpush, and for it alone")
        return self

    def kept(self) -> dict[str, Any] | None:
        """What is remembered; nothing for `none`, which means the same as no push at all and reads back as `none`."""
        if self.provider == "none":
            return None
        only_apple_s = None if self.provider == "apns" else {"environment"}
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=only_apple_s)


class DeviceBody(Body):
    """A device as it shall be from now on: what is left out goes back to its default.

    `hardware_id` is the same for all apps and browsers on one physical device, which then rings once.
    """

    platform: Platform
    push: PushBody | None = None
    hardware_id: DeviceId | None = None
    app_version: Annotated[Line, StringConstraints(max_length=64)] | None = None


class PushView(View):
    """How the device is woken; of tokens and the endpoint only enough to tell two apart.

    `provider` is `none` for a device that cannot be woken.
    """

    provider: str
    token: str | None = None
    alert_token: str | None = None
    endpoint: str | None = None
    topic: str | None = None
    environment: str | None = None


class DeviceView(View):
    """A registered device."""

    device_id: str
    user_id: str
    platform: Platform
    push: PushView
    hardware_id: str | None
    app_version: str | None
    last_seen_at: Moment | None
    created_at: Moment
    updated_at: Moment


def push_view(kept: Mapping[str, Any] | None) -> PushView:
    """What may be told of remembered push credentials; `none` where there are none."""
    if kept is None:
        return PushView(provider="none")
    endpoint = kept.get("subscription", {}).get("endpoint")
    return PushView(
        provider=kept["provider"],
        token=masked(kept.get("token")),
        alert_token=masked(kept.get("alert_token")),
        endpoint=f"https://{urlsplit(endpoint).netloc}/…" if endpoint else None,
        topic=kept.get("topic"),
        environment=kept.get("environment"),
    )


def masked(secret: str | None) -> str | None:
    """The last letters of a secret: enough to tell two apart, too little to use."""
    if secret is None:
        return None
    return "…" + (secret[-SHOWN:] if len(secret) >= SHORTEST_SHOWN else "")
