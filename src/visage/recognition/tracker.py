"""Faces over the frames of one camera: the same face keeps its number, and what was seen of it adds up.

Between two searches of the whole frame a face is followed by its landmarks alone. It is embedded when it is new, when
a clearly better view of it appears, and now and then; its evidence is the quality-weighted mean of its embeddings.
Whenever a face looks different from a moment ago, it is embedded at once, and where it is somebody else, it becomes
another track: a name is never carried over.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from visage.types import Embedding, Face, Image, Quality
from visage.vision.align import thumbnail
from visage.vision.embed import unit
from visage.vision.pipeline import LocatedFace, Pipeline

_SEARCH_EVERY_S = 0.25
_SEARCH_EVERY_FRAMES = 4
"""The whole frame is searched for new faces after so long, or so many frames, whichever comes first."""

_FIRST_LOOKS = 3
"""A new face is embedded in each of so many frames …"""
_LOOK_EVERY_S = 1.0
"""… then once in so long …"""
_BETTER_VIEW = 1.25
"""… and when its eyes are so many times as far apart as in the best view so far."""

_SAME_LOOK = 0.88
"""Correlation of the thumbnails of two frames from which on a face is the same. Of 500 faces that moved, turned a
little and changed their light it was above 0.92, of faces that took the place of another below 0.84."""

_SAME_PERSON = 0.45
"""Cosine of a face to its track's evidence, or to that of a track that was lost, from which on it is the same person:
one stranger in a thousand reaches it."""

_EVIDENCE = 8
"""Embeddings kept of a track: the latest."""

_LOST_FOR_S = 2.0
_MAX_LOST = 16
"""A face that was lost, behind another or out of the frame, gets its number back within so long."""


@dataclass(slots=True, eq=False)
class Track:
    """One face over frames.

    Attributes:
        track_id: counts from 1 on each connection.
        uid: of this track among all of the server's.
        located: where it was last.
        thumbnail: (1024,) float32, how it looked then.
        looks: its embeddings with their qualities, the latest last.
        is_fresh: this frame was looked at closely.
        face: the latest close look, brought to where the face is now, with the evidence of all.
    """

    track_id: int
    located: LocatedFace
    thumbnail: NDArray[np.float32]
    face: Face
    looks: deque[Face] = field(default_factory=lambda: deque(maxlen=_EVIDENCE))
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    looked_at_s: float = 0.0
    times_looked: int = 0
    is_fresh: bool = True
    seen_at_s: float = 0.0
    widest: float = 0.0

    def evidence(self) -> Embedding:
        """(D,) float32, unit length: the mean of the looks, weighted by their quality."""
        weights = np.array([max(look.quality.score, 1) for look in self.looks], dtype=np.float32)
        mean: Embedding = unit((weights[:, None] * np.stack([look.embedding for look in self.looks])).sum(axis=0))
        return mean


class Tracker:
    """The faces of one camera. Frames come one after the other; not for several threads at once.

    Args:
        pipeline: images to faces.
        clock: seconds, never going back.
    """

    def __init__(self, pipeline: Pipeline, clock: Callable[[], float] = time.monotonic) -> None:
        self._pipeline = pipeline
        self._clock = clock
        self._tracks: list[Track] = []
        self._lost: list[Track] = []
        self._count = 0
        self._searched_at_s = -np.inf
        self._frames_since = 0

    def update(self, image: Image, timing_ms: dict[str, float]) -> list[Track]:
        """Bring the tracks to a new frame.

        Args:
            image: (H, W, 3) uint8, RGB.
            timing_ms: receives the milliseconds of "detect" and "embed".

        Returns: the faces that are in it.
        """
        start, now = perf_counter(), self._clock()
        places = self._places(image, now)
        middle = perf_counter()
        views = [thumbnail(image, located.landmarks) for located, _ in places]
        closer = [
            index
            for index, ((located, track), view) in enumerate(zip(places, views, strict=True))
            if track is None or _wants_a_look(track, located, view, now)
        ]
        looks = dict(zip(closer, self._pipeline.describe(image, [places[i][0] for i in closer]), strict=True))
        self._tracks = self._assign(places, views, looks, now)
        timing_ms |= {"detect": (middle - start) * 1e3, "embed": (perf_counter() - middle) * 1e3}
        return self._tracks

    def _places(self, image: Image, now: float) -> list[tuple[LocatedFace, Track | None]]:
        """Where there are faces, each with the track that it continues, best guess."""
        followed = self._pipeline.follow(image, [track.located.mesh for track in self._tracks])
        places: list[tuple[LocatedFace, Track | None]] = []
        for track, located in zip(self._tracks, followed, strict=True):
            if located is not None and not _overlaps(located, places):
                places.append((located, track))
        self._frames_since += 1
        due = self._frames_since >= _SEARCH_EVERY_FRAMES or now - self._searched_at_s >= _SEARCH_EVERY_S
        if due or len(places) < len(self._tracks) or not places:
            for located in self._pipeline.find(image):
                if not _overlaps(located, places):
                    places.append((located, None))
            self._searched_at_s, self._frames_since = now, 0
        return places

    def _assign(
        self,
        places: Sequence[tuple[LocatedFace, Track | None]],
        views: Sequence[NDArray[np.float32]],
        looks: dict[int, Face],
        now: float,
    ) -> list[Track]:
        """Decide whose each face is. Who was not looked at goes on; a look decides the rest by likeness."""
        rejected: list[int] = []
        chosen: dict[int, Track] = {}
        for index, (_, track) in enumerate(places):
            if track is None:
                rejected.append(index)
            elif index not in looks or _is_same(track, views[index], looks[index]):
                chosen[index] = track
            else:
                rejected.append(index)
        kept = {id(track) for track in chosen.values()}
        self._lost += [track for track in self._tracks if id(track) not in kept]
        self._lost = [track for track in self._lost if now - track.seen_at_s <= _LOST_FOR_S][-_MAX_LOST:]
        for index, look in looks.items():
            # A face that was half hidden when it came back is a new track, until a later look tells whose it is.
            current = chosen.get(index)
            track = self._found_again(look, current.track_id if current else self._count + 1)
            if track is not None:
                track.looks.extend(current.looks if current else ())
                chosen[index] = track
        for index in rejected:
            if index not in chosen:
                self._count += 1
                chosen[index] = Track(self._count, places[index][0], views[index], looks[index])
        for index, track in chosen.items():
            _advance(track, places[index][0], views[index], looks.get(index), now)
        return [chosen[index] for index in sorted(chosen)]

    def _found_again(self, look: Face, before: int) -> Track | None:
        """The lost track, from before that number, that this face continues; it is lost no more."""
        alike = [
            (float(look.embedding @ track.evidence()), i)
            for i, track in enumerate(self._lost)
            if track.track_id < before
        ]
        best, index = max(alike, default=(-1.0, -1))
        return self._lost.pop(index) if best >= _SAME_PERSON else None


def _wants_a_look(track: Track, located: LocatedFace, view: NDArray[np.float32], now: float) -> bool:
    return (
        track.times_looked < _FIRST_LOOKS
        or now - track.looked_at_s >= _LOOK_EVERY_S
        or float(view @ track.thumbnail) < _SAME_LOOK
        or _eye_distance(located) > _BETTER_VIEW * track.widest
    )


def _is_same(track: Track, view: NDArray[np.float32], look: Face) -> bool:
    """It looks as it did a moment ago, or like all that was seen of it."""
    unbroken = float(view @ track.thumbnail) >= _SAME_LOOK
    return unbroken or float(look.embedding @ track.evidence()) >= _SAME_PERSON


def _advance(track: Track, located: LocatedFace, view: NDArray[np.float32], look: Face | None, now: float) -> None:
    """Bring a track to this frame."""
    track.located, track.thumbnail, track.seen_at_s = located, view, now
    track.is_fresh = look is not None
    if look is not None:
        track.looks.append(look)
        track.looked_at_s = now
        track.times_looked += 1
        track.widest = max(track.widest, _eye_distance(located))
    latest = track.looks[-1]
    best = max(item.quality.score for item in track.looks)
    track.face = replace(
        latest,
        box=located.box,
        landmarks=located.landmarks,
        detection_score=located.score,
        embedding=track.evidence() if len(track.looks) > 1 else latest.embedding,
        quality=Quality(best, latest.quality.issues),
    )


def _overlaps(located: LocatedFace, places: Sequence[tuple[LocatedFace, Track | None]]) -> bool:
    """Is this a face that is in the list already? Their middles are closer than half the distance of the eyes."""
    middle = located.landmarks.mean(axis=0)
    return any(
        np.linalg.norm(middle - other.landmarks.mean(axis=0)) < 0.5 * _eye_distance(other) for other, _ in places
    )


def _eye_distance(located: LocatedFace) -> float:
    return float(np.linalg.norm(located.landmarks[1] - located.landmarks[0]))
