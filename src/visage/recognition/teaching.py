"""What a human's word changes: "that's wrong", "yes, that is Anna", "these two are one". No models run here; who
calls sees to it that one word comes after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from visage.bank.records import CounterExample
from visage.errors import SightingNotFound, VisageError
from visage.recognition.advice import advice_for
from visage.recognition.choosing import Offer, Offered, face_in, other_faces
from visage.recognition.comparing import held, meant, odd
from visage.recognition.enrolment import USABLE, misfit, offer_of, usable
from visage.recognition.gallery import Gallery, look_alikes
from visage.recognition.images import new_photo
from visage.recognition.sightings import Look, Sighting
from visage.types import Box, Caution, Confirmation, Embedding, Face, NewPhoto, Person, Undo
from visage.vision.align import portrait


@dataclass(frozen=True, slots=True, eq=False)
class Word:
    """That somebody is a person who is remembered.

    Attributes:
        looks: (D,) float32 each, unit length: the face that was pointed at, and its best picture last.
        photo: that picture.
        cautions: what to look at.
    """

    looks: Sequence[Embedding]
    photo: NewPhoto
    cautions: Sequence[Caution] = ()


def reject_sighting(gallery: Gallery, person_id: str, sighting: Sighting, box: Box | None) -> Undo:
    """The face of an identification that was, or might have been, this person is not; or who is in the box.

    Raises: SightingNotFound, PersonNotFound, InvalidValue, BankError.
    """
    return gallery.bank.reject(person_id, sighting.of(person_id, box).face.embedding)


def reject_among(gallery: Gallery, person_id: str, faces: Sequence[Face], box: Box | None) -> Undo:
    """Whoever of these faces looks most like this person is not; or who is in the box.

    Raises: PersonNotFound, InvalidValue, BankError.
    """
    template = gallery.bank.template(person_id)
    face = face_in(faces, box) if box else max(faces, key=lambda each: float(each.embedding @ template))
    return gallery.bank.reject(person_id, face.embedding)


def word_on_sighting(gallery: Gallery, person: Person, sighting: Sighting, box: Box | None) -> Word:
    """Which face of an identification is meant: the one in a box; else the one that was named so; else of those who
    might be, or whom nobody knows, the one that `meant` takes.

    Raises: SightingNotFound, NoFaceDetected, FaceNotUsable, MultipleFaces, InvalidValue.
    """
    cautions: list[Caution] = []
    if box is not None or any(look.named == person.person_id for look in sighting.looks):
        look = sighting.of(person.person_id, box)
        photo = _photo_of(look, gallery.sameness.surely)
    else:
        # Who was called by another name is hardly meant, unless there is nobody else. A name may be gone by now.
        nameless = [look for look in sighting.looks if look.named is None or not gallery.bank.has(look.named)]
        free = nameless or sighting.looks
        might_be = [look for look in free if look.might_be == person.person_id]
        photos = {look.face.box: _photo_of(look, gallery.sameness.surely) for look in free}
        offer, everyone = (
            offer_of([look.face for look in looks], sighting.size, lambda face: Offered(face.box, photos[face.box]))
            for looks in (might_be or free, free)
        )
        (result,) = meant(gallery, [offer], [person])
        if isinstance(result, VisageError):
            raise result
        look = next(look for look in free if look.face.box == result.face.box)
        photo, cautions = result.face.photo, other_faces([everyone], [result])
    if not photo.picture:
        usable(look.face)  # what can hardly be seen teaches nothing
        raise SightingNotFound
    looks = [photo.embedding] if look.face.quality.score < USABLE else [look.face.embedding, photo.embedding]
    return Word(looks, photo, cautions)


def word_on_offer(gallery: Gallery, person: Person, offer: Offer) -> Word:
    """Which face of an image is meant: the one that `meant` takes; raises the reason where none is."""
    (result,) = meant(gallery, [offer], [person])
    if isinstance(result, VisageError):
        raise result
    photo = result.face.photo
    return Word([photo.embedding], photo, other_faces([offer], [result]))


def confirm(gallery: Gallery, person: Person, word: Word) -> Confirmation:
    """Teach a look of someone; it is kept where it shows something new. To say it again changes nothing.

    Raises: PersonNotFound, BankError.
    """
    photo = word.photo
    same = held(gallery, person, photo)
    alike = [
        each.photo_id
        for each, embedding in gallery.bank.embedded(person.person_id)
        if float(embedding @ photo.embedding) >= gallery.sameness.view
    ]
    kept = [] if alike else [photo]
    found = look_alikes(gallery, word.looks[-1:], person)
    if kept or same is not None:
        unlike = odd(gallery, person, [photo], {} if same is None else {0: same})
        found += [misfit(person, 1, each) for each in unlike if each is not None]
    stored, undo = gallery.bank.teach(
        person.person_id,
        kept,
        looks=word.looks,
        contradicts=gallery.decider.contradicts,
        held=alike,
        always=True,
    )
    assert undo is not None  # noqa: S101 - asked for with always=True
    taught = next(iter(stored), same if same is not None and same.photo_id in undo.content["photos"] else None)
    found += [*lifted(person, undo), *word.cautions]
    person = gallery.bank.person(person.person_id)
    return Confirmation(undo, person, taught, tuple(found), advice_for(gallery.bank, person))


def merge(gallery: Gallery, target_id: str, source_id: str) -> Undo:
    """Two persons are one: the photos of the source go to the target, and the source is gone.

    Raises: PersonNotFound, InvalidValue, BankError.
    """
    ids = [gallery.bank.person(person_id).person_id for person_id in (target_id, source_id)]
    templates = dict(zip(ids, (gallery.bank.template(person_id) for person_id in ids), strict=True))

    def kept(counter: CounterExample) -> bool:
        """Rejected as the one, it must not look like the other."""
        own = float(templates[counter.person_id] @ counter.embedding)
        other = max(
            float(t @ counter.embedding) for person_id, t in templates.items() if person_id != counter.person_id
        )
        return other < max(own, gallery.same_person(1))

    return gallery.bank.merge(*ids, kept=kept)


def lifted(person: Person, undo: Undo | None) -> list[Caution]:
    """A caution where an older "that's wrong" holds no longer."""
    count = len(undo.content.get("lifted", undo.content["set_aside"])) if undo is not None else 0
    if undo is None or not count:
        return []
    return [
        Caution(
            "REJECTION_LIFTED",
            f"Somebody had said that this face is not {person.name}; that holds no longer",
            {"undo_id": undo.undo_id, "person_id": person.person_id, "rejections": count},
        )
    ]


def _photo_of(look: Look, surely: float) -> NewPhoto:
    """The best picture of a face; an empty one where none is kept of it."""
    best = look.picture
    if best is None or float(best.embedding @ look.face.embedding) < surely:
        return NewPhoto(look.face.embedding, b"", look.face.quality)
    return new_photo(best.embedding, portrait(best.image, best.landmarks), best.quality)
