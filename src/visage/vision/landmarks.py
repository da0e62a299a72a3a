"""468 points on each face, and the five of them that alignment needs: MediaPipe Face Mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visage.types import Image
from visage.vision.align import similarity, warp

if TYPE_CHECKING:
    from visage.vision.runtime import Network

Floats = NDArray[np.float32]

INPUT_SIZE = 192
MESH_POINTS = 468
_CROP_SCALE = 1.5  # side of the crop over the longer side of the detection; MediaPipe's face landmark graph

# Vertices of the canonical face mesh; the means of each row are the five points that alignment needs. An eye is the
# mean of its corners and lids.
_FIVE = np.array([(33, 133, 159, 145), (362, 263, 386, 374), (4,) * 4, (61,) * 4, (291,) * 4])


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """The points of n faces of one image.

    Attributes:
        points: (n, 468, 3) float32 pixels (x, y, z); z grows away from the camera, in the scale of x, and is
            relative to the head's centre.
        logits: (n,) float32: how surely each crop held an upright face, as the network says it. The photos of faces
            that are told apart well have 20 to 50; where 0–1 says 1.000, it still tells 8 from 40.
    """

    points: Floats
    logits: Floats

    @property
    def presence(self) -> Floats:
        """(n,) float32: the same as a probability, 0–1."""
        return (1 / (1 + np.exp(-self.logits))).astype(np.float32)

    def five(self) -> Floats:
        """(n, 5, 2) float32 pixels: right eye, left eye, nose tip, right and left mouth corner (the subject's)."""
        five: Floats = self.points[:, _FIVE, :2].mean(axis=2)
        return five


class Landmarker:
    """The Face Mesh network.

    Args:
        network: (N, 192, 192, 3) → (N, 1, 1, 1404) points in crop pixels, (N, 1, 1, 1) presence logits.
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    def locate(self, image: Image, boxes: Floats, eyes: Floats) -> Mesh:
        """Find the points of each detected face.

        Args:
            image: (H, W, 3) uint8, RGB.
            boxes: (n, 4) float32 pixels: left, top, right, bottom; n ≥ 1.
            eyes: (n, 2, 2) float32 pixels (x, y): right eye, left eye; they level the crop.
        """
        crops = np.empty((len(boxes), INPUT_SIZE, INPUT_SIZE, 3), dtype=np.uint8)
        crops_at = [_Crop.around(box, pair) for box, pair in zip(boxes.tolist(), eyes.tolist(), strict=True)]
        for index, crop in enumerate(crops_at):
            crops[index] = warp(image, similarity(crop.turn, crop.shift), INPUT_SIZE)
        raw, logits = self._network(crops)
        points = raw.reshape(len(boxes), MESH_POINTS, 3)
        for index, crop in enumerate(crops_at):
            points[index] = crop.to_image(points[index])
        return Mesh(points, logits.reshape(-1))


@dataclass(frozen=True, slots=True)
class _Crop:
    """A square of the image, rolled so that the eyes are level: crop = turn · image + shift, as complex numbers."""

    turn: complex
    shift: complex

    @classmethod
    def around(cls, box: Sequence[float], eyes: Sequence[Sequence[float]]) -> _Crop:
        """Centred on a box (left, top, right, bottom), the eyes (right, left) level; all in pixels."""
        left, top, right, bottom = box
        side = _CROP_SCALE * max(right - left, bottom - top, 1.0)
        across = complex(*eyes[1]) - complex(*eyes[0])
        level = across.conjugate() / abs(across) if across else 1
        turn = level * INPUT_SIZE / side
        return cls(turn, complex(INPUT_SIZE, INPUT_SIZE) / 2 - turn * complex(left + right, top + bottom) / 2)

    def to_image(self, points: Floats) -> Floats:
        """(n, 3) float32 crop pixels → image pixels; z in the scale of x and y."""
        back = 1 / self.turn
        origin = -back * self.shift
        turned: Floats = points @ np.array(
            [[back.real, back.imag, 0], [-back.imag, back.real, 0], [0, 0, abs(back)]], dtype=np.float32
        )
        turned += np.array([origin.real, origin.imag, 0], dtype=np.float32)
        return turned
