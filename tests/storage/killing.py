"""Kill a change at every step: before each file that it opens, renames, removes or syncs, and each SQL statement.

    python -m tests.storage.killing SCENARIO FOLDER EVERY

A process of its own, since it forks: the child runs the change and is killed by SIGKILL at step n; then the bank is
opened, and must be what it was before or what it should become. EVERY 1 kills at each step, 5 at every fifth. Prints
how often it was killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.admin.before import unpack
from tests.admin.test_moving import is_whole
from tests.bank.test_bank import DIMENSION, MODEL, look, photo
from tests.storage.old_banks import make_old_bank
from visage.admin.database import open_database
from visage.bank.bank import MemoryBank
from visage.service.restore import Secrets, put_in_place, stage
from visage.storage import rekeying
from visage.storage.folder import FILE_NAME, OLD_NAME, SET_ASIDE, STAGE_NAME, lock
from visage.storage.keys import KEY_FILE_NAME, KeyFile, KeySource
from visage.storage.sqlite import open_store
from visage.storage.vault import new_key

PASSPHRASE = "four words are good"


def die_at(step: int, folder: Path) -> None:
    """From now on, count what touches the folder; at this number, die."""
    count = 0

    def tick(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event in {"open", "os.rename", "os.remove", "sqlite3.connect"} and str(folder) in str(arguments[0]):
            tick()

    sync = os.fsync

    def counted_sync(descriptor: Any) -> None:
        tick()
        sync(descriptor)

    os.fsync = counted_sync  # type: ignore[assignment]
    sa.event.listen(sa.Engine, "before_cursor_execute", tick)
    sys.addaudithook(hear)


def killed_everywhere(
    folder: Path,
    every: int,
    prepare: Callable[[Path], object],
    change: Callable[[Path], object],
    verify: Callable[[Path], None],
) -> int:
    """Returns how often it was killed."""
    kills = 0
    while True:
        step = 1 + kills * every
        shutil.rmtree(folder, ignore_errors=True)
        prepare(folder)
        child = os.fork()
        if child == 0:
            die_at(step, folder)
            change(folder)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        verify(folder)
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0
            return kills
        kills += 1


def names(folder: Path, source: KeySource | None = None) -> list[str]:
    """Open the bank: who is in it. It must be whole."""
    bank = MemoryBank(open_store(folder, source), model=MODEL, dimension=DIMENSION)
    try:
        assert bank.check() == []
        for hit in bank.search(look(1)[None], 5)[0][:1]:
            assert hit.person.name == "Ann"
        return sorted(person.name for person in bank.persons().persons)
    finally:
        bank.close()


def fill(folder: Path) -> None:
    """A bank with two persons."""
    bank = MemoryBank(open_store(folder), model=MODEL, dimension=DIMENSION)
    for seed, name in enumerate(("Ann", "Bob"), start=1):
        bank.enrol(name=name, relationship=None, metadata={}, photos=[photo(seed)])
    bank.close()


def first_start(folder: Path, every: int) -> int:
    """A first start cut short is made good by the next."""

    def verify(folder: Path) -> None:
        assert names(folder) == []
        assert (folder / KEY_FILE_NAME).exists()

    return killed_everywhere(
        folder, every, lambda folder: folder.mkdir(), lambda folder: open_store(folder).close(), verify
    )


def migration(folder: Path, every: int) -> int:
    """A bank of the old schema is wholly old or wholly new."""

    def verify(folder: Path) -> None:
        with closing(sqlite3.connect(folder / FILE_NAME)) as file:
            (revision,) = file.execute("SELECT version_num FROM alembic_version").fetchone()
            columns = {row[1] for row in file.execute("PRAGMA table_info(persons)")}
            assert ("name" in columns) == (revision < "0003")
            assert file.execute("SELECT count(*) FROM photos").fetchone() == (2,)
            if "name" in columns:
                assert {name for (name,) in file.execute("SELECT name FROM persons")} == {"Ann", "Bob"}
        assert names(folder) == ["Ann", "Bob"]
        assert names(folder) == ["Ann", "Bob"]
        assert not (folder / OLD_NAME).exists()
        assert b"Ann" not in b"".join(path.read_bytes() for path in folder.iterdir())

    return killed_everywhere(folder, every, make_old_bank, lambda folder: open_store(folder).close(), verify)


def rotation(folder: Path, every: int) -> int:
    """A new key is the key, or the old one still is."""

    def change(folder: Path) -> None:
        rekeying.rotate(open_store(folder), KeySource(), folder, new_key())

    def verify(folder: Path) -> None:
        assert names(folder) == ["Ann", "Bob"]
        assert not KeyFile(folder / KEY_FILE_NAME).draft.exists()

    return killed_everywhere(folder, every, fill, change, verify)


def protection(folder: Path, every: int) -> int:
    """A passphrase opens the bank, or the key file still does."""

    def change(folder: Path) -> None:
        rekeying.protect(open_store(folder), folder, KeyFile(folder / KEY_FILE_NAME), PASSPHRASE)

    def verify(folder: Path) -> None:
        with closing(sqlite3.connect(folder / FILE_NAME)) as file:
            (slots,) = file.execute("SELECT count(*) FROM key_slots").fetchone()
        assert names(folder, KeySource(passphrase=PASSPHRASE) if slots else None) == ["Ann", "Bob"]

    return killed_everywhere(folder, every, fill, change, verify)


def deletion(folder: Path, every: int) -> int:
    """A person is there or gone, and when gone, nothing of theirs is left after the next start."""

    def change(folder: Path) -> None:
        bank = MemoryBank(open_store(folder), model=MODEL, dimension=DIMENSION)
        bank.forget(bank.named("Bob")[0].person_id)

    def verify(folder: Path) -> None:
        found = names(folder)
        assert found in (["Ann"], ["Ann", "Bob"])
        with closing(sqlite3.connect(folder / FILE_NAME)) as file:
            assert file.execute("PRAGMA user_version").fetchone() == (0,)
            ids = 0 if "Bob" in found else 2  # his own and his photo's
            assert file.execute("SELECT count(*) FROM erasures").fetchone() == (ids,)

    return killed_everywhere(folder, every, fill, change, verify)


def restoration(folder: Path, every: int) -> int:
    """A restore of a bank of another key leaves the old bank or the new one, and a key that opens it."""
    away = folder.with_name(f"{folder.name}-away")

    def prepare(folder: Path) -> None:
        shutil.rmtree(away, ignore_errors=True)
        away.mkdir()
        fill(folder)
        shutil.copy(folder / KEY_FILE_NAME, away)
        store = open_store(folder)
        with (away / "backup").open("wb") as file:
            store.backup(file, lambda done, total: None)
        rekeying.rotate(store, KeySource(), folder, new_key())
        store.close()
        bank = MemoryBank(open_store(folder), model=MODEL, dimension=DIMENSION)
        bank.enrol(name="Cid", relationship=None, metadata={}, photos=[photo(3)])
        bank.forget(bank.named("Bob")[0].person_id)
        bank.close()

    def change(folder: Path) -> None:
        secrets = Secrets(key_file=away / KEY_FILE_NAME)
        with lock(folder) as held:
            staged = stage(folder, away / "backup", KeySource(), secrets, lambda done, total: None)
            put_in_place(staged, KeySource(), held)

    def verify(folder: Path) -> None:
        assert names(folder) in (["Ann", "Cid"], ["Ann"])
        assert not (folder / STAGE_NAME).exists()
        assert not KeyFile(folder / KEY_FILE_NAME).draft.exists()
        for path in folder.glob(f"{SET_ASIDE}*"):
            assert not path.samefile(folder / FILE_NAME)

    return killed_everywhere(folder, every, prepare, change, verify)


def moving_out(folder: Path, every: int) -> int:
    """Keys, sessions, the audit log and settings of a bank of before are in their own database, once and whole."""

    def change(folder: Path) -> None:
        open_store(folder).close()
        open_database(folder).close()

    return killed_everywhere(folder, every, unpack, change, is_whole)


SCENARIOS = {
    one.__name__: one for one in (first_start, migration, rotation, protection, deletion, restoration, moving_out)
}

if __name__ == "__main__":
    print(SCENARIOS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3])))  # noqa: T201 - its result
