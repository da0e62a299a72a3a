"""Banks, keys and backups that Visage 2c4def4 made: they open, restore, and work.

`old/2c4def4.zip` was written by that commit: a bank with a key file and one with a passphrase, a backup of each (of
version 1), both with a recovery key; and `told.json`, what was in them.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.bank.test_bank import DIMENSION, MODEL, look, photo
from tests.storage.test_backup import PASSPHRASE, back_up, opened, restore
from visage.bank.bank import MemoryBank
from visage.errors import InvalidBackup
from visage.service.restore import Secrets
from visage.storage import backup, keys
from visage.storage.keys import KEY_FILE_NAME, KeySource
from visage.storage.sqlite import read_key_record
from visage.storage.vault import Vault

SOURCES = {"file": KeySource(), "passphrase": KeySource(passphrase=PASSPHRASE)}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """What that commit made."""
    with zipfile.ZipFile(Path(__file__).parent / "old" / "2c4def4.zip") as archive:
        archive.extractall(tmp_path / "old")
    return tmp_path / "old"


@pytest.fixture
def told(old: Path) -> Mapping[str, Any]:
    """What was in it."""
    found: dict[str, Any] = json.loads((old / "told.json").read_text())
    assert (found["model"], found["dimension"]) == (MODEL, DIMENSION)
    return found


def must_hold(bank: MemoryBank, told: Mapping[str, Any]) -> None:
    """Bob has Dan's photos, since they were merged; the others have their own. And it can be worked with."""
    assert bank.check() == []
    source, target = told["merged"]
    expected = {key: dict(each["photos"]) for key, each in told["persons"].items()}
    expected[target] |= expected.pop(source)
    found = {person.person_id: person for person in bank.persons().persons}
    assert found.keys() == expected.keys()
    for person_id, photos in expected.items():
        assert found[person_id].name == told["persons"][person_id]["name"]
        pictures = {one.photo_id: bank.picture(person_id, one.photo_id).hex() for one in bank.photos(person_id)}
        assert pictures == photos
    ann = next(person for person in found.values() if person.name == "Ann")
    assert (ann.relationship, ann.metadata) == ("aunt", {"n": 1})
    assert ann.consent is not None
    assert ann.consent.given_by == "Ann"
    assert len(bank.counter_examples(ann.person_id)) == 1
    assert bank.search(look(1)[None], 1)[0][0].person.name == "Ann"
    assert {erasure.erased_id for erasure in bank._store.erasures()} >= {told["forgotten"][0], told["forgotten"][-1]}
    new = bank.enrol(name="New", relationship=None, metadata={}, photos=[photo(77)])
    assert bank.search(look(77)[None], 1)[0][0].person.name == "New"
    assert bank.forget(new.person_id)


@pytest.mark.parametrize("kind", ["file", "passphrase"])
def test_an_old_bank_opens_and_its_recovery_key_gives_the_key(old: Path, told: Mapping[str, Any], kind: str) -> None:
    bank = opened(old / kind, SOURCES[kind])
    must_hold(bank, told[kind])
    bank.close()
    record = read_key_record(old / kind)
    assert record is not None
    assert record.fits(Vault(keys.recovered_key(record, told[kind]["paper"])))
    bank = opened(old / kind, SOURCES[kind])
    must_hold(bank, told[kind])
    bank.close()


@pytest.mark.parametrize("kind", ["file", "passphrase"])
def test_an_old_backup_restores_with_each_of_its_secrets_and_the_bank_backs_up_in_the_new_format(
    old: Path, told: Mapping[str, Any], kind: str, tmp_path: Path
) -> None:
    path = old / f"{kind}.visage"
    assert backup.read_header(path).version == 1
    backup.verify_checksum(path)
    own = Secrets(key_file=old / kind / KEY_FILE_NAME) if kind == "file" else Secrets(passphrase=PASSPHRASE)
    for number, secrets in enumerate((own, Secrets(recovery_key=told[kind]["paper"]))):
        home = tmp_path / f"home{number}"
        restore(home, path, SOURCES[kind], secrets)
        bank = opened(home, SOURCES[kind])
        must_hold(bank, told[kind])
        bank.close()
        again = back_up(home, tmp_path / f"again{number}.visage", SOURCES[kind])
        assert backup.read_header(again).version == 2
        restore(home, again, SOURCES[kind])
        bank = opened(home, SOURCES[kind])
        must_hold(bank, told[kind])
        bank.close()
    with pytest.raises(InvalidBackup):
        restore(tmp_path / "none", path, SOURCES["file"], Secrets(recovery_key="A" * 32))


def test_what_was_forgotten_since_an_old_backup_stays_forgotten(
    old: Path, told: Mapping[str, Any], tmp_path: Path
) -> None:
    bank = opened(old / "file")
    cid = bank.named("Cid")[0].person_id
    assert bank.forget(cid)
    bank.close()
    done = restore(old / "file", old / "file.visage")
    assert done.forgotten_again == 1
    bank = opened(old / "file")
    assert cid not in {person.person_id for person in bank.persons().persons}
    assert bank.check() == []
    bank.close()
