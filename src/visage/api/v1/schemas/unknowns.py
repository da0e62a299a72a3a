"""Unknown faces on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from visage.api.v1.schemas.common import PERSON_ID, Quality, Time, quality
from visage.recognition import unknowns


class WhichPerson(BaseModel):
    """Who it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"person_id": PERSON_ID}})

    person_id: str


class Unknown(BaseModel):
    """A face before the camera that nobody knows."""

    unknown_id: str
    first_seen_at: Time
    last_seen_at: Time
    quality: Quality
    url: str = Field(description="Where its best picture is, a JPEG")


class UnknownDismissed(BaseModel):
    """An unknown face is forgotten."""

    unknown_id: str
    deleted: Literal[True] = True


class UnknownFaces(BaseModel):
    """Kept in memory only, for ten minutes; the latest first."""

    unknowns: list[Unknown]


def unknown_faces(values: Iterable[unknowns.Unknown]) -> UnknownFaces:
    """As on the wire."""
    return UnknownFaces(
        unknowns=[
            Unknown(
                unknown_id=value.unknown_id,
                first_seen_at=value.first_seen_at,
                last_seen_at=value.last_seen_at,
                quality=quality(value.photo.quality),
                url=f"/api/v1/unknowns/{value.unknown_id}/picture",
            )
            for value in values
        ]
    )
