"""One image in, an answer out: identify, verify, enrol."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visage.bank.bank import Hit, MemoryBank
from visage.bank.records import CounterExample
from visage.bank.views import template_weights, views_of
from visage.errors import (
    BankError,
    DuplicatePerson,
    InputError,
    NoFaceDetected,
    PhotoNotFound,
    SightingNotFound,
    VisageError,
)
from visage.recognition.choosing import Known, Meant, Offer, Offered, face_in, meant, other_faces
from visage.recognition.crowd import MAX_SAMPLE, Crowd, measure
from visage.recognition.decision import Decider, Likeness
from visage.recognition.enrolment import (
    USABLE,
    Details,
    completed,
    distinct,
    dominant_face,
    enrolment_of,
    is_same_picture,
    misfit,
    misfits,
    offer_of,
    photos_of,
    strays,
    template_of,
    usable,
)
from visage.recognition.report import ENOUGH_VIEWS, Closeness, Report, closeness_of, make_report
from visage.recognition.sightings import Look, Picture, Seen, Sightings
from visage.recognition.teaching import advice, lifted
from visage.recognition.tracker import Track, Tracker
from visage.recognition.unknowns import Unknowns
from visage.types import (
    Advice,
    Box,
    Candidate,
    Caution,
    Confirmation,
    Consent,
    Detection,
    Embedding,
    Enrolment,
    Face,
    Identification,
    IdentifiedFace,
    Image,
    NewPhoto,
    Person,
    Photo,
    Status,
    Undo,
    Verification,
)
from visage.vision import models
from visage.vision.align import cut_out, portrait
from visage.vision.embed import unit
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.pipeline import Faces, Pipeline

CANDIDATES = 3
"""How many persons are reported for each face."""

_SAME_PERSON_FAR = 1e-3
"""One against one, a false accept in a thousand: two photos of the same name are one person from there on."""

_TOGETHER = timedelta(microseconds=100)
"""Photos of one request are a microsecond apart, of two a write to the disk."""

_PICTURE_QUALITY = 92
"""JPEG quality of stored portraits: embedded again they give nearly the same vector."""


class Recognizer:
    """Vision and bank together; safe to call from several threads. Its calls compute: keep them off event loops.

    Args:
        pipeline: images to faces.
        bank: who is remembered.
        decider: similarities to names.
        limits: on the images accepted.
        duplicate_policy: what to do with a known face under another name.
        sameness: what the cosines of the model mean, for following faces.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        bank: MemoryBank,
        decider: Decider,
        *,
        limits: Limits,
        duplicate_policy: Literal["warn", "reject"] = "warn",
        sameness: models.Sameness = models.DEFAULT_SAMENESS,
    ) -> None:
        self.bank = bank
        self.model = bank.model
        self._pipeline = pipeline
        self._decider = decider
        self._limits = limits
        self._duplicate_policy = duplicate_policy
        self._enrolling = threading.Lock()
        self._crowd = (-1, Crowd())
        self._sightings = Sightings()
        self._sameness = sameness
        self.unknowns = Unknowns(surely_same=sameness.surely)

    @property
    def pipeline(self) -> Pipeline:
        """Images to faces."""
        return self._pipeline

    def camera(self, clock: Callable[[], float] = time.monotonic) -> Tracker:
        """What follows the faces of one camera; `clock` gives seconds, never going back."""
        return Tracker(self._pipeline, clock, self._sameness)

    def identify(self, image: bytes, camera: Tracker | None = None) -> Identification:
        """Say who is in an image.

        Args:
            image: encoded.
            camera: the image is its next frame; None where the image stands alone.

        Raises: InvalidImage, ImageTooLarge.
        """
        start = perf_counter()
        pixels = decode(image, self._limits)
        timing = {"decode": (perf_counter() - start) * 1e3}
        if camera is None:
            tracks: Sequence[Track] = ()
            faces = self._pipeline.analyse(pixels, timing_ms=timing)
        else:
            tracks = camera.update(pixels, timing)
            faces = Faces((track.face for track in tracks), camera.passed_over)
        searching = perf_counter()
        identified = self._name(faces)
        if tracks:
            self._note_unknowns(pixels, identified, tracks)
            identified = [
                replace(face, track_id=track.track_id, unknown_id=track.uid if track.uid in self.unknowns else None)
                for face, track in zip(identified, tracks, strict=True)
            ]
        keys = self._keep_pictures(pixels, identified, tracks)
        identification_id = self._sightings.add(identified, pixels.shape[1::-1], keys)
        now = perf_counter()
        timing |= {"search": (now - searching) * 1e3, "total": (now - start) * 1e3}
        known = [face for face in identified if face.match is not None]
        largest = max(known, key=lambda face: face.face.box.area, default=None)
        return Identification(
            identification_id=identification_id,
            timestamp=datetime.now(UTC),
            width=pixels.shape[1],
            height=pixels.shape[0],
            faces=tuple(identified),
            match=largest.match if largest else None,
            timing_ms=timing,
            passed_over=faces.passed_over,
        )

    def detect(self, image: bytes) -> Detection:
        """Find and judge the faces of an image, without asking whose they are.

        Raises: InvalidImage, ImageTooLarge.
        """
        pixels = decode(image, self._limits)
        height, width = pixels.shape[:2]
        faces = self._pipeline.analyse(pixels)
        try:
            face = usable(dominant_face(faces, width, height))
        except VisageError as error:
            return Detection(width, height, tuple(faces), None, error.alone(), faces.passed_over)
        return Detection(width, height, tuple(faces), face, None, faces.passed_over)

    def verify_person(self, image: bytes, person_id: str, box: Box | None = None) -> Verification:
        """Is the face in an image this person's? `box` says which face; else it is the one that stands out.

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected, MultipleFaces, InvalidValue, PersonNotFound.
        """
        self.see(person_id)
        return self.verify_face(self.chosen_face(image, box), person_id)

    def verify_face(self, face: Face, person_id: str) -> Verification:
        """As `verify_person`, with what `chosen_face` gave; uses no models."""
        person = self.bank.person(person_id)
        return self._verify(face.embedding, self.bank.template(person_id), person.views)

    def verify_images(
        self, image: bytes, image_2: bytes, box: Box | None = None, box_2: Box | None = None
    ) -> Verification:
        """Do two images show the same person? Boxes as in `verify_person`.

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected, MultipleFaces, InvalidValue.
        """
        return self.verify_faces(self.chosen_face(image, box), self.chosen_face(image_2, box_2, "box_2"))

    def verify_faces(self, face: Face, face_2: Face) -> Verification:
        """As `verify_images`, with what `chosen_face` gave for each."""
        return self._verify(face.embedding, face_2.embedding, 1)

    def enrol(
        self,
        *,
        name: str,
        relationship: str | None,
        metadata: Mapping[str, Any],
        images: Sequence[bytes],
        boxes: Sequence[Box | None] = (),
        consent: Consent | None = None,
    ) -> Enrolment:
        """Remember a person from one or more photos.

        A person of the same name whom the face matches gets the photos; otherwise a new person is made. Where an
        image shows several faces, `meant` says which is taken. What is here already is not kept twice, so that to ask
        again changes nothing.

        Args:
            name: of the person.
            relationship, metadata, consent: what else is known; of a person who is here already only what is new.
            images: encoded.
            boxes: for each image, or for none, which face is meant; None where that is not said.

        Raises:
            InvalidImage, ImageTooLarge, NoFaceDetected, MultipleFaces, FaceNotUsable, InvalidValue: no image can be
                used; the first one's error.
            DuplicatePerson: the face is known under another name, and the policy is to refuse that.
            BankError: the bank cannot be written.
        """
        offers = [self.prepare(*each) for each in zip(images, boxes or [None] * len(images), strict=True)]
        self.see_named(name)
        return self.enrol_prepared(name, Details(relationship, metadata, consent), offers)

    def enrol_unknown(
        self,
        unknown_id: str,
        *,
        name: str,
        relationship: str | None,
        metadata: Mapping[str, Any],
        consent: Consent | None = None,
    ) -> Enrolment:
        """Give a face that nobody knows a name: as `enrol`, with the best picture that the camera has of it.

        Raises: UnknownNotFound, DuplicatePerson, BankError.
        """
        unknown = self.unknowns.get(unknown_id)
        offer = Offer((Offered(Box(0, 0, 0, 0), unknown.photo),))  # where it was in its frame does not matter here
        enrolment = self.enrol_prepared(name, Details(relationship, metadata, consent), [offer])
        self.unknowns.forget(unknown.unknown_id)
        return enrolment

    def enrol_prepared(self, name: str, details: Details, offers: Sequence[Offer]) -> Enrolment:
        """As `enrol`, with what `prepare` gave for each image; uses no models: `see_named` comes first."""
        with self._enrolling:
            namesakes = self.bank.named(name)
            results = self._meant(offers, namesakes)
            photos = photos_of(results)
            template = template_of(photos)
            namesake = self._namesake(namesakes, photos, template)
            if namesake is None:
                enrolment = self._add_person(name, details, offers, results)
            else:
                enrolment = self._add_to(namesake, details, offers, results)
        self.unknowns.forget_like(template, self._sameness.surely)
        return enrolment

    def add_photos(
        self,
        person_id: str,
        images: Sequence[bytes],
        boxes: Sequence[Box | None] = (),
        details: Details = Details(),  # noqa: B008 - a tuple
    ) -> Enrolment:
        """Remember more photos of someone.

        Raises: as `enrol`, and PersonNotFound.
        """
        self.see(person_id)
        offers = [self.prepare(*each) for each in zip(images, boxes or [None] * len(images), strict=True)]
        return self.add_prepared(person_id, details, offers)

    def add_prepared(self, person_id: str, details: Details, offers: Sequence[Offer]) -> Enrolment:
        """As `add_photos`, with what `prepare` gave for each image; uses no models: `see` comes first."""
        with self._enrolling:
            person = self.bank.person(person_id)
            return self._add_to(person, details, offers, self._meant(offers, [person]))

    def _add_person(
        self, name: str, details: Details, offers: Sequence[Offer], results: Sequence[Meant | VisageError]
    ) -> Enrolment:
        photos = photos_of(results)
        cautions = self._look_alikes(_looks_of(photos), None)
        if cautions and self._duplicate_policy == "reject":
            raise _duplicate(cautions)
        fresh, places = distinct(photos, self._sameness.view)
        person = self.bank.enrol(name=name, photos=fresh, **details._asdict())
        kept = self.bank.photos(person.person_id)
        cautions += misfits(person, results, strays(photos, self._same_person_threshold(1), self._sameness.view))
        return enrolment_of(
            person, offers, results, [kept[place] for place in places], {}, cautions, self._advice(person)
        )

    def _add_to(
        self, person: Person, details: Details, offers: Sequence[Offer], results: Sequence[Meant | VisageError]
    ) -> Enrolment:
        """Give a person photos, and what else is new. Older words that the photos contradict are taken back."""
        photos = photos_of(results)
        held = {row: photo for row, new in enumerate(photos) if (photo := self._held(person, new)) is not None}
        fresh, places = distinct([new for row, new in enumerate(photos) if row not in held], self._sameness.view)
        # Of a request that is repeated, the first reply may never have been seen: all that it said is said again.
        cautions = self._look_alikes(_looks_of(photos), person)
        unlike = misfits(person, results, self._odd(person, photos, held))
        kept_as_was: list[Caution] = []

        def complete(held: Person) -> Person:
            changes, kept_as_was[:] = completed(held, details)
            return replace(held, **changes) if changes else held

        self.bank.change(person.person_id, complete)
        stored, undo = self.bank.teach(
            person.person_id,
            fresh,
            looks=[photo.embedding for photo in photos],
            contradicts=self._decider.contradicts,
            held=[photo.photo_id for photo in held.values()],
        )
        cautions += lifted(person, undo)
        new = iter(places)
        kept = [held[row] if row in held else stored[next(new)] for row in range(len(photos))]
        person = self.bank.person(person.person_id)
        cautions += [*unlike, *kept_as_was]
        return enrolment_of(person, offers, results, kept, held, cautions, self._advice(person))

    def reject_sighting(self, person_id: str, identification_id: str, box: Box | None = None) -> Undo:
        """ "That's wrong": the face of an identification that was, or might have been, this person is not; or who is
        in the box.

        Raises: PersonNotFound, SightingNotFound, InvalidValue, BankError.
        """
        person_id = self.bank.person(person_id).person_id
        look = self._sightings.sighting(identification_id).of(person_id, box)
        return self.bank.reject(person_id, look.face.embedding)

    def reject_image(self, person_id: str, image: bytes, box: Box | None = None) -> Undo:
        """ "That's wrong": whoever in this image looks most like this person is not; or who is in the box.

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected, InvalidValue, PersonNotFound, BankError.
        """
        self.see(person_id)
        return self.reject_among(person_id, self.clear_faces(image), box)

    def reject_among(self, person_id: str, faces: Sequence[Face], box: Box | None = None) -> Undo:
        """As `reject_image`, with what `clear_faces` gave; uses no models."""
        template = self.bank.template(person_id)
        face = face_in(faces, box) if box else max(faces, key=lambda each: float(each.embedding @ template))
        return self.bank.reject(person_id, face.embedding)

    def confirm_sighting(self, person_id: str, identification_id: str, box: Box | None = None) -> Confirmation:
        """ "Yes, that is Anna": a face of an identification is this person. The one in a box; else the one that was
        named so; else of those who might be, or whom nobody knows, the one that `meant` takes.

        Raises: PersonNotFound, SightingNotFound, FaceNotUsable, MultipleFaces, InvalidValue, BankError.
        """
        person = self.bank.person(person_id)
        sighting = self._sightings.sighting(identification_id)
        if box is not None or any(look.named == person.person_id for look in sighting.looks):
            look = sighting.of(person.person_id, box)
            photo, cautions = self._photo_of(look), []
        else:
            # Who was called by another name is hardly meant, unless there is nobody else. A name may be gone by now.
            nameless = [look for look in sighting.looks if look.named is None or not self.bank.has(look.named)]
            free = nameless or sighting.looks
            might_be = [look for look in free if look.might_be == person.person_id]
            photos = {look.face.box: self._photo_of(look) for look in free}
            offer, everyone = (
                offer_of(
                    [look.face for look in looks], sighting.size, lambda face: Offered(face.box, photos[face.box])
                )
                for looks in (might_be or free, free)
            )
            with self._enrolling:
                (result,) = self._meant([offer], [person])
            if isinstance(result, VisageError):
                raise result
            look = next(look for look in free if look.face.box == result.face.box)
            photo, cautions = result.face.photo, other_faces([everyone], [result])
        if not photo.picture:
            usable(look.face)  # what can hardly be seen teaches nothing
            raise SightingNotFound
        looks = [photo.embedding] if look.face.quality.score < USABLE else [look.face.embedding, photo.embedding]
        return self._confirm(person, looks, photo, cautions)

    def _photo_of(self, look: Look) -> NewPhoto:
        """The best picture of a face; an empty one where none is kept of it."""
        best = look.picture
        if best is None or float(best.embedding @ look.face.embedding) < self._sameness.surely:
            return NewPhoto(look.face.embedding, b"", look.face.quality)
        jpeg = encode_jpeg(portrait(best.image, best.landmarks), _PICTURE_QUALITY)
        return NewPhoto(best.embedding, jpeg, best.quality)

    def confirm_image(self, person_id: str, image: bytes, box: Box | None = None) -> Confirmation:
        """ "Yes, that is Anna": the face in a box is this person, or the one of this image that `meant` takes.

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected, FaceNotUsable, MultipleFaces, InvalidValue,
            PersonNotFound, BankError.
        """
        self.see(person_id)
        return self.confirm_offer(person_id, self.prepare(image, box))

    def confirm_offer(self, person_id: str, offer: Offer) -> Confirmation:
        """As `confirm_image`, with what `prepare` gave; uses no models."""
        person = self.bank.person(person_id)
        with self._enrolling:
            (result,) = self._meant([offer], [person])
        if isinstance(result, VisageError):
            raise result
        photo = result.face.photo
        return self._confirm(person, [photo.embedding], photo, other_faces([offer], [result]))

    def confirm_unknown(self, unknown_id: str, person_id: str) -> Confirmation:
        """A face that nobody knows is someone who is remembered.

        Raises: UnknownNotFound, PersonNotFound, BankError.
        """
        unknown, person = self.unknowns.get(unknown_id), self.bank.person(person_id)
        confirmation = self._confirm(person, [unknown.photo.embedding], unknown.photo)
        self.unknowns.forget(unknown.unknown_id)
        return confirmation

    def merge(self, target_id: str, source_id: str) -> Undo:
        """Two persons are one: the photos of the source go to the target, and the source is gone.

        Raises: PersonNotFound, InvalidValue, BankError.
        """
        ids = [self.bank.person(person_id).person_id for person_id in (target_id, source_id)]
        templates = dict(zip(ids, (self.bank.template(person_id) for person_id in ids), strict=True))

        def kept(counter: CounterExample) -> bool:
            """Rejected as the one, it must not look like the other."""
            own = float(templates[counter.person_id] @ counter.embedding)
            other = max(
                float(t @ counter.embedding) for person_id, t in templates.items() if person_id != counter.person_id
            )
            return other < max(own, self._same_person_threshold(1))

        return self.bank.merge(*ids, kept=kept)

    def report(self) -> Report:
        """What a carer should look at in the bank."""
        named = partial(self._decider.threshold, persons=self.bank.person_count, shift=self.crowd().shift)
        return make_report(
            self.bank.looks(),
            same_person=self._same_person_threshold,
            named=lambda photos: named(photos=photos),
        )

    def advice(self) -> list[tuple[Person, Advice]]:
        """Who would be recognised more often by another photo, and which one would help most."""
        photos: dict[str, list[Photo]] = {}
        looks = self.bank.looks()
        for photo in looks.photos:
            photos.setdefault(photo.person_id, []).append(photo)
        found = (
            (person, advice(person.name, photos[person.person_id], views=person.views)) for person in looks.persons
        )
        return [(person, words) for person, words in found if words is not None]

    def closeness(self) -> Closeness:
        """How alike the people in the bank are, and what follows."""
        threshold = partial(self._decider.threshold, persons=self.bank.person_count, photos=ENOUGH_VIEWS)
        crowd = self.crowd()
        return closeness_of(crowd, threshold=threshold(shift=crowd.shift), usual=threshold())

    def crowd(self) -> Crowd:
        """How alike the people in the bank are; worked out anew after a change of it."""
        revision, crowd = self._crowd
        if revision != (now := self.bank.revision):
            crowd = measure(self.bank.sample(MAX_SAMPLE), self._decider.calibration)
            self._crowd = (now, crowd)
        return crowd

    def seen(self) -> list[Seen]:
        """Whom the camera has seen since the start, the latest first; kept in memory only."""
        return self._sightings.seen(self.bank)

    def reembed(self, on_progress: Callable[[int, int], None]) -> int:
        """Give every photo that another model embedded an embedding of this model; returns how many."""

        return self.bank.reembed(self._embed_pictures, on_progress=on_progress)

    def _embed_pictures(self, pictures: Sequence[bytes]) -> NDArray[np.float32]:
        return self._pipeline.embed_portraits([decode(picture, self._limits) for picture in pictures])

    def see(self, person_id: str) -> Person:
        """A person as this model sees them: photos that only another model has embedded are embedded now. Nobody is
        a stranger to their own photos because `visage reembed` was not run yet. Costs nothing where none waits.

        Raises: PersonNotFound, BankError.
        """
        return self.bank.reembed_person(person_id, self._embed_pictures)

    def see_named(self, name: str) -> None:
        """As `see`, all of a name.

        Raises: BankError.
        """
        for person in self.bank.named(name):
            self.see(person.person_id)

    def set_target_fpir(self, target_fpir: float) -> None:
        """Change how many of the strangers seen may be given a name, a fraction; holds from the next image on."""
        self._decider = self._decider.with_target_fpir(target_fpir)

    def note_seen(self) -> None:
        """Let the bank keep when everyone was seen last.

        Raises: BankError.
        """
        self.bank.note_seen({each.person.person_id: each.last_seen_at for each in self.seen()})

    def forget_strangers(self) -> None:
        """Forget what the camera saw longer ago than it may be kept."""
        self._sightings.forget_old(self.bank)
        self.unknowns.forget_old()

    def load_models(self) -> None:
        """Load the models, where that was put off until there is a picture."""
        self._pipeline.load()

    def warm_up(self) -> None:
        """Make the first identification as fast as the next."""
        grey = np.full((480, 640, 3), 128, dtype=np.uint8)
        self.crowd()
        self._name(self._pipeline.warm_up(decode(encode_jpeg(grey, _PICTURE_QUALITY), Limits())))

    def close(self) -> None:
        """Close the bank."""
        self.bank.close()

    def _name(self, faces: Sequence[Face]) -> list[IdentifiedFace]:
        if not faces:
            return []
        crowd = self.crowd()
        embeddings = np.stack([face.embedding for face in faces])
        verdicts = self._decider.decide(
            [_likenesses(row, crowd) for row in self.bank.search(embeddings, CANDIDATES)],
            qualities=[face.quality.score for face in faces],
            persons=self.bank.person_count,
            embeddings=embeddings,
        )
        return [
            IdentifiedFace(face, verdict.status, verdict.match, verdict.candidates[:CANDIDATES])
            for face, verdict in zip(faces, verdicts, strict=True)
        ]

    def _note_unknowns(self, image: Image, faces: Sequence[IdentifiedFace], tracks: Sequence[Track]) -> None:
        for face, track in zip(faces, tracks, strict=True):
            look = track.looks[-1]
            if face.status is Status.KNOWN:
                self.unknowns.forget(track.uid)
                if track.is_fresh:
                    self.unknowns.forget_like(track.evidence, self._sameness.surely)
            elif track.is_fresh and face.status is Status.UNKNOWN and look.quality.score >= USABLE:
                self.unknowns.seen(track.uid, look.quality.score, partial(_photo_of, image, look))

    def _keep_pictures(
        self, image: Image, faces: Sequence[IdentifiedFace], tracks: Sequence[Track]
    ) -> list[str | None]:
        """Keep the best picture of each face that could be remembered; returns its key, by face."""
        keys: list[str | None] = []
        for index, face in enumerate(faces):
            track = tracks[index] if tracks else None
            look = track.looks[-1] if track else face.face
            key = track.uid if track else str(uuid.uuid4())
            keys.append(key)
            if (
                (track is None or track.is_fresh)
                and look.quality.score >= USABLE
                and look.quality.score > self._sightings.picture_score(key)
            ):
                picture = Picture(*cut_out(image, look.landmarks), look.embedding, look.quality)
                self._sightings.keep_picture(key, face, picture)
        return keys

    def _confirm(
        self, person: Person, looks: Sequence[Embedding], photo: NewPhoto, cautions: Sequence[Caution] = ()
    ) -> Confirmation:
        """Teach a look of someone; it is kept where it shows something new. To say it again changes nothing."""
        with self._enrolling:
            same = self._held(person, photo)
            alike = [
                each.photo_id
                for each, embedding in self.bank.embedded(person.person_id)
                if float(embedding @ photo.embedding) >= self._sameness.view
            ]
            kept = [] if alike else [photo]
            found = self._look_alikes(looks[-1:], person)
            if kept or same is not None:
                odd = self._odd(person, [photo], {} if same is None else {0: same})
                found += [misfit(person, 1, each) for each in odd if each is not None]
            stored, undo = self.bank.teach(
                person.person_id,
                kept,
                looks=looks,
                contradicts=self._decider.contradicts,
                held=alike,
                always=True,
            )
        assert undo is not None  # noqa: S101 - asked for with always=True
        taught = next(iter(stored), same if same is not None and same.photo_id in undo.content["photos"] else None)
        found += [*lifted(person, undo), *cautions]
        self.unknowns.forget_like(looks[-1], self._sameness.surely)
        person = self.bank.person(person.person_id)
        return Confirmation(undo, person, taught, tuple(found), self._advice(person))

    def _advice(self, person: Person) -> Advice | None:
        return advice(person.name, self.bank.photos(person.person_id), views=person.views)

    def clear_faces(self, image: bytes) -> list[Face]:
        """The faces of an image that can be told apart.

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected.
        """
        faces = [face for face in self._pipeline.analyse(decode(image, self._limits)) if face.is_clear]
        if not faces:
            raise NoFaceDetected
        return faces

    def chosen_face(self, image: bytes, box: Box | None = None, field: str = "box") -> Face:
        """The face in a box, or the one that an image is of. `field` is that of the request which brought the box.

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected, MultipleFaces, InvalidValue.
        """
        pixels = decode(image, self._limits)
        faces = self._pipeline.analyse(pixels)
        return dominant_face(faces, *pixels.shape[1::-1]) if box is None else face_in(faces, box, field)

    def prepare(self, image: bytes, box: Box | None = None) -> Offer:
        """The faces of an image that may be remembered, or why none may; without a bank.

        Raises: Stopping: nobody waits for it any more.
        """
        try:
            pixels = decode(image, self._limits)
            faces = self._pipeline.analyse(pixels, enrolling=True)
            if box is not None:
                return Offer((_offered(usable(face_in(faces, box))),))
        except InputError as error:
            return Offer((), error.alone())
        return offer_of(faces, pixels.shape[1::-1], _offered)

    def _meant(
        self, offers: Sequence[Offer], persons: Sequence[Person], until: datetime | None = None
    ) -> list[Meant | VisageError]:
        """Which face of each image is meant, where the images may show one of these persons, of whom only photos of
        before `until` are asked. Of an image that came before the same face is taken again, and whether that was in
        doubt is told as it was then: as if asked before the latest of those images came."""
        known: list[Known] = []
        moments: list[datetime] = []
        again: list[Offered] = []
        for person in persons:
            embedded = self.bank.embedded(person.person_id)
            photos = [each for each in embedded if until is None or each[0].created_at < until]
            if not photos:
                continue
            held: dict[int, Meant] = {}
            for image, offer in enumerate(offers):
                for face in offer.faces:
                    if (photo := self._held(person, face.photo, photos)) is not None:
                        moments.append(photo.created_at)
                        again.append(face)
                        held.setdefault(image, Meant(face, doubtful=True))
            template, views = self._together(photos)
            known.append(Known(template, self._same_person_threshold(views), held))
        results = meant(offers, known, self._same_person_threshold(1))
        if not moments:
            return results
        then = self._meant(offers, persons, max(moments) - _TOGETHER)
        return [
            before
            if isinstance(now, Meant) and now.face in again and isinstance(before, Meant) and before.face is now.face
            else now
            for now, before in zip(results, then, strict=True)
        ]

    def _verify(self, probe: Embedding, template: Embedding, photos: int) -> Verification:
        similarity = float(probe @ template)
        return Verification(
            same=similarity >= self._same_person_threshold(photos),
            similarity=similarity,
            confidence=self._decider.confidence(similarity, photos=photos),
        )

    def _same_person_threshold(self, photos: int) -> float:
        return self._decider.threshold(persons=1, photos=photos, fpir=_SAME_PERSON_FAR)

    def _namesake(
        self, namesakes: Sequence[Person], photos: Sequence[NewPhoto], template: Embedding
    ) -> Person | None:
        """The person of this name who has one of these photos already, or whose face this is; of several the
        likeliest."""
        held = [sum(self._held(person, photo) is not None for photo in photos) for person in namesakes]
        if any(held):
            return namesakes[held.index(max(held))]
        matching = [
            (similarity, person)
            for person in namesakes
            if (similarity := float(template @ self.bank.template(person.person_id)))
            >= self._same_person_threshold(person.views)
        ]
        if matching:
            return max(matching, key=lambda pair: pair[0])[1]
        # Whose only photo was forgotten, in a bank that was restored, can be nobody else's.
        return next((person for person in namesakes if not self.bank.photos(person.person_id)), None)

    def _held(
        self, person: Person, new: NewPhoto, photos: Sequence[tuple[Photo, Embedding]] | None = None
    ) -> Photo | None:
        """The photo of this person, of all or of these, that is the same picture, where there is one."""
        if not new.picture:
            return None
        for photo, embedding in self.bank.embedded(person.person_id) if photos is None else photos:
            if float(embedding @ new.embedding) >= self._sameness.view:
                try:
                    if is_same_picture(self.bank.picture(person.person_id, photo.photo_id), new.picture):
                        return photo
                except (BankError, PhotoNotFound):  # it cannot be read, or is just being forgotten: it is no other
                    continue
        return None

    def _look_alikes(self, looks: Sequence[Embedding], own: Person | None) -> list[Caution]:
        """A caution for each other person that one of these looks would have been called if that one were alone, the
        likeliest first: those who are in the bank already do not hide each other, nor do the looks."""
        crowd, limit = self.crowd(), 2 * CANDIDATES
        found: dict[str, Candidate] = {}
        for look in looks:
            wanted = limit
            while True:
                (hits,) = self.bank.search(look[None], wanted)
                others = _likenesses(
                    [hit for hit in hits if own is None or hit.person.person_id != own.person_id], crowd
                )
                verdicts = self._decider.decide(
                    [[other] for other in others], qualities=[100] * len(others), persons=self.bank.person_count
                )
                if len(hits) < wanted or all(verdict.match is None for verdict in verdicts[-CANDIDATES:]):
                    break
                wanted *= 4
            for verdict in verdicts:
                if (match := verdict.match) is not None:
                    found[match.person.person_id] = max(
                        match, found.get(match.person.person_id, match), key=lambda each: each.similarity
                    )
        return [
            Caution(
                "LOOKS_LIKE",
                f"This face looks like {match.person.name}, who is already registered",
                {
                    "person_id": match.person.person_id,
                    "name": match.person.name,
                    "similarity": round(match.similarity, 4),
                },
            )
            for match in sorted(found.values(), key=lambda each: (each.confidence, each.similarity), reverse=True)
        ]

    def _odd(self, person: Person, photos: Sequence[NewPhoto], held: Mapping[int, Photo]) -> list[float | None]:
        """How alike each photo is to the person's others, where it does not fit them; None for the rest. One that is
        here already (`held`, by its place) is compared with those that were there before it came."""
        embedded = self.bank.embedded(person.person_id)
        before = {row: _before(photo, embedded) for row, photo in held.items()}
        first = [row for row in held if not before[row]]
        among = strays([photos[row] for row in first], self._same_person_threshold(1), self._sameness.view)
        found = dict(zip(first, among, strict=True))
        return [
            found[row] if row in found else self._unlike(new, before.get(row, embedded))
            for row, new in enumerate(photos)
        ]

    def _unlike(self, new: NewPhoto, others: Sequence[tuple[Photo, Embedding]]) -> float | None:
        """How alike a photo is to others of one person, where it is unlike them together or unlike most of them; else
        None. Where the others are of two minds the oldest decides: a photo that did not fit makes no room for more of
        its kind."""
        if not others:
            return None
        template, views = self._together(others)
        similarity = float(new.embedding @ template)
        single = self._same_person_threshold(1)
        apart = [float(embedding @ new.embedding) < single for _, embedding in others]
        tied = 2 * sum(apart) == len(apart) and apart[0]
        is_odd = similarity < self._same_person_threshold(views) or 2 * sum(apart) > len(apart) or tied
        return similarity if is_odd else None

    def _together(self, photos: Sequence[tuple[Photo, Embedding]]) -> tuple[Embedding, int]:
        """What photos of one person show together, (D,) float32, unit length; and of how many views they are."""
        embeddings = np.stack([embedding for _, embedding in photos])
        views = views_of(embeddings, self._sameness.view)
        weights = template_weights([photo.quality.score for photo, _ in photos], views)
        return unit(weights @ embeddings), int(views.max()) + 1


def _before(photo: Photo, photos: Sequence[tuple[Photo, Embedding]]) -> list[tuple[Photo, Embedding]]:
    """Those of a person's photos that were here before the request which brought this one."""
    return [each for each in photos if each[0].created_at < photo.created_at - _TOGETHER]


def _duplicate(cautions: Sequence[Caution]) -> DuplicatePerson:
    """Whom the face is known as: the likeliest, and all."""
    everyone = [dict(caution.details) for caution in cautions]
    return DuplicatePerson(details={**everyone[0], "looks_like": everyone})


def _new_photo(face: Face, picture: Image) -> NewPhoto:
    return NewPhoto(face.embedding, encode_jpeg(picture, _PICTURE_QUALITY), face.quality)


def _photo_of(image: Image, look: Face) -> NewPhoto:
    return _new_photo(look, portrait(image, look.landmarks))


def _likenesses(hits: Sequence[Hit], crowd: Crowd) -> list[Likeness]:
    return [
        Likeness(hit.person, hit.similarity, hit.quality, hit.rejected, crowd.shift_of(hit.person.person_id))
        for hit in hits
    ]


def _looks_of(photos: Sequence[NewPhoto]) -> list[Embedding]:
    """Each, and what they show together."""
    return [template_of(photos), *(photo.embedding for photo in photos if len(photos) > 1)]


def _offered(face: Face) -> Offered:
    assert face.portrait is not None  # noqa: S101 - asked for with enrolling=True
    return Offered(face.box, _new_photo(face, face.portrait))
