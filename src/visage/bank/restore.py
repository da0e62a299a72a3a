"""A bank from a backup: checked in a folder of its own, then put in place by renaming one file.

What must not go back with the bank is carried over from the present one: who was forgotten stays forgotten, a revoked
API key stays revoked, and the audit log goes on where the present one continues the backup's.

Whenever this is killed, the data directory holds the old bank or the new one, with a key that opens it: the key is
written beside the key file first (`keys.py`), then the file of the bank is renamed, then the key.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from visage.bank import keys
from visage.bank.access import keys_table, sessions_table
from visage.bank.audit import audit_table
from visage.bank.backup import BackupHeader, read_backup, read_header
from visage.bank.keys import KeyRecord, KeySource
from visage.bank.preferences import PreferenceStore
from visage.bank.retention import SINCE
from visage.bank.schema import erasures_table
from visage.bank.sql import SqlStore
from visage.bank.sqlite import (
    FILE_NAME,
    SET_ASIDE,
    STAGE_NAME,
    clear_stage,
    connect,
    journal_of,
    lock,
    open_store,
    sync,
)
from visage.bank.store import Erasure, from_micros
from visage.bank.vault import Vault, key_from_text, key_to_text, passphrase_slot
from visage.errors import BankError, InvalidBackup

log = logging.getLogger("visage")

Progress = Callable[[int, int], None]


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
        faults: what was damaged in the bank already when the backup was made, in words.
    """

    data_dir: Path
    header: BackupHeader
    master_key: bytes = field(repr=False)
    opened_by: Literal["master_key", "passphrase", "file", "recovery_key"]
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore has done.

    Attributes:
        forgotten_again: persons and photos that were in the backup and forgotten since.
        set_aside: name of the file that the old bank is in now; None where there was none.
        old_was_readable: what was forgotten since the backup was known.
        key_set_aside: name of the file that the old bank's key is in now, where it is another.
    """

    forgotten_again: int
    set_aside: str | None
    old_was_readable: bool
    key_set_aside: str | None = None


def stage(data_dir: Path, backup: Path, home: KeySource, secrets: Secrets, on_progress: Progress) -> Staged:
    """Check a backup, whole, and lay it ready in the data directory. Nothing of the present bank is touched.

    Args:
        data_dir: where it is to go; may be new.
        backup: the file; may lie in the staging folder.
        home: where the key of the bank in that directory comes from.
        secrets: what opens the backup, where that is something else.
        on_progress: is told how many bytes of how many are done.

    Raises:
        InvalidBackup: it is none, is damaged, of a newer version, or does not open.
        BankError: the data directory cannot be written.
    """
    header = read_header(backup)
    opened_by, master_key = _key_of(header.record, data_dir, home, secrets)
    folder = data_dir / STAGE_NAME
    draft = folder / FILE_NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path != backup:
                keys.erase_file(path)
        draft.touch(mode=0o600)
        with draft.open("r+b") as file:
            read_backup(backup, master_key, file, on_progress)
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        raise BankError(f"The data directory cannot be written: {exc.strerror}") from exc
    try:
        store = _open_staged(data_dir, master_key)
        try:
            with store.transaction() as connection:
                broken = [text for (text,) in connection.execute(sa.text("PRAGMA integrity_check")) if text != "ok"]
            if broken:
                raise InvalidBackup("The bank in this backup is damaged. Take an older backup")
            faults = tuple(store.check())
        finally:
            store.close()
    except BankError as exc:
        raise InvalidBackup(f"The bank in this backup does not open. {exc.message}") from exc
    return Staged(data_dir, header, master_key, opened_by, faults)


def put_in_place(staged: Staged, home: KeySource) -> Restored:
    """Make a staged backup the bank. Nobody may have the present one open.

    Raises:
        BankError: somebody has, or the directory cannot be written; the old bank is in place.
    """
    data_dir = staged.data_dir
    lock_file = lock(data_dir)
    try:
        present = _read_present(data_dir)
        store = _open_staged(data_dir, staged.master_key)
        try:
            forgotten = store.apply_erasures(present.erasures) if present else 0
            if present:
                with store.transaction() as connection:
                    _carry_access(connection, present)
                    _carry_audit(connection, present)
            # Whom the backup has not seen for long is not forgotten for that: the days are counted anew.
            PreferenceStore(store.transaction).keep_time(SINCE, None)
            key = _adopt(store, staged, home)
            _, bank_id, _ = store.vault()
        finally:
            store.close()
        moment = f"{datetime.now().astimezone():%Y-%m-%d-%H%M%S}"
        set_aside = _set_aside(data_dir, moment)
        key_file = home.key_file(data_dir)
        key_set_aside = None
        if key is not None and key not in key_file.candidates()[:1]:
            if key_file.path.exists():
                key_set_aside = f"{key_file.path.name}.before-{moment}"
                _keep(key_file.path, key_file.path.with_name(key_set_aside))
            key_file.write_draft(key)
        journal_of(data_dir / FILE_NAME).unlink(missing_ok=True)  # of a bank that is broken; it is set aside with it
        sync(data_dir / STAGE_NAME / FILE_NAME)
        (data_dir / STAGE_NAME / FILE_NAME).replace(data_dir / FILE_NAME)
        sync(data_dir)
        if key is not None:
            key_file.settle()
        lock_file.truncate(0)
        lock_file.write(f"{bank_id}\n".encode())
        lock_file.flush()
        clear_stage(data_dir)
    except OSError as exc:
        raise BankError(f"The data directory cannot be written: {exc.strerror}") from exc
    finally:
        lock_file.close()
    log.info("The bank was restored from a backup of %s", staged.header.created_at.isoformat())
    return Restored(forgotten, set_aside, present is not None or set_aside is None, key_set_aside)


@dataclass(frozen=True, slots=True)
class _Present:
    """What is carried over from the bank that is there now: rows as dictionaries."""

    erasures: list[Erasure]
    keys: list[dict[str, Any]]
    sessions: list[dict[str, Any]]
    audit: list[dict[str, Any]]


def _read_present(data_dir: Path) -> _Present | None:
    """None where there is no bank, or one that cannot be read. No key is needed."""
    path = data_dir / FILE_NAME
    if not path.exists():
        return None
    engine = connect(path)
    try:
        with engine.begin() as connection:
            tables = set(sa.inspect(connection).get_table_names())

            def all_of(table: sa.Table) -> list[dict[str, Any]]:
                if table.name not in tables:
                    return []
                return [dict(row) for row in connection.execute(sa.select(table)).mappings()]

            return _Present(
                [Erasure(row["erased_id"], from_micros(row["erased_at"])) for row in all_of(erasures_table)],
                all_of(keys_table),
                all_of(sessions_table),
                sorted(all_of(audit_table), key=lambda row: int(row["number"])),
            )
    except (BankError, sa.exc.SQLAlchemyError, sqlite3.Error, ValueError, TypeError):
        log.warning("The bank that was here cannot be read; who was forgotten since the backup is not known")
        return None
    finally:
        engine.dispose()


def _carry_access(connection: sa.Connection, present: _Present) -> None:
    """Keys that are good now stay good, revoked ones stay revoked; sessions are those of now."""
    connection.execute(sessions_table.delete())
    for row in present.keys:
        connection.execute(keys_table.delete().where(keys_table.c.key_id == row["key_id"]))
        connection.execute(keys_table.insert(), row)
    if present.sessions:
        connection.execute(sessions_table.insert(), present.sessions)


def _carry_audit(connection: sa.Connection, present: _Present) -> None:
    """The log goes on, if the present one continues the backup's. Else the next start notes that it was cut."""
    end = connection.execute(sa.select(audit_table).order_by(audit_table.c.number.desc()).limit(1)).mappings().first()
    if end is not None and dict(end) not in present.audit:
        return
    since = [row for row in present.audit if end is None or row["number"] > end["number"]]
    if since:
        connection.execute(audit_table.insert(), since)


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
    return open_store(data_dir / STAGE_NAME, KeySource(master_key=key_to_text(master_key)))


def _adopt(store: SqlStore, staged: Staged, home: KeySource) -> bytes | None:
    """Let what opens banks at home open this one; returns the key that the key file must hold, or None."""
    vault, bank_id, _ = store.vault()
    if staged.opened_by == "master_key":
        return None
    if home.master_key is not None:
        store.rewrap(Vault(key_from_text(home.master_key)), [])
        return None
    if staged.opened_by == "passphrase" and home.passphrase is None:
        return None  # it opens with its passphrase, as before
    recovery = [slot for slot in store.slots() if slot.kind == "recovery"]
    if home.passphrase is not None:
        store.rewrap(vault, [*recovery, passphrase_slot(home.passphrase, vault, bank_id)])
        return None
    if store.slots() != recovery:  # a passphrase that is not known here
        store.rewrap(vault, recovery)
    return staged.master_key


def _set_aside(data_dir: Path, moment: str) -> str | None:
    """Give the old bank a second name; it stays in place until it is replaced."""
    path = data_dir / FILE_NAME
    if not path.exists():
        return None
    name = f"{SET_ASIDE}{moment}"
    _keep(path, data_dir / name)
    if (journal := journal_of(path)).exists() and journal.stat().st_size:
        _keep(journal, journal_of(data_dir / name))
    return name


def _keep(path: Path, second: Path) -> None:
    second.unlink(missing_ok=True)
    try:
        os.link(path, second)
    except OSError:  # a file system without links
        shutil.copy2(path, second)
        sync(second)
