"""What a hostile backup or a hand at the database does, and what a restore says of it."""

from __future__ import annotations

import base64
import io
import json
import resource
import sqlite3
import struct
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bank.test_bank import DIMENSION, MODEL, photo
from tests.storage import version_1
from tests.storage.test_backup import back_up, fill, opened, restore
from tests.storage.test_records import END, PERSON, PHOTO, F, G, P, U, crafted, packed
from visage.errors import BankError, InvalidBackup
from visage.service import restore as restoring
from visage.service.archive import write_archive
from visage.service.restore import Secrets
from visage.storage.folder import FILE_NAME
from visage.storage.keys import KEY_FILE_NAME
from visage.vision.models import MOBILEFACENET

EMBEDDING = {"record": "embedding", "photo_id": F, "person_id": P, "model": MODEL}
REJECTED = {
    "record": "counter_example",
    "counter_id": G,
    "person_id": P,
    "model": MODEL,
    "created_at": 1,
    "origin_id": None,
}
UNDO = {
    "record": "undo",
    "undo_id": U,
    "person_id": P,
    "kind": "is-me",
    "content": {"photos": [F], "set_aside": [G], "lifted": [], "word": "w"},
    "created_at": 1,
}
OURS = MOBILEFACENET.space
CONSENT = {"given_by": "A", "capacity": "self", "given_on": "2026-01-02", "valid_until": None, "text_version": None}
PICTURE = b"\xff\xd8\xff picture"


def one(head: dict[str, Any], rest: bytes) -> bytes:
    text = json.dumps(head).encode()
    return struct.pack(">II", len(text), len(rest)) + text + rest


def vector(value: float, size: int = DIMENSION) -> bytes:
    return np.full(size, value, "<f4").tobytes()


def person(**fields: Any) -> bytes:
    return packed(PERSON | fields, END)


def undo(**fields: Any) -> bytes:
    return packed(PERSON, UNDO | fields, END)


def of_photo(*more: bytes) -> bytes:
    return packed(PERSON, PHOTO) + b"".join(more) + packed(END)


SOUND: dict[str, bytes] = {
    "all there is": of_photo(one(EMBEDDING, vector(0.25)), one(REJECTED, vector(-0.25)), packed(UNDO)),
    "a consent": person(consent=CONSENT),
    "a name that no form takes any more": person(name=" \ue000 "),
    "metadata of an early version": person(metadata=json.dumps({"a": "x" * 40_000})),
    "a model that is known": of_photo(one(EMBEDDING | {"model": OURS}, vector(192**-0.5, 192))),
}
WRONG: dict[str, bytes] = {
    "an embedding that is no number": of_photo(one(EMBEDDING, vector(float("nan")))),
    "an embedding of no unit length": of_photo(one(EMBEDDING, vector(1e30))),
    "an embedding of another model's size": of_photo(one(EMBEDDING | {"model": OURS}, vector(0.25))),
    "embeddings of two sizes": of_photo(one(EMBEDDING, vector(0.25)), one(REJECTED, vector(0.5, 4))),
    "half an embedding": of_photo(one(EMBEDDING, vector(0.25)[:-1])),
    "a rejected look that is no number": of_photo(one(REJECTED, vector(float("nan")))),
    "an id that leads out of a folder": person(person_id="../../p"),
    "an id in capitals": person(person_id="AAAAAAAA-0000-4000-8000-000000000000"),
    "a photo's id that leads out of a folder": packed(PERSON, PHOTO | {"photo_id": "../../f"}, END),
    "an origin that is none": packed(PERSON, PHOTO | {"origin_id": "x"}, END),
    "a merge of nobody": packed({"record": "merge", "source_id": "", "target_id": P}, END),
    "an erasure of nothing": packed({"record": "erasure", "erased_id": "*", "erased_at": 1}, END),
    "a name that is no text": person(name="\ud800"),
    "a name with control characters": person(name="a\x00\x1b[31m"),
    "no name": person(name=""),
    "a name of spaces": person(name="  "),
    "a name longer than any": person(name="x" * 10_000),
    "a relationship that is no text": person(relationship="\x1b[2J"),
    "metadata longer than any": person(metadata=json.dumps({"a": "x" * 100_000})),
    "metadata that JSON has not": person(metadata='{"a": NaN}'),
    "metadata that is no object": person(metadata="[]"),
    "a consent of nobody": person(consent=CONSENT | {"given_by": 5}),
    "a consent of no day": person(consent=CONSENT | {"given_on": "soon"}),
    "a time that is true": person(created_at=True),
    "a time after all times": person(last_seen_at=2**60),
    "a time before all times": person(updated_at=-1),
    "a score that JSON has not": packed(PERSON, PHOTO | {"score": float("inf")}, END),
    "a score above all": packed(PERSON, PHOTO | {"score": 101}, END),
    "a picture that is none": packed(PERSON) + one(PHOTO, b"<svg onload=alert(1)>") + packed(END),
    "a picture larger than any": packed(PERSON) + one(PHOTO, PICTURE.ljust(2**24)) + packed(END),
    "a correction of no known kind": undo(kind="no-such-kind", content={}),
    "a correction without what it needs": undo(content={}),
    "a correction that sets a number aside": undo(content={"photos": [], "set_aside": 5}),
    "a merge that brings nobody back": undo(
        kind="merge", content={"person": {"name": ""}, "photos": [], "counter_examples": [], "undos": []}
    ),
    "a fault that a terminal obeys": packed({"record": "damaged", "text": "\x1b]0;x\x07"}, END),
    "a key of no time": packed({"record": "bank", "key_since": -5}, END),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A key, and no bank."""
    (tmp_path / KEY_FILE_NAME).write_text(base64.b64encode(bytes(range(32))).decode() + "\n")
    return tmp_path


@pytest.mark.parametrize("what", WRONG)
def test_a_backup_that_no_server_could_serve_is_refused(home: Path, what: str) -> None:
    path = crafted(home, WRONG[what])
    with pytest.raises(InvalidBackup):
        restore(home, path)
    assert not (home / FILE_NAME).exists()


@pytest.mark.parametrize("what", SOUND)
def test_a_backup_that_visage_could_have_made_is_taken(home: Path, what: str) -> None:
    """So that the ones above are refused for what is wrong in them."""
    restore(home, crafted(home, SOUND[what]))
    bank = opened(home)
    assert bank.check() == []
    assert bank.person_count == 1
    bank.close()


@pytest.mark.parametrize("bank_id", ["\ud800", "a\nb", ""])
def test_a_backup_of_a_bank_whose_id_is_no_line_is_refused(home: Path, bank_id: str) -> None:
    content = crafted(home, SOUND["all there is"]).read_bytes()
    length = int.from_bytes(content[9:13])
    header = json.dumps(json.loads(content[13 : 13 + length]) | {"bank_id": bank_id}).encode()
    (home / "b").write_bytes(content[:9] + len(header).to_bytes(4) + header + content[13 + length :])
    with pytest.raises(InvalidBackup):
        restore(home, home / "b")


@pytest.mark.parametrize("what", ["name", "vector", "id"])
def test_a_backup_of_version_1_is_held_to_the_same_rules(tmp_path: Path, what: str) -> None:
    theirs = tmp_path / "theirs"
    if what == "id":
        ids = fill(theirs, "Ann")
        with closing(sqlite3.connect(theirs / FILE_NAME)) as file, file:
            file.execute("UPDATE persons SET person_id = '../../p' WHERE person_id = ?", [ids["Ann"]])
            file.execute("DELETE FROM photos")
    else:
        bank = opened(theirs)
        new = replace(photo(1), embedding=photo(1).embedding * (np.float32("nan") if what == "vector" else 1))
        name = "a\x1b[31m" if what == "name" else "Ann"
        bank.enrol(name=name, relationship=None, metadata={}, photos=[new])
        bank.close()
    path = version_1.back_up(theirs, tmp_path / "b")
    with pytest.raises(InvalidBackup):
        restore(tmp_path / "home", path, secrets=Secrets(key_file=theirs / KEY_FILE_NAME))


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """What a disk does that is full, as far as a test may."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 20_000, 300_000])
@pytest.mark.parametrize("version", [1, 2])
def test_a_disk_that_takes_no_more_is_no_fault_of_the_backup(tmp_path: Path, version: int, size: int) -> None:
    theirs, home = tmp_path / "theirs", tmp_path / "home"
    bank = opened(theirs)
    large = replace(photo(1), picture=PICTURE.ljust(400_000))
    bank.enrol(name="Ann", relationship=None, metadata={}, photos=[large])
    bank.close()
    path = version_1.back_up(theirs, tmp_path / "b") if version == 1 else back_up(theirs, tmp_path / "b")
    secrets = Secrets(key_file=theirs / KEY_FILE_NAME)
    with pytest.raises(BankError), no_file_longer_than(size):
        restore(home, path, secrets=secrets)
    restore(home, path, secrets=secrets)
    with closing(opened(home)) as bank:
        assert bank.person_count == 1


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
        "UPDATE persons SET updated_at = 1",
        "UPDATE photos SET created_at = 1",
        "UPDATE vault SET key_since = 1",
        "INSERT INTO key_slots VALUES ('recovery', '{}', X'00')",
        "CREATE TABLE keepsake (name)",
        "DROP INDEX ix_photos_person_id",
        "CREATE UNIQUE INDEX one_each ON photos(person_id)",
        "ALTER TABLE merges ADD COLUMN why TEXT",
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


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TRIGGER t AFTER INSERT ON photos BEGIN DELETE FROM photos WHERE photo_id <> new.photo_id; END"],
        ["CREATE VIEW everyone AS SELECT * FROM persons"],
        ["CREATE VIRTUAL TABLE texts USING fts5(name)"],
        [
            "CREATE TRIGGER audit_no_update AFTER INSERT ON photos BEGIN DELETE FROM merges; END",
            "PRAGMA writable_schema=ON",
            "UPDATE sqlite_schema SET tbl_name = 'audit' WHERE type = 'trigger'",
        ],
    ],
)
def test_a_bank_with_a_program_in_it_is_left_alone_and_a_backup_replaces_it(
    tmp_path: Path, statements: list[str]
) -> None:
    fill(tmp_path, "Ann")
    path = back_up(tmp_path, tmp_path / "b")
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as file, file:
        for statement in statements:
            file.execute(statement)
    with pytest.raises(BankError, match="restore a backup"):
        opened(tmp_path)
    done = restore(tmp_path, path)
    assert done.set_aside
    with closing(opened(tmp_path)) as bank:
        assert bank.check() == []
        ann = bank.named("Ann")[0].person_id
        assert not bank.forget(ann), "the bank that was set aside could not forget, and that is said"


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
