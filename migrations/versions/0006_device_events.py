"""A chain of their own for what is told of a user's devices: the numbers of presence are its own.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column(
        "users",
        sa.Column(
            "devices_seq",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="events told of this user's devices so far",
        ),
    )
    op.add_column(
        "users",
        sa.Column(
            "devices_hash", sa.Text(), server_default=sa.text("''"), nullable=False, comment="of the last one of these"
        ),
    )


def downgrade() -> None:
    op.drop_column("users", "devices_hash")
    op.drop_column("users", "devices_seq")
