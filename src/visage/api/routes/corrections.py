"""Saying that Visage is wrong, and taking that back; what to look at in the bank."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from visage import errors
from visage.api import schemas
from visage.api.deps import PrincipalDep, RecognizerDep, ServiceDep
from visage.api.openapi import refusals
from visage.api.schemas import BankReport, Envelope, Merge, Merged, NotMe, Undo
from visage.bank.access import Role
from visage.errors import Forbidden, InvalidValue

router = APIRouter(tags=["corrections"])

_EITHER_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": NotMe.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {
                            "type": "string",
                            "contentMediaType": "application/octet-stream",
                            "description": "JPEG or PNG",
                        }
                    },
                }
            },
        },
    }
}


async def identification_or_image(request: Request) -> str | bytes:
    """The id of an identification, from a JSON body; or an image, from a form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=1) as form:
            image = form.get("image")
            if not isinstance(image, UploadFile):
                raise InvalidValue.of("image", "must be a file")
            return await image.read()
    try:
        if kind != "application/json":
            raise InvalidValue.of("body", "must be JSON or a form, and its Content-Type must say so")
        return NotMe.model_validate_json(await request.body()).identification_id
    except ValidationError as exc:
        raise InvalidValue.of("identification_id", "send it as JSON, or an image as a form") from exc


@router.post(
    "/persons/{person_id}/not-me",
    operation_id="not_me",
    openapi_extra=_EITHER_BODY,
    responses=refusals(
        errors.InvalidImage,
        errors.NoFaceDetected,
        errors.ImageTooLarge,
        errors.PersonNotFound,
        errors.SightingNotFound,
        errors.Overloaded,
        errors.BankError,
    ),
)
async def not_me(
    recognizer: RecognizerDep,
    service: ServiceDep,
    person_id: str,
    rejected: Annotated[str | bytes, Depends(identification_or_image)],
) -> Envelope[Undo]:
    """ "That's wrong": the face in an identification, or in an image, is not this person. It is not called by this
    name again; its embedding is kept for that, its picture is not."""
    if isinstance(rejected, str):
        undo = await service.store(recognizer.reject_sighting, person_id, rejected)
    else:
        undo = await service.compute(recognizer.reject_image, person_id, rejected)
    return Envelope(data=schemas.undo(undo))


@router.post(
    "/persons/{person_id}/merge",
    operation_id="merge_persons",
    responses=refusals(errors.PersonNotFound, errors.BankError),
)
async def merge_persons(
    recognizer: RecognizerDep, service: ServiceDep, person_id: str, other: Merge
) -> Envelope[Merged]:
    """Two persons are one: the photos of the other move over, and the other goes."""
    undo = await service.store(recognizer.merge, person_id, other.source)
    return Envelope(data=schemas.merged(undo, recognizer.bank.person(undo.person_id)))


@router.post(
    "/undo/{undo_id}",
    operation_id="undo",
    responses=refusals(errors.UndoNotFound, errors.CannotUndo, errors.BankError),
)
async def undo(
    recognizer: RecognizerDep, service: ServiceDep, principal: PrincipalDep, undo_id: str
) -> Envelope[Undo]:
    """Take back a "not-me" or a merge, for 30 days. A viewer may take back a not-me only."""
    of_merge = recognizer.bank.correction(undo_id).kind == "merge"
    if of_merge and (principal is None or not principal.role.may(Role.EDITOR)):
        raise Forbidden("To take a merge back needs the role editor")
    return Envelope(data=schemas.undo(await service.store(recognizer.bank.undo, undo_id)))


@router.get("/bank/report", operation_id="bank_report", responses=refusals())
async def bank_report(recognizer: RecognizerDep, service: ServiceDep) -> Envelope[BankReport]:
    """Who has too few photos, who is hard to tell apart, which photos do not fit, whether the people here look more
    alike than most, and whom the camera has seen."""
    report = await service.store(recognizer.report)
    closeness = await service.store(recognizer.closeness)
    return Envelope(data=schemas.bank_report(report, closeness, recognizer.seen()))
