"""The bank's file: made, locked, unlocked, brought up to date and opened.

A change of the schema happens on a copy, which takes the file's place when it is done: whenever the process is
killed, the file is wholly of the old schema or wholly of the new one. The file as it was stays beside it
(`visage.db.old`) until the new one has proved whole at the next start.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import mmap
import os
import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from visage import sqlite
from visage.bank.store import to_micros
from visage.durable import sync, sync_descriptor
from visage.errors import BankError
from visage.storage import keys
from visage.storage.keys import KeyRecord, KeySource
from visage.storage.schema import erasures_table, vault_table
from visage.storage.sql import UNREADABLE, SqlStore, erase, in_words, insert_slots, key_record
from visage.storage.vault import Vault

log = logging.getLogger("visage")

FILE_NAME = "visage.db"
OLD_NAME = "visage.db.old"
SET_ASIDE = "visage.db.before-"
"""How the name of a bank begins that was set aside by a restore."""

STAGE_NAME = "staging"
"""Folder in the data directory for what is not the bank yet: a backup that is written, one that is checked."""

ENCRYPTED_SINCE = "0003"
"""The first revision of the schema whose values are sealed."""

_DRAFT_NAME = "visage.new"
LOCK_NAME = "visage.lock"
UPLOAD_NAME = "upload"
RAW_NAME = "visage.raw"
"""A database as it came out of a backup, before anything in it is trusted."""

_STAGED_NAMES = frozenset(
    f"{name}{suffix}"
    for name in (FILE_NAME, OLD_NAME, _DRAFT_NAME, LOCK_NAME, RAW_NAME, UPLOAD_NAME)
    for suffix in ("", "-journal")
)
_MAX_LOCK_BYTES = 100
_APPLICATION_ID = 0x56495347  # "VISG": marks the file as ours
_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY = "Another Visage is using this bank. Stop it first, or talk to it with --url"


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
        _set_aside(data_dir)
        if not path.exists():
            if not create:
                raise BankError(f"There is no {FILE_NAME} here")
            _refuse_if_gone(lock_file, data_dir)
            _create(data_dir, source)
        vault, changed = _bring_up_to_date(data_dir, source)
        engine = connect(path)
        scrubber = FileScrubber(data_dir)
        try:
            scrubber.make_up(engine)
            store = SqlStore(engine, vault, scrubber, lock_file)
            _mark(lock_file, store)
            if not changed:
                _drop_old(data_dir, store)
        except BaseException:
            engine.dispose()
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


def make_stage(data_dir: Path) -> Path:
    """The folder for what is not the bank yet, made where it is missing.

    Raises:
        BankError: it is no folder of ours.
        OSError: it cannot be made.
    """
    stage = data_dir / STAGE_NAME
    stage.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stage.is_symlink():
        raise BankError(f"{STAGE_NAME} in the data directory is a link; nothing is written or erased through it")
    return stage


def clear_stage(data_dir: Path, keep: Path | None = None) -> None:
    """Remove what a backup, an upload or a restore has left that was cut short: files of our own making, by their
    names, and never through a link. What else lies there stays.

    Args:
        data_dir: of the bank.
        keep: this one stays.
    """
    stage = data_dir / STAGE_NAME
    if stage.is_symlink():
        log.warning("%s in the data directory is a link: the link was removed, and nothing behind it", STAGE_NAME)
        stage.unlink()
    if not stage.is_dir():
        return
    for path in stage.iterdir():
        is_kept = keep is not None and keep.exists() and path.exists() and path.samefile(keep)
        if not is_kept and path.name in _STAGED_NAMES and (path.is_symlink() or not path.is_dir()):
            keys.erase_file(path)
    if any(stage.iterdir()):
        if keep is None:
            log.warning("%s holds something that is not Visage's; it was left alone", STAGE_NAME)
    else:
        stage.rmdir()


def _set_aside(data_dir: Path) -> list[Path]:
    """The banks that restores have set aside. What is but a second name of the bank, left by a restore that was cut
    short, is removed."""
    found = []
    for path in data_dir.glob(f"{SET_ASIDE}*"):
        if path.is_symlink():
            log.warning("%s is a link; what it leads to was left alone", path.name)
        elif (data_dir / FILE_NAME).exists() and path.samefile(data_dir / FILE_NAME):
            path.unlink()
        elif not path.name.endswith("-journal"):
            found.append(path)
    return found


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
                revision = _revision(connection)
                return key_record(connection) if revision is not None and revision >= ENCRYPTED_SINCE else None
        except (sa.exc.SQLAlchemyError, sqlite3.Error) as exc:
            raise BankError(in_words(exc)) from exc
        except UNREADABLE as exc:
            raise BankError("The bank is damaged. It was left untouched; restore a backup") from exc
        finally:
            engine.dispose()


@dataclass(frozen=True, slots=True)
class FileScrubber:
    """Sees to it that what was deleted is in no file of the bank any more.

    SQLite overwrites what it deletes (secure_delete), but may have left a copy where it once moved rows from page to
    page. Rewriting the file (VACUUM) leaves nothing but the rows that are there.
    """

    data_dir: Path

    @property
    def database(self) -> Path:
        """As `Scrubber`."""
        return self.data_dir / FILE_NAME

    def owe(self, connection: sa.Connection) -> None:
        """As `Scrubber`: the mark is in the header of the file."""
        connection.exec_driver_sql("PRAGMA user_version=1")

    def scrub(self, engine: sa.Engine, traces: Sequence[bytes] | None, *, moved: bool = False) -> bool:
        """As `Scrubber`."""
        others = [self._erase_old(), self._forget_in_set_aside(engine)]
        if traces is None or self._found(traces, moved):
            outside_transaction(engine, "VACUUM")
        clean = all(others) and not self._found(traces or (), moved)
        if clean:
            outside_transaction(engine, "PRAGMA user_version=0")
        return clean

    def make_up(self, engine: sa.Engine) -> None:
        """Rewrite the file if that is owed."""
        with engine.begin() as connection:
            owed = connection.exec_driver_sql("PRAGMA user_version").scalar()
        if owed:
            self.scrub(engine, None)

    def _found(self, traces: Sequence[bytes], moved: bool) -> bool:
        if moved:
            return _holds(self.database, traces)
        folders = (self.data_dir, self.data_dir / STAGE_NAME)
        return any(_holds(path, traces) for folder in folders for path in folder.glob("visage.*"))

    def _erase_old(self) -> bool:
        try:
            keys.erase_file(self.data_dir / OLD_NAME)
        except BankError as error:
            log.warning("%s; it may hold what is forgotten. Remove it yourself", error.message)
            return False
        return True

    def _forget_in_set_aside(self, engine: sa.Engine) -> bool:
        """Banks that a restore set aside forget too; no key is needed for that. True: all of them have."""
        set_aside = _set_aside(self.data_dir)
        if not set_aside:
            return True
        with engine.begin() as connection:
            erased = list(connection.scalars(sa.select(erasures_table.c.erased_id)))
        forgotten = [_forget_in(path, erased) for path in set_aside]  # all of them, also after one that cannot
        return all(forgotten)


def _forget_in(path: Path, erased: Sequence[str]) -> bool:
    """Let a bank that was set aside forget. One that cannot be read is not erased for that: it is named."""
    other = connect(path)
    try:
        with other.begin() as connection:
            if erase(connection, erased):
                connection.exec_driver_sql("PRAGMA user_version=1")
            owed = connection.exec_driver_sql("PRAGMA user_version").scalar()
        if owed:
            outside_transaction(other, "VACUUM")
            outside_transaction(other, "PRAGMA user_version=0")
    except (BankError, sa.exc.SQLAlchemyError, sqlite3.Error, OSError):
        log.warning(
            "%s, a bank that was set aside, cannot be read or written; it may hold what is forgotten. If you do not "
            "need it any more, remove it yourself",
            path.name,
        )
        return False
    finally:
        other.dispose()
    return True


def _holds(path: Path, traces: Sequence[bytes]) -> bool:
    """Is one of the traces in a file?"""
    if not traces or not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(trace) >= 0 for trace in traces)


def lock(data_dir: Path) -> IO[bytes]:
    """Keep other processes out for as long as the file stays open; a killed process lets go by itself.

    Raises:
        BankError: another has it, or the directory cannot be written.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What this file holds is overwritten at times: that must not go through a link.
        file = os.fdopen(
            os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600), "a+b"
        )
        if file.seek(0, os.SEEK_END) > _MAX_LOCK_BYTES:
            file.close()
            raise BankError(f"{LOCK_NAME} in the data directory is no lock file of Visage")
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise BankError(f"{LOCK_NAME} in the data directory is a link; remove it") from exc
        raise BankError(f"The data directory cannot be written: {exc.strerror}") from exc
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        file.close()
        raise BankError(_BUSY) from exc
    return file


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
    draft = _fresh_draft(data_dir)
    engine = connect(draft, fresh=True)
    try:
        _migrate(engine, vault)
        _give_key(engine, vault, source)
    finally:
        engine.dispose()
    _put_in_place(draft, data_dir)
    source.key_file(data_dir).settle()


def make_empty(folder: Path, vault: Vault, revision: str) -> None:
    """Make the bank's file in a folder, with tables of a revision of the schema and nothing in them."""
    path = folder / FILE_NAME
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    engine = connect(path, fresh=True)
    try:
        _migrate(engine, vault, revision)
    finally:
        engine.dispose()


def is_known_revision(revision: str) -> bool:
    """Is this a revision of the schema that has a key, and that this version knows?"""
    script = ScriptDirectory.from_config(_alembic())
    return revision >= ENCRYPTED_SINCE and revision in {step.revision for step in script.walk_revisions()}


def _bring_up_to_date(data_dir: Path, source: KeySource) -> tuple[Vault, bool]:
    """Find the key, and change the schema if it is an older one. Returns the key, and whether that was so."""
    path = data_dir / FILE_NAME
    engine = connect(path)
    try:
        with engine.begin() as connection:
            revision = _revision(connection)
            encrypted = revision is not None and revision >= ENCRYPTED_SINCE
            record = key_record(connection) if encrypted else None
    finally:
        engine.dispose()
    if revision is None:
        raise BankError("The bank is damaged. It was left untouched; restore a backup")
    script = ScriptDirectory.from_config(_alembic())
    if revision not in {step.revision for step in script.walk_revisions()}:
        raise BankError("This bank was made by a newer version of Visage; install that version or later")
    vault = keys.first_key(source, data_dir) if record is None else keys.unlock(source, data_dir, record)
    if revision == script.get_current_head():
        return vault, False
    _copy(path, data_dir / OLD_NAME)
    draft = _fresh_draft(data_dir)
    _copy(path, draft)
    engine = connect(draft, foreign_keys=False)
    try:
        _migrate(engine, vault)
        if record is None:
            _give_key(engine, vault, source)
        outside_transaction(engine, "VACUUM")  # the pages as they were are in the copy
    finally:
        engine.dispose()
    _put_in_place(draft, data_dir)
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


def _fresh_draft(data_dir: Path) -> Path:
    draft = data_dir / _DRAFT_NAME
    for path in (draft, journal_of(draft)):
        path.unlink(missing_ok=True)  # left by a start that was cut short
    draft.touch(mode=0o600)
    return draft


def _put_in_place(draft: Path, data_dir: Path) -> None:
    sync(draft)
    draft.replace(data_dir / FILE_NAME)
    journal_of(draft).unlink(missing_ok=True)
    sync(data_dir)


def _copy(source: Path, target: Path) -> None:
    """A consistent copy of a database, on disk when this returns."""
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)
    with closing(sqlite3.connect(source)) as reader, closing(sqlite3.connect(target)) as writer:
        writer.execute("PRAGMA journal_mode=OFF")
        reader.backup(writer)
    sync(target)


def journal_of(path: Path) -> Path:
    """Where SQLite notes how to take back what a killed process had begun."""
    return path.with_name(f"{path.name}-journal")


def connect(path: Path, *, fresh: bool = False, foreign_keys: bool = True) -> sa.Engine:
    """An engine for the file of a bank; raises as `visage.sqlite.connect`."""
    return sqlite.connect(path, _APPLICATION_ID, fresh=fresh, foreign_keys=foreign_keys)


def outside_transaction(engine: sa.Engine, statement: str) -> None:
    """Run what SQLite runs outside of transactions only."""
    connection = engine.raw_connection()
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()


def _revision(connection: sa.Connection) -> str | None:
    revision: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _migrate(engine: sa.Engine, vault: Vault, revision: str = "head") -> None:
    """Bring the schema up to a revision, in one transaction."""
    config = _alembic()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        config.attributes["vault"] = vault
        command.upgrade(config, revision)


def _give_key(engine: sa.Engine, vault: Vault, source: KeySource) -> None:
    """Let a bank that had no key know its key."""
    bank_id = str(uuid.uuid4())
    with engine.begin() as connection:
        connection.execute(
            vault_table.insert(),
            {
                "bank_id": bank_id,
                "key_check": vault.key_check(bank_id),
                "key_since": to_micros(datetime.now(UTC)),
            },
        )
        insert_slots(connection, keys.first_slots(source, vault, bank_id))
