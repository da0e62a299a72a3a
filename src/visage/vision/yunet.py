"""Find faces: YuNet, as OpenCV's zoo has it. Not verified here: the file was not at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visage.types import Image
from visage.vision.detect import Detections, boxes_of, letterbox, tiles, turned_back, with_mouth
from visage.vision.mtcnn import best

if TYPE_CHECKING:
    from visage.vision.runtime import Network

Floats = NDArray[np.float32]

_STRIDES = (8, 16, 32)
_MIN_SCORE = 0.6
_MAX_IOU = 0.3


class Yunet:
    """The network.

    Args:
        network: (N, 640, 640, 3) → for each of three strides, first all (N, cells, 1) chances of a face, then all
            (N, cells, 1) of an object, then (N, cells, 4) boxes, then (N, cells, 10) points.

    Source: OpenCV's modules/objdetect/src/face_detect.cpp.
    """

    input_size = 640

    def __init__(self, network: Network) -> None:
        self._network = network

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
        batch = np.zeros((len(views), self.input_size, self.input_size, 3), dtype=np.uint8)
        for canvas, (left, top, side) in zip(batch, views, strict=True):
            letterbox(image[top : top + side, left : left + side], canvas, side)
        outputs = self._network(batch)
        parts = []
        for index, (left, top, side) in enumerate(views):
            boxes, points, scores = self._decode([output[index] for output in outputs])
            scale, corner = np.float32(side / self.input_size), np.array([left, top], dtype=np.float32)
            parts.append((boxes * scale + np.tile(corner, 2), points * scale + corner, scores))
        boxes, points, scores = (np.concatenate(each) for each in zip(*parts, strict=True))
        kept = best(boxes, scores, _MAX_IOU)
        return Detections(boxes_of(points[kept]), with_mouth(points[kept]), scores[kept])

    def _decode(self, outputs: list[Floats]) -> tuple[Floats, Floats, Floats]:
        """(n, 4) corners, (n, 5, 2) points and (n,) scores, in pixels of the input."""
        parts = []
        for level, stride in enumerate(_STRIDES):
            faces, objects, boxes, points = (outputs[kind * len(_STRIDES) + level] for kind in range(4))
            scores = np.sqrt(np.clip(faces[:, 0], 0, 1) * np.clip(objects[:, 0], 0, 1))
            cells = np.flatnonzero(scores >= _MIN_SCORE)
            row, column = np.divmod(cells, self.input_size // stride)
            cell = np.stack([column, row], axis=1).astype(np.float32)
            centre, half = (cell + boxes[cells, :2]) * stride, np.exp(boxes[cells, 2:]) * stride / 2
            parts.append(
                (
                    np.concatenate([centre - half, centre + half], axis=1),
                    (points[cells].reshape(-1, 5, 2) + cell[:, None]) * stride,
                    scores[cells],
                )
            )
        boxes, points, scores = (np.concatenate(each) for each in zip(*parts, strict=True))
        return boxes, points, scores
