"""The bank's file: made, unlocked, brought up to date and opened.

A change of the schema happens on a copy, which takes the file's place when it is done: whenever the process is
killed, the file is wholly of the old schema or wholly of the new one. The file as it was stays beside it
(`visage.db.old`) until the new one has proved whole at the next start.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from visage.bank.records import to_micros
from visage.durable import sync, sync_descriptor
from visage.errors import BankError
from visage.sqlite import make_draft, put_in_place
from visage.storage import digest, keys
from visage.storage.folder import DRAFT_NAME, FILE_NAME, OLD_NAME, clear_stage, lock, set_aside
from visage.storage.keyring import insert_slots, key_record
from visage.storage.keys import KeyRecord, KeySource
from visage.storage.loading import UNREADABLE
from visage.storage.schema import vault_table
from visage.storage.shape import migrate, refuse_programs, revision_of, revisions, scripts
from visage.storage.sql import SqlStore
from visage.storage.sqlite_database import SqliteDatabase, connect, in_words, outside_transaction
from visage.storage.vault import Slot, Vault

log = logging.getLogger("visage")

ENCRYPTED_SINCE = "0003"
"""The first revision of the schema whose values are sealed."""

_DIGEST_SINCE = "0008"


def open_store(data_dir: Path, source: KeySource | None = None, *, create: bool = True) -> SqlStore:
    """Open the bank in a directory; make both where there are none.

    A new bank appears under its name only when it is complete. A file that is there but cannot be read, or one that
    was there and is gone, is never replaced by a fresh one.

    Args:
        data_dir: of the bank.
        source: of the master key; None for the file `master.key` in the directory.
        create: make a bank where there is none; else that is an error.

    Raises:
        BankError: another process uses it; its key is missing or wrong; it is damaged, gone, of a newer version or no
            bank; the directory cannot be written.
    """
    source = source or KeySource()
    path = data_dir / FILE_NAME
    lock_file = lock(data_dir)
    try:
        clear_stage(data_dir)
        set_aside(data_dir)
        if not path.exists():
            if not create:
                raise BankError(f"There is no {FILE_NAME} here")
            _refuse_if_gone(lock_file, data_dir)
            _create(data_dir, source)
        vault, changed = _bring_up_to_date(data_dir, source)
        database = SqliteDatabase(data_dir, lock_file)
        try:
            database.make_up()
            store = SqlStore(database, vault)
            _mark(lock_file, store)
            if not changed:
                _drop_old(data_dir, store)
        except BaseException:
            database.release()
            raise
    except OSError as exc:
        lock_file.close()
        raise BankError(f"The data directory cannot be written: {exc.strerror}") from exc
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as exc:
        lock_file.close()
        raise BankError(in_words(exc)) from exc
    except UNREADABLE as exc:
        lock_file.close()
        raise BankError("The bank is damaged. It was left untouched; restore a backup") from exc
    except BaseException:
        lock_file.close()
        raise
    return store


def read_key_record(data_dir: Path) -> KeyRecord | None:
    """What the bank in a directory knows of its key; None where there is no bank, or one that is not encrypted yet.

    Raises:
        BankError: as `open_store`.
    """
    path = data_dir / FILE_NAME
    if not path.exists():
        return None
    with closing(lock(data_dir)):
        engine = connect(path)
        try:
            with engine.begin() as connection:
                revision = revision_of(connection)
                return key_record(connection) if revision is not None and revision >= ENCRYPTED_SINCE else None
        except (sa.exc.SQLAlchemyError, sqlite3.Error) as exc:
            raise BankError(in_words(exc)) from exc
        except UNREADABLE as exc:
            raise BankError("The bank is damaged. It was left untouched; restore a backup") from exc
        finally:
            engine.dispose()


def _refuse_if_gone(lock_file: IO[bytes], data_dir: Path) -> None:
    """A bank that was here is not begun anew."""
    if lock_file.seek(0, os.SEEK_END) or (data_dir / keys.KEY_FILE_NAME).exists():
        raise BankError(
            f"The bank was here and is gone: there is no {FILE_NAME}. Restore a backup; to begin an empty bank, "
            "choose another data directory"
        )


def _mark(lock_file: IO[bytes], store: SqlStore) -> None:
    """Write into the lock file that there is a bank, should its file ever be missing."""
    if lock_file.seek(0, os.SEEK_END) == 0:
        _, bank_id, _ = store.vault()
        lock_file.write(f"{bank_id}\n".encode())
        lock_file.flush()
        sync_descriptor(lock_file.fileno())


def _create(data_dir: Path, source: KeySource) -> None:
    vault = keys.first_key(source, data_dir)
    draft = data_dir / DRAFT_NAME
    make_draft(draft)
    engine = connect(draft, fresh=True)
    try:
        migrate(engine, vault)
        _give_key(engine, vault, source)
    finally:
        engine.dispose()
    put_in_place(draft, data_dir / FILE_NAME)
    source.key_file(data_dir).settle()


def make_empty(folder: Path, vault: Vault, revision: str = "head", record: KeyRecord | None = None) -> None:
    """Make the bank's file in a folder, with the tables of a revision of the schema and nothing in them.

    Args:
        folder: where.
        vault: its key.
        revision: of the schema.
        record: what it is to know of its key; None for nothing yet.

    Raises:
        BankError, OSError: the folder cannot be written.
    """
    path = folder / FILE_NAME
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    engine = connect(path, fresh=True)
    try:
        migrate(engine, vault, revision)
        if record is not None:
            _note_key(engine, vault, record.bank_id, record.slots)
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as exc:
        raise BankError(in_words(exc)) from exc
    finally:
        engine.dispose()


def is_known_revision(revision: str) -> bool:
    """Is this a revision of the schema that has a key, and that this version knows?"""
    return revision >= ENCRYPTED_SINCE and revision in revisions()


def _bring_up_to_date(data_dir: Path, source: KeySource) -> tuple[Vault, bool]:
    """Find the key, and change the schema if it is an older one. Returns the key, and whether that was so."""
    path = data_dir / FILE_NAME
    engine = connect(path)
    try:
        with engine.begin() as connection:
            revision = revision_of(connection)
            if revision is None:
                raise BankError("The bank is damaged. It was left untouched; restore a backup")
            refuse_programs(connection)
            encrypted = revision >= ENCRYPTED_SINCE
            record = key_record(connection) if encrypted else None
    finally:
        engine.dispose()
    vault = keys.first_key(source, data_dir) if record is None else keys.unlock(source, data_dir, record)
    if revision == scripts().get_current_head():
        return vault, False
    _copy(path, data_dir / OLD_NAME)
    draft = data_dir / DRAFT_NAME
    make_draft(draft)
    _copy(path, draft)
    engine = connect(draft, foreign_keys=False)
    try:
        migrate(engine, vault)
        if record is None:
            _give_key(engine, vault, source)
        else:
            with engine.begin() as connection:
                if revision < _DIGEST_SINCE or digest.was_right(connection, vault):
                    digest.renew(connection, vault)
        outside_transaction(engine, "VACUUM")  # the pages as they were are in the copy
    finally:
        engine.dispose()
    put_in_place(draft, path)
    if record is None:
        source.key_file(data_dir).settle()
        log.warning(
            "The bank is encrypted now. %s is a copy of it as it was, NOT encrypted; it is removed at the next "
            "start, or when something is forgotten. Remove it yourself if you are sure that all is well",
            OLD_NAME,
        )
    return vault, True


def _drop_old(data_dir: Path, store: SqlStore) -> None:
    """Remove the copy from before a change of schema, once the bank has proved whole at a later start."""
    old = data_dir / OLD_NAME
    if not old.exists() or store.check():
        return
    try:
        keys.erase_file(old)
    except BankError as error:
        log.warning(
            "%s. Remove it yourself: the bank is whole, and it is a copy of it in the old format", error.message
        )
    else:
        log.info("The bank is whole; the copy of it in the old format was removed")


def _copy(source: Path, target: Path) -> None:
    """A consistent copy of a database, on disk when this returns."""
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)
    with closing(sqlite3.connect(source)) as reader, closing(sqlite3.connect(target)) as writer:
        writer.execute("PRAGMA journal_mode=OFF")
        reader.backup(writer)
    sync(target)


def _give_key(engine: sa.Engine, vault: Vault, source: KeySource) -> None:
    """Let a bank that had no key know its key."""
    bank_id = str(uuid.uuid4())
    _note_key(engine, vault, bank_id, keys.first_slots(source, vault, bank_id))


def _note_key(engine: sa.Engine, vault: Vault, bank_id: str, slots: Sequence[Slot]) -> None:
    row = {"bank_id": bank_id, "key_check": vault.key_check(bank_id), "key_since": to_micros(datetime.now(UTC))}
    with engine.begin() as connection:
        connection.execute(vault_table.insert(), row)
        insert_slots(connection, slots)
        digest.renew(connection, vault)
