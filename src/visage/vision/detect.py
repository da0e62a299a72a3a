"""Find faces: BlazeFace, whole picture first, then overlapping tiles of large ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from visage.types import Image
from visage.vision.align import TEMPLATE, similarity_transform
from visage.vision.work import checkpoint

if TYPE_CHECKING:
    from visage.vision.runtime import Network

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Faces found in one image, best first.

    Attributes:
        boxes: (n, 4) float32 pixels: left, top, right, bottom.
        points: (n, 6, 2) float32 pixels (x, y): right eye, left eye, nose tip, mouth centre, then BlazeFace has right
            ear and left ear, others the corners of the mouth.
        scores: (n,) float32, 0–1.
    """

    boxes: Floats
    points: Floats
    scores: Floats

    def __len__(self) -> int:
        return len(self.scores)

    def largest(self, count: int) -> Detections:
        """The so many largest of them, best first as before."""
        if len(self) <= count:
            return self
        areas = _areas(self.boxes[:, :2], self.boxes[:, 2:])
        chosen = np.sort(np.argsort(-areas, kind="stable")[:count])
        return Detections(self.boxes[chosen], self.points[chosen], self.scores[chosen])


def anchors(input_size: int, grids: tuple[tuple[int, int], ...]) -> Floats:
    """Anchor centres in input pixels, in the order of the network's output.

    Args:
        input_size: side of the network's input, pixels.
        grids: (cells a side, anchors a cell), one an output layer.

    Returns: (sum of cells² × anchors, 2) float32 (x, y).
    Source: MediaPipe, SsdAnchorsCalculator with fixed anchor size.
    """
    layers = []
    for cells, repeat in grids:
        centres = (np.arange(cells, dtype=np.float32) + 0.5) * (input_size / cells)
        x, y = np.meshgrid(centres, centres)
        layers.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), repeat, axis=0))
    return np.concatenate(layers)


class Detector:
    """A BlazeFace network with its anchors.

    Args:
        network: (N, S, S, 3) → (N, A, 16) boxes and points relative to anchor centres, (N, A, 1) logits.
        input_size: S, pixels.
        grids: the anchor grids, as `anchors` takes them.
        min_score: detections below are dropped, 0–1.
    """

    def __init__(
        self, network: Network, *, input_size: int, grids: tuple[tuple[int, int], ...], min_score: float
    ) -> None:
        self._network = network
        self._size = input_size
        # The centre of an anchor for each coordinate that is relative to it: all but width and height.
        self._origins = np.tile(anchors(input_size, grids), 8)
        self._origins[:, 2:4] = 0
        self._min_logit = float(np.log(min_score / (1 - min_score)))

    def detect(self, image: Image, *, overturned: bool = False) -> Detections:
        """Find the faces of one image.

        Args:
            image: (H, W, 3) uint8, RGB, any size.
            overturned: look at it upside down, and only at the whole; what is found is given as it lies in the image.

        Returns: the faces, best first; empty where there is none.
        """
        height, width = image.shape[:2]
        views = [(0, 0, max(height, width)), *([] if overturned else tiles(width, height))]
        batch = np.zeros((len(views), self._size, self._size, 3), dtype=np.uint8)
        for canvas, (left, top, side) in zip(batch, views, strict=True):
            letterbox(image[top : top + side, left : left + side], canvas, side)
        raw, logits = self._network(np.ascontiguousarray(batch[:, ::-1, ::-1]) if overturned else batch)
        parts = []
        for index, view in enumerate(views):
            found, scores = self._decode(raw[index], logits[index, :, 0], view, overturned)
            if index:  # a face cut by a tile's edge is whole in the next tile or in the whole picture
                whole = _inside(found, view, width, height)
                found, scores = found[whole], scores[whole]
            parts.append((found, scores))
        found, scores = (np.concatenate(each) for each in zip(*parts, strict=True))
        return weighted_nms(found, scores)

    def _decode(
        self, raw: Floats, logits: Floats, view: tuple[int, int, int], overturned: bool
    ) -> tuple[Floats, Floats]:
        """A view's (A, 16) and (A,) → (n, 16) pixels of the image: box, then points; and (n,) scores."""
        keep = np.flatnonzero(logits >= self._min_logit)
        left, top, side = view
        found: Floats = raw[keep] + self._origins[keep]
        if overturned:  # all but width and height
            found[:, :2], found[:, 4:] = self._size - found[:, :2], self._size - found[:, 4:]
        found *= np.float32(side / self._size)
        half = found[:, 2:4] / 2
        found[:, 2:4] = found[:, :2] + half
        found[:, :2] -= half
        found += np.array([left, top] * 8, dtype=np.float32)
        return found, (1 / (1 + np.exp(-logits[keep]))).astype(np.float32)


_BOX_CENTRE, _BOX_SIDE = (56.4, 73.5), 90.3
"""Where BlazeFace draws its box on a face that lies on the alignment template, pixels there; the median over the
development half of Labeled Faces in the Wild."""


def turned_back(found: Detections, width: int, height: int) -> Detections:
    """What was found in a picture of (width, height) pixels that was overturned, as it lies in the picture itself."""
    corner = np.array([width, height], dtype=np.float32)
    boxes = np.tile(corner, 2) - found.boxes[:, [2, 3, 0, 1]]
    return Detections(boxes, corner - found.points, found.scores)


def with_mouth(points: Floats) -> Floats:
    """(n, 5, 2) points in the template's order → (n, 6, 2) in the order of `Detections`."""
    centre = points[:, 3:5].mean(axis=1, keepdims=True)
    return np.concatenate([points[:, :3], centre, points[:, 3:]], axis=1)


def boxes_of(points: Floats) -> Floats:
    """The boxes that BlazeFace would draw around the faces that another detector found: what comes after is used to
    them.

    Args:
        points: (n, 5, 2) float32 pixels (x, y), in the template's order.

    Returns: (n, 4) float32 pixels: left, top, right, bottom.
    """
    boxes = np.empty((len(points), 4), dtype=np.float32)
    for box, five in zip(boxes, points, strict=True):
        to_image = similarity_transform(TEMPLATE, five)
        x, y, _ = to_image @ (*_BOX_CENTRE, 1)
        half = _BOX_SIDE / 2 * np.hypot(to_image[0, 0], to_image[1, 0])
        box[:] = x - half, y - half, x + half, y + half
    return boxes


_TILE_FROM = 1400
"""Pictures with a longer side, pixels, are also searched in tiles: below, the whole picture shows the network
every face that is worth recognising (30 pixels between the eyes)."""
_TILE_SIDE = 1000
_TILE_OVERLAP = 0.25
_MAX_TILES = 100
"""Enough for 50 megapixels; a picture that would need more (a strip of a few rows) gets larger tiles."""


def tiles(width: int, height: int) -> list[tuple[int, int, int]]:
    """Squares (left, top, side) that cover a large picture with overlap; none for a small one."""
    if max(width, height) <= _TILE_FROM:
        return []
    side = _TILE_SIDE
    while len(lefts := _starts(width, side)) * len(tops := _starts(height, side)) > _MAX_TILES:
        side *= 2
    return [(left, top, side) for top in tops for left in lefts]


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = int(np.ceil((length - side) / (side * (1 - _TILE_OVERLAP)))) + 1
    return [int(start) for start in np.linspace(0, length - side, count)]


def letterbox(view: Image, canvas: Image, side: int) -> tuple[int, int]:
    """Shrink a view into the top left of a square canvas; `side` fills the canvas. Returns its (rows, columns) there.

    Halving averages four pixels and runs on the CPU's wide registers; it takes a fifth of the time of averaging
    straight down to an odd scale. What remains, less than a half, is interpolated with a kernel that keeps it sharp.
    """
    size = canvas.shape[0]
    scale = size / side
    while max(view.shape[:2]) >= 2 * size and min(view.shape[:2]) >= 2:
        rows, columns = view.shape[0] // 2, view.shape[1] // 2
        even = view[: 2 * rows, : 2 * columns]
        view = cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        scale *= 2
    rows, columns = (max(1, min(size, round(length * scale))) for length in view.shape[:2])
    way = cv2.INTER_CUBIC if scale < 1 else cv2.INTER_LINEAR
    canvas[:rows, :columns] = cv2.resize(view, (columns, rows), interpolation=way)
    return rows, columns


def _inside(boxes: Floats, view: tuple[int, int, int], width: int, height: int) -> NDArray[np.bool_]:
    """Which boxes do not touch an edge of the tile, other than where it is the picture's own edge."""
    left, top, side = view
    margin = side * 0.01
    return (
        ((boxes[:, 0] > left + margin) | (left == 0))
        & ((boxes[:, 1] > top + margin) | (top == 0))
        & ((boxes[:, 2] < left + side - margin) | (left + side >= width))
        & ((boxes[:, 3] < top + side - margin) | (top + side >= height))
    )


def weighted_nms(found: Floats, scores: Floats, max_iou: float = 0.3) -> Detections:
    """Merge overlapping detections into their score-weighted mean.

    A detection that lies mostly inside a better one (the same face seen at another scale) is dropped as well.

    Args:
        found: (n, 16) float32 pixels, in any order: left, top, right, bottom, then x and y of six points.
        scores: (n,) float32, 0–1.
        max_iou: boxes that overlap more are one face.

    Source: BlazeFace, Bazarevsky et al. 2019, arXiv:1907.05047, section 3.3 ("blending").
    """
    order = np.argsort(-scores, kind="stable")
    found, scores = found[order], scores[order]
    low, high = found[:, :2], found[:, 2:4]
    areas = _areas(low, high)
    left = np.ones(len(scores), dtype=bool)
    merged = np.empty_like(found)
    best: list[int] = []
    for first in range(len(scores)):
        if not left[first]:
            continue
        checkpoint()
        shared = _areas(np.maximum(low[first], low), np.minimum(high[first], high))
        iou = shared / np.maximum(areas[first] + areas - shared, 1e-6)
        inside = shared / np.maximum(np.minimum(areas, areas[first]), 1e-6)
        same = left & (iou > max_iou)
        same[first] = True
        left &= ~(same | (inside > 0.7))
        left[first] = False
        merged[len(best)] = scores[same] @ found[same] / scores[same].sum()
        best.append(first)
    merged = merged[: len(best)]
    return Detections(merged[:, :4], merged[:, 4:].reshape(-1, 6, 2), scores[best])


def _areas(low: Floats, high: Floats) -> Floats:
    """(n, 2) corners → (n,) pixels²; 0 where they are the wrong way round."""
    sides: Floats = np.maximum(high - low, 0)
    return np.multiply(sides[:, 0], sides[:, 1])
