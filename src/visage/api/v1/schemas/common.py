"""What several subjects have on the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from visage import types
from visage.vision.quality import ADVICE

Time = Annotated[
    datetime,
    PlainSerializer(lambda time: time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), return_type=str),
    Field(json_schema_extra={"format": "date-time"}, examples=["2025-12-04T10:30:00Z"]),
]
"""RFC 3339, UTC, whole seconds."""


VIEWS = "Different views among the photos; near copies of a photo are one"


PERSON_ID = "9b2f6c1e-8f0a-4a52-9c55-0d6f2b6f3a10"


PERSON: dict[str, Any] = {
    "person_id": PERSON_ID,
    "name": "John Doe",
    "relationship": "Friend",
    "metadata": {},
    "embedding_count": 1,
    "views": 1,
    "created_at": "2025-12-04T10:30:00Z",
    "updated_at": "2025-12-04T10:30:00Z",
}


class Box(BaseModel):
    """Pixels, origin top left of the image as a person sees it."""

    x: int
    y: int
    width: int
    height: int


class Advice(BaseModel):
    """An issue in words."""

    issue: types.Issue
    message: str


class Quality(BaseModel):
    """How far a picture of a face can be trusted, 0–100, what is wrong with it, and how to do better."""

    score: int = Field(ge=0, le=100)
    issues: list[types.Issue]
    advice: list[Advice]


class PersonName(BaseModel):
    """Who."""

    person_id: str
    name: str
    relationship: str | None


class Warning_(BaseModel):  # noqa: N801 - `Warning` is Python's
    """Something to look at; nothing was refused for it."""

    model_config = ConfigDict(title="Warning")

    code: str
    message: str
    details: dict[str, Any]


class Help(BaseModel):
    """What would make someone be recognised more often."""

    code: Literal["BETTER_PHOTO", "MORE_PHOTOS"]
    message: str
    view: Literal["into_the_camera", "another_day"] = Field(description="Which photo would help most")
    right_now: float = Field(description="Part of looks named right, as measured with 300 persons; 0–1", ge=0, le=1)
    right_then: float = Field(description="… and with such a photo", ge=0, le=1)


class Undo(BaseModel):
    """A correction that was made, and can be taken back for 30 days."""

    undo_id: str
    person_id: str
    what: Literal["not-me", "is-me", "merge"]
    created_at: Time


def quality(value: types.Quality) -> Quality:
    """As on the wire."""
    advice = [Advice(issue=issue, message=ADVICE[issue]) for issue in value.issues]
    return Quality(score=value.score, issues=list(value.issues), advice=advice)


def undo(value: types.Undo) -> Undo:
    """As on the wire."""
    return Undo.model_validate(undo_fields(value))


def undo_fields(value: types.Undo) -> dict[str, Any]:
    return {
        "undo_id": value.undo_id,
        "person_id": value.person_id,
        "what": value.kind,
        "created_at": value.created_at,
    }


def name_fields(value: types.Person) -> dict[str, Any]:
    return {"person_id": value.person_id, "name": value.name, "relationship": value.relationship}


def photo_url(photo: types.Photo) -> str:
    return f"/api/v1/persons/{photo.person_id}/photos/{photo.photo_id}"


def warning(value: types.Caution) -> Warning_:
    return Warning_(code=value.code, message=value.message, details=dict(value.details))


def help_or_none(value: types.Advice | None) -> Help | None:
    return None if value is None else help_of(value)


def help_of(value: types.Advice) -> Help:
    return Help(
        code=value.code,
        message=value.message,
        view=value.view,
        right_now=value.right_now,
        right_then=value.right_then,
    )
