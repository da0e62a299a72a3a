"""The backup file: a whole bank, sealed in pieces under a key that the master key gives, with a checksum at the end.

    magic (8 bytes, VISAGEBK) ‖ version (1 byte, 1) ‖ length of the header (4 bytes) ‖ header (JSON)
    pieces: 1 MiB of the database each, the last one shorter, each followed by its tag (16 bytes)
    SHA-256 of all that comes before (32 bytes)

The header says by which secrets the master key can be had: the slots for the passphrase and the recovery key go with
the backup, the key itself does not. `docs/storage.md` describes the format for a second implementation.
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

from visage.errors import InvalidBackup
from visage.storage.keys import KeyRecord
from visage.storage.vault import KEY_BYTES, TAG_BYTES, Slot, Vault

MAGIC = b"VISAGEBK"
VERSION = 1
PIECE_BYTES = 2**20
SUFFIX = ".visage"

Progress = Callable[[int, int], None]
"""Is told how many bytes of how many are done."""

_PREFIX = struct.Struct(">8sBI")
_MAX_HEADER_BYTES = 64 * 1024
_CHECKSUM_BYTES = 32
_MOST = {"iterations": 16, "lanes": 16, "memory_kib": 2**20}
_DAMAGED = "The backup is damaged: it is not as it was written. Take another copy of it"


@dataclass(frozen=True, slots=True)
class BackupHeader:
    """What a backup tells without its key.

    Attributes:
        record: what it knows of its key.
        created_at: when it was made.
        persons, photos: how many are in it.
        database_bytes: of the database in it.
        salt: of its own key.
        associated_data: binds each piece to this header.
        start: where the pieces begin in the file.
    """

    record: KeyRecord
    created_at: datetime
    persons: int
    photos: int
    database_bytes: int
    salt: bytes
    associated_data: bytes
    start: int

    @property
    def file_bytes(self) -> int:
        """How long the whole file must be."""
        pieces = self.database_bytes // PIECE_BYTES + 1
        return self.start + self.database_bytes + pieces * TAG_BYTES + _CHECKSUM_BYTES


def write_backup(
    target: IO[bytes],
    database: IO[bytes],
    vault: Vault,
    record: KeyRecord,
    *,
    persons: int,
    photos: int,
    on_progress: Progress,
) -> None:
    """Write a backup of a database that does not change meanwhile.

    Args:
        target: at its beginning.
        database: at its beginning.
        vault: its master key.
        record: what it knows of its key.
        persons, photos: how many are in it.
        on_progress: as the type says.
    """
    size = database.seek(0, os.SEEK_END)
    database.seek(0)
    salt = os.urandom(16)
    header = json.dumps(
        {
            "bank_id": record.bank_id,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "persons": persons,
            "photos": photos,
            "database_bytes": size,
            "key_check": _text(record.key_check),
            "slots": [
                {"kind": slot.kind, "parameters": slot.parameters, "wrapped": _text(slot.wrapped)}
                for slot in record.slots
            ],
            "salt": _text(salt),
        }
    ).encode()
    start = _PREFIX.pack(MAGIC, VERSION, len(header)) + header
    checksum = hashlib.sha256()
    aead, associated_data = _aead(vault.master_key, salt), hashlib.sha256(start).digest()

    def put(data: bytes) -> None:
        checksum.update(data)
        target.write(data)

    put(start)
    for number, (done, is_last) in enumerate(_pieces(size)):
        piece = database.read(min(PIECE_BYTES, size - done))
        put(aead.encrypt(_nonce(number, is_last), piece, associated_data))
        on_progress(done + len(piece), size)
    target.write(checksum.digest())


def read_header(path: Path) -> BackupHeader:
    """What a backup tells without its key; that it is as long as it must be is checked.

    Raises:
        InvalidBackup: it is none, was cut short, or is of a newer version.
    """
    try:
        with path.open("rb") as file:
            header = _parse_header(file)
            length = file.seek(0, os.SEEK_END)
    except OSError as exc:
        raise InvalidBackup(f"The backup cannot be read: {exc.strerror}") from exc
    if length != header.file_bytes:
        raise InvalidBackup("The backup is not whole: a part of it is missing. Take another copy of it")
    return header


def read_backup(path: Path, master_key: bytes, database: IO[bytes], on_progress: Progress) -> None:
    """Check a backup and write the database that is in it.

    Args:
        path: of the backup.
        master_key: 32 bytes; must be the backup's.
        database: empty; what was written is worth nothing if this raises.
        on_progress: as the type says.

    Raises:
        InvalidBackup: a bit of it was changed.
    """
    header = read_header(path)
    checksum = hashlib.sha256()
    aead, size = _aead(master_key, header.salt), header.database_bytes
    with path.open("rb") as file:
        checksum.update(file.read(header.start))
        for number, (done, is_last) in enumerate(_pieces(size)):
            sealed = file.read(min(PIECE_BYTES, size - done) + TAG_BYTES)
            checksum.update(sealed)
            try:
                database.write(aead.decrypt(_nonce(number, is_last), sealed, header.associated_data))
            except InvalidTag as exc:
                raise InvalidBackup(_DAMAGED) from exc
            on_progress(min(done + PIECE_BYTES, size), size)
        if file.read() != checksum.digest():
            raise InvalidBackup(_DAMAGED)


def verify_checksum(path: Path) -> None:
    """Is the file as it was written? Needs no key.

    Raises:
        InvalidBackup: it is not.
    """
    left = read_header(path).file_bytes - _CHECKSUM_BYTES
    checksum = hashlib.sha256()
    with path.open("rb") as file:
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


def _parse_header(file: IO[bytes]) -> BackupHeader:
    prefix = file.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size or not prefix.startswith(MAGIC):
        raise InvalidBackup("This is no backup of Visage")
    _, version, length = _PREFIX.unpack(prefix)
    if version != VERSION:
        raise InvalidBackup("This backup was made by a newer version of Visage; install that version or later")
    if length > _MAX_HEADER_BYTES:
        raise InvalidBackup(_DAMAGED)
    text = file.read(length)
    try:
        fields: dict[str, Any] = json.loads(text)
        record = KeyRecord(
            bank_id=str(fields["bank_id"]),
            key_check=_bytes(fields["key_check"]),
            slots=[_slot(slot) for slot in fields["slots"]],
            wrapped=(),
        )
        database_bytes = int(fields["database_bytes"])
        if not 0 < database_bytes < 2**50:
            raise ValueError(database_bytes)
        return BackupHeader(
            record=record,
            created_at=datetime.fromisoformat(fields["created_at"]),
            persons=int(fields["persons"]),
            photos=int(fields["photos"]),
            database_bytes=database_bytes,
            salt=_bytes(fields["salt"]),
            associated_data=hashlib.sha256(prefix + text).digest(),
            start=len(prefix) + len(text),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as exc:
        raise InvalidBackup(_DAMAGED) from exc


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


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise ValueError("no base64") from exc
