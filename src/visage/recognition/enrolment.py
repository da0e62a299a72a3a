"""Which photos may be remembered: one face that is meant, and that can be seen. And what else a request brings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from visage.bank.rules import fits
from visage.errors import FaceNotUsable, InputError, MultipleFaces, NoFaceDetected, VisageError
from visage.recognition.choosing import Meant, Offer, Offered, other_faces, pixels
from visage.types import Advice, Caution, Consent, Embedding, Enrolment, Face, NewPhoto, Person, Photo, PhotoOutcome
from visage.vision.embed import unit
from visage.vision.image import Limits, decode
from visage.vision.quality import ADVICE

_DOMINANCE = 1.7
"""A face stands out where it is at least so many times as prominent as the next that could be remembered. The middle
one of three people of one size, side by side over the whole picture, does not: it is 1.6 times as prominent."""

_CENTRE_SPREAD = 0.35
"""How fast a face counts less away from the middle of the picture: the standard deviation of a bell curve, in
picture widths and heights. Of 621 portraits with people in the background this, how well they are seen, and the
dominance above refuse 3 % (57 % by area alone), and they still refuse every group photo of the tests."""

USABLE = 20
"""A face of lower quality (0–100) is not remembered: two of three such pictures do not look like their own person."""

_GOOD_ENOUGH = 40
"""A face of lower quality is remembered with a warning."""

_SAME_PICTURE = 0.5
"""Mean difference of two portraits, in grey values of 0–255, up to which they are of one picture. Decoded by another
version of the codec it changes by a fifth of that; saved again as a JPEG of high quality by more
(`docs/decisions/0028-views.md`)."""


class Details(NamedTuple):
    """What a request says of a person, beside the name."""

    relationship: str | None = None
    metadata: Mapping[str, Any] = {}
    consent: Consent | None = None


_SEEN_WELL = 50
"""A face of lower quality (0–100) counts less. So does one that the detector is less sure of, by the square: who is
half hidden behind another has a box as large, and a lower score."""


def prominence(face: Face, width: int, height: int) -> float:
    """How much a picture of (width, height) pixels is a picture of this face: its area, less away from the middle,
    and less where it is not seen well."""
    x = (face.box.x + face.box.width / 2) / width - 0.5
    y = (face.box.y + face.box.height / 2) / height - 0.5
    seen = face.detection_score**2 * min(1.0, (face.quality.score + 5) / _SEEN_WELL)
    return seen * face.box.area * float(np.exp(-(x**2 + y**2) / (2 * _CENTRE_SPREAD**2)))


def dominant_face(faces: Sequence[Face], width: int, height: int) -> Face:
    """The face that a picture of (width, height) pixels is of.

    Raises:
        NoFaceDetected: there is none.
        MultipleFaces: none of several stands out; `details.faces` gives the boxes.
    """
    if not faces:
        raise NoFaceDetected
    clear = [face for face in faces if face.is_clear] or faces
    ranked = by_prominence(clear, width, height)
    if len(ranked) > 1:
        first, second = (prominence(face, width, height) for face in ranked[:2])
        if first < _DOMINANCE * second:
            raise MultipleFaces(details={"faces": [pixels(face.box) for face in ranked]})
    return ranked[0]


def by_prominence(faces: Sequence[Face], width: int, height: int) -> list[Face]:
    """The faces of a picture of (width, height) pixels, the one that it is most of first."""
    return sorted(faces, key=lambda face: prominence(face, width, height), reverse=True)


def offer_of(faces: Sequence[Face], size: Sequence[int], offered: Callable[[Face], Offered]) -> Offer:
    """Those of the faces of a picture that can be remembered.

    Args:
        faces: of the picture.
        size: its width and height, pixels.
        offered: makes of a face what is offered.
    """
    width, height = size
    refusal = None
    try:
        usable(dominant_face(faces, width, height))
    except InputError as error:
        refusal = error.alone()
    able = [face for face in by_prominence(faces, width, height) if face.quality.score >= USABLE]
    return Offer(tuple(offered(face) for face in able), refusal)


def usable(face: Face) -> Face:
    """The face itself.

    Raises:
        FaceNotUsable: too little of it can be seen; the message says what to do about it.
    """
    if face.quality.score < USABLE:
        advice = [ADVICE[issue] for issue in face.quality.issues]
        raise FaceNotUsable(" ".join([FaceNotUsable.default_message + ".", *advice]))
    return face


def is_same_picture(one: bytes, other: bytes) -> bool:
    """Are two portraits (JPEG), cut out of two files, of one and the same picture?"""
    if one == other:
        return True
    first, second = (decode(portrait, Limits()).astype(np.int16) for portrait in (one, other))
    return first.shape == second.shape and float(np.abs(first - second).mean()) <= _SAME_PICTURE


def completed(person: Person, details: Details) -> tuple[dict[str, Any], list[Caution]]:
    """What a person gets of the details that came with a further photo: what was not known yet. What was stays, and
    is reported where it differs."""
    changes: dict[str, Any] = {}
    kept: list[str] = []
    for field, held, sent in (
        ("relationship", person.relationship, details.relationship),
        ("consent", person.consent, details.consent),
    ):
        if sent is not None and held is None:
            changes[field] = sent
        elif sent not in (None, held):
            kept.append(field)
    metadata = {**details.metadata, **person.metadata}
    if not fits(metadata):
        metadata = dict(person.metadata)
    differing = [
        key
        for key, value in details.metadata.items()
        if key not in metadata or _as_json(metadata[key]) != _as_json(value)
    ]
    if metadata.keys() != person.metadata.keys():
        changes["metadata"] = metadata
    if differing:
        kept.append("metadata")
    return changes, [
        Caution(
            "KEPT_AS_WAS",
            f"{person.name} was here already: the {field} stays as it was, and what was sent is not kept",
            {"field": field} | ({"keys": differing} if field == "metadata" else {}),
        )
        for field in kept
    ]


def _as_json(value: Any) -> str:
    """Another text for every other JSON value: to Python `1`, `1.0` and `true` are equal."""
    return json.dumps(value, sort_keys=True)


def poor_photos(outcomes: Sequence[PhotoOutcome]) -> list[Caution]:
    """A caution for each photo that is kept though it is poor."""
    return [
        Caution(
            "LOW_QUALITY",
            " ".join([f"Photo {index} is poor.", *(ADVICE[issue] for issue in outcome.quality.issues)]),
            {"photo": index, "score": outcome.quality.score},
        )
        for index, outcome in enumerate(outcomes, start=1)
        if outcome.quality is not None and outcome.quality.score < _GOOD_ENOUGH
    ]


def photos_of(results: Sequence[Meant | VisageError]) -> list[NewPhoto]:
    """The photos among the results; where there is none, the first error is raised."""
    photos = [result.face.photo for result in results if isinstance(result, Meant)]
    if not photos:
        raise next(result for result in results if isinstance(result, VisageError))
    return photos


def template_of(photos: Sequence[NewPhoto]) -> Embedding:
    """What photos of one person show together: (D,) float32, unit length."""
    return unit(np.mean([photo.embedding for photo in photos], axis=0, dtype=np.float32))


def strays(photos: Sequence[NewPhoto], same_person: float, same_view: float) -> list[float | None]:
    """For each photo of somebody new that is unlike most of the others, how alike it is to them; None for the rest.
    Copies of it do not speak for it; of two, the later one is the one that does not fit.

    Args:
        photos: of one request.
        same_person: cosine from which two photos are taken for one person's.
        same_view: cosine from which they are copies.
    """
    found: list[float | None] = []
    for row, photo in enumerate(photos):
        likenesses = [float(each.embedding @ photo.embedding) for each in photos]
        others = [place for place, likeness in enumerate(likenesses) if likeness < same_view]
        unlike = sum(likenesses[place] < same_person for place in others)
        is_odd = others[0] < row and unlike > 0 if len(others) == 1 else 2 * unlike > len(others)
        found.append(float(photo.embedding @ template_of([photos[place] for place in others])) if is_odd else None)
    return found


def misfit(person: Person, index: int, similarity: float) -> Caution:
    """A caution for the photo of this number: it is too little like the person's others."""
    return Caution(
        "DOES_NOT_FIT",
        f"Photo {index} does not look like the other photos of {person.name}",
        {"photo": index, "similarity": round(similarity, 4)},
    )


def misfits(person: Person, results: Sequence[Meant | VisageError], odd: Sequence[float | None]) -> list[Caution]:
    """A caution for each photo that does not fit: `odd` has its likeness to the others, None for those that do."""
    rows = [index for index, result in enumerate(results, start=1) if isinstance(result, Meant)]
    return [misfit(person, index, each) for index, each in zip(rows, odd, strict=True) if each is not None]


def distinct(photos: Sequence[NewPhoto], same_view: float) -> tuple[list[NewPhoto], list[int]]:
    """The different pictures among photos, and for each photo which of them it is."""
    fresh: list[NewPhoto] = []
    places = []
    for new in photos:
        same = (
            place
            for place, photo in enumerate(fresh)
            if float(photo.embedding @ new.embedding) >= same_view and is_same_picture(photo.picture, new.picture)
        )
        places.append(next(same, len(fresh)))
        if places[-1] == len(fresh):
            fresh.append(new)
    return fresh, places


def enrolment_of(
    person: Person,
    offers: Sequence[Offer],
    results: Sequence[Meant | VisageError],
    kept: Sequence[Photo],
    held: Mapping[int, Photo],
    cautions: Sequence[Caution],
    advice: Advice | None,
) -> Enrolment:
    """The reply.

    Args:
        person: as they are now.
        offers, results: one an image.
        kept: the photo in the bank of each face that was meant, in order.
        held: those that were there before, by their place among them.
        cautions: so far.
        advice: what would help more.
    """
    outcomes: list[PhotoOutcome] = []
    copies: list[Caution] = []
    seen = {photo.photo_id for photo in held.values()}
    rows = iter(kept)
    for index, result in enumerate(results, start=1):
        if isinstance(result, VisageError):
            outcomes.append(PhotoOutcome(None, None, result))
            continue
        photo = next(rows)
        if photo.photo_id in seen:
            copies.append(
                Caution(
                    "SAME_PHOTO",
                    f"Photo {index} is here already, and is kept once",
                    {"photo": index, "photo_id": photo.photo_id},
                )
            )
        seen.add(photo.photo_id)
        outcomes.append(PhotoOutcome(photo, photo.quality, None))
    cautions = [*cautions, *other_faces(offers, results), *copies, *poor_photos(outcomes)]
    return Enrolment(person, tuple(outcomes), tuple(cautions), advice)
