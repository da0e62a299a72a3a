"""Which face of an image is meant, where several could be: the one in a box; else the one that is kept of this very
image already; else the one who is known by the name; else the one that the other images of the request show too; else
the one that stands out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visage.errors import InvalidValue, NoFaceDetected, VisageError
from visage.types import Box, Caution, Embedding, Face, NewPhoto

_OVERLAP = 0.3
"""A box is around the face with which it shares at least this part of what the two cover together. Boxes of other
detectors, with ears and hair or without the forehead, share more."""


@dataclass(frozen=True, slots=True, eq=False)
class Offered:
    """One face that could be remembered, and where it is in its picture."""

    box: Box
    photo: NewPhoto


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """One image on its way into the bank.

    Attributes:
        faces: those that could be remembered, the most prominent first. Where `box` chose, only that one.
        refusal: why none of them is meant, as far as the image alone tells; None where it is the first.
    """

    faces: tuple[Offered, ...]
    refusal: VisageError | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Meant:
    """Which face of an image is meant.

    Attributes:
        face: the one.
        doubtful: it may be another one, where there is one: nobody of that name is known, or two look like them.
    """

    face: Offered
    doubtful: bool


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A person whom the images may show.

    Attributes:
        template: (D,) float32, unit length.
        threshold: cosine from which a face is taken for theirs.
        held: by image, the face that is kept of it already.
    """

    template: Embedding
    threshold: float
    held: Mapping[int, Meant]


def face_in(faces: Sequence[Face], box: Box, field: str = "box") -> Face:
    """The face that a box is around: the one that it covers best; else the only one whose middle lies in it, as in a
    box around head and shoulders; else the only one in which the middle of the box lies, as in a touch.

    Args:
        faces: of the image.
        box: pixels of the image, by whichever detector or hand.
        field: of the request that brought the box.

    Raises:
        NoFaceDetected: there is no face.
        InvalidValue: the box fits none of them.
    """
    if not faces:
        raise NoFaceDetected
    best = max(faces, key=lambda face: _overlap(face.box, box))
    if _overlap(best.box, box) >= _OVERLAP:
        return best
    for inside in (
        [face for face in faces if _holds(box, face.box)],
        [face for face in faces if _holds(face.box, box)],
    ):
        if len(inside) == 1:
            return inside[0]
    reason = "fits no face of the image, or more than one"
    raise InvalidValue(
        f"{field}: {reason}",
        {
            "fields": [{"field": field, "message": reason}],
            "faces": [pixels(face.box) for face in faces],
        },
    )


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0–1."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (one.area + other.area - shared)


def _holds(outer: Box, inner: Box) -> bool:
    """Does the middle of the one lie in the other?"""
    x, y = inner.x + inner.width / 2, inner.y + inner.height / 2
    return outer.x <= x <= outer.x + outer.width and outer.y <= y <= outer.y + outer.height


def pixels(box: Box) -> dict[str, int]:
    """As on the wire."""
    return {"x": round(box.x), "y": round(box.y), "width": round(box.width), "height": round(box.height)}


def meant(
    offers: Sequence[Offer],
    known: Sequence[Known],
    same_person: float,
) -> list[Meant | VisageError]:
    """Which face of each image is meant, where several could be.

    The one that whoever is known by the name has of that image already; else the one that matches them; else the one
    that the other images of the request show too; else the one that stands out in its image.

    Args:
        offers: of one request: images of one person.
        known: persons whom the images may show.
        same_person: cosine from which two photos are taken for one person's.

    Returns: for each image the face, or why there is none.
    """
    taken = _known_in(offers, known) or _agreed(offers, same_person)
    results: list[Meant | VisageError] = []
    for image, offer in enumerate(offers):
        if image in taken:
            results.append(taken[image])
        elif offer.refusal is not None:
            results.append(offer.refusal)
        else:
            results.append(Meant(offer.faces[0], doubtful=True))
    return results


def _known_in(offers: Sequence[Offer], known: Sequence[Known]) -> dict[int, Meant]:
    """Of one person, of those who are known by the name, the face in each image that shows one: the person who has
    the most of the images already, of several the one whom the most show, and then the likeliest. In doubt where two
    faces match, as those of sisters do."""
    best: tuple[int, int, float] = (0, 0, -1.0)
    found: dict[int, Meant] = {}
    for person in known:
        shown, nearest = dict(person.held), -1.0
        for image, offer in enumerate(offers):
            likenesses = [float(face.photo.embedding @ person.template) for face in offer.faces]
            matching = sum(likeness >= person.threshold for likeness in likenesses)
            if matching:
                face = offer.faces[likenesses.index(max(likenesses))]
                shown.setdefault(image, Meant(face, doubtful=matching > 1))
                nearest = max(nearest, *likenesses)
        if (rank := (len(person.held), len(shown), nearest)) > best:
            best, found = rank, shown
    return found


def _agreed(offers: Sequence[Offer], same_person: float) -> dict[int, Meant]:
    """The faces, one an image, of the person whom the most images show. Where several persons are in as many, as a
    couple is, of those the one who stands out in the most, and then in the first; nobody where nobody stands out."""
    faces = [(image, place) for image, offer in enumerate(offers) for place in range(len(offer.faces))]
    images = np.array([image for image, _ in faces])
    if len(np.unique(images)) < 2 or len(images) == len(np.unique(images)):
        return {}
    vectors = np.stack([offers[image].faces[place].photo.embedding for image, place in faces])
    likenesses: NDArray[np.float32] = vectors @ vectors.T
    same = likenesses >= same_person
    stands_out = np.array([place == 0 and offers[image].refusal is None for image, place in faces])

    def rank(row: int) -> tuple[int, int, float]:
        shown = same[row] & stands_out
        first = -float(images[shown].min()) if shown.any() else -np.inf
        return len(np.unique(images[same[row]])), len(np.unique(images[shown])), first

    ranks = [rank(row) for row in range(len(faces))]
    winner = max(range(len(faces)), key=lambda row: ranks[row])
    undecided = any(ranks[row] == ranks[winner] and not same[row, winner] for row in range(len(faces)))
    if ranks[winner][0] < 2 or undecided:
        return {}
    found: dict[int, Meant] = {}
    for row in np.flatnonzero(same[winner])[np.argsort(likenesses[winner][same[winner]])]:
        image, place = faces[row]
        found[image] = Meant(offers[image].faces[place], doubtful=True)  # the most alike comes last, and stays
    return found


def other_faces(offers: Sequence[Offer], results: Sequence[Meant | VisageError]) -> list[Caution]:
    """A caution for each image of which another face could have been meant."""
    return [
        Caution(
            "OTHER_FACES",
            f"Photo {index} shows several faces, and one was taken; send its box where another one is meant",
            {"photo": index, "taken": pixels(each.face.box), "faces": [pixels(face.box) for face in offer.faces]},
        )
        for index, (offer, each) in enumerate(zip(offers, results, strict=True), start=1)
        if isinstance(each, Meant) and each.doubtful and len(offer.faces) > 1
    ]
