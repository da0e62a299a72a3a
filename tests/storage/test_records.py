"""A backup read by the book: `docs/storage.md`, and nothing of Visage. And what is written while the bank changes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.bank.test_bank import MODEL, look, photo
from tests.storage.test_backup import back_up, fill, opened, restore
from visage.errors import BankError, InvalidBackup
from visage.service.restore import Secrets
from visage.storage import records
from visage.storage.backup import BackupWriter
from visage.storage.keys import KEY_FILE_NAME, KeyFile, KeyRecord
from visage.storage.sqlite import open_store
from visage.storage.vault import Vault

VECTOR = Path(__file__).parent / "vectors" / "backup-2.json"


def read_by_the_book(content: bytes, master_key: bytes) -> tuple[dict[str, Any], list[tuple[dict[str, Any], bytes]]]:
    """Header and records of a backup of version 2."""
    assert hashlib.sha256(content[:-32]).digest() == content[-32:]
    magic, version, length = struct.unpack(">8sBI", content[:13])
    assert (magic, version) == (b"VISAGEBK", 2)
    header = json.loads(content[13 : 13 + length])
    bound = hashlib.sha256(content[: 13 + length]).digest()
    key = HKDF(SHA256(), 32, salt=base64.b64decode(header["salt"]), info=b"visage backup").derive(master_key)
    sealed, stream, number = content[13 + length : -32], b"", 0
    while sealed:
        piece, sealed = sealed[: 2**20 + 16], sealed[2**20 + 16 :]
        nonce = number.to_bytes(11, "big") + bytes([not sealed])
        stream += AESGCM(key).decrypt(nonce, piece, bound)
        number += 1
    found = []
    while stream:
        of_head, of_rest = struct.unpack(">II", stream[:8])
        head, rest = json.loads(stream[8 : 8 + of_head]), stream[8 + of_head : 8 + of_head + of_rest]
        found.append((head, rest))
        stream = stream[8 + of_head + of_rest :]
    return header, found


def key_of(folder: Path) -> bytes:
    key = KeyFile(folder / KEY_FILE_NAME).read()
    assert key
    return key


def test_a_backup_can_be_read_by_its_description_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    ids = fill(home, "Änn", "Bob", "Cid")
    bank = opened(home)
    bank.reject(ids["Änn"], look(9))
    bank.merge(ids["Änn"], ids["Bob"], kept=lambda _: True)
    bank.forget(ids["Cid"])
    photo_ids = [one.photo_id for one in bank.photos(ids["Änn"])]
    bank.close()
    header, found = read_by_the_book(back_up(home, tmp_path / "b").read_bytes(), key_of(home))
    assert (header["persons"], header["photos"]) == (1, 2)
    of = {kind: [(head, rest) for head, rest in found if head["record"] == kind] for kind in records._FIELDS}
    assert sum(map(len, of.values())) == len(found)
    assert found[0][0]["record"] == "bank"
    assert found[-1][0] == {"record": "end"}
    ((person, _),) = of["person"]
    assert (person["name"], json.loads(person["metadata"]), person["consent"]) == ("Änn", {"n": 1}, None)
    assert [head["photo_id"] for head, _ in of["photo"]] == photo_ids
    assert {rest for _, rest in of["photo"]} == {photo(1).picture, photo(2).picture}
    assert [head["origin_id"] for head, _ in of["photo"]] == [None, ids["Bob"]]
    assert {rest for _, rest in of["embedding"]} == {look(1).astype("<f4").tobytes(), look(2).astype("<f4").tobytes()}
    ((counter, vector),) = of["counter_example"]
    assert (counter["model"], vector) == (MODEL, look(9).astype("<f4").tobytes())
    assert sorted(head["kind"] for head, _ in of["undo"]) == ["merge", "not-me"]
    assert of["merge"][0][0] | {} == {"record": "merge", "source_id": ids["Bob"], "target_id": ids["Änn"]}
    assert ids["Cid"] in {head["erased_id"] for head, _ in of["erasure"]}
    assert not [head for head, _ in found if head["record"] in {"gone", "damaged"}]


def test_the_vector_in_the_docs_is_read_as_it_says(tmp_path: Path) -> None:
    vector = json.loads(VECTOR.read_text())
    content, key = base64.b64decode(vector["backup"]), bytes.fromhex(vector["master_key"])
    header, found = read_by_the_book(content, key)
    assert header["bank_id"] == vector["bank_id"]
    assert [head | ({"rest": rest.hex()} if rest else {}) for head, rest in found] == vector["records"]
    (tmp_path / "b").write_bytes(content)
    (tmp_path / "key").write_text(base64.b64encode(key).decode() + "\n")
    restore(tmp_path / "home", tmp_path / "b", secrets=Secrets(key_file=tmp_path / "key"))
    bank = opened(tmp_path / "home")
    assert [person.name for person in bank.persons().persons] == ["Ann"]
    bank.close()


def test_whoever_is_changed_while_a_backup_is_written_is_in_it_as_at_its_end(tmp_path: Path) -> None:
    """Each change falls between two photos: a merge, a split, a new person, a name, a photo, somebody forgotten."""
    home = tmp_path / "home"
    ids = fill(home, *"ABCDEFGH")
    bank = opened(home)
    undo = bank.merge(ids["A"], ids["B"], kept=lambda _: True)
    changes: list[Callable[[], object]] = [
        lambda: bank.merge(ids["D"], ids["C"], kept=lambda _: True),
        lambda: bank.undo(undo.undo_id),
        lambda: bank.enrol(name="New", relationship=None, metadata={}, photos=[photo(50)]),
        lambda: bank.update(ids["A"], name="A2"),
        lambda: bank.add_photos(ids["B"], [photo(51)]),
        lambda: bank.forget(ids["E"]),
        lambda: bank.merge(ids["G"], ids["A"], kept=lambda _: True),
        lambda: bank.reject(ids["H"], look(52)),
    ]
    waiting = iter(changes)

    def change(done: int, total: int) -> None:
        next(waiting, lambda: None)()

    with (tmp_path / "b").open("wb") as target:
        bank.backup(target, change)
    assert next(waiting, None) is None, "not every change was made"

    def told() -> dict[str, Any]:
        return {
            person.person_id: (
                person.name,
                {one.photo_id: bank.picture(person.person_id, one.photo_id) for one in bank.photos(person.person_id)},
                {one.counter_id for one in bank.counter_examples(person.person_id)},
                {one.undo_id for one in bank.undos(person.person_id)},
            )
            for person in bank.persons().persons
        }

    expected = told()
    erased = {each.erased_id for each in bank._store.erasures()}
    bank.close()
    restore(tmp_path / "new", tmp_path / "b", secrets=Secrets(key_file=home / KEY_FILE_NAME))
    bank = opened(tmp_path / "new")
    assert told() == expected
    assert {each.erased_id for each in bank._store.erasures()} == erased
    assert bank.check() == []
    bank.close()


class Slow:
    """A disk that takes nothing until it is told to."""

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()

    def write(self, data: bytes) -> int:
        self.reached.set()
        assert self.go_on.wait(30)
        return len(data)


def test_nobody_waits_while_a_backup_is_written_to_a_slow_disk(tmp_path: Path) -> None:
    ids = fill(tmp_path, "Ann")
    bank, disk = opened(tmp_path), Slow()
    thread = threading.Thread(target=bank.backup, args=(disk, lambda done, total: None))
    thread.start()
    try:
        assert disk.reached.wait(30)
        renamed = threading.Thread(target=lambda: bank.update(ids["Ann"], name="Anna"))
        renamed.start()
        renamed.join(10)
        assert [person.name for person in bank.persons().persons] == ["Anna"]
    finally:
        disk.go_on.set()
        thread.join(30)
    bank.close()


def test_a_damaged_value_is_left_out_of_a_backup_and_said(tmp_path: Path) -> None:
    home = tmp_path / "home"
    ids = fill(home, "Ann", "Bob", "Cid")
    store = open_store(home)
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE persons SET content = zeroblob(60) WHERE person_id = ?", (ids["Ann"],))
        connection.exec_driver_sql("UPDATE photos SET picture = zeroblob(60) WHERE person_id = ?", (ids["Bob"],))
    store.close()
    path = back_up(home, tmp_path / "b")
    _, found = read_by_the_book(path.read_bytes(), key_of(home))
    texts = [head["text"] for head, _ in found if head["record"] == "damaged"]
    assert [next(name for name, key in ids.items() if key in text) for text in texts] == ["Ann", "Bob"]
    assert restore(home, path).without_photos == 1
    bank = opened(home)
    assert [person.name for person in bank.persons().persons] == ["Cid", "Bob"]
    assert bank.check() == []
    bank.close()


P, Q, F, G, U = (f"00000000-0000-4000-8000-00000000000{number}" for number in range(5))
PERSON = {
    "record": "person",
    "person_id": P,
    "name": "Ann",
    "relationship": None,
    "metadata": "{}",
    "consent": None,
    "created_at": 1,
    "updated_at": 1,
    "last_seen_at": None,
}
PHOTO = {
    "record": "photo",
    "photo_id": F,
    "person_id": P,
    "score": 80,
    "issues": [],
    "created_at": 1,
    "origin_id": None,
}
END = {"record": "end"}


def crafted(folder: Path, stream: bytes) -> Path:
    """A backup, with the key of that folder, that says what somebody likes."""
    vault = Vault(key_of(folder))
    path = folder / "crafted.visage"
    with path.open("wb") as target:
        writer = BackupWriter(target, vault, KeyRecord("id", vault.key_check("id"), [], ()), persons=1, photos=1)
        writer.write(stream)
        writer.close()
    return path


def packed(*heads: dict[str, Any]) -> bytes:
    """As `records.pack`, which refuses what is wrong."""
    found = b""
    for head in heads:
        text, rest = json.dumps(head).encode(), b"\xff\xd8\xff picture" if head["record"] == "photo" else b""
        found += struct.pack(">II", len(text), len(rest)) + text + rest
    return found


def wrong_streams() -> Iterator[bytes]:
    yield b""
    yield os.urandom(100)
    yield packed(PERSON)  # no end
    yield packed(PERSON, END)[:-1]
    yield packed(PERSON, END, PHOTO)
    yield packed(PHOTO, END)  # of nobody
    yield packed(PERSON, PHOTO | {"person_id": Q}, END)
    yield packed(PERSON, {"record": "embedding", "photo_id": G, "person_id": P, "model": "m"}, END)
    yield packed({"record": "program"}, END)
    yield struct.pack(">II", 2**31, 0) + bytes(100)
    yield packed({"record": "undo", "undo_id": U, "person_id": P, "kind": "merge", "content": {}}, END)
    for name in PERSON:
        yield packed({key: value for key, value in PERSON.items() if key != name} | {"record": "person"}, END)[:-1]
        yield packed(PERSON | {name: [1]} if name != "record" else PERSON | {name: "x"}, END)
    yield packed(PERSON | {"created_at": 2**80}, END)
    yield packed(PERSON | {"metadata": "[[" * 100_000}, END)
    yield packed(PERSON, PHOTO | {"issues": ["X"]}, END)


@pytest.mark.parametrize("number", range(len(list(wrong_streams()))))
def test_records_that_are_none_are_refused(tmp_path_factory: pytest.TempPathFactory, number: int) -> None:
    folder = tmp_path_factory.mktemp("bank")
    (folder / KEY_FILE_NAME).write_text(base64.b64encode(bytes(range(32))).decode() + "\n")
    path = crafted(folder, list(wrong_streams())[number])
    with pytest.raises(InvalidBackup):
        restore(folder, path)


def test_a_sound_stream_is_taken(tmp_path: Path) -> None:
    """So that the ones above are refused for what is wrong in them. A circle of merges is not."""
    (tmp_path / KEY_FILE_NAME).write_text(base64.b64encode(bytes(range(32))).decode() + "\n")
    circle = [{"record": "merge", "source_id": a, "target_id": b} for a, b in ((P, Q), (Q, P))]
    restore(tmp_path, crafted(tmp_path, packed({"record": "bank", "key_since": 5}, PERSON, PHOTO, *circle, END)))
    bank = opened(tmp_path)
    assert [person.name for person in bank.persons().persons] == ["Ann"]
    assert bank.picture(P, F) == b"\xff\xd8\xff picture"
    assert bank.forget(P)
    bank.close()


def test_what_no_restore_would_take_is_not_written() -> None:
    assert records.pack(PERSON) == packed(PERSON)
    with pytest.raises(BankError):
        records.pack(PERSON | {"name": None})


@pytest.mark.parametrize("size", [1, 7, 8, 9, 1000])
def test_records_come_back_however_the_stream_is_cut(size: int) -> None:
    random = np.random.default_rng(size)
    sent = [({"record": "damaged", "text": "x" * int(random.integers(50))}, random.bytes(9)) for _ in range(20)]
    stream = b"".join(records.pack(*each) for each in sent)
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert list(records.unpack(pieces)) == sent
