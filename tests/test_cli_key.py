"""The commands on the key, as somebody types them."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from tests.storage.killing import fill, names
from tests.test_cli import desk, refusal, said, visage
from visage.storage.folder import FILE_NAME
from visage.storage.keys import KeySource
from visage.storage.sqlite import open_store
from visage.storage.vault import key_to_text, new_key

__all__ = ["desk"]

RECOVERY = re.compile(r"(?:[A-Z2-7]{4}-){7}[A-Z2-7]{4}")


@pytest.fixture
def at(tmp_path: Path) -> list[str]:
    """The options that name a bank of two persons."""
    fill(tmp_path / "data")
    return ["--data-dir", str(tmp_path / "data")]


def printed(at: list[str]) -> str:
    """A recovery key, from the command's output."""
    (key,) = RECOVERY.findall(said(visage("key", "paper", *at)))
    return str(key)


def test_status_tells_where_the_key_is_and_whether_it_can_be_recovered(at: list[str]) -> None:
    told = said(visage("key", "status", *at))
    assert "master.key" in told
    assert "no recovery key" in told
    printed(at)
    assert "A recovery key was printed" in said(visage("key", "status", *at))


def test_a_lost_key_file_comes_back_with_the_paper(at: list[str], tmp_path: Path) -> None:
    recovery_key = printed(at)
    (tmp_path / "data" / "master.key").unlink()
    assert "`visage key recover`" in refusal(visage("key", "status", *at))
    assert visage("key", "recover", *at, answer="AAAA-BBBB\n").exit_code == 1
    assert "again" in said(visage("key", "recover", *at, answer=f"{recovery_key.lower()}\n"))
    assert names(tmp_path / "data") == ["Ann", "Bob"]


def test_after_a_rotation_the_old_paper_is_void(at: list[str], tmp_path: Path) -> None:
    recovery_key, old = printed(at), (tmp_path / "data" / "master.key").read_text()
    assert "new key" in said(visage("key", "rotate", *at))
    assert (tmp_path / "data" / "master.key").read_text() != old
    assert "no recovery key" in visage("key", "recover", *at, answer=f"{recovery_key}\n").stderr
    assert names(tmp_path / "data") == ["Ann", "Bob"]


def test_a_key_from_the_environment_is_shown_and_changed_only_when_it_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, old = ["--data-dir", str(tmp_path / "data")], key_to_text(new_key())
    monkeypatch.setenv("VISAGE_MASTER_KEY", old)
    open_store(tmp_path / "data", KeySource(master_key=old)).close()
    assert visage("key", "rotate", *at, answer="n\n").exit_code == 1
    assert "opens" in said(visage("key", "status", *at))
    told = said(visage("key", "rotate", *at, answer="y\n"))
    assert "is not this bank's key" in refusal(visage("key", "status", *at))
    (shown,) = re.findall(r"^\s+(\S{43}=)$", told, re.MULTILINE)
    monkeypatch.setenv("VISAGE_MASTER_KEY", shown)
    assert "VISAGE_MASTER_KEY" in said(visage("key", "status", *at))


def test_a_passphrase_is_set_forgotten_set_anew_and_removed(
    at: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = "green apples fall\ngreen apples fall\n"
    assert "passphrase only" in said(visage("key", "passphrase", *at, answer=answer))
    assert not (tmp_path / "data" / "master.key").exists()
    assert "Set VISAGE_PASSPHRASE" in refusal(visage("persons", "list", *at))
    monkeypatch.setenv("VISAGE_PASSPHRASE", "green apples fall")
    assert "the passphrase" in said(visage("key", "status", *at))
    recovery_key = printed(at)
    monkeypatch.setenv("VISAGE_PASSPHRASE", "forgotten it")
    assert "passphrase is wrong" in refusal(visage("key", "status", *at))
    assert "add --passphrase" in visage("key", "recover", *at, answer=f"{recovery_key}\n").stderr
    answer = f"{recovery_key}\nblue plums fall\nblue plums fall\n"
    assert "new passphrase" in said(visage("key", "recover", "--passphrase", *at, answer=answer))
    monkeypatch.setenv("VISAGE_PASSPHRASE", "blue plums fall")
    assert "Unset VISAGE_PASSPHRASE" in said(visage("key", "passphrase", "--remove", *at))
    monkeypatch.delenv("VISAGE_PASSPHRASE")
    assert names(tmp_path / "data") == ["Ann", "Bob"]


def test_a_short_passphrase_changes_nothing(at: list[str], tmp_path: Path) -> None:
    assert visage("key", "passphrase", *at, answer="short\nshort\n").exit_code == 1
    assert names(tmp_path / "data") == ["Ann", "Bob"]


@pytest.mark.parametrize("command", ["status", "paper", "rotate", "passphrase", "recover"])
def test_without_a_bank_no_key_is_made(tmp_path: Path, command: str) -> None:
    told = visage("key", command, "--data-dir", tmp_path / "none")
    assert told.exit_code == 1
    assert "There is no encrypted bank" in told.stderr
    assert not (tmp_path / "none").exists()


def test_doctor_says_what_is_wrong_with_the_key(at: list[str], tmp_path: Path) -> None:
    key = tmp_path / "data" / "master.key"
    key.rename(tmp_path / "away")
    assert "key of this bank is missing" in visage("doctor", *at).stdout
    key.write_text(key_to_text(new_key()))
    assert "not this bank's key" in visage("doctor", *at).stdout
    (tmp_path / "away").replace(key)
    (tmp_path / "data" / FILE_NAME).rename(tmp_path / "bank")
    assert "was here and is gone" in visage("doctor", *at).stdout


def test_a_damaged_person_is_named_by_doctor_and_can_be_deleted(at: list[str], tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "data" / FILE_NAME) as file:
        (person_id,) = file.execute("SELECT person_id FROM persons ORDER BY created_at DESC LIMIT 1").fetchone()
        file.execute("UPDATE persons SET content = zeroblob(40) WHERE person_id = ?", (person_id,))
    file.close()
    assert person_id in visage("doctor", *at).stdout.replace("\n", "")
    assert person_id in visage("persons", "show", person_id, *at).stderr
    assert said(visage("persons", "delete", person_id, "--yes", *at)) == f"{person_id} is forgotten.\n"
    assert names(tmp_path / "data") == ["Ann"]


def test_secrets_are_not_shown_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAGE_PASSPHRASE", "green apples fall")
    monkeypatch.setenv("VISAGE_MASTER_KEY", "c2VjcmV0")
    told = said(visage("settings"))
    assert "green" not in told
    assert "c2VjcmV0" not in told
