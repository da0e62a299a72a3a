"""What a restore must not bring back, must not lose, and must not let in."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.bank.test_bank import look, photo
from tests.storage import version_1
from tests.storage.test_backup import back_up, fill, names, opened, restore
from visage.bank.records import Erasure
from visage.errors import BankError, InvalidBackup, UndoNotFound
from visage.service.restore import Secrets, put_in_place, stage
from visage.storage import keys, rekeying
from visage.storage.folder import FILE_NAME, SET_ASIDE, STAGE_NAME, lock
from visage.storage.keys import KEY_FILE_NAME, KeyFile, KeySource
from visage.storage.sqlite import open_store, read_key_record
from visage.storage.vault import Vault, key_to_text


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A bank with Ann and Bob."""
    fill(tmp_path / "home", "Ann", "Bob")
    return tmp_path / "home"


def ids_of(folder: Path) -> dict[str, str]:
    """Person ids by name."""
    bank = opened(folder)
    try:
        return {person.name: person.person_id for person in bank.persons().persons}
    finally:
        bank.close()


def everything_in(path: Path) -> set[str]:
    """Every text in a database file: ids, mostly."""
    with closing(sqlite3.connect(path)) as file:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = [row for table in tables if table != "erasures" for row in file.execute(f"SELECT * FROM {table}")]
    return {value for row in rows for value in row if isinstance(value, str)}


def test_who_was_forgotten_stays_forgotten_where_the_backup_has_the_photos_with_another(
    home: Path, tmp_path: Path
) -> None:
    """Merge Ann into Bob, back up, undo, forget Ann, restore."""
    ids = ids_of(home)
    bank = opened(home)
    bank.reject(ids["Ann"], look(9))
    (photo_id,) = [each.photo_id for each in bank.photos(ids["Ann"])]
    (counter,) = bank.counter_examples(ids["Ann"])
    undo = bank.merge(ids["Bob"], ids["Ann"], kept=lambda _: True)
    bank.close()
    path = back_up(home, tmp_path / "b.visage")
    bank = opened(home)
    bank.undo(undo.undo_id)
    assert bank.forget(ids["Ann"])
    bank.close()
    restore(home, path)
    bank = opened(home)
    assert [person.name for person in bank.persons().persons] == ["Bob"]
    assert [each.photo_id for each in bank.photos(ids["Bob"])] != []
    assert photo_id not in {each.photo_id for each in bank.photos(ids["Bob"])}
    assert counter.counter_id not in {each.counter_id for each in bank.counter_examples(ids["Bob"])}
    with pytest.raises(UndoNotFound):
        bank.undo(undo.undo_id)
    assert bank.check() == []
    bank.close()
    assert not {ids["Ann"], photo_id, counter.counter_id} & everything_in(home / FILE_NAME)


def test_complete_is_said_when_the_bank_that_was_set_aside_has_forgotten_too(home: Path, tmp_path: Path) -> None:
    """Back up, add a photo, merge, restore, forget Ann: the bank set aside has a photo that nobody else knows of."""
    path = back_up(home, tmp_path / "b.visage")
    ids = ids_of(home)
    bank = opened(home)
    bank.add_photos(ids["Ann"], [photo(7)])
    theirs = {each.photo_id for each in bank.photos(ids["Ann"])}
    bank.merge(ids["Bob"], ids["Ann"], kept=lambda _: True)
    bank.close()
    done = restore(home, path)
    assert done.set_aside
    bank = opened(home)
    assert bank.forget(ids["Ann"])
    bank.close()
    assert not {ids["Ann"], *theirs} & everything_in(home / done.set_aside)
    (home / done.set_aside).replace(home / FILE_NAME)
    assert names(home) == ["Bob"]


def test_a_bank_set_aside_of_an_older_schema_forgets_whoever_holds_the_forgotten(home: Path, tmp_path: Path) -> None:
    """It does not say which photos were whose."""
    path = back_up(home, tmp_path / "b.visage")
    ids = ids_of(home)
    bank = opened(home)
    bank.enrol(name="Cid", relationship=None, metadata={}, photos=[photo(3)])
    bank.merge(ids["Bob"], ids["Ann"], kept=lambda _: True)
    bank.close()
    done = restore(home, path)
    assert done.set_aside
    with closing(sqlite3.connect(home / done.set_aside)) as file, file:
        for table, column in (("photos", "origin_id"), ("counter_examples", "origin_id"), ("undos", "source_id")):
            file.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        for table in ("vault", "persons"):
            file.execute(f"ALTER TABLE {table} DROP COLUMN digest")
        file.execute("UPDATE alembic_version SET version_num = '0005'")
    bank = opened(home)
    assert bank.forget(ids["Ann"])
    bank.close()
    (home / done.set_aside).replace(home / FILE_NAME)
    assert names(home) == ["Cid"]


def test_who_is_not_forgotten_is_not_lost_with_whom_the_backup_has_the_photos(home: Path, tmp_path: Path) -> None:
    """Merge Ann into Bob, back up, undo, forget Bob, restore: Ann is still loved."""
    ids = ids_of(home)
    bank = opened(home)
    undo = bank.merge(ids["Bob"], ids["Ann"], kept=lambda _: True)
    bank.close()
    path = back_up(home, tmp_path / "b.visage")
    bank = opened(home)
    bank.undo(undo.undo_id)
    bank.forget(ids["Bob"])
    bank.close()
    restore(home, path)
    bank = opened(home)
    assert [(person.name, person.person_id) for person in bank.persons().persons] == [("Ann", ids["Ann"])]
    ((hit,),) = bank.search(look(1)[None], 5)
    assert (hit.person.name, round(hit.similarity, 5)) == ("Ann", 1)
    assert bank.check() == []
    bank.close()


def test_a_chain_of_merges_forgets_and_keeps_whom_it_should(home: Path, tmp_path: Path) -> None:
    """Ann into Bob, Bob into Cid, back up; both undone, Bob and Cid forgotten: Ann remains."""
    fill(home, "Cid")
    ids = ids_of(home)
    bank = opened(home)
    first = bank.merge(ids["Bob"], ids["Ann"], kept=lambda _: True)
    second = bank.merge(ids["Cid"], ids["Bob"], kept=lambda _: True)
    bank.close()
    path = back_up(home, tmp_path / "b.visage")
    bank = opened(home)
    bank.undo(second.undo_id)
    bank.undo(first.undo_id)
    bank.forget(ids["Bob"])
    bank.forget(ids["Cid"])
    bank.close()
    restore(home, path)
    assert ids_of(home) == {"Ann": ids["Ann"]}
    assert names(home) == ["Ann"]


def test_a_bank_set_aside_that_cannot_be_read_is_kept_and_complete_is_not_said(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = back_up(home, tmp_path / "b.visage")
    done = restore(home, path)
    assert done.set_aside
    broken = b"no database" * 100
    (home / done.set_aside).write_bytes(broken)
    bank = opened(home)
    assert not bank.forget(bank.named("Ann")[0].person_id)
    assert done.set_aside in caplog.text
    bank.close()
    assert (home / done.set_aside).read_bytes() == broken
    assert names(home) == ["Bob"]
    (home / done.set_aside).unlink()
    bank = opened(home)  # what was owed is made up for
    assert bank.forget(bank.named("Bob")[0].person_id)
    bank.close()


def test_a_bank_set_aside_that_is_in_use_is_kept_and_forgets_at_the_next_start(home: Path, tmp_path: Path) -> None:
    path = back_up(home, tmp_path / "b.visage")
    done = restore(home, path)
    assert done.set_aside
    ann = ids_of(home)["Ann"]
    bank = opened(home)
    with closing(sqlite3.connect(home / done.set_aside, isolation_level=None)) as reader:
        reader.execute("BEGIN EXCLUSIVE")
        assert not bank.forget(ann)
        reader.execute("ROLLBACK")
    bank.close()
    assert ann in everything_in(home / done.set_aside)
    assert names(home) == ["Bob"]
    assert ann not in everything_in(home / done.set_aside)


def test_two_restores_in_one_second_keep_both_banks(home: Path, tmp_path: Path) -> None:
    path = back_up(home, tmp_path / "b.visage")
    kept = {restore(home, path).set_aside for _ in range(3)}
    assert len(kept) == 3
    assert {each.name for each in home.glob(f"{SET_ASIDE}*")} == kept


def test_what_was_checked_is_what_is_put_in_place_or_nothing(home: Path, tmp_path: Path) -> None:
    """Somebody who does not heed the lock takes away what was checked: no empty bank is made in its place."""
    path = back_up(home, tmp_path / "b.visage")
    with lock(home) as held:
        staged = stage(home, path, KeySource(), Secrets(), lambda done, total: None)
        shutil.rmtree(home / STAGE_NAME)
        with pytest.raises(BankError, match=r"no visage\.db"):
            put_in_place(staged, KeySource(), held)
    assert names(home) == ["Ann", "Bob"]


Spoil = Callable[[sqlite3.Connection], None]


def crafted(home: Path, path: Path, spoil: Spoil) -> tuple[Path, Path]:
    """A backup, and the key file that opens it, of someone who wrote into the database what he liked."""
    folder = path.with_suffix(".theirs")
    fill(folder, "Mallory")
    with closing(sqlite3.connect(folder / FILE_NAME)) as file, file:
        spoil(file)
    return version_1.back_up(folder, path), folder / KEY_FILE_NAME


def test_no_program_comes_with_a_backup(home: Path, tmp_path: Path) -> None:
    """A trigger that keeps what is forgotten, another that empties a table, a view, an index that computes."""

    def spoil(file: sqlite3.Connection) -> None:
        file.execute("CREATE TABLE keepsake AS SELECT * FROM photos")
        file.execute(
            "CREATE TRIGGER keep BEFORE DELETE ON photos BEGIN "
            "INSERT INTO keepsake SELECT * FROM photos WHERE photo_id = old.photo_id; END"
        )
        file.execute("CREATE TRIGGER clean AFTER INSERT ON erasures BEGIN DELETE FROM erasures; END")
        file.execute("CREATE VIEW everyone AS SELECT * FROM persons")
        file.execute("CREATE INDEX sly ON persons(lower(person_id))")

    path, key = crafted(home, tmp_path / "b.visage", spoil)
    restore(home, path, secrets=Secrets(key_file=key))
    with closing(sqlite3.connect(home / FILE_NAME)) as file:
        found = {name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")}
    with closing(sqlite3.connect(tmp_path / "b.theirs" / FILE_NAME)) as file:
        theirs = {name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")}
    assert {"keepsake", "keep", "clean", "everyone", "sly"} <= theirs
    assert not {"keepsake", "keep", "clean", "everyone", "sly"} & found
    bank = opened(home)
    (mallory,) = bank.persons().persons
    photo_id = bank.photos(mallory.person_id)[0].photo_id
    assert bank.forget(mallory.person_id)
    bank.close()
    assert photo_id not in everything_in(home / FILE_NAME)


@pytest.mark.parametrize(
    "statements",
    [
        ["ALTER TABLE persons RENAME TO p", "CREATE VIEW persons AS SELECT * FROM p"],
        ["ALTER TABLE merges RENAME TO m", "CREATE VIRTUAL TABLE merges USING fts5(source_id, target_id)"],
        ["ALTER TABLE erasures RENAME COLUMN erased_at TO e", "ALTER TABLE erasures ADD erased_at AS (e + 1)"],
        ["DROP TABLE undos"],
        [
            "PRAGMA writable_schema=ON",
            "ALTER TABLE merges RENAME TO m",
            "CREATE VIRTUAL TABLE merges USING fts5(source_id, target_id)",
            "UPDATE sqlite_schema SET sql = replace(sql, 'E VIRTUAL', 'E/**/VIRTUAL') WHERE name = 'merges'",
        ],
        ["UPDATE alembic_version SET version_num = '0002'"],
        ["DELETE FROM alembic_version"],
    ],
)
def test_a_database_that_only_looks_like_a_bank_is_refused(home: Path, tmp_path: Path, statements: list[str]) -> None:
    def spoil(path: Path) -> None:
        with closing(sqlite3.connect(path)) as file, file:
            for statement in statements:
                file.execute(statement)

    fill(tmp_path / "theirs", "Mallory")
    key = tmp_path / "theirs" / KEY_FILE_NAME
    spoil(tmp_path / "theirs" / FILE_NAME)
    path = version_1.back_up(tmp_path / "theirs", tmp_path / "b.visage")
    with pytest.raises(InvalidBackup):
        restore(home, path, secrets=Secrets(key_file=key))
    assert names(home) == ["Ann", "Bob"]


def test_who_made_a_backup_cannot_read_what_is_stored_after_it_was_restored(home: Path, tmp_path: Path) -> None:
    """Neither by his master key, nor by his recovery key, nor by the data keys that he knows."""
    store = open_store(home)
    paper = rekeying.add_recovery_key(store)
    store.close()
    path = back_up(home, tmp_path / "b.visage")
    theirs = KeyFile(home / KEY_FILE_NAME).read()
    assert theirs
    with closing(sqlite3.connect(home / FILE_NAME)) as file:
        known = {Vault(theirs).key(*row)._aead for row in file.execute("SELECT person_id, key FROM persons")}
    assert len(known) == 2
    fill(tmp_path / "new", "Cid")
    before = KeyFile(tmp_path / "new" / KEY_FILE_NAME).read()
    done = restore(tmp_path / "new", path, secrets=Secrets(recovery_key=paper))
    assert (done.new_key, done.recovery_key_void) == (True, True)
    now = KeyFile(tmp_path / "new" / KEY_FILE_NAME).read()
    assert now not in {theirs, before, None}
    store = open_store(tmp_path / "new")
    assert store.slots() == []
    store.close()
    with (
        closing(sqlite3.connect(tmp_path / "new" / FILE_NAME)) as file,
        closing(sqlite3.connect(home / FILE_NAME)) as old,
    ):
        query = "SELECT content FROM persons UNION SELECT picture FROM photos UNION SELECT vector FROM embeddings"
        assert not set(file.execute(query)) & set(old.execute(query))
        for row in file.execute("SELECT person_id, key FROM persons"):
            with pytest.raises(BankError):
                Vault(theirs).key(*row)
    assert names(tmp_path / "new") == ["Ann", "Bob"]


def test_the_recovery_key_stays_good_on_a_computer_that_had_no_bank(home: Path, tmp_path: Path) -> None:
    store = open_store(home)
    paper = rekeying.add_recovery_key(store)
    store.close()
    path = back_up(home, tmp_path / "b.visage")
    done = restore(tmp_path / "new", path, secrets=Secrets(recovery_key=paper))
    assert (done.new_key, done.recovery_key_void) == (True, False)
    (tmp_path / "new" / KEY_FILE_NAME).unlink()
    record = read_key_record(tmp_path / "new")
    assert record is not None
    assert record.fits(Vault(keys.recovered_key(record, paper)))


def test_a_backup_that_prepares_another_one_does_not_make_its_makers_key_the_banks(
    home: Path, tmp_path: Path
) -> None:
    """A first crafted backup holds a person under the key of a second one."""
    fill(tmp_path / "second", "Eve")
    theirs = KeyFile(tmp_path / "second" / KEY_FILE_NAME).read()
    assert theirs

    def spoil(file: sqlite3.Connection) -> None:
        with closing(sqlite3.connect(tmp_path / "second" / FILE_NAME)) as other:
            row = other.execute("SELECT * FROM persons").fetchone()
        file.execute(f"INSERT INTO persons VALUES ({','.join('?' * len(row))})", row)

    path, key = crafted(home, tmp_path / "b.visage", spoil)
    restore(home, path, secrets=Secrets(key_file=key))
    store = open_store(tmp_path / "second")
    paper = rekeying.add_recovery_key(store)
    store.close()
    done = restore(home, back_up(tmp_path / "second", tmp_path / "c.visage"), secrets=Secrets(recovery_key=paper))
    assert done.new_key
    assert KeyFile(home / KEY_FILE_NAME).read() != theirs
    store = open_store(home)
    assert store.slots() == []
    store.close()
    with closing(sqlite3.connect(home / FILE_NAME)) as file:
        for row in file.execute("SELECT person_id, key FROM persons"):
            with pytest.raises(BankError):
                Vault(theirs).key(*row)


def test_a_backup_cannot_have_forgotten_whom_the_bank_knows(home: Path, tmp_path: Path) -> None:
    good = back_up(home, tmp_path / "good.visage")
    ids = ids_of(home)

    def spoil(file: sqlite3.Connection) -> None:
        file.executemany("INSERT INTO erasures VALUES (?, 1)", [(each,) for each in ids.values()])

    path, key = crafted(home, tmp_path / "b.visage", spoil)
    own = tmp_path / "own.key"
    own.write_bytes((home / KEY_FILE_NAME).read_bytes())
    done = restore(home, path, secrets=Secrets(key_file=key))
    assert done.set_aside
    bank = opened(home)
    bank.enrol(name="Cid", relationship=None, metadata={}, photos=[photo(3)])
    assert bank.forget(bank.named("Cid")[0].person_id)
    bank.close()
    assert set(ids.values()) <= everything_in(home / done.set_aside)
    assert restore(home, good, secrets=Secrets(key_file=own)).forgotten_again == 0
    assert names(home) == ["Ann", "Bob"]


def test_who_was_found_to_be_another_by_way_of_a_third_goes_with_that_other(home: Path, tmp_path: Path) -> None:
    """Ann into Bob, Bob into Cid; both undone, Bob forgotten; that backup restored, Cid forgotten."""
    fill(home, "Cid")
    before = back_up(home, tmp_path / "before.visage")
    ids = ids_of(home)
    bank = opened(home)
    first = bank.merge(ids["Bob"], ids["Ann"], kept=lambda _: True)
    second = bank.merge(ids["Cid"], ids["Bob"], kept=lambda _: True)
    bank.close()
    merged = back_up(home, tmp_path / "merged.visage")
    bank = opened(home)
    bank.undo(second.undo_id)
    bank.undo(first.undo_id)
    bank.forget(ids["Bob"])
    bank.close()
    restore(home, merged)
    bank = opened(home)
    assert [person.name for person in bank.persons().persons] == ["Cid"]
    assert bank.forget(ids["Cid"])
    bank.close()
    restore(home, before)
    assert names(home) == []


@pytest.mark.parametrize("circle", [[("a", "a")], [("a", "b"), ("b", "a")], [("a", "b"), ("b", "c"), ("c", "a")]])
def test_a_circle_of_merges_keeps_nobody_from_being_forgotten(
    home: Path, tmp_path: Path, circle: list[tuple[str, str]]
) -> None:
    def spoil(file: sqlite3.Connection) -> None:
        (own,) = file.execute("SELECT person_id FROM persons").fetchone()
        rows = [tuple(own if each == "a" else each for each in pair) for pair in circle]
        file.executemany("INSERT INTO merges VALUES (?, ?)", rows)

    path, key = crafted(home, tmp_path / "b.visage", spoil)
    restore(home, path, secrets=Secrets(key_file=key))
    bank = opened(home)
    assert bank.forget(bank.named("Mallory")[0].person_id)
    bank.close()
    assert names(home) == []


def test_the_recovery_key_on_paper_stays_good_after_an_ordinary_restore(home: Path, tmp_path: Path) -> None:
    """Also one that was made after the backup, and where the key comes from the environment."""
    path = back_up(home, tmp_path / "b.visage")
    store = open_store(home)
    paper = rekeying.add_recovery_key(store)
    store.close()
    key = KeyFile(home / KEY_FILE_NAME).read()
    assert key
    environment = KeySource(master_key=key_to_text(key))
    for source, secrets in (
        (KeySource(), Secrets()),
        (environment, Secrets()),
        (environment, Secrets(recovery_key=paper)),
    ):
        done = restore(home, back_up(home, tmp_path / "now.visage", source), source, secrets)
        assert not done.recovery_key_void
        done = restore(home, path, source)
        assert (done.new_key, done.recovery_key_void) == (False, False)
        record = read_key_record(home)
        assert record is not None
        assert keys.recovered_key(record, paper) == key
        assert names(home, source) == ["Ann", "Bob"]


@pytest.mark.parametrize("leads", [True, False])
def test_a_link_called_like_a_bank_set_aside_is_left_alone(home: Path, tmp_path: Path, leads: bool) -> None:
    """Another bank, or nothing, lies behind it."""
    ids = fill(tmp_path / "other", "Zoe")
    (home / f"{SET_ASIDE}x").symlink_to(tmp_path / "other" / FILE_NAME if leads else tmp_path / "nowhere")
    bank = opened(home)
    bank._store.apply_erasures([Erasure(ids["Zoe"], datetime.now(UTC))])
    assert bank.forget(bank.named("Ann")[0].person_id)
    bank.close()
    assert names(tmp_path / "other") == ["Zoe"]
    assert names(home) == ["Bob"]


def test_who_comes_back_without_a_photo_is_told_of(home: Path, tmp_path: Path) -> None:
    path = back_up(home, tmp_path / "b.visage")
    ann = ids_of(home)["Ann"]
    bank = opened(home)
    (only,) = bank.photos(ann)
    bank.add_photos(ann, [photo(7)])
    bank.forget_photo(ann, only.photo_id)
    bank.close()
    assert restore(home, path).without_photos == 1
    bank = opened(home)
    assert bank.check() == []
    assert bank.photos(ann) == ()
    bank.close()
