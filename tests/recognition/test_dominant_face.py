"""Whom a photo of several people is of."""

from __future__ import annotations

import numpy as np
import pytest

from visage.errors import MultipleFaces
from visage.recognition.enrolment import dominant_face
from visage.types import Box, Face, Pose, Quality
from visage.vision.quality import UNCLEAR


def some_face(x: float, side: float, *, score: float, quality: int, clear: bool = True) -> Face:
    """A face at a place of a picture of 640 × 480."""
    return Face(
        box=Box(x - side / 2, 240 - side / 2, side, side),
        landmarks=np.zeros((5, 2), dtype=np.float32),
        detection_score=score,
        quality=Quality(quality) if clear else UNCLEAR,
        pose=Pose(0, 0),
        embedding=np.zeros(192, dtype=np.float32),
    )


def test_the_face_in_front_counts_before_a_larger_one_that_it_half_hides() -> None:
    """The boxes are those of a photo in which the head behind was taken for whom the photo is of."""
    front, behind = some_face(335, 170, score=0.83, quality=84), some_face(300, 185, score=0.55, quality=21)
    assert dominant_face([behind, front], 640, 480) is front


def test_a_poor_picture_of_somebody_does_not_become_a_good_one_of_who_stands_beside() -> None:
    own, beside = some_face(330, 120, score=0.88, quality=19), some_face(480, 118, score=0.74, quality=55)
    with pytest.raises(MultipleFaces):
        dominant_face([own, beside], 640, 480)


def test_two_who_are_seen_equally_well_are_two() -> None:
    with pytest.raises(MultipleFaces):
        dominant_face(
            [some_face(250, 120, score=0.9, quality=90), some_face(390, 120, score=0.9, quality=60)], 640, 480
        )


def test_what_is_no_face_does_not_stand_in_the_way_of_one() -> None:
    own, poster = some_face(330, 120, score=0.9, quality=70), some_face(330, 400, score=0.9, quality=0, clear=False)
    assert dominant_face([poster, own], 640, 480) is own
