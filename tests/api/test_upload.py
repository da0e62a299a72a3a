"""A large file in a form: written beside the loop, and given up when nothing comes of it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from starlette.exceptions import HTTPException

from visage.api.wire import upload
from visage.errors import InvalidValue

BOUNDARY = b"b"
START = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
END = b"\r\n--b--\r\n"


def receive(path: Path, messages: Iterator[dict[str, Any]]) -> dict[str, str]:
    """Run `receive_file` on what a client sends; after that nothing comes."""

    async def next_message() -> dict[str, Any]:
        message = next(messages, None)
        return message if message is not None else await asyncio.Future()

    headers = [(b"content-type", b"multipart/form-data; boundary=" + BOUNDARY)]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, next_message)
    return asyncio.run(upload.receive_file(request, "file", path))


def body(*chunks: bytes) -> Iterator[dict[str, Any]]:
    for chunk in chunks:
        yield {"type": "http.request", "body": chunk, "more_body": True}


def test_an_upload_is_written_beside_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writers = set()
    write = upload._Form.on_part_data

    def watched(form: upload._Form, data: bytes, start: int, end: int) -> None:
        writers.add(threading.current_thread())
        write(form, data, start, end)

    monkeypatch.setattr(upload._Form, "on_part_data", watched)
    data = os.urandom(200_000)
    messages = [*body(START, data[:100_000], data[100_000:], END)]
    messages[-1]["more_body"] = False
    assert receive(tmp_path / "x", iter(messages)) == {}
    assert (tmp_path / "x").read_bytes() == data
    assert writers
    assert threading.main_thread() not in writers


def test_an_upload_that_stalls_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after megabytes, which elsewhere earn minutes."""
    monkeypatch.setattr(upload, "STALL_S", 0.05)
    with pytest.raises(HTTPException) as refused:
        receive(tmp_path / "x", body(START, bytes(2_000_000)))
    assert refused.value.status_code == 408


def test_an_upload_that_breaks_off_is_no_bug(tmp_path: Path) -> None:
    gone: Iterator[dict[str, Any]] = iter([*body(START, b"half"), {"type": "http.disconnect"}])
    with pytest.raises(InvalidValue, match="broke off"):
        receive(tmp_path / "x", gone)
