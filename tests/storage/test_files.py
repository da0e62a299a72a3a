"""The files of the bank: odd paths, links, and what cannot be removed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.bank.test_bank import look, photo
from tests.storage.test_backup import back_up, fill, names, opened, restore
from visage.admin.audit import Audit
from visage.admin.database import open_database
from visage.errors import BankError, PersonNotFound
from visage.storage import rekeying
from visage.storage.folder import FILE_NAME, LOCK_NAME, OLD_NAME, STAGE_NAME
from visage.storage.keys import KEY_FILE_NAME, KeyFile, KeySource
from visage.storage.sqlite import open_store
from visage.storage.vault import new_key

PRECIOUS = b"somebody else's " * 1000


@pytest.mark.parametrize(
    "name", ["a#b", "a?mode=memory", "100%41", "%", "with space", "grüße 日本", "a&b;c'd\"e", "line\nbreak", "\udcff"]
)
def test_the_bank_lies_where_it_was_told_to_be_whatever_the_path_holds(tmp_path: Path, name: str) -> None:
    try:
        (tmp_path / name).mkdir()
    except OSError:
        pytest.skip("this file system has no such name")
    folder = tmp_path / name / "data"
    fill(folder, "Ann", "Bob")
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert [each.name for each in (tmp_path / name).iterdir()] == ["data"]
    assert (folder / FILE_NAME).stat().st_mode & 0o777 == 0o600
    path = back_up(folder, tmp_path / "b.visage")
    bank = opened(folder)
    with closing(sqlite3.connect(folder / FILE_NAME)) as file:
        sealed = {value for row in file.execute("SELECT picture, quality FROM photos") for value in row}
    assert bank.forget(bank.named("Ann")[0].person_id)
    content = (folder / FILE_NAME).read_bytes()
    assert sum(value in content for value in sealed) == 2  # Bob's
    bank.close()
    done = restore(folder, path)
    assert done.forgotten_again == 1
    assert names(folder) == ["Bob"]


def test_a_relative_path_stays_where_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fill(Path("a#b"), "Ann")
    assert (tmp_path / "a#b" / FILE_NAME).exists()
    assert names(Path("a#b")) == ["Ann"]


Change = Callable[[Path], None]


def _forget(folder: Path) -> None:
    bank = opened(folder)
    ann = bank.named("Ann")[0].person_id
    assert not bank.forget(ann)
    with pytest.raises(PersonNotFound):
        bank.person(ann)
    assert bank.check() == []
    bank.close()


def _forget_photo(folder: Path) -> None:
    bank = opened(folder)
    ann = bank.named("Ann")[0].person_id
    (added,) = bank.add_photos(ann, [photo(8)])
    assert not bank.forget_photo(ann, added.photo_id)
    assert len(bank.photos(ann)) == 1
    assert bank.check() == []
    bank.close()


def _merge(folder: Path) -> None:
    bank = opened(folder)
    ids = [bank.named(name)[0].person_id for name in ("Ann", "Bob")]
    undo = bank.merge(*ids, kept=lambda _: True)
    assert bank.person_count == 1
    assert bank.check() == []
    bank.undo(undo.undo_id)
    assert bank.person_count == 2
    assert bank.check() == []
    assert {hit.person.name for hit in bank.search(look(1)[None], 5)[0]} == {"Ann", "Bob"}
    bank.close()


def _rotate(folder: Path) -> None:
    store = open_store(folder)
    rekeying.rotate(store, KeySource(), folder, new_key())
    store.close()
    assert not KeyFile(folder / KEY_FILE_NAME).draft.exists()
    assert names(folder) == ["Ann", "Bob"]


@pytest.mark.parametrize("change", [_forget, _forget_photo, _merge, _rotate])
def test_what_was_committed_is_said_also_where_the_old_copy_cannot_be_removed(tmp_path: Path, change: Change) -> None:
    """Disk and memory agree, and nobody hears that nothing has changed."""
    folder = tmp_path / "home"
    fill(folder, "Ann", "Bob")
    (folder / OLD_NAME).mkdir()  # root may remove every file; a folder is none
    change(folder)


def test_a_backup_goes_on_after_the_copy_in_the_old_format_was_removed(tmp_path: Path) -> None:
    """Removing it checks the bank, and that opens SQLite's own second database."""
    folder = tmp_path / "home"
    fill(folder, "Ann")
    (folder / OLD_NAME).write_bytes((folder / FILE_NAME).read_bytes())
    bank = opened(folder)
    assert not (folder / OLD_NAME).exists()
    with (tmp_path / "b.visage").open("wb") as file:
        bank.backup(file, lambda done, total: None)
    bank.close()
    restore(folder, tmp_path / "b.visage")
    assert names(folder) == ["Ann"]


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A folder of somebody else, with a file."""
    folder = tmp_path / "documents"
    folder.mkdir()
    for name in ("thesis.txt", FILE_NAME, "upload"):
        (folder / name).write_bytes(PRECIOUS)
    return folder


def untouched(folder: Path) -> bool:
    return all((folder / name).read_bytes() == PRECIOUS for name in ("thesis.txt", FILE_NAME, "upload"))


def test_a_staging_folder_that_is_a_link_costs_nothing_behind_it(tmp_path: Path, precious: Path) -> None:
    folder = tmp_path / "home"
    fill(folder, "Ann")
    path = back_up(folder, tmp_path / "b.visage")
    for _ in range(2):
        (folder / STAGE_NAME).symlink_to(precious)
        assert names(folder) == ["Ann"]
        assert untouched(precious)
    (folder / STAGE_NAME).symlink_to(precious)
    restore(folder, path)
    assert untouched(precious)
    assert names(folder) == ["Ann"]


@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.parametrize("name", [FILE_NAME, "upload", "visage.raw", "visage.new", "thesis.txt"])
def test_links_in_the_staging_folder_cost_nothing_behind_them(
    tmp_path: Path, precious: Path, name: str, link: Callable[[Path, Path], None]
) -> None:
    folder = tmp_path / "home"
    fill(folder, "Ann")
    path = back_up(folder, tmp_path / "b.visage")
    (folder / STAGE_NAME).mkdir()
    link(precious / "thesis.txt", folder / STAGE_NAME / name)
    restore(folder, path)
    assert untouched(precious)
    assert names(folder) == ["Ann"]
    assert untouched(precious)


@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.parametrize("name", [OLD_NAME, "visage.new", "master.key.new", LOCK_NAME, "audit.head.new", "admin.new"])
def test_links_beside_the_bank_cost_nothing_behind_them(
    tmp_path: Path, precious: Path, name: str, link: Callable[[Path, Path], None]
) -> None:
    folder = tmp_path / "home"
    fill(folder, "Ann", "Bob")
    path = back_up(folder, tmp_path / "b.visage")
    (folder / name).unlink(missing_ok=True)
    link(precious / "thesis.txt", folder / name)
    try:
        bank = opened(folder)
        bank.forget(bank.named("Bob")[0].person_id)
        bank.close()
        restore(folder, path)
        rekeying.rotate(store := open_store(folder), KeySource(), folder, new_key())
        store.close()
        database = open_database(folder)
        Audit(database.transaction, folder).append("local", "rotate", None, "ok")
        database.close()
    except BankError as error:
        assert name == LOCK_NAME, error  # refused, in words
        (folder / name).unlink()
    assert untouched(precious)
    assert "Ann" in names(folder)


@pytest.mark.parametrize("what", ["folder", "dangling", "file"])
def test_what_lies_in_staging_and_is_not_ours_stays_and_stops_nobody(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "home"
    fill(folder, "Ann")
    path = back_up(folder, tmp_path / "b.visage")
    stage = folder / STAGE_NAME
    stage.mkdir()
    if what == "folder":
        (stage / "mine").mkdir()
    elif what == "dangling":
        (stage / "mine").symlink_to(tmp_path / "nowhere")
    else:
        (stage / "mine").write_bytes(PRECIOUS)
    assert names(folder) == ["Ann"]
    restore(folder, path)
    assert names(folder) == ["Ann"]
    assert [each.name for each in stage.iterdir()] == ["mine"]
