"""A file over HTTP: with progress, resumed where it broke off, checked, and put in place whole or not at all."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import httpx

from visage.errors import WeightsError
from visage.vision.weights import sha256_of

Progress = Callable[[int, int | None], None]
"""Is told how many bytes of how many are here; of how many, where that is known."""

_TRIES = 3
"""So often in a row may the connection bring nothing new before it is given up."""

_MAX_BYTES = 2 * 1024**3
"""No network here is larger; what sends more is not what was asked for."""

_TIMEOUT = httpx.Timeout(30)


def download(url: str, target: Path, *, sha256: str | None, size: int | None, on_progress: Progress) -> None:
    """Fetch a file. What arrived before the connection broke stays beside the target (`.part`), and the next try asks
    for the rest only. A proxy is taken from the environment (HTTPS_PROXY, NO_PROXY …).

    Args:
        url: http or https; redirections are followed.
        target: where to put it; what is there is replaced when all has arrived and is right.
        sha256: which it must have; None where the caller checks what is inside.
        size: bytes that it must have, where known.
        on_progress: see `Progress`.

    Raises:
        WeightsError: the server is out of reach or refuses, the disk cannot take the file, or it is another file.
    """
    partial = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("ab") as file:
            _lock(file, target.name)
            _fetch(url, file, size, on_progress)
            if sha256 is not None and sha256_of(partial) != sha256:
                partial.unlink()  # more of it would not make it right
                raise WeightsError(f"What {_host(url)} sent is not {target.name}: its SHA-256 differs")
            os.fsync(file.fileno())
            partial.replace(target)
    except OSError as exc:
        raise WeightsError(f"{target.name} cannot be written: {exc.strerror}") from exc
    finally:
        with suppress(OSError):
            if partial.stat().st_size == 0:
                partial.unlink()


def _lock(file: BinaryIO, name: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise WeightsError(f"{name} is being fetched already") from exc


def _fetch(url: str, file: BinaryIO, size: int | None, on_progress: Progress) -> None:
    """Append until all is there; begin anew where the server cannot go on."""
    most, idle = _length(file), 0
    with httpx.Client(follow_redirects=True, timeout=_TIMEOUT) as client:
        while True:
            try:
                if _receive(client, url, file, size, on_progress):
                    return
                reason = "the connection broke off"
            except httpx.TransportError as exc:
                reason = str(exc) or type(exc).__name__
            except httpx.HTTPError as exc:
                raise WeightsError(f"{_host(url)} cannot be asked: {exc}") from exc
            idle = 0 if _length(file) > most else idle + 1
            most = max(most, _length(file))
            if idle >= _TRIES:
                raise WeightsError(
                    f"Fetching from {_host(url)} failed: {reason}. What has arrived is kept; the next try goes on"
                )


def _receive(client: httpx.Client, url: str, file: BinaryIO, size: int | None, on_progress: Progress) -> bool:
    """One request for what is missing; is all there now?"""
    have = _length(file)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            if have == _total(response):
                return True  # all had arrived, and was not put in place any more
            file.truncate(0)
            return False
        if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            raise WeightsError(f"{_host(url)} answered {response.status_code}")
        if response.status_code == httpx.codes.OK or not _goes_on(response, have):
            file.truncate(0)
            have = 0
            if response.status_code != httpx.codes.OK:
                return False
        total = _total(response)
        if size is not None and total is not None and total != size:
            raise WeightsError(f"What {_host(url)} has is not the expected file: {total:,} bytes, not {size:,}")
        for chunk in response.iter_raw():
            file.write(chunk)
            file.flush()  # what is here counts, whatever happens next
            have += len(chunk)
            if have > (size or _MAX_BYTES):
                file.truncate(0)
                raise WeightsError(f"{_host(url)} sends more than the expected file")
            on_progress(have, total or size)
    return have == (total or size or have)


def _length(file: BinaryIO) -> int:
    file.flush()
    return os.fstat(file.fileno()).st_size


def _goes_on(response: httpx.Response, have: int) -> bool:
    """Does the answer start where the file ends?"""
    return str(response.headers.get("content-range", "")).startswith(f"bytes {have}-")


def _total(response: httpx.Response) -> int | None:
    """Bytes of the whole file, where the server says so."""
    if match := re.fullmatch(r"bytes (?:\d+-\d+|\*)/(\d+)", response.headers.get("content-range", "")):
        return int(match[1])
    length = response.headers.get("content-length", "")
    return int(length) if length.isdecimal() and response.status_code == httpx.codes.OK else None


def _host(url: str) -> str:
    return httpx.URL(url).host
