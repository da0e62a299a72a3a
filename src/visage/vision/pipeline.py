"""One image in, its faces out: detect → landmarks → align → embed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from visage.types import Box, Face, Image
from visage.vision import weights
from visage.vision.align import FACE_SIZE, DegenerateLandmarks, align, align_portrait, portrait
from visage.vision.detect import Detector
from visage.vision.embed import Embedder
from visage.vision.landmarks import Landmarker
from visage.vision.quality import Measures, assess, measure
from visage.vision.runtime import Runtime

_MIN_PRESENCE = 0.1
"""Detections in which the landmark network sees no face (0–1) are dropped."""


@dataclass(frozen=True, slots=True, eq=False)
class _Located:
    """A face that has been found and measured, on its way to the embedder."""

    box: Box
    landmarks: NDArray[np.float32]
    score: float
    measures: Measures
    aligned: NDArray[np.uint8]


class Pipeline:
    """The three networks, ready; safe to call from several threads.

    Args:
        threads: CPU threads a model run may use; 0 lets the engine decide.
        cache_dir: where compiled networks are kept between starts; None keeps nothing.

    Raises:
        WeightsError: a model file is missing or is not the one it should be.
    """

    def __init__(self, *, threads: int = 0, cache_dir: Path | None = None) -> None:
        weights.verify()
        runtime = Runtime(threads, cache_dir)
        self._detector = Detector(
            runtime.load(weights.DETECTOR_BACK.path, mean=127.5, scale=127.5),
            input_size=256,
            grids=((16, 2), (8, 6)),
            min_score=0.5,
        )
        self._landmarker = Landmarker(runtime.load(weights.LANDMARKS.path, mean=0, scale=255))
        self._embedder = Embedder(runtime.load(weights.EMBEDDER.path, mean=127.5, scale=128))

    def analyse(
        self, image: Image, *, enrolling: bool = False, timing_ms: dict[str, float] | None = None
    ) -> list[Face]:
        """Find, measure and embed every face of an image.

        Args:
            image: (H, W, 3) uint8, RGB.
            enrolling: the faces may be stored, so their portraits are made too.
            timing_ms: receives the milliseconds of "detect" (with landmarks and quality) and of "embed".

        Returns: the faces, best detection first; empty where there is none.
        """
        start = perf_counter()
        located = self._locate(image)
        middle = perf_counter()
        faces: list[Face] = []
        if located:
            embedded = self._embedder.embed(np.stack([face.aligned for face in located]))
            faces = [
                Face(
                    box=face.box,
                    landmarks=face.landmarks,
                    detection_score=face.score,
                    quality=assess(face.measures, float(clarity)),
                    embedding=vector,
                    portrait=portrait(image, face.landmarks) if enrolling else None,
                )
                for face, vector, clarity in zip(located, embedded.vectors, embedded.clarity, strict=True)
            ]
        if timing_ms is not None:
            timing_ms |= {"detect": (middle - start) * 1e3, "embed": (perf_counter() - middle) * 1e3}
        return faces

    def embed_portraits(self, portraits: Sequence[Image]) -> NDArray[np.float32]:
        """Embed stored portraits anew: n × (320, 320, 3) uint8 RGB → (n, D) float32, unit length."""
        return self._embedder.embed(np.stack([align_portrait(picture) for picture in portraits])).vectors

    def warm_up(self) -> None:
        """Run every network once, so that the first real picture does not wait for it."""
        self._detector.detect(np.zeros((480, 640, 3), dtype=np.uint8))
        grey = np.full((480, 640, 3), 128, dtype=np.uint8)
        box, eyes = np.array([[220, 140, 420, 340]]), np.array([[[280, 200], [360, 200]]])
        self._landmarker.locate(grey, box.astype(np.float32), eyes.astype(np.float32))
        self._embedder.embed(np.zeros((1, 2, FACE_SIZE, FACE_SIZE, 3), dtype=np.uint8))

    def _locate(self, image: Image) -> list[_Located]:
        found = self._detector.detect(image)
        if not len(found):
            return []
        mesh = self._landmarker.locate(image, found.boxes, found.points[:, :2])
        five = mesh.five()
        height, width = image.shape[:2]
        located: list[_Located] = []
        for index in range(len(found)):
            presence = float(mesh.presence[index])
            if presence < _MIN_PRESENCE or _seen_already(five[index], located):
                continue
            try:
                aligned = align(image, five[index])
            except DegenerateLandmarks:
                continue
            located.append(
                _Located(
                    box=_around(mesh.points[index], width, height),
                    landmarks=five[index],
                    score=float(found.scores[index]),
                    measures=measure(aligned[0], mesh.points[index], width, height),
                    aligned=aligned,
                )
            )
        return located


def _around(points: NDArray[np.float32], width: int, height: int) -> Box:
    """The part of a face, forehead to chin, that is inside a picture of (width, height) pixels."""
    edge = np.array([width, height], dtype=np.float32)
    left, top = (float(value) for value in points[:, :2].min(axis=0).clip(0, edge))
    right, bottom = (float(value) for value in points[:, :2].max(axis=0).clip(0, edge))
    return Box(left, top, right - left, bottom - top)


def _seen_already(landmarks: NDArray[np.float32], located: Sequence[_Located]) -> bool:
    """Did a better detection lead to the same face? Two tiles may see it so differently that their boxes do not
    overlap enough to be merged; its landmarks agree all the same."""
    return any(
        np.linalg.norm(landmarks.mean(axis=0) - other.landmarks.mean(axis=0))
        < 0.5 * np.linalg.norm(other.landmarks[1] - other.landmarks[0])
        for other in located
    )
