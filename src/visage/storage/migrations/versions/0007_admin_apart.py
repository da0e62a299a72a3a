"""Keys, sessions, the audit log and settings belong to the installation, and leave the bank for their own file."""

from pathlib import Path

from alembic import op

from visage.storage.moving_out import TABLES, move_out

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Copy them to the file beside this one first, durably; then drop them here."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":  # no other database ever held them in a bank
        files = {name: file for _, name, file in connection.exec_driver_sql("PRAGMA database_list")}
        move_out(connection, Path(files["main"]).parent)
    for table in ("access_sessions", *(name for name in TABLES if name != "access_sessions")):
        op.drop_table(table, if_exists=True)
