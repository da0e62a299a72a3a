"""Faces on the wire."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from visage import types
from visage.api.v1.schemas.common import PERSON_ID, Box, Quality, Time, quality
from visage.recognition.enrolment import USABLE


class Pose(BaseModel):
    """Where a face looks, degrees; 0 is into the camera."""

    yaw: float = Field(description="Positive to the subject's left")
    pitch: float = Field(description="Positive down")


class Candidate(BaseModel):
    """A person that a face might be."""

    person_id: str
    name: str
    relationship: str | None
    similarity: float = Field(description="Cosine of unit embeddings")
    confidence: float = Field(ge=0, le=1, description="Probability of being this person, given the size of the bank")


class Match(BaseModel):
    """The person that a face is."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"person_id": PERSON_ID, "name": "John Doe", "relationship": "Friend", "confidence": 0.87}
        }
    )

    person_id: str
    name: str
    relationship: str | None
    confidence: float = Field(ge=0, le=1)


class Face(BaseModel):
    """A face in an image."""

    box: Box
    landmarks: list[tuple[float, float]] = Field(
        description="Right eye, left eye, nose tip, right and left mouth corner, the subject's; pixels (x, y)"
    )
    detection_score: float = Field(ge=0, le=1)
    quality: Quality
    pose: Pose


class DetectedFace(Face):
    """A face, and what registering the image would make of it."""

    usable: bool = Field(description="It can be seen well enough to be remembered; `box` chooses among several")
    stands_out: bool = Field(description="Without `box`, and where nobody is known by the name, it is the one")


class IdentifiedFace(Face):
    """A face, and who it is."""

    track_id: int | None
    unknown_id: str | None = Field(description="Names this face in `/unknowns`, where it waits there to be named")
    status: types.Status
    match: Match | None
    candidates: list[Candidate]


class ImageSize(BaseModel):
    """Pixels."""

    width: int
    height: int


_PASSED_OVER = "Smaller faces that were not looked at, beyond the `VISAGE_MAX_FACES` largest"


class Identification(BaseModel):
    """Who is in an image."""

    identification_id: str = Field(description="Names this answer for ten minutes, to say that it is wrong")
    timestamp: Time
    face_detected: bool
    match: Match | None = Field(description="The largest recognised face; null where nobody is recognised")
    faces: list[IdentifiedFace]
    faces_passed_over: int = Field(description=_PASSED_OVER)
    image: ImageSize
    timing_ms: dict[str, float]


class Refusal(BaseModel):
    """Why a photo would be refused."""

    code: str
    message: str


class Detection(BaseModel):
    """The faces of an image, and whether it could be registered."""

    image: ImageSize
    faces: list[DetectedFace]
    faces_passed_over: int = Field(description=_PASSED_OVER)
    usable: bool = Field(description="Registering this image would accept it")
    refusal: Refusal | None = Field(description="Why it would not")


class Verification(BaseModel):
    """One against one."""

    same: bool
    similarity: float
    confidence: float = Field(ge=0, le=1)


def detection(value: types.Detection) -> Detection:
    """As on the wire."""
    return Detection(
        image=ImageSize(width=value.width, height=value.height),
        faces_passed_over=value.passed_over,
        faces=[
            DetectedFace.model_validate(
                {
                    **_face_fields(face),
                    "usable": face.quality.score >= USABLE,
                    "stands_out": face is value.meant,
                }
            )
            for face in value.faces
        ],
        usable=value.refusal is None,
        refusal=Refusal(code=value.refusal.code, message=value.refusal.message) if value.refusal else None,
    )


def identification(value: types.Identification) -> Identification:
    """As on the wire."""
    return Identification(
        identification_id=value.identification_id,
        timestamp=value.timestamp,
        face_detected=bool(value.faces),
        match=_match(value.match),
        faces=[
            IdentifiedFace.model_validate(
                {
                    **_face_fields(face.face),
                    "track_id": face.track_id,
                    "unknown_id": face.unknown_id,
                    "status": face.status,
                    "match": _match(face.match),
                    "candidates": [_candidate(candidate) for candidate in face.candidates],
                }
            )
            for face in value.faces
        ],
        faces_passed_over=value.passed_over,
        image=ImageSize(width=value.width, height=value.height),
        timing_ms={name: round(ms, 2) for name, ms in value.timing_ms.items()},
    )


def verification(value: types.Verification) -> Verification:
    """As on the wire."""
    return Verification(same=value.same, similarity=round(value.similarity, 4), confidence=round(value.confidence, 4))


def _face_fields(face: types.Face) -> dict[str, Any]:
    box = face.box
    return {
        "box": Box(x=round(box.x), y=round(box.y), width=round(box.width), height=round(box.height)),
        "landmarks": [(round(float(x), 1), round(float(y), 1)) for x, y in face.landmarks],
        "detection_score": round(face.detection_score, 4),
        "quality": quality(face.quality),
        "pose": Pose(yaw=round(face.pose.yaw, 1), pitch=round(face.pose.pitch, 1)),
    }


def _match(value: types.Candidate | None) -> Match | None:
    if value is None:
        return None
    return Match(
        person_id=value.person.person_id,
        name=value.person.name,
        relationship=value.person.relationship,
        confidence=round(value.confidence, 4),
    )


def _candidate(value: types.Candidate) -> Candidate:
    return Candidate(
        person_id=value.person.person_id,
        name=value.person.name,
        relationship=value.person.relationship,
        similarity=round(value.similarity, 4),
        confidence=round(value.confidence, 4),
    )
