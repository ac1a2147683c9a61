"""Every setting of the service: environment `HOOKSWITCH_*` over a TOML file, and what each room gets of it."""

import json
import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from cryptography.x509 import load_pem_x509_certificates
from pydantic import (
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from service.api.limits import LimitsConfig
from service.dispatch.push.apns import ApnsConfig
from service.dispatch.push.fcm import GOOGLE, FcmConfig
from service.dispatch.push.lines import LinesConfig
from service.dispatch.push.webpush import WebPushConfig
from service.media.config import MediaConfig
from service.store.database import DatabaseConfig, sqlalchemy_url
from service.store.embedded import EmbeddedConfig
from service.telemetry.logs import LogConfig
from service.timers.retention import RetentionConfig
from service.wire.ice import IceConfig, IceServer
from service.wire.sealing import SHORTEST_KEY, Vault
from service.wire.turn import TurnConfig
from service.wire.urls import check_url

PREFIX = "HOOKSWITCH_"
FILE_VARIABLE = "HOOKSWITCH_CONFIG"
DEFAULT_FILE = "hookswitch.toml"

OTHER_VARIABLES = frozenset({FILE_VARIABLE, "HOOKSWITCH_URL", "HOOKSWITCH_API_KEY", "HOOKSWITCH_NO_SKIPS"})
"""Read by the command line's `call` and by the tests."""
FROM_KUBERNETES = ("HOOKSWITCH_SERVICE_", "HOOKSWITCH_PORT_")
"""What Kubernetes adds to the environment where a Service is called `hookswitch`."""

IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "extra_forbidden": "there is no such setting",
        "int_parsing": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_parsing": "must be a number",
        "bool_parsing": "must be true or false",
        "enum": "each must be {expected}",
        "literal_error": "must be {expected}",
        "greater_than": "must be more than {gt:g}",
        "greater_than_equal": "must be at least {ge:g}",
        "less_than": "must be less than {lt:g}",
        "less_than_equal": "must be at most {le:g}",
        "value_error": "{error}",
    }
)
"""What is wrong with a value, by pydantic's kind of error."""
TurnUrl = Annotated[str, StringConstraints(max_length=512, pattern=r"^turns?:[A-Za-z0-9.:\[\]?=_-]+$")]


class Role(StrEnum):
    """What one process does; by default everything."""

    API = "api"
    DISPATCH = "dispatch"
    TIMERS = "timers"
    MEDIA = "media"


class SettingsError(Exception):
    """A setting is wrong; the message names it and says how, without its value."""


class Settings(BaseSettings):
    """The settings of one process. Each can be set as `HOOKSWITCH_NAME`, or as `name` in the TOML file."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    data_dir: Path = Field(
        Path(".hookswitch"), description="Folder of the embedded PostgreSQL and its key, and of media workers."
    )
    database_url: SecretStr | None = Field(
        None, description="`postgresql://user:password@host/name`. Without it an embedded PostgreSQL is started."
    )
    listen_database_url: SecretStr | None = Field(
        None,
        description="The same database without a pooler between, for LISTEN. Needed behind a transaction pooler.",
    )
    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="What credentials of push services are encrypted with, comma-separated, 16 characters or more each "
        "(`openssl rand -hex 32`). The first seals, all open. Without it: with the embedded PostgreSQL a key file "
        "beside it; with a PostgreSQL of yours no credentials can be taken.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    roles: Annotated[tuple[Role, ...], NoDecode] = Field(
        tuple(Role), description="What this process does, comma-separated: `api`, `dispatch`, `timers`, `media`."
    )
    public_url: str | None = Field(
        None, description="How clients reach the service, when a proxy stands before it: `https://calls.example.com`."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Web pages that may use REST, comma-separated: `https://app.example.com`, or `*`.",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`json`, `console`, or `auto`: console on a terminal."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least important line.")
    database_pool_size: int = Field(16, ge=2, le=500, description="Connections for calls, per process.")
    allow_private_webhooks: bool = Field(
        default=False,
        description="Development only: webhooks, push services and token servers at private and loopback addresses.",
    )
    apns_url: str | None = Field(
        None,
        description="Where APNs is reached instead of at Apple's: an HTTP/2 proxy, or a server that stands in for it.",
    )
    apns_ca: Path | None = Field(
        None, description="PEM file with certificates that such a server's may be signed by, besides the system's."
    )
    fcm_url: str = Field(
        GOOGLE, description="Where Firebase Cloud Messaging is reached: a proxy, or a server that stands in for it."
    )
    ice_servers: Annotated[tuple[IceServer, ...], NoDecode] = Field(
        (), description='STUN and TURN servers for clients, as JSON: `[{"urls": ["stun:stun.example.com:3478"]}]`.'
    )
    ice_ttl_s: int = Field(3600, ge=60, description="Clients ask for the ICE servers again after so long.")
    turn_urls: Annotated[tuple[TurnUrl, ...], NoDecode] = Field(
        (),
        max_length=16,
        description="TURN servers that share a secret with the service, comma-separated: "
        "`turn:turn.example.com:3478?transport=udp,turns:turn.example.com:5349?transport=tcp`.",
    )
    turn_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        validate_default=True,
        description="The shared secrets, comma-separated. The first signs; the others are for a change of secrets.",
    )
    turn_ttl_s: int = Field(86_400, ge=60, description="TURN credentials are good for so long.")
    media: Literal["local", "off"] = Field(
        "local",
        description="`local`: calls of three and more are carried by media workers of processes with the role `media`; "
        "`off`: clients carry the media of all calls themselves.",
    )
    media_host: str = Field(
        "127.0.0.1", description="IP address that media workers listen on; `0.0.0.0` is every one of this machine."
    )
    media_public_ip: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Addresses that clients reach the media workers at, comma-separated, when they are other ones."
    )
    media_ports: str = Field("", description="UDP ports of media workers, one each: `40000-40099`. Else any free ones.")
    media_rooms_per_worker: int = Field(
        1, ge=1, le=1000, description="Calls that share a media worker; more save memory, one by one they fail alone."
    )
    media_warm_workers: int = Field(2, ge=0, le=64, description="Media workers that wait for the next call.")
    media_quality_s: float = Field(
        30, ge=5, le=300, description="Of the quality of a routed call the mean of so many seconds is kept."
    )
    media_memory_mb: int = Field(512, ge=64, description="A media worker that grows beyond this is ended.")
    requests_per_key: int = Field(
        5000, ge=0, description="Requests per second of one API key, in each process; 0 for no limit."
    )
    requests_per_user: int = Field(
        100, ge=0, description="Requests and socket commands per second of one user, in each process; 0 for no limit."
    )
    lease_s: float = Field(
        10,
        gt=0,
        description="A replica silent for so long is taken for dead; its users go offline. "
        "In presence devices are waited for as long.",
    )
    lease_renew_s: float = Field(3, gt=0, description="How often a replica renews its lease.")
    keep_events_days: float = Field(
        90, gt=0, description="Events of ended calls are kept so long; calls themselves stay."
    )
    keep_deliveries_days: float = Field(
        30, gt=0, description="Webhook deliveries and alerts (pushes, mails, messages) that are done are kept so long."
    )
    keep_quality_days: float = Field(30, gt=0, description="Quality samples of routed calls are kept so long.")
    keep_idempotency_keys_h: float = Field(24, gt=0, description="A retried create is recognised for so long.")
    shutdown_s: float = Field(10, ge=0, description="How long a stopping process waits for requests under way.")

    @field_validator(
        "roles", "cors_origins", "turn_urls", "turn_secrets", "secret_keys", "media_public_ip", mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("ice_servers", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError:
            message = "must be a list in JSON"
            raise ValueError(message) from None

    @field_validator("roles")
    @classmethod
    def _some(cls, value: tuple[Role, ...]) -> tuple[Role, ...]:
        if not value:
            message = "name at least one of api, dispatch, timers, media"
            raise ValueError(message)
        return value

    @field_validator("turn_secrets")
    @classmethod
    def _signs(cls, value: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        if info.data.get("turn_urls") and not value:
            message = "HOOKSWITCH_TURN_URLS needs a secret to sign with"
            raise ValueError(message)
        return value

    @field_validator("secret_keys")
    @classmethod
    def _long(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < SHORTEST_KEY for key in value):
            message = f"each must have at least {SHORTEST_KEY} characters"
            raise ValueError(message)
        return value

    @field_validator("apns_ca")
    @classmethod
    def _certificates(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        try:
            load_pem_x509_certificates(value.read_bytes())
        except (OSError, ValueError):
            message = "must be a file of certificates in PEM"
            raise ValueError(message) from None
        return value

    @field_validator("apns_url", "fcm_url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        check_url(value, allow_private=True)
        if "?" in value:
            message = "must be an address without a query"
            raise ValueError(message)
        return value.rstrip("/")

    @field_validator("media_public_ip")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(str(ip_address(address)) for address in value)
        except ValueError:
            message = "must be IP addresses"
            raise ValueError(message) from None

    @field_validator("media_host")
    @classmethod
    def _address(cls, value: str) -> str:
        try:
            return str(ip_address(value))
        except ValueError:
            message = "must be an IP address of this machine, 0.0.0.0 or ::"
            raise ValueError(message) from None

    @field_validator("media_ports")
    @classmethod
    def _in_order(cls, value: str) -> str:
        if value and not 0 < _ports(value)[0] <= _ports(value)[1] < 65_536:
            message = "must be two ports between 1 and 65535, the lower one first: 40000-40099"
            raise ValueError(message)
        return value

    @field_validator("database_url", "listen_database_url")
    @classmethod
    def _postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else SecretStr(sqlalchemy_url(value.get_secret_value()))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line over environment over file."""
        del dotenv_settings, file_secret_settings
        file = os.environ.get(FILE_VARIABLE)
        if file and not Path(file).is_file():
            message = f"{FILE_VARIABLE} names no file: {file}"
            raise SettingsError(message)
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(file or DEFAULT_FILE))

    def database(self, url: str) -> DatabaseConfig:
        """The store's part; `url` is the one in use, which may be the embedded server's."""
        listen = self.listen_database_url.get_secret_value() if self.listen_database_url else None
        return DatabaseConfig(url, listen_url=listen, pool_size=self.database_pool_size)

    def embedded(self) -> EmbeddedConfig:
        """Where the embedded server lives."""
        return EmbeddedConfig(self.data_dir / "postgres")

    def vault(self, own_key: str | None = None) -> Vault | None:
        """What seals and opens credentials; `own_key` is that of the data folder, which goes on opening what it sealed.

        `None` where there is no key at all.
        """
        keys = [*(key.get_secret_value() for key in self.secret_keys), *([own_key] if own_key else [])]
        return Vault(keys) if keys else None

    def retention(self) -> RetentionConfig:
        """How long what is kept."""
        return RetentionConfig(
            events=timedelta(days=self.keep_events_days),
            deliveries=timedelta(days=self.keep_deliveries_days),
            quality=timedelta(days=self.keep_quality_days),
            idempotency_keys=timedelta(hours=self.keep_idempotency_keys_h),
        )

    def limits(self) -> LimitsConfig:
        """How many requests are taken."""
        return LimitsConfig(self.requests_per_key, self.requests_per_user)

    def ice(self) -> IceConfig:
        """What clients are told of STUN and TURN."""
        secrets = tuple(secret.get_secret_value() for secret in self.turn_secrets)
        return IceConfig(self.ice_servers, self.ice_ttl_s, TurnConfig(self.turn_urls, secrets, self.turn_ttl_s))

    def apns(self) -> ApnsConfig:
        """How Apple's devices are pushed."""
        ca = self.apns_ca.read_bytes() if self.apns_ca else None
        return ApnsConfig(url=self.apns_url, lines=LinesConfig(ca=ca))

    def fcm(self) -> FcmConfig:
        """How Android phones are pushed."""
        return FcmConfig(self.fcm_url, allow_private=self.allow_private_webhooks)

    def webpush(self) -> WebPushConfig:
        """How browsers are pushed."""
        return WebPushConfig(allow_private=self.allow_private_webhooks)

    def media_workers(self) -> MediaConfig:
        """How this process runs media workers."""
        low, high = _ports(self.media_ports)
        return MediaConfig(
            folder=self.data_dir / "media",
            host=self.media_host,
            addresses=self.media_public_ip,
            low_port=low,
            high_port=high,
            warm_workers=self.media_warm_workers,
            rooms_per_worker=self.media_rooms_per_worker,
            memory_mb=self.media_memory_mb,
        )

    @property
    def serves_others(self) -> bool:
        """Whether clients on other machines are meant: by the address listened on, or by the one they are told."""
        reached = [self.host]
        if self.public_url:
            reached.append(urlsplit(self.public_url).hostname or "")
        return not all(map(_is_this_machine, reached))

    def logs(self) -> LogConfig:
        """How to log."""
        return LogConfig(self.log_format, self.log_level)


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _ports(text: str) -> tuple[int, int]:
    """The first and the last of `low-high`; 0 and 0 when nothing is said."""
    low, _, high = text.partition("-")
    return (int(low), int(high)) if low.isdecimal() and high.isdecimal() else (0, 0)


def load_settings(**given: Any) -> Settings:
    """Read the settings; `given` are those of the command line, `None` for not given.

    Raises :class:`SettingsError` with one plain sentence per fault.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        options = {name for name, value in given.items() if value is not None}
        raise SettingsError("; ".join(_in_words(fault, options) for fault in error.errors())) from None
    except ValueError as error:  # the TOML file
        message = f"the settings file cannot be read: {error}"
        raise SettingsError(message) from None


def _in_words(fault: ErrorDetails, options: AbstractSet[str]) -> str:
    """One fault as a sentence; what was given as an option is named as one."""
    name, *inside = (str(part) for part in fault["loc"])
    place = f"--{name.replace('_', '-')}" if name in options else f"{PREFIX}{name.upper()}"
    where = f"{place}: {'.'.join(inside)}: " if inside and name != "roles" else f"{place}: "
    words = IN_WORDS.get(fault["type"])
    return where + (words.format_map(fault.get("ctx", {})) if words else fault["msg"])


def refuse_unknown(environment: Mapping[str, str]) -> None:
    """A misspelt variable would be ignored in silence. Raises :class:`SettingsError` that names it."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    given = {name for name in environment if name.startswith(PREFIX) and not name.startswith(FROM_KUBERNETES)}
    if strange := sorted(given - known):
        names = [name.removeprefix(PREFIX) for name in sorted(known)]
        meant = get_close_matches(strange[0].removeprefix(PREFIX), names, n=1)
        hint = f" (perhaps {PREFIX}{meant[0]} is meant)" if meant else ""
        message = f"{', '.join(strange)}: there is no such setting{hint}"
        raise SettingsError(message)


def settings_table() -> str:
    """All settings as a Markdown table, for the README."""
    lines = ["| environment | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, tuple):
            default = ",".join(default)
        told = "" if default in {None, ""} else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        lines.append(f"| `{PREFIX}{name.upper()}` | {told} | {field.description} |")
    return "\n".join(lines) + "\n"
