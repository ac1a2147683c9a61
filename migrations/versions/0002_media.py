"""Routed calls: who carries a call's media, and how its streams did.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

UNPACKED = (("events", "text"), ("calls", "body"))


def upgrade() -> None:
    op.add_column(
        "calls",
        sa.Column(
            "media_host",
            sa.Text(),
            comment="the replica whose worker carries the call; empty: wanted, null: no worker",
        ),
    )
    op.create_index(
        "ix_calls_media_host", "calls", ["media_host", "id"], postgresql_where=sa.text("media_host IS NOT NULL")
    )
    op.create_table(
        "quality_samples",
        sa.Column("call_id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False, comment="the sample as JSON"),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_quality_samples_call_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("call_id", "at", name="pk_quality_samples"),
    )
    op.create_index("ix_quality_samples_at", "quality_samples", ["at"])
    # What every turn writes is kept in its row and uncompressed (service/store/tables.py says why).
    for table, column in UNPACKED:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")
        op.execute(f"ALTER TABLE {table} SET (toast_tuple_target = 8160)")


def downgrade() -> None:
    for table, column in UNPACKED:
        op.execute(f"ALTER TABLE {table} RESET (toast_tuple_target)")
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTENDED")
    op.drop_table("quality_samples")
    op.drop_index("ix_calls_media_host", "calls")
    op.drop_column("calls", "media_host")
