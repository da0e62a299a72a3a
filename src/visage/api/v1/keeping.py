"""Backup, restore, export, retention, and what a carer may change while the server runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import IO, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from visage import errors
from visage.admin.audit import LOCAL
from visage.api.deps import RecognizerDep, ServiceDep
from visage.api.envelope import Envelope
from visage.api.openapi import refusals
from visage.api.v1 import schemas_keeping as schemas
from visage.api.v1.schemas_keeping import CurrentSettings, DuePersons, Purged, PurgeOrder, Restored, SettingsChange
from visage.api.wire.upload import receive_file
from visage.bank.bank import MemoryBank
from visage.errors import InvalidValue
from visage.service.archive import write_archive
from visage.service.restore import Secrets
from visage.service.service import Service
from visage.storage.backup import backup_name
from visage.storage.folder import UPLOAD_NAME, clear_stage

router = APIRouter(tags=["keeping"])

MAX_BACKUP_BYTES = 2**34
_CHUNK_BYTES = 64 * 1024
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
            path = service.staging() / UPLOAD_NAME
            fields = await receive_file(request, "file", path)
            secrets = Secrets(fields.get("recovery_key") or None, fields.get("passphrase") or None)
            staged, done = await service.restore(path, secrets)
        finally:
            await run_in_threadpool(clear_stage, service.settings.data_dir)
    return Envelope(data=schemas.restored(staged, done, service.recognizer.bank.person_count))


_ZIP: dict[int | str, dict[str, Any]] = {200: {"description": "The archive", "content": {"application/zip": _BINARY}}}


_EXPORT: dict[str, Any] = {
    "response_class": StreamingResponse,
    "responses": {**_ZIP, **refusals(errors.PersonNotFound, errors.BankError, errors.NotAccounted)},
}


@router.post("/persons/{person_id}/export", operation_id="export_person_by_post", **_EXPORT)
@router.get("/persons/{person_id}/export", operation_id="export_person", **_EXPORT)
async def export_person(recognizer: RecognizerDep, service: ServiceDep, person_id: str) -> StreamingResponse:
    """A ZIP of the person's record as JSON and every photo as JPEG. It is not encrypted."""
    return await _export(service, recognizer.bank, [recognizer.bank.person(person_id).person_id])


@router.post("/export", operation_id="export_all_by_post", **_EXPORT)
@router.get("/export", operation_id="export_all", **_EXPORT)
async def export_all(
    recognizer: RecognizerDep,
    service: ServiceDep,
    person_id: Annotated[list[str] | None, Query(description="Only these; repeat for more")] = None,
) -> StreamingResponse:
    """A ZIP of everyone, or of some. It is not encrypted."""
    bank = recognizer.bank
    ids = [bank.person(each).person_id for each in person_id] if person_id else await service.store(_everyone, bank)
    return await _export(service, bank, list(dict.fromkeys(ids)))


@router.get("/settings", operation_id="get_settings", responses=refusals())
async def get_settings(service: ServiceDep) -> Envelope[CurrentSettings]:
    """What a carer may change while the server runs."""
    service.recognizer  # noqa: B018 - not while it is loading
    return Envelope(data=schemas.current_settings(service.preferences, service.locked()))


@router.patch("/settings", operation_id="update_settings", responses=refusals(errors.BankError, errors.NotAccounted))
async def update_settings(service: ServiceDep, change: SettingsChange) -> Envelope[CurrentSettings]:
    """Change what is sent. It is kept in the bank; what a `VISAGE_*` variable decides stays as it is."""
    preferences = await service.store(service.change_preferences, change.model_dump(exclude_unset=True))
    return Envelope(data=schemas.current_settings(preferences, service.locked()))


@router.get("/retention", operation_id="list_due", responses=refusals(errors.BankError))
async def list_due(service: ServiceDep) -> Envelope[DuePersons]:
    """Who was not seen for so long that they are to be forgotten."""
    days, now, retention = service.preferences.retention_days, datetime.now(UTC), service.retention

    def find() -> DuePersons:
        found = retention.due(now, days) if days is not None else []
        return schemas.due_persons(found, days, now, retention.clock_fault(now))

    return Envelope(data=await service.store(find))


@router.post("/purge", operation_id="purge", responses=refusals(errors.BankError, errors.NotAccounted))
async def purge(service: ServiceDep, order: PurgeOrder) -> Envelope[Purged]:
    """Forget those named who are due. This cannot be undone."""
    days, now, retention = service.preferences.retention_days, datetime.now(UTC), service.retention

    def forget() -> Purged:
        fault = retention.clock_fault(now)
        if fault is not None and not order.clock_is_right:
            raise InvalidValue.of("clock_is_right", f"must be true: {fault[0].lower()}{fault[1:]}")
        named = {each.lower() for each in order.person_ids}
        due = [each for each in (retention.due(now, days) if days else []) if each.person.person_id in named]
        retention.believe(now)
        complete = retention.purge(due)
        for each in due:
            service.audit.append(LOCAL, "purge", each.person.person_id, "ok")
        return Purged(person_ids=[each.person.person_id for each in due], complete=complete)

    return Envelope(data=await service.store(forget))


async def _export(service: Service, bank: MemoryBank, person_ids: list[str]) -> StreamingResponse:
    pieces = write_archive(bank, person_ids)
    first = await service.store(next, pieces)  # what is damaged is said before the reply begins

    async def stream() -> AsyncIterator[bytes]:
        yield first
        while (piece := await service.store(next, pieces, None)) is not None:
            yield piece

    name = f"visage-export-{datetime.now().astimezone():%Y-%m-%d-%H%M}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(stream(), media_type="application/zip", headers=headers)


def _everyone(bank: MemoryBank) -> list[str]:
    """Oldest first, so that they are imported in the order in which they came."""
    return [person.person_id for person in reversed(bank.persons(limit=2**31).persons)]


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await run_in_threadpool(file.read, _CHUNK_BYTES):
            yield chunk
