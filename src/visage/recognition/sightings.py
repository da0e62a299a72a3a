"""What the camera has seen lately: in memory only, bounded in number and time."""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from visage.bank.bank import MemoryBank
from visage.errors import PersonNotFound, SightingNotFound
from visage.recognition.choosing import face_in
from visage.types import Box, Embedding, Face, IdentifiedFace, Image, Person, Quality, Status

_MAX_SIGHTINGS = 5000
_MAX_FACES = 20_000
"""Of all of them: 2.5 KiB each."""
_MAX_PICTURE_BYTES = 16 * 2**20
_MAX_AGE_S = 600.0


@dataclass(frozen=True, slots=True)
class Seen:
    """How often a person was named since the start, and when last."""

    person: Person
    times: int
    last_seen_at: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A face that was looked at closely, cut out of its frame.

    Attributes:
        image: (h, w, 3) uint8, RGB, a copy.
        landmarks: (5, 2) float32 pixels in it, as in `Face`.
        embedding: (D,) float32, unit length, of this picture.
        quality: of this picture.
    """

    image: Image
    landmarks: NDArray[np.float32]
    embedding: Embedding
    quality: Quality


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A face of an identification.

    Attributes:
        face: as it was identified.
        named: as whom; None where it was not.
        might_be: the first of the candidates, where it was uncertain.
        similarity: to each person who came up, cosine.
        picture: the best of this face; None where none is kept.
    """

    face: Face
    named: str | None
    might_be: str | None
    similarity: Mapping[str, float]
    picture: Picture | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """What was seen in one image of a size (width, height), pixels."""

    size: tuple[int, int]
    looks: tuple[Look, ...]

    def of(self, person_id: str, box: Box | None = None) -> Look:
        """The face in a box; else the one that was named as a person, or else the one most like that person; of
        several that were named so, the largest.

        Raises:
            SightingNotFound: that person did not come up.
            InvalidValue: the box fits no face, or several.
        """
        if box is not None:
            face = face_in([look.face for look in self.looks], box)
            return next(look for look in self.looks if look.face is face)

        def rank(look: Look) -> tuple[bool, float, float]:
            is_named = look.named == person_id
            return is_named, look.face.box.area if is_named else 0.0, look.similarity[person_id]

        found = [look for look in self.looks if person_id in look.similarity]
        if not found:
            raise SightingNotFound
        return max(found, key=rank)


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """A picture, and whose it may be."""

    at_s: float
    person_ids: frozenset[str]
    is_strangers: bool
    picture: Picture


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """An identification, and under which key the picture of each face is."""

    at_s: float
    sighting: Sighting
    picture_keys: tuple[str | None, ...]


class Sightings:
    """Remembers identifications for some minutes, so that "that's wrong" and "that's right" can be said of them.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turn = threading.Lock()
        self._sightings: OrderedDict[str, _Entry] = OrderedDict()
        self._pictures: OrderedDict[str, _Kept] = OrderedDict()
        self._faces = 0
        self._picture_bytes = 0
        self._seen: dict[str, tuple[int, datetime]] = {}

    def add(
        self,
        faces: Sequence[IdentifiedFace],
        size: tuple[int, int],
        picture_keys: Sequence[str | None] | None = None,
    ) -> str:
        """Remember an identification.

        Args:
            faces: what was decided.
            size: width and height of the image, pixels.
            picture_keys: for each face under which key its picture was kept, where one was.

        Returns: its id.
        """
        key, now = str(uuid.uuid4()), self._clock()
        looks = tuple(map(_look, faces))
        entry = _Entry(now, Sighting(size, looks), tuple(picture_keys or [None] * len(faces)))
        named = {face.match.person.person_id for face in faces if face.match is not None}
        with self._turn:
            for person_id in named:
                self._seen[person_id] = (self._seen.get(person_id, (0,))[0] + 1, datetime.now(UTC))
            if looks:
                self._sightings[key] = entry
                self._faces += len(looks)
            self._forget_old()
        return key

    def forget_old(self, bank: MemoryBank) -> None:
        """Forget what was seen too long ago, and the pictures of those who are forgotten."""
        with self._turn:
            for key, kept in list(self._pictures.items()):
                if not all(map(bank.has, kept.person_ids)):
                    self._drop_picture(key)
            self._forget_old()

    def picture_score(self, key: str) -> int:
        """Quality of the picture under a key, 0–100; −1 where there is none."""
        with self._turn:
            kept = self._pictures.get(key)
        return -1 if kept is None else kept.picture.quality.score

    def keep_picture(self, key: str, face: IdentifiedFace, picture: Picture) -> None:
        """Keep a picture of this face, in place of the one under this key."""
        person_ids = frozenset(candidate.person.person_id for candidate in face.candidates)
        kept = _Kept(self._clock(), person_ids, face.status is Status.UNKNOWN, picture)
        with self._turn:
            self._drop_picture(key)
            self._pictures[key] = kept
            self._picture_bytes += picture.image.nbytes
            self._forget_old()

    def sighting(self, identification_id: str) -> Sighting:
        """An identification.

        Raises:
            SightingNotFound: forgotten already, or it showed no face.
        """
        with self._turn:
            entry = self._sightings.get(identification_id.lower())
            if entry is None or self._clock() - entry.at_s > _MAX_AGE_S:
                raise SightingNotFound
            kept = [self._pictures.get(key) if key else None for key in entry.picture_keys]
        looks = (
            look if one is None else replace(look, picture=one.picture)
            for look, one in zip(entry.sighting.looks, kept, strict=True)
        )
        return Sighting(entry.sighting.size, tuple(looks))

    def seen(self, bank: MemoryBank) -> list[Seen]:
        """Who was named since the start, the latest first; those forgotten meanwhile are left out."""
        with self._turn:
            entries = list(self._seen.items())
        found = []
        for person_id, (times, last) in entries:
            try:
                found.append(Seen(bank.person(person_id), times, last))
            except PersonNotFound:
                continue
        return sorted(found, key=lambda seen: seen.last_seen_at, reverse=True)

    def _forget_old(self) -> None:
        now = self._clock()
        while self._pictures:
            key, kept = next(iter(self._pictures.items()))
            if now - kept.at_s <= _MAX_AGE_S:
                break
            self._drop_picture(key)
        while self._picture_bytes > _MAX_PICTURE_BYTES:
            # A street of strangers must not push out who might be someone.
            strangers = (key for key, kept in self._pictures.items() if kept.is_strangers)
            self._drop_picture(next(strangers, next(iter(self._pictures))))
        while self._sightings:
            oldest = next(iter(self._sightings.values()))
            is_full = len(self._sightings) > _MAX_SIGHTINGS or self._faces > _MAX_FACES
            if not is_full and now - oldest.at_s <= _MAX_AGE_S:
                return
            self._sightings.popitem(last=False)
            self._faces -= len(oldest.sighting.looks)

    def _drop_picture(self, key: str) -> None:
        if key in self._pictures:
            self._picture_bytes -= self._pictures.pop(key).picture.image.nbytes


def _look(face: IdentifiedFace) -> Look:
    """Without any name."""
    candidates = {each.person.person_id: each.similarity for each in face.candidates}
    return Look(
        face.face,
        named=face.match.person.person_id if face.match else None,
        might_be=next(iter(candidates), None) if face.status is Status.UNCERTAIN else None,
        similarity=candidates,
    )
