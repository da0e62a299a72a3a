"""The backup file: the records of a bank, sealed in pieces under a key that the master key gives, with a checksum at
the end.

    magic (8 bytes, VISAGEBK) ‖ version (1 byte, 2) ‖ length of the header (4 bytes) ‖ header (JSON)
    pieces: 1 MiB of the records (`records.py`) each, the last one shorter, each followed by its tag (16 bytes)
    SHA-256 of all that comes before (32 bytes)

The header says by which secrets the master key can be had: the slots for the passphrase and the recovery key go with
the backup, the key itself does not. Version 1, which is only read, holds the file of an SQLite database instead, and
its header that file's length. `docs/storage.md` describes the format for a second implementation.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from visage.bank import rules
from visage.errors import InvalidBackup
from visage.storage.keys import KeyRecord
from visage.storage.vault import KEY_BYTES, TAG_BYTES, Slot, Vault

MAGIC = b"VISAGEBK"
VERSION = 2
DATABASE = 1
"""The version that holds a database."""

PIECE_BYTES = 2**20
SUFFIX = ".visage"

Progress = Callable[[int, int], None]
"""Is told how much of how much is done."""

_PREFIX = struct.Struct(">8sBI")
_MAX_HEADER_BYTES = 64 * 1024
_CHECKSUM_BYTES = 32
_MOST = {"iterations": 16, "lanes": 16, "memory_kib": 2**20}
_CUT = "The backup is not whole: a part of it is missing. Take another copy of it"
_DAMAGED = "The backup is damaged: it is not as it was written. Take another copy of it"


@dataclass(frozen=True, slots=True)
class BackupHeader:
    """What a backup tells without its key.

    Attributes:
        version: of the format.
        record: what it knows of its key.
        created_at: when it was begun.
        persons, photos: how many there were then.
        content_bytes: of what is sealed in it.
        salt: of its own key.
        associated_data: binds each piece to this header.
        start: where the pieces begin in the file.
    """

    version: int
    record: KeyRecord
    created_at: datetime
    persons: int
    photos: int
    content_bytes: int
    salt: bytes
    associated_data: bytes
    start: int


class BackupWriter:
    """Seals a stream.

    Args:
        target: at its beginning.
        vault: its master key.
        record: what the bank knows of its key.
        persons, photos: how many there are.
    """

    def __init__(self, target: IO[bytes], vault: Vault, record: KeyRecord, *, persons: int, photos: int) -> None:
        salt = os.urandom(16)
        header = json.dumps(
            {
                "bank_id": record.bank_id,
                "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "persons": persons,
                "photos": photos,
                "key_check": _text(record.key_check),
                "slots": [
                    {"kind": slot.kind, "parameters": slot.parameters, "wrapped": _text(slot.wrapped)}
                    for slot in record.slots
                ],
                "salt": _text(salt),
            }
        ).encode()
        start = _PREFIX.pack(MAGIC, VERSION, len(header)) + header
        self._target = target
        self._aead = _aead(vault.master_key, salt)
        self._associated_data = hashlib.sha256(start).digest()
        self._checksum = hashlib.sha256()
        self._waiting = bytearray()
        self._number = 0
        self._put(start)

    def write(self, data: bytes) -> None:
        """Add to the stream."""
        self._waiting += data
        while len(self._waiting) >= PIECE_BYTES:
            self._seal(PIECE_BYTES, is_last=False)

    def close(self) -> None:
        """End the stream; without that the file is none."""
        self._seal(len(self._waiting), is_last=True)
        self._target.write(self._checksum.digest())

    def _seal(self, size: int, *, is_last: bool) -> None:
        piece = bytes(self._waiting[:size])
        del self._waiting[:size]
        self._put(self._aead.encrypt(_nonce(self._number, is_last), piece, self._associated_data))
        self._number += 1

    def _put(self, data: bytes) -> None:
        self._checksum.update(data)
        self._target.write(data)


def read_header(path: Path) -> BackupHeader:
    """What a backup tells without its key; that its length can be is checked.

    Raises:
        InvalidBackup: it is none, was cut short, or is of a newer version.
    """
    try:
        with path.open("rb") as file:
            return _parse_header(file, os.fstat(file.fileno()).st_size)
    except OSError as exc:
        raise InvalidBackup(f"The backup cannot be read: {exc.strerror}") from exc


def read_pieces(path: Path, master_key: bytes, on_progress: Progress) -> Iterator[bytes]:
    """What is sealed in a backup, piece by piece. What came is worth nothing if this raises later.

    Args:
        path: of the backup.
        master_key: 32 bytes; must be the backup's.
        on_progress: is told how many bytes of how many are done.

    Raises:
        InvalidBackup: a bit of it was changed, or a part is missing.
    """
    header = read_header(path)
    checksum = hashlib.sha256()
    aead, size = _aead(master_key, header.salt), header.content_bytes
    with path.open("rb") as file:
        checksum.update(file.read(header.start))
        for number, (done, is_last) in enumerate(_pieces(size)):
            sealed = file.read(min(PIECE_BYTES, size - done) + TAG_BYTES)
            checksum.update(sealed)
            try:
                piece = aead.decrypt(_nonce(number, is_last), sealed, header.associated_data)
            except InvalidTag as exc:
                raise InvalidBackup(_DAMAGED) from exc
            yield piece
            on_progress(min(done + PIECE_BYTES, size), size)
        if file.read() != checksum.digest():
            raise InvalidBackup(_DAMAGED)


def verify_checksum(path: Path) -> None:
    """Is the file as it was written? Needs no key.

    Raises:
        InvalidBackup: it is not.
    """
    read_header(path)
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size - _CHECKSUM_BYTES
        while left > 0:
            piece = file.read(min(left, PIECE_BYTES))
            if not piece:
                break
            checksum.update(piece)
            left -= len(piece)
        if file.read() != checksum.digest():
            raise InvalidBackup(_DAMAGED)


def backup_name(moment: datetime) -> str:
    """What a backup of this moment is called."""
    return f"visage-backup-{moment.astimezone():%Y-%m-%d-%H%M}{SUFFIX}"


def _parse_header(file: IO[bytes], length: int) -> BackupHeader:
    prefix = file.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size or not prefix.startswith(MAGIC):
        raise InvalidBackup("This is no backup of Visage")
    _, version, of_header = _PREFIX.unpack(prefix)
    if version not in (DATABASE, VERSION):
        raise InvalidBackup("This backup was made by a newer version of Visage; install that version or later")
    if of_header > _MAX_HEADER_BYTES:
        raise InvalidBackup(_DAMAGED)
    text = file.read(of_header)
    try:
        fields: dict[str, Any] = json.loads(text)
        record = KeyRecord(
            bank_id=_line(fields["bank_id"]),
            key_check=_bytes(fields["key_check"]),
            slots=[_slot(slot) for slot in fields["slots"]],
            wrapped=(),
        )
        found = BackupHeader(
            version=version,
            record=record,
            created_at=datetime.fromisoformat(fields["created_at"]),
            persons=int(fields["persons"]),
            photos=int(fields["photos"]),
            content_bytes=_content_bytes(length - len(prefix) - len(text) - _CHECKSUM_BYTES),
            salt=_bytes(fields["salt"]),
            associated_data=hashlib.sha256(prefix + text).digest(),
            start=len(prefix) + len(text),
        )
        expected = int(fields["database_bytes"]) if version == DATABASE else found.content_bytes
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as exc:
        raise InvalidBackup(_DAMAGED) from exc
    if expected != found.content_bytes:
        raise InvalidBackup(_CUT)
    return found


def _content_bytes(length: int) -> int:
    """How much is sealed in pieces that are so long together."""
    full, rest = divmod(length, PIECE_BYTES + TAG_BYTES)
    if rest < TAG_BYTES:
        raise InvalidBackup(_CUT)
    return full * PIECE_BYTES + rest - TAG_BYTES


def _slot(fields: dict[str, Any]) -> Slot:
    """A slot that costs no more to open than any that this program makes, with room for stronger ones."""
    parameters = dict(fields["parameters"])
    for name, most in _MOST.items():
        if int(parameters.get(name, 0)) > most:
            raise ValueError(name)
    if fields["kind"] not in {"passphrase", "recovery"}:
        raise ValueError(fields["kind"])
    return Slot(fields["kind"], parameters, _bytes(fields["wrapped"]))


def _pieces(size: int) -> Iterator[tuple[int, bool]]:
    """Where each piece begins, and whether it is the last; the last is shorter than the others, and may be empty."""
    last = size // PIECE_BYTES
    for number in range(last + 1):
        yield number * PIECE_BYTES, number == last


def _nonce(number: int, is_last: bool) -> bytes:
    """Of a piece: its number, and whether it is the last, so that none can be moved, dropped or added."""
    return number.to_bytes(11, "big") + bytes([is_last])


def _aead(master_key: bytes, salt: bytes) -> AESGCM:
    """The cipher of one backup. Its key is used once, so that the nonces may count."""
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt=salt, info=b"visage backup").derive(master_key))


def _line(value: Any) -> str:
    """What goes into the lock file, as a line of it."""
    if not rules.is_name(value):
        raise ValueError(value)
    return str(value)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise ValueError("no base64") from exc
