"""Files that no sudden end of the power halves: written whole or not at all, and gone where they are removed."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

try:
    import fcntl

    _FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
except ImportError:  # Windows
    _FULL_SYNC = None

_PIECE_BYTES = 2**20


def sync_descriptor(descriptor: int) -> None:
    """See to it that what was written to an open file is on the disk. On macOS fsync only reaches the drive's own
    memory; F_FULLFSYNC goes on to the disk (fsync(2) there), as SQLite does it too.

    Raises:
        OSError: it could not be written.
    """
    if _FULL_SYNC is not None:
        try:
            fcntl.fcntl(descriptor, _FULL_SYNC)
        except OSError as exc:
            if exc.errno not in {errno.ENOTSUP, errno.EINVAL, errno.ENOTTY}:
                raise
        else:
            return
    os.fsync(descriptor)


def sync(path: Path) -> None:
    """See to it that a file, or the names in a folder, are on the disk.

    Raises:
        OSError: they are not.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)


def create(path: Path, content: bytes) -> None:
    """Make a file that only its owner may read; it is on the disk when this returns. What had the name is unlinked,
    never written through: it may be a link.

    Raises:
        OSError: it cannot be written.
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        sync_descriptor(file.fileno())
    sync(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another: whenever this is cut short, the old one is there, or the new one. Only the
    owner may read it.

    Raises:
        OSError: it cannot be written; the old one is there.
    """
    draft = path.with_name(f"{path.name}.new")
    create(draft, content)
    draft.replace(path)
    sync(path.parent)


def erase(path: Path) -> None:
    """Overwrite a file with zeros and remove it; one that is not there is no error.

    Of a link, and of a file that has another name too, only this name is removed: what lies behind it may be
    anybody's.

    Raises:
        OSError: it cannot be.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            left = os.fstat(descriptor).st_size
            while left > 0:
                left -= file.write(bytes(min(left, _PIECE_BYTES)))
            sync_descriptor(descriptor)
    path.unlink(missing_ok=True)
    sync(path.parent)
