"""People on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from visage import types
from visage.admin.keys import Role
from visage.api.gate.roles import METADATA_FOR_VIEWERS, PERSON_FIELDS, UNDOS_FOR_VIEWERS
from visage.api.v1.schemas.common import (
    PERSON,
    VIEWS,
    Help,
    Quality,
    Time,
    Undo,
    Warning_,
    help_or_none,
    photo_url,
    quality,
    undo,
    warning,
)
from visage.bank.records import consent_to_json


class Photo(BaseModel):
    """A remembered photo."""

    photo_id: str
    created_at: Time
    quality: Quality
    url: str = Field(description="Where the picture is, a JPEG")


class Consent(BaseModel):
    """That somebody agreed to a person being remembered."""

    given_by: str
    capacity: str = Field(description="self, parent, legal guardian, …")
    given_on: date
    valid_until: date | None
    text_version: str | None


class Person(BaseModel):
    """Someone who is remembered."""

    model_config = ConfigDict(json_schema_extra={"example": PERSON})

    person_id: str
    name: str
    relationship: str | None
    metadata: dict[str, Any]
    embedding_count: int
    views: int = Field(description=VIEWS)
    created_at: Time
    updated_at: Time
    consent: Consent | None = None
    last_seen_at: Time | None = Field(
        None, description="Within an hour; null where that is not remembered (`GET /settings`)"
    )


PersonT = TypeVar("PersonT", bound=Person)


class PersonWithPhotos(Person):
    """Someone who is remembered, with the photos, and the corrections that can be undone."""

    model_config = ConfigDict(json_schema_extra={"example": {**PERSON, "photos": [], "undos": []}})

    photos: list[Photo]
    undos: list[Undo]


class Persons(BaseModel):
    """A page of persons, newest first."""

    persons: list[Person]
    total: int
    next_cursor: str | None


_COMPLETE = "A search of the bank's files found no trace of it. Where false, the next start removes what is left."


class Deleted(BaseModel):
    """A person is gone."""

    person_id: str
    deleted: Literal[True] = True
    complete: bool = Field(description=_COMPLETE)


class PhotoDeleted(BaseModel):
    """A photo is gone."""

    photo_id: str
    deleted: Literal[True] = True
    complete: bool = Field(description=_COMPLETE)


class PhotoOutcome(BaseModel):
    """What became of one image, in the order they were sent."""

    status: Literal["accepted", "rejected"]
    photo_id: str | None = None
    quality: Quality | None = None
    code: str | None = None
    message: str | None = None


class PhotosAdded(BaseModel):
    """What became of the images."""

    person_id: str
    embedding_count: int
    views: int = Field(description=VIEWS)
    photos: list[PhotoOutcome]
    warnings: list[Warning_]
    advice: Help | None = Field(description="What would help more; null where there is enough")


class Registration(PhotosAdded):
    """A person is remembered."""

    name: str
    relationship: str | None
    metadata: dict[str, Any]
    created_at: Time


class PersonChange(BaseModel):
    """What to change of a person: only the fields that are sent."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"relationship": "Neighbour", "metadata": {"street": None}}}
    )

    name: str | None = Field(None, description="The new name; may be left out, may not be null", max_length=1000)
    relationship: str | None = Field(None, description="null removes it", max_length=1000)
    metadata: dict[str, Any] | None = Field(
        None, description="JSON merge patch (RFC 7396); null removes a key, or all"
    )
    consent: dict[str, Any] | None = Field(
        None,
        description="The whole record: `given_by`, `capacity`, `given_on`, `valid_until`, `text_version`; or null",
    )


def person(value: types.Person) -> Person:
    """As on the wire."""
    return Person.model_validate(_person_fields(value))


def as_seen_by(role: Role, value: PersonT) -> PersonT:
    """A person without what is not for this role (`gate/roles.py`)."""
    hidden: dict[str, Any] = {
        "metadata": {
            key: text for key, text in value.metadata.items() if key in METADATA_FOR_VIEWERS and isinstance(text, str)
        },
        "undos": [each for each in getattr(value, "undos", ()) if each.what in UNDOS_FOR_VIEWERS],
    }
    names = [name for name, needed in PERSON_FIELDS.items() if not role.may(needed) and hasattr(value, name)]
    return value.model_copy(update={name: hidden.get(name) for name in names})


def person_with_photos(
    value: types.Person, photos: Iterable[types.Photo], undos: Iterable[types.Undo]
) -> PersonWithPhotos:
    """As on the wire."""
    entries = [
        Photo(
            photo_id=photo.photo_id,
            created_at=photo.created_at,
            quality=quality(photo.quality),
            url=photo_url(photo),
        )
        for photo in photos
    ]
    return PersonWithPhotos.model_validate(
        {**_person_fields(value), "photos": entries, "undos": [undo(item) for item in undos]}
    )


def photos_added(value: types.Enrolment) -> PhotosAdded:
    """As on the wire."""
    return PhotosAdded.model_validate(_enrolment_fields(value))


def registration(value: types.Enrolment) -> Registration:
    """As on the wire."""
    return Registration.model_validate(
        {
            **_enrolment_fields(value),
            "name": value.person.name,
            "relationship": value.person.relationship,
            "metadata": dict(value.person.metadata),
            "created_at": value.person.created_at,
        }
    )


def _person_fields(value: types.Person) -> dict[str, Any]:
    return {
        "person_id": value.person_id,
        "name": value.name,
        "relationship": value.relationship,
        "metadata": dict(value.metadata),
        "embedding_count": value.embedding_count,
        "views": value.views,
        "consent": None if value.consent is None else consent_to_json(value.consent),
        "last_seen_at": value.last_seen_at,
        "created_at": value.created_at,
        "updated_at": value.updated_at,
    }


def _enrolment_fields(value: types.Enrolment) -> dict[str, Any]:
    return {
        "person_id": value.person.person_id,
        "embedding_count": value.person.embedding_count,
        "views": value.person.views,
        "photos": [_outcome(outcome) for outcome in value.outcomes],
        "warnings": [warning(caution) for caution in value.cautions],
        "advice": help_or_none(value.advice),
    }


def _outcome(value: types.PhotoOutcome) -> PhotoOutcome:
    if value.error is not None:
        return PhotoOutcome(status="rejected", code=value.error.code, message=value.error.message)
    assert value.photo is not None  # noqa: S101 - one of the two is always there
    return PhotoOutcome(status="accepted", photo_id=value.photo.photo_id, quality=quality(value.photo.quality))
