"""A large file in a form, written to the disk as it comes: Starlette would hold it in memory, or in a folder of the
system's."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from visage.errors import BankError, InvalidValue

_MAX_FIELD_BYTES = 1024
_MAX_PARTS = 8
STALL_S = 10.0
"""An upload of which nothing comes for so long is given up: the end of the server waits for it."""


class _Form:
    """Hears what the parser finds. One part has a file; the others are short."""

    def __init__(self, path: Path, file_field: str) -> None:
        self.fields: dict[str, bytearray] = {}
        self.has_file = False
        self._path = path
        self._file_field = file_field
        path.unlink(missing_ok=True)  # of an upload before, or a link
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._header = bytearray()
        self._value = bytearray()
        self._name = ""
        self._parts = 0

    def on_part_begin(self) -> None:
        self._name = ""
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise InvalidValue.of("body", "has too many parts")

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._name = options.get(b"name", b"").decode(errors="replace")
            if self._name == self._file_field:
                if self.has_file:
                    raise InvalidValue.of(self._file_field, "must not be repeated")
                self.has_file = True
            else:
                self.fields[self._name] = bytearray()
        self._header.clear()
        self._value.clear()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == self._file_field:
            view = memoryview(data)[start:end]
            while view:
                view = view[self._file.write(view) :]
        elif self._name in self.fields:
            self.fields[self._name] += data[start:end]
            if len(self.fields[self._name]) > _MAX_FIELD_BYTES:
                raise InvalidValue.of(self._name, f"must not be longer than {_MAX_FIELD_BYTES:,} bytes")

    def close(self) -> None:
        self._file.close()


async def receive_file(request: Request, file_field: str, path: Path) -> dict[str, str]:
    """Write the file of a multipart form; returns the other fields.

    Args:
        request: whose body was not read yet.
        file_field: which part is the file.
        path: where it goes.

    Raises:
        InvalidValue: the body is no such form, or broke off.
        HTTPException: nothing came of it for too long.
        BankError: the file cannot be written.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise InvalidValue.of(file_field, "must be a file, in multipart/form-data")
    try:
        form = _Form(path, file_field)
    except OSError as exc:
        raise BankError(f"The file cannot be written: {exc.strerror}") from exc
    try:
        parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": form.on_part_begin,
                "on_part_data": form.on_part_data,
                "on_header_field": form.on_header_field,
                "on_header_value": form.on_header_value,
                "on_header_end": form.on_header_end,
            },
        )
        chunks = aiter(request.stream())
        while True:
            async with asyncio.timeout(STALL_S):
                chunk = await anext(chunks, None)
            if chunk is None:
                break
            await run_in_threadpool(parser.write, chunk)
        parser.finalize()
    except TimeoutError as exc:
        raise HTTPException(408, headers={"Connection": "close"}) from exc
    except ClientDisconnect as exc:  # nobody hears it
        raise InvalidValue.of("body", "broke off") from exc
    except FormParserError as exc:
        raise InvalidValue.of("body", "is no form that can be read") from exc
    except OSError as exc:
        raise BankError(f"The file cannot be written: {exc.strerror}") from exc
    finally:
        form.close()
    if not form.has_file:
        raise InvalidValue.of(file_field, "Field required")
    try:
        return {name: value.decode() for name, value in form.fields.items()}
    except UnicodeDecodeError as exc:
        raise InvalidValue.of("body", "holds what is no text") from exc
