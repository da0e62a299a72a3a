"""One image in, an answer out: identify, verify, enrol."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
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
from visage.bank.views import SAME_VIEW
from visage.errors import BankError, DuplicatePerson, NoFaceDetected, PhotoNotFound, VisageError
from visage.recognition import calibration
from visage.recognition.choosing import Meant, Offer, Offered, face_in, meant
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
    likenesses_among,
    misfits,
    photos_of,
    template_of,
    usable,
)
from visage.recognition.report import Report, make_report
from visage.recognition.sightings import Seen, Sightings
from visage.recognition.tracker import SURELY_SAME, Track, Tracker
from visage.recognition.unknowns import Unknowns
from visage.types import (
    Box,
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
    Status,
    Undo,
    Verification,
)
from visage.vision.align import portrait
from visage.vision.embed import DIMENSION, MODEL_NAME
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.pipeline import Pipeline

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
    """

    def __init__(
        self,
        pipeline: Pipeline,
        bank: MemoryBank,
        decider: Decider,
        *,
        limits: Limits,
        duplicate_policy: Literal["warn", "reject"] = "warn",
    ) -> None:
        self.bank = bank
        self.model = bank.model
        self._pipeline = pipeline
        self._decider = decider
        self._limits = limits
        self._duplicate_policy = duplicate_policy
        self._enrolling = threading.Lock()
        self._sightings = Sightings()
        self.unknowns = Unknowns()

    def camera(self, clock: Callable[[], float] = time.monotonic) -> Tracker:
        """What follows the faces of one camera; `clock` gives seconds, never going back."""
        return Tracker(self._pipeline, clock)

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
        faces = tuple(self._pipeline.analyse(pixels))
        try:
            face = usable(dominant_face(faces, width, height))
        except VisageError as error:
            return Detection(width, height, faces, None, error)
        return Detection(width, height, faces, face, None)

    def verify_person(self, image: bytes, person_id: str, box: Box | None = None) -> Verification:
        """Is the face in an image this person's? `box` says which face; else it is the one that stands out.

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected, MultipleFaces, InvalidValue, PersonNotFound.
        """
        person = self.bank.person(person_id)
        face = self._face(image, box)
        return self._verify(face.embedding, self.bank.template(person_id), person.views)

    def verify_images(
        self, image: bytes, image_2: bytes, box: Box | None = None, box_2: Box | None = None
    ) -> Verification:
        """Do two images show the same person? Boxes as in `verify_person`.

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected, MultipleFaces, InvalidValue.
        """
        first, second = self._face(image, box), self._face(image_2, box_2, "box_2")
        return self._verify(first.embedding, second.embedding, 1)

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
        details = Details(relationship, metadata, consent)
        return self._enrol(name, details, self._offers(images, boxes))

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
        enrolment = self._enrol(name, Details(relationship, metadata, consent), [offer])
        self.unknowns.forget(unknown.unknown_id)
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
        self.bank.person(person_id)
        offers = self._offers(images, boxes)
        with self._enrolling:
            person = self.bank.person(person_id)
            return self._add_to(person, details, offers, self._meant(offers, [person]))

    def _enrol(self, name: str, details: Details, offers: Sequence[Offer]) -> Enrolment:
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
        self.unknowns.forget_like(template, SURELY_SAME)
        return enrolment

    def _add_person(
        self, name: str, details: Details, offers: Sequence[Offer], results: Sequence[Meant | VisageError]
    ) -> Enrolment:
        photos = photos_of(results)
        look_alikes = self._look_alikes(template_of(photos), None)
        if look_alikes and self._duplicate_policy == "reject":
            raise DuplicatePerson(details=dict(look_alikes[0].details))
        fresh, places = distinct(photos)
        person = self.bank.enrol(name=name, photos=fresh, **details._asdict())
        kept = self.bank.photos(person.person_id)
        unlike = misfits(person, results, likenesses_among(photos), self._same_person_threshold(1))
        cautions = [*look_alikes, *unlike]
        return enrolment_of(person, offers, results, [kept[place] for place in places], {}, cautions)

    def _add_to(
        self, person: Person, details: Details, offers: Sequence[Offer], results: Sequence[Meant | VisageError]
    ) -> Enrolment:
        """Give a person photos, and what else is new."""
        photos = photos_of(results)
        held = {row: photo for row, new in enumerate(photos) if (photo := self._held(person, new)) is not None}
        fresh, places = distinct([new for row, new in enumerate(photos) if row not in held])
        before, threshold = self._before(person, photos, held), self._same_person_threshold(person.views)
        # Of a request that is repeated, the first reply may never have been seen: all that it said is said again.
        results = doubting(
            results, [row in held and (each is None or each < threshold) for row, each in enumerate(before)]
        )
        cautions = self._look_alikes(template_of(photos), person)
        changes, kept_as_was = completed(person, details)
        if changes:
            self.bank.update(person.person_id, **changes)
        stored = self.bank.add_photos(person.person_id, fresh) if fresh else ()
        new = iter(places)
        kept = [held[row] if row in held else stored[next(new)] for row in range(len(photos))]
        person = self.bank.person(person.person_id)
        cautions += [*misfits(person, results, before, threshold), *kept_as_was]
        return enrolment_of(person, offers, results, kept, held, cautions)

    def reject_sighting(self, person_id: str, identification_id: str) -> Undo:
        """ "That's wrong": the face of an identification that was, or might have been, this person is not.

        Raises: PersonNotFound, SightingNotFound, BankError.
        """
        person_id = self.bank.person(person_id).person_id
        return self.bank.reject(person_id, self._sightings.face_of(identification_id, person_id))

    def reject_image(self, person_id: str, image: bytes, box: Box | None = None) -> Undo:
        """ "That's wrong": whoever in this image looks most like this person is not; or who is in the box.

        Raises: InvalidImage, ImageTooLarge, NoFaceDetected, InvalidValue, PersonNotFound, BankError.
        """
        template = self.bank.template(person_id)
        faces = self._pipeline.analyse(decode(image, self._limits))
        if box is not None:
            return self.bank.reject(person_id, face_in(faces, box).embedding)
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
                    self.unknowns.forget_like(track.evidence, SURELY_SAME)
            elif track.is_fresh and face.status is Status.UNKNOWN and look.quality.score >= USABLE:
                self.unknowns.seen(track.uid, look.quality.score, partial(_photo_of, image, look))

    def _face(self, image: bytes, box: Box | None, field: str = "box") -> Face:
        """The face in a box, or the one that stands out."""
        pixels = decode(image, self._limits)
        faces = self._pipeline.analyse(pixels)
        return dominant_face(faces, *pixels.shape[1::-1]) if box is None else face_in(faces, box, field)

    def _offers(self, images: Sequence[bytes], boxes: Sequence[Box | None]) -> list[Offer]:
        return [self._offer(image, box) for image, box in zip(images, boxes or [None] * len(images), strict=True)]

    def _offer(self, image: bytes, box: Box | None) -> Offer:
        try:
            pixels = decode(image, self._limits)
            faces = self._pipeline.analyse(pixels, enrolling=True)
            if box is not None:
                return Offer((_offered(usable(face_in(faces, box))),))
        except VisageError as error:
            return Offer((), _without_frames(error))
        size = pixels.shape[1::-1]
        refusal = None
        try:
            usable(dominant_face(faces, *size))
        except VisageError as error:
            refusal = _without_frames(error)
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
        return max(matching, key=lambda pair: pair[0])[1] if matching else None

    def _held(self, person: Person, new: NewPhoto) -> Photo | None:
        """The photo of this person that is the same picture, where there is one."""
        for photo, embedding in self.bank.embedded(person.person_id):
            if float(embedding @ new.embedding) >= SAME_VIEW:
                try:
                    if is_same_picture(self.bank.picture(person.person_id, photo.photo_id), new.picture):
                        return photo
                except (BankError, PhotoNotFound):  # it cannot be read, or is just being forgotten: it is no other
                    continue
        return None

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

    def _before(self, person: Person, photos: Sequence[NewPhoto], held: Mapping[int, Photo]) -> list[float | None]:
        """How alike each photo is to those that the person had before it; None where there were none."""
        likenesses: list[float | None] = []
        for row, photo in enumerate(photos):
            template = self.bank.template(person.person_id, without=held[row].photo_id if row in held else None)
            likenesses.append(float(photo.embedding @ template) if template.any() else None)
        return likenesses


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
) -> Recognizer:
    """Load the models and open the bank in a data directory.

    Raises: WeightsError, BankError, InstallationError.
    """
    bank = MemoryBank(open_store(data_dir, key), model=MODEL_NAME, dimension=DIMENSION)
    try:
        pipeline = Pipeline(threads=threads, cache_dir=data_dir / "compiled")
        decider = Decider(
            calibration.load(MODEL_NAME, data_dir), target_fpir=target_fpir, similarity_threshold=similarity_threshold
        )
    except BaseException:
        bank.close()
        raise
    return Recognizer(pipeline, bank, decider, limits=limits, duplicate_policy=duplicate_policy)


def _offered(face: Face) -> Offered:
    assert face.portrait is not None  # noqa: S101 - asked for with enrolling=True
    return Offered(face.box, _new_photo(face, face.portrait))


def _without_frames(error: VisageError) -> VisageError:
    """An error that is kept for a while must not keep the picture that its frames hold."""
    return error.with_traceback(None)
