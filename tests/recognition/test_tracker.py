"""Faces over frames: films made of photos that move over a background, through the whole recognizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from tests.films import Actor, Clock, Place, Script, Tally, cut_out, cut_out_largest, show
from visage.recognition.recognizer import Recognizer
from visage.types import Image, Status
from visage.vision.image import encode_jpeg
from visage.vision.pipeline import Pipeline

Cast = Mapping[str, Actor]


def pixels(path: Path) -> Image:
    """A photo as an array."""
    with PillowImage.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def cast(photos: Mapping[str, Path], pipeline: Pipeline) -> Cast:
    """Barack and Eileen, who will be registered with other pictures; strangers: Joe, and three of a group."""
    actors = {
        "Barack": cut_out_largest("Barack", pixels(photos["obama3"]), pipeline),
        "Eileen": cut_out_largest("Eileen", pixels(photos["astronaut"]), pipeline),
        "Joe": cut_out_largest(None, pixels(photos["biden"]), pipeline),
    }
    group = pixels(photos["group1"])
    for number, face in enumerate(sorted(pipeline.find(group), key=lambda face: -face.box.area)[:3]):
        actors[f"stranger {number}"] = cut_out(None, group, face.box)
    return actors


@pytest.fixture
def family(recognizer: Recognizer, photos: Mapping[str, Path]) -> Recognizer:
    """Knows Barack and Eileen."""
    for name, keys in {"Barack": ("obama", "obama2"), "Eileen": ("astronaut",)}.items():
        images = [photos[key].read_bytes() for key in keys]
        recognizer.enrol(name=name, relationship=None, metadata={}, images=images)
    return recognizer


def check(tally: Tally, least: float = 0.9) -> None:
    """No wrong name in any frame, none carried over, and the right ones nearly always."""
    assert tally.wrong == []
    assert tally.switches == 0
    for name, seen in tally.seen.items():
        assert tally.named[name] >= least * seen, name


def crossing(one: Actor, two: Actor, frames: int = 60) -> Script:
    """The first walks past the second, in front."""
    ways = np.linspace(0, 1, frames)
    return [[Place(two, 520 - 400 * t, 250, 190), Place(one, 120 + 400 * t, 235, 210)] for t in ways]


def still(actor: Actor, frames: int, **where: float) -> Script:
    """Nothing moves."""
    return [[Place(actor, 320, 240, **where)]] * frames


def leaving(one: Actor, two: Actor, gap: int) -> Script:
    """The first goes out on the right; after a gap the second comes in there, to the same place."""
    ways = np.linspace(0, 1, 25)
    out = [[Place(one, 320 + 430 * t**2, 240)] for t in ways]
    back = [[Place(two, 320 + 430 * t**2, 240)] for t in ways[::-1]]
    return [*still(one, 15), *out, *([[]] * gap), *back, *still(two, 25)]


@pytest.mark.parametrize("front,back", [("Barack", "Eileen"), ("Eileen", "Barack"), ("Joe", "Barack")])
def test_people_who_cross_keep_their_names_and_numbers(family: Recognizer, cast: Cast, front: str, back: str) -> None:
    tally = show(family, crossing(cast[front], cast[back]))
    check(tally)
    owners = {actor: track for track, actors in tally.owners.items() for actor in actors[:1]}
    assert len(owners) == 2
    last = {face.track_id for face in tally.answers[-1].faces}
    assert last == {1, 2}


def test_who_steps_in_front_of_somebody_does_not_get_the_name(family: Recognizer, cast: Cast) -> None:
    barack, joe = cast["Barack"], cast["Joe"]
    coming = [[Place(barack, 320, 240, 190), Place(joe, 640 - 320 * t, 240, 215)] for t in np.linspace(0, 1, 20)]
    tally = show(family, [*still(barack, 15, side=190), *coming, *([coming[-1]] * 30)])
    check(tally)
    assert {face.status for face in tally.answers[-1].faces} == {Status.UNKNOWN}


@pytest.mark.parametrize("other", ["Joe", "Eileen", "stranger 0", "stranger 1", "stranger 2"])
def test_another_face_in_the_same_place_is_another_person_in_that_very_frame(
    family: Recognizer, cast: Cast, other: str
) -> None:
    barack, second = cast["Barack"], cast[other]
    check(show(family, [*still(barack, 20), *still(second, 15), *still(barack, 15)]))


def test_two_people_who_change_places_within_a_frame_take_their_names_along(family: Recognizer, cast: Cast) -> None:
    barack, eileen = cast["Barack"], cast["Eileen"]
    one = [Place(barack, 180, 240, 200), Place(eileen, 460, 240, 200)]
    two = [Place(eileen, 180, 240, 200), Place(barack, 460, 240, 200)]
    tally = show(family, [*([one] * 15), *([two] * 15)])
    check(tally)
    assert len(tally.owners) == 2


@pytest.mark.parametrize("gap", [0, 10])
def test_a_stranger_who_comes_where_somebody_left_is_a_stranger(family: Recognizer, cast: Cast, gap: int) -> None:
    tally = show(family, leaving(cast["Barack"], cast["Joe"], gap))
    check(tally)
    assert {face.status for face in tally.answers[-1].faces} == {Status.UNKNOWN}


def test_who_comes_back_gets_the_number_back(family: Recognizer, cast: Cast) -> None:
    barack = cast["Barack"]
    tally = show(family, [*still(barack, 20), *([[]] * 20), *still(barack, 20)])
    check(tally, 1.0)
    assert set(tally.owners) == {1}
    assert not tally.answers[30].faces


def test_a_face_that_fades_into_another_loses_its_name(family: Recognizer, cast: Cast) -> None:
    barack, joe = cast["Barack"], cast["Joe"]
    fading = [[Place(barack, 320, 240), Place(joe, 320, 240, opacity=t)] for t in np.linspace(0, 0.9, 10)]
    tally = show(family, [*still(barack, 15), *fading, *still(joe, 20)])
    check(tally)
    assert {face.status for face in tally.answers[-1].faces} == {Status.UNKNOWN}


def test_a_face_that_turns_away_and_back_keeps_its_name(family: Recognizer, cast: Cast) -> None:
    barack = cast["Barack"]
    turns = [*np.linspace(0, 0.9, 15), *np.linspace(0.9, 0, 15)]
    turning = [[Place(barack, 320, 240, turned=turned)] for turned in turns]
    tally = show(family, [*still(barack, 10), *turning, *still(barack, 10)])
    check(tally)
    assert tally.flickers == 0
    assert set(tally.owners) == {1}


def test_another_face_turns_back_than_turned_away(family: Recognizer, cast: Cast) -> None:
    away = [[Place(cast["Barack"], 320, 240, turned=turned)] for turned in np.linspace(0, 1, 15)]
    back = [[Place(cast["Joe"], 320, 240, turned=turned)] for turned in np.linspace(1, 0, 15)]
    check(show(family, [*still(cast["Barack"], 10), *away, *back, *still(cast["Joe"], 10)]))


def test_light_that_is_switched_takes_no_name_away(family: Recognizer, cast: Cast) -> None:
    script: Sequence[Sequence[Place]] = [
        [Place(cast["Barack"], 320, 240, light=0.5 if 15 <= number < 30 else 1.0)] for number in range(45)
    ]
    tally = show(family, script)
    check(tally, 1.0)
    assert set(tally.owners) == {1}


def test_another_face_after_the_light_was_off(family: Recognizer, cast: Cast) -> None:
    night = still(cast["Barack"], 5, light=0.02)
    check(show(family, [*still(cast["Barack"], 15), *night, *still(cast["Joe"], 20)]))


def test_somebody_runs_past(family: Recognizer, cast: Cast) -> None:
    script = [[Place(cast["Joe"], 320, 250, 170), Place(cast["Barack"], 40 * n, 240, 190)] for n in range(3, 14)]
    check(show(family, [*script, *script[::-1], *script]), least=0.7)


def test_frames_that_show_nobody_leave_the_names_alone(family: Recognizer, cast: Cast) -> None:
    barack = cast["Barack"]
    script = [[] if number % 5 == 2 else [Place(barack, 300 + number, 240)] for number in range(40)]
    tally = show(family, script)
    check(tally, 1.0)
    assert set(tally.owners) == {1}


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


def test_pictures_that_have_nothing_to_do_with_each_other_give_what_identify_gives(
    family: Recognizer, photos: Mapping[str, Path]
) -> None:
    clock = Clock()
    camera = family.camera(clock)
    for key in ("obama3", "biden", "group4", "astronaut", "group1", "obama3", "group5"):
        clock.now += 1 / 30
        alone = family.identify(photos[key].read_bytes())
        framed = family.identify(photos[key].read_bytes(), camera)
        names = [sorted(str(f.match and f.match.person.name) for f in answer.faces) for answer in (alone, framed)]
        assert names[0] == names[1], key


def test_a_new_face_is_seen_within_a_fifth_of_a_second(family: Recognizer, cast: Cast) -> None:
    one, two = Place(cast["Barack"], 160, 240, 200), Place(cast["Eileen"], 480, 240, 200)
    tally = show(family, [[one, two] if number >= 10 else [one] for number in range(20)])
    first = next(i for i, answer in enumerate(tally.answers) if len(answer.faces) == 2)
    assert 10 <= first <= 16
    assert {f.match.person.name for f in tally.answers[first].faces if f.match} == {"Barack", "Eileen"}


def test_a_change_of_the_bank_shows_in_the_next_frame(family: Recognizer, cast: Cast) -> None:
    (person,) = family.bank.named("Barack")

    def change(number: int) -> None:
        if number == 10:
            family.bank.update(person.person_id, name="Mr President")
        if number == 15:
            family.bank.forget(person.person_id)

    answers = show(family, still(cast["Barack"], 20), before=change).answers
    names = [answer.match and answer.match.person.name for answer in answers]
    assert names == ["Barack"] * 10 + ["Mr President"] * 5 + [None] * 5


def test_a_steady_face_is_not_looked_at_closely_in_every_frame(
    family: Recognizer, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, searches = 0, 0
    describe, find = Pipeline.describe, Pipeline.find

    def counted_describe(self: Pipeline, image: Image, located: Sequence[object], **options: bool) -> object:
        nonlocal looks
        looks += len(located)
        return describe(self, image, located, **options)  # type: ignore[arg-type]

    def counted_find(self: Pipeline, image: Image) -> object:
        nonlocal searches
        searches += 1
        return find(self, image)

    monkeypatch.setattr(Pipeline, "describe", counted_describe)
    monkeypatch.setattr(Pipeline, "find", counted_find)
    show(family, still(cast["Barack"], 60))
    assert looks <= 3 + 2
    assert searches <= 12


def test_a_frame_of_another_size_is_searched_anew(family: Recognizer, photos: Mapping[str, Path]) -> None:
    camera = family.camera()
    large = pixels(photos["obama3"])
    half = PillowImage.fromarray(large).resize((large.shape[1] // 2, large.shape[0] // 2))
    for image in (large, np.asarray(half), large):
        data = encode_jpeg(image, 90)
        alone, framed = family.identify(data), family.identify(data, camera)
        assert framed.match is not None
        one, other = alone.faces[0].face.box, framed.faces[0].face.box
        assert abs(one.height - other.height) < 0.1 * one.height
        assert abs(one.x - other.x) < 0.1 * one.width


def test_a_stranger_has_one_entry_with_the_best_picture_and_dismissed_does_not_come_back(
    family: Recognizer, cast: Cast
) -> None:
    joe = cast["Joe"]
    nearer = [[Place(joe, 320, 240, side)] for side in np.linspace(90, 230, 40)]

    def dismiss(number: int) -> None:
        if number == 41:
            (unknown,) = family.unknowns.all()
            assert unknown.photo.quality.score >= 80
            family.unknowns.dismiss(unknown.unknown_id)

    tally = show(family, [*nearer, *still(joe, 45, side=230)], before=dismiss)
    assert len(tally.owners) == 1
    assert family.unknowns.all() == []


def test_who_comes_back_half_hidden_waits_once_to_be_named(family: Recognizer, cast: Cast) -> None:
    joe = cast["Joe"]
    masked = joe.picture.copy()
    masked[72:108, :, :3] = 60  # over the eyes
    hidden = Actor(None, masked)
    tally = show(family, [*still(joe, 15), *([[]] * 8), *still(hidden, 12), *still(joe, 5)])
    numbers = [face.track_id for answer in tally.answers for face in answer.faces]
    assert set(numbers) == {1, 2}, "half hidden it is another, until it is seen"
    assert numbers[-1] == 1
    (unknown,) = family.unknowns.all()
    assert unknown.unknown_id == tally.answers[-1].faces[0].unknown_id
    assert unknown.photo.quality.score >= 80


def test_who_becomes_known_is_no_unknown_any_more(family: Recognizer, cast: Cast, photos: Mapping[str, Path]) -> None:
    joe = [photos["biden"].read_bytes()]
    show(family, [*still(cast["Joe"], 5), *still(cast["stranger 0"], 5)])
    assert len(family.unknowns.all()) == 2
    family.enrol(name="Joe", relationship=None, metadata={}, images=joe)
    assert len(family.unknowns.all()) == 1
