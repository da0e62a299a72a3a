"""Corrections on the wire."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from visage import types
from visage.api.v1.schemas.common import PERSON_ID, Box, Help, Undo, Warning_, help_or_none, undo_fields, warning
from visage.api.v1.schemas.people import Person, person


class WhichIdentification(BaseModel):
    """Which answer is meant."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"identification_id": PERSON_ID}})

    identification_id: str
    box: Box | None = Field(default=None, description="Which face is meant, of several, as the answer has it")


class Merge(BaseModel):
    """Who is the same person."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"from": PERSON_ID}})

    source: str = Field(alias="from", description="The person whose photos move over, and who goes")


class Merged(Undo):
    """Two persons are one; `undo_id` takes it back."""

    person: Person


class Confirmed(Undo):
    """A look was taught; `undo_id` takes back all of it."""

    embedding_count: int
    photo_id: str | None = Field(description="The look as a photo of the person; null where it shows nothing new")
    warnings: list[Warning_]
    advice: Help | None = Field(description="What would help more; null where there is enough")


def merged(value: types.Undo, into: types.Person) -> Merged:
    """As on the wire."""
    return Merged.model_validate({**undo_fields(value), "person": person(into)})


def confirmed(value: types.Confirmation) -> Confirmed:
    """As on the wire."""
    return Confirmed.model_validate(
        {
            **undo_fields(value.undo),
            "embedding_count": value.person.embedding_count,
            "photo_id": value.photo.photo_id if value.photo else None,
            "warnings": [warning(caution) for caution in value.cautions],
            "advice": help_or_none(value.advice),
        }
    )
