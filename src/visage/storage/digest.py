"""What belongs together: a digest of every row of the bank, which nobody can make without its key.

Each value in the bank is sealed for its place, so that none can be altered or moved. But an older value of the same
place opens as well, and so does a row that was removed. So each write moves a sum on, which is kept sealed: of every
row, a keyed hash of its ids, times and the nonces of its values, which are never the same twice. What is put back, or
taken out, by other means than Visage makes the sum wrong, and stays so: each write takes off what it finds, not what
should be there. What a person has added to the sum is kept with the person, so that one who is damaged can be
forgotten, and all is right again.

The sum is that of a set (AdHash: Bellare and Micciancio 1997, "A New Paradigm for Collision-Free Hashing"; here the
hash is keyed, and the sum is sealed), so that a write costs what it touches.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from visage.errors import DamagedPerson
from visage.storage.schema import (
    counter_examples_table,
    embeddings_table,
    erasures_table,
    key_slots_table,
    merges_table,
    persons_table,
    photos_table,
    undos_table,
    vault_table,
)
from visage.storage.vault import NONCE_BYTES, Vault

_MODULUS = 2**256
_MAX_VALUES = 500
_OF_PERSONS = 5
"""So many tables hold what is somebody's; the others come after."""

UNKNOWN = b""
"""The digest of a bank that was changed without its key."""


@dataclass(slots=True)
class Sums:
    """What rows add to the digest.

    Attributes:
        persons: by person, what theirs add.
        kept: by person, what the bank knows of that, sealed.
        others: what merges, erasures and what is known of the key add.
    """

    persons: dict[str, int] = field(default_factory=dict)
    kept: dict[str, bytes] = field(default_factory=dict)
    others: int = 0

    @property
    def total(self) -> int:
        """All together."""
        return (sum(self.persons.values()) + self.others) % _MODULUS


def of_rows(connection: sa.Connection, vault: Vault, ids: Collection[str] | None, *, old: bool = False) -> Sums:
    """The sums of all that belongs to some persons, of the merges and erasures of these ids, and, by the bank's id,
    of what it knows of its key.

    Args:
        connection: within a transaction.
        vault: the master key.
        ids: None for the whole bank.
        old: as it was before revision 0009, without times and what is known of the key.
    """
    key, sums = vault.digest_key(), Sums()
    for some in [None] if ids is None else _batches(sorted(ids)):
        for kept, owner, *row in connection.execute(_query(some, old)):
            value = int.from_bytes(hmac.digest(key, repr(row).encode(errors="backslashreplace"), "sha256"))
            if owner is None:
                sums.others += value
            else:
                sums.persons[owner] = (sums.persons.get(owner, 0) + value) % _MODULUS
                if row[0] == 0:
                    sums.kept[owner] = kept
    return sums


def move_on(connection: sa.Connection, vault: Vault, before: Sums, after: Sums, forgotten: str | None = None) -> None:
    """Let the digest follow a change of rows. One that is unknown stays so.

    Args:
        connection: within the transaction of the change.
        vault: the master key.
        before, after: the change.
        forgotten: who goes with all that was theirs: taken off is what the bank knew of them, not what was found.
    """
    change = after.total - before.total
    for person_id, value in after.persons.items():
        moved = value - before.persons.get(person_id, 0)
        if moved or person_id not in before.kept:
            _keep_of(connection, vault, person_id, _opened(vault, person_id, before.kept.get(person_id)) + moved)
    if forgotten in before.kept:
        found = before.persons[forgotten]
        change += found - _opened(vault, forgotten, before.kept[forgotten], otherwise=found)
    row = connection.execute(sa.select(vault_table.c.bank_id, vault_table.c.digest)).one()
    try:
        value = vault.open_digest(row.bank_id, row.digest)
    except DamagedPerson:
        return
    _keep(connection, vault, row.bank_id, value + change)


def was_right(connection: sa.Connection, vault: Vault) -> bool:
    """Was the digest right, as it was before revision 0009? What was not is not made so by an update."""
    row = connection.execute(sa.select(vault_table.c.bank_id, vault_table.c.digest)).one()
    try:
        return vault.open_digest(row.bank_id, row.digest) == of_rows(connection, vault, None, old=True).total
    except DamagedPerson:
        return False


def renew(connection: sa.Connection, vault: Vault) -> None:
    """Take the rows as they are for right."""
    bank_id = connection.execute(sa.select(vault_table.c.bank_id)).scalar_one()
    sums = of_rows(connection, vault, None)
    for person_id, value in sums.persons.items():
        _keep_of(connection, vault, person_id, value)
    _keep(connection, vault, bank_id, sums.total)


def faults(connection: sa.Connection, vault: Vault) -> list[str]:
    """Do the rows belong together? In words."""
    row = connection.execute(sa.select(vault_table.c.bank_id, vault_table.c.digest)).one()
    if row.digest == UNKNOWN:
        return [
            "The bank was changed without its key, as one that was set aside is when somebody is forgotten: whether "
            "something else was changed too cannot be told. `visage key rotate` takes it as it is now"
        ]
    try:
        is_right = vault.open_digest(row.bank_id, row.digest) == of_rows(connection, vault, None).total
    except DamagedPerson:
        is_right = False
    if is_right:
        return []
    return [
        "Rows of the bank were put back, removed or damaged, and not by Visage. Restore a backup, or look whether "
        "all is right: `visage key rotate` takes it as it is now"
    ]


def _keep(connection: sa.Connection, vault: Vault, bank_id: str, value: int) -> None:
    connection.execute(vault_table.update(), {"digest": vault.seal_digest(bank_id, value % _MODULUS)})


def _keep_of(connection: sa.Connection, vault: Vault, person_id: str, value: int) -> None:
    update = persons_table.update().where(persons_table.c.person_id == person_id)
    connection.execute(update, {"digest": vault.seal_digest(person_id, value % _MODULUS)})


def _opened(vault: Vault, person_id: str, kept: bytes | None, otherwise: int = 0) -> int:
    """What a person has added, as far as that is known."""
    try:
        return vault.open_digest(person_id, kept) if kept else otherwise
    except DamagedPerson:
        return otherwise


def _query(ids: Sequence[str] | None, old: bool) -> sa.CompoundSelect[Any]:
    """Of each row: what is kept of it, the owner, what is hashed (kind, ids, beginnings of sealed values, times)."""
    persons, photos, embeddings = persons_table.c, photos_table.c, embeddings_table.c
    counters, undos = counter_examples_table.c, undos_table.c
    merges, erasures = merges_table.c, erasures_table.c
    none, text = sa.literal(b"", sa.LargeBinary), sa.literal("")

    def start(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        return sa.func.substr(column, 1, 1 + NONCE_BYTES)

    parts: list[tuple[sa.Column[Any], list[Any]]] = [
        (persons.person_id, [persons.person_id, text, text, text, start(persons.key), start(persons.content)]),
        (
            photos.person_id,
            [photos.photo_id, photos.person_id, photos.origin_id, text, start(photos.quality), start(photos.picture)],
        ),
        (
            photos.person_id,
            [embeddings.photo_id, photos.person_id, embeddings.model, text, start(embeddings.vector), none],
        ),
        (
            counters.person_id,
            [
                counters.counter_id,
                counters.person_id,
                counters.origin_id,
                counters.model,
                start(counters.vector),
                none,
            ],
        ),
        (
            undos.person_id,
            [undos.undo_id, undos.person_id, undos.kind, undos.source_id, start(undos.content), none],
        ),
        (merges.source_id, [merges.source_id, merges.target_id, text, text, none, none]),
        (erasures.erased_id, [erasures.erased_id, sa.cast(erasures.erased_at, sa.Text), text, text, none, none]),
    ]
    times = [
        *(_text(column) for column in (persons.created_at, photos.created_at)),
        text,
        *(_text(column) for column in (counters.created_at, undos.created_at)),
        text,
        text,
    ]
    if not old:
        bank, slots = vault_table.c, key_slots_table.c
        whose: Any = sa.select(bank.bank_id).scalar_subquery()
        parts[0][1][1:3] = [_text(persons.updated_at), _text(persons.last_seen_at)]
        parts += [
            (bank.bank_id, [bank.bank_id, text, text, text, none, none]),
            (whose, [slots.kind, slots.parameters, text, text, start(slots.wrapped), none]),
        ]
        times += [_text(bank.key_since), text]
        for (_, columns), time in zip(parts, times, strict=True):
            columns.append(time)
    selects = []
    for number, (owner, columns) in enumerate(parts):
        kept = persons.digest if number == 0 else none
        query = sa.select(kept, owner if number < _OF_PERSONS else sa.null(), sa.literal(number), *columns)
        if number == 2:  # an embedding is the photo's
            query = query.join_from(embeddings_table, photos_table)
        selects.append(query if ids is None else query.where(owner.in_(ids)))
    return sa.union_all(*selects)


def _text(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return sa.cast(column, sa.Text)


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(ids), _MAX_VALUES):
        yield ids[begin : begin + _MAX_VALUES]
