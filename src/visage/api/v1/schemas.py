"""What goes over the wire, and how the program's values become it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from visage import types
from visage.admin.keys import Role
from visage.api.gate.roles import METADATA_FOR_VIEWERS, PERSON_FIELDS, UNDOS_FOR_VIEWERS
from visage.bank.bank import name_key
from visage.bank.store import consent_to_json
from visage.recognition import report as reports
from visage.recognition import sightings, unknowns
from visage.recognition.enrolment import USABLE
from visage.vision.quality import ADVICE

T = TypeVar("T")

Time = Annotated[
    datetime,
    PlainSerializer(lambda time: time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), return_type=str),
    Field(json_schema_extra={"format": "date-time"}, examples=["2025-12-04T10:30:00Z"]),
]
"""RFC 3339, UTC, whole seconds."""

_VIEWS = "Different views among the photos; near copies of a photo are one"

_PERSON_ID = "9b2f6c1e-8f0a-4a52-9c55-0d6f2b6f3a10"
_PERSON: dict[str, Any] = {
    "person_id": _PERSON_ID,
    "name": "John Doe",
    "relationship": "Friend",
    "metadata": {},
    "embedding_count": 1,
    "views": 1,
    "created_at": "2025-12-04T10:30:00Z",
    "updated_at": "2025-12-04T10:30:00Z",
}


class HealthStatus(BaseModel):
    """That the server is well: all that it tells without a key, where it asks for one."""

    status: Literal["ok"] = "ok"


class Health(HealthStatus):
    """State of the server."""

    version: str
    model: str
    persons: int
    embeddings: int
    uptime_s: float


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
            "example": {"person_id": _PERSON_ID, "name": "John Doe", "relationship": "Friend", "confidence": 0.87}
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

    model_config = ConfigDict(json_schema_extra={"example": _PERSON})

    person_id: str
    name: str
    relationship: str | None
    metadata: dict[str, Any]
    embedding_count: int
    views: int = Field(description=_VIEWS)
    created_at: Time
    updated_at: Time
    consent: Consent | None = None
    last_seen_at: Time | None = Field(
        None, description="Within an hour; null where that is not remembered (`GET /settings`)"
    )


PersonT = TypeVar("PersonT", bound=Person)


class Undo(BaseModel):
    """A correction that was made, and can be taken back for 30 days."""

    undo_id: str
    person_id: str
    what: Literal["not-me", "is-me", "merge"]
    created_at: Time


class PersonWithPhotos(Person):
    """Someone who is remembered, with the photos, and the corrections that can be undone."""

    model_config = ConfigDict(json_schema_extra={"example": {**_PERSON, "photos": [], "undos": []}})

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


class PhotosAdded(BaseModel):
    """What became of the images."""

    person_id: str
    embedding_count: int
    views: int = Field(description=_VIEWS)
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


class WhichIdentification(BaseModel):
    """Which answer is meant."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"identification_id": _PERSON_ID}})

    identification_id: str


class WhichPerson(BaseModel):
    """Who it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"person_id": _PERSON_ID}})

    person_id: str


class Merge(BaseModel):
    """Who is the same person."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"from": _PERSON_ID}})

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


class PersonName(BaseModel):
    """Who."""

    person_id: str
    name: str
    relationship: str | None


class Thin(PersonName):
    """Someone of whom there are photos of fewer than three views."""

    embedding_count: int
    views: int = Field(description=_VIEWS)


class LookAlikes(BaseModel):
    """Two persons who are hard to tell apart; each may be called by the other's name. Or they are the same?"""

    persons: tuple[PersonName, PersonName]
    similarity: float
    same_name: bool


class Misfit(PersonName):
    """A photo that does not look like the others of its person."""

    photo_id: str
    url: str
    similarity: float = Field(description="Cosine to the person's other photos")
    looks_like: PersonName | None = Field(description="Another person whom it looks like")


class HelpFor(PersonName):
    """Who would be recognised more often by another photo."""

    advice: Help


class Seen(PersonName):
    """How often someone was recognised since the server was started, and when last."""

    times: int
    last_seen_at: Time


class Closeness(BaseModel):
    """How alike the people in the bank are. Where they are more alike than most, a stranger is likelier to be taken
    for one of them, and Visage asks for a clearer likeness before it says a name."""

    more_alike: bool = Field(description="They are more alike than most people, and names start further up for it")
    times_as_many: float = Field(description="Pairs of people who look alike, as a multiple of what is usual")
    threshold: float = Field(description="Cosine from which somebody with three photos is named here")
    usual_threshold: float = Field(description="The same in a bank of this size whose people differ as most do")


class BankReport(BaseModel):
    """What to look at in the bank."""

    persons: int
    closeness: Closeness
    thin: list[Thin]
    look_alikes: list[LookAlikes]
    misfits: list[Misfit]
    advice: list[HelpFor]
    seen: list[Seen]


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


def quality(value: types.Quality) -> Quality:
    """As on the wire."""
    advice = [Advice(issue=issue, message=ADVICE[issue]) for issue in value.issues]
    return Quality(score=value.score, issues=list(value.issues), advice=advice)


def person(value: types.Person) -> Person:
    """As on the wire."""
    return Person.model_validate(_person_fields(value))


def as_seen_by(role: Role, value: PersonT) -> PersonT:
    """A person without what is not for this role (`gate/roles.py`)."""
    hidden: dict[str, Any] = {
        "metadata": {key: text for key, text in value.metadata.items() if key in METADATA_FOR_VIEWERS},
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
            url=_photo_url(photo),
        )
        for photo in photos
    ]
    return PersonWithPhotos.model_validate(
        {**_person_fields(value), "photos": entries, "undos": [undo(item) for item in undos]}
    )


def undo(value: types.Undo) -> Undo:
    """As on the wire."""
    return Undo.model_validate(_undo_fields(value))


def merged(value: types.Undo, into: types.Person) -> Merged:
    """As on the wire."""
    return Merged.model_validate({**_undo_fields(value), "person": person(into)})


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


def confirmed(value: types.Confirmation) -> Confirmed:
    """As on the wire."""
    return Confirmed.model_validate(
        {
            **_undo_fields(value.undo),
            "embedding_count": value.person.embedding_count,
            "photo_id": value.photo.photo_id if value.photo else None,
            "warnings": [_warning(caution) for caution in value.cautions],
            "advice": _help(value.advice),
        }
    )


def bank_report(
    report: reports.Report,
    closeness: reports.Closeness,
    advice: Iterable[tuple[types.Person, types.Advice]],
    seen: Iterable[sightings.Seen],
) -> BankReport:
    """As on the wire."""
    return BankReport(
        persons=report.persons,
        closeness=Closeness(
            more_alike=closeness.more_alike,
            times_as_many=round(closeness.times_as_many, 2),
            threshold=round(closeness.threshold, 4),
            usual_threshold=round(closeness.usual_threshold, 4),
        ),
        thin=[Thin(**_name(item), embedding_count=item.embedding_count, views=item.views) for item in report.thin],
        look_alikes=[
            LookAlikes(
                persons=(PersonName(**_name(pair.first)), PersonName(**_name(pair.second))),
                similarity=round(pair.similarity, 4),
                same_name=name_key(pair.first.name) == name_key(pair.second.name),
            )
            for pair in report.look_alikes
        ],
        misfits=[
            Misfit(
                **_name(item.person),
                photo_id=item.photo.photo_id,
                url=_photo_url(item.photo),
                similarity=round(item.similarity, 4),
                looks_like=PersonName(**_name(item.looks_like)) if item.looks_like else None,
            )
            for item in report.misfits
        ],
        advice=[HelpFor(**_name(person), advice=_help_of(words)) for person, words in advice],
        seen=[Seen(**_name(item.person), times=item.times, last_seen_at=item.last_seen_at) for item in seen],
    )


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


def _name(value: types.Person) -> dict[str, Any]:
    return {"person_id": value.person_id, "name": value.name, "relationship": value.relationship}


def _photo_url(photo: types.Photo) -> str:
    return f"/api/v1/persons/{photo.person_id}/photos/{photo.photo_id}"


def _undo_fields(value: types.Undo) -> dict[str, Any]:
    return {
        "undo_id": value.undo_id,
        "person_id": value.person_id,
        "what": value.kind,
        "created_at": value.created_at,
    }


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


def _enrolment_fields(value: types.Enrolment) -> dict[str, Any]:
    return {
        "person_id": value.person.person_id,
        "embedding_count": value.person.embedding_count,
        "views": value.person.views,
        "photos": [_outcome(outcome) for outcome in value.outcomes],
        "warnings": [_warning(caution) for caution in value.cautions],
        "advice": _help(value.advice),
    }


def _warning(value: types.Caution) -> Warning_:
    return Warning_(code=value.code, message=value.message, details=dict(value.details))


def _help(value: types.Advice | None) -> Help | None:
    return None if value is None else _help_of(value)


def _help_of(value: types.Advice) -> Help:
    return Help(
        code=value.code,
        message=value.message,
        view=value.view,
        right_now=value.right_now,
        right_then=value.right_then,
    )


def _outcome(value: types.PhotoOutcome) -> PhotoOutcome:
    if value.error is not None:
        return PhotoOutcome(status="rejected", code=value.error.code, message=value.error.message)
    assert value.photo is not None  # noqa: S101 - one of the two is always there
    return PhotoOutcome(status="accepted", photo_id=value.photo.photo_id, quality=quality(value.photo.quality))
