"""Find faces: MTCNN, three networks one after the other, the first over a pyramid of sizes.

The first looks at the picture in many sizes through a window of 12 pixels; the second and the third look again at
what the one before has proposed, at 24 and 48 pixels, and the third also finds five points. All sizes of the pyramid
lie side by side on one canvas, so that the first network runs once, at a size that never changes.

Source: Zhang et al. 2016, IEEE Signal Processing Letters 23(10); thresholds as its authors have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from visage.types import Image
from visage.vision.align import similarity, warp
from visage.vision.detect import Detections, boxes_of, letterbox, tiles, turned_back, with_mouth

if TYPE_CHECKING:
    from visage.vision.runtime import Network

Floats = NDArray[np.float32]

_WINDOW, _STRIDE = 12, 2
_FACTOR = 0.709
_LARGEST = 360
"""The picture's longer side in the largest size, pixels: the smallest face that is found has a thirtieth of it."""
_GAP = 4

_MIN_SCORES = (0.6, 0.7, 0.7)
_MAX_PROPOSALS = 400
"""So many windows go on to the second network, the best: a picture of a home never has more that are worth it."""
_MAX_COMPARED = 2_000
"""So many boxes, the best, are compared with one another: a picture that is faces all over must not take minutes."""


def _shelves(largest: int) -> tuple[list[tuple[int, int, int]], tuple[int, int]]:
    """Where each size of the pyramid lies on the canvas: (left, top, side), each; and the canvas (width, height).

    Sizes are put into columns from the left, each into the first column that has room below.
    """
    sides = []
    side = float(largest)
    while side >= _WINDOW:
        sides.append(round(side))
        side *= _FACTOR
    columns: list[list[int]] = []  # left, width, filled
    places = []
    for each in sides:
        column = next((c for c in columns if c[2] + _GAP + each <= largest), None)
        if column is None:
            left = sum(c[1] + _GAP for c in columns)
            column = [left, each, -_GAP]
            columns.append(column)
        places.append((column[0], column[2] + _GAP, each))
        column[2] += _GAP + each
    return places, (sum(c[1] + _GAP for c in columns) - _GAP, largest)


_LEVELS, CANVAS = _shelves(_LARGEST)
"""CANVAS: (width, height) of what the first network sees, pixels."""


class Mtcnn:
    """The three networks. All were trained on transposed pictures, and see them so.

    Args:
        propose: (N, W, H, 3) → (N, w, h, 4) corrections of windows, (N, w, h, 2) chances of no face and of a face.
        refine: (N, 24, 24, 3) → (N, 4), (N, 2), as the first.
        finish: (N, 48, 48, 3) → (N, 4), (N, 10) points, first all x, (N, 2).
    """

    def __init__(self, propose: Network, refine: Network, finish: Network) -> None:
        self._propose, self._refine, self._finish = propose, refine, finish

    def detect(self, image: Image, *, overturned: bool = False) -> Detections:
        """Find the faces of one image.

        Args:
            image: (H, W, 3) uint8, RGB, any size.
            overturned: look at it upside down; what is found is given as it lies in the image.

        Returns: the faces, best first; empty where there is none.
        """
        height, width = image.shape[:2]
        if overturned:
            return turned_back(self.detect(np.ascontiguousarray(image[::-1, ::-1])), width, height)
        views = [(0, 0, max(height, width)), *tiles(width, height)]
        boxes, scores = (np.concatenate(each) for each in zip(*(self._windows(image, v) for v in views), strict=True))
        kept = best(boxes, scores, 0.7)[:_MAX_PROPOSALS]
        boxes, scores, _ = self._look_again(self._refine, 24, image, boxes[kept], _MIN_SCORES[1])
        kept = best(boxes, scores, 0.7)
        boxes, scores, points = self._look_again(self._finish, 48, image, boxes[kept], _MIN_SCORES[2])
        kept = best(boxes, scores, 0.7, of_the_smaller=True)
        return Detections(boxes_of(points[kept]), with_mouth(points[kept]), scores[kept])

    def _windows(self, image: Image, view: tuple[int, int, int]) -> tuple[Floats, Floats]:
        """What the first network proposes in a square of the picture: (n, 4) pixels of the image, (n,) scores."""
        left, top, side = view
        part = image[top : top + side, left : left + side]
        canvas = np.full((CANVAS[1], CANVAS[0], 3), 128, dtype=np.uint8)
        sizes = _draw_pyramid(part, side, canvas)
        corrections, chances = self._propose(canvas.transpose(1, 0, 2)[None])
        chances, corrections = chances[0, :, :, 1].T, corrections[0].transpose(1, 0, 2)
        parts: list[tuple[Floats, Floats]] = []
        for (x, y, level), (rows, columns) in zip(_LEVELS, sizes, strict=True):
            own = np.s_[
                -(-y // _STRIDE) : max(0, (y + rows - _WINDOW) // _STRIDE + 1),
                -(-x // _STRIDE) : max(0, (x + columns - _WINDOW) // _STRIDE + 1),
            ]
            row, column = np.nonzero(chances[own] >= _MIN_SCORES[0])
            row, column = row + own[0].start, column + own[1].start
            corner = np.stack([column * _STRIDE - x, row * _STRIDE - y], axis=1)
            boxes = np.concatenate([corner, corner + _WINDOW], axis=1).astype(np.float32)
            boxes = (boxes + _WINDOW * corrections[row, column]) * np.float32(side / level)
            scores = chances[row, column]
            kept = best(boxes, scores, 0.5)
            parts.append((boxes[kept] + np.array([left, top] * 2, dtype=np.float32), scores[kept]))
        boxes, scores = (np.concatenate(each) for each in zip(*parts, strict=True))
        return boxes, scores

    def _look_again(
        self, network: Network, size: int, image: Image, boxes: Floats, min_score: float
    ) -> tuple[Floats, Floats, Floats]:
        """Boxes that a closer look confirms, corrected; their scores; their points, (n, 5, 2), where it finds any."""
        if not len(boxes):
            return boxes, np.empty(0, dtype=np.float32), np.empty((0, 5, 2), dtype=np.float32)
        centre, side = (boxes[:, :2] + boxes[:, 2:]) / 2, np.maximum(1, (boxes[:, 2:] - boxes[:, :2]).max(axis=1))
        corner = centre - side[:, None] / 2
        crops = np.empty((len(boxes), size, size, 3), dtype=np.uint8)
        for crop, (x, y), length in zip(crops, corner.tolist(), side.tolist(), strict=True):
            scale = size / length
            # Pixel centres: x_crop = (x_image + ½ − left) · scale − ½.
            shift = complex((0.5 - x) * scale - 0.5, (0.5 - y) * scale - 0.5)
            crop[:] = warp(image, similarity(complex(scale), shift), size).transpose(1, 0, 2)
        corrections, *points, chances = network(crops)
        sure = chances[:, 1] >= min_score
        corner, side = corner[sure], side[sure, None]
        corrected = np.concatenate([corner, corner + side], axis=1) + side * corrections[sure]
        found = np.empty((len(corrected), 0, 2), dtype=np.float32)
        if points:
            found = corner[:, None] + side[:, None] * points[0][sure].reshape(-1, 2, 5).transpose(0, 2, 1)
        return corrected, chances[sure, 1], found


def _draw_pyramid(part: Image, side: int, canvas: Image) -> list[tuple[int, int]]:
    """Put all sizes of a picture on the canvas; returns the (rows, columns) of each. `side` fills the largest."""
    x, y, largest = _LEVELS[0]
    first = canvas[y : y + largest, x : x + largest]
    sizes = [letterbox(part, first, side)]
    whole = first[: sizes[0][0], : sizes[0][1]]
    for x, y, level in _LEVELS[1:]:
        rows, columns = (max(1, round(length * level / largest)) for length in sizes[0])
        canvas[y : y + rows, x : x + columns] = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
        sizes.append((rows, columns))
    return sizes


def best(boxes: Floats, scores: Floats, max_overlap: float, *, of_the_smaller: bool = False) -> Sequence[int]:
    """Which boxes stay, best first, when of those that overlap more only the best does.

    Args:
        boxes: (n, 4): left, top, right, bottom.
        scores: (n,).
        max_overlap: of the union of two, 0–1.
        of_the_smaller: … of the smaller of the two instead.
    """
    order = np.argsort(-scores, kind="stable")[:_MAX_COMPARED]
    low, high = boxes[order, :2], boxes[order, 2:]
    areas = np.maximum(high - low, 0).prod(axis=1)
    left = np.ones(len(order), dtype=bool)
    kept: list[int] = []
    for first in range(len(order)):
        if left[first]:
            kept.append(int(order[first]))
            shared = np.maximum(np.minimum(high[first], high) - np.maximum(low[first], low), 0).prod(axis=1)
            whole = np.minimum(areas[first], areas) if of_the_smaller else areas[first] + areas - shared
            left &= shared <= max_overlap * whole
    return kept
