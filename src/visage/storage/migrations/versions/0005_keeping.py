"""When a person was last seen, and what a carer may change while the server runs."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the table; both are empty until they are asked for."""
    op.add_column("persons", sa.Column("last_seen_at", sa.BigInteger))
    op.create_table(
        "preferences",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
