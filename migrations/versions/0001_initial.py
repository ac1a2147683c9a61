"""The first tables.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import UserDefinedType

revision = "0001"
down_revision = None


class Xid8(UserDefinedType[int]):
    """A 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_kw: object) -> str:
        """The type's name in DDL."""
        return "xid8"


def upgrade() -> None:
    op.create_table(
        "apps",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("settings", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("suspended_at", sa.DateTime(timezone=True)),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="pk_apps"),
    )
    op.create_table(
        "engagements",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False, comment="0; 1 for a second call where call waiting is on"),
        sa.Column("call_id", sa.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "user_id", "slot", name="pk_engagements"),
    )
    op.create_index("ix_engagements_call_id", "engagements", ["call_id"])
    op.create_table(
        "events",
        sa.Column("stream", sa.UUID(), nullable=False, comment="the call's id; presence has a stream per user"),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("only_for", sa.ARRAY(sa.Text())),
        sa.Column(
            "tx",
            Xid8(),
            server_default=sa.text(
                "GREATEST(pg_current_xact_id(), (pg_snapshot_xmax(pg_current_sn"
                "apshot())::text::bigint - 1)::text::xid8)"
            ),
            nullable=False,
        ),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "seq", name="pk_events"),
    )
    op.create_index("ix_events_feed", "events", ["app_id", "tx", "stream", "seq"])
    op.create_index("ix_events_tx", "events", ["tx"])
    op.create_table(
        "relay_messages",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("replica_id", sa.UUID(), nullable=False),
        sa.Column("connection_id", sa.UUID(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="pk_relay_messages"),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_relay_messages_replica_id", "relay_messages", ["replica_id"])
    op.create_table(
        "replicas",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="pk_replicas"),
    )
    op.create_table(
        "api_keys",
        sa.Column(
            "digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of the key; the key itself is never kept"
        ),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_api_keys_app_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name="pk_api_keys"),
        sa.UniqueConstraint("id", name="uq_api_keys_id"),
    )
    op.create_index("ix_api_keys_app_id", "api_keys", ["app_id"])
    op.create_table(
        "calls",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), comment="when the sweep must touch this call next"),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("body", sa.Text(), nullable=False, comment="the whole aggregate as JSON"),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_calls_app_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
    )
    op.create_index("ix_calls_app_id_id", "calls", ["app_id", "id"])
    op.create_index(
        "ix_calls_deadline_at", "calls", ["deadline_at"], postgresql_where=sa.text("deadline_at IS NOT NULL")
    )
    op.create_index("ix_calls_live", "calls", ["app_id", "id"], postgresql_where=sa.text("ended_at IS NULL"))
    op.create_table(
        "connections",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("app_version", sa.Text()),
        sa.Column("replica_id", sa.UUID(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_connections_app_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["replica_id"], ["replicas.id"], name="fk_connections_replica_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_connections"),
    )
    op.create_index("ix_connections_app_id_user_id", "connections", ["app_id", "user_id"])
    op.create_index("ix_connections_replica_id", "connections", ["replica_id"])
    op.create_table(
        "devices",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("push", postgresql.JSONB()),
        sa.Column("hardware_id", sa.Text()),
        sa.Column("app_version", sa.Text()),
        sa.Column("last_seen_at", sa.DateTime(timezone=True)),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_devices_app_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("app_id", "user_id", "id", name="pk_devices"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("call_id", sa.UUID(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_idempotency_keys_app_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("app_id", "principal", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_table(
        "presence_sources",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_presence_sources_app_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("app_id", "user_id", "source", name="pk_presence_sources"),
    )
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_signing_keys_app_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
    )
    op.create_index("ix_signing_keys_app_id", "signing_keys", ["app_id"])
    op.create_table(
        "users",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("avatar_url", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("phone", sa.Text()),
        sa.Column("locale", sa.Text()),
        sa.Column("can_video", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("do_not_disturb", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("blocked_users", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False),
        sa.Column("tokens_valid_from", sa.DateTime(timezone=True), comment="tokens issued before are revoked"),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            comment="a deleted user leaves its id behind, so that its tokens stay revoked",
        ),
        sa.Column("last_seen_at", sa.DateTime(timezone=True)),
        sa.Column(
            "seq", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="events told of this user so far"
        ),
        sa.Column(
            "last_hash",
            sa.Text(),
            server_default=sa.text("''"),
            nullable=False,
            comment="of the last event told of this user",
        ),
        sa.Column("presence_told", sa.Text(), comment="the presence object in the last presence.changed"),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_users_app_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("app_id", "id", name="pk_users"),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("types", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("patterns", sa.ARRAY(sa.Text()), nullable=False, comment="`types` as LIKE patterns"),
        sa.Column("description", sa.Text()),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("disabled_reason", sa.Text()),
        sa.Column("failing_since", sa.DateTime(timezone=True)),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_webhooks_app_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
    )
    op.create_index("ix_webhooks_app_id", "webhooks", ["app_id"])
    op.create_table(
        "call_users",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("call_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_call_users_call_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("app_id", "user_id", "call_id", name="pk_call_users"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("webhook_id", sa.UUID(), nullable=False),
        sa.Column("stream", sa.UUID(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "next_attempt_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("claimed_until", sa.DateTime(timezone=True)),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True)),
        sa.Column("status", sa.SmallInteger()),
        sa.Column("error", sa.Text()),
        sa.Column("latency_ms", sa.Integer()),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], name="fk_deliveries_webhook_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.UniqueConstraint("webhook_id", "stream", "seq", name="uq_deliveries_webhook_id_stream_seq"),
    )
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["webhook_id", "next_attempt_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_deliveries_held",
        "deliveries",
        ["webhook_id", "stream", "seq"],
        postgresql_where=sa.text("state = 'pending'"),
    )


def downgrade() -> None:
    op.drop_table("deliveries")
    op.drop_table("call_users")
    op.drop_table("webhooks")
    op.drop_table("users")
    op.drop_table("signing_keys")
    op.drop_table("presence_sources")
    op.drop_table("idempotency_keys")
    op.drop_table("devices")
    op.drop_table("connections")
    op.drop_table("calls")
    op.drop_table("api_keys")
    op.drop_table("replicas")
    op.drop_table("relay_messages")
    op.drop_table("events")
    op.drop_table("engagements")
    op.drop_table("apps")
