"""The tables. Readable are random ids, the names of models and kinds, and times; all else is sealed (`vault.py`).

`merges` tells who was merged into whom, so that forgetting the one forgets the other too in older backups; an
`origin_id` or `source_id` tells whose something was before that, so that forgetting finds it with whoever has it in
an older file. `erasures` keeps the ids of what was forgotten, for the same reason.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

persons_table = sa.Table(
    "persons",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("key", sa.LargeBinary, nullable=False),  # the person's data key, wrapped by the master key
    sa.Column("content", sa.LargeBinary, nullable=False),  # sealed JSON: name, relationship, metadata, consent
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("last_seen_at", sa.BigInteger),  # only where that is switched on
    sa.Column("digest", sa.LargeBinary, nullable=False, server_default=""),  # of all that is theirs (`digest.py`)
)
photos_table = sa.Table(
    "photos",
    metadata,
    sa.Column("photo_id", sa.Text, primary_key=True),
    sa.Column(
        "person_id",
        sa.Text,
        sa.ForeignKey("persons.person_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("quality", sa.LargeBinary, nullable=False),  # sealed JSON
    sa.Column("picture", sa.LargeBinary, nullable=False),  # sealed JPEG
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("origin_id", sa.Text),  # whose it was first, where a merge moved it
)
embeddings_table = sa.Table(
    "embeddings",
    metadata,
    sa.Column("photo_id", sa.Text, sa.ForeignKey("photos.photo_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("vector", sa.LargeBinary, nullable=False),  # sealed float32, little-endian
)
counter_examples_table = sa.Table(
    "counter_examples",
    metadata,
    sa.Column("counter_id", sa.Text, primary_key=True),
    sa.Column(
        "person_id", sa.Text, sa.ForeignKey("persons.person_id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("vector", sa.LargeBinary, nullable=False),  # sealed float32, little-endian
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("origin_id", sa.Text),  # as of a photo
)
undos_table = sa.Table(
    "undos",
    metadata,
    sa.Column("undo_id", sa.Text, primary_key=True),
    sa.Column(
        "person_id", sa.Text, sa.ForeignKey("persons.person_id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),  # sealed JSON
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("source_id", sa.Text),  # whom it would bring back
)
vault_table = sa.Table(
    "vault",
    metadata,
    sa.Column("bank_id", sa.Text, primary_key=True),
    sa.Column("key_check", sa.LargeBinary, nullable=False),  # sealed by the master key, which it knows again
    sa.Column("key_since", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, server_default=""),  # of all rows, sealed (`digest.py`)
)
key_slots_table = sa.Table(
    "key_slots",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("parameters", sa.Text, nullable=False),  # JSON
    sa.Column("wrapped", sa.LargeBinary, nullable=False),  # the master key, wrapped by what the secret gives
)
merges_table = sa.Table(
    "merges",
    metadata,
    sa.Column("source_id", sa.Text, primary_key=True),
    sa.Column("target_id", sa.Text, nullable=False, index=True),
)
erasures_table = sa.Table(
    "erasures",
    metadata,
    sa.Column("erased_id", sa.Text, primary_key=True),
    sa.Column("erased_at", sa.BigInteger, nullable=False),
)
