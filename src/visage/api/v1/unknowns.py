"""Faces before the camera that nobody knows, until they are named or forgotten."""

from __future__ import annotations

from fastapi import APIRouter, Response

from visage import errors
from visage.api.deps import VerbsDep
from visage.api.envelope import Envelope
from visage.api.openapi import refusals
from visage.api.v1.fields import ConsentField, MetadataField, NameField, RelationshipField
from visage.api.v1.schemas import corrections, people, unknowns
from visage.api.v1.schemas.corrections import Confirmed
from visage.api.v1.schemas.people import Registration
from visage.api.v1.schemas.unknowns import UnknownDismissed, UnknownFaces, WhichPerson
from visage.recognition.enrolment import Details

router = APIRouter(tags=["unknowns"])


@router.get("/unknowns", operation_id="list_unknowns", responses=refusals())
async def list_unknowns(verbs: VerbsDep) -> Envelope[UnknownFaces]:
    """Faces of the running sessions that nobody knows, the latest first; in memory only, for ten minutes."""
    return Envelope(data=unknowns.unknown_faces(await verbs.unknowns()))


@router.get(
    "/unknowns/{unknown_id}/picture",
    operation_id="get_unknown_picture",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
        **refusals(errors.UnknownNotFound),
    },
)
async def get_unknown_picture(verbs: VerbsDep, unknown_id: str) -> Response:
    """The best picture of such a face, a JPEG."""
    picture = await verbs.unknown_picture(unknown_id)
    return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})


@router.delete("/unknowns/{unknown_id}", operation_id="dismiss_unknown", responses=refusals(errors.UnknownNotFound))
async def dismiss_unknown(verbs: VerbsDep, unknown_id: str) -> Envelope[UnknownDismissed]:
    """Forget such a face; as long as it stays before the camera it does not come up again."""
    await verbs.dismiss_unknown(unknown_id)
    return Envelope(data=UnknownDismissed(unknown_id=unknown_id))


@router.post(
    "/unknowns/{unknown_id}/register",
    operation_id="register_unknown",
    responses=refusals(errors.UnknownNotFound, errors.DuplicatePerson, errors.BankError),
)
async def register_unknown(
    *,
    verbs: VerbsDep,
    unknown_id: str,
    name: NameField,
    relationship: RelationshipField,
    metadata: MetadataField,
    consent: ConsentField,
) -> Envelope[Registration]:
    """Name such a face: as register, without an image."""
    enrolment = await verbs.register_unknown(unknown_id, name, Details(relationship, metadata, consent))
    return Envelope(data=people.registration(enrolment))


@router.post(
    "/unknowns/{unknown_id}/confirm",
    operation_id="confirm_unknown",
    responses=refusals(errors.UnknownNotFound, errors.PersonNotFound, errors.BankError),
)
async def confirm_unknown(verbs: VerbsDep, unknown_id: str, who: WhichPerson) -> Envelope[Confirmed]:
    """Such a face is someone who is remembered: as is-me, by the best picture of it."""
    return Envelope(data=corrections.confirmed(await verbs.confirm_unknown(unknown_id, who.person_id)))
