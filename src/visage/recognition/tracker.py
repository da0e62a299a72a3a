"""Faces over the frames of one camera: the same face keeps its number, and what was seen of it adds up.

Between two searches of the whole frame a face is followed by its landmarks alone, as long as it looks as it did a
moment ago. It is embedded when it is new, when it looks unlike every view of it that was embedded, when a clearly
better view appears, and now and then. Where the embedding is somebody else's, it becomes another track: a name is
never carried over. The evidence of a track is the quality-weighted mean of embeddings that agree with each other.
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
from visage.vision.models import DEFAULT_SAMENESS, Sameness
from visage.vision.pipeline import Faces, LocatedFace, Pipeline

_SEARCH_EVERY_S = 0.25
"""The whole frame is searched for new faces after so long."""

_OVERTURN_EVERY_S = 1.0
"""… and where it shows nobody, also upside down, after so long: one search in ten of a camera that sees nobody."""

_FIRST_LOOKS = 3
"""A new face is embedded in each of so many frames …"""
_LOOK_EVERY_S = 1.0
"""… then once in so long …"""
_LOOK_AGAIN_S = 0.25
"""… or so long, where the last look left a doubt …"""
_BETTER_VIEW = 1.25
"""… and when its eyes are so many times as far apart as in the best view so far."""

_SAME_LOOK = 0.8
"""Correlation of two thumbnails from which on they show the same face. A face that moves reaches 0.85 from one frame
to the next, but for one in a hundred; of two people's pictures one pair in a million does (docs/decisions/0010)."""

_CLEAR = 50
"""A look at a face that was followed without a break and is poorer than this (0–100) is believed where nothing says
that it is somebody else (`Sameness.not_another`) …"""
_BELIEVED_S = 3.0
"""… for so long without a look that agrees."""

_EVIDENCE = 8
"""Looks kept of a track: the latest."""

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
        face: the latest close look, brought to where the face is now, with the evidence of all.
        looks: the close looks that are its evidence, the latest last.
        views: thumbnails that were looked at closely and found to be this face.
        is_fresh: this frame's look added to the evidence.
        joined: `uid` of the newer track that this frame's look has told to be this one; None where there is none.
    """

    track_id: int
    located: LocatedFace
    thumbnail: NDArray[np.float32]
    face: Face
    looks: deque[Face] = field(default_factory=lambda: deque(maxlen=_EVIDENCE))
    views: deque[NDArray[np.float32]] = field(default_factory=lambda: deque(maxlen=_EVIDENCE))
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    is_fresh: bool = True
    joined: str | None = None
    times_looked: int = 0
    looked_at_s: float = 0.0
    agreed_at_s: float = 0.0
    seen_at_s: float = 0.0
    widest: float = 0.0

    @property
    def evidence(self) -> Embedding:
        """(D,) float32, unit length: the mean of the looks, weighted by their quality."""
        return self.face.embedding


@dataclass(slots=True, eq=False)
class _Sight:
    """A face in this frame: where, how it looks, which track it continues, best guess, and whether unbrokenly."""

    located: LocatedFace
    view: NDArray[np.float32]
    track: Track | None = None
    unbroken: bool = False


class Tracker:
    """The faces of one camera. Frames come one after the other; not for several threads at once.

    Args:
        pipeline: images to faces.
        clock: seconds, never going back.
        sameness: what the cosines of the model mean.

    Attributes:
        passed_over: faces of the latest frame that was searched which nobody looked at, since larger ones were
            enough.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        clock: Callable[[], float] = time.monotonic,
        sameness: Sameness = DEFAULT_SAMENESS,
    ) -> None:
        self.passed_over = 0
        self._pipeline = pipeline
        self._clock = clock
        self._sameness = sameness
        self._tracks: list[Track] = []
        self._lost: list[Track] = []
        self._count = 0
        self._searched_at_s = -np.inf
        self._overturned_at_s = -np.inf

    def update(self, image: Image, timing_ms: dict[str, float]) -> list[Track]:
        """Bring the tracks to a new frame.

        Args:
            image: (H, W, 3) uint8, RGB.
            timing_ms: receives the milliseconds of "detect" and "embed".

        Returns: the faces that are in it.
        """
        start, now = perf_counter(), self._clock()
        sights = self._sights(image, now)
        middle = perf_counter()
        closer = [i for i, sight in enumerate(sights) if _wants_a_look(sight, now)]
        looks = dict(zip(closer, self._pipeline.describe(image, [sights[i].located for i in closer]), strict=True))
        self._tracks = self._assign(sights, looks, now)
        timing_ms |= {"detect": (middle - start) * 1e3, "embed": (perf_counter() - middle) * 1e3}
        return self._tracks

    def _sights(self, image: Image, now: float) -> list[_Sight]:
        """The faces of a frame. Those that look as they did a moment ago need no search."""
        sights: list[_Sight] = []
        followed = self._pipeline.follow(image, [track.located.mesh for track in self._tracks])
        for track, located in zip(self._tracks, followed, strict=True):
            if located is not None and not any(_overlap(located, sight.located) for sight in sights):
                view = thumbnail(image, located.landmarks)
                if float(view @ track.thumbnail) >= _SAME_LOOK:
                    sights.append(_Sight(located, view, track, unbroken=True))
        all_there = sights and len(sights) == len(self._tracks)
        if not all_there or now - self._searched_at_s >= _SEARCH_EVERY_S:
            self._searched_at_s = now
            broken = [track for track in self._tracks if all(track is not sight.track for sight in sights)]
            found = self._search(image, now)
            self.passed_over = found.passed_over
            for located in found:
                if located.clear and not any(_overlap(located, sight.located) for sight in sights):
                    before = next((track for track in broken if _overlap(located, track.located)), None)
                    broken = [track for track in broken if track is not before]
                    sights.append(_Sight(located, thumbnail(image, located.landmarks), before))
            if len(sights) > self._pipeline.max_faces:  # others are followed than are the largest now
                sights.sort(key=lambda sight: sight.located.box.area, reverse=True)
                del sights[self._pipeline.max_faces :]
        return sights

    def _search(self, image: Image, now: float) -> Faces[LocatedFace]:
        """The faces of a whole frame."""
        if now - self._overturned_at_s < _OVERTURN_EVERY_S:
            return self._pipeline.find(image)
        self._overturned_at_s = now
        return self._pipeline.find_either_way_up(image)

    def _assign(self, sights: Sequence[_Sight], looks: dict[int, Face], now: float) -> list[Track]:
        """Decide whose each face is. Who was not looked at goes on; a look decides the rest by likeness."""
        chosen: dict[int, Track] = {}
        for index, sight in enumerate(sights):
            if sight.track is not None and (
                index not in looks or _is_same(sight, sight.track, looks[index], now, self._sameness)
            ):
                chosen[index] = sight.track
        kept = {id(track) for track in chosen.values()}
        self._lost += [track for track in self._tracks if id(track) not in kept]
        self._lost = [track for track in self._lost if now - track.seen_at_s <= _LOST_FOR_S][-_MAX_LOST:]
        joined: dict[int, str] = {}
        for index, look in looks.items():
            # A face that was half hidden when it came back is a new track, until a later look tells whose it is.
            current = chosen.get(index)
            if track := self._found_again(look, current.track_id if current else self._count + 1):
                chosen[index] = track
                if current is not None:
                    joined[index] = current.uid
        for index, look in looks.items():
            if index not in chosen:
                self._count += 1
                chosen[index] = Track(self._count, sights[index].located, sights[index].view, look)
        for index, track in chosen.items():
            _advance(track, sights[index], looks.get(index), now, self._sameness.surely)
            track.joined = joined.get(index)
        return [chosen[index] for index in sorted(chosen)]

    def _found_again(self, look: Face, before: int) -> Track | None:
        """The lost track, from before that number, that this face continues; it is lost no more."""
        alike = [
            (float(look.embedding @ track.evidence), i)
            for i, track in enumerate(self._lost)
            if track.track_id < before
        ]
        best, index = max(alike, default=(-1.0, -1))
        return self._lost.pop(index) if best >= self._sameness.surely else None


def _wants_a_look(sight: _Sight, now: float) -> bool:
    track = sight.track
    if track is None or not sight.unbroken or track.times_looked < _FIRST_LOOKS:
        return True
    pause = _LOOK_EVERY_S if track.agreed_at_s == track.looked_at_s else _LOOK_AGAIN_S
    return (
        now - track.looked_at_s >= pause
        or max(float(sight.view @ view) for view in track.views) < _SAME_LOOK
        or _eye_distance(sight.located) > _BETTER_VIEW * track.widest
    )


def _is_same(sight: _Sight, track: Track, look: Face, now: float, sameness: Sameness) -> bool:
    """Is a look at the place of a track the face of that track?"""
    likeness = float(look.embedding @ track.evidence)
    poor = min(look.quality.score, track.face.quality.score) < _CLEAR
    if sight.unbroken and poor and now - track.agreed_at_s <= _BELIEVED_S:
        return likeness >= sameness.not_another
    return likeness >= sameness.likely


def _advance(track: Track, sight: _Sight, look: Face | None, now: float, surely: float) -> None:
    """Bring a track to this frame."""
    track.located, track.thumbnail, track.seen_at_s = sight.located, sight.view, now
    track.is_fresh = False
    embedding, quality = track.face.embedding, track.face.quality
    if look is not None:
        track.times_looked += 1
        track.looked_at_s = now
        track.views.append(sight.view)
        track.widest = max(track.widest, _eye_distance(sight.located))
        track.is_fresh = _admit(track, look, surely)
        if track.is_fresh:
            track.agreed_at_s = now
        embedding = _mean(track.looks)
        quality = Quality(max(item.quality.score for item in track.looks), look.quality.issues)
    track.face = replace(
        track.face,
        box=sight.located.box,
        landmarks=sight.located.landmarks,
        detection_score=sight.located.score,
        embedding=embedding,
        quality=quality,
    )


def _admit(track: Track, look: Face, surely: float) -> bool:
    """Let a look count, if it agrees with those that do, or is a better one: then they count no more."""
    if track.looks and float(look.embedding @ track.evidence) < surely:
        if look.quality.score <= track.face.quality.score:
            return False
        track.looks.clear()
    track.looks.append(look)
    return True


def _mean(looks: Sequence[Face]) -> Embedding:
    if len(looks) == 1:
        return looks[0].embedding
    weights = np.array([max(look.quality.score, 1) for look in looks], dtype=np.float32)
    mean: Embedding = unit((weights[:, None] * np.stack([look.embedding for look in looks])).sum(axis=0))
    return mean


def _overlap(one: LocatedFace, other: LocatedFace) -> bool:
    """Is it one face? Their middles are closer than half the distance of the eyes."""
    apart = np.linalg.norm(one.landmarks.mean(axis=0) - other.landmarks.mean(axis=0))
    return bool(apart < 0.5 * _eye_distance(other))


def _eye_distance(located: LocatedFace) -> float:
    return float(np.linalg.norm(located.landmarks[1] - located.landmarks[0]))
