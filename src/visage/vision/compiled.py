"""Compiled networks on the disk: private, and taken back only as they were written.

A file is a SHA-256, then what the engine exported. The hash is of that and of all that it was made from, so that lost
bytes, another network's file and another version of anything are the same: not there, and compiled anew.
"""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from pathlib import Path

_HASH_BYTES = hashlib.sha256().digest_size

log = logging.getLogger("visage")


def read(path: Path, origin: bytes) -> bytes | None:
    """What `write` wrote for this origin; None where that is not there, or not as it was."""
    try:
        with path.open("rb") as file:
            head, content = file.read(_HASH_BYTES), file.read()
    except OSError:
        return None
    return content if head == _hash(origin, content) else None


def write(path: Path, origin: bytes, content: bytes) -> None:
    """Keep what was compiled, for this user only. What cannot be kept is said in the log, and no error."""
    partial = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            partial.unlink()  # a link, or of other rights
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(_hash(origin, content))
            file.write(content)
        partial.replace(path)
    except OSError as exc:
        log.warning("A compiled model cannot be kept, and the next start compiles it anew: %s", exc.strerror)
        with suppress(OSError):
            partial.unlink()


def make_private(folder: Path) -> None:
    """Take the rights of others to a folder that is there, where it is ours to do so."""
    with suppress(OSError):
        if folder.stat().st_mode & 0o077 and not folder.is_symlink():
            folder.chmod(0o700)


def _hash(origin: bytes, content: bytes) -> bytes:
    digest = hashlib.sha256(hashlib.sha256(origin).digest())
    digest.update(content)
    return digest.digest()
