"""Remembering somebody by photos: as a new person, or with more photos of one who is here. No models run here; who
calls sees to it that one enrolment comes after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from visage.errors import DuplicatePerson, VisageError
from visage.recognition.advice import advice_for
from visage.recognition.choosing import Meant, Offer
from visage.recognition.comparing import held, meant, namesake, odd
from visage.recognition.enrolment import (
    Details,
    completed,
    distinct,
    enrolment_of,
    misfits,
    photos_of,
    strays,
    template_of,
)
from visage.recognition.gallery import Gallery, look_alikes
from visage.recognition.teaching import lifted
from visage.types import Caution, Embedding, Enrolment, NewPhoto, Person, Photo


def enrol(
    gallery: Gallery, name: str, details: Details, offers: Sequence[Offer], *, refuse_known: bool
) -> tuple[Enrolment, Embedding]:
    """Remember someone by a name.

    A person of the same name whom the face matches gets the photos; otherwise a new person is made. Where an image
    shows several faces, `meant` says which is taken. What is here already is not kept twice, so that to ask again
    changes nothing.

    Args:
        gallery: who is remembered.
        name, details: of the person.
        offers: one an image.
        refuse_known: do not make a new person of a face that is known under another name.

    Returns: the reply; and what the photos show together, (D,) float32, unit length.

    Raises:
        InvalidImage, ImageTooLarge, NoFaceDetected, MultipleFaces, FaceNotUsable, InvalidValue: no image can be used;
            the first one's error.
        DuplicatePerson: the face is known under another name, and that is to be refused.
        BankError: the bank cannot be written.
    """
    namesakes = gallery.bank.named(name)
    results = meant(gallery, offers, namesakes)
    photos = photos_of(results)
    template = template_of(photos)
    person = namesake(gallery, namesakes, photos, template)
    if person is None:
        return _add_person(gallery, name, details, offers, results, refuse_known=refuse_known), template
    return _add_to(gallery, person, details, offers, results), template


def add_photos(gallery: Gallery, person_id: str, details: Details, offers: Sequence[Offer]) -> Enrolment:
    """Remember more photos of someone; raises as `enrol`, and PersonNotFound."""
    person = gallery.bank.person(person_id)
    return _add_to(gallery, person, details, offers, meant(gallery, offers, [person]))


def _add_person(
    gallery: Gallery,
    name: str,
    details: Details,
    offers: Sequence[Offer],
    results: Sequence[Meant | VisageError],
    *,
    refuse_known: bool,
) -> Enrolment:
    photos = photos_of(results)
    cautions = look_alikes(gallery, _looks_of(photos), None)
    if cautions and refuse_known:
        raise _duplicate(cautions)
    fresh, places = distinct(photos, gallery.sameness.view)
    person = gallery.bank.enrol(name=name, photos=fresh, **details._asdict())
    kept = gallery.bank.photos(person.person_id)
    cautions += misfits(person, results, strays(photos, gallery.same_person(1), gallery.sameness.view))
    return _reply(gallery, person, offers, results, [kept[place] for place in places], {}, cautions)


def _add_to(
    gallery: Gallery,
    person: Person,
    details: Details,
    offers: Sequence[Offer],
    results: Sequence[Meant | VisageError],
) -> Enrolment:
    """Give a person photos, and what else is new. Older words that the photos contradict are taken back."""
    photos = photos_of(results)
    here = {row: photo for row, new in enumerate(photos) if (photo := held(gallery, person, new)) is not None}
    fresh, places = distinct([new for row, new in enumerate(photos) if row not in here], gallery.sameness.view)
    # Of a request that is repeated, the first reply may never have been seen: all that it said is said again.
    cautions = look_alikes(gallery, _looks_of(photos), person)
    unlike = misfits(person, results, odd(gallery, person, photos, here))
    kept_as_was: list[Caution] = []

    def complete(held: Person) -> Person:
        changes, kept_as_was[:] = completed(held, details)
        return replace(held, **changes) if changes else held

    gallery.bank.change(person.person_id, complete)
    stored, undo = gallery.bank.teach(
        person.person_id,
        fresh,
        looks=[photo.embedding for photo in photos],
        contradicts=gallery.decider.contradicts,
        held=[photo.photo_id for photo in here.values()],
    )
    cautions += lifted(person, undo)
    new = iter(places)
    kept = [here[row] if row in here else stored[next(new)] for row in range(len(photos))]
    person = gallery.bank.person(person.person_id)
    cautions += [*unlike, *kept_as_was]
    return _reply(gallery, person, offers, results, kept, here, cautions)


def _reply(
    gallery: Gallery,
    person: Person,
    offers: Sequence[Offer],
    results: Sequence[Meant | VisageError],
    kept: Sequence[Photo],
    here: Mapping[int, Photo],
    cautions: Sequence[Caution],
) -> Enrolment:
    return enrolment_of(person, offers, results, kept, here, cautions, advice_for(gallery.bank, person))


def _looks_of(photos: Sequence[NewPhoto]) -> list[Embedding]:
    """Each, and what they show together."""
    return [template_of(photos), *(photo.embedding for photo in photos if len(photos) > 1)]


def _duplicate(cautions: Sequence[Caution]) -> DuplicatePerson:
    """Whom the face is known as: the likeliest, and all."""
    everyone = [dict(caution.details) for caution in cautions]
    return DuplicatePerson(details={**everyone[0], "looks_like": everyone})
