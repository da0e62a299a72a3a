"""Files that are written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from visage import durable


def test_a_file_that_is_replaced_is_private_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    umask = os.umask(0)
    try:
        durable.replace(path, b"new")
    finally:
        os.umask(umask)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_a_replacement_that_cannot_be_written_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        durable.replace(path, b"new")
    assert path.read_bytes() == b"old"


def test_nothing_is_written_or_erased_through_a_link(tmp_path: Path) -> None:
    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    theirs.write_bytes(b"somebody else's")
    mine.with_name("mine.new").symlink_to(theirs)
    durable.replace(mine, b"secret")
    link = tmp_path / "link"
    link.symlink_to(theirs)
    durable.erase(link)
    second = tmp_path / "second"
    os.link(theirs, second)
    durable.erase(second)
    assert theirs.read_bytes() == b"somebody else's"
    assert not link.is_symlink() and not second.exists()


def test_on_macos_a_file_is_synced_to_the_disk_and_not_only_to_the_drive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(durable, "_FULL_SYNC", 51)
    monkeypatch.setattr(fcntl, "fcntl", lambda descriptor, command: asked.append(command))
    durable.create(tmp_path / "file", b"content")
    assert asked == [51, 51]  # the file, and its name


def test_a_file_system_that_knows_no_full_sync_gets_the_plain_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_FULL_SYNC", 0x7FFF0000)  # no such command
    durable.create(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"
