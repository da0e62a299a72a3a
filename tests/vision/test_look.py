"""Doubt about the look itself: an upright face is embedded, whatever covers it; nothing else is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.disguises import CHANGES, as_image
from visage.recognition.enrolment import USABLE
from visage.types import Face, Image, Issue
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.look import is_drawn
from visage.vision.pipeline import LocatedFace, Pipeline

PEOPLE = ("obama", "biden", "astronaut")


@dataclass(frozen=True, eq=False)
class Sitter:
    """A photo of one person: 400 pixels, the head in its middle; what an upright look makes of it."""

    image: Image
    place: LocatedFace
    face: Face


@pytest.fixture(scope="module")
def sitters(pipeline: Pipeline, photos: Mapping[str, Path]) -> Mapping[str, Sitter]:
    """Three people."""
    return {name: sit(pipeline, photos[name]) for name in PEOPLE}


def sit(pipeline: Pipeline, path: Path) -> Sitter:
    """The head in the middle of a square."""
    photo = decode(path.read_bytes(), Limits())
    (place,) = pipeline.find(photo)
    box = place.box
    scale = 130 / box.height
    middle = (box.x + box.width / 2, box.y + box.height / 2)
    shift = np.array([[scale, 0, 200 - scale * middle[0]], [0, scale, 200 - scale * middle[1]]])
    image = as_image(cv2.warpAffine(photo, shift, (400, 400), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE))
    (place,) = pipeline.find(image)
    (face,) = pipeline.describe(image, [place])
    return Sitter(image, place, face)


def rolled(image: Image, degrees: int) -> Image:
    """Turned about its middle."""
    turn = cv2.getRotationMatrix2D((199.5, 199.5), degrees, 1)
    return as_image(cv2.warpAffine(image, turn, (400, 400), borderMode=cv2.BORDER_REPLICATE))


def clear(faces: list[Face]) -> list[Face]:
    """Those that may be registered or named."""
    return [face for face in faces if face.quality.score >= USABLE]


@pytest.mark.parametrize("degrees", range(0, 360, 30))
def test_a_face_is_itself_at_any_roll(pipeline: Pipeline, sitters: Mapping[str, Sitter], degrees: int) -> None:
    for name, sitter in sitters.items():
        (face,) = clear(pipeline.analyse(rolled(sitter.image, degrees)))
        assert float(face.embedding @ sitter.face.embedding) > 0.8, name


def test_the_landmarks_of_a_face_upside_down_are_upside_down(
    pipeline: Pipeline, sitters: Mapping[str, Sitter]
) -> None:
    for sitter in sitters.values():
        (face,) = clear(pipeline.analyse(rolled(sitter.image, 180)))
        right_eye, left_eye, nose, right_mouth, _ = face.landmarks
        assert right_eye[0] > nose[0] > left_eye[0]
        assert right_eye[1] > nose[1] > right_mouth[1]


def test_a_face_upside_down_beside_an_upright_one(pipeline: Pipeline, sitters: Mapping[str, Sitter]) -> None:
    both = np.concatenate([sitters["obama"].image, rolled(sitters["biden"].image, 180)], axis=1)
    left, right = sorted(clear(pipeline.analyse(both)), key=lambda face: face.box.x)
    assert float(left.embedding @ sitters["obama"].face.embedding) > 0.8
    assert float(right.embedding @ sitters["biden"].face.embedding) > 0.8


def test_who_is_followed_does_not_slide_into_an_invented_face(
    pipeline: Pipeline, sitters: Mapping[str, Sitter]
) -> None:
    """The picture is overturned from one frame to the next: the levelling of before is wrong, and not believed."""
    for name, sitter in sitters.items():
        for degrees in (150, 170, 200, 210):
            (followed,) = pipeline.follow(rolled(sitter.image, degrees), [sitter.place.mesh])
            assert followed is None, (name, degrees)
        (followed,) = pipeline.follow(rolled(sitter.image, 10), [sitter.place.mesh])
        assert followed is not None, name


@pytest.mark.parametrize("kind", ["beard", "dark glasses", "headscarf", "low light, noise", "motion blur"])
def test_a_covered_face_is_still_a_face(pipeline: Pipeline, sitters: Mapping[str, Sitter], kind: str) -> None:
    for name, sitter in sitters.items():
        (face,) = clear(pipeline.analyse(CHANGES[kind](sitter.image, sitter.place, np.random.default_rng(0))))
        assert float(face.embedding @ sitter.face.embedding) > 0.5, name


@pytest.mark.parametrize("kind", ["mask of cloth", "veil"])
def test_a_face_behind_cloth_is_still_a_face(pipeline: Pipeline, sitters: Mapping[str, Sitter], kind: str) -> None:
    """Of the third hardly more than the brows can be seen: four of five are let through, see the benchmark."""
    for name in ("obama", "biden"):
        sitter = sitters[name]
        (face,) = pipeline.analyse(CHANGES[kind](sitter.image, sitter.place, np.random.default_rng(0)))
        assert face.embedding.any(), name


@pytest.mark.parametrize("part", [0.5, 0.55])
def test_half_a_face_at_the_border_is_not_used(
    pipeline: Pipeline, sitters: Mapping[str, Sitter], part: float
) -> None:
    box = sitters["biden"].place.box
    half = sitters["biden"].image[: round(box.y + part * box.height)]
    (face,) = pipeline.analyse(half)
    assert Issue.CUT_OFF in face.quality.issues
    assert face.quality.score < USABLE


def cartoon(roll: int = 0, skin: tuple[int, int, int] = (255, 214, 170)) -> Image:
    """A head as a child draws it."""
    paper = np.full((400, 400, 3), (120, 170, 220), dtype=np.uint8)
    cv2.ellipse(paper, (200, 190), (105, 125), 0, 0, 360, (90, 50, 20), -1, cv2.LINE_AA)
    cv2.ellipse(paper, (200, 210), (90, 110), 0, 0, 360, skin, -1, cv2.LINE_AA)
    for x in (165, 235):
        cv2.ellipse(paper, (x, 195), (18, 11), 0, 0, 360, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(paper, (x, 195), 8, (40, 30, 30), -1, cv2.LINE_AA)
        cv2.ellipse(paper, (x, 180), (22, 8), 0, 180, 360, (60, 30, 10), 5, cv2.LINE_AA)
    cv2.ellipse(paper, (200, 230), (12, 8), 0, 0, 180, (190, 130, 100), 4, cv2.LINE_AA)
    cv2.ellipse(paper, (200, 265), (32, 14), 0, 0, 180, (180, 60, 60), -1, cv2.LINE_AA)
    return rolled(paper, roll)


def marble(seed: int) -> Image:
    """Veined stone, in two pieces of which the landmark network made faces of quality 22 and 33."""
    random = np.random.default_rng(seed)
    random.integers(40, 220, 3)
    noise = random.normal(0, 1, (400, 400))
    veins = cv2.GaussianBlur(noise, (0, 0), float(random.uniform(8, 30)))
    grey = (veins - veins.min()) / np.ptp(veins) * 230
    stone = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
    return np.clip(stone + random.normal(0, 5, stone.shape), 0, 255).astype(np.uint8)


NO_FACES = {
    "a cartoon": cartoon(),
    "a dark cartoon": cartoon(skin=(140, 95, 60)),
    "a cartoon with its head to one side": cartoon(-60),
    "a marble tile": marble(257),
    "another": marble(311),
}


@pytest.mark.parametrize("kind", NO_FACES)
def test_what_is_no_face_is_not_embedded(pipeline: Pipeline, kind: str) -> None:
    for face in pipeline.analyse(NO_FACES[kind]):
        assert face.quality.score == 0
        assert face.quality.issues == (Issue.NO_CLEAR_FACE,)
        assert not face.embedding.any()


def test_photos_are_not_drawn(sitters: Mapping[str, Sitter], pipeline: Pipeline) -> None:
    for sitter in sitters.values():
        for quality in (10, 90):
            (face,) = pipeline.analyse(decode(encode_jpeg(sitter.image, quality), Limits()))
            assert face.quality.score >= USABLE
    assert is_drawn(as_image(cv2.resize(cartoon()[120:320, 100:300], (112, 112), interpolation=cv2.INTER_AREA)))
