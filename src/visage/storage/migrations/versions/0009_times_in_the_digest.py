"""The digests cover the readable times and the slots of the key: nothing changes here; who opens the bank renews them
(`sqlite.py`)."""

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing."""
