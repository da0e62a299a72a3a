"""468 points on each face, and the five of them that alignment needs: MediaPipe Face Mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visage.types import Image
from visage.vision.align import warp
from visage.vision.runtime import Network

Floats = NDArray[np.float32]

INPUT_SIZE = 192
MESH_POINTS = 468
_CROP_SCALE = 1.5  # side of the crop over the longer side of the detection; MediaPipe's face landmark graph

# Vertices of the canonical face mesh. Each eye is the mean of its corners and lids.
_RIGHT_EYE = (33, 133, 159, 145)
_LEFT_EYE = (362, 263, 386, 374)
_NOSE_TIP, _RIGHT_MOUTH, _LEFT_MOUTH = 4, 61, 291


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """The points of n faces of one image.

    Attributes:
        points: (n, 468, 3) float32 pixels (x, y, z); z grows away from the camera, in the scale of x, and is
            relative to the head's centre.
        presence: (n,) float32, 0–1: how surely each crop held a face.
    """

    points: Floats
    presence: Floats

    def five(self) -> Floats:
        """(n, 5, 2) float32 pixels: right eye, left eye, nose tip, right and left mouth corner (the subject's)."""
        xy = self.points[:, :, :2]
        return np.stack(
            [
                xy[:, _RIGHT_EYE].mean(axis=1),
                xy[:, _LEFT_EYE].mean(axis=1),
                xy[:, _NOSE_TIP],
                xy[:, _RIGHT_MOUTH],
                xy[:, _LEFT_MOUTH],
            ],
            axis=1,
        )


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
        back = np.empty((len(boxes), 3, 3))
        for index, (box, pair) in enumerate(zip(boxes, eyes, strict=True)):
            to_crop = _crop_transform(box, pair)
            crops[index] = warp(image, to_crop, INPUT_SIZE)
            back[index] = np.linalg.inv(to_crop)
        raw, logits = self._network(crops)
        points = raw.reshape(len(boxes), MESH_POINTS, 3)
        xy = np.einsum("nij,nkj->nki", back[:, :2, :2], points[:, :, :2]) + back[:, None, :2, 2]
        z = points[:, :, 2] * np.hypot(back[:, 0, 0], back[:, 1, 0])[:, None]
        presence = (1 / (1 + np.exp(-logits.reshape(-1)))).astype(np.float32)
        return Mesh(np.concatenate([xy, z[:, :, None]], axis=2).astype(np.float32), presence)


def _crop_transform(box: Floats, eyes: Floats) -> NDArray[np.float64]:
    """(3, 3): image pixels → crop pixels, the crop centred on the box with the eyes level."""
    centre = (box[:2] + box[2:]) / 2
    side = _CROP_SCALE * max(float((box[2:] - box[:2]).max()), 1.0)
    across = eyes[1] - eyes[0]
    angle = float(np.arctan2(across[1], across[0]))
    scale = INPUT_SIZE / side
    cosine, sine = scale * np.cos(-angle), scale * np.sin(-angle)
    middle = INPUT_SIZE / 2
    return np.array(
        [
            [cosine, -sine, middle - cosine * centre[0] + sine * centre[1]],
            [sine, cosine, middle - sine * centre[0] - cosine * centre[1]],
            [0, 0, 1],
        ]
    )
