"""The values that travel between the layers: frozen, without behaviour of their own.

Pixel coordinates refer to the image as a person sees it (EXIF orientation applied), origin top left,
x to the right, y down. Left and right of a face are the subject's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visage.errors import VisageError

Image = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""

Embedding = NDArray[np.float32]
"""(D,) float32, unit length."""


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height


class Issue(StrEnum):
    """What is wrong with a picture of a face."""

    TOO_SMALL = "TOO_SMALL"
    BLURRED = "BLURRED"
    TOO_DARK = "TOO_DARK"
    TOO_BRIGHT = "TOO_BRIGHT"
    LOW_CONTRAST = "LOW_CONTRAST"
    TURNED_AWAY = "TURNED_AWAY"
    CUT_OFF = "CUT_OFF"
    OCCLUDED = "OCCLUDED"
    NO_CLEAR_FACE = "NO_CLEAR_FACE"


@dataclass(frozen=True, slots=True)
class Quality:
    """How far a picture of a face can be trusted: 0 (useless) to 100, and why not more."""

    score: int
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a face looks, degrees: 0 is into the camera, positive yaw to the subject's left, positive pitch down."""

    yaw: float
    pitch: float


_ON_ITS_SIDE = 100.0
"""Degrees of roll, either way, that a face on a pillow may have."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one image.

    Attributes:
        box: around what the image shows of the face, forehead to chin.
        landmarks: (5, 2) float32 pixels (x, y): right eye, left eye, nose tip, right and left mouth corner.
        detection_score: 0–1.
        quality: of the picture of this face.
        pose: where it looks.
        embedding: (D,) float32, unit length; all 0 of what is not clearly a face: it is like nobody.
        portrait: the face upright with a margin, as it is stored (`vision/align.py` gives its geometry);
            None where it was not asked for.
    """

    box: Box
    landmarks: NDArray[np.float32]
    detection_score: float
    quality: Quality
    pose: Pose
    embedding: Embedding
    portrait: Image | None = None

    @property
    def is_clear(self) -> bool:
        """It is an upright face, seen well enough to be embedded."""
        return Issue.NO_CLEAR_FACE not in self.quality.issues

    @property
    def is_overturned(self) -> bool:
        """It lies upside down, or nearly so: rolled further than a head that lies on its side."""
        right, left = self.landmarks[0], self.landmarks[1]
        across, down = left - right
        return abs(math.degrees(math.atan2(down, across))) > _ON_ITS_SIDE


@dataclass(frozen=True, slots=True)
class Consent:
    """That somebody agreed to a person being remembered.

    Attributes:
        given_by: who agreed: the person, or who may speak for them.
        capacity: in what capacity: "self", "parent", "legal guardian", "attorney".
        given_on: when.
        valid_until: until when; None for until it is withdrawn.
        text_version: which text was agreed to.
    """

    given_by: str
    capacity: str
    given_on: date
    valid_until: date | None = None
    text_version: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who is remembered."""

    person_id: str
    name: str
    relationship: str | None
    metadata: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    embedding_count: int = 0
    views: int = 0
    """Distinct views among the photos that are embedded: near copies of each other are one."""
    consent: Consent | None = None
    last_seen_at: datetime | None = None
    """Kept only where a carer has switched that on; within an hour."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One remembered picture of a person's face; its pixels stay in the store until asked for."""

    photo_id: str
    person_id: str
    quality: Quality
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Undo:
    """How to take a correction back.

    Attributes:
        undo_id: names it.
        person_id: whom it belongs to; it goes with that person.
        kind: what was corrected.
        content: what must be known to take it back: ids, and the record of a person who was merged away.
        created_at: when the correction was made.
    """

    undo_id: str
    person_id: str
    kind: Literal["not-me", "is-me", "merge"]
    content: Mapping[str, Any]
    created_at: datetime

    @property
    def source_id(self) -> str | None:
        """Who comes back when it is taken back; None where nobody does."""
        return self.content["person"]["person_id"] if self.kind == "merge" else None


@dataclass(frozen=True, slots=True, eq=False)
class NewPhoto:
    """A photo on its way into the bank: `picture` is a JPEG of the portrait."""

    embedding: Embedding
    picture: bytes
    quality: Quality


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person that a probe might be."""

    person: Person
    similarity: float
    """Cosine between unit embeddings, −1 to 1."""
    confidence: float
    """Calibrated probability, 0–1, that the probe is this person, given the size of the bank."""


class Status(StrEnum):
    """The three answers."""

    KNOWN = "known"
    UNCERTAIN = "uncertain"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class IdentifiedFace:
    """A face and what was decided about it; `match` is set where, and only where, the status is known."""

    face: Face
    status: Status
    match: Candidate | None
    candidates: tuple[Candidate, ...] = ()
    track_id: int | None = None
    unknown_id: str | None = None
    """Of the entry among the unknown faces that waits to be named, where there is one."""


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """The faces of one image, before anyone asks whose they are: which one it would be registered as, or why it could
    not be."""

    width: int
    height: int
    faces: tuple[Face, ...]
    meant: Face | None
    refusal: VisageError | None
    passed_over: int = 0
    """Smaller faces that were not looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Identification:
    """What Visage says about one image; `identification_id` names it for as long as it can be corrected."""

    identification_id: str
    timestamp: datetime
    width: int
    height: int
    faces: tuple[IdentifiedFace, ...] = ()
    match: Candidate | None = None
    """The largest of the recognised faces."""
    timing_ms: Mapping[str, float] = field(default_factory=dict)
    """decode, detect, embed, search, total."""
    passed_over: int = 0
    """Smaller faces that were not looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class PhotoOutcome:
    """What became of one image offered for enrolment: a photo, or the error that refused it."""

    photo: Photo | None
    quality: Quality | None
    error: VisageError | None


@dataclass(frozen=True, slots=True)
class Caution:
    """Something a carer should look at; nothing was refused for it."""

    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Advice:
    """What would make someone be recognised more often.

    Attributes:
        code: a better photo, or more of them.
        message: for a person to read.
        view: which photo would help most.
        right_now, right_then: part of looks that are named right, before and after; measured with 300 persons.
    """

    code: Literal["BETTER_PHOTO", "MORE_PHOTOS"]
    message: str
    view: Literal["into_the_camera", "another_day"]
    right_now: float
    right_then: float


@dataclass(frozen=True, slots=True, eq=False)
class Enrolment:
    """The result of registering, or of adding photos: one outcome an image, in order."""

    person: Person
    outcomes: tuple[PhotoOutcome, ...]
    cautions: tuple[Caution, ...] = ()
    advice: Advice | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Confirmation:
    """The result of "yes, that is Anna".

    Attributes:
        undo: takes back all of it.
        person: who it is.
        photo: the look, where it was kept as a photo.
        cautions: what to look at.
        advice: what would help more.
    """

    undo: Undo
    person: Person
    photo: Photo | None
    cautions: tuple[Caution, ...]
    advice: Advice | None


@dataclass(frozen=True, slots=True)
class Verification:
    """One against one."""

    same: bool
    similarity: float
    confidence: float
