"""One image in, an answer out: identify, verify, enrol."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visage.bank.bank import Hit, MemoryBank
from visage.bank.store import CounterExample
from visage.errors import (
    BankError,
    DuplicatePerson,
    FaceNotUsable,
    InputError,
    NoFaceDetected,
    PhotoNotFound,
    SightingNotFound,
    VisageError,
)
from visage.recognition.choosing import Meant, Offer, Offered, face_in, meant
from visage.recognition.crowd import MAX_SAMPLE, Crowd, measure
from visage.recognition.decision import Decider, Likeness
from visage.recognition.enrolment import (
    USABLE,
    Details,
    by_prominence,
    completed,
    distinct,
    dominant_face,
    doubting,
    enrolment_of,
    is_same_picture,
    misfit,
    misfits,
    photos_of,
    strays,
    template_of,
    usable,
)
from visage.recognition.report import ENOUGH_VIEWS, Closeness, Report, closeness_of, make_report
from visage.recognition.sightings import Picture, Seen, Sightings
from visage.recognition.teaching import adds_a_view, advice, lifted
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
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.pipeline import Faces, Pipeline

CANDIDATES = 3
"""How many persons are reported for each face."""

_SAME_PERSON_FAR = 1e-3
"""One against one, a false accept in a thousand: two photos of the same name are one person from there on."""

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
        identification_id = self._sightings.add(identified, keys)
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
        person = self.bank.person(person_id)
        face = self.chosen_face(image, box)
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
        """As `enrol`, with what `prepare` gave for each image; uses no models."""
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
        self.bank.person(person_id)  # who is not there needs no work
        offers = [self.prepare(*each) for each in zip(images, boxes or [None] * len(images), strict=True)]
        return self.add_prepared(person_id, details, offers)

    def add_prepared(self, person_id: str, details: Details, offers: Sequence[Offer]) -> Enrolment:
        """As `add_photos`, with what `prepare` gave for each image; uses no models."""
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
        results = doubting(results, [row in held for row in range(len(photos))])
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
        )
        if undo is not None:
            cautions.append(lifted(person, undo))
        new = iter(places)
        kept = [held[row] if row in held else stored[next(new)] for row in range(len(photos))]
        person = self.bank.person(person.person_id)
        cautions += [*unlike, *kept_as_was]
        return enrolment_of(person, offers, results, kept, held, cautions, self._advice(person))

    def reject_sighting(self, person_id: str, identification_id: str) -> Undo:
        """ "That's wrong": the face of an identification that was, or might have been, this person is not.

        Raises: PersonNotFound, SightingNotFound, BankError.
        """
        person_id = self.bank.person(person_id).person_id
        return self.bank.reject(person_id, self._sightings.look(identification_id, person_id).embedding)

    def reject_image(self, person_id: str, image: bytes, box: Box | None = None) -> Undo:
        """ "That's wrong": whoever in this image looks most like this person is not; or who is in the box.

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected, InvalidValue, PersonNotFound, BankError.
        """
        template = self.bank.template(person_id)
        return self.bank.reject(person_id, self._nearest(image, template, box).embedding)

    def confirm_sighting(self, person_id: str, identification_id: str) -> Confirmation:
        """ "Yes, that is Anna": the face of an identification that was, or might have been, this person is.

        Raises: PersonNotFound, SightingNotFound, FaceNotUsable, BankError.
        """
        person = self.bank.person(person_id)
        look = self._sightings.look(identification_id, person.person_id)
        picture = look.picture
        if picture is not None and float(picture.embedding @ look.embedding) < self._sameness.surely:
            picture = None
        if picture is None and look.score < USABLE:  # what can hardly be seen teaches nothing
            raise FaceNotUsable
        if picture is None:
            raise SightingNotFound
        photo = NewPhoto(
            picture.embedding,
            encode_jpeg(portrait(picture.image, picture.landmarks), _PICTURE_QUALITY),
            picture.quality,
        )
        looks = [picture.embedding] if look.score < USABLE else [look.embedding, picture.embedding]
        return self._confirm(person, looks, photo)

    def confirm_image(self, person_id: str, image: bytes, box: Box | None = None) -> Confirmation:
        """ "Yes, that is Anna": the face in a box, or whoever in this image looks most like this person, is.

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected, FaceNotUsable, PersonNotFound, BankError.
        """
        person = self.bank.person(person_id)
        face = usable(self._nearest(image, self.bank.template(person_id), box, enrolling=True))
        assert face.portrait is not None  # noqa: S101 - asked for with enrolling=True
        return self._confirm(person, [face.embedding], _new_photo(face, face.portrait))

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

        def embed(pictures: Sequence[bytes]) -> NDArray[np.float32]:
            return self._pipeline.embed_portraits([decode(picture, self._limits) for picture in pictures])

        return self.bank.reembed(embed, on_progress=on_progress)

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
        """Keep the best picture of each face that might be someone; returns its key, by face."""
        keys: list[str | None] = []
        for index, face in enumerate(faces):
            track = tracks[index] if tracks else None
            look = track.looks[-1] if track else face.face
            key = track.uid if track else str(uuid.uuid4())
            keys.append(key)
            might_be = face.candidates and (
                face.status is not Status.UNKNOWN or face.candidates[0].similarity >= self._sameness.surely
            )
            if (
                might_be
                and (track is None or track.is_fresh)
                and look.quality.score >= USABLE
                and look.quality.score > self._sightings.picture_score(key)
            ):
                picture = Picture(*cut_out(image, look.landmarks), look.embedding, look.quality)
                self._sightings.keep_picture(key, face.candidates[0].person.person_id, picture)
        return keys

    def _nearest(self, image: bytes, template: Embedding, box: Box | None = None, *, enrolling: bool = False) -> Face:
        """The face in a box, or the one in an image that is most like a template."""
        found = self._pipeline.analyse(decode(image, self._limits), enrolling=enrolling)
        faces = [face for face in found if face.is_clear]
        if not faces:
            raise NoFaceDetected
        if box is not None:
            return face_in(faces, box)
        return max(faces, key=lambda face: float(face.embedding @ template))

    def _confirm(self, person: Person, looks: Sequence[Embedding], photo: NewPhoto | None) -> Confirmation:
        """Teach a look of someone; it is kept where it shows something new."""
        with self._enrolling:
            photos = [embedding for _, embedding in self.bank.embedded(person.person_id)]
            kept = [photo] if photo is not None and adds_a_view(photo.embedding, photos, self._sameness.view) else []
            cautions = self._look_alikes(looks[-1:], person)
            cautions += [misfit(person, 1, each) for each in self._odd(person, kept, {}) if each is not None]
            stored, undo = self.bank.teach(
                person.person_id,
                kept,
                looks=looks,
                contradicts=self._decider.contradicts,
                always=True,
            )
        assert undo is not None  # noqa: S101 - asked for with always=True
        if undo.content["set_aside"]:
            cautions.append(lifted(person, undo))
        self.unknowns.forget_like(looks[-1], self._sameness.surely)
        person = self.bank.person(person.person_id)
        return Confirmation(undo, person, next(iter(stored), None), tuple(cautions), self._advice(person))

    def _advice(self, person: Person) -> Advice | None:
        return advice(person.name, self.bank.photos(person.person_id), views=person.views)

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
        size = pixels.shape[1::-1]
        refusal = None
        try:
            usable(dominant_face(faces, *size))
        except InputError as error:
            refusal = error.alone()
        able = [face for face in by_prominence(faces, *size) if face.quality.score >= USABLE]
        return Offer(tuple(_offered(face) for face in able), refusal)

    def _meant(self, offers: Sequence[Offer], known: Sequence[Person]) -> list[Meant | VisageError]:
        return meant(
            offers,
            [(self.bank.template(each.person_id), self._same_person_threshold(each.views)) for each in known],
            self._same_person_threshold(1),
        )

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
        for person in namesakes:
            if any(self._held(person, photo) for photo in photos):
                return person
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

    def _held(self, person: Person, new: NewPhoto) -> Photo | None:
        """The photo of this person that is the same picture, where there is one."""
        for photo, embedding in self.bank.embedded(person.person_id):
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

    def _odd(
        self,
        person: Person,
        photos: Sequence[NewPhoto],
        held: Mapping[int, Photo],
    ) -> list[float | None]:
        """How alike each photo is to the person's others, where it is unlike them together or unlike most of them;
        None for the rest. Where the others are of two minds, the oldest decides on a new one: a photo that did not
        fit makes no room for more of its kind. Of two, the later one is the one that does not fit.
        """
        found: list[float | None] = []
        together, single = self._same_person_threshold(person.views), self._same_person_threshold(1)
        for row, new in enumerate(photos):
            own = held.get(row)
            template = self.bank.template(person.person_id, without=own.photo_id if own else None)
            similarity = float(new.embedding @ template)
            rest = [
                (photo, float(embedding @ new.embedding) < single)
                for photo, embedding in self.bank.embedded(person.person_id)
                if own is None or photo.photo_id != own.photo_id
            ]
            unlike = sum(apart for _, apart in rest)
            if not template.any():  # there are no others
                is_odd = False
            elif own is None:
                tied = 2 * unlike == len(rest) and rest[0][1]
                is_odd = similarity < together or 2 * unlike > len(rest) or tied
            elif len(rest) == 1:
                is_odd = rest[0][1] and rest[0][0].created_at < own.created_at
            else:
                is_odd = similarity < together or 2 * unlike > len(rest)
            found.append(similarity if is_odd else None)
        return found


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
