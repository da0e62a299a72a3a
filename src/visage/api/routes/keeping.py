"""Backup and restore."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import IO, Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from visage import errors
from visage.api import schemas_keeping as schemas
from visage.api.deps import ServiceDep
from visage.api.openapi import refusals
from visage.api.schemas import Envelope
from visage.api.schemas_keeping import Restored
from visage.api.upload import receive_file
from visage.bank.backup import backup_name
from visage.bank.restore import Secrets
from visage.bank.sqlite import clear_stage

router = APIRouter(tags=["keeping"])

MAX_BACKUP_BYTES = 2**34
_CHUNK_BYTES = 2**20
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "The backup"},
                        "recovery_key": {
                            "type": "string",
                            "maxLength": 100,
                            "description": "From paper, where the key of this server does not open the backup",
                        },
                        "passphrase": {
                            "type": "string",
                            "maxLength": 200,
                            "description": "That the bank had, where it is another one now",
                        },
                    },
                }
            }
        },
    }
}


@router.post(
    "/backup",
    operation_id="backup",
    response_class=StreamingResponse,
    responses={
        200: {"description": "The backup", "content": {"application/octet-stream": _BINARY}},
        **refusals(errors.BankError, errors.Overloaded, errors.NotAccounted),
    },
)
async def backup(service: ServiceDep) -> StreamingResponse:
    """Download the whole bank in one encrypted file. The key is not in it: keep that somewhere else."""
    file = await service.backup()
    size = file.seek(0, 2)
    file.seek(0)
    return StreamingResponse(
        _chunks(file),
        media_type="application/octet-stream",
        headers={
            "Content-Length": str(size),
            "Content-Disposition": f'attachment; filename="{backup_name(datetime.now(UTC))}"',
            "Cache-Control": "no-store",
        },
    )


@router.post(
    "/restore",
    operation_id="restore",
    openapi_extra=_FORM,
    responses=refusals(
        errors.InvalidBackup, errors.ImageTooLarge, errors.BankError, errors.Overloaded, errors.NotAccounted
    ),
)
async def restore(request: Request, service: ServiceDep) -> Envelope[Restored]:
    """Replace the bank by a backup. The file is checked whole before anything is touched; the bank as it was stays
    beside the new one; whom it has forgotten stays forgotten. Other requests get 503 for some seconds."""
    service.recognizer  # noqa: B018 - not while it is loading
    async with service.keeping():
        try:
            path = service.staging() / "upload"
            fields = await receive_file(request, "file", path)
            secrets = Secrets(fields.get("recovery_key") or None, fields.get("passphrase") or None)
            staged, done = await service.restore(path, secrets)
        finally:
            await run_in_threadpool(clear_stage, service.settings.data_dir)
    return Envelope(data=schemas.restored(staged, done, service.recognizer.bank.person_count))


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await run_in_threadpool(file.read, _CHUNK_BYTES):
            yield chunk
