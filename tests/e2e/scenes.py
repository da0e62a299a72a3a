"""What the fake camera sees: short videos, made at test time from the test pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tests.photos import fetch
from visage.types import Image

WIDTH, HEIGHT = 960, 540
_FRAMES = 24
"""Of a video that moves: there and back in less than a second, at the 30 frames a second of the fake camera."""

_JPEG_QUALITY = 88


@dataclass(frozen=True, slots=True)
class Person:
    """A face in one of the pictures: middle and height of the head, as parts of the picture's width and height."""

    picture: str
    x: float
    y: float
    head: float


OBAMA, OBAMA_SPEAKING, OBAMA_STANDING = (
    Person("obama", 0.54, 0.29, 0.27),
    Person("obama2", 0.53, 0.29, 0.33),
    Person("obama3", 0.545, 0.16, 0.165),
)
BIDEN = Person("biden", 0.58, 0.13, 0.18)
ASTRONAUT = Person("astronaut", 0.44, 0.21, 0.33)
FRIENDS = (
    Person("group6", 0.185, 0.34, 0.22),
    Person("group6", 0.40, 0.28, 0.22),
    Person("group6", 0.66, 0.24, 0.22),
    Person("group6", 0.825, 0.23, 0.22),
)
"""Four people in one picture, left to right."""


def close_up(person: Person, width: int, height: int, *, heads: float = 2.6) -> Image:
    """(height, width, 3) uint8, BGR: the person, so many heads of height in view."""
    picture = _read(person.picture)
    tall, wide = picture.shape[:2]
    part = min(person.head * heads * tall, tall, wide * height / width)
    across = part * width / height
    left = round(np.clip(person.x * wide - across / 2, 0, wide - across))
    top = round(np.clip(person.y * tall - part * 0.45, 0, tall - part))
    view = picture[top : top + round(part), left : left + round(across)]
    return np.asarray(cv2.resize(view, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def alone(person: Person) -> Image:
    """One person in the middle of the frame, before a wall of the picture's colours."""
    view = close_up(person, HEIGHT * 4 // 5, HEIGHT)
    wall = cv2.GaussianBlur(cv2.resize(view[:80], (WIDTH, HEIGHT)), (0, 0), 60)
    left = (WIDTH - view.shape[1]) // 2
    wall[:, left : left + view.shape[1]] = view
    return np.asarray(wall, dtype=np.uint8)


def side_by_side(*people: Person, heads: float = 2.6, blur_last: float = 0) -> Image:
    """Several people in one frame, left to right; the last may be out of focus."""
    edges = [round(i * WIDTH / len(people)) for i in range(len(people) + 1)]
    views = [close_up(p, b - a, HEIGHT, heads=heads) for p, a, b in zip(people, edges, edges[1:], strict=False)]
    if blur_last:
        views[-1] = blurred(views[-1], blur_last)
    return np.hstack(views)


def group(picture: str = "group6") -> Image:
    """A group as it was photographed, filling the frame."""
    image = _read(picture)
    tall = round(image.shape[1] * HEIGHT / WIDTH)
    return np.asarray(cv2.resize(image[:tall], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def room() -> Image:
    """A wall, a window and a floor, and nobody."""
    image = np.full((HEIGHT, WIDTH, 3), (176, 196, 206), np.uint8)
    image[380:] = (96, 122, 148)
    cv2.rectangle(image, (600, 70), (840, 290), (238, 232, 222), -1)
    cv2.rectangle(image, (600, 70), (840, 290), (120, 140, 150), 8)
    cv2.rectangle(image, (90, 300), (420, 450), (88, 92, 128), -1)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 2), dtype=np.uint8)


def darkened(image: Image, part: float = 0.03) -> Image:
    """Hardly any of the light is left."""
    return np.asarray(image * part, dtype=np.uint8)


def blurred(image: Image, sigma: float) -> Image:
    """As by a dirty lens."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)


SCENES: dict[str, Callable[[], Image]] = {
    "known": lambda: alone(OBAMA_SPEAKING),
    "maybe": lambda: blurred(alone(OBAMA_SPEAKING), 9.4),
    "unknown": lambda: close_up(ASTRONAUT, WIDTH, HEIGHT),
    "three": lambda: side_by_side(OBAMA, ASTRONAUT, OBAMA_SPEAKING, blur_last=5),
    "two": lambda: side_by_side(BIDEN, OBAMA_SPEAKING),
    "group": group,
    "friend": lambda: alone(FRIENDS[1]),
    "friend-maybe": lambda: blurred(alone(FRIENDS[1]), 5.4),
    "nobody": room,
    "dark": lambda: darkened(alone(OBAMA_SPEAKING)),
}
"""What a test can show to the camera, by name. The words say what they are to who knows OBAMA and BIDEN, as in
test_live.py, or the first three FRIENDS, as in screens.py."""


def write_video(scene: str, file: Path) -> Path:
    """Make the Motion JPEG of a scene; the camera sways a little, as in a hand."""
    image = SCENES[scene]()
    frames = []
    for index in range(_FRAMES):
        sway = 6 * np.sin(2 * np.pi * index / _FRAMES)
        moved = cv2.warpAffine(
            image,
            np.array([[1.03, 0, sway - 0.015 * WIDTH], [0, 1.03, sway / 2 - 0.015 * HEIGHT]]),
            (WIDTH, HEIGHT),
            borderMode=cv2.BORDER_REPLICATE,
        )
        frames.append(jpeg(np.asarray(moved, dtype=np.uint8)))
    part = file.with_suffix(".part")
    part.write_bytes(b"".join(frames))
    part.rename(file)
    return file


def jpeg(image: Image) -> bytes:
    """Encode (H, W, 3) uint8, BGR."""
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert done
    return encoded.tobytes()


def photo(person: Person) -> bytes:
    """A photo to register: head and shoulders, JPEG."""
    return jpeg(close_up(person, 480, 600))


def _read(key: str) -> Image:
    image = cv2.imread(str(fetch()[key]))
    assert image is not None
    return np.asarray(image, dtype=np.uint8)
