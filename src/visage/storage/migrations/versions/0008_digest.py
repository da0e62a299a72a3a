"""What belongs together: a digest of every row. It is empty here; who opens the bank fills it in (`sqlite.py`)."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("vault", sa.Column("digest", sa.LargeBinary, nullable=False, server_default=""))
