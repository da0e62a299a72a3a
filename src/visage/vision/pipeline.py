"""One image in, its faces out: detect → landmarks → align → embed. Or only where they are now: landmarks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from visage.types import Box, Face, Image, Pose
from visage.vision import weights
from visage.vision.align import (
    FACE_SIZE,
    TEMPLATE,
    DegenerateLandmarks,
    align,
    align_portrait,
    portrait,
    similarity_transform,
)
from visage.vision.detect import Detector
from visage.vision.embed import Embedder
from visage.vision.landmarks import MESH_POINTS, Landmarker, Mesh
from visage.vision.quality import assess, measure, measure_light
from visage.vision.restore import SHARP, restore
from visage.vision.runtime import Runtime

T = TypeVar("T")

MAX_FACES = 100
"""So many faces of a picture are looked at, the largest. A group photo of a home never has more; a picture of
thousands of faces would keep everybody else waiting for minutes."""

_MIN_PRESENCE = 0.1
"""Detections in which the landmark network sees no face (0–1) are dropped."""


_STILL_THERE = 0.5
"""A face that is followed from one frame to the next is lost where the landmark network is less sure (0–1)."""


@dataclass(frozen=True, slots=True, eq=False)
class LocatedFace:
    """Where a face is, before it is looked at closely.

    Attributes:
        box: around what the image shows of the face, forehead to chin.
        landmarks: (5, 2) float32 pixels (x, y), as in `Face`.
        mesh: (468, 3) float32 pixels (x, y, z), as in `landmarks.Mesh`.
        score: of the detection, 0–1; of a face that was followed, how surely it is one.
    """

    box: Box
    landmarks: NDArray[np.float32]
    mesh: NDArray[np.float32]
    score: float


class Faces(list[T]):
    """The faces of a picture, best first, and how many smaller ones there were that nobody looked at."""

    def __init__(self, faces: Iterable[T] = (), passed_over: int = 0) -> None:
        super().__init__(faces)
        self.passed_over = passed_over


class Pipeline:
    """The three networks, ready; safe to call from several threads.

    Args:
        threads: CPU threads a model run may use; 0 lets the engine decide.
        cache_dir: where compiled networks are kept between starts; None keeps nothing.
        max_faces: so many faces of a picture are looked at, the largest; the others are counted.

    Raises:
        WeightsError: a model file is missing or is not the one it should be.
    """

    def __init__(self, *, threads: int = 0, cache_dir: Path | None = None, max_faces: int = MAX_FACES) -> None:
        self.max_faces = max_faces
        weights.verify()
        runtime = Runtime(threads, cache_dir)
        self._detector = Detector(
            runtime.load(weights.DETECTOR_BACK.path, mean=127.5, scale=127.5),
            input_size=256,
            grids=((16, 2), (8, 6)),
            min_score=0.5,
        )
        self._landmarker = Landmarker(runtime.load(weights.LANDMARKS.path, mean=0, scale=255))
        self._embedder = Embedder(runtime.load(weights.EMBEDDER.path, mean=127.5, scale=128, abreast=2))

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
        located = self.find(image)
        middle = perf_counter()
        faces = self.describe(image, located, enrolling=enrolling)
        if timing_ms is not None:
            timing_ms |= {"detect": (middle - start) * 1e3, "embed": (perf_counter() - middle) * 1e3}
        return Faces(faces, located.passed_over)

    def find(self, image: Image) -> Faces[LocatedFace]:
        """Find the faces of an image, best detection first. (H, W, 3) uint8, RGB."""
        every = self._detector.detect(image)
        found = every.largest(self.max_faces)
        if not len(found):
            return Faces()
        mesh = self._landmarker.locate(image, found.boxes, found.points[:, :2])
        five = mesh.five()
        located = Faces[LocatedFace](passed_over=len(every) - len(found))
        for index in range(len(found)):
            if mesh.presence[index] >= _MIN_PRESENCE and not _seen_already(five[index], located):
                face = _located(image, mesh.points[index], five[index], float(found.scores[index]))
                if face is not None:
                    located.append(face)
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
        points = np.stack(meshes)
        boxes = np.concatenate([points[:, :, :2].min(axis=1), points[:, :, :2].max(axis=1)], axis=1)
        mesh = self._landmarker.locate(image, boxes, Mesh(points, np.empty(0, dtype=np.float32)).five()[:, :2])
        five = mesh.five()
        return [
            _located(image, mesh.points[index], five[index], float(presence)) if presence >= _STILL_THERE else None
            for index, presence in enumerate(mesh.presence)
        ]

    def describe(self, image: Image, located: Sequence[LocatedFace], *, enrolling: bool = False) -> list[Face]:
        """Align, embed and judge faces that were located in this image, in one batch.

        Args:
            image: (H, W, 3) uint8, RGB.
            located: in it.
            enrolling: the faces may be stored, so their portraits are made too.
        """
        if not located:
            return []
        height, width = image.shape[:2]
        aligned = np.stack([align(image, face.landmarks) for face in located])
        measures = [measure(views[0], face.mesh, width, height) for face, views in zip(located, aligned, strict=True)]
        for views, measured in zip(aligned, measures, strict=True):
            if measured.sharpness < SHARP:
                restore(views)
        embedded = self._embedder.embed(aligned)
        return [
            Face(
                box=face.box,
                landmarks=face.landmarks,
                detection_score=face.score,
                quality=assess(measured, float(clarity)),
                pose=Pose(measured.yaw, measured.pitch),
                embedding=vector,
                portrait=portrait(image, face.landmarks) if enrolling else None,
            )
            for face, measured, vector, clarity in zip(
                located, measures, embedded.vectors, embedded.clarity, strict=True
            )
        ]

    def embed_portraits(self, portraits: Sequence[Image]) -> NDArray[np.float32]:
        """Embed stored portraits anew: n × (320, 320, 3) uint8 RGB → (n, D) float32, unit length."""
        aligned = np.stack([align_portrait(picture) for picture in portraits])
        for views in aligned:
            if measure_light(views[0])[2] < SHARP:
                restore(views)
        return self._embedder.embed(aligned).vectors

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


def _located(image: Image, mesh: NDArray[np.float32], five: NDArray[np.float32], score: float) -> LocatedFace | None:
    """A face; None where its landmarks are no face's or it lies outside the image."""
    height, width = image.shape[:2]
    box = _around(mesh, width, height)
    try:
        similarity_transform(five, TEMPLATE)
    except DegenerateLandmarks:
        return None
    return LocatedFace(box, five, mesh, score) if box.area > 0 else None


def _around(points: NDArray[np.float32], width: int, height: int) -> Box:
    """The part of a face, forehead to chin, that is inside a picture of (width, height) pixels."""
    left, top, _ = points.min(axis=0).tolist()
    right, bottom, _ = points.max(axis=0).tolist()
    left, right = (min(max(x, 0.0), float(width)) for x in (left, right))
    top, bottom = (min(max(y, 0.0), float(height)) for y in (top, bottom))
    return Box(left, top, right - left, bottom - top)


def _seen_already(landmarks: NDArray[np.float32], located: Sequence[LocatedFace]) -> bool:
    """Did a better detection lead to the same face? Two tiles may see it so differently that their boxes do not
    overlap enough to be merged; its landmarks agree all the same."""
    return any(
        np.linalg.norm(landmarks.mean(axis=0) - other.landmarks.mean(axis=0))
        < 0.5 * np.linalg.norm(other.landmarks[1] - other.landmarks[0])
        for other in located
    )
