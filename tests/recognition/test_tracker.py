"""Faces over frames: films made of photos that move over a background, through the whole recognizer."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from visage.recognition.recognizer import Recognizer
from visage.types import Identification, Status
from visage.vision.pipeline import Pipeline

WIDTH, HEIGHT, SIDE = 960, 540, 300


@dataclass
class Actor:
    """A head that can be put anywhere; `name` is None for a stranger."""

    name: str | None
    picture: PillowImage.Image


@dataclass
class Seen:
    """A frame's answer, and where everybody was (the middle of the face)."""

    answer: Identification
    places: list[tuple[Actor, float, float]]

    def by_actor(self) -> Iterator[tuple[Actor, str | None, int]]:
        """(who it is, who was named, track) of each face that is nearer to one actor than to any other."""
        for face in self.answer.faces:
            x, y = face.face.box.x + face.face.box.width / 2, face.face.box.y + face.face.box.height / 2
            near = sorted((np.hypot(x - ax, y - ay), i) for i, (_, ax, ay) in enumerate(self.places))
            if near[0][0] < SIDE / 4 and (len(near) == 1 or near[1][0] > SIDE / 3):
                assert face.track_id is not None
                name = face.match.person.name if face.match else None
                yield self.places[near[0][1]][0], name, face.track_id


class Clock:
    """Thirty frames a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def heads(photos: Mapping[str, Path], pipeline: Pipeline) -> dict[str, PillowImage.Image]:
    """Square pictures of heads, the face in the middle."""
    found = {}
    for key in ("obama3", "biden", "astronaut", "rgba"):
        with PillowImage.open(photos[key]) as image:
            picture = image.convert("RGB")
        box = max(pipeline.find(np.asarray(picture)), key=lambda face: face.box.area).box
        middle, half = (box.x + box.width / 2, box.y + box.height / 2), 0.85 * max(box.width, box.height)
        area = (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
        found[key] = picture.crop(area).resize((SIDE, SIDE))
    return found


@pytest.fixture
def family(recognizer: Recognizer, photos: Mapping[str, Path]) -> Recognizer:
    """Knows Barack and Eileen; Joe is a stranger."""
    for name, keys in {"Barack": ("obama", "obama2"), "Eileen": ("astronaut",)}.items():
        images = [photos[key].read_bytes() for key in keys]
        recognizer.enrol(name=name, relationship=None, metadata={}, images=images)
    return recognizer


def film(
    recognizer: Recognizer, frames: int, places: Callable[[int], list[tuple[Actor, float, float]]]
) -> list[Seen]:
    """Show a film; `places` tells for each frame who is where, the nearest to the camera last."""
    clock = Clock()
    camera = recognizer.camera()
    camera._clock = clock
    noise = np.random.default_rng(1)
    background = noise.integers(90, 150, (HEIGHT // 30, WIDTH // 30, 3), dtype=np.uint8)
    wall = PillowImage.fromarray(background).resize((WIDTH, HEIGHT), PillowImage.Resampling.BICUBIC)
    seen = []
    for number in range(frames):
        clock.now += 1 / 30
        frame = wall.copy()
        where = places(number)
        for actor, x, y in where:
            frame.paste(actor.picture, (round(x - SIDE / 2), round(y - SIDE / 2)))
        pixels = np.asarray(frame).astype(np.int16) + noise.integers(-4, 5, (HEIGHT, WIDTH, 3))
        buffer = io.BytesIO()
        PillowImage.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
        seen.append(Seen(recognizer.identify(buffer.getvalue(), camera), where))
    return seen


def check_nobody_is_confused(seen: list[Seen]) -> dict[str | None, int]:
    """No wrong name in any frame, and every track is one person; returns how often each was named."""
    owners: dict[int, set[str | None]] = defaultdict(set)
    named: dict[str | None, int] = defaultdict(int)
    for frame in seen:
        for actor, name, track_id in frame.by_actor():
            assert name in (None, actor.name)
            owners[track_id].add(actor.name)
            named[name] += 1
    assert all(len(names) == 1 for names in owners.values())
    return named


def test_people_who_cross_keep_their_names_and_numbers(
    family: Recognizer, heads: Mapping[str, PillowImage.Image]
) -> None:
    barack, eileen = Actor("Barack", heads["obama3"]), Actor("Eileen", heads["astronaut"])

    def places(number: int) -> list[tuple[Actor, float, float]]:
        t = number / 89
        return [(eileen, 780 - 600 * t, 250), (barack, 180 + 600 * t, 280)]

    seen = film(family, 90, places)
    named = check_nobody_is_confused(seen)
    assert named["Barack"] > 70
    assert named["Eileen"] > 50  # she is behind him for a while
    numbers = [{actor.name: track for actor, _, track in seen[i].by_actor()} for i in (5, -1)]
    assert numbers[0] == numbers[1]
    assert len(numbers[0]) == 2


def test_a_stranger_who_takes_the_place_of_someone_is_never_called_by_that_name(
    family: Recognizer, heads: Mapping[str, PillowImage.Image]
) -> None:
    barack, joe = Actor("Barack", heads["obama3"]), Actor(None, heads["biden"])
    seen = film(family, 60, lambda number: [(barack if number < 30 else joe, 480, 270)])
    named = check_nobody_is_confused(seen)
    assert named["Barack"] >= 29
    assert {face.status for face in seen[-1].answer.faces} == {Status.UNKNOWN}


def test_someone_leaves_and_a_stranger_comes_from_the_same_side(
    family: Recognizer, heads: Mapping[str, PillowImage.Image]
) -> None:
    barack, joe = Actor("Barack", heads["obama3"]), Actor(None, heads["biden"])

    def places(number: int) -> list[tuple[Actor, float, float]]:
        way = abs(number - 45) / 45  # out to the right, back from the right
        return [(barack if number < 45 else joe, 1100 - 620 * way, 270)]

    named = check_nobody_is_confused(film(family, 90, places))
    assert named["Barack"] > 20
    assert named[None] > 20


def test_who_comes_back_gets_the_number_back(family: Recognizer, heads: Mapping[str, PillowImage.Image]) -> None:
    barack = Actor("Barack", heads["obama3"])
    seen = film(family, 60, lambda number: [(barack, 480, 270)] if not 20 <= number < 40 else [])
    tracks = {track for frame in seen for _, _, track in frame.by_actor()}
    assert tracks == {1}
    assert not seen[30].answer.faces
    assert seen[41].answer.match is not None


def test_a_single_frame_gives_what_identify_gives(family: Recognizer, photos: Mapping[str, Path]) -> None:
    for key in ("obama3", "biden", "group4"):
        alone = family.identify(photos[key].read_bytes())
        framed = family.identify(photos[key].read_bytes(), family.camera())
        assert [face.status for face in alone.faces] == [face.status for face in framed.faces]
        for one, other in zip(alone.faces, framed.faces, strict=True):
            assert one.face.box == other.face.box
            assert one.face.quality == other.face.quality
            assert np.allclose(one.face.embedding, other.face.embedding, atol=1e-6)
        assert [face.track_id for face in framed.faces] == list(range(1, len(framed.faces) + 1))


def test_a_new_face_is_seen_within_four_frames(family: Recognizer, heads: Mapping[str, PillowImage.Image]) -> None:
    barack, eileen = Actor("Barack", heads["obama3"]), Actor("Eileen", heads["astronaut"])
    seen = film(family, 20, lambda number: [(barack, 250, 270), *([(eileen, 700, 270)] if number >= 10 else [])])
    first = next(i for i, frame in enumerate(seen) if len(frame.answer.faces) == 2)
    assert 10 <= first <= 13
    assert {face.match.person.name for face in seen[13].answer.faces if face.match} == {"Barack", "Eileen"}


def test_a_change_of_the_bank_shows_in_the_next_frame(
    family: Recognizer, heads: Mapping[str, PillowImage.Image]
) -> None:
    barack = Actor("Barack", heads["obama3"])
    (person,) = family.bank.named("Barack")

    def places(number: int) -> list[tuple[Actor, float, float]]:
        if number == 10:
            family.bank.update(person.person_id, name="Mr President")
        if number == 15:
            family.bank.forget(person.person_id)
        return [(barack, 480, 270)]

    names = [frame.answer.match and frame.answer.match.person.name for frame in film(family, 20, places)]
    assert names == ["Barack"] * 10 + ["Mr President"] * 5 + [None] * 5
