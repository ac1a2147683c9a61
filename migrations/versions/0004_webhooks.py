"""Webhooks as a backend manages them: headers, a pause, secrets that change, throttling, what was sent and answered.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column(
        "webhooks",
        sa.Column(
            "headers",
            postgresql.JSONB(),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
            comment="sent with every request; the values are never told",
        ),
    )
    op.add_column(
        "webhooks",
        sa.Column(
            "former_secrets",
            postgresql.JSONB(),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
            comment="[{secret, until}]: sign beside the present one until then",
        ),
    )
    op.add_column("webhooks", sa.Column("paused_at", moment, comment="events are queued, and nothing is sent"))
    op.add_column("webhooks", sa.Column("throttled_until", moment, comment="nothing is sent before"))
    op.add_column("webhooks", sa.Column("last_failure_at", moment, comment="written once an hour while it fails"))
    op.add_column(
        "deliveries",
        sa.Column("exchange", sa.Text(), comment="the head of the last request, and what was answered, as JSON"),
    )


def downgrade() -> None:
    op.drop_column("deliveries", "exchange")
    for name in ("last_failure_at", "throttled_until", "paused_at", "former_secrets", "headers"):
        op.drop_column("webhooks", name)
