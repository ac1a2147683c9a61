"""The tables. `migrations/` must always lead to exactly these (tests/store)."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.types import UserDefinedType


class Xid8(UserDefinedType[int]):
    """A 64-bit transaction id, the order in which the feed can be read without gaps."""

    cache_ok = True

    def get_col_spec(self, **_kw: object) -> str:
        """The type's name in DDL."""
        return "xid8"


FEED_PLACE = "GREATEST(pg_current_xact_id(), (pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)::text::xid8)"
"""A turn's place in the feed: not below its own transaction (no gaps), and not below any that had committed when the
statement began, because whoever waited for a row may have an older id than the call's turn before (order)."""

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)

Timestamp = DateTime(timezone=True)


def _created() -> Column[object]:
    return Column("created_at", Timestamp, nullable=False, server_default=func.clock_timestamp())


def _app() -> Column[object]:
    return Column("app_id", Text, ForeignKey("apps.id", ondelete="CASCADE"), nullable=False)


apps = Table(
    "apps",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("suspended_at", Timestamp),
    _created(),
)

api_keys = Table(
    "api_keys",
    METADATA,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of the key; the key itself is never kept"),
    Column("id", Text, nullable=False, unique=True),
    _app(),
    Column("revoked_at", Timestamp),
    _created(),
    Index(None, "app_id"),
)

signing_keys = Table(
    "signing_keys",
    METADATA,
    Column("kid", Text, primary_key=True),
    _app(),
    Column("secret", Text, nullable=False),
    Column("revoked_at", Timestamp),
    _created(),
    Index(None, "app_id"),
)

users = Table(
    "users",
    METADATA,
    Column("app_id", Text, ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("avatar_url", Text),
    Column("email", Text),
    Column("phone", Text),
    Column("locale", Text),
    Column("can_video", Boolean, nullable=False, server_default=text("true")),
    Column("do_not_disturb", Boolean, nullable=False, server_default=text("false")),
    Column("blocked_users", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("tokens_valid_from", Timestamp, comment="tokens issued before are revoked"),
    Column("deleted_at", Timestamp, comment="a deleted user leaves its id behind, so that its tokens stay revoked"),
    Column("last_seen_at", Timestamp),
    Column("seq", Integer, nullable=False, server_default=text("0"), comment="events told of this user so far"),
    Column("last_hash", Text, nullable=False, server_default=text("''"), comment="of the last event told of this user"),
    Column("presence_told", Text, comment="the presence object in the last presence.changed"),
    _created(),
    Column("updated_at", Timestamp, nullable=False, server_default=func.clock_timestamp()),
    Column("presence_told_at", Timestamp, comment="when that was told"),
    Column(
        "devices_seq",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="events told of this user's devices so far",
    ),
    Column("devices_hash", Text, nullable=False, server_default=text("''"), comment="of the last one of these"),
)

devices = Table(
    "devices",
    METADATA,
    Column("app_id", Text, ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("platform", Text, nullable=False),
    Column("push", JSONB(none_as_null=True)),
    Column("hardware_id", Text),
    Column("app_version", Text),
    Column("last_seen_at", Timestamp),
    _created(),
    Column("updated_at", Timestamp, nullable=False, server_default=func.clock_timestamp()),
)

replicas = Table(
    "replicas",
    METADATA,
    Column("id", UUID, primary_key=True),
    Column("lease_until", Timestamp, nullable=False),
    _created(),
)

connections = Table(
    "connections",
    METADATA,
    Column("id", UUID, primary_key=True),
    _app(),
    Column("user_id", Text, nullable=False),
    Column("device_id", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("app_version", Text),
    Column("replica_id", UUID, ForeignKey("replicas.id", ondelete="CASCADE"), nullable=False),
    _created(),
    Column("guest", Boolean, nullable=False, server_default=text("false"), comment="rings for nothing"),
    Column("only_call", UUID, comment="the call that the token is for, if it is for one; rings for no other"),
    Index(None, "app_id", "user_id"),
    Index(None, "replica_id"),
)

calls = Table(
    "calls",
    METADATA,
    Column("id", UUID, primary_key=True),
    _app(),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("deadline_at", Timestamp, comment="when the sweep must touch this call next"),
    Column("ended_at", Timestamp),
    Column("body", Text, nullable=False, comment="the whole aggregate as JSON"),
    Column("media_host", Text, comment="the replica whose worker carries the call; empty: wanted, null: no worker"),
    Index("ix_calls_deadline_at", "deadline_at", postgresql_where=text("deadline_at IS NOT NULL")),
    Index("ix_calls_app_id_id", "app_id", "id"),
    Index("ix_calls_live", "app_id", "id", postgresql_where=text("ended_at IS NULL")),
    Index("ix_calls_media_host", "media_host", "id", postgresql_where=text("media_host IS NOT NULL")),
)

call_users = Table(
    "call_users",
    METADATA,
    Column("app_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("call_id", UUID, ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "missed", Boolean, nullable=False, server_default=text("false"), comment="the user was told of a missed call"
    ),
    Index("ix_call_users_missed", "app_id", "user_id", "call_id", postgresql_where=text("missed")),
)

engagements = Table(
    "engagements",
    METADATA,
    Column("app_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("slot", SmallInteger, primary_key=True, comment="0; 1 for a second call where call waiting is on"),
    Column("call_id", UUID, nullable=False),
    Index(None, "call_id"),
)

events = Table(
    "events",
    METADATA,
    Column("stream", UUID, primary_key=True, comment="the call's id; presence has a stream per user"),
    Column("seq", Integer, primary_key=True),
    Column("event_id", UUID, nullable=False),
    Column("app_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("only_for", ARRAY(Text)),
    Column(
        "tx",
        Xid8,
        nullable=False,
        server_default=text(FEED_PLACE),
    ),
    Column("created_at", Timestamp, nullable=False, server_default=func.clock_timestamp()),
    Column("text", Text, nullable=False),
    Index("ix_events_feed", "app_id", "tx", "stream", "seq"),
    Index("ix_events_tx", "tx"),
    Index("ix_events_presence", "app_id", "tx", "stream", "seq", postgresql_where=text("type = 'presence.changed'")),
)

webhooks = Table(
    "webhooks",
    METADATA,
    Column("id", UUID, primary_key=True),
    _app(),
    Column("url", Text, nullable=False),
    Column("types", ARRAY(Text), nullable=False),
    Column("patterns", ARRAY(Text), nullable=False, comment="`types` as LIKE patterns"),
    Column("description", Text),
    Column("secret", Text, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("disabled_reason", Text),
    Column("failing_since", Timestamp),
    _created(),
    Column(
        "headers",
        JSONB,
        nullable=False,
        server_default=text("'{}'::jsonb"),
        comment="sent with every request; the values are never told",
    ),
    Column(
        "former_secrets",
        JSONB,
        nullable=False,
        server_default=text("'[]'::jsonb"),
        comment="[{secret, until}]: sign beside the present one until then",
    ),
    Column("paused_at", Timestamp, comment="events are queued, and nothing is sent"),
    Column("throttled_until", Timestamp, comment="nothing is sent before"),
    Column("last_failure_at", Timestamp, comment="written once an hour while it fails"),
    Column("format", Text, comment="in whose words presence is told, too"),
    Index(None, "app_id"),
)

deliveries = Table(
    "deliveries",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("webhook_id", UUID, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("stream", UUID, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("next_attempt_at", Timestamp, nullable=False, server_default=func.clock_timestamp()),
    Column("claimed_until", Timestamp),
    Column("last_attempt_at", Timestamp),
    Column("status", SmallInteger),
    Column("error", Text),
    Column("latency_ms", Integer),
    _created(),
    Column("exchange", Text, comment="the head of the last request, and what was answered, as JSON"),
    UniqueConstraint("webhook_id", "stream", "seq"),
    Index("ix_deliveries_due", "webhook_id", "next_attempt_at", postgresql_where=text("state = 'pending'")),
    Index("ix_deliveries_held", "webhook_id", "stream", "seq", postgresql_where=text("state = 'pending'")),
)

idempotency_keys = Table(
    "idempotency_keys",
    METADATA,
    Column("app_id", Text, ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True),
    Column("principal", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("call_id", UUID, nullable=False),
    _created(),
    Index(None, "created_at"),
)

presence_sources = Table(
    "presence_sources",
    METADATA,
    Column("app_id", Text, ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("facts", JSONB, nullable=False),
    Column("expires_at", Timestamp, nullable=False),
    _created(),
    Index(None, "expires_at"),
)

quality_samples = Table(
    "quality_samples",
    METADATA,
    Column("call_id", UUID, ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("at", Timestamp, primary_key=True),
    Column("text", Text, nullable=False, comment="the sample as JSON"),
    Index(None, "at"),
)


def _store_plain(table: Table, connection: Connection, **_: object) -> None:
    """What every turn writes stays in its row and uncompressed.

    A quarter of PostgreSQL's CPU of a call went into packing texts that are read once or twice. It costs disk.
    """
    column = {"events": "text", "calls": "body"}[table.name]
    connection.execute(text(f"ALTER TABLE {table.name} ALTER COLUMN {column} SET STORAGE EXTERNAL"))
    connection.execute(text(f"ALTER TABLE {table.name} SET (toast_tuple_target = 8160)"))


for wide in (calls, events):
    event.listen(wide, "after_create", _store_plain)

alerts = Table(
    "alerts",
    METADATA,
    Column("id", UUID, primary_key=True),
    _app(),
    Column("call_id", UUID, ForeignKey("calls.id", ondelete="CASCADE")),
    Column("user_id", Text, nullable=False),
    Column("attempt", SmallInteger, nullable=False, server_default=text("1")),
    Column("device_id", Text),
    Column("ring_id", UUID),
    Column("kind", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("lane", Text, nullable=False, comment="what waits together when a provider hangs"),
    Column("address", JSONB, comment="where a stop goes when its device is not registered any more; until it is sent"),
    Column("rule_id", UUID, ForeignKey("rules.id", ondelete="CASCADE")),
    Column("stream", UUID, comment="the event that a rule tells of"),
    Column("seq", Integer),
    Column("facts", JSONB(none_as_null=True), comment="what a rule tells, and to which address"),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("reason", Text, comment="why it failed or was dropped"),
    Column("taken", SmallInteger, nullable=False, server_default=text("0"), comment="tries that the provider took"),
    Column("failures", SmallInteger, nullable=False, server_default=text("0"), comment="failed tries in a row"),
    Column("next_attempt_at", Timestamp, nullable=False),
    Column("until", Timestamp, nullable=False),
    Column("claimed_until", Timestamp),
    Column("tries", JSONB, nullable=False, server_default=text("'[]'::jsonb"), comment="what providers answered, when"),
    Column("done_at", Timestamp),
    _created(),
    Index("ix_alerts_rule_id", "rule_id", postgresql_where=text("rule_id IS NOT NULL")),
    Index("ix_alerts_due", "lane", "next_attempt_at", postgresql_where=text("state = 'pending'")),
    Index(None, "call_id"),
    Index(None, "created_at"),
)

rules = Table(
    "rules",
    METADATA,
    Column("id", UUID, primary_key=True),
    _app(),
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("patterns", ARRAY(Text), nullable=False, comment="the event types as LIKE patterns"),
    Column("body", JSONB, nullable=False, comment="the rule as it was given"),
    _created(),
    Column("updated_at", Timestamp, nullable=False, server_default=func.clock_timestamp()),
    Index(None, "app_id"),
)

push_credentials = Table(
    "push_credentials",
    METADATA,
    Column("app_id", Text, ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False, comment="encrypted with the service's key"),
    Column("shown", JSONB, nullable=False, comment="what may be told of it"),
    _created(),
    Column("updated_at", Timestamp, nullable=False, server_default=func.clock_timestamp()),
)

provider_tokens = Table(
    "provider_tokens",
    METADATA,
    Column("key", LargeBinary, primary_key=True, comment="SHA-256 of the key that signed, which several apps may have"),
    Column("sealed", LargeBinary, nullable=False, comment="the token, encrypted with the service's key"),
    Column("issued_at", Timestamp, nullable=False),
    Column("early", Boolean, nullable=False, comment="made in place of one that was refused before its time"),
)

relay_messages = Table(
    "relay_messages",
    METADATA,
    Column("id", UUID, primary_key=True),
    Column("replica_id", UUID, nullable=False),
    Column("connection_id", UUID, nullable=False),
    Column("text", Text, nullable=False),
    _created(),
    Index(None, "replica_id"),
    prefixes=["UNLOGGED"],
)

absences = Table(
    "absences",
    METADATA,
    Column("app_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("platform", Text, nullable=False),
    Column("app_version", Text),
    Column("rings", Boolean, nullable=False),
    Column("connected_at", Timestamp, nullable=False),
    Column("until", Timestamp, nullable=False, comment="so long the device counts as connected in presence"),
    Index(None, "until"),
    prefixes=["UNLOGGED"],
)
