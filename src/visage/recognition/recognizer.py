"""One image in, an answer out: identify, verify.

Here is one bank, one pipeline and the verbs; how somebody is enrolled, taught and looked after is beside it, each
subject in its file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visage.bank.bank import MemoryBank
from visage.recognition import advice, enrolling, gallery, images, report, teaching, watching
from visage.recognition.choosing import Offer, Offered
from visage.recognition.crowd import MAX_SAMPLE, Crowd, measure
from visage.recognition.decision import Decider
from visage.recognition.enrolment import Details
from visage.recognition.gallery import Gallery
from visage.recognition.report import Closeness, Report
from visage.recognition.sightings import Seen, Sightings
from visage.recognition.teaching import Word
from visage.recognition.tracker import Track, Tracker
from visage.recognition.unknowns import Unknowns
from visage.types import (
    Advice,
    Box,
    Confirmation,
    Consent,
    Detection,
    Enrolment,
    Face,
    Identification,
    IdentifiedFace,
    Person,
    Undo,
    Verification,
)
from visage.vision import models
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.pipeline import Faces, Pipeline


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

    @property
    def _gallery(self) -> Gallery:
        """Who is remembered, by the rule that holds now."""
        return Gallery(self.bank, self._decider, self._sameness, self.crowd)

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
            watching.note_unknowns(self.unknowns, pixels, identified, tracks, self._sameness.surely)
            identified = [
                replace(face, track_id=track.track_id, unknown_id=track.uid if track.uid in self.unknowns else None)
                for face, track in zip(identified, tracks, strict=True)
            ]
        keys = watching.keep_pictures(self._sightings, pixels, identified, tracks)
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
        """Find and judge the faces of an image, without asking whose they are; see `images.detect`."""
        return images.detect(self._pipeline, image, self._limits)

    def verify_person(self, image: bytes, person_id: str, box: Box | None = None) -> Verification:
        """Is the face in an image this person's? `box` says which face; else it is the one that stands out.

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected, MultipleFaces, InvalidValue, PersonNotFound.
        """
        self.see(person_id)
        return self.verify_face(self.chosen_face(image, box), person_id)

    def verify_face(self, face: Face, person_id: str) -> Verification:
        """As `verify_person`, with what `chosen_face` gave; uses no models."""
        person = self.bank.person(person_id)
        return gallery.verify(self._gallery, face.embedding, self.bank.template(person_id), person.views)

    def verify_images(
        self, image: bytes, image_2: bytes, box: Box | None = None, box_2: Box | None = None
    ) -> Verification:
        """Do two images show the same person? Boxes as in `verify_person`.

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected, MultipleFaces, InvalidValue.
        """
        return self.verify_faces(self.chosen_face(image, box), self.chosen_face(image_2, box_2, "box_2"))

    def verify_faces(self, face: Face, face_2: Face) -> Verification:
        """As `verify_images`, with what `chosen_face` gave for each."""
        return gallery.verify(self._gallery, face.embedding, face_2.embedding, 1)

    def clear_faces(self, image: bytes) -> list[Face]:
        """The faces of an image that can be told apart; see `images.clear_faces`."""
        return images.clear_faces(self._pipeline, image, self._limits)

    def chosen_face(self, image: bytes, box: Box | None = None, field: str = "box") -> Face:
        """The face in a box, or the one that an image is of; see `images.chosen_face`."""
        return images.chosen_face(self._pipeline, image, self._limits, box, field)

    def prepare(self, image: bytes, box: Box | None = None) -> Offer:
        """The faces of an image that may be remembered, or why none may, without a bank; see `images.prepare`."""
        return images.prepare(self._pipeline, image, self._limits, box)

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

        Args:
            name: of the person; whoever of that name has that face gets the photos, see `enrolling.enrol`.
            relationship, metadata, consent: what else is known; of a person who is here already only what is new.
            images: encoded; see `images.prepare`.
            boxes: for each image, or for none, which face is meant; None where that is not said.
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
        """Give a face that nobody knows a name: as `enrol`, with the best picture that the camera has of it; raises
        UnknownNotFound too. To say it again changes nothing, and is answered as the first time."""
        said = self.unknowns.said(unknown_id, name)
        if isinstance(said, Enrolment) and self.bank.has(said.person.person_id):
            return said
        unknown = self.unknowns.get(unknown_id)
        offer = Offer((Offered(Box(0, 0, 0, 0), unknown.photo),))  # where it was in its frame does not matter here
        enrolment = self.enrol_prepared(name, Details(relationship, metadata, consent), [offer])
        self.unknowns.remember_said(unknown.unknown_id, name, enrolment)
        return enrolment

    def enrol_prepared(self, name: str, details: Details, offers: Sequence[Offer]) -> Enrolment:
        """As `enrol`, with what `prepare` gave for each image; uses no models: `see_named` comes first."""
        refuse_known = self._duplicate_policy == "reject"
        with self._enrolling:
            enrolment, template = enrolling.enrol(self._gallery, name, details, offers, refuse_known=refuse_known)
        self.unknowns.forget_like(template, self._sameness.surely)
        return enrolment

    def add_photos(
        self,
        person_id: str,
        images: Sequence[bytes],
        boxes: Sequence[Box | None] = (),
        details: Details = Details(),  # noqa: B008 - a tuple
    ) -> Enrolment:
        """Remember more photos of someone: as `enrol`; raises PersonNotFound too."""
        self.see(person_id)
        offers = [self.prepare(*each) for each in zip(images, boxes or [None] * len(images), strict=True)]
        return self.add_prepared(person_id, details, offers)

    def add_prepared(self, person_id: str, details: Details, offers: Sequence[Offer]) -> Enrolment:
        """As `add_photos`, with what `prepare` gave for each image; uses no models: `see` comes first."""
        with self._enrolling:
            return enrolling.add_photos(self._gallery, person_id, details, offers)

    def reject_sighting(self, person_id: str, identification_id: str, box: Box | None = None) -> Undo:
        """ "That's wrong": a face of an identification is not this person; see `teaching.reject_sighting`. Raises
        SightingNotFound where it is too long ago."""
        person_id = self.bank.person(person_id).person_id
        sighting = self._sightings.sighting(identification_id)
        return teaching.reject_sighting(self._gallery, person_id, sighting, box)

    def reject_image(self, person_id: str, image: bytes, box: Box | None = None) -> Undo:
        """ "That's wrong": a face of an image is not this person; see `teaching.reject_among`."""
        self.see(person_id)
        return self.reject_among(person_id, self.clear_faces(image), box)

    def reject_among(self, person_id: str, faces: Sequence[Face], box: Box | None = None) -> Undo:
        """As `reject_image`, with what `clear_faces` gave; uses no models."""
        return teaching.reject_among(self._gallery, person_id, faces, box)

    def confirm_sighting(self, person_id: str, identification_id: str, box: Box | None = None) -> Confirmation:
        """ "Yes, that is Anna": a face of an identification is this person; see `teaching.word_on_sighting`."""
        person = self.bank.person(person_id)
        sighting = self._sightings.sighting(identification_id)
        return self._confirm(person, lambda: teaching.word_on_sighting(self._gallery, person, sighting, box))

    def confirm_image(self, person_id: str, image: bytes, box: Box | None = None) -> Confirmation:
        """ "Yes, that is Anna": a face of an image is this person; see `teaching.word_on_offer`."""
        self.see(person_id)
        return self.confirm_offer(person_id, self.prepare(image, box))

    def confirm_offer(self, person_id: str, offer: Offer) -> Confirmation:
        """As `confirm_image`, with what `prepare` gave; uses no models."""
        person = self.bank.person(person_id)
        return self._confirm(person, lambda: teaching.word_on_offer(self._gallery, person, offer))

    def confirm_unknown(self, unknown_id: str, person_id: str) -> Confirmation:
        """A face that nobody knows is someone who is remembered; see `teaching.confirm`. To say it again changes
        nothing, and is answered as the first time."""
        person = self.bank.person(person_id)
        said = self.unknowns.said(unknown_id, person.person_id)
        if isinstance(said, Confirmation) and said.undo in self.bank.undos(person.person_id):
            return said
        unknown = self.unknowns.get(unknown_id)
        confirmation = self._confirm(person, lambda: Word([unknown.photo.embedding], unknown.photo))
        self.unknowns.remember_said(unknown.unknown_id, person.person_id, confirmation)
        return confirmation

    def merge(self, target_id: str, source_id: str) -> Undo:
        """Two persons are one; see `teaching.merge`."""
        return teaching.merge(self._gallery, target_id, source_id)

    def report(self) -> Report:
        """What a carer should look at in the bank."""
        return report.report_of(self._gallery)

    def advice(self) -> list[tuple[Person, Advice]]:
        """Who would be recognised more often by another photo, and which one would help most."""
        return advice.advice_for_all(self.bank)

    def closeness(self) -> Closeness:
        """How alike the people in the bank are, and what follows."""
        return report.closeness_in(self._gallery)

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
        return images.embed_pictures(self._pipeline, pictures, self._limits)

    def see(self, person_id: str) -> Person:
        """A person as this model sees them: photos that only another model has embedded are embedded now. Nobody is
        a stranger to their own photos because `visage reembed` was not run yet. Costs nothing where none waits.

        Raises: PersonNotFound, BankError.
        """
        return self.bank.reembed_person(person_id, self._embed_pictures)

    def see_named(self, name: str) -> None:
        """As `see`, all of a name; raises BankError."""
        for person in self.bank.named(name):
            self.see(person.person_id)

    def set_target_fpir(self, target_fpir: float) -> None:
        """Change how many of the strangers seen may be given a name, a fraction; holds from the next image on."""
        self._decider = self._decider.with_target_fpir(target_fpir)

    def note_seen(self) -> None:
        """Let the bank keep when everyone was seen last; raises BankError."""
        self.bank.note_seen({each.person.person_id: each.last_seen_at for each in self.seen()})

    def forget_strangers(self) -> None:
        """Forget what the camera saw longer ago than it may be kept."""
        self._sightings.forget_old(self.bank)
        self.unknowns.forget_old(self.bank.has)

    def load_models(self) -> None:
        """Load the models, where that was put off until there is a picture."""
        self._pipeline.load()

    def warm_up(self) -> None:
        """Make the first identification as fast as the next."""
        grey = np.full((480, 640, 3), 128, dtype=np.uint8)
        self.crowd()
        self._name(self._pipeline.warm_up(decode(encode_jpeg(grey, images.PICTURE_QUALITY), Limits())))

    def close(self) -> None:
        """Close the bank."""
        self.bank.close()

    def _name(self, faces: Sequence[Face]) -> list[IdentifiedFace]:
        return gallery.name(self._gallery, faces)

    def _confirm(self, person: Person, word: Callable[[], Word]) -> Confirmation:
        with self._enrolling:
            said = word()
            confirmation = teaching.confirm(self._gallery, person, said)
        self.unknowns.forget_like(said.looks[-1], self._sameness.surely)
        return confirmation
