"""Bring a face to the geometry that the embedder was trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visage.errors import VisageError
from visage.types import Image

FACE_SIZE = 112
"""Side of an aligned face, pixels."""

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float32,
)
"""(5, 2) float32 pixels (x, y) in an aligned face: the eye on the left of the picture (the subject's right), the
other eye, nose tip, mouth corners in the same order. Source: ArcFace, Deng et al. 2019, arXiv:1801.07698."""


def _zoom(scale: float, up: float) -> NDArray[np.float64]:
    """(3, 3): enlarge an aligned face about its centre, then move it up by so many pixels."""
    middle = FACE_SIZE / 2
    return np.array([[scale, 0, middle - scale * middle], [0, scale, middle - scale * middle - up], [0, 0, 1]])


_PLAIN_VIEW, _MIRRORED_VIEW = _zoom(0.97, up=1), _zoom(1.05, up=1)


@dataclass(frozen=True, slots=True, eq=False)
class Framing:
    """How a network wants a face: what of it, and how large.

    Attributes:
        size: side of the picture, pixels.
        views: (2, 3, 3) from the template to that picture; the second is mirrored afterwards.
    """

    size: int
    views: NDArray[np.float64]


def framing(size: int, zoom: Sequence[Sequence[float]]) -> Framing:
    """A framing of another size or another part of the head than the template's.

    Args:
        size: side of the picture, pixels.
        zoom: (2, 3), from the template (112×112) to the picture.
    """
    to_picture = np.array([*zoom, (0, 0, 1)], dtype=np.float64)
    return Framing(size, np.stack([to_picture @ _PLAIN_VIEW, to_picture @ _MIRRORED_VIEW]))


def square(size: int, *, centre: tuple[float, float], side: float) -> Sequence[Sequence[float]]:
    """The zoom that fills a picture of `size` pixels with a square of the template: its centre and side there."""
    scale = size / side
    x, y = centre
    return ((scale, 0, size / 2 - scale * x), (0, scale, size / 2 - scale * y))


ARCFACE = framing(FACE_SIZE, ((1, 0, 0), (0, 1, 0)))
"""The template itself, as most networks want it."""

PORTRAIT_SIZE = 320
"""Side of a portrait, pixels. The aligned face fills its central half, so that a later model with another
template finds hair, chin and ears in it as well."""

_THUMBNAIL = 32
"""Side of a thumbnail, pixels."""
_SHARED_BY_ALL = 3.0
"""Standard deviation of the blur that is taken away from it, pixels."""

_PORTRAIT_SCALE = PORTRAIT_SIZE / 2 / FACE_SIZE
_TO_PORTRAIT = np.array([[_PORTRAIT_SCALE, 0, PORTRAIT_SIZE / 4], [0, _PORTRAIT_SCALE, PORTRAIT_SIZE / 4], [0, 0, 1]])


class DegenerateLandmarks(VisageError):
    """The points coincide: no similarity maps them onto the template."""


def similarity_transform(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """The least-squares similarity (rotation, uniform scale, shift; no reflection) from one point set to another.

    In the plane a similarity is z → a·z + b over the complex numbers, so the fit is a linear regression with the
    same result as Umeyama's general method.

    Args:
        source, target: (n, 2) points (x, y), n ≥ 2.

    Returns: (3, 3) float64, homogeneous, for column vectors (x, y, 1).
    Raises: DegenerateLandmarks: the source points coincide, or are not finite.
    Source: Umeyama 1991, IEEE TPAMI 13(4), specialised to two dimensions.
    """
    # A handful of points: plain numbers are sooner done with than arrays.
    z, w = ([complex(x, y) for x, y in points.tolist()] for points in (source, target))
    z_mean, w_mean = sum(z) / len(z), sum(w) / len(w)
    spread = sum(abs(each - z_mean) ** 2 for each in z)
    if not math.isfinite(spread) or spread < 1e-6:
        raise DegenerateLandmarks("The landmarks of the face coincide")
    a = sum((from_ - z_mean).conjugate() * (to - w_mean) for from_, to in zip(z, w, strict=True)) / spread
    return similarity(a, w_mean - a * z_mean)


def similarity(turn: complex, shift: complex) -> NDArray[np.float64]:
    """(3, 3), homogeneous, for column vectors (x, y, 1): what z → turn · z + shift does to z = x + iy."""
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag], [0, 0, 1]])


def warp(image: Image, transform: NDArray[np.float64], size: int) -> Image:
    """Sample a square picture through a similarity, without aliasing where it shrinks.

    Args:
        image: (H, W, 3) uint8.
        transform: (3, 3), from image pixels to pixels of the result.
        size: side of the result, pixels.

    Returns: (size, size, 3) uint8; what lies outside the image is black.
    """
    scale = math.hypot(transform[0, 0], transform[1, 0])
    shrink = int(1 / scale) if scale > 0 else 1
    if shrink >= 2:
        image, transform = _shrink_around(image, transform, size, shrink)
    return cv2.warpAffine(image, transform[:2], (size, size), flags=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def _shrink_around(
    image: Image, transform: NDArray[np.float64], size: int, shrink: int
) -> tuple[Image, NDArray[np.float64]]:
    """Average blocks of pixels in the part of the image that the warp will read."""
    height, width = image.shape[:2]
    corners = np.array([[0, 0, 1], [size, 0, 1], [0, size, 1], [size, size, 1]], dtype=np.float64).T
    x, y, _ = np.linalg.inv(transform) @ corners
    left, top = max(0, int(x.min()) - shrink), max(0, int(y.min()) - shrink)
    right, bottom = min(width, int(x.max()) + 2 * shrink), min(height, int(y.max()) + 2 * shrink)
    columns, rows = (right - left) // shrink, (bottom - top) // shrink
    if columns < 1 or rows < 1:
        return image, transform
    region = image[top : top + rows * shrink, left : left + columns * shrink]
    small = cv2.resize(region, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    # Pixel centres: x_image = left + (x_small + ½)·shrink − ½.
    offset = (shrink - 1) / 2
    to_image = np.array([[shrink, 0, left + offset], [0, shrink, top + offset], [0, 0, 1]], dtype=np.float64)
    return small, transform @ to_image


def align(image: Image, landmarks: NDArray[np.float32], framed: Framing = ARCFACE) -> NDArray[np.uint8]:
    """Warp a face to where a network wants it, in the two views that make one embedding.

    The second view is mirrored and a little larger: averaging them costs the same as averaging a face with its
    plain mirror image and confuses people less (`docs/decisions/0002-two-views.md`).

    Args:
        image: (H, W, 3) uint8, RGB.
        landmarks: (5, 2) float32 pixels (x, y): right eye, left eye, nose tip, right and left mouth corner, the
            subject's.
        framed: S pixels wide; the ArcFace template, where it is not another network's.

    Returns: (2, S, S, 3) uint8, RGB.
    Raises: DegenerateLandmarks: the points coincide.
    """
    return _views(image, similarity_transform(landmarks, TEMPLATE), framed)


def _views(image: Image, to_template: NDArray[np.float64], framed: Framing) -> NDArray[np.uint8]:
    plain, mirrored = framed.views
    views = np.empty((2, framed.size, framed.size, 3), dtype=np.uint8)
    views[0] = warp(image, plain @ to_template, framed.size)
    views[1] = warp(image, mirrored @ to_template, framed.size)[:, ::-1]
    return views


def on_template(image: Image, landmarks: NDArray[np.float32]) -> Image:
    """The first of the two views on the ArcFace template, by which a picture is judged whatever network embeds it.

    Args, Raises: as `align`.
    Returns: (112, 112, 3) uint8, RGB.
    """
    return warp(image, ARCFACE.views[0] @ similarity_transform(landmarks, TEMPLATE), FACE_SIZE)


def thumbnail(image: Image, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """A small grey picture of a face that is the same at any size, place, roll and light: two are compared by their
    inner product, the correlation −1 … 1.

    What all faces share, dark eye sockets on a bright oval, is blurred and taken away: what remains tells two people
    apart a hundred times better (`docs/decisions/0010-tracking.md`).

    Args, Raises: as `align`.
    Returns: (1024,) float32, zero mean, unit length.
    """
    to_small = np.diag([_THUMBNAIL / FACE_SIZE, _THUMBNAIL / FACE_SIZE, 1]) @ similarity_transform(
        landmarks, TEMPLATE
    )
    grey = cv2.cvtColor(warp(image, to_small, _THUMBNAIL), cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = (grey - cv2.GaussianBlur(grey, (0, 0), _SHARED_BY_ALL)).ravel()
    fine -= fine.mean()
    small: NDArray[np.float32] = fine / max(float(np.linalg.norm(fine)), 1e-6)
    return small


def portrait(image: Image, landmarks: NDArray[np.float32]) -> Image:
    """The face upright with a margin, as the bank keeps it.

    Args, Raises: as `align`.
    Returns: (320, 320, 3) uint8, RGB.
    """
    return warp(image, _TO_PORTRAIT @ similarity_transform(landmarks, TEMPLATE), PORTRAIT_SIZE)


def cut_out(image: Image, landmarks: NDArray[np.float32]) -> tuple[Image, NDArray[np.float32]]:
    """What `portrait` reads of an image: quicker than a portrait, which can be made of it later.

    Args, Raises: as `align`.

    Returns:
        (h, w, 3) uint8, RGB, a copy, never larger than 640 × 640; and the landmarks in it.
    """
    transform = _TO_PORTRAIT @ similarity_transform(landmarks, TEMPLATE)
    corners = np.array([[0, 0, 1], [PORTRAIT_SIZE, 0, 1], [0, PORTRAIT_SIZE, 1], [PORTRAIT_SIZE] * 2 + [1]])
    x, y, _ = np.linalg.inv(transform) @ corners.T.astype(np.float64)
    height, width = image.shape[:2]
    left, right = max(0, int(x.min()) - 2), min(width, int(x.max()) + 3)
    top, bottom = max(0, int(y.min()) - 2), min(height, int(y.max()) + 3)
    if max(right - left, bottom - top) > 2 * PORTRAIT_SIZE:
        moved = landmarks @ transform[:2, :2].T + transform[:2, 2]
        return warp(image, transform, PORTRAIT_SIZE), moved.astype(np.float32)
    return image[top:bottom, left:right].copy(), landmarks - np.array([left, top], dtype=np.float32)


def align_portrait(picture: Image, framed: Framing = ARCFACE) -> NDArray[np.uint8]:
    """The aligned face inside a portrait, as `align` gives it.

    Args:
        picture: (320, 320, 3) uint8, RGB, from `portrait`.
        framed: as `align`.

    Returns: (2, S, S, 3) uint8, RGB.
    """
    return _views(picture, np.linalg.inv(_TO_PORTRAIT), framed)
