"""Keys, sessions, the audit log and settings of a bank of before: they move, whole, and only once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.admin.before import HEAD, SECRETS, TOKEN, unpack
from tests.storage import version_1
from tests.storage.test_backup import back_up, fill, names, restore
from visage.admin.access import Access
from visage.admin.audit import Audit, AuditCheck
from visage.admin.database import open_database
from visage.admin.keys import AccessStore, Role, digest
from visage.admin.preferences import PreferenceStore
from visage.admin.sqlite import FILE_NAME
from visage.clock import Clock
from visage.errors import BankError, Unauthenticated
from visage.service.restore import Secrets
from visage.storage import folder as storage
from visage.storage.folder import OLD_NAME
from visage.storage.keys import KEY_FILE_NAME
from visage.storage.sqlite import open_store

TABLES = {"access_keys", "access_sessions", "audit", "preferences"}


@dataclass
class Installation:
    """What is kept of one."""

    access: Access
    store: AccessStore
    audit: Audit
    preferences: PreferenceStore
    check: AuditCheck = field(init=False)

    def __post_init__(self) -> None:
        self.check = self.audit.verify()

    def opens(self, label: str) -> bool:
        """Is this key good?"""
        try:
            self.access.check_key(SECRETS[label], "192.0.2.1")
        except Unauthenticated:
            return False
        return True


@contextmanager
def installation(folder: Path) -> Iterator[Installation]:
    """Open it as a server does: the bank first."""
    open_store(folder).close()
    database = open_database(folder)
    try:
        store = AccessStore(database.transaction)
        yield Installation(
            Access(store, required=True, clock=Clock()),
            store,
            Audit(database.transaction, folder),
            PreferenceStore(database.transaction),
        )
    finally:
        database.close()


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as file:
        return {name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def is_whole(folder: Path) -> None:
    """All of it is there, once, and the bank has none of it."""
    with installation(folder) as here:
        assert (here.opens("laptop"), here.opens("kitchen"), here.opens("lost phone")) == (True, True, False)
        assert {key.label: key.role for _, key in here.store.all_keys()} == {
            "laptop": Role.ADMIN,
            "kitchen": Role.VIEWER,
            "lost phone": Role.EDITOR,
        }
        signed_in = here.access.principal(token=TOKEN, sent=None, address="192.0.2.1")
        assert signed_in is not None and signed_in.role is Role.VIEWER
        check = here.audit.verify(HEAD)
        assert (check.entries, check.faults, check.cuts) == (5, (), ())
        kept = here.preferences.read()
        assert (kept["target_fpir"], kept["remember_last_seen"]) == (0.02, True)
    assert not TABLES & tables(folder / storage.FILE_NAME)
    assert names(folder) == ["Ann", "Bob"]


def test_keys_sessions_log_and_settings_of_a_bank_of_before_are_kept(tmp_path: Path) -> None:
    folder = unpack(tmp_path / "home")
    is_whole(folder)
    is_whole(folder)
    assert (folder / FILE_NAME).stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(folder / FILE_NAME)) as file:
        for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                file.execute(statement)
        (mode,) = file.execute("PRAGMA journal_mode").fetchone()
    assert mode in {"delete", "truncate"}
    assert digest(SECRETS["laptop"]).encode() not in (folder / storage.FILE_NAME).read_bytes()


def test_an_older_bank_that_is_put_back_brings_no_key_to_life(tmp_path: Path) -> None:
    folder = unpack(tmp_path / "home")
    with installation(folder) as here:
        here.access.revoke_key(next(key.key_id for _, key in here.store.all_keys() if key.label == "kitchen"))
        here.audit.append("local", "revoke_key", None, "ok")
    unpack(folder)  # the bank as it was, with its head
    with installation(folder) as here:
        assert (here.opens("laptop"), here.opens("kitchen"), here.opens("lost phone")) == (True, False, False)
        assert here.check.entries >= 6


def test_a_key_that_was_revoked_in_the_older_bank_is_revoked(tmp_path: Path) -> None:
    folder = unpack(tmp_path / "home")
    with installation(folder) as here:
        assert here.opens("kitchen")
    unpack(folder)
    with closing(sqlite3.connect(folder / storage.FILE_NAME)) as file, file:
        file.execute("UPDATE access_keys SET revoked_at = 1 WHERE label = 'kitchen'")
    with installation(folder) as here:
        assert (here.opens("laptop"), here.opens("kitchen")) == (True, False)
        assert here.access.principal(token=TOKEN, sent=None, address="") is None


def test_a_bank_of_before_that_a_restore_replaces_keeps_its_keys(tmp_path: Path) -> None:
    folder = unpack(tmp_path / "home")
    fill(tmp_path / "other", "Cid")
    path = back_up(tmp_path / "other", tmp_path / "b.visage")
    restore(folder, path, secrets=Secrets(key_file=tmp_path / "other" / KEY_FILE_NAME))
    with installation(folder) as here:
        assert (here.opens("laptop"), here.opens("lost phone")) == (True, False)
        assert (here.check.entries, here.check.faults, here.check.cuts) == (5, (), ())
    assert names(folder) == ["Cid"]


def test_a_backup_of_before_brings_people_and_nothing_else(tmp_path: Path) -> None:
    before = unpack(tmp_path / "before")
    path = version_1.back_up(before, tmp_path / "b.visage")
    secrets = Secrets(key_file=before / KEY_FILE_NAME)
    restore(tmp_path / "new", path, secrets=secrets)
    fill(tmp_path / "home", "Cid")
    with installation(tmp_path / "home") as here:
        here.store.add_key(digest("visage_own"), "tablet", Role.EDITOR)
        here.audit.append("local", "create_key", None, "ok")
        here.preferences.write({"target_fpir": 0.03})
    restore(tmp_path / "home", path, secrets=secrets)
    for folder, labels, entries in ((tmp_path / "new", [], 0), (tmp_path / "home", ["tablet"], 1)):
        assert names(folder) == ["Ann", "Bob"]
        with installation(folder) as here:
            assert [key.label for _, key in here.store.all_keys()] == labels
            assert (here.check.entries, here.check.faults, here.check.cuts) == (entries, (), ())
            assert here.preferences.read().get("target_fpir") in {None, 0.03}
        assert not TABLES & tables(folder / storage.FILE_NAME)


@pytest.mark.parametrize("spoil", ["text", "bank", "newer"])
def test_a_database_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path, spoil: str) -> None:
    with installation(tmp_path):
        pass
    path = tmp_path / FILE_NAME
    if spoil == "newer":
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("UPDATE admin_schema SET version = 99")
    else:
        path.write_bytes(b"nonsense" * 1000 if spoil == "text" else (tmp_path / storage.FILE_NAME).read_bytes())
    before = path.read_bytes()
    with pytest.raises(BankError, match="newer version" if spoil == "newer" else "admin.db is damaged"):
        open_database(tmp_path)
    assert path.read_bytes() == before


def test_a_bank_of_before_is_still_there_beside_the_new_one_until_that_has_proved_whole(tmp_path: Path) -> None:
    folder = unpack(tmp_path / "home")
    open_store(folder).close()
    assert tables(folder / OLD_NAME) >= TABLES
    open_store(folder).close()
    assert not (folder / OLD_NAME).exists()
