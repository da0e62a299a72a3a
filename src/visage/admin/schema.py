"""The tables of an installation. Nothing in them tells of a person: ids, hashes, labels of devices, times, settings.

They are portable; what only one database can do hangs on its dialect.
"""

from __future__ import annotations

import sqlalchemy as sa

VERSION = 1
"""Of these tables."""

metadata = sa.MetaData()

version_table = sa.Table(
    "admin_schema", metadata, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False)
)
keys_table = sa.Table(
    "access_keys",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("key_hash", sa.Text, nullable=False, unique=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
)
sessions_table = sa.Table(
    "access_sessions",
    metadata,
    sa.Column("session_hash", sa.Text, primary_key=True),
    sa.Column("key_id", sa.Text, sa.ForeignKey("access_keys.key_id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)
audit_table = sa.Table(
    "audit",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("subject", sa.Text),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)
preferences_table = sa.Table(
    "preferences",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),  # JSON
)
