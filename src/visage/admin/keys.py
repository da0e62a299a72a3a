"""Who may use the server: API keys and the sessions of browsers.

Keys and session tokens are 256 random bits; kept is their SHA-256, which nobody can turn back, so that no slow hash
is needed and a look-up by hash tells nothing by the time it takes.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import sqlalchemy as sa

from visage.admin.database import Transactions
from visage.admin.schema import keys_table, sessions_table
from visage.bank.records import from_micros, to_micros
from visage.errors import KeyNotFound

_PREFIX = "visage_"


class Role(StrEnum):
    """What a key may do; each role may do all that the one before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    def may(self, needed: Role) -> bool:
        """Is this role enough where another is needed?"""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An API key, without the key itself.

    Attributes:
        key_id: names it in lists and in the audit log.
        label: what the owner calls it.
        revoked_at: None while it is good.
    """

    key_id: str
    label: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that signed in with a key."""

    key_id: str
    expires_at: datetime


def new_key() -> str:
    """A fresh API key."""
    return _PREFIX + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of a key or a session token: SHA-256, hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


class AccessStore:
    """Keys and sessions in the installation's database."""

    def __init__(self, transaction: Transactions) -> None:
        self._transaction = transaction

    def all_keys(self) -> list[tuple[str, AccessKey]]:
        """Every key there ever was, with its hash, oldest first."""
        query = sa.select(keys_table).order_by(keys_table.c.created_at, keys_table.c.key_id)
        with self._transaction() as connection:
            return [(row.key_hash, _key(row)) for row in connection.execute(query)]

    def add_key(self, key_hash: str, label: str, role: Role) -> AccessKey:
        """Keep a new key."""
        key = AccessKey(str(uuid.uuid4()), label, role, datetime.now(UTC), None)
        with self._transaction() as connection:
            connection.execute(
                keys_table.insert(),
                {
                    "key_id": key.key_id,
                    "key_hash": key_hash,
                    "label": key.label,
                    "role": key.role.value,
                    "created_at": to_micros(key.created_at),
                },
            )
        return key

    def revoke(self, key_id: str) -> None:
        """Make a key worthless, and end its sessions.

        Raises:
            KeyNotFound: there is no such key, or it is worthless already.
        """
        with self._transaction() as connection:
            found = connection.execute(
                keys_table.update()
                .where(keys_table.c.key_id == key_id, keys_table.c.revoked_at.is_(None))
                .values(revoked_at=to_micros(datetime.now(UTC)))
            )
            if found.rowcount == 0:
                raise KeyNotFound
            connection.execute(sessions_table.delete().where(sessions_table.c.key_id == key_id))

    def sessions(self, now: datetime) -> dict[str, Session]:
        """The sessions that have not expired by a time, by hash, oldest first; the others are removed."""
        with self._transaction() as connection:
            connection.execute(sessions_table.delete().where(sessions_table.c.expires_at <= to_micros(now)))
            rows = connection.execute(sa.select(sessions_table).order_by(sessions_table.c.expires_at)).all()
        return {row.session_hash: Session(row.key_id, from_micros(row.expires_at)) for row in rows}

    def add_session(self, session_hash: str, session: Session) -> None:
        """Keep a new session."""
        row = {
            "session_hash": session_hash,
            "key_id": session.key_id,
            "expires_at": to_micros(session.expires_at),
        }
        with self._transaction() as connection:
            connection.execute(sessions_table.insert(), row)

    def delete_session(self, session_hash: str) -> None:
        """End a session."""
        with self._transaction() as connection:
            connection.execute(sessions_table.delete().where(sessions_table.c.session_hash == session_hash))


def _key(row: sa.Row[tuple[object, ...]]) -> AccessKey:
    return AccessKey(
        key_id=row.key_id,
        label=row.label,
        role=Role(row.role),
        created_at=from_micros(row.created_at),
        revoked_at=None if row.revoked_at is None else from_micros(row.revoked_at),
    )
