"""What may come between a camera and a face: a photo of a face made into others, rolled, covered, seen badly, cut.

Used by the tests and, over many photos, by `benchmarks/look.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from visage.types import Image
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.pipeline import LocatedFace

Floats = NDArray[np.float64]
Change = Callable[[Image, LocatedFace, np.random.Generator], Image]
"""Makes another picture from a photo and a face in it."""

# Vertices of the face mesh: the oval of a face, and its part below the nose.
OVAL = [
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
]
LOWER = OVAL[8:29]
BEARD = [*OVAL[10:27], 205, 164, 425]
LIPS = [61, 37, 0, 267, 291, 314, 17, 84]


def rolled(degrees: int) -> Change:
    """The photo turned about its middle."""

    def change(image: Image, place: LocatedFace, random: np.random.Generator) -> Image:
        height, width = image.shape[:2]
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
        return as_image(cv2.warpAffine(image, turn, (width, height)))

    return change


def as_it_is(image: Image, place: LocatedFace, random: np.random.Generator) -> Image:
    """The photo."""
    return image


def masked(image: Image, place: LocatedFace, random: np.random.Generator) -> Image:
    """A mask of cloth from the bridge of the nose down."""
    area = filled(image, place.mesh[[*LOWER, 195], :2])
    colour = ((200, 215, 225), (40, 60, 120), (30, 30, 30))[int(random.integers(3))]
    return covered(image, area, cloth(image, colour, 25, random))


def dark_glasses(image: Image, place: LocatedFace, random: np.random.Generator) -> Image:
    """Two dark lenses."""
    glasses, eyes = image.copy(), place.landmarks[:2]
    between = eyes[1] - eyes[0]
    wide = float(np.linalg.norm(between))
    angle = float(np.degrees(np.arctan2(between[1], between[0])))
    for x, y in eyes.tolist():
        cv2.ellipse(glasses, ((x, y), (0.72 * wide, 0.52 * wide), angle), (20, 20, 24), -1, cv2.LINE_AA)
    (left, right) = (tuple(map(int, eye)) for eye in eyes.tolist())
    cv2.line(glasses, left, right, (20, 20, 24), max(1, int(0.06 * wide)))
    return glasses


def veiled(image: Image, place: LocatedFace, random: np.random.Generator) -> Image:
    """Cloth over all but the eyes."""
    seen = filled(image, grown(place.mesh[OVAL, :2], 0.93)) & ~filled(image, place.mesh[[*LOWER, 195], :2])
    area = filled(image, grown(place.mesh[OVAL, :2], 1.35)) & ~seen
    return covered(image, area, cloth(image, (45, 40, 50), 30, random))


def scarfed(image: Image, place: LocatedFace, random: np.random.Generator) -> Image:
    """A plain headscarf about the face."""
    oval = place.mesh[OVAL, :2]
    area = filled(image, grown(oval, 1.4)) & ~filled(image, grown(oval, 0.95))
    return covered(image, area, np.full(image.shape, (120, 60, 70), dtype=np.float64))


def bearded(image: Image, place: LocatedFace, random: np.random.Generator) -> Image:
    """A full beard."""
    area = filled(image, grown(place.mesh[BEARD, :2], 1.08)) & ~filled(image, place.mesh[LIPS, :2])
    colour = ((35, 28, 24), (90, 85, 80), (70, 45, 25))[int(random.integers(3))]
    return covered(image, area, cloth(image, colour, 60, random, grain=0.8))


def in_low_light(image: Image, place: LocatedFace, random: np.random.Generator) -> Image:
    """A third power of the light, and noise."""
    dark = 255 * (image / 255.0) ** 3 + random.normal(0, 6, image.shape)
    return np.clip(dark, 0, 255).astype(np.uint8)


def moved(image: Image, place: LocatedFace, random: np.random.Generator) -> Image:
    """Motion over a quarter of the distance between the eyes."""
    length = max(3, round(eye_distance(place) / 4))
    kernel = np.zeros((length, length), dtype=np.float32)
    kernel[length // 2] = 1 / length
    return as_image(cv2.filter2D(image, -1, kernel))


def small(image: Image, place: LocatedFace, random: np.random.Generator) -> Image:
    """28 pixels between the eyes."""
    scale = 28 / eye_distance(place)
    return as_image(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def compressed(image: Image, place: LocatedFace, random: np.random.Generator) -> Image:
    """JPEG quality 20."""
    return decode(encode_jpeg(image, 20), Limits())


def hidden(image: Image, place: LocatedFace, random: np.random.Generator) -> Image:
    """Hair, or whatever is above the forehead, where the face was: the back of a head."""
    oval, wide = place.mesh[OVAL, :2], eye_distance(place)
    x, y = (place.mesh[10, :2] * 1.25 - oval.mean(axis=0) * 0.25).astype(int).tolist()
    side = max(4, int(wide / 4))
    patch = image[max(0, y - side) : max(8, y + side), max(0, x - side) : max(8, x + side)]
    patch = np.concatenate([patch, patch[:, ::-1]], axis=1)
    patch = np.concatenate([patch, patch[::-1]], axis=0)
    rows, columns = (-(-length // part) for length, part in zip(image.shape[:2], patch.shape[:2], strict=True))
    hair = np.tile(patch, (rows, columns, 1))[: image.shape[0], : image.shape[1]]
    return covered(image, filled(image, grown(oval, 1.05)), hair.astype(np.float64), soft=0.06 * wide)


def cut(side: str, part: float) -> Change:
    """So much of the face is beyond the border."""

    def change(image: Image, place: LocatedFace, random: np.random.Generator) -> Image:
        (left, top), (right, bottom) = place.mesh[:, :2].min(axis=0), place.mesh[:, :2].max(axis=0)
        if side == "left":
            return image[:, int(left + part * (right - left)) :]
        if side == "right":
            return image[:, : int(right - part * (right - left))]
        if side == "above":
            return image[int(top + part * (bottom - top)) :]
        return image[: int(bottom - part * (bottom - top))]

    return change


CHANGES: dict[str, Change] = {
    "as it is": as_it_is,
    **{f"rolled {degrees}°": rolled(degrees) for degrees in range(30, 360, 30)},
    "beard": bearded,
    "mask of cloth": masked,
    "dark glasses": dark_glasses,
    "veil": veiled,
    "headscarf": scarfed,
    "low light, noise": in_low_light,
    "motion blur": moved,
    "28 px between the eyes": small,
    "JPEG quality 20": compressed,
    **{f"{part:.0%} cut {side}": cut(side, part) for side in ("left", "above", "below") for part in (0.25, 0.5)},
    "back of a head": hidden,
}


def filled(image: Image, corners: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(H, W) bool: inside a polygon, (n, 2) pixels."""
    area = np.zeros(image.shape[:2], dtype=np.uint8)
    cv2.fillPoly(area, [np.round(corners).astype(np.int32)], 1)
    return area > 0


def grown(corners: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """A polygon larger about its middle."""
    middle = corners.mean(axis=0)
    return np.asarray(middle + (corners - middle) * scale, dtype=np.float32)


def cloth(
    image: Image, colour: tuple[int, int, int], rough: float, random: np.random.Generator, grain: float = 2
) -> Floats:
    """(H, W, 3): one colour with a grain."""
    noise = cv2.GaussianBlur(random.normal(0, rough, image.shape[:2]), (0, 0), grain)
    return np.asarray(np.clip(np.array(colour) + noise[..., None], 0, 255), dtype=np.float64)


def covered(image: Image, area: NDArray[np.bool_], paint: Floats, soft: float = 1.2) -> Image:
    """Paint over an area, its edge a little soft (pixels)."""
    part = cv2.GaussianBlur(area.astype(np.float64), (0, 0), max(soft, 0.5))[..., None]
    return as_image(image * (1 - part) + paint * part)


def eye_distance(place: LocatedFace) -> float:
    """Pixels."""
    return float(np.linalg.norm(place.landmarks[1] - place.landmarks[0]))


def as_image(array: NDArray[np.generic]) -> Image:
    """For the type checker: what OpenCV and NumPy return is an image."""
    return array.astype(np.uint8)
