"""The records of a backup: what it says of each person, one after the other, whatever database they come from.

A record is

    length of the head (4 bytes) ‖ length of the rest (4 bytes) ‖ head (JSON) ‖ rest

with the picture or the vector, where there is one, as the rest. A `person` begins that person anew: what an earlier
record said of the same person, or of a photo with the same id, is void. So a backup can be written while the bank
changes: whoever was changed is said again. `docs/storage.md` describes each record for a second implementation.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from visage.errors import BankError, InvalidBackup
from visage.storage.loading import UNREADABLE

Head: TypeAlias = Mapping[str, Any]
Record: TypeAlias = tuple[Head, bytes]

_LENGTHS = struct.Struct(">II")
_MAX_HEAD_BYTES = 2**26
_MAX_REST_BYTES = 2**27
DAMAGED_TEXT = "The bank in this backup is damaged. Take an older backup"

_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "bank": {"key_since": int},
    "person": {
        "person_id": str,
        "name": str,
        "relationship": str | None,
        "metadata": str,
        "consent": dict | None,
        "created_at": int,
        "updated_at": int,
        "last_seen_at": int | None,
    },
    "gone": {"person_id": str},
    "photo": {
        "photo_id": str,
        "person_id": str,
        "score": int | float,
        "issues": list,
        "created_at": int,
        "origin_id": str | None,
    },
    "embedding": {"photo_id": str, "person_id": str, "model": str},
    "counter_example": {
        "counter_id": str,
        "person_id": str,
        "model": str,
        "created_at": int,
        "origin_id": str | None,
    },
    "undo": {"undo_id": str, "person_id": str, "kind": str, "content": dict, "created_at": int},
    "merge": {"source_id": str, "target_id": str},
    "erasure": {"erased_id": str, "erased_at": int},
    "damaged": {"text": str},
    "end": {},
}
"""What a head must hold, by its `record`."""


def pack(head: Head, rest: bytes = b"") -> bytes:
    """A record as bytes.

    Raises:
        BankError: no restore would take it.
    """
    if not _is_sound(head):
        raise BankError(f"A {head['record']} in the bank is damaged in a way that no backup can hold")
    text = json.dumps(dict(head), ensure_ascii=False).encode()
    return _LENGTHS.pack(len(text), len(rest)) + text + rest


def unpack(pieces: Iterable[bytes]) -> Iterator[Record]:
    """The records in a stream that comes in pieces; holds one record and one piece.

    Raises:
        InvalidBackup: it is no such stream, or ends within a record.
    """
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        start = 0
        while len(waiting) - start >= _LENGTHS.size:
            of_head, of_rest = _LENGTHS.unpack_from(waiting, start)
            if of_head > _MAX_HEAD_BYTES or of_rest > _MAX_REST_BYTES:
                raise InvalidBackup(DAMAGED_TEXT)
            text = start + _LENGTHS.size
            end = text + of_head + of_rest
            if len(waiting) < end:
                break
            yield _parse(waiting[text : text + of_head]), bytes(waiting[text + of_head : end])
            start = end
        del waiting[:start]
    if waiting:
        raise InvalidBackup(DAMAGED_TEXT)


def _is_sound(head: Head) -> bool:
    """Does it hold what it must? KeyError: it does not."""
    return all(isinstance(head[name], kind) for name, kind in _FIELDS[head["record"]].items())


def _parse(text: bytes | bytearray) -> Head:
    try:
        head = json.loads(text)
        if not _is_sound(head):
            raise TypeError(head["record"])
    except (*UNREADABLE, RecursionError) as exc:
        raise InvalidBackup(DAMAGED_TEXT) from exc
    return dict(head)
