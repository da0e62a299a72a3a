"""What an installation does for whoever asks: each verb knows its lanes, so that no route, bridge or command does.

Verbs of faces compute in the lane of the models and store in that of storage; verbs of people store, or read in the
lane of readers. All of them raise `NotReady` while the service is loading, `Overloaded`, `TooMuchWork` and `Stopping`
as `lanes.py` says, and `BankError` where the bank cannot be read or written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from visage.bank.bank import MemoryBank, Page
from visage.bank.listing import Order
from visage.errors import Forbidden
from visage.recognition.enrolment import Details
from visage.recognition.recognizer import Recognizer
from visage.recognition.report import Closeness, Report
from visage.recognition.sightings import Seen
from visage.recognition.tracker import Tracker
from visage.recognition.unknowns import Unknown
from visage.service.memory import give_back
from visage.service.service import Service
from visage.types import (
    Advice,
    Box,
    Confirmation,
    Detection,
    Enrolment,
    Identification,
    Person,
    Photo,
    Undo,
    Verification,
)


@dataclass(frozen=True, slots=True)
class Record:
    """A person with all that a page shows of one."""

    person: Person
    photos: tuple[Photo, ...]
    undos: tuple[Undo, ...]


@dataclass(frozen=True, slots=True)
class WholeReport:
    """What to look at in the bank, and whom the camera has seen."""

    report: Report
    closeness: Closeness
    advice: list[tuple[Person, Advice]]
    seen: list[Seen]


class Verbs:
    """Of one service.

    Args:
        service: may still be loading.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lanes = service.lanes

    @property
    def _recognizer(self) -> Recognizer:
        return self._service.recognizer

    @property
    def _bank(self) -> MemoryBank:
        return self._recognizer.bank

    # Faces

    async def identify(self, image: bytes) -> Identification:
        """Who is in an image; raises as `Recognizer.identify`."""
        return await self._lanes.compute(self._recognizer.identify, image)

    def camera(self) -> Tracker:
        """What follows the faces of one stream, for `watch`."""
        return self._recognizer.camera()

    async def watch(self, frame: bytes, camera: Tracker) -> Identification:
        """Who is in the next frame of a stream; raises as `Recognizer.identify`."""
        return await self._lanes.compute_frame(self._recognizer.identify, frame, camera)

    async def detect(self, image: bytes) -> Detection:
        """The faces of an image; raises as `Recognizer.detect`."""
        return await self._lanes.compute(self._recognizer.detect, image)

    async def verify_person(self, image: bytes, person_id: str, box: Box | None) -> Verification:
        """Is this that person? Raises as `Recognizer.verify_person`."""
        recognizer = self._recognizer
        await self._see(person_id)
        face = await self._lanes.compute(recognizer.chosen_face, image, box)
        return await self._lanes.read(recognizer.verify_face, face, person_id)

    async def verify_images(self, image: bytes, image_2: bytes, box: Box | None, box_2: Box | None) -> Verification:
        """Do two images show the same person? Raises as `Recognizer.verify_images`."""
        recognizer = self._recognizer
        faces = await self._lanes.compute_each(
            recognizer.chosen_face, [image, image_2], [box, box_2], ["box", "box_2"]
        )
        return recognizer.verify_faces(*faces)

    # People

    async def register(
        self, name: str, details: Details, images: Sequence[bytes], boxes: Sequence[Box | None]
    ) -> Enrolment:
        """Remember someone; raises as `Recognizer.enrol`."""
        recognizer = self._recognizer
        offers = await self._lanes.compute_each(recognizer.prepare, images, boxes)
        if self._bank.foreign_photos:
            await self._lanes.compute(recognizer.see_named, name)
        return await self._lanes.store(recognizer.enrol_prepared, name, details, offers)

    async def add_photos(
        self, person_id: str, details: Details, images: Sequence[bytes], boxes: Sequence[Box | None]
    ) -> Enrolment:
        """Remember more photos of someone; raises as `Recognizer.add_photos`."""
        recognizer = self._recognizer
        await self._see(person_id)
        offers = await self._lanes.compute_each(recognizer.prepare, images, boxes)
        return await self._lanes.store(recognizer.add_prepared, person_id, details, offers)

    async def persons(self, query: str | None, limit: int, cursor: str | None, order: Order = "newest") -> Page:
        """A page of the persons; raises as `MemoryBank.persons`."""
        return await self._lanes.read(self._bank.persons, query=query, limit=limit, cursor=cursor, order=order)

    async def person(self, person_id: str) -> Record:
        """One person with photos and corrections; raises PersonNotFound."""
        bank = self._bank

        def find() -> Record:
            return Record(bank.person(person_id), bank.photos(person_id), bank.undos(person_id))

        return await self._lanes.read(find)

    async def change(self, person_id: str, function: Callable[[Person], Person]) -> Person:
        """Change what is known of someone, and nobody comes between; raises as `MemoryBank.change`."""
        return await self._lanes.store(self._bank.change, person_id, function)

    async def forget(self, person_id: str) -> bool:
        """Forget someone; returns and raises as `MemoryBank.forget`."""
        bank = self._bank

        def forget() -> bool:
            complete = bank.forget(person_id)
            give_back()
            return complete

        return await self._lanes.store(forget)

    async def picture(self, person_id: str, photo_id: str) -> bytes:
        """A stored picture, a JPEG; raises as `MemoryBank.picture`."""
        return await self._lanes.store(self._bank.picture, person_id, photo_id)

    async def forget_photo(self, person_id: str, photo_id: str) -> bool:
        """Forget one photo; returns and raises as `MemoryBank.forget_photo`."""
        return await self._lanes.store(self._bank.forget_photo, person_id, photo_id)

    # Corrections

    async def not_me(self, person_id: str, source: str | bytes, box: Box | None) -> Undo:
        """That is not this person: a face of an identification, by its id, or of an image; raises as
        `Recognizer.reject_sighting` and `reject_image`."""
        recognizer = self._recognizer
        if isinstance(source, str):
            return await self._lanes.store(recognizer.reject_sighting, person_id, source, box)
        await self._see(person_id)
        faces = await self._lanes.compute(recognizer.clear_faces, source)
        return await self._lanes.store(recognizer.reject_among, person_id, faces, box)

    async def is_me(self, person_id: str, source: str | bytes, box: Box | None) -> Confirmation:
        """That is this person; as `not_me`. Raises as `Recognizer.confirm_sighting` and `confirm_image`."""
        recognizer = self._recognizer
        if isinstance(source, str):
            return await self._lanes.store(recognizer.confirm_sighting, person_id, source, box)
        await self._see(person_id)
        offer = await self._lanes.compute(recognizer.prepare, source, box)
        return await self._lanes.store(recognizer.confirm_offer, person_id, offer)

    async def merge(self, person_id: str, other_id: str) -> tuple[Undo, Person]:
        """Two persons are one; raises as `Recognizer.merge`."""
        recognizer = self._recognizer

        def merge() -> tuple[Undo, Person]:
            undo = recognizer.merge(person_id, other_id)
            return undo, recognizer.bank.person(undo.person_id)

        return await self._lanes.store(merge)

    async def undo(self, undo_id: str, *, may_all: bool) -> Undo:
        """Take a correction back.

        Args:
            undo_id: which.
            may_all: whoever asks may take back more than a not-me.

        Raises:
            Forbidden: they may not.
            UndoNotFound, CannotUndo: as `MemoryBank.undo`.
        """
        bank = self._bank

        def undo() -> Undo:
            if not may_all and bank.correction(undo_id).kind != "not-me":
                raise Forbidden("To take that back needs the role editor")
            return bank.undo(undo_id)

        return await self._lanes.store(undo)

    async def report(self) -> WholeReport:
        """What to look at in the bank."""
        recognizer = self._recognizer

        def make() -> WholeReport:
            return WholeReport(recognizer.report(), recognizer.closeness(), recognizer.advice(), recognizer.seen())

        return await self._lanes.read(make)

    # Faces that nobody knows

    async def unknowns(self) -> list[Unknown]:
        """They, the latest first."""
        return await self._lanes.read(self._recognizer.unknowns.all)

    async def unknown_picture(self, unknown_id: str) -> bytes:
        """The best picture of one, a JPEG; raises UnknownNotFound."""
        return (await self._lanes.read(self._recognizer.unknowns.get, unknown_id)).photo.picture

    async def dismiss_unknown(self, unknown_id: str) -> None:
        """Forget one; raises UnknownNotFound."""
        await self._lanes.read(self._recognizer.unknowns.dismiss, unknown_id)

    async def register_unknown(self, unknown_id: str, name: str, details: Details) -> Enrolment:
        """Give one a name; raises as `Recognizer.enrol_unknown`."""
        return await self._lanes.store(self._recognizer.enrol_unknown, unknown_id, name=name, **details._asdict())

    async def confirm_unknown(self, unknown_id: str, person_id: str) -> Confirmation:
        """One is someone who is remembered; raises as `Recognizer.confirm_unknown`."""
        await self._see(person_id)
        return await self._lanes.store(self._recognizer.confirm_unknown, unknown_id, person_id)

    async def _see(self, person_id: str) -> None:
        """See to it that this model knows the photos of someone; who is not there needs no work.

        Raises: PersonNotFound, BankError.
        """
        if self._bank.foreign_photos:
            await self._lanes.compute(self._recognizer.see, person_id)
        else:
            self._bank.person(person_id)
