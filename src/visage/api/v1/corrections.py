"""Saying that Visage is wrong or right, and taking that back; what to look at in the bank."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from visage import errors
from visage.admin.keys import Role
from visage.api.deps import PrincipalDep, VerbsDep
from visage.api.envelope import Envelope
from visage.api.openapi import refusals
from visage.api.v1.fields import clean_box
from visage.api.v1.schemas import common, corrections, report
from visage.api.v1.schemas.common import Undo
from visage.api.v1.schemas.corrections import Confirmed, Merge, Merged, WhichIdentification
from visage.api.v1.schemas.report import BankReport
from visage.errors import InvalidValue
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
    verbs: VerbsDep,
    person_id: str,
    rejected: Annotated[tuple[str | bytes, Box | None], Depends(identification_or_image)],
) -> Envelope[Undo]:
    """ "That's wrong": the face in an identification, or in an image, is not this person. It is not called by this
    name again; its embedding is kept for that, its picture is not."""
    return Envelope(data=common.undo(await verbs.not_me(person_id, *rejected)))


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
    verbs: VerbsDep,
    person_id: str,
    confirmed: Annotated[tuple[str | bytes, Box | None], Depends(identification_or_image)],
) -> Envelope[Confirmed]:
    """ "Yes, that is Anna": the face in an identification, or in an image, is this person. It is kept as a photo
    where it shows something new, and an older "that's wrong" about this face holds no longer. Of several faces the
    one in the box is meant; else the one that was called so or looks so, and else the one that stands out. To say the
    same again changes nothing, and is answered as the first time."""
    return Envelope(data=corrections.confirmed(await verbs.is_me(person_id, *confirmed)))


@router.post(
    "/persons/{person_id}/merge",
    operation_id="merge_persons",
    responses=refusals(errors.PersonNotFound, errors.BankError),
)
async def merge_persons(verbs: VerbsDep, person_id: str, other: Merge) -> Envelope[Merged]:
    """Two persons are one: the photos of the other move over, and the other goes."""
    return Envelope(data=corrections.merged(*await verbs.merge(person_id, other.source)))


@router.post(
    "/undo/{undo_id}",
    operation_id="undo",
    responses=refusals(errors.UndoNotFound, errors.CannotUndo, errors.BankError),
)
async def undo(verbs: VerbsDep, principal: PrincipalDep, undo_id: str) -> Envelope[Undo]:
    """Take back a "not-me", an "is-me" or a merge, for 30 days. A viewer may take back a not-me only."""
    may_all = principal is not None and principal.role.may(Role.EDITOR)
    return Envelope(data=common.undo(await verbs.undo(undo_id, may_all=may_all)))


@router.get("/bank/report", operation_id="bank_report", responses=refusals())
async def bank_report(verbs: VerbsDep) -> Envelope[BankReport]:
    """Who has too few photos, who is hard to tell apart, which photos do not fit, which would help most, whether the
    people here look more alike than most, and whom the camera has seen."""
    found = await verbs.report()
    return Envelope(data=report.bank_report(found.report, found.closeness, found.advice, found.seen))
