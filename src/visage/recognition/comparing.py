"""How new photos compare with those that a person has: which are the same picture, which of several faces is that
person's, and which photo does not fit the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from visage.bank.views import template_weights, views_of
from visage.errors import BankError, PhotoNotFound, VisageError
from visage.recognition import choosing
from visage.recognition.choosing import Known, Meant, Offer, Offered
from visage.recognition.enrolment import is_same_picture, strays
from visage.recognition.gallery import Gallery
from visage.types import Embedding, NewPhoto, Person, Photo
from visage.vision.embed import unit

_TOGETHER = timedelta(microseconds=100)
"""Photos of one request are a microsecond apart, of two a write to the disk."""

Embedded = Sequence[tuple[Photo, Embedding]]
"""Photos of one person, oldest first, with what this model makes of them."""


def held(gallery: Gallery, person: Person, new: NewPhoto, photos: Embedded | None = None) -> Photo | None:
    """The photo of this person, of all or of these, that is the same picture, where there is one."""
    if not new.picture:
        return None
    for photo, embedding in gallery.bank.embedded(person.person_id) if photos is None else photos:
        if float(embedding @ new.embedding) >= gallery.sameness.view:
            try:
                if is_same_picture(gallery.bank.picture(person.person_id, photo.photo_id), new.picture):
                    return photo
            except (BankError, PhotoNotFound):  # it cannot be read, or is just being forgotten: it is no other
                continue
    return None


def meant(
    gallery: Gallery, offers: Sequence[Offer], persons: Sequence[Person], until: datetime | None = None
) -> list[Meant | VisageError]:
    """Which face of each image is meant, where the images may show one of these persons, of whom only photos of
    before `until` are asked. Of an image that came before the same face is taken again, and whether that was in
    doubt is told as it was then: as if asked before the latest of those images came."""
    known: list[Known] = []
    moments: list[datetime] = []
    again: list[Offered] = []
    for person in persons:
        embedded = gallery.bank.embedded(person.person_id)
        photos = [each for each in embedded if until is None or each[0].created_at < until]
        if not photos:
            continue
        shown: dict[int, Meant] = {}
        for image, offer in enumerate(offers):
            for face in offer.faces:
                if (photo := held(gallery, person, face.photo, photos)) is not None:
                    moments.append(photo.created_at)
                    again.append(face)
                    shown.setdefault(image, Meant(face, doubtful=True))
        template, views = _together(gallery, photos)
        known.append(Known(template, gallery.same_person(views), shown))
    results = choosing.meant(offers, known, gallery.same_person(1))
    if not moments:
        return results
    then = meant(gallery, offers, persons, max(moments) - _TOGETHER)
    return [
        before
        if isinstance(now, Meant) and now.face in again and isinstance(before, Meant) and before.face is now.face
        else now
        for now, before in zip(results, then, strict=True)
    ]


def namesake(
    gallery: Gallery, namesakes: Sequence[Person], photos: Sequence[NewPhoto], template: Embedding
) -> Person | None:
    """The person of this name who has one of these photos already, or whose face this is; of several the
    likeliest."""
    counts = [sum(held(gallery, person, photo) is not None for photo in photos) for person in namesakes]
    if any(counts):
        return namesakes[counts.index(max(counts))]
    matching = [
        (similarity, person)
        for person in namesakes
        if (similarity := float(template @ gallery.bank.template(person.person_id)))
        >= gallery.same_person(person.views)
    ]
    if matching:
        return max(matching, key=lambda pair: pair[0])[1]
    # Whose only photo was forgotten, in a bank that was restored, can be nobody else's.
    return next((person for person in namesakes if not gallery.bank.photos(person.person_id)), None)


def odd(
    gallery: Gallery, person: Person, photos: Sequence[NewPhoto], here: Mapping[int, Photo]
) -> list[float | None]:
    """How alike each photo is to the person's others, where it does not fit them; None for the rest. One that is
    here already (`here`, by its place) is compared with those that were there before it came."""
    embedded = gallery.bank.embedded(person.person_id)
    before = {row: _before(photo, embedded) for row, photo in here.items()}
    first = [row for row in here if not before[row]]
    among = strays([photos[row] for row in first], gallery.same_person(1), gallery.sameness.view)
    found = dict(zip(first, among, strict=True))
    return [
        found[row] if row in found else _unlike(gallery, new, before.get(row, embedded))
        for row, new in enumerate(photos)
    ]


def _unlike(gallery: Gallery, new: NewPhoto, others: Embedded) -> float | None:
    """How alike a photo is to others of one person, where it is unlike them together or unlike most of them; else
    None. Where the others are of two minds the oldest decides: a photo that did not fit makes no room for more of
    its kind."""
    if not others:
        return None
    template, views = _together(gallery, others)
    similarity = float(new.embedding @ template)
    single = gallery.same_person(1)
    apart = [float(embedding @ new.embedding) < single for _, embedding in others]
    tied = 2 * sum(apart) == len(apart) and apart[0]
    is_odd = similarity < gallery.same_person(views) or 2 * sum(apart) > len(apart) or tied
    return similarity if is_odd else None


def _together(gallery: Gallery, photos: Embedded) -> tuple[Embedding, int]:
    """What photos of one person show together, (D,) float32, unit length; and of how many views they are."""
    embeddings = np.stack([embedding for _, embedding in photos])
    views = views_of(embeddings, gallery.sameness.view)
    weights = template_weights([photo.quality.score for photo, _ in photos], views)
    return unit(weights @ embeddings), int(views.max()) + 1


def _before(photo: Photo, photos: Embedded) -> Embedded:
    """Those of a person's photos that were here before the request which brought this one."""
    return [each for each in photos if each[0].created_at < photo.created_at - _TOGETHER]
