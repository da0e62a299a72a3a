"""The data directory: what lies in it under which name, who may use it, and what is not the bank yet."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from pathlib import Path
from typing import IO

from visage.errors import BankError
from visage.storage import keys

log = logging.getLogger("visage")

FILE_NAME = "visage.db"
OLD_NAME = "visage.db.old"
SET_ASIDE = "visage.db.before-"
"""How the name of a bank begins that was set aside by a restore."""

STAGE_NAME = "staging"
"""Folder in the data directory for what is not the bank yet: a backup that is written, one that is checked."""

DRAFT_NAME = "visage.new"
LOCK_NAME = "visage.lock"
UPLOAD_NAME = "upload"
RAW_NAME = "visage.raw"
"""A database as it came out of a backup, before anything in it is trusted."""

_STAGED_NAMES = frozenset(
    f"{name}{suffix}"
    for name in (FILE_NAME, OLD_NAME, DRAFT_NAME, LOCK_NAME, RAW_NAME, UPLOAD_NAME)
    for suffix in ("", "-journal")
)
_MAX_LOCK_BYTES = 100
_BUSY = "Another Visage is using this bank. Stop it first, or talk to it with --url"


def lock(data_dir: Path) -> IO[bytes]:
    """Keep other processes out for as long as the file stays open; a killed process lets go by itself.

    Raises:
        BankError: another has it, or the directory cannot be written.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What this file holds is overwritten at times: that must not go through a link.
        file = os.fdopen(
            os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600), "a+b"
        )
        if file.seek(0, os.SEEK_END) > _MAX_LOCK_BYTES:
            file.close()
            raise BankError(f"{LOCK_NAME} in the data directory is no lock file of Visage")
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise BankError(f"{LOCK_NAME} in the data directory is a link; remove it") from exc
        raise BankError(f"The data directory cannot be written: {exc.strerror}") from exc
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        file.close()
        raise BankError(_BUSY) from exc
    return file


def still_locked(data_dir: Path, file: IO[bytes]) -> bool:
    """Is the lock that this process holds the one that others would find? It is not where the file was removed by
    hand, or replaced."""
    try:
        found = (data_dir / LOCK_NAME).lstat()
    except OSError:
        return False
    return os.path.samestat(found, os.fstat(file.fileno()))


def make_stage(data_dir: Path) -> Path:
    """The folder for what is not the bank yet, made where it is missing.

    Raises:
        BankError: it is no folder of ours.
        OSError: it cannot be made.
    """
    stage = data_dir / STAGE_NAME
    stage.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stage.is_symlink():
        raise BankError(f"{STAGE_NAME} in the data directory is a link; nothing is written or erased through it")
    return stage


def clear_stage(data_dir: Path, keep: Path | None = None) -> None:
    """Remove what a backup, an upload or a restore has left that was cut short: files of our own making, by their
    names, and never through a link. What else lies there stays.

    Args:
        data_dir: of the bank.
        keep: this one stays.
    """
    stage = data_dir / STAGE_NAME
    if stage.is_symlink():
        log.warning("%s in the data directory is a link: the link was removed, and nothing behind it", STAGE_NAME)
        stage.unlink()
    if not stage.is_dir():
        return
    for path in stage.iterdir():
        is_kept = keep is not None and keep.exists() and path.exists() and path.samefile(keep)
        if not is_kept and path.name in _STAGED_NAMES and (path.is_symlink() or not path.is_dir()):
            keys.erase_file(path)
    if any(stage.iterdir()):
        if keep is None:
            log.warning("%s holds something that is not Visage's; it was left alone", STAGE_NAME)
    else:
        stage.rmdir()


def set_aside(data_dir: Path) -> list[Path]:
    """The banks that restores have set aside. What is but a second name of the bank, left by a restore that was cut
    short, is removed."""
    found = []
    for path in data_dir.glob(f"{SET_ASIDE}*"):
        if path.is_symlink():
            log.warning("%s is a link; what it leads to was left alone", path.name)
        elif (data_dir / FILE_NAME).exists() and path.samefile(data_dir / FILE_NAME):
            path.unlink()
        elif not path.name.endswith("-journal"):
            found.append(path)
    return found


def is_staged(data_dir: Path) -> bool:
    """Does a bank lie there that is not in its place yet?"""
    return any(path.is_file() and path.stat().st_size for path in (data_dir / STAGE_NAME).glob("visage.*"))
