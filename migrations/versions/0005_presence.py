"""Presence without flicker: devices that have just gone, who was told when, every change by an index of its own.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "absences",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("app_version", sa.Text()),
        sa.Column("rings", sa.Boolean(), nullable=False),
        sa.Column("connected_at", moment, nullable=False),
        sa.Column("until", moment, nullable=False, comment="so long the device counts as connected in presence"),
        sa.PrimaryKeyConstraint("app_id", "user_id", "device_id", name="pk_absences"),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_absences_until", "absences", ["until"])
    op.create_index("ix_presence_sources_expires_at", "presence_sources", ["expires_at"])
    op.add_column("users", sa.Column("presence_told_at", moment, comment="when that was told"))
    op.add_column("webhooks", sa.Column("format", sa.Text(), comment="in whose words presence is told, too"))
    op.create_index(
        "ix_events_presence",
        "events",
        ["app_id", "tx", "stream", "seq"],
        postgresql_where=sa.text("type = 'presence.changed'"),
    )


def downgrade() -> None:
    op.drop_index("ix_events_presence", "events")
    op.drop_column("webhooks", "format")
    op.drop_column("users", "presence_told_at")
    op.drop_index("ix_presence_sources_expires_at", "presence_sources")
    op.drop_table("absences")
