"""What goes when somebody is forgotten, by what it is found again, and that it is noted."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import sqlalchemy as sa

from visage.bank.records import Erasure, to_micros
from visage.storage.schema import (
    counter_examples_table,
    embeddings_table,
    erasures_table,
    merges_table,
    persons_table,
    photos_table,
    undos_table,
)
from visage.storage.vault import NONCE_BYTES, VERSION

_MAX_VALUES = 500

_ERASED_BY = (
    persons_table.c.person_id,  # first: what goes with a person is not counted again
    photos_table.c.photo_id,
    photos_table.c.origin_id,
    counter_examples_table.c.counter_id,
    counter_examples_table.c.origin_id,
    undos_table.c.undo_id,
    undos_table.c.source_id,
    merges_table.c.source_id,
)
"""The columns by which what was forgotten is found again in an older file, also where a merge has moved it."""


def traces(connection: sa.Connection, person_id: str, photo_ids: Sequence[str] | None = None) -> list[bytes]:
    """By what the values of a person, or of some photos, would be found in a file."""
    photos, embeddings = photos_table.c, embeddings_table.c
    wanted = photos.person_id == person_id
    if photo_ids is not None:
        wanted &= photos.photo_id.in_(photo_ids)
    queries = [
        sa.select(photos.quality, photos.picture).where(wanted),
        sa.select(embeddings.vector).join(photos_table).where(wanted),
    ]
    if photo_ids is None:
        for table, names in (
            (persons_table, ("key", "content")),
            (counter_examples_table, ("vector",)),
            (undos_table, ("content",)),
        ):
            columns = [table.c[name] for name in names]
            queries.append(sa.select(*columns).where(table.c.person_id == person_id))
    values = [value for query in queries for row in connection.execute(query) for value in row]
    # The nonce is random, and at the beginning: where it is not found, the value is not. Damaged values may be zeros.
    whole = [value for value in values if isinstance(value, bytes) and value[:1] == bytes([VERSION])]
    return [value[1 : 1 + NONCE_BYTES] for value in whole if len(value) > NONCE_BYTES]


def absorbed(connection: sa.Connection, person_id: str) -> list[str]:
    """Everyone who was merged into a person, directly or by way of others."""
    found: list[str] = []
    waiting = [person_id]
    while waiting:
        query = sa.select(merges_table.c.source_id).where(merges_table.c.target_id == waiting.pop())
        sources = [
            source_id
            for (source_id,) in connection.execute(query)
            if source_id != person_id and source_id not in found
        ]
        found += sources
        waiting += sources
    return found


def erase(connection: sa.Connection, erased: Collection[str]) -> tuple[int, bool]:
    """Remove what was forgotten from an older bank; no key is needed for that.

    A bank of an older schema does not tell what a merge has moved: there, whoever holds somebody who was forgotten
    goes as well.

    Returns: how many persons and photos were still there; whether anything was removed.
    """
    inspector = sa.inspect(connection)
    tables = set(inspector.get_table_names())
    there = {
        table: {column["name"] for column in inspector.get_columns(table.name)} if table.name in tables else set()
        for table in {column.table for column in _ERASED_BY}
    }
    gone = set(erased)
    if "origin_id" not in there[photos_table] and there[merges_table]:
        targets = {row.source_id: row.target_id for row in connection.execute(sa.select(merges_table))}
        for person_id in erased:
            holder = targets.get(person_id)
            while holder is not None and holder not in gone:
                gone.add(holder)
                holder = targets.get(holder)
    if there[merges_table]:
        _close_chains(connection, gone)
    count = total = 0
    for column in _ERASED_BY:
        if column.name in there[column.table]:
            removed = sum(delete(connection, column, some) for some in _batches(sorted(gone)))
            count += removed if column.table in (persons_table, photos_table) else 0
            total += removed
    return count, total > 0


def delete(connection: sa.Connection, column: sa.Column[str], ids: Sequence[str]) -> int:
    """Remove rows by a column; returns how many."""
    return connection.execute(column.table.delete().where(column.in_(ids))).rowcount


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """How many values a statement takes is limited."""
    for start in range(0, len(ids), _MAX_VALUES):
        yield ids[start : start + _MAX_VALUES]


def _close_chains(connection: sa.Connection, gone: Collection[str]) -> None:
    """Who was merged into someone who goes, and with him into a third, was merged into that third."""
    merges = merges_table.c
    targets = {row.source_id: row.target_id for row in connection.execute(sa.select(merges_table))}
    for source_id, target_id in targets.items():
        seen, last = {source_id}, target_id
        while last in gone and last in targets and last not in seen:
            seen.add(last)
            last = targets[last]
        if last != target_id:
            connection.execute(merges_table.update().where(merges.source_id == source_id), {"target_id": last})


def belongings(connection: sa.Connection, person_id: str) -> list[str]:
    """The ids of all that goes with a person."""
    return [
        each
        for column in (photos_table.c.photo_id, counter_examples_table.c.counter_id, undos_table.c.undo_id)
        for each in connection.scalars(sa.select(column).where(column.table.c.person_id == person_id))
    ]


def note_erased(connection: sa.Connection, erasures: Sequence[Erasure]) -> None:
    if erasures:
        connection.execute(
            erasures_table.delete().where(erasures_table.c.erased_id == sa.bindparam("gone")),
            [{"gone": erasure.erased_id} for erasure in erasures],
        )
        connection.execute(
            erasures_table.insert(),
            [{"erased_id": each.erased_id, "erased_at": to_micros(each.erased_at)} for each in erasures],
        )
