"""Alerts: what is pushed, mailed and messaged, by whose credentials and by which rules. Guests, who are not rung.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    guest = sa.Column(
        "guest", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="rings for nothing"
    )
    only_call = sa.Column(
        "only_call", sa.UUID(), comment="the call that the token is for, if it is for one; rings for no other"
    )
    op.add_column("connections", guest)
    op.add_column("connections", only_call)
    op.create_table(
        "rules",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("patterns", sa.ARRAY(sa.Text()), nullable=False, comment="the event types as LIKE patterns"),
        sa.Column("body", postgresql.JSONB(), nullable=False, comment="the rule as it was given"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_rules_app_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_rules"),
    )
    op.create_index("ix_rules_app_id", "rules", ["app_id"])
    op.create_table(
        "push_credentials",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False, comment="encrypted with the service's key"),
        sa.Column("shown", postgresql.JSONB(), nullable=False, comment="what may be told of it"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_push_credentials_app_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("app_id", "channel", "environment", name="pk_push_credentials"),
    )
    op.create_table(
        "provider_tokens",
        sa.Column(
            "key",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of the key that signed, which several apps may have",
        ),
        sa.Column("sealed", sa.LargeBinary(), nullable=False, comment="the token, encrypted with the service's key"),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "early", sa.Boolean(), nullable=False, comment="made in place of one that was refused before its time"
        ),
        sa.PrimaryKeyConstraint("key", name="pk_provider_tokens"),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("call_id", sa.UUID()),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("device_id", sa.Text()),
        sa.Column("ring_id", sa.UUID()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False, comment="what waits together when a provider hangs"),
        sa.Column(
            "address",
            postgresql.JSONB(),
            comment="where a stop goes when its device is not registered any more; until it is sent",
        ),
        sa.Column("rule_id", sa.UUID()),
        sa.Column("stream", sa.UUID(), comment="the event that a rule tells of"),
        sa.Column("seq", sa.Integer()),
        sa.Column("facts", postgresql.JSONB(), comment="what a rule tells, and to which address"),
        sa.Column("state", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("reason", sa.Text(), comment="why it failed or was dropped"),
        sa.Column(
            "taken",
            sa.SmallInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="tries that the provider took",
        ),
        sa.Column(
            "failures", sa.SmallInteger(), server_default=sa.text("0"), nullable=False, comment="failed tries in a row"
        ),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True)),
        sa.Column(
            "tries",
            postgresql.JSONB(),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
            comment="what providers answered, when",
        ),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name="fk_alerts_app_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_alerts_call_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["rule_id"], ["rules.id"], name="fk_alerts_rule_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
    )
    op.create_index(
        "ix_alerts_due", "alerts", ["lane", "next_attempt_at"], postgresql_where=sa.text("state = 'pending'")
    )
    op.create_index("ix_alerts_call_id", "alerts", ["call_id"])
    op.create_index("ix_alerts_created_at", "alerts", ["created_at"])
    op.create_index("ix_alerts_rule_id", "alerts", ["rule_id"], postgresql_where=sa.text("rule_id IS NOT NULL"))
    op.add_column(
        "call_users",
        sa.Column(
            "missed",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="the user was told of a missed call",
        ),
    )
    op.create_index(
        "ix_call_users_missed", "call_users", ["app_id", "user_id", "call_id"], postgresql_where=sa.text("missed")
    )


def downgrade() -> None:
    op.drop_index("ix_call_users_missed", "call_users")
    op.drop_column("call_users", "missed")
    op.drop_table("alerts")
    op.drop_table("provider_tokens")
    op.drop_table("push_credentials")
    op.drop_table("rules")
    op.drop_column("connections", "only_call")
    op.drop_column("connections", "guest")
