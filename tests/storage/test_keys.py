"""The key of the bank: where it comes from, that nothing opens without it, how it is changed and recovered."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.killing import fill, names
from visage.bank.bank import MemoryBank
from visage.errors import BankError
from visage.storage import keys, rekeying
from visage.storage.folder import FILE_NAME
from visage.storage.keys import KEY_FILE_NAME, KeyFile, KeySource
from visage.storage.sqlite import open_store, read_key_record
from visage.storage.vault import key_to_text, new_key, new_recovery_key

PASSPHRASE = KeySource(passphrase="four words are good")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data directory of a bank of two, whose key is in the usual file."""
    fill(tmp_path / "data")
    return tmp_path / "data"


def refused(folder: Path, source: KeySource | None = None) -> str:
    """Why the bank is not opened; the file must be left as it was."""
    path = folder / FILE_NAME
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(BankError) as error:
        open_store(folder, source)
    assert (path.read_bytes() if path.exists() else None) == before
    return error.value.message


def test_the_key_file_is_the_owners_only_and_outside_the_database(folder: Path) -> None:
    path = folder / KEY_FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    key = KeyFile(path).read()
    assert key is not None
    database = (folder / FILE_NAME).read_bytes()
    assert key not in database
    assert key_to_text(key).encode() not in database


def test_a_missing_key_is_asked_for_and_no_new_one_is_made(folder: Path) -> None:
    (folder / KEY_FILE_NAME).rename(folder / "elsewhere")
    assert "is missing" in refused(folder)
    assert not list(folder.glob("master.key*"))
    (folder / "elsewhere").rename(folder / KEY_FILE_NAME)
    assert names(folder) == ["Ann", "Bob"]


@pytest.mark.parametrize("content", ["", "half a k", "two\nlines\n", "\xff\xfe", key_to_text(bytes(32))[:-1]])
def test_a_damaged_key_file_is_named(folder: Path, content: str) -> None:
    (folder / KEY_FILE_NAME).write_text(content, encoding="latin-1")
    assert f"{KEY_FILE_NAME} is damaged" in refused(folder)


def test_another_banks_key_is_refused(folder: Path, tmp_path: Path) -> None:
    fill(tmp_path / "other")
    shutil.copy(tmp_path / "other" / KEY_FILE_NAME, folder / KEY_FILE_NAME)
    assert "not this bank's key" in refused(folder)
    assert "not this bank's key" in refused(folder, KeySource(master_key=key_to_text(new_key())))


def test_a_bank_that_was_deleted_is_not_begun_anew(folder: Path) -> None:
    (folder / FILE_NAME).unlink()
    assert "is gone" in refused(folder)
    (folder / KEY_FILE_NAME).unlink()
    assert "is gone" in refused(folder)
    (folder / "visage.lock").unlink()
    (folder / KEY_FILE_NAME).write_text(key_to_text(new_key()))
    assert "is gone" in refused(folder)
    assert not (folder / FILE_NAME).exists()


@pytest.mark.parametrize("kind", ["environment", "passphrase", "file elsewhere"])
def test_a_bank_whose_key_is_elsewhere_is_not_begun_anew_either(tmp_path: Path, kind: str) -> None:
    source = {
        "environment": KeySource(master_key=key_to_text(new_key())),
        "passphrase": PASSPHRASE,
        "file elsewhere": KeySource(file=tmp_path / "secret"),
    }[kind]
    folder = tmp_path / "data"
    open_store(folder, source).close()
    assert not (folder / KEY_FILE_NAME).exists()
    assert names(folder, source) == []
    (folder / FILE_NAME).unlink()
    assert "is gone" in refused(folder, source)


def test_a_secrets_file_that_is_there_before_the_bank_is_its_key(tmp_path: Path) -> None:
    secret = tmp_path / "run" / "secret"
    secret.parent.mkdir()
    secret.write_text(key_to_text(new_key()))
    secret.chmod(0o444)
    open_store(tmp_path / "data", KeySource(file=secret)).close()
    assert names(tmp_path / "data", KeySource(master_key=secret.read_text())) == []
    assert sorted(path.name for path in secret.parent.iterdir()) == ["secret"]


def test_a_passphrase_opens_and_nothing_else_does(tmp_path: Path) -> None:
    open_store(tmp_path, PASSPHRASE).close()
    assert names(tmp_path, PASSPHRASE) == []
    assert "passphrase is wrong" in refused(tmp_path, KeySource(passphrase="five words are better"))
    assert "Set VISAGE_PASSPHRASE" in refused(tmp_path)
    assert b"four words" not in (tmp_path / FILE_NAME).read_bytes()


def test_a_passphrase_for_a_bank_that_has_none_is_refused(folder: Path) -> None:
    assert "not protected by a passphrase" in refused(folder, PASSPHRASE)


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    assert "too short" in refused(tmp_path, KeySource(passphrase="1234567"))


@pytest.mark.parametrize(
    "passphrase,told",
    [
        ("password", "top-10 common password"),
        (" " * 8, "Repeats"),
        ("aaaaaaaaaaaaaaaaaaaa", "Repeats"),
        ("qwertyuiop", "common password"),
        ("Passw0rd1!", "similar to a commonly used password"),
        ("12.05.1961", "Dates are often easy to guess"),
        ("password" * 40, "Repeats"),
    ],
)
def test_a_passphrase_that_is_guessed_in_a_moment_is_refused_and_told_why(
    tmp_path: Path, passphrase: str, told: str
) -> None:
    text = refused(tmp_path, KeySource(passphrase=passphrase))
    assert "too easy to guess" in text
    assert told in text
    assert "Four words" in text
    assert not (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize(
    "passphrase", ["four words are good", "grüne Äpfel fallen", "яблоко падает осенью", "kq7-Rm2x!pW"]
)
def test_a_passphrase_that_holds_is_taken(passphrase: str) -> None:
    keys.check_passphrase(passphrase)


def test_a_damaged_key_check_is_no_wrong_key(folder: Path) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME)) as file, file:
        file.execute("UPDATE vault SET key_check = ?", (bytes(35),))
    assert names(folder) == ["Ann", "Bob"]
    (folder / KEY_FILE_NAME).write_text(key_to_text(new_key()))
    assert "not this bank's key" in refused(folder)


@pytest.mark.parametrize("statement", ["DELETE FROM vault", "DROP TABLE vault", "DELETE FROM alembic_version"])
def test_a_bank_without_its_record_of_the_key_is_refused(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME)) as file, file:
        file.execute(statement)
    assert "restore a backup" in refused(folder)


def test_after_a_change_of_key_only_the_new_one_opens(folder: Path) -> None:
    old = (folder / KEY_FILE_NAME).read_text()
    with closing(sqlite3.connect(folder / FILE_NAME)) as file:
        wrapped = [key for (key,) in file.execute("SELECT key FROM persons")]
    store = open_store(folder)
    rekeying.rotate(store, KeySource(), folder, new_key())
    store.close()
    assert names(folder) == ["Ann", "Bob"]
    assert not [key for key in wrapped if key in (folder / FILE_NAME).read_bytes()]
    (folder / KEY_FILE_NAME).write_text(old)
    assert "not this bank's key" in refused(folder)


def test_the_bank_in_use_goes_on_after_a_change_of_key(folder: Path) -> None:
    store = open_store(folder)
    rekeying.rotate(store, KeySource(), folder, new_key())
    with closing(MemoryBank(store, model="test-model", dimension=16)) as bank:
        ann = bank.named("Ann")[0]
        assert bank.update(ann.person_id, name="Anna").name == "Anna"
    with closing(MemoryBank(open_store(folder), model="test-model", dimension=16)) as bank:
        assert sorted(person.name for person in bank.persons().persons) == ["Anna", "Bob"]


def test_a_key_from_the_environment_is_changed_to_the_one_given(tmp_path: Path) -> None:
    old, new = KeySource(master_key=key_to_text(new_key())), new_key()
    store = open_store(tmp_path, old)
    rekeying.rotate(store, old, tmp_path, new)
    store.close()
    assert "VISAGE_MASTER_KEY is not this bank's key" in refused(tmp_path, old)
    assert names(tmp_path, KeySource(master_key=key_to_text(new))) == []


def test_a_passphrase_takes_the_place_of_the_file_and_gives_it_back(folder: Path) -> None:
    file, old = KeyFile(folder / KEY_FILE_NAME), (folder / KEY_FILE_NAME).read_text()
    store = open_store(folder)
    rekeying.protect(store, folder, file, PASSPHRASE.passphrase)
    store.close()
    assert not list(folder.glob("master.key*"))
    assert names(folder, PASSPHRASE) == ["Ann", "Bob"]
    assert "not this bank's key" in refused(folder, KeySource(master_key=old.splitlines()[1]))
    store = open_store(folder, PASSPHRASE)
    rekeying.protect(store, folder, file, None)
    store.close()
    assert names(folder) == ["Ann", "Bob"]
    assert "not protected by a passphrase" in refused(folder, PASSPHRASE)


def test_a_passphrase_that_is_too_short_changes_nothing(folder: Path) -> None:
    store = open_store(folder)
    with pytest.raises(BankError, match="too short"):
        rekeying.protect(store, folder, KeyFile(folder / KEY_FILE_NAME), "short")
    store.close()
    assert names(folder) == ["Ann", "Bob"]


def test_a_recovery_key_gives_the_key_back_and_a_later_one_makes_it_void(folder: Path) -> None:
    store = open_store(folder)
    first, second = rekeying.add_recovery_key(store), rekeying.add_recovery_key(store)
    store.close()
    assert re.fullmatch(r"([A-Z2-7]{4}-){7}[A-Z2-7]{4}", second)
    assert second.encode() not in (folder / FILE_NAME).read_bytes()
    record = read_key_record(folder)
    assert record is not None
    assert keys.recovered_key(record, second) == KeyFile(folder / KEY_FILE_NAME).read()
    for wrong in (first, new_recovery_key()):
        with pytest.raises(BankError, match="not this bank's recovery key"):
            keys.recovered_key(record, wrong)
    store = open_store(folder)
    rekeying.rotate(store, KeySource(), folder, new_key())
    store.close()
    record = read_key_record(folder)
    assert record is not None
    with pytest.raises(BankError, match="no recovery key"):
        keys.recovered_key(record, second)


def test_secrets_are_in_no_representation() -> None:
    assert "secret" not in repr(KeySource(master_key="secret", passphrase="secret"))
