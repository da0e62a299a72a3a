"""Faces that move: what the camera took from them is given back, and from no other is anything changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from visage.types import Face, Image
from visage.vision.align import align
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.movement import undo_movement
from visage.vision.pipeline import Pipeline
from visage.vision.quality import measure_light

PEOPLE = ("obama", "obama2", "biden", "astronaut")


@pytest.fixture(scope="module")
def pictures(photos: Mapping[str, Path]) -> dict[str, Image]:
    """A photo each, with about 60 pixels between the eyes."""
    pictures = {}
    for name in PEOPLE:
        image = decode(photos[name].read_bytes(), Limits())
        scale = 480 / image.shape[0]
        pictures[name] = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8)
    return pictures


@pytest.fixture(scope="module")
def faces(pipeline: Pipeline, pictures: Mapping[str, Image]) -> dict[str, Face]:
    """What is in them."""
    return {name: pipeline.analyse(image)[0] for name, image in pictures.items()}


def as_a_camera_sees(image: NDArray[np.floating[Any]], noise: float) -> Image:
    """With noise, as a JPEG of quality 85."""
    noisy = image + np.random.default_rng(7).normal(0, noise, image.shape)
    return decode(encode_jpeg(np.clip(noisy, 0, 255).astype(np.uint8), 85), Limits())


def smeared(image: Image, length: float, angle: float) -> NDArray[np.float64]:
    """The mean of the picture over a straight movement, pixels and radians."""
    height, width = image.shape[:2]
    total = np.zeros(image.shape)
    steps = np.linspace(-length / 2, length / 2, 2 * math.ceil(length) + 1)
    for step in steps:
        shift = np.array([[1, 0, step * math.cos(angle)], [0, 1, step * math.sin(angle)]])
        total += cv2.warpAffine(image, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return total / len(steps)


@pytest.mark.parametrize("degrees", [0, 40, 90, 135])
def test_a_face_that_moves_is_recognised(
    pipeline: Pipeline, pictures: Mapping[str, Image], faces: Mapping[str, Face], degrees: int
) -> None:
    alike = []
    for name in PEOPLE:
        eyes = float(np.linalg.norm(faces[name].landmarks[1] - faces[name].landmarks[0]))
        moving = as_a_camera_sees(smeared(pictures[name], eyes / 3, math.radians(degrees)), noise=2)
        face = pipeline.analyse(moving)[0]
        alike.append(float(face.embedding @ faces[name].embedding))
        others = [faces[other].embedding for other in PEOPLE if other[:5] != name[:5]]
        assert max(float(face.embedding @ other) for other in others) < 0.35, name
        assert face.quality.score > 20
    assert np.mean(alike) > 0.68  # 0.45 to 0.62 as they are


def test_a_face_that_does_not_move_is_left_as_it_is(pictures: Mapping[str, Image], faces: Mapping[str, Face]) -> None:
    for name in PEOPLE:
        image = pictures[name]
        for seen in (image, as_a_camera_sees(0.6 * image, 3), cv2.GaussianBlur(image, (0, 0), 1.5).astype(np.uint8)):
            views = align(seen, faces[name].landmarks)
            kept = views.copy()
            undo_movement(views, measure_light(views[0])[2])
            assert np.array_equal(views, kept), name


def test_a_picture_of_one_colour_or_of_noise_is_no_trouble() -> None:
    noise = np.random.default_rng(7).integers(0, 255, (2, 112, 112, 3), dtype=np.uint8)
    for views in (np.zeros_like(noise), np.full_like(noise, 255), np.full_like(noise, 128), noise):
        undo_movement(views, 0)
        assert views.dtype == np.uint8


def test_a_portrait_of_somebody_who_moved_is_embedded_as_the_face_was(
    pipeline: Pipeline, pictures: Mapping[str, Image], faces: Mapping[str, Face]
) -> None:
    eyes = float(np.linalg.norm(faces["obama"].landmarks[1] - faces["obama"].landmarks[0]))
    moving = as_a_camera_sees(smeared(pictures["obama"], eyes / 3, math.pi / 2), noise=2)
    face = pipeline.analyse(moving, enrolling=True)[0]
    assert face.portrait is not None
    (again,) = pipeline.embed_portraits([face.portrait])
    assert float(again @ face.embedding) > 0.95  # 0.58 where only the one is restored
