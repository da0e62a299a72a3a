"""Everything that tells of a person is sealed; the ids of what was forgotten are kept.

Runs on a copy of the bank, with foreign keys off. The columns that are sealed get their old name back, so that rows
are where they were; an undo of a merge holds a whole person, and is sealed with the rest.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from visage.storage.vault import DataKey, Place, Vault

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_RENAMED = (("photos", "quality"), ("undos", "content"))


def upgrade() -> None:
    """Seal what is there under a key for each person."""
    op.create_table(
        "vault",
        sa.Column("bank_id", sa.Text, primary_key=True),
        sa.Column("key_check", sa.LargeBinary, nullable=False),
        sa.Column("key_since", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "key_slots",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "merges",
        sa.Column("source_id", sa.Text, primary_key=True),
        sa.Column("target_id", sa.Text, nullable=False, index=True),
    )
    op.create_table(
        "erasures",
        sa.Column("erased_id", sa.Text, primary_key=True),
        sa.Column("erased_at", sa.BigInteger, nullable=False),
    )
    for name in ("key", "content"):
        op.add_column("persons", sa.Column(name, sa.LargeBinary, nullable=False, server_default=""))
    for table, name in _RENAMED:
        op.alter_column(table, name, new_column_name=f"plain_{name}")
        op.add_column(table, sa.Column(name, sa.LargeBinary, nullable=False, server_default=""))
    _seal(op.get_bind(), context.config.attributes["vault"])
    for name in ("name", "relationship", "metadata"):
        op.drop_column("persons", name)
    for table, name in _RENAMED:
        op.drop_column(table, f"plain_{name}")


def _seal(connection: sa.Connection, vault: Vault) -> None:
    keys: dict[str, DataKey] = {}

    def write(statement: str, **values: object) -> None:
        connection.execute(sa.text(statement), values)

    for person in _rows(connection, "SELECT * FROM persons"):
        key, wrapped = vault.new_key(person.person_id)
        keys[person.person_id] = key
        fields = {"name": person.name, "relationship": person.relationship, "metadata": person.metadata}
        content = key.seal(json.dumps(fields).encode(), Place(person.person_id, person.person_id, "persons.content"))
        write(
            "UPDATE persons SET key = :key, content = :content WHERE person_id = :id",
            key=wrapped,
            content=content,
            id=person.person_id,
        )
    for photo_id, person_id in _rows(connection, "SELECT photo_id, person_id FROM photos"):
        key = keys[person_id]
        query = "SELECT plain_quality, picture FROM photos WHERE photo_id = :id"
        quality, picture = connection.execute(sa.text(query), {"id": photo_id}).one()
        write(
            "UPDATE photos SET quality = :quality, picture = :picture WHERE photo_id = :id",
            quality=key.seal(quality.encode(), Place(person_id, photo_id, "photos.quality")),
            picture=key.seal(picture, Place(person_id, photo_id, "photos.picture")),
            id=photo_id,
        )
    for row in _rows(connection, "SELECT embeddings.*, person_id FROM embeddings JOIN photos USING (photo_id)"):
        place = Place(row.person_id, row.photo_id, "embeddings.vector", row.model)
        write(
            "UPDATE embeddings SET vector = :vector WHERE photo_id = :id AND model = :model",
            vector=keys[row.person_id].seal(row.vector, place),
            id=row.photo_id,
            model=row.model,
        )
    for row in _rows(connection, "SELECT * FROM counter_examples"):
        place = Place(row.person_id, row.counter_id, "counter_examples.vector", row.model)
        vector = keys[row.person_id].seal(row.vector, place)
        write("UPDATE counter_examples SET vector = :vector WHERE counter_id = :id", vector=vector, id=row.counter_id)
    for row in _rows(connection, "SELECT * FROM undos"):
        place = Place(row.person_id, row.undo_id, f"undos.content.{row.kind}")
        content = keys[row.person_id].seal(row.plain_content.encode(), place)
        write("UPDATE undos SET content = :content WHERE undo_id = :id", content=content, id=row.undo_id)
        if row.kind == "merge":
            source_id = json.loads(row.plain_content)["person"]["person_id"]
            write("INSERT INTO merges VALUES (:source, :target)", source=source_id, target=row.person_id)


def _rows(connection: sa.Connection, query: str) -> list[sa.Row[*tuple[Any, ...]]]:
    return list(connection.execute(sa.text(query)).all())
