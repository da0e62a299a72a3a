"""Films made at test time: heads cut from photos that move over a background, with everybody's place in each frame.

Used by the tests of the tracker and, over hundreds of random scenes, by `benchmarks/tracking.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from visage.recognition.recognizer import Recognizer
from visage.types import Box, Identification, Image
from visage.vision.image import encode_jpeg
from visage.vision.pipeline import Pipeline

WIDTH, HEIGHT = 640, 480
FRAMES_A_SECOND = 30


@dataclass(frozen=True, eq=False)
class Actor:
    """A head that can be put anywhere.

    Attributes:
        name: under which it is registered; None for a stranger.
        picture: (S, S, 4) uint8, RGBA; the face in the middle, its longer side 0.59 of S.
    """

    name: str | None
    picture: NDArray[np.uint8]


@dataclass(frozen=True)
class Place:
    """An actor in one frame: middle of the face and side of the head in pixels; how far turned away, how lit."""

    actor: Actor
    x: float
    y: float
    side: float = 220
    turned: float = 0.0
    light: float = 1.0
    opacity: float = 1.0


Script = Sequence[Sequence[Place]]
"""Who is where in each frame, the nearest to the camera last."""


def cut_out(name: str | None, image: Image, box: Box, side: int = 240) -> Actor:
    """The head around a face, with a soft edge."""
    half = 0.85 * max(box.width, box.height)
    x, y = box.x + box.width / 2, box.y + box.height / 2
    scale = side / 2 / half
    to_head = np.array([[scale, 0, side / 2 - x * scale], [0, scale, side / 2 - y * scale]])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    head = cv2.warpAffine(image, to_head, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros((side, side), dtype=np.uint8)
    axes = (round(side * 0.40), round(side * 0.47))
    cv2.ellipse(mask, (side // 2, side // 2), axes, 0, 0, 360, 255, -1)
    soft = cv2.GaussianBlur(mask, (0, 0), side * 0.02)
    return Actor(name, np.dstack([head, soft]).astype(np.uint8))


def cut_out_largest(name: str | None, image: Image, pipeline: Pipeline) -> Actor:
    """As `cut_out`, of the largest face in an image."""
    return cut_out(name, image, max(pipeline.find(image), key=lambda face: face.box.area).box)


def wall(seed: int) -> Image:
    """A background without faces."""
    noise = np.random.default_rng(seed).integers(70, 170, (HEIGHT // 40, WIDTH // 40, 3), dtype=np.uint8)
    return cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def draw(background: Image, places: Sequence[Place], noise: np.random.Generator) -> Image:
    """One frame, with the noise of a camera."""
    frame = background.astype(np.float32)
    for place in places:
        size = place.actor.picture.shape[0]
        scale = place.side / size
        # A head that turns away: narrower, and its nearer half wider than the other.
        narrow = scale * (1 - 0.5 * place.turned)
        tilt = 0.9 * place.turned / size
        middle = np.array([[1, 0, -size / 2], [0, 1, -size / 2], [0, 0, 1]])
        turn = np.array([[narrow, 0, 0], [0, scale, 0], [tilt, 0, 1]])
        onto = np.array([[1, 0, place.x], [0, 1, place.y], [0, 0, 1]]) @ turn @ middle
        reach = int(place.side) + 4
        left, top = max(0, int(place.x) - reach), max(0, int(place.y) - reach)
        right, bottom = min(WIDTH, int(place.x) + reach), min(HEIGHT, int(place.y) + reach)
        if right <= left or bottom <= top:
            continue
        onto = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]]) @ onto
        layer = cv2.warpPerspective(place.actor.picture, onto, (right - left, bottom - top)).astype(np.float32)
        alpha = layer[:, :, 3:] / 255 * place.opacity
        region = frame[top:bottom, left:right]
        region += alpha * (layer[:, :, :3] * place.light - region)
    light = max((place.light for place in places), default=1.0)
    grain = noise.normal(0, 3, (HEIGHT // 2, WIDTH // 2)).astype(np.float32)
    frame += cv2.resize(grain, (WIDTH, HEIGHT))[:, :, None] * min(light, 1)
    return np.clip(frame, 0, 255).astype(np.uint8)


@dataclass
class Tally:
    """What was said about everybody in a film.

    Attributes:
        wrong: (frame, age of the track in frames, name, truth) of each wrong name.
        late: the wrong names after the third frame of a track.
        named, seen: frames in which a registered person was named, and was there to be seen.
        switches: tracks that passed from one person to another while a name was carried along.
        flickers: times that a name went away and came back on the same track.
        tracks: numbers given.
    """

    wrong: list[tuple[int, int, str, str]] = field(default_factory=list)
    named: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    seen: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    switches: int = 0
    flickers: int = 0
    owners: dict[int, list[Actor]] = field(default_factory=lambda: defaultdict(list))
    answers: list[Identification] = field(default_factory=list)

    @property
    def late(self) -> list[tuple[int, int, str, str]]:
        """Wrong names after the third frame of a track."""
        return [entry for entry in self.wrong if entry[1] > 3]


class Clock:
    """Stands still until the next frame."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def show(
    recognizer: Recognizer,
    script: Script,
    *,
    seed: int = 1,
    tracked: bool = True,
    before: Callable[[int], None] = lambda number: None,
) -> Tally:
    """Show a film to a camera of its own, and compare what is said with who is there."""
    clock = Clock()
    camera = recognizer.camera(clock) if tracked else None
    background, noise = wall(seed), np.random.default_rng(seed)
    tally = Tally()
    ages: dict[int, int] = defaultdict(int)
    names: dict[int, list[str | None]] = defaultdict(list)
    for number, places in enumerate(script):
        clock.now += 1 / FRAMES_A_SECOND
        before(number)
        answer = recognizer.identify(encode_jpeg(draw(background, places, noise), 85), camera)
        tally.answers.append(answer)
        right: set[str] = set()
        for face in answer.faces:
            track = face.track_id or 0
            ages[track] += 1
            box = face.face.box
            there = _who(places, box.x + box.width / 2, box.y + box.height / 2)
            name = face.match.person.name if face.match else None
            names[track].append(name)
            if name is not None and name not in {actor.name for actor in there}:
                truth = ", ".join(str(actor.name) for actor in there)
                tally.wrong.append((number, ages[track] if tracked else 99, name, truth))
            elif name is not None:
                right.add(name)
            if len(there) == 1 and there[0] not in tally.owners[track][-1:]:
                if tally.owners[track] and name is not None and name == tally.owners[track][-1].name:
                    tally.switches += 1
                tally.owners[track].append(there[0])
        for name in _in_full_view(places):
            tally.seen[name] += 1
            tally.named[name] += name in right
    for said in names.values():
        given = "".join("x" if name else "." for name in said).strip(".")
        tally.flickers += sum(1 for gap in given.split("x") if gap)
    return tally


def _who(places: Sequence[Place], x: float, y: float) -> list[Actor]:
    """Who may be meant by a face at that place: whoever is near enough and not behind somebody else."""
    return [
        place.actor
        for index, place in enumerate(places)
        if np.hypot(place.x - x, place.y - y) < 0.4 * place.side and not _is_covered(place, places[index + 1 :], 0.2)
    ]


def _in_full_view(places: Sequence[Place]) -> Iterable[str]:
    for index, place in enumerate(places):
        half = place.side / 2
        inside = half < place.x < WIDTH - half and half < place.y < HEIGHT - half
        plain = place.turned < 0.3 and place.light > 0.4 and place.opacity == 1
        if place.actor.name and inside and plain and not _is_covered(place, places[index + 1 :], 0.9, solid=0.1):
            yield place.actor.name


def _is_covered(place: Place, nearer: Sequence[Place], by: float, solid: float = 0.95) -> bool:
    """Are heads in front of this one nearer than so many sides of it, and at least so solid?"""
    return any(
        np.hypot(place.x - other.x, place.y - other.y) < by * max(place.side, other.side) and other.opacity >= solid
        for other in nearer
    )
