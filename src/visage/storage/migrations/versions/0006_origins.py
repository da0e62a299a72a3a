"""Whose a photo, a rejected look and an undo were before a merge, so that forgetting finds them wherever they are.

What older merges moved is known as long as they can be undone: the undo, which is sealed, lists it.
"""

import json

import sqlalchemy as sa
from alembic import context, op

from visage.errors import DamagedPerson
from visage.storage.vault import Place, Vault

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; empty where nothing was moved."""
    op.add_column("photos", sa.Column("origin_id", sa.Text))
    op.add_column("counter_examples", sa.Column("origin_id", sa.Text))
    op.add_column("undos", sa.Column("source_id", sa.Text))
    _fill(op.get_bind(), context.config.attributes["vault"])


def _fill(connection: sa.Connection, vault: Vault) -> None:
    # The latest merge first: what was merged before, and again with the one it had gone to, is whose it was first.
    query = (
        "SELECT undo_id, person_id, kind, undos.content, key FROM undos JOIN persons USING (person_id) "
        "WHERE kind = 'merge' ORDER BY undos.created_at DESC"
    )
    for undo in connection.execute(sa.text(query)).all():
        place = Place(undo.person_id, undo.undo_id, f"undos.content.{undo.kind}")
        try:
            content = json.loads(vault.key(undo.person_id, undo.key).open(undo.content, place))
            source_id = content["person"]["person_id"]
            moved = (
                ("photos", "photo_id", content["photos"]),
                ("counter_examples", "counter_id", content["counter_examples"]),
            )
        except (DamagedPerson, ValueError, KeyError, TypeError):
            continue  # it cannot be undone either
        connection.execute(
            sa.text("UPDATE undos SET source_id = :source WHERE undo_id = :id"),
            {"source": source_id, "id": undo.undo_id},
        )
        for table, column, ids in moved:
            for each in ids:
                connection.execute(
                    sa.text(f"UPDATE {table} SET origin_id = :source WHERE {column} = :id AND person_id = :owner"),  # noqa: S608 - both are ours
                    {"source": source_id, "id": each, "owner": undo.person_id},
                )
