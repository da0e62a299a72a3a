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
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from visage.bank import rules
from visage.bank.records import consent_from_json
from visage.errors import BankError, InvalidBackup
from visage.storage.loading import UNREADABLE
from visage.types import Issue

Head: TypeAlias = Mapping[str, Any]
Record: TypeAlias = tuple[Head, bytes]

_LENGTHS = struct.Struct(">II")
_MAX_HEAD_BYTES = 2**26
_MAX_REST_BYTES = 2**27
_MAX_PICTURE_BYTES = 10 * 2**20
_MAX_FAULT = 1000
_JPEG = b"\xff\xd8\xff"
_VECTORS = frozenset({"embedding", "counter_example"})
DAMAGED_TEXT = "The bank in this backup is damaged. Take an older backup"

_Check: TypeAlias = Callable[[Any], bool]

_PERSON = ("person_id", "name", "relationship", "metadata", "consent", "created_at", "updated_at", "last_seen_at")
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "bank": ("key_since",),
    "person": _PERSON,
    "gone": ("person_id",),
    "photo": ("photo_id", "person_id", "score", "issues", "created_at", "origin_id"),
    "embedding": ("photo_id", "person_id", "model"),
    "counter_example": ("counter_id", "person_id", "model", "created_at", "origin_id"),
    "undo": ("undo_id", "person_id", "kind", "content", "created_at"),
    "merge": ("source_id", "target_id"),
    "erasure": ("erased_id", "erased_at"),
    "damaged": ("text",),
    "end": (),
}
"""What a head must hold, by its `record`."""


def _or_none(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


def _is_consent(value: Any) -> bool:
    consent = consent_from_json(value)
    return rules.is_name(consent.given_by) and rules.is_name(consent.capacity) and _LINE(consent.text_version)


def _is_score(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 100


def _are_issues(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= len(Issue) and all(each in list(Issue) for each in value)


def _are_ids(value: Any) -> bool:
    return isinstance(value, list) and all(map(rules.is_id, value))


def _is_person(value: Any) -> bool:
    """In what undoes a merge; early ones knew of no consent, and not when somebody was last seen."""
    known = {"consent": None, "last_seen_at": None} | value
    return all(_RULES[name](known[name]) for name in _PERSON)


def _is_loan(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"by", "to"} and all(map(rules.is_id, value.values()))


_LINE = _or_none(rules.is_line)
_RULES: Mapping[str, _Check] = {
    **dict.fromkeys(
        ("person_id", "photo_id", "counter_id", "undo_id", "source_id", "target_id", "erased_id"), rules.is_id
    ),
    **dict.fromkeys(("created_at", "updated_at", "erased_at", "key_since"), rules.is_time),
    "last_seen_at": _or_none(rules.is_time),
    "origin_id": _or_none(rules.is_id),
    "name": rules.is_name,
    "relationship": _LINE,
    "metadata": rules.is_metadata,
    "consent": _or_none(_is_consent),
    "score": _is_score,
    "issues": _are_issues,
    "model": rules.is_name,
    "kind": lambda value: value in _CORRECTIONS,
    "content": rules.is_plain,
    "text": lambda value: rules.is_line(value, _MAX_FAULT),
}
"""What a field may hold, by its name."""

_CORRECTIONS: Mapping[str, tuple[Mapping[str, _Check], Mapping[str, _Check]]] = {
    "not-me": ({"counter_id": rules.is_id}, {}),
    "is-me": ({"photos": _are_ids}, {"set_aside": _are_ids, "lifted": _are_ids, "word": _LINE}),
    "merge": (
        {"person": _is_person, "photos": _are_ids, "counter_examples": _are_ids, "undos": _are_ids},
        {"set_aside": _are_ids, "lender": rules.is_id, "lent": _is_loan},
    ),
}
"""What the content of an undo must hold, and what it may, by its `kind`."""


def pack(head: Head, rest: bytes = b"") -> bytes:
    """A record as bytes.

    Raises:
        BankError: no restore would take it.
    """
    if (fault := _fault(head, rest)) is not None:
        of = f" of person {head['person_id']}" if "person_id" in head else ""
        raise BankError(f"A {head['record']}{of} in the bank is damaged in a way that no backup can hold: {fault}")
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


def verified(records: Iterable[Record], dimensions: Mapping[str, int]) -> Iterator[Record]:
    """The records, each as this program could have made it.

    Args:
        records: from wherever.
        dimensions: of the vectors of each model, as far as they are known; those of any other are all of one.

    Raises:
        InvalidBackup: one is not.
    """
    sizes = dict(dimensions)
    for head, rest in records:
        fault = _fault(head, rest)
        if head["record"] in _VECTORS and len(rest) != 4 * sizes.setdefault(head["model"], len(rest) // 4):
            fault = "its vector is of another size than its model makes"
        if fault is not None:
            raise InvalidBackup(
                f"The bank in this backup is none that Visage made: it holds a {head['record']}, and {fault}. "
                "Nothing was changed. Take another backup"
            )
        yield head, rest


def _fault(head: Head, rest: bytes) -> str | None:
    """What is wrong with a record, in words; None where nothing is."""
    for name in _FIELDS[head["record"]]:
        try:
            is_sound = name in head and _RULES[name](head[name])
        except (*UNREADABLE, RecursionError):
            is_sound = False
        if not is_sound:
            return f"its {name} cannot be"
    if head["record"] == "undo":
        must, may = _CORRECTIONS[head["kind"]]
        found = head["content"]
        try:
            checks = [(check, found[name]) for name, check in must.items()]
            checks += [(check, found[name]) for name, check in may.items() if name in found]
            is_sound = isinstance(found, dict) and all(check(value) for check, value in checks)
        except (*UNREADABLE, RecursionError):
            is_sound = False
        if not is_sound:
            return "its content cannot be"
    if head["record"] in _VECTORS and (len(rest) % 4 or not rules.is_embedding(np.frombuffer(rest, "<f4"))):
        return "its vector is none of unit length"
    if head["record"] == "photo" and not (rest.startswith(_JPEG) and len(rest) <= _MAX_PICTURE_BYTES):
        return "its picture is no JPEG, or larger than any"
    return None


def _parse(text: bytes | bytearray) -> Head:
    try:
        head = json.loads(text)
        if head["record"] not in _FIELDS:
            raise ValueError(head["record"])
    except (*UNREADABLE, RecursionError) as exc:
        raise InvalidBackup(DAMAGED_TEXT) from exc
    return dict(head)
