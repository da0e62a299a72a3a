"""Saying that Visage is wrong or right, and taking that back; what to look at in the bank."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from visage import errors
from visage.api import schemas
from visage.api.deps import PrincipalDep, RecognizerDep, ServiceDep, clean_box
from visage.api.openapi import refusals
from visage.api.schemas import BankReport, Confirmed, Envelope, Merge, Merged, Undo, WhichIdentification
from visage.bank.access import Role
from visage.errors import Forbidden, InvalidValue
from visage.types import Box

router = APIRouter(tags=["corrections"])

_WHICH = WhichIdentification.model_json_schema(ref_template="#/components/schemas/{model}")
_WHICH.pop("$defs")  # the document has them among its own

_EITHER_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _WHICH},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {
                            "type": "string",
                            "contentMediaType": "application/octet-stream",
                            "description": "JPEG or PNG",
                        },
                        "box": {
                            "type": "string",
                            "description": "Which face is meant, of several: a JSON object with `x`, `y`, `width`, "
                            "`height`, in pixels",
                        },
                    },
                }
            },
        },
    }
}


async def identification_or_image(request: Request) -> tuple[str | bytes, Box | None]:
    """The id of an identification, from a JSON body, or an image, from a form; and perhaps a box in it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=1) as form:
            image, box = form.get("image"), form.get("box")
            if not isinstance(image, UploadFile):
                raise InvalidValue.of("image", "must be a file")
            if isinstance(box, UploadFile):
                raise InvalidValue.of("box", "must be text")
            return await image.read(), None if box is None else clean_box("box", box)
    try:
        if kind != "application/json":
            raise InvalidValue.of("body", "must be JSON or a form, and its Content-Type must say so")
        which = WhichIdentification.model_validate_json(await request.body())
    except ValidationError as exc:
        if any(fault["loc"][:1] == ("box",) for fault in exc.errors()):
            raise InvalidValue.of("box", "must have numbers of pixels as x, y, width and height") from exc
        raise InvalidValue.of("identification_id", "send it as JSON, or an image as a form") from exc
    return which.identification_id, None if which.box is None else clean_box("box", which.box.model_dump_json())


@router.post(
    "/persons/{person_id}/not-me",
    operation_id="not_me",
    openapi_extra=_EITHER_BODY,
    responses=refusals(
        errors.InvalidImage,
        errors.NoFaceDetected,
        errors.ImageTooLarge,
        errors.TooMuchWork,
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
    rejected: Annotated[tuple[str | bytes, Box | None], Depends(identification_or_image)],
) -> Envelope[Undo]:
    """ "That's wrong": the face in an identification, or in an image, is not this person. It is not called by this
    name again; its embedding is kept for that, its picture is not."""
    source, box = rejected
    if isinstance(source, str):
        undo = await service.store(recognizer.reject_sighting, person_id, source, box)
    else:
        undo = await service.compute(recognizer.reject_image, person_id, source, box)
    return Envelope(data=schemas.undo(undo))


@router.post(
    "/persons/{person_id}/is-me",
    operation_id="is_me",
    openapi_extra=_EITHER_BODY,
    responses=refusals(
        errors.InvalidImage,
        errors.NoFaceDetected,
        errors.MultipleFaces,
        errors.FaceNotUsable,
        errors.ImageTooLarge,
        errors.TooMuchWork,
        errors.PersonNotFound,
        errors.SightingNotFound,
        errors.Overloaded,
        errors.BankError,
    ),
)
async def is_me(
    recognizer: RecognizerDep,
    service: ServiceDep,
    person_id: str,
    confirmed: Annotated[tuple[str | bytes, Box | None], Depends(identification_or_image)],
) -> Envelope[Confirmed]:
    """ "Yes, that is Anna": the face in an identification, or in an image, is this person. It is kept as a photo
    where it shows something new, and an older "that's wrong" about this face holds no longer. Of several faces the
    one in the box is meant; else the one that was called so or looks so, and else the one that stands out. To say the
    same again changes nothing, and is answered as the first time."""
    source, box = confirmed
    if isinstance(source, str):
        confirmation = await service.store(recognizer.confirm_sighting, person_id, source, box)
    else:
        confirmation = await service.compute(recognizer.confirm_image, person_id, source, box)
    return Envelope(data=schemas.confirmed(confirmation))


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
    """Take back a "not-me", an "is-me" or a merge, for 30 days. A viewer may take back a not-me only."""
    of_viewer = recognizer.bank.correction(undo_id).kind == "not-me"
    if not of_viewer and (principal is None or not principal.role.may(Role.EDITOR)):
        raise Forbidden("To take that back needs the role editor")
    return Envelope(data=schemas.undo(await service.store(recognizer.bank.undo, undo_id)))


@router.get("/bank/report", operation_id="bank_report", responses=refusals())
async def bank_report(recognizer: RecognizerDep, service: ServiceDep) -> Envelope[BankReport]:
    """Who has too few photos, who is hard to tell apart, which photos do not fit, which would help most, whether the
    people here look more alike than most, and whom the camera has seen."""
    report = await service.store(recognizer.report)
    advice = await service.store(recognizer.advice)
    closeness = await service.store(recognizer.closeness)
    return Envelope(data=schemas.bank_report(report, closeness, advice, recognizer.seen()))
