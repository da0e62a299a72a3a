"""The people who are remembered, and their photos."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from visage import errors, types
from visage.admin.access import Principal
from visage.admin.keys import Role
from visage.api.deps import PrincipalDep, ServiceDep, VerbsDep
from visage.api.envelope import Envelope
from visage.api.openapi import refusals
from visage.api.v1.fields import (
    BoxesField,
    ConsentField,
    GivenConsentField,
    ImagesField,
    MetadataField,
    NameField,
    RelationshipField,
    clean_consent,
    clean_metadata,
    clean_name,
    clean_relationship,
)
from visage.api.v1.schemas import people
from visage.api.v1.schemas.people import (
    Deleted,
    Person,
    PersonChange,
    Persons,
    PersonWithPhotos,
    PhotoDeleted,
    PhotosAdded,
    Registration,
)
from visage.bank.listing import Order
from visage.errors import InvalidValue
from visage.recognition.enrolment import Details

router = APIRouter(tags=["people"])

_PHOTO_ERRORS = (
    errors.InvalidImage,
    errors.NoFaceDetected,
    errors.MultipleFaces,
    errors.FaceNotUsable,
    errors.ImageTooLarge,
    errors.TooMuchWork,
    errors.Overloaded,
    errors.BankError,
)


@router.post("/register", operation_id="register", responses=refusals(*_PHOTO_ERRORS, errors.DuplicatePerson))
async def register(
    *,
    verbs: VerbsDep,
    name: NameField,
    relationship: RelationshipField,
    metadata: MetadataField,
    consent: ConsentField,
    image: ImagesField,
    box: BoxesField,
) -> Envelope[Registration]:
    """Remember a person. The same name with a matching face adds the photo to that person; a photo that is here
    already is kept once, so the request may be repeated."""
    details = Details(relationship, metadata, consent)
    enrolment = await verbs.register(name, details, image, one_each(box, image))
    return Envelope(data=people.registration(enrolment))


@router.get("/persons", operation_id="list_persons", responses=refusals())
async def list_persons(
    verbs: VerbsDep,
    principal: PrincipalDep,
    query: Annotated[str | None, Query(description="Part of the name or relationship", max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before", max_length=2000)] = None,
    order: Annotated[Order, Query(description="The newest first, or by name")] = "newest",
) -> Envelope[Persons]:
    """A page of the persons, newest first or by name. A viewer sees of `metadata` the line to `remember` only."""
    page = await verbs.persons(query, limit, cursor, order)
    return Envelope(
        data=Persons(
            persons=[people.as_seen_by(role_of(principal), people.person(person)) for person in page.persons],
            total=page.total,
            next_cursor=page.next_cursor,
        )
    )


@router.get(
    "/persons/{person_id}", operation_id="get_person", responses=refusals(errors.PersonNotFound, errors.BankError)
)
async def get_person(verbs: VerbsDep, principal: PrincipalDep, person_id: str) -> Envelope[PersonWithPhotos]:
    """One person, with the photos. A viewer sees of `metadata` the line to `remember` only, and no consent."""
    record = await verbs.person(person_id)
    found = people.person_with_photos(record.person, record.photos, record.undos)
    return Envelope(data=people.as_seen_by(role_of(principal), found))


@router.patch(
    "/persons/{person_id}",
    operation_id="update_person",
    responses=refusals(errors.PersonNotFound, errors.BankError),
)
async def update_person(
    verbs: VerbsDep, service: ServiceDep, person_id: str, change: PersonChange
) -> Envelope[Person]:
    """Change name, relationship, metadata or consent; what is left out stays."""
    sent = change.model_fields_set
    if "consent" in sent and change.consent is None and service.preferences.require_consent:
        raise InvalidValue.of("consent", "is needed here, and cannot be removed")

    def changed(person: types.Person) -> types.Person:
        made: dict[str, Any] = {}
        if "name" in sent:
            if change.name is None:
                raise InvalidValue.of("name", "must not be null")
            made["name"] = clean_name(change.name)
        if "relationship" in sent:
            made["relationship"] = clean_relationship(change.relationship)
        if "metadata" in sent:
            made["metadata"] = clean_metadata(merge_patch(dict(person.metadata), change.metadata))
        if "consent" in sent:
            made["consent"] = None if change.consent is None else clean_consent(change.consent)
        return replace(person, **made)

    return Envelope(data=people.person(await verbs.change(person_id, changed)))


@router.delete(
    "/persons/{person_id}",
    operation_id="delete_person",
    responses=refusals(errors.PersonNotFound, errors.BankError),
)
async def delete_person(verbs: VerbsDep, person_id: str) -> Envelope[Deleted]:
    """Forget a person with every photo."""
    return Envelope(data=Deleted(person_id=person_id, complete=await verbs.forget(person_id)))


@router.post(
    "/persons/{person_id}/photos",
    operation_id="add_photos",
    responses=refusals(*_PHOTO_ERRORS, errors.PersonNotFound),
)
async def add_photos(
    *,
    verbs: VerbsDep,
    person_id: str,
    relationship: RelationshipField,
    metadata: MetadataField,
    consent: GivenConsentField,
    image: ImagesField,
    box: BoxesField,
) -> Envelope[PhotosAdded]:
    """Remember more photos of a person; and what else is sent, where it was not known yet."""
    details = Details(relationship, metadata, consent)
    enrolment = await verbs.add_photos(person_id, details, image, one_each(box, image))
    return Envelope(data=people.photos_added(enrolment))


@router.get(
    "/persons/{person_id}/photos/{photo_id}",
    operation_id="get_photo",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
        **refusals(errors.PersonNotFound, errors.PhotoNotFound, errors.BankError),
    },
)
async def get_photo(verbs: VerbsDep, person_id: str, photo_id: str) -> Response:
    """The stored picture of a face, a JPEG."""
    picture = await verbs.picture(person_id, photo_id)
    return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})


@router.delete(
    "/persons/{person_id}/photos/{photo_id}",
    operation_id="delete_photo",
    responses=refusals(errors.PersonNotFound, errors.PhotoNotFound, errors.LastPhoto, errors.BankError),
)
async def delete_photo(verbs: VerbsDep, person_id: str, photo_id: str) -> Envelope[PhotoDeleted]:
    """Forget one photo of a person."""
    return Envelope(data=PhotoDeleted(photo_id=photo_id, complete=await verbs.forget_photo(person_id, photo_id)))


def role_of(principal: Principal | None) -> Role:
    """Who does not say who he is sees the least."""
    return principal.role if principal is not None else Role.VIEWER


def one_each(boxes: list[types.Box | None], images: list[bytes]) -> list[types.Box | None]:
    """The boxes, one for each image; None where nothing is said.

    Raises:
        InvalidValue: there are some, but not one for each image.
    """
    if boxes and len(boxes) != len(images):
        raise InvalidValue.of("box", f"send one for each image: {len(images)}, not {len(boxes)}")
    return boxes or [None] * len(images)


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch to an object; null for the whole of it leaves an empty object. Source: RFC 7396."""
    if patch is None:
        return {}
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged
