"""Doubt about the look itself: is this an upright human face, seen well enough to be embedded?

The landmark network draws the mesh of an upright face into whatever it is shown: a face upside down, a hand, a
biscuit. What betrays it: how sure it is (its logit, long after the probability is 1.000), whether the detector saw
eyes, nose and mouth in the same places, whether a second look at the crop levelled by its own points finds the same
again, and whether another quarter turn of the crop looks more like a face. Nearly every face is past doubt at the
first look and costs no second one (`docs/decisions/0027-doubt-about-the-look.md`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visage.types import Image
from visage.vision.detect import Detections
from visage.vision.landmarks import Landmarker, Mesh

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_SURE, _SURELY_AGREES = 16.0, 0.35
"""Logit and disagreement of a face past doubt. Of the faces in the middle of 6,886 photos 98 in 100 are; of faces
that stand on their heads none is."""

_SETTLED = 8.0
"""Logit of a second look that settles a doubt; a mask of cloth or a beard leaves less …"""
_BELIEVED = (-2.0, 0.45, 0.25)
"""… so with this it is believed, where no other turn looks more like a face and the points disagree so little with
the detector's and with those of the first look …"""
_HIDDEN = (-5.0, 0.30, 0.15)
"""… and with this, where another turn does, but not as a face would."""
_RIGHTED = 10.0
"""Logit with which a turned crop is a face; 98 of 100 faces upside down have more. Nothing else was seen to, and then
the detector's points count no more."""
_SAME = 0.6
"""Disagreement of two looks from which on they do not show one face."""

_TURNS = 2
"""So many of the other three quarter turns are looked at again: with one, 6 of 1,200 rolled faces are lost."""


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What was made of n places of one image.

    Attributes:
        mesh: of each, the best that was found.
        clear: (n,) bool: it is an upright face, seen well enough to be embedded.
    """

    mesh: Mesh
    clear: Flags


def look(image: Image, found: Detections, landmarker: Landmarker) -> Looks:
    """Find the landmarks of detected faces, at any roll, and say which are to be trusted.

    Args:
        image: (H, W, 3) uint8, RGB.
        found: in it; n ≥ 1.
        landmarker: finds the points.
    """
    mesh = landmarker.locate(image, found.boxes, found.points[:, :2])
    clear = (mesh.logits >= _SURE) & (disagreement(mesh.five(), found.points) <= _SURELY_AGREES)
    doubtful = np.flatnonzero(~clear)
    if len(doubtful):
        points, logits = mesh.points.copy(), mesh.logits.copy()
        first = Mesh(points[doubtful], logits[doubtful])
        again, clear[doubtful] = _look_again(image, found.boxes[doubtful], found.points[doubtful], first, landmarker)
        points[doubtful], logits[doubtful] = again.points, again.logits
        mesh = Mesh(points, logits)
    return Looks(mesh, clear)


def look_where_it_was(image: Image, before: Floats, landmarker: Landmarker) -> Looks:
    """Find the landmarks of faces near where they were in the frame before.

    Each crop is levelled by the points of before, so this is a second look already; in doubt it is believed where the
    same crop upside down looks less like a face.

    Args:
        image: (H, W, 3) uint8, RGB.
        before: (n, 468, 3) float32 pixels, n ≥ 1.
        landmarker: finds the points.
    """
    boxes = np.concatenate([before[:, :, :2].min(axis=1), before[:, :, :2].max(axis=1)], axis=1)
    eyes = Mesh(before, np.empty(0, dtype=np.float32)).five()[:, :2]
    mesh = landmarker.locate(image, boxes, eyes)
    clear = mesh.logits >= 0
    doubtful = np.flatnonzero(clear & (mesh.logits < _SURE))
    if len(doubtful):
        overturned = landmarker.locate(image, boxes[doubtful], eyes[doubtful, ::-1])
        clear[doubtful] = overturned.logits < mesh.logits[doubtful]
    return Looks(mesh, clear)


def disagreement(five: Floats, points: Floats) -> Floats:
    """How far two looks at a face are apart: the greatest distance of eyes, nose and mouth over the face's size.

    Args:
        five: (n, 5, 2) float32 pixels, as `Mesh.five`; they give the size: the mean of the distances between the eyes
            and from there to the mouth.
        points: (n, 4 or more, 2) float32 pixels: right eye, left eye, nose tip, mouth centre.

    Returns: (n,) float32, without unit.
    """
    # As complex numbers, a distance is one operation.
    z, w = (np.ascontiguousarray(each, dtype=np.float32).view(np.complex64)[..., 0] for each in (five, points))
    mouth = (z[:, 3] + z[:, 4]) / 2
    size = (abs(z[:, 1] - z[:, 0]) + abs(mouth - (z[:, 0] + z[:, 1]) / 2)) / 2
    apart = np.maximum(abs(z[:, :3] - w[:, :3]).max(axis=1), abs(mouth - w[:, 3]))
    relative: Floats = apart / np.maximum(size, np.float32(1e-3))
    return relative


_FLAT = 0.18
"""Part of the band of the eyes that is flat from which on a face is drawn. Photos have less than 0.05, with JPEG
quality 10, a veil or in haze up to 0.16; two of three cartoons have more."""


def is_drawn(aligned: Image) -> bool:
    """Is a face drawn, not photographed? Skin, lens and light leave no two neighbours of a photo alike; a cartoon is
    made of areas of one colour.

    Args:
        aligned: (112, 112, 3) uint8, RGB.
    """
    eyes = cv2.cvtColor(aligned[34:72, 20:92], cv2.COLOR_RGB2GRAY)
    lowest, highest = cv2.erode(eyes, _NEIGHBOURS), cv2.dilate(eyes, _NEIGHBOURS)
    # What is nearly black or white is flat in photos too: dark glasses, glare.
    flat = cv2.bitwise_and(cv2.inRange(eyes, 41, 239), cv2.inRange(cv2.subtract(highest, lowest), 0, 1))
    return cv2.countNonZero(flat) > _FLAT * eyes.size and float(eyes.std()) > _HAZE


_NEIGHBOURS = np.ones((3, 3), dtype=np.uint8)
_HAZE = 20.0
"""Standard deviation of the grey values, 0–255, below which a photo can be as flat as a drawing."""


def _look_again(
    image: Image, boxes: Floats, points: Floats, first: Mesh, landmarker: Landmarker
) -> tuple[Mesh, Flags]:
    """Look at n doubtful crops in the other three quarter turns, then again at each and at its likeliest turns,
    levelled by the points that were found.

    Args:
        boxes, points: of the n detections, as `Detections` has them.
        first: the look at each as the detector levelled it.

    Returns: of each, the mesh that looks most like a face, and whether it is one.
    """
    n = len(boxes)
    each = np.arange(n)
    across = points[:, 1] - points[:, 0]
    turned = [(across[:, ::-1] * (-1, 1)), -across, (across[:, ::-1] * (1, -1))]
    eyes = np.stack([np.zeros((3 * n, 2), dtype=np.float32), np.concatenate(turned)], axis=1)
    others = landmarker.locate(image, np.tile(boxes, (3, 1)), eyes)
    meshes = np.concatenate([first.points, others.points]).reshape(4, n, *first.points.shape[1:])
    likeliest = 1 + np.argsort(-others.logits.reshape(3, n), axis=0, kind="stable")[:_TURNS]
    turns = np.concatenate([np.zeros((1, n), dtype=np.int64), likeliest])
    chosen = Mesh(meshes[turns, each].reshape(-1, *first.points.shape[1:]), np.empty(0, dtype=np.float32))
    second = landmarker.locate(image, _levelled(chosen), chosen.five()[:, :2])
    logits = second.logits.reshape(-1, n)
    moved = disagreement(second.five(), _four(chosen.five())).reshape(-1, n)
    apart = disagreement(second.five()[:n], points)

    def agrees(least: float, detected: float, again: float) -> Flags:
        flags: Flags = (logits[0] >= least) & (apart <= detected) & (moved[0] <= again)
        return flags

    best = logits.argmax(axis=0)
    righted = (best > 0) & (logits[best, each] >= _RIGHTED) & (moved[best, each] < _SAME)
    settled = (best == 0) & (logits[0] >= _SETTLED) & (moved[0] < _SAME)
    upright = settled | ((best == 0) & agrees(*_BELIEVED)) | (~righted & agrees(*_HIDDEN))
    shown = np.where(upright, 0, best)
    mesh = Mesh(second.points[shown * n + each], logits[shown, each])
    # Where the looks agree, the detector's box is the better one to look into than one made from the points.
    kept = (shown == 0) & (agrees(-np.inf, *_BELIEVED[1:]) | (first.logits > logits[0]))
    mesh.points[kept] = first.points[kept]
    return mesh, upright | righted


def _levelled(mesh: Mesh) -> Floats:
    """(n, 4) left, top, right, bottom: about the middle of each mesh, as large as it is when its eyes are level."""
    eyes = mesh.five()[:, :2]
    across = (eyes[:, 1] - eyes[:, 0]) @ np.array([1, 1j])
    level = across / np.maximum(np.abs(across), 1e-6)
    flat = (mesh.points[:, :, :2] @ np.array([1, 1j])) / np.where(level == 0, 1, level)[:, None]
    low = flat.real.min(axis=1) + 1j * flat.imag.min(axis=1)
    high = flat.real.max(axis=1) + 1j * flat.imag.max(axis=1)
    middle = (low + high) / 2 * level
    half = np.maximum((high - low).real, (high - low).imag) / 2
    boxes: Floats = np.stack(
        [middle.real - half, middle.imag - half, middle.real + half, middle.imag + half], axis=1
    ).astype(np.float32)
    return boxes


def _four(five: Floats) -> Floats:
    """(n, 5, 2) → (n, 4, 2): right eye, left eye, nose tip, mouth centre."""
    four: Floats = np.concatenate([five[:, :3], five[:, 3:].mean(axis=1, keepdims=True)], axis=1)
    return four
