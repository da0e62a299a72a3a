"""From pictures of real people to faces and embeddings, with the real models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter, process_time

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from visage.types import Face, Image, Issue
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.pipeline import Pipeline


def load(path: Path) -> Image:
    """The pixels of a picture."""
    return decode(path.read_bytes(), Limits())


def only_face(pipeline: Pipeline, image: Image) -> Face:
    """The one face of a picture."""
    (face,) = pipeline.analyse(image)
    return face


def as_image(array: NDArray[np.generic]) -> Image:
    """For the type checker: what OpenCV returns is an image."""
    return array.astype(np.uint8)


@pytest.fixture(scope="module")
def obama(pipeline: Pipeline, photos: Mapping[str, Path]) -> Face:
    """The face to compare with."""
    return only_face(pipeline, load(photos["obama"]))


@pytest.mark.parametrize("number,count", [(1, 3), (2, 3), (3, 3), (4, 4), (5, 5), (6, 4)])
def test_every_face_of_a_group_is_found(
    pipeline: Pipeline, photos: Mapping[str, Path], number: int, count: int
) -> None:
    assert len(pipeline.analyse(load(photos[f"group{number}"]))) == count


def test_photos_of_one_man_are_alike_and_others_are_not(
    pipeline: Pipeline, photos: Mapping[str, Path], obama: Face
) -> None:
    for same in ("obama2", "obama3", "rgba", "partial1", "partial2"):
        assert float(only_face(pipeline, load(photos[same])).embedding @ obama.embedding) > 0.7
    for other in ("biden", "astronaut"):
        assert float(only_face(pipeline, load(photos[other])).embedding @ obama.embedding) < 0.3


def test_a_picture_without_a_face_has_none(pipeline: Pipeline) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    assert pipeline.analyse(noise) == []
    assert pipeline.analyse(np.zeros((1, 1, 3), dtype=np.uint8)) == []


@pytest.mark.parametrize("shape", [(5000, 3), (1, 1_000_000), (20, 2_500_000)])
def test_a_strip_of_a_picture_takes_no_more_time_than_a_large_one(pipeline: Pipeline, shape: tuple[int, int]) -> None:
    start = perf_counter()
    assert pipeline.analyse(np.zeros((*shape, 3), dtype=np.uint8)) == []
    assert perf_counter() - start < 5


def test_small_faces_of_a_12_megapixel_photo_are_found(pipeline: Pipeline, photos: Mapping[str, Path]) -> None:
    """Fifteen people in a hall: heads of 60 to 150 pixels in 4000 × 3000."""
    hall = np.full((3000, 4000, 3), 96, dtype=np.uint8)
    group = load(photos["group5"])
    places = 0
    for row, width in enumerate((640, 960, 1280)):
        small = as_image(cv2.resize(group, (width, round(width * group.shape[0] / group.shape[1])), interpolation=3))
        top, left = 60 + row * 960, 150 + row * 1100
        hall[top : top + small.shape[0], left : left + small.shape[1]] = small
        places += 5
    assert len(pipeline.analyse(hall)) == places


@pytest.mark.parametrize("angle", [-45, -20, 20, 45])
def test_a_tilted_head_is_the_same_person(
    pipeline: Pipeline, photos: Mapping[str, Path], obama: Face, angle: int
) -> None:
    image = load(photos["obama"])
    centre = (obama.box.x + obama.box.width / 2, obama.box.y + obama.box.height / 2)
    turn = cv2.getRotationMatrix2D(centre, angle, 1)
    turned = as_image(cv2.warpAffine(image, turn, (image.shape[1], image.shape[0])))
    assert float(only_face(pipeline, turned).embedding @ obama.embedding) >= 0.8


@pytest.mark.parametrize("change", ["jpeg30", "half the light", "grey", "40 px between the eyes"])
def test_a_worse_picture_is_the_same_person(
    pipeline: Pipeline, photos: Mapping[str, Path], obama: Face, change: str
) -> None:
    image = load(photos["obama"])
    if change == "jpeg30":
        image = decode(encode_jpeg(image, 30), Limits())
    elif change == "half the light":
        image = (image // 2).astype(np.uint8)
    elif change == "grey":
        image = as_image(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))
    else:
        eyes = float(np.linalg.norm(obama.landmarks[0] - obama.landmarks[1]))
        image = as_image(cv2.resize(image, None, fx=40 / eyes, fy=40 / eyes, interpolation=cv2.INTER_AREA))
    assert float(only_face(pipeline, image).embedding @ obama.embedding) >= 0.8


def test_a_stored_portrait_embeds_to_nearly_the_same(pipeline: Pipeline, photos: Mapping[str, Path]) -> None:
    for name in ("obama", "biden", "astronaut"):
        (face,) = pipeline.analyse(load(photos[name]), enrolling=True)
        assert face.portrait is not None
        stored = decode(encode_jpeg(face.portrait, 92), Limits())
        assert float(pipeline.embed_portraits([stored])[0] @ face.embedding) > 0.98


def test_landmarks_are_the_subjects_right_eye_first(obama: Face) -> None:
    right_eye, left_eye, nose, right_mouth, left_mouth = obama.landmarks
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_mouth[0] < left_mouth[0]
    assert right_eye[1] < nose[1] < right_mouth[1]


def test_quality_names_what_is_wrong(pipeline: Pipeline, photos: Mapping[str, Path], obama: Face) -> None:
    image = load(photos["obama"])
    good = obama.quality
    assert good.score >= 80
    assert good.issues == ()
    dark = only_face(pipeline, (image // 8).astype(np.uint8)).quality
    assert Issue.TOO_DARK in dark.issues
    blurred = only_face(pipeline, as_image(cv2.GaussianBlur(image, (0, 0), 9))).quality
    assert Issue.BLURRED in blurred.issues
    small = only_face(pipeline, as_image(cv2.resize(image, None, fx=0.12, fy=0.12, interpolation=3))).quality
    assert Issue.TOO_SMALL in small.issues
    cut = only_face(pipeline, load(photos["partial2"])).quality
    assert Issue.CUT_OFF in cut.issues
    assert max(dark.score, blurred.score, small.score, cut.score) < good.score


def test_a_face_is_the_same_in_any_company(pipeline: Pipeline, photos: Mapping[str, Path]) -> None:
    image = load(photos["group5"])
    located = pipeline.find(image)
    together = pipeline.describe(image, located)
    for face, place in zip(together, located, strict=True):
        (alone,) = pipeline.describe(image, [place])
        assert np.array_equal(alone.embedding, face.embedding)


def test_a_new_number_of_faces_does_not_make_a_frame_wait(photos: Mapping[str, Path]) -> None:
    fresh = Pipeline()
    image = load(photos["group5"])
    fresh.warm_up(image)
    located = fresh.find(image)

    def seconds(count: int) -> float:
        start = process_time()
        fresh.describe(image, located[:count])
        return process_time() - start

    for count in (2, 5, 3):
        first = seconds(count)
        assert first < 2 * min(seconds(count) for _ in range(5)) + 0.005


def test_warming_up_needs_no_face(pipeline: Pipeline) -> None:
    assert len(pipeline.warm_up(np.zeros((480, 640, 3), dtype=np.uint8))) == 1
