"""Alignment, anchors, suppression: geometry that must hold for any numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visage.vision.align import (
    TEMPLATE,
    DegenerateLandmarks,
    align,
    align_portrait,
    portrait,
    similarity_transform,
    warp,
)
from visage.vision.detect import anchors, weighted_nms

angles = st.floats(-np.pi, np.pi)
scales = st.floats(0.05, 20)
shifts = st.floats(-2000, 2000)


@given(angles, scales, shifts, shifts)
def test_a_known_similarity_is_found_again(angle: float, scale: float, x: float, y: float) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = TEMPLATE @ turn.T + (x, y)
    transform = similarity_transform(moved, TEMPLATE)
    back = np.c_[moved, np.ones(5)] @ transform.T
    assert np.allclose(back[:, :2], TEMPLATE, atol=1e-3)


@given(st.lists(st.tuples(shifts, shifts), min_size=5, max_size=5))
def test_no_similarity_fits_better_than_the_fitted_one(points: list[tuple[float, float]]) -> None:
    source = np.array(points)
    try:
        transform = similarity_transform(source, TEMPLATE)
    except DegenerateLandmarks:
        return

    def error(matrix: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
        return float((((np.c_[source, np.ones(5)] @ matrix.T)[:, :2] - TEMPLATE) ** 2).sum())

    best = error(transform)
    for change in (0.01, -0.01):
        other = transform.copy()
        other[0, 2] += change
        assert error(other) >= best - 1e-6


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), np.nan), np.full((5, 2), 7.0)])
def test_points_without_extent_are_refused(points: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    with pytest.raises(DegenerateLandmarks):
        similarity_transform(points, TEMPLATE)


def smooth_picture(side: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """A picture whose every place has its own colour."""
    y, x = np.mgrid[0:side, 0:side] / side
    return (255 * np.stack([x, y, 1 - x], axis=2)).astype(np.uint8)


@pytest.mark.parametrize("scale", [1.0, 2.0, 3.3, 8.0])
def test_a_face_of_any_size_is_aligned_alike(scale: float) -> None:
    picture = smooth_picture(int(112 * scale))
    views = align(picture, (TEMPLATE + 0.5) * scale - 0.5)
    reference = align(smooth_picture(112), TEMPLATE)
    assert views.shape == (2, 112, 112, 3)
    middle = (slice(None), slice(10, 102), slice(10, 102))
    assert np.abs(views[middle].astype(int) - reference[middle].astype(int)).mean() < 2.5


def test_the_second_view_is_mirrored() -> None:
    plain, mirrored = align(smooth_picture(112), TEMPLATE)
    assert plain[56, 20, 0] < plain[56, 90, 0]
    assert mirrored[56, 20, 0] > mirrored[56, 90, 0]


def test_a_portrait_holds_the_aligned_face() -> None:
    picture = smooth_picture(400)
    landmarks = TEMPLATE * 1.4 + 120
    direct, stored = align(picture, landmarks), align_portrait(portrait(picture, landmarks))
    assert np.abs(direct.astype(int) - stored.astype(int)).mean() < 2


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = np.zeros((800, 800, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    small = warp(stripes, np.diag([0.1, 0.1, 1.0]), 80)
    assert abs(float(small[10:-10, 10:-10].mean()) - 127.5) < 3
    assert float(small[10:-10, 10:-10].std()) < 8


def test_anchors_are_the_cell_centres_in_output_order() -> None:
    grid = anchors(256, ((16, 2), (8, 6)))
    assert grid.shape == (896, 2)
    assert grid[0].tolist() == [8, 8]
    assert grid[2].tolist() == [24, 8]
    assert grid[512].tolist() == [16, 16]


@given(st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_suppression_leaves_no_two_faces_in_one_place(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 300, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 120, (count, 2))], axis=1).astype(np.float32)
    scores = rng.uniform(0.5, 1, count).astype(np.float32)
    kept = weighted_nms(np.pad(boxes, ((0, 0), (0, 12))), scores)
    assert len(kept) <= count
    assert (len(kept) == 0) == (count == 0)
    assert (np.diff(kept.scores) <= 0).all()


def test_overlapping_detections_become_their_weighted_mean() -> None:
    boxes = np.array([[0, 0, 100, 100], [10, 0, 110, 100], [300, 300, 340, 340]], dtype=np.float32)
    kept = weighted_nms(np.pad(boxes, ((0, 0), (0, 12))), np.array([0.9, 0.6, 0.7], dtype=np.float32))
    assert len(kept) == 2
    assert kept.boxes[0].tolist() == pytest.approx([4, 0, 104, 100])
