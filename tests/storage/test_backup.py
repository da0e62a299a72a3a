"""A bank goes into a backup file and comes back, on this machine or another; nothing else does."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.bank.test_bank import DIMENSION, MODEL, photo
from tests.storage import version_1
from visage.bank.bank import MemoryBank
from visage.errors import BankError, InvalidBackup, NotReady
from visage.service.restore import Restored, Secrets, put_in_place, stage
from visage.storage import backup, rekeying
from visage.storage.folder import FILE_NAME, SET_ASIDE, STAGE_NAME, lock
from visage.storage.keys import KEY_FILE_NAME, KeyRecord, KeySource
from visage.storage.sqlite import open_store
from visage.storage.vault import TAG_BYTES, Vault, new_key, passphrase_slot

PASSPHRASE = "four words are good"


def opened(folder: Path, source: KeySource | None = None) -> MemoryBank:
    return MemoryBank(open_store(folder, source), model=MODEL, dimension=DIMENSION)


def fill(folder: Path, *names: str, source: KeySource | None = None) -> dict[str, str]:
    bank = opened(folder, source)
    ids = {
        name: bank.enrol(name=name, relationship=None, metadata={"n": 1}, photos=[photo(seed)]).person_id
        for seed, name in enumerate(names, start=1)
    }
    bank.close()
    return ids


def names(folder: Path, source: KeySource | None = None) -> list[str]:
    bank = opened(folder, source)
    try:
        # A bank that was set aside has forgotten without its key, and says so where it is put back by hand.
        assert [fault for fault in bank.check() if "without its key" not in fault] == []
        return sorted(person.name for person in bank.persons(limit=1000).persons)
    finally:
        bank.close()


def back_up(folder: Path, path: Path, source: KeySource | None = None) -> Path:
    store = open_store(folder, source)
    with path.open("wb") as file:
        store.backup(file, lambda done, total: None)
    store.close()
    return path


def restore(folder: Path, path: Path, home: KeySource | None = None, secrets: Secrets | None = None) -> Restored:
    home = home or KeySource()
    with lock(folder) as held:
        return put_in_place(stage(folder, path, home, secrets or Secrets(), lambda done, total: None), home, held)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A bank with Ann and Bob."""
    fill(tmp_path / "home", "Ann", "Bob")
    return tmp_path / "home"


def test_a_backup_brings_the_bank_back_and_keeps_the_one_that_was_there(home: Path, tmp_path: Path) -> None:
    path = back_up(home, tmp_path / "b.visage")
    fill(home, "Cid")
    assert names(home) == ["Ann", "Bob", "Cid"]
    done = restore(home, path)
    assert names(home) == ["Ann", "Bob"]
    assert done.set_aside is not None
    (home / done.set_aside).replace(home / FILE_NAME)
    assert names(home) == ["Ann", "Bob", "Cid"]


def test_a_backup_shows_nothing(home: Path, tmp_path: Path) -> None:
    ids = fill(tmp_path / "other", "Ann")
    content = back_up(tmp_path / "other", tmp_path / "b.visage").read_bytes()
    for plain in (b"Ann", b"SQLite format", ids["Ann"].encode(), b"persons.content", b"access_keys"):
        assert plain not in content


def test_another_machine_restores_with_the_key_file(home: Path, tmp_path: Path) -> None:
    path = back_up(home, tmp_path / "b.visage")
    key = (home / KEY_FILE_NAME).rename(tmp_path / "stick.key")
    with pytest.raises(InvalidBackup, match="key file that the bank had"):
        restore(tmp_path / "new", path)
    restore(tmp_path / "new", path, secrets=Secrets(key_file=key))
    assert names(tmp_path / "new") == ["Ann", "Bob"]


def test_another_machine_restores_with_the_recovery_key_and_its_paper_stays_good(home: Path, tmp_path: Path) -> None:
    store = open_store(home)
    paper = rekeying.add_recovery_key(store)
    store.close()
    path = back_up(home, tmp_path / "b.visage")
    with pytest.raises(InvalidBackup, match="letter by letter") as refused:
        restore(tmp_path / "new", path, secrets=Secrets(recovery_key="A" * 32))
    assert refused.value.details == {"needs": ["key_file", "recovery_key"]}
    restore(tmp_path / "new", path, secrets=Secrets(recovery_key=paper))
    assert names(tmp_path / "new") == ["Ann", "Bob"]
    (tmp_path / "new" / KEY_FILE_NAME).unlink()
    restore(tmp_path / "new", path, secrets=Secrets(recovery_key=paper))
    assert names(tmp_path / "new") == ["Ann", "Bob"]


def test_another_machine_restores_with_the_passphrase(tmp_path: Path) -> None:
    source = KeySource(passphrase=PASSPHRASE)
    fill(tmp_path / "old", "Ann", source=source)
    path = back_up(tmp_path / "old", tmp_path / "b.visage", source)
    with pytest.raises(InvalidBackup, match="passphrase"):
        restore(tmp_path / "new", path, secrets=Secrets(passphrase="three wrong words"))
    restore(tmp_path / "new", path, secrets=Secrets(passphrase=PASSPHRASE))
    assert names(tmp_path / "new", source) == ["Ann"]


def test_a_bank_with_a_passphrase_of_today_opens_with_it_after_restoring_one_with_another(tmp_path: Path) -> None:
    fill(tmp_path / "old", "Ann", source=KeySource(passphrase="the words of then"))
    path = back_up(tmp_path / "old", tmp_path / "b.visage", KeySource(passphrase="the words of then"))
    today = KeySource(passphrase=PASSPHRASE)
    fill(tmp_path / "new", "Bob", source=today)
    restore(tmp_path / "new", path, today, Secrets(passphrase="the words of then"))
    assert names(tmp_path / "new", today) == ["Ann"]


def test_a_backup_from_before_a_change_of_key_takes_the_old_key_and_the_new_one_is_kept(
    home: Path, tmp_path: Path
) -> None:
    path = back_up(home, tmp_path / "b.visage")
    old = tmp_path / "old.key"
    old.write_bytes((home / KEY_FILE_NAME).read_bytes())
    store = open_store(home)
    rekeying.rotate(store, KeySource(), home, new_key())
    store.close()
    with pytest.raises(InvalidBackup):
        restore(home, path)
    done = restore(home, path, secrets=Secrets(key_file=old))
    assert names(home) == ["Ann", "Bob"]
    assert done.set_aside
    assert done.key_set_aside
    (home / done.set_aside).replace(home / FILE_NAME)
    (home / done.key_set_aside).replace(home / KEY_FILE_NAME)
    assert names(home) == ["Ann", "Bob"]


def test_whom_was_forgotten_stays_forgotten(home: Path, tmp_path: Path) -> None:
    bank = opened(home)
    bob = bank.named("Bob")[0].person_id
    second = bank.add_photos(bank.named("Ann")[0].person_id, [photo(7)])[0]
    bank.close()
    path = back_up(home, tmp_path / "b.visage")
    bank = opened(home)
    assert bank.forget(bob)
    assert bank.forget_photo(second.person_id, second.photo_id)
    bank.close()
    assert restore(home, path).forgotten_again == 2
    bank = opened(home)
    assert [person.name for person in bank.persons().persons] == ["Ann"]
    assert len(bank.photos(second.person_id)) == 1
    bank.close()
    assert restore(home, path).forgotten_again == 2  # what was carried over once is carried over again


def test_what_is_forgotten_later_is_forgotten_in_the_bank_that_was_set_aside_too(home: Path, tmp_path: Path) -> None:
    path = back_up(home, tmp_path / "b.visage")
    bank = opened(home)
    bank.enrol(name="Cid", relationship=None, metadata={}, photos=[photo(3)])
    bank.close()
    done = restore(home, path)
    bank = opened(home)
    bob = bank.named("Bob")[0].person_id
    with closing(sqlite3.connect(home / FILE_NAME)) as file:
        sealed = [row[0] for row in file.execute("SELECT picture FROM photos WHERE person_id = ?", [bob])]
    assert bank.forget(bob)
    bank.close()
    assert not any(sealed[0] in each.read_bytes() for each in home.iterdir() if each.is_file())
    assert done.set_aside
    (home / done.set_aside).replace(home / FILE_NAME)
    assert names(home) == ["Ann", "Cid"]


def test_a_broken_bank_is_set_aside_and_replaced(home: Path, tmp_path: Path) -> None:
    path = back_up(home, tmp_path / "b.visage")
    (home / FILE_NAME).write_bytes(os.urandom(50_000))
    with pytest.raises(BankError):
        names(home)
    done = restore(home, path)
    assert not done.old_was_readable
    assert names(home) == ["Ann", "Bob"]
    assert done.set_aside
    assert (home / done.set_aside).stat().st_size == 50_000


def test_a_bank_that_is_gone_is_replaced(home: Path, tmp_path: Path) -> None:
    path = back_up(home, tmp_path / "b.visage")
    (home / FILE_NAME).unlink()
    assert restore(home, path).set_aside is None
    assert names(home) == ["Ann", "Bob"]


def test_no_byte_of_a_backup_can_be_changed(home: Path, tmp_path: Path) -> None:
    content = back_up(home, tmp_path / "b.visage").read_bytes()
    before = (home / FILE_NAME).read_bytes()
    places = {0, 8, 9, 12, 20, 200, len(content) // 2, len(content) - 40, len(content) - 1}
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1
        (tmp_path / "c.visage").write_bytes(changed)
        with pytest.raises(InvalidBackup):
            restore(home, tmp_path / "c.visage")
    for wrong in (b"", b"VISAGEBK", content[:-1], content + b"x", content[: len(content) // 2], b"PK\3\4" * 100):
        (tmp_path / "c.visage").write_bytes(wrong)
        with pytest.raises(InvalidBackup):
            restore(home, tmp_path / "c.visage")
    assert (home / FILE_NAME).read_bytes() == before
    assert names(home) == ["Ann", "Bob"]
    assert not list(home.glob(f"{SET_ASIDE}*"))


def sealed(path: Path, data: bytes, key: bytes) -> Path:
    """A backup file with this in it."""
    record = KeyRecord("id", Vault(key).key_check("id"), [], ())
    with path.open("wb") as file:
        writer = backup.BackupWriter(file, Vault(key), record, persons=0, photos=0)
        for start in range(0, len(data), 300_001):
            writer.write(data[start : start + 300_001])
        writer.close()
    return path


def test_a_backup_that_asks_for_terabytes_to_open_is_refused(tmp_path: Path) -> None:
    record = KeyRecord("id", b"x", [passphrase_slot(PASSPHRASE, Vault(new_key()), "id")], ())
    record.slots[0].parameters["memory_kib"] = 2**31
    with (tmp_path / "b").open("wb") as file:
        backup.BackupWriter(file, Vault(new_key()), record, persons=0, photos=0).close()
    with pytest.raises(InvalidBackup):
        backup.read_header(tmp_path / "b")


def test_a_backup_of_a_newer_version_is_refused(home: Path, tmp_path: Path) -> None:
    content = bytearray(back_up(home, tmp_path / "b.visage").read_bytes())
    content[8] = 3
    (tmp_path / "b.visage").write_bytes(content)
    with pytest.raises(InvalidBackup, match="newer"):
        restore(home, tmp_path / "b.visage")
    with closing(sqlite3.connect(home / FILE_NAME)) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
        file.commit()
    version_1.back_up(home, tmp_path / "d.visage")
    with pytest.raises(InvalidBackup, match="newer"):
        restore(tmp_path / "new", tmp_path / "d.visage", secrets=Secrets(key_file=home / KEY_FILE_NAME))


@pytest.mark.parametrize("size", [1, backup.PIECE_BYTES - 1, backup.PIECE_BYTES, 2 * backup.PIECE_BYTES + 5])
def test_any_size_comes_back(tmp_path: Path, size: int) -> None:
    key, data = new_key(), os.urandom(size)
    told: list[tuple[int, int]] = []
    path = sealed(tmp_path / "b", data, key)
    found = b"".join(backup.read_pieces(path, key, lambda done, total: told.append((done, total))))
    assert found == data
    assert told[-1] == (size, size)
    backup.verify_checksum(path)


def test_pieces_cannot_change_places(tmp_path: Path) -> None:
    """Not even by someone who makes the checksum right again."""
    key = new_key()
    sealed(tmp_path / "b", os.urandom(2 * backup.PIECE_BYTES), key)
    start = backup.read_header(tmp_path / "b").start
    content, size = (tmp_path / "b").read_bytes()[:-32], backup.PIECE_BYTES + TAG_BYTES
    swapped = content[:start] + content[start + size :][:size] + content[start:][:size] + content[start + 2 * size :]
    for changed in (swapped, content[: start + size + TAG_BYTES], content[:start] + content[start + size :]):
        (tmp_path / "b").write_bytes(changed + hashlib.sha256(changed).digest())
        backup.verify_checksum(tmp_path / "b")
        with pytest.raises(InvalidBackup):
            list(backup.read_pieces(tmp_path / "b", key, lambda done, total: None))


def test_a_backup_while_people_are_registered_is_one_moment(home: Path, tmp_path: Path) -> None:
    bank = opened(home)
    end = threading.Event()

    def register() -> None:
        seed = 10
        while not end.is_set() and seed < 200:
            bank.enrol(name=f"P{seed}", relationship=None, metadata={}, photos=[photo(seed)])
            seed += 1

    thread = threading.Thread(target=register)
    thread.start()
    for number in range(5):
        with (tmp_path / f"{number}.visage").open("wb") as file:
            bank.backup(file, lambda done, total: None)
    end.set()
    thread.join()
    bank.close()
    counts = []
    for number in range(5):
        path = tmp_path / f"{number}.visage"
        restore(tmp_path / f"n{number}", path, secrets=Secrets(key_file=home / KEY_FILE_NAME))
        counts.append(len(names(tmp_path / f"n{number}")))
        assert backup.read_header(path).persons <= counts[-1]  # when it began
    assert counts == sorted(counts)


def test_a_store_that_was_closed_writes_nothing_any_more(home: Path) -> None:
    bank = opened(home)
    bank.close()
    with pytest.raises(NotReady):
        bank.enrol(name="Late", relationship=None, metadata={}, photos=[photo(9)])
    assert names(home) == ["Ann", "Bob"]


def test_a_restore_leaves_no_draft(home: Path, tmp_path: Path) -> None:
    path = back_up(home, tmp_path / "b.visage")
    stage(home, path, KeySource(), Secrets(), lambda done, total: None)
    assert (home / STAGE_NAME).exists()
    assert names(home) == ["Ann", "Bob"]
    assert not (home / STAGE_NAME).exists()
