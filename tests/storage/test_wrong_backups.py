"""What a hostile backup or a hand at the database does, and what a restore says of it."""

from __future__ import annotations

import base64
import io
import json
import sqlite3
import struct
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bank.test_bank import DIMENSION, MODEL, photo
from tests.storage.test_backup import back_up, fill, opened, restore
from tests.storage.test_records import END, PERSON, PHOTO, crafted, packed
from visage.errors import BankError, InvalidBackup
from visage.service import restore as restoring
from visage.service.archive import write_archive
from visage.storage.folder import FILE_NAME
from visage.storage.keys import KEY_FILE_NAME

EMBEDDING = {"record": "embedding", "photo_id": "f", "person_id": "p", "model": MODEL}
UNDO = {"record": "undo", "undo_id": "u", "person_id": "p", "kind": "no-such-kind", "content": {}, "created_at": 1}


def with_vector(value: float) -> bytes:
    text, rest = json.dumps(EMBEDDING).encode(), np.full(DIMENSION, value, "<f4").tobytes()
    return struct.pack(">II", len(text), len(rest)) + text + rest


WRONG: dict[str, bytes] = {
    "an embedding that is no number": packed(PERSON, PHOTO) + with_vector(float("nan")) + packed(END),
    "an embedding of no unit length": packed(PERSON, PHOTO) + with_vector(1e30) + packed(END),
    "an id that leads out of a folder": packed(PERSON | {"person_id": "../../p"}, END),
    "a photo's id that leads out of a folder": packed(PERSON, PHOTO | {"photo_id": "../../f"}, END),
    "a name that is no text": packed(PERSON | {"name": "\ud800"}, END),
    "a name with control characters": packed(PERSON | {"name": "a\x00\x1b[31m"}, END),
    "no name": packed(PERSON | {"name": ""}, END),
    "a name longer than any": packed(PERSON | {"name": "x" * 10_000}, END),
    "metadata longer than any": packed(PERSON | {"metadata": json.dumps({"a": "x" * 100_000})}, END),
    "a score that JSON has not": packed(PERSON, PHOTO | {"score": float("inf")}, END),
    "a correction of no known kind": packed(PERSON, UNDO, END),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_backup_that_no_server_could_serve_is_refused(tmp_path: Path, what: str) -> None:
    (tmp_path / KEY_FILE_NAME).write_text(base64.b64encode(bytes(range(32))).decode() + "\n")
    with pytest.raises(InvalidBackup):
        restore(tmp_path, crafted(tmp_path, WRONG[what]))


def test_a_full_disk_is_no_fault_of_the_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "Ann")
    path = back_up(tmp_path, tmp_path / "b")

    def full(*_: Any) -> Any:
        raise BankError("The disk is full; nothing was changed")

    monkeypatch.setattr(restoring, "_open_staged", full)
    with pytest.raises(BankError) as caught:
        restore(tmp_path, path)
    assert not isinstance(caught.value, InvalidBackup)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE persons SET created_at = 1",
        "UPDATE persons SET last_seen_at = 1",
        "UPDATE photos SET created_at = 1",
        "CREATE TRIGGER t AFTER INSERT ON photos BEGIN DELETE FROM photos WHERE photo_id <> new.photo_id; END",
    ],
)
def test_what_is_altered_by_sql_is_noticed(tmp_path: Path, statement: str) -> None:
    fill(tmp_path, "Ann", "Bob")
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as file, file:
        file.execute(statement)
    bank = opened(tmp_path)
    found = bank.check()
    bank.close()
    assert found


def test_a_program_in_the_database_takes_no_photo(tmp_path: Path) -> None:
    ids = fill(tmp_path, "Ann")
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as file, file:
        file.execute(
            "CREATE TRIGGER t AFTER INSERT ON photos BEGIN DELETE FROM photos WHERE photo_id <> new.photo_id; END"
        )
    try:
        bank = opened(tmp_path)
    except BankError:
        return  # refused, and said so
    bank.add_photos(ids["Ann"], [photo(2)])
    bank.close()
    bank = opened(tmp_path)
    try:
        assert len(bank.photos(ids["Ann"])) == 2 or bank.check()
    finally:
        bank.close()


def test_an_export_is_whole_though_somebody_is_forgotten_meanwhile(tmp_path: Path) -> None:
    ids = fill(tmp_path, "Ann", "Bob", "Cid")
    bank = opened(tmp_path)
    try:
        pieces = write_archive(bank, list(ids.values()))
        content = next(pieces)
        bank.forget(ids["Cid"])
        content += b"".join(pieces)
    finally:
        bank.close()
    found = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert f"persons/{ids['Bob']}/person.json" in found
    assert not any(ids["Cid"] in name for name in found)
