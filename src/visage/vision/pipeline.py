"""One image in, its faces out: detect → landmarks → align → embed. Or only where they are now: landmarks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from visage.types import Box, Face, Image, Pose
from visage.vision import weights
from visage.vision.align import (
    ARCFACE,
    FACE_SIZE,
    TEMPLATE,
    DegenerateLandmarks,
    align,
    align_portrait,
    on_template,
    portrait,
    similarity_transform,
)
from visage.vision.embed import Embedded
from visage.vision.landmarks import MESH_POINTS
from visage.vision.look import is_drawn, look, look_where_it_was
from visage.vision.models import (
    DEFAULT_DETECTOR,
    DEFAULT_EMBEDDER,
    LANDMARKS,
    DetectorModel,
    EmbedderModel,
)
from visage.vision.movement import undo_movement
from visage.vision.quality import UNCLEAR, assess, measure, measure_light
from visage.vision.work import checked

if TYPE_CHECKING:
    from visage.vision.opening import Networks

T = TypeVar("T")

MAX_FACES = 100
"""So many faces of a picture are looked at, the largest. A group photo of a home never has more; a picture of
thousands of faces would keep everybody else waiting for minutes."""

_MIN_PRESENCE = 0.1
"""Detections in which the landmark network sees no face (0–1) are dropped."""


@dataclass(frozen=True, slots=True, eq=False)
class LocatedFace:
    """Where a face is, before it is looked at closely.

    Attributes:
        box: around what the image shows of the face, forehead to chin.
        landmarks: (5, 2) float32 pixels (x, y), as in `Face`.
        mesh: (468, 3) float32 pixels (x, y, z), as in `landmarks.Mesh`.
        score: of the detection, 0–1; of a face that was followed, how surely it is one.
        clear: it is an upright face, seen well enough to be embedded (`look`).
    """

    box: Box
    landmarks: NDArray[np.float32]
    mesh: NDArray[np.float32]
    score: float
    clear: bool = True


class Faces(list[T]):
    """The faces of a picture, best first, and how many smaller ones there were that nobody looked at."""

    def __init__(self, faces: Iterable[T] = (), passed_over: int = 0) -> None:
        super().__init__(faces)
        self.passed_over = passed_over


class Pipeline:
    """The networks, ready; safe to call from several threads.

    Args:
        model: the network that makes vectors of faces.
        detector: the network that finds them.
        threads: CPU threads a model run may use; 0 lets the engine decide.
        cache_dir: where compiled networks are kept between starts; None keeps nothing.
        max_faces: so many faces of a picture are looked at, the largest; the others are counted.
        when_needed: only check their files now, and load them when the first picture comes.

    Raises:
        WeightsError: a model file is missing or is not the one it should be, or what runs it is not installed.
    """

    def __init__(
        self,
        model: EmbedderModel = DEFAULT_EMBEDDER,
        detector: DetectorModel = DEFAULT_DETECTOR,
        *,
        threads: int = 0,
        cache_dir: Path | None = None,
        max_faces: int = MAX_FACES,
        when_needed: bool = False,
    ) -> None:
        self.max_faces = max_faces
        self.model = model
        self._framing = model.framing
        weights.verify((*detector.files, *LANDMARKS.files, *model.files))
        self._open = partial(_open, model, detector, threads, cache_dir)
        if not when_needed or model.runs_as is not None:  # only then it is known whether what runs it is installed
            self.load()

    @cached_property
    def _networks(self) -> Networks:
        return self._open()

    def load(self) -> None:
        """Load the networks, where that was put off; the first picture does it too."""
        self._networks  # noqa: B018 - to ask for them loads them

    def analyse(
        self, image: Image, *, enrolling: bool = False, timing_ms: dict[str, float] | None = None
    ) -> Faces[Face]:
        """Find, measure and embed every face of an image.

        Args:
            image: (H, W, 3) uint8, RGB.
            enrolling: the faces may be stored, so their portraits are made too.
            timing_ms: receives the milliseconds of "detect" (with landmarks and quality) and of "embed".

        Returns: the faces, best detection first; empty where there is none.
        """
        start = perf_counter()
        located = self.find_either_way_up(image)
        middle = perf_counter()
        faces = self.describe(image, located, enrolling=enrolling)
        if timing_ms is not None:
            timing_ms |= {"detect": (middle - start) * 1e3, "embed": (perf_counter() - middle) * 1e3}
        return Faces(faces, located.passed_over)

    def find_either_way_up(self, image: Image) -> Faces[LocatedFace]:
        """Find the faces of an image; where that finds nobody, or somebody upside down, look at it upside down too.

        Args:
            image: (H, W, 3) uint8, RGB.
        """
        located = self.find(image)
        if not any(face.clear for face in located) or any(_is_overturned(face) for face in located):
            located = _together(located, self.find(image, overturned=True))
        return located

    def find(self, image: Image, *, overturned: bool = False) -> Faces[LocatedFace]:
        """Find the faces of an image, best detection first, those in doubt last.

        Args:
            image: (H, W, 3) uint8, RGB.
            overturned: let the detector look at it upside down. It finds most faces that are, but not all.
        """
        every = self._networks.detector.detect(image, overturned=overturned)
        found = every.largest(self.max_faces)
        if not len(found):
            return Faces()
        looks = look(image, found, self._networks.landmarker)
        mesh, five, presence = looks.mesh, looks.mesh.five(), looks.mesh.presence
        centres, near = five.mean(axis=1), 0.5 * np.linalg.norm(five[:, 1] - five[:, 0], axis=1)
        located = Faces[LocatedFace](passed_over=len(every) - len(found))
        kept: list[int] = []
        for index in checked(np.argsort(~looks.clear, kind="stable").tolist()):
            if presence[index] >= _MIN_PRESENCE and not _seen_already(centres[index], centres[kept], near[kept]):
                score, clear = float(found.scores[index]), bool(looks.clear[index])
                face = _located(image, mesh.points[index], five[index], score, clear=clear)
                if face is not None:
                    located.append(face)
                    kept.append(index)
        return located

    def follow(self, image: Image, meshes: Sequence[NDArray[np.float32]]) -> list[LocatedFace | None]:
        """Find faces again where they were a moment ago: the landmarks alone, a fraction of the cost of `find`.

        Args:
            image: (H, W, 3) uint8, RGB.
            meshes: n × (468, 3) float32 pixels, from the frame before.

        Returns: n faces; None for each that is not there any more.
        """
        if not meshes:
            return []
        looks = look_where_it_was(image, np.stack(meshes), self._networks.landmarker)
        mesh, five = looks.mesh, looks.mesh.five()
        return [
            _located(image, mesh.points[index], five[index], float(presence)) if looks.clear[index] else None
            for index, presence in enumerate(mesh.presence)
        ]

    def describe(self, image: Image, located: Sequence[LocatedFace], *, enrolling: bool = False) -> list[Face]:
        """Align, embed and judge faces that were located in this image, in one batch.

        What is not clearly an upright face is not embedded: its quality is 0, and it is like nobody.

        Args:
            image: (H, W, 3) uint8, RGB.
            located: in it.
            enrolling: the faces may be stored, so their portraits are made too.
        """
        if not located:
            return []
        height, width = image.shape[:2]
        aligned = np.stack([align(image, face.landmarks, self._framing) for face in checked(located)])
        upright = (
            aligned[:, 0]
            if self._framing is ARCFACE
            else [on_template(image, face.landmarks) for face in checked(located)]
        )
        views = list(zip(located, upright, strict=True))
        clear = np.array([face.clear and not is_drawn(view) for face, view in checked(views)])
        measures = [measure(view, face.mesh, width, height) for face, view in checked(views)]
        self._undo_movement(aligned, [measured.sharpness for measured in measures])
        embedded = self._embed(aligned, clear)
        return [
            Face(
                box=face.box,
                landmarks=face.landmarks,
                detection_score=face.score,
                quality=assess(measured, float(clarity)) if is_clear else UNCLEAR,
                pose=Pose(measured.yaw, measured.pitch),
                embedding=vector,
                portrait=portrait(image, face.landmarks) if enrolling else None,
            )
            for face, measured, vector, clarity, is_clear in checked(
                zip(located, measures, embedded.vectors, embedded.clarity, clear, strict=True)
            )
        ]

    def _embed(self, aligned: NDArray[np.uint8], clear: NDArray[np.bool_]) -> Embedded:
        """Embed those of n aligned faces that are clear; the others stay 0."""
        if clear.all():
            return self._networks.embedder.embed(aligned)
        embedded = Embedded(
            np.zeros((len(aligned), self.model.dimension), dtype=np.float32), np.zeros(len(aligned), dtype=np.float32)
        )
        if clear.any():
            some = self._networks.embedder.embed(aligned[clear])
            embedded.vectors[clear], embedded.clarity[clear] = some.vectors, some.clarity
        return embedded

    def embed_portraits(self, portraits: Sequence[Image]) -> NDArray[np.float32]:
        """Embed stored portraits anew: n × (320, 320, 3) uint8 RGB → (n, D) float32, unit length."""
        aligned = np.stack([align_portrait(picture, self._framing) for picture in portraits])
        self._undo_movement(aligned, [measure_light(views[0])[2] for views in aligned])
        return self._networks.embedder.embed(aligned).vectors

    def _undo_movement(self, aligned: NDArray[np.uint8], sharpness: Sequence[float]) -> None:
        """Undo in place what movement did to n aligned faces; smears are known on the ArcFace template alone."""
        if self._framing is ARCFACE:
            for views, each in checked(zip(aligned, sharpness, strict=True)):
                undo_movement(views, each)

    def warm_up(self, image: Image) -> list[Face]:
        """Go the whole way once, so that the first real picture does not wait for anything; returns what came of it.

        Args:
            image: (H, W, 3) uint8, RGB. It need not show a face: one is taken to be in its middle.
        """
        self.find(image)
        height, width = image.shape[:2]
        side = min(height, width) / 2
        landmarks = (TEMPLATE - FACE_SIZE / 2) * (side / FACE_SIZE) + np.array([width, height]) / 2
        mesh = np.zeros((MESH_POINTS, 3), dtype=np.float32)
        mesh[:, :2] = np.resize(landmarks, (MESH_POINTS, 2))
        self.follow(image, [mesh])
        face = _located(image, mesh, landmarks.astype(np.float32), 1.0)
        return self.describe(image, [face] if face else [])


def _located(
    image: Image, mesh: NDArray[np.float32], five: NDArray[np.float32], score: float, *, clear: bool = True
) -> LocatedFace | None:
    """A face; None where its landmarks are no face's or it lies outside the image."""
    height, width = image.shape[:2]
    box = _around(mesh, width, height)
    try:
        similarity_transform(five, TEMPLATE)
    except DegenerateLandmarks:
        return None
    return LocatedFace(box, five, mesh, score, clear) if box.area > 0 else None


def _around(points: NDArray[np.float32], width: int, height: int) -> Box:
    """The part of a face, forehead to chin, that is inside a picture of (width, height) pixels."""
    left, top, _ = points.min(axis=0).tolist()
    right, bottom, _ = points.max(axis=0).tolist()
    left, right = (min(max(x, 0.0), float(width)) for x in (left, right))
    top, bottom = (min(max(y, 0.0), float(height)) for y in (top, bottom))
    return Box(left, top, right - left, bottom - top)


def _is_overturned(face: LocatedFace) -> bool:
    """Is it rolled by more than a quarter turn?"""
    return bool(face.landmarks[1, 0] < face.landmarks[0, 0])


def _together(located: Faces[LocatedFace], overturned: Faces[LocatedFace]) -> Faces[LocatedFace]:
    """What was found in a picture, and what only the look at it upside down has found; those in doubt last."""
    found = sorted([*located, *overturned], key=lambda face: not face.clear)
    kept = Faces[LocatedFace](passed_over=max(located.passed_over, overturned.passed_over))
    for face in found:
        near = np.array(
            [np.linalg.norm(each.landmarks[1] - each.landmarks[0]) / 2 for each in kept], dtype=np.float32
        )
        others = np.array([other.landmarks.mean(axis=0) for other in kept]).reshape(-1, 2)
        if not _seen_already(face.landmarks.mean(axis=0), others, near):
            kept.append(face)
    return kept


def _seen_already(centre: NDArray[np.float32], others: NDArray[np.float32], near: NDArray[np.float32]) -> bool:
    """Did a better detection lead to the same face? Two tiles may see it so differently that their boxes do not
    overlap enough to be merged; its landmarks agree all the same.

    Args:
        centre: (2,) of its landmarks.
        others: (n, 2), of the faces that are kept.
        near: (n,), how near to each of them it would be the same.
    """
    return bool((np.linalg.norm(others - centre, axis=1) < near).any())


def _open(model: EmbedderModel, detector: DetectorModel, threads: int, cache_dir: Path | None) -> Networks:
    from visage.vision.opening import open_networks  # noqa: PLC0415 - the engine is loaded with the networks

    return open_networks(model, detector, threads, cache_dir)
