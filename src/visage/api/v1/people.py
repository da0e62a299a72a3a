"""The people who are remembered, and their photos."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from visage import errors, types
from visage.api.deps import (
    BoxesField,
    ConsentField,
    GivenConsentField,
    ImagesField,
    MetadataField,
    NameField,
    RecognizerDep,
    RelationshipField,
    ServiceDep,
    clean_consent,
    clean_metadata,
    clean_name,
    clean_relationship,
)
from visage.api.envelope import Envelope
from visage.api.openapi import refusals
from visage.api.v1 import schemas
from visage.api.v1.schemas import (
    Deleted,
    Person,
    PersonChange,
    Persons,
    PersonWithPhotos,
    PhotoDeleted,
    PhotosAdded,
    Registration,
)
from visage.errors import InvalidValue
from visage.recognition.enrolment import Details
from visage.service.memory import give_back
from visage.types import Box

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
    recognizer: RecognizerDep,
    service: ServiceDep,
    name: NameField,
    relationship: RelationshipField,
    metadata: MetadataField,
    consent: ConsentField,
    image: ImagesField,
    box: BoxesField,
) -> Envelope[Registration]:
    """Remember a person. The same name with a matching face adds the photo to that person; a photo that is here
    already is kept once, so the request may be repeated."""
    prepared = await service.compute_each(recognizer.prepare, image, one_each(box, image))
    details = Details(relationship, metadata, consent)
    enrolment = await service.store(recognizer.enrol_prepared, name, details, prepared)
    return Envelope(data=schemas.registration(enrolment))


@router.get("/persons", operation_id="list_persons", responses=refusals())
async def list_persons(
    recognizer: RecognizerDep,
    query: Annotated[str | None, Query(description="Part of the name or relationship", max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before", max_length=200)] = None,
) -> Envelope[Persons]:
    """A page of the persons, newest first."""
    page = recognizer.bank.persons(query=query, limit=limit, cursor=cursor)
    return Envelope(
        data=Persons(
            persons=[schemas.person(person) for person in page.persons],
            total=page.total,
            next_cursor=page.next_cursor,
        )
    )


@router.get(
    "/persons/{person_id}", operation_id="get_person", responses=refusals(errors.PersonNotFound, errors.BankError)
)
async def get_person(recognizer: RecognizerDep, person_id: str) -> Envelope[PersonWithPhotos]:
    """One person, with the photos."""
    bank = recognizer.bank
    return Envelope(
        data=schemas.person_with_photos(bank.person(person_id), bank.photos(person_id), bank.undos(person_id))
    )


@router.patch(
    "/persons/{person_id}",
    operation_id="update_person",
    responses=refusals(errors.PersonNotFound, errors.BankError),
)
async def update_person(
    recognizer: RecognizerDep, service: ServiceDep, person_id: str, change: PersonChange
) -> Envelope[Person]:
    """Change name, relationship, metadata or consent; what is left out stays."""
    sent = change.model_fields_set
    changes: dict[str, Any] = {}
    if "name" in sent:
        if change.name is None:
            raise InvalidValue.of("name", "must not be null")
        changes["name"] = clean_name(change.name)
    if "relationship" in sent:
        changes["relationship"] = clean_relationship(change.relationship)
    if "consent" in sent:
        if change.consent is None and service.preferences.require_consent:
            raise InvalidValue.of("consent", "is needed here, and cannot be removed")
        changes["consent"] = None if change.consent is None else clean_consent(change.consent)

    def changed(person: types.Person) -> types.Person:
        metadata = person.metadata
        if "metadata" in sent:
            metadata = clean_metadata(merge_patch(dict(metadata), change.metadata))
        return replace(person, **changes, metadata=metadata)

    return Envelope(data=schemas.person(await service.store(recognizer.bank.change, person_id, changed)))


@router.delete(
    "/persons/{person_id}",
    operation_id="delete_person",
    responses=refusals(errors.PersonNotFound, errors.BankError),
)
async def delete_person(recognizer: RecognizerDep, service: ServiceDep, person_id: str) -> Envelope[Deleted]:
    """Forget a person with every photo."""
    complete = await service.store(recognizer.bank.forget, person_id)
    await service.store(give_back)
    return Envelope(data=Deleted(person_id=person_id, complete=complete))


@router.post(
    "/persons/{person_id}/photos",
    operation_id="add_photos",
    responses=refusals(*_PHOTO_ERRORS, errors.PersonNotFound),
)
async def add_photos(
    *,
    recognizer: RecognizerDep,
    service: ServiceDep,
    person_id: str,
    relationship: RelationshipField,
    metadata: MetadataField,
    consent: GivenConsentField,
    image: ImagesField,
    box: BoxesField,
) -> Envelope[PhotosAdded]:
    """Remember more photos of a person; and what else is sent, where it was not known yet."""
    recognizer.bank.person(person_id)  # who is not there needs no work
    prepared = await service.compute_each(recognizer.prepare, image, one_each(box, image))
    details = Details(relationship, metadata, consent)
    return Envelope(
        data=schemas.photos_added(await service.store(recognizer.add_prepared, person_id, details, prepared))
    )


@router.get(
    "/persons/{person_id}/photos/{photo_id}",
    operation_id="get_photo",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
        **refusals(errors.PersonNotFound, errors.PhotoNotFound, errors.BankError),
    },
)
async def get_photo(recognizer: RecognizerDep, service: ServiceDep, person_id: str, photo_id: str) -> Response:
    """The stored picture of a face, a JPEG."""
    picture = await service.store(recognizer.bank.picture, person_id, photo_id)
    return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})


@router.delete(
    "/persons/{person_id}/photos/{photo_id}",
    operation_id="delete_photo",
    responses=refusals(errors.PersonNotFound, errors.PhotoNotFound, errors.LastPhoto, errors.BankError),
)
async def delete_photo(
    recognizer: RecognizerDep, service: ServiceDep, person_id: str, photo_id: str
) -> Envelope[PhotoDeleted]:
    """Forget one photo of a person."""
    complete = await service.store(recognizer.bank.forget_photo, person_id, photo_id)
    return Envelope(data=PhotoDeleted(photo_id=photo_id, complete=complete))


def one_each(boxes: list[Box | None], images: list[bytes]) -> list[Box | None]:
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
