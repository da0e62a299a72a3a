"""What belongs together: digests of every row, empty here; who opens the bank fills them in (`sqlite.py`)."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    for table in ("vault", "persons"):
        op.add_column(table, sa.Column("digest", sa.LargeBinary, nullable=False, server_default=""))
