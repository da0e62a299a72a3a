"""A bank from a backup: checked in a folder of its own, then put in place by renaming one file.

A backup may have been made by anybody: its records are written into a database of our own making, and where its key
is not the key of the bank that is here, the bank gets a new one that nobody has seen.

Who was forgotten since stays forgotten. API keys, sessions, settings and the audit log are no part of a bank nor of a
backup (`admin`): those of this installation stay as they are.

Whenever this is killed, the data directory holds the old bank or the new one, with a key that opens it: the key is
written beside the key file first (`keys.py`), then the file of the bank is renamed, then the key.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Literal

from visage.admin.database import open_database
from visage.admin.preferences import PreferenceStore
from visage.durable import sync
from visage.errors import BankError, DamagedPerson, InvalidBackup
from visage.service.retention import SINCE
from visage.sqlite import is_of_the_machine, journal_of
from visage.storage import keys, records
from visage.storage.backup import DATABASE, BackupHeader, read_header, read_pieces
from visage.storage.folder import FILE_NAME, RAW_NAME, SET_ASIDE, STAGE_NAME, clear_stage, make_stage
from visage.storage.foreign import copy_rows
from visage.storage.keys import KeyRecord, KeySource
from visage.storage.present import Present, read_present
from visage.storage.sql import SqlStore
from visage.storage.sqlite import make_empty, open_store, read_key_record
from visage.storage.vault import Slot, Vault, key_from_text, key_to_text, new_key, passphrase_slot, recovery_slot
from visage.vision.models import EMBEDDERS

log = logging.getLogger("visage")

Progress = Callable[[int, int], None]

_DIMENSIONS = {model.space: model.dimension for model in EMBEDDERS}


@dataclass(frozen=True, slots=True)
class Secrets:
    """What may open a backup: the first of these that is set; else what opens the bank at home.

    Attributes:
        recovery_key: from paper.
        passphrase: that the backed up bank had.
        key_file: that the backed up bank had.
    """

    recovery_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Staged:
    """A backup that was checked and lies ready.

    Attributes:
        data_dir: where it is to go.
        header: of the backup.
        master_key: that opens it.
        opened_by: whose it was.
        secrets: that were given for it.
        faults: what was damaged in the bank already when the backup was made, in words.
    """

    data_dir: Path
    header: BackupHeader
    master_key: bytes = field(repr=False)
    opened_by: Literal["master_key", "passphrase", "file", "recovery_key"]
    secrets: Secrets
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore has done.

    Attributes:
        forgotten_again: persons and photos that were in the backup and forgotten since.
        set_aside: name of the file that the old bank is in now; None where there was none.
        old_was_readable: what was forgotten since the backup was known.
        key_set_aside: name of the file that the old bank's key is in now, where it is another.
        new_key: the backup came with a key that is not this bank's, so that the bank has a new one.
        recovery_key_void: and the recovery key from paper opens it no more.
        without_photos: persons who are there without any photo, since the only one in the backup was forgotten.
    """

    forgotten_again: int
    set_aside: str | None
    old_was_readable: bool
    key_set_aside: str | None = None
    new_key: bool = False
    recovery_key_void: bool = False
    without_photos: int = 0


def stage(data_dir: Path, backup: Path, home: KeySource, secrets: Secrets, on_progress: Progress) -> Staged:
    """Check a backup, whole, and lay it ready in the data directory. Nothing of the present bank is touched.

    Args:
        data_dir: where it is to go; may be new.
        backup: the file; may lie in the staging folder.
        home: where the key of the bank in that directory comes from.
        secrets: what opens the backup, where that is something else.
        on_progress: is told how much of how much is done.

    Raises:
        InvalidBackup: it is none, is damaged, of a newer version, or does not open.
        BankError: the data directory cannot be written, or the disk is full: the backup may be sound.
    """
    header = read_header(backup)
    opened_by, master_key = _key_of(header.record, data_dir, home, secrets)
    try:
        clear_stage(data_dir, keep=backup)
        folder = make_stage(data_dir)
        if header.version == DATABASE:
            _stage_database(folder, backup, master_key, on_progress)
        else:
            make_empty(folder, Vault(master_key), record=header.record)
        store = _open_staged(data_dir, master_key)
        try:
            faults: tuple[str, ...] = ()
            if header.version == DATABASE:
                for _ in records.verified(store.said(), _DIMENSIONS):
                    pass
            else:
                pieces = read_pieces(backup, master_key, on_progress)
                faults = store.fill(records.verified(records.unpack(pieces), _DIMENSIONS))
            faults += tuple(store.check())
        finally:
            store.close()
    except OSError as exc:
        raise BankError(f"The data directory cannot be written: {exc.strerror}") from exc
    except BankError as exc:
        if _is_of_the_backup(exc):
            raise InvalidBackup(f"The bank in this backup does not open. {exc.message}") from exc
        raise
    return Staged(data_dir, header, master_key, opened_by, secrets, faults)


def _is_of_the_backup(exc: BankError) -> bool:
    """Is it what the backup holds that cannot be opened? Where the disk failed, the backup is as good as before."""
    return isinstance(exc, DamagedPerson) or (exc.__cause__ is not None and not is_of_the_machine(exc.__cause__))


def _stage_database(folder: Path, backup: Path, master_key: bytes, on_progress: Progress) -> None:
    """The bank of a backup of version 1, which holds a database."""
    raw = folder / RAW_NAME
    descriptor = os.open(raw, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for piece in read_pieces(backup, master_key, on_progress):
            file.write(piece)
    vault = Vault(master_key)
    copy_rows(raw, folder, vault)
    keys.erase_file(raw)
    record = read_key_record(folder)
    if record is None or not record.fits(vault):
        raise InvalidBackup("The bank in this backup is damaged: its key is not the backup's. Take an older backup")


def put_in_place(staged: Staged, home: KeySource, held: IO[bytes]) -> Restored:
    """Make a staged backup the bank. Nobody may have the present one open.

    Args:
        staged: what `stage` returned.
        home: where the key of the bank in that directory comes from.
        held: the lock of the directory (`sqlite.lock`), held since before `stage`, so that what was checked is what
            is put in place. It stays open.

    Raises:
        BankError: the directory cannot be written; the old bank is in place.
    """
    data_dir = staged.data_dir
    try:
        present = read_present(data_dir)
        store = _open_staged(data_dir, staged.master_key)
        try:
            if present:  # nor can a backup have forgotten whom it knows: that would reach every other backup
                store.drop_erasures(present.known)
            forgotten = store.apply_erasures(present.erasures) if present else 0
            thin = store.without_photos()
            _count_days_anew(data_dir)
            adopted = _adopt(store, staged, home, present)
            _, bank_id, _ = store.vault()
        finally:
            store.close()
        moment = f"{datetime.now().astimezone():%Y-%m-%d-%H%M%S}"
        set_aside = _set_aside(data_dir, moment)
        key_file = home.key_file(data_dir)
        key, key_set_aside = adopted.for_file, None
        if key is not None and key not in key_file.candidates()[:1]:
            if key_file.path.exists():
                kept = _free_name(key_file.path.with_name(f"{key_file.path.name}.before-{moment}"))
                key_set_aside = kept.name
                _keep(key_file.path, kept)
            key_file.write_draft(key)
        journal_of(data_dir / FILE_NAME).unlink(missing_ok=True)  # of a bank that is broken; it is set aside with it
        sync(data_dir / STAGE_NAME / FILE_NAME)
        (data_dir / STAGE_NAME / FILE_NAME).replace(data_dir / FILE_NAME)
        sync(data_dir)
        if key is not None:
            key_file.settle()
        held.truncate(0)
        held.write(f"{bank_id}\n".encode())
        held.flush()
        clear_stage(data_dir)
    except OSError as exc:
        raise BankError(f"The data directory cannot be written: {exc.strerror}") from exc
    log.info("The bank was restored from a backup of %s", staged.header.created_at.isoformat())
    return Restored(
        forgotten,
        set_aside,
        present is not None or set_aside is None,
        key_set_aside,
        adopted.new_key,
        adopted.recovery_key_void,
        thin,
    )


def _count_days_anew(data_dir: Path) -> None:
    """Whom the backup has not seen for long is not forgotten for that."""
    database = open_database(data_dir)
    try:
        PreferenceStore(database.transaction).keep_time(SINCE, None)
    finally:
        database.close()


def _key_of(
    record: KeyRecord, data_dir: Path, home: KeySource, secrets: Secrets
) -> tuple[Literal["master_key", "passphrase", "file", "recovery_key"], bytes]:
    """The master key of a backup, and by what it was had.

    Raises:
        InvalidBackup: it cannot be had.
    """
    passphrase = secrets.passphrase or home.passphrase
    try:
        if secrets.recovery_key is not None:
            return "recovery_key", keys.recovered_key(record, secrets.recovery_key)
        if secrets.passphrase is None and secrets.key_file is None and home.master_key is not None:
            key = key_from_text(home.master_key)
            if record.fits(Vault(key)):
                return "master_key", key
        slot = record.slot("passphrase")
        if slot is not None and passphrase is not None and secrets.key_file is None:
            found = slot.open(passphrase, record.bank_id)
            if found is not None:
                return "passphrase", found
        file = KeySource(file=secrets.key_file or home.file).key_file(data_dir)
        for candidate in file.candidates():
            if record.fits(Vault(candidate)):
                return "file", candidate
    except BankError as exc:
        raise InvalidBackup(exc.message, {"needs": _needed(record)}) from exc
    kinds = [] if slot is None else ["the passphrase that the bank had"]
    kinds += ["the key file that the bank had"] if slot is None else []
    kinds += ["the recovery key from paper"] if record.slot("recovery") is not None else []
    raise InvalidBackup(
        f"The backup does not open with the key that is here. It needs {' or '.join(kinds)}",
        {"needs": _needed(record)},
    )


def _needed(record: KeyRecord) -> list[str]:
    """What opens a bank, in words for programs."""
    needed = ["key_file" if record.slot("passphrase") is None else "passphrase"]
    return [*needed, "recovery_key"] if record.slot("recovery") is not None else needed


def _open_staged(data_dir: Path, master_key: bytes) -> SqlStore:
    return open_store(data_dir / STAGE_NAME, KeySource(master_key=key_to_text(master_key)), create=False)


@dataclass(frozen=True, slots=True)
class _Adopted:
    """What opens a bank that has come home.

    Attributes:
        for_file: the key that the key file must hold; None where the key comes from elsewhere.
        new_key: it is a new one.
        recovery_key_void: a recovery key that opened the backup does not open the bank.
    """

    for_file: bytes | None
    new_key: bool = False
    recovery_key_void: bool = False


def _adopt(store: SqlStore, staged: Staged, home: KeySource, present: Present | None) -> _Adopted:
    """Let what opens banks at home open this one."""
    vault, bank_id, _ = store.vault()
    mine = present.record if present is not None else None
    had_recovery = any(slot.kind == "recovery" for slot in [*store.slots(), *(mine.slots if mine else ())])
    own = list(mine.slots) if mine is not None and mine.bank_id == bank_id else []
    if new_key := not _is_ours(present, vault) and staged.secrets != Secrets():
        for_file = _adopt_foreign(store, staged, home, _fitting(own, present, home), is_new_here=present is None)
    elif _is_ours(present, vault) and mine is not None and mine.bank_id == bank_id:
        store.put_slots(own)  # what opens the bank that is here opens this one
        by_file = home.master_key is None and all(slot.kind != "passphrase" for slot in own)
        for_file = staged.master_key if by_file else None
    else:
        for_file = _adopt_own(store, staged, home, _fitting(own, present, home))
    recovery = [slot for slot in store.slots() if slot.kind == "recovery"]
    is_lost = any(slot.kind == "recovery" and slot not in recovery for slot in own)
    return _Adopted(for_file, new_key, recovery_key_void=is_lost or (had_recovery and not recovery))


def _fitting(own: Sequence[Slot], present: Present | None, home: KeySource) -> Sequence[Slot]:
    """The slots of the bank that is here, where they give the key that the environment has."""
    if home.master_key is None or not _is_ours(present, Vault(key_from_text(home.master_key))):
        return []
    return own


def _adopt_own(store: SqlStore, staged: Staged, home: KeySource, kept: Sequence[Slot]) -> bytes | None:
    """A bank that what is at home has opened, not by the present bank's key. Returns as `_adopt_foreign`."""
    vault, bank_id, _ = store.vault()
    recovery = [slot for slot in store.slots() if slot.kind == "recovery"]
    if staged.opened_by == "master_key":
        return None
    if home.master_key is not None:
        store.rewrap(Vault(key_from_text(home.master_key)), kept, damaged_too=True)
        return None
    if home.passphrase is not None:
        store.put_slots([*recovery, passphrase_slot(home.passphrase, vault, bank_id)])
        return None
    if store.slots() != recovery:  # a passphrase that is not known here
        store.put_slots(recovery)
    return staged.master_key


def _is_ours(present: Present | None, vault: Vault) -> bool:
    """Is this the key of the bank that is here? By the key check alone: a person's key, by which `KeyRecord.fits`
    knows it too, may have come with an earlier backup."""
    record = present.record if present is not None else None
    return record is not None and vault.fits(record.bank_id, record.key_check)


def _adopt_foreign(
    store: SqlStore, staged: Staged, home: KeySource, kept: Sequence[Slot], *, is_new_here: bool
) -> bytes | None:
    """Whoever made this backup knows its key, and may know what opens it: the bank gets another key, and every value
    is sealed anew. The recovery key that was typed stays good on a computer that had no bank for it to betray.

    Returns: the key for the key file; None where the key comes from elsewhere.
    """
    bank_id = store.vault()[1]
    if home.master_key is not None:
        store.rewrap(Vault(key_from_text(home.master_key)), kept, damaged_too=True)
        return None
    vault = Vault(new_key())
    slots: list[Slot] = []
    passphrase = home.passphrase or (staged.secrets.passphrase if staged.opened_by == "passphrase" else None)
    if passphrase is not None:
        slots.append(passphrase_slot(passphrase, vault, bank_id))
    if is_new_here and staged.secrets.recovery_key is not None:
        slots.append(recovery_slot(staged.secrets.recovery_key, vault, bank_id))
    store.rewrap(vault, slots, damaged_too=True)
    return None if passphrase is not None else vault.master_key


def _set_aside(data_dir: Path, moment: str) -> str | None:
    """Give the old bank a second name; it stays in place until it is replaced."""
    path = data_dir / FILE_NAME
    if not path.exists():
        return None
    kept = _free_name(data_dir / f"{SET_ASIDE}{moment}")
    _keep(path, kept)
    if (journal := journal_of(path)).exists() and journal.stat().st_size:
        _keep(journal, journal_of(kept))
    return kept.name


def _free_name(path: Path) -> Path:
    """The path, or one like it, that nothing has yet: two restores may come in one second."""
    number, free = 1, path
    while os.path.lexists(free) or os.path.lexists(journal_of(free)):
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def _keep(path: Path, second: Path) -> None:
    try:
        os.link(path, second)
    except OSError:  # a file system without links
        shutil.copy2(path, second)
        sync(second)
