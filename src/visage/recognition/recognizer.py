"""One image in, an answer out: identify, verify, enrol."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visage.bank.bank import Hit, MemoryBank
from visage.bank.keys import KeySource
from visage.bank.sqlite import open_store
from visage.bank.store import CounterExample
from visage.errors import DuplicatePerson, InstallationError, NoFaceDetected, VisageError
from visage.recognition import calibration
from visage.recognition.calibration import Calibration
from visage.recognition.decision import Decider, Likeness
from visage.recognition.enrolment import USABLE, dominant_face, poor_photos, usable
from visage.recognition.report import Report, make_report
from visage.recognition.sightings import Seen, Sightings
from visage.recognition.tracker import Track, Tracker
from visage.recognition.unknowns import Unknowns
from visage.types import (
    Caution,
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
    PhotoOutcome,
    Status,
    Undo,
    Verification,
)
from visage.vision import models
from visage.vision.align import portrait
from visage.vision.embed import unit
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.pipeline import Pipeline

CANDIDATES = 3
"""How many persons are reported for each face."""

_SAME_PERSON_FAR = 1e-3
"""One against one, a false accept in a thousand: two photos of the same name are one person from there on."""

_MAX_FIXED_FAR = 0.01
_FIXED_FPIR = 0.01
"""A fixed threshold that more strangers reach, of pairs, is another model's."""

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
            faces = [track.face for track in tracks]
        searching = perf_counter()
        identified = self._name(faces)
        if tracks:
            self._note_unknowns(pixels, identified, tracks)
            identified = [
                replace(face, track_id=track.track_id, unknown_id=track.uid if track.uid in self.unknowns else None)
                for face, track in zip(identified, tracks, strict=True)
            ]
        identification_id = self._sightings.add(identified)
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
        )

    def detect(self, image: bytes) -> Detection:
        """Find and judge the faces of an image, without asking whose they are.

        Raises: InvalidImage, ImageTooLarge.
        """
        pixels = decode(image, self._limits)
        height, width = pixels.shape[:2]
        faces = self._pipeline.analyse(pixels)
        try:
            usable(dominant_face(faces, width, height))
        except VisageError as error:
            return Detection(width, height, tuple(faces), error)
        return Detection(width, height, tuple(faces), None)

    def verify_person(self, image: bytes, person_id: str) -> Verification:
        """Is the face in an image this person's?

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected, MultipleFaces, PersonNotFound.
        """
        person = self.bank.person(person_id)
        face = self._dominant_face(image)
        return self._verify(face.embedding, self.bank.template(person_id), person.embedding_count)

    def verify_images(self, image: bytes, image_2: bytes) -> Verification:
        """Do two images show the same person?

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected, MultipleFaces.
        """
        first, second = self._dominant_face(image), self._dominant_face(image_2)
        return self._verify(first.embedding, second.embedding, 1)

    def enrol(
        self,
        *,
        name: str,
        relationship: str | None,
        metadata: Mapping[str, Any],
        images: Sequence[bytes],
        consent: Consent | None = None,
    ) -> Enrolment:
        """Remember a person from one or more photos.

        A person of the same name whom the face matches gets the photos; otherwise a new person is made.

        Raises:
            InvalidImage, ImageTooLarge, NoFaceDetected, MultipleFaces, FaceNotUsable: no image can be used; the
                first one's error.
            DuplicatePerson: the face is known under another name, and the policy is to refuse that.
            BankError: the bank cannot be written.
        """
        results = [self._prepare(image) for image in images]
        return self._enrol(name, relationship, metadata, consent, results)

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
        enrolment = self._enrol(name, relationship, metadata, consent, [unknown.photo])
        self.unknowns.forget(unknown.unknown_id)
        return enrolment

    def _enrol(
        self,
        name: str,
        relationship: str | None,
        metadata: Mapping[str, Any],
        consent: Consent | None,
        results: Sequence[NewPhoto | VisageError],
    ) -> Enrolment:
        photos = _usable(results)
        template = _template(photos)
        with self._enrolling:
            namesake = self._namesake(name, template)
            cautions = self._look_alikes(template, namesake)
            if cautions and self._duplicate_policy == "reject" and namesake is None:
                raise DuplicatePerson(details=dict(cautions[0].details))
            if namesake is None:
                person = self.bank.enrol(
                    name=name, relationship=relationship, metadata=metadata, photos=photos, consent=consent
                )
                stored = self.bank.photos(person.person_id)
            else:
                cautions += self._misfits(namesake, photos)
                stored = self.bank.add_photos(namesake.person_id, photos)
                if consent is not None:
                    self.bank.update(namesake.person_id, consent=consent)
                person = self.bank.person(namesake.person_id)
        self.unknowns.forget_like(template, self._sameness.surely)
        return Enrolment(person, _outcomes(results, iter(stored)), (*cautions, *poor_photos(results)))

    def add_photos(self, person_id: str, images: Sequence[bytes]) -> Enrolment:
        """Remember more photos of someone.

        Raises: as `enrol`, and PersonNotFound.
        """
        person = self.bank.person(person_id)
        results = [self._prepare(image) for image in images]
        photos = _usable(results)
        with self._enrolling:
            cautions = [*self._look_alikes(_template(photos), person), *self._misfits(person, photos)]
            stored = self.bank.add_photos(person_id, photos)
        return Enrolment(
            self.bank.person(person_id), _outcomes(results, iter(stored)), (*cautions, *poor_photos(results))
        )

    def reject_sighting(self, person_id: str, identification_id: str) -> Undo:
        """ "That's wrong": the face of an identification that was, or might have been, this person is not.

        Raises: PersonNotFound, SightingNotFound, BankError.
        """
        person_id = self.bank.person(person_id).person_id
        return self.bank.reject(person_id, self._sightings.face_of(identification_id, person_id))

    def reject_image(self, person_id: str, image: bytes) -> Undo:
        """ "That's wrong": whoever in this image looks most like this person is not.

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected, PersonNotFound, BankError.
        """
        template = self.bank.template(person_id)
        faces = self._pipeline.analyse(decode(image, self._limits))
        if not faces:
            raise NoFaceDetected
        nearest = max(faces, key=lambda face: float(face.embedding @ template))
        return self.bank.reject(person_id, nearest.embedding)

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
        count = self.bank.person_count
        return make_report(
            self.bank.looks(),
            same_person=self._same_person_threshold,
            named=lambda photos: self._decider.threshold(persons=count, photos=photos),
        )

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
        self._sightings.forget_old()
        self.unknowns.forget_old()

    def warm_up(self) -> None:
        """Make the first identification as fast as the next."""
        grey = np.full((480, 640, 3), 128, dtype=np.uint8)
        self._name(self._pipeline.warm_up(decode(encode_jpeg(grey, _PICTURE_QUALITY), Limits())))

    def close(self) -> None:
        """Close the bank."""
        self.bank.close()

    def _name(self, faces: Sequence[Face]) -> list[IdentifiedFace]:
        if not faces:
            return []
        hits = self.bank.search(np.stack([face.embedding for face in faces]), CANDIDATES)
        verdicts = self._decider.decide(
            [_likenesses(row) for row in hits],
            qualities=[face.quality.score for face in faces],
            persons=self.bank.person_count,
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

    def _dominant_face(self, image: bytes, *, enrolling: bool = False) -> Face:
        pixels = decode(image, self._limits)
        return dominant_face(self._pipeline.analyse(pixels, enrolling=enrolling), *pixels.shape[1::-1])

    def _prepare(self, image: bytes) -> NewPhoto | VisageError:
        try:
            face = usable(self._dominant_face(image, enrolling=True))
        except VisageError as error:
            return error
        assert face.portrait is not None  # noqa: S101 - asked for with enrolling=True
        return _new_photo(face, face.portrait)

    def _verify(self, probe: Embedding, template: Embedding, photos: int) -> Verification:
        similarity = float(probe @ template)
        return Verification(
            same=similarity >= self._same_person_threshold(photos),
            similarity=similarity,
            confidence=self._decider.confidence(similarity, photos=photos),
        )

    def _same_person_threshold(self, photos: int) -> float:
        return self._decider.threshold(persons=1, photos=photos, fpir=_SAME_PERSON_FAR)

    def _namesake(self, name: str, template: Embedding) -> Person | None:
        """The person of this name whose face this is; the likeliest where there are several."""
        matching = [
            (similarity, person)
            for person in self.bank.named(name)
            if (similarity := float(template @ self.bank.template(person.person_id)))
            >= self._same_person_threshold(person.embedding_count)
        ]
        return max(matching, key=lambda pair: pair[0])[1] if matching else None

    def _look_alikes(self, template: Embedding, own: Person | None) -> list[Caution]:
        """A caution for the other person that this face would have been called."""
        (hits,) = self.bank.search(template[None], CANDIDATES)
        others = _likenesses([hit for hit in hits if own is None or hit.person.person_id != own.person_id])
        (verdict,) = self._decider.decide([others], qualities=[100], persons=self.bank.person_count)
        if verdict.status is not Status.KNOWN or verdict.match is None:
            return []
        other = verdict.match.person
        return [
            Caution(
                "LOOKS_LIKE",
                f"This face looks like {other.name}, who is already registered",
                {
                    "person_id": other.person_id,
                    "name": other.name,
                    "similarity": round(verdict.match.similarity, 4),
                },
            )
        ]

    def _misfits(self, person: Person, photos: Sequence[NewPhoto]) -> list[Caution]:
        template = self.bank.template(person.person_id)
        threshold = self._same_person_threshold(person.embedding_count)
        return [
            Caution(
                "DOES_NOT_FIT",
                f"Photo {index} does not look like the other photos of {person.name}",
                {"photo": index, "similarity": round(float(photo.embedding @ template), 4)},
            )
            for index, photo in enumerate(photos, start=1)
            if float(photo.embedding @ template) < threshold
        ]


def _new_photo(face: Face, picture: Image) -> NewPhoto:
    return NewPhoto(face.embedding, encode_jpeg(picture, _PICTURE_QUALITY), face.quality)


def _photo_of(image: Image, look: Face) -> NewPhoto:
    return _new_photo(look, portrait(image, look.landmarks))


def _likenesses(hits: Sequence[Hit]) -> list[Likeness]:
    return [Likeness(hit.person, hit.similarity, hit.quality, hit.rejected) for hit in hits]


def open_recognizer(
    *,
    data_dir: Path,
    key: KeySource,
    threads: int,
    limits: Limits,
    similarity_threshold: float | None,
    target_fpir: float,
    duplicate_policy: Literal["warn", "reject"],
    model: str = models.DEFAULT_EMBEDDER.name,
    detector: str = models.DEFAULT_DETECTOR.name,
) -> Recognizer:
    """Load the models, by name, and open the bank in a data directory.

    Raises: UnknownModel, WeightsError, NoCalibration, BankError, InstallationError.
    """
    chosen, finds = models.embedder(model), models.detector(detector)
    bank = MemoryBank(open_store(data_dir, key), model=chosen.space, dimension=chosen.dimension)
    try:
        measured = calibration.load(chosen.space, data_dir)
        if similarity_threshold is not None and chosen is not models.DEFAULT_EMBEDDER:
            _must_fit(similarity_threshold, measured)
        pipeline = Pipeline(model=chosen, detector=finds, threads=threads, cache_dir=data_dir / "compiled")
    except BaseException:
        bank.close()
        raise
    return Recognizer(
        pipeline,
        bank,
        Decider(measured, target_fpir=target_fpir, similarity_threshold=similarity_threshold),
        limits=limits,
        duplicate_policy=duplicate_policy,
        sameness=chosen.sameness or _sameness(measured),
    )


def _must_fit(threshold: float, measured: Calibration) -> None:
    """A threshold that was chosen for one model may name everybody with another: to dlib all faces are alike to 0.8.

    Raises:
        InstallationError: too many strangers reach it.
    """
    reached = measured.false_accept_rate(threshold)
    if reached > _MAX_FIXED_FAR:
        raise InstallationError(
            f"With the model {measured.model} one pair of strangers in {max(1, round(1 / reached))} reaches "
            f"VISAGE_SIMILARITY_THRESHOLD={threshold:g}. Unset it, or set one of this model's: "
            f"{measured.threshold(persons=100, photos=1, fpir=_FIXED_FPIR):.2f} keeps strangers nameless in a bank "
            "of a hundred"
        )


def _sameness(measured: Calibration) -> models.Sameness:
    """The cosines that as many strangers reach as with every other model."""

    def reached(far: float) -> float:
        return measured.threshold(persons=1, photos=1, fpir=far)

    rates = models.STRANGERS_WHO_REACH
    return models.Sameness(reached(rates.surely), reached(rates.likely), reached(rates.not_another))


def _usable(results: Sequence[NewPhoto | VisageError]) -> list[NewPhoto]:
    """The photos among the results; where there is none, the first error is raised."""
    photos = [result for result in results if isinstance(result, NewPhoto)]
    if not photos:
        raise next(result for result in results if isinstance(result, VisageError))
    return photos


def _template(photos: Sequence[NewPhoto]) -> Embedding:
    return unit(np.mean([photo.embedding for photo in photos], axis=0, dtype=np.float32))


def _outcomes(results: Sequence[NewPhoto | VisageError], stored: Iterator[Photo]) -> tuple[PhotoOutcome, ...]:
    """One outcome an image, in order; `stored` yields the photos of the usable ones."""
    return tuple(
        PhotoOutcome(None, None, result)
        if isinstance(result, VisageError)
        else PhotoOutcome(next(stored), result.quality, None)
        for result in results
    )
