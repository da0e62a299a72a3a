"""People who look alike: the bank tells, names start further up, and nothing ever gets looser."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from visage.bank.bank import Sample
from visage.recognition import calibration
from visage.recognition.calibration import raised
from visage.recognition.crowd import Crowd, measure
from visage.recognition.decision import Decider, Likeness
from visage.recognition.recognizer import Recognizer
from visage.recognition.report import closeness_of
from visage.types import Face, Image, Person, Status
from visage.vision.embed import MODEL_NAME, unit
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.pipeline import Pipeline

Vectors = NDArray[np.float32]
CALIBRATION = calibration.load(MODEL_NAME)
DECIDER = Decider(CALIBRATION, target_fpir=0.01)
DIMENSION = 48
"""Random directions in so many dimensions are as far apart as the faces of a mixed crowd: a deviation of 0.144."""


def person(name: str, photos: int = 1) -> Person:
    """Someone with so many photos."""
    now = datetime.now(UTC)
    return Person(name, name, None, {}, now, now, photos, photos)


def looks(count: int, alike: float, seed: int = 0) -> Vectors:
    """Random looks; any two have about this cosine in the mean."""
    rng = np.random.default_rng(seed)
    apart = unit(rng.standard_normal((count, DIMENSION)).astype(np.float32))
    common = unit(np.random.default_rng(99).standard_normal((1, DIMENSION)).astype(np.float32))
    return unit(np.float32(np.sqrt(1 - alike)) * apart + np.float32(np.sqrt(alike)) * common)


def crowd_of(vectors: Vectors) -> Crowd:
    """What a bank of these people says, one photo each."""
    return measure(Sample(tuple(person(str(i)) for i in range(len(vectors))), vectors, vectors), CALIBRATION)


def threshold(crowd: Crowd, persons: int) -> float:
    """From where somebody with one photo is named."""
    return DECIDER.threshold(persons=persons, photos=1, shift=crowd.shift)


def test_a_mixed_crowd_is_named_as_ever() -> None:
    usual = DECIDER.threshold(persons=200, photos=1)
    for seed in range(5):
        crowd = crowd_of(looks(200, alike=0, seed=seed))
        assert crowd.times_as_many == pytest.approx(1, abs=0.35)
        assert threshold(crowd, 200) == pytest.approx(usual, abs=0.003)


@pytest.mark.parametrize("alike", [0.05, 0.1, 0.2])
def test_the_shift_is_how_much_more_alike_the_people_are(alike: float) -> None:
    """The 97 % quantile of their similarities against the calibration's, which is what is to be estimated."""
    vectors = looks(300, alike)
    similarities = (vectors @ vectors.T)[np.triu_indices(300, 1)]
    true = np.arctanh(np.quantile(similarities, 0.97)) - np.arctanh(CALIBRATION.similarity_at(0.03, 1))
    assert crowd_of(vectors).shift == pytest.approx(true, rel=0.1, abs=0.003)
    assert true > alike / 2


def test_strangers_of_such_a_crowd_are_named_no_oftener_than_promised() -> None:
    """Fifty people and strangers, all of one kind: too many reach the usual threshold."""
    usual, ours = [], []
    for seed in range(12):
        vectors = looks(550, alike=0.1, seed=seed)
        crowd = crowd_of(vectors[:50])
        nearest = (vectors[50:] @ vectors[:50].T).max(axis=1)
        usual.append((nearest >= DECIDER.threshold(persons=50, photos=1)).mean())
        ours.append((nearest >= threshold(crowd, 50)).mean())
    assert np.mean(usual) > 0.02
    assert np.mean(ours) < 0.01


def test_somebody_registered_twice_changes_little_for_the_others() -> None:
    vectors = looks(20, alike=0)
    twice = np.concatenate([vectors, vectors[:1]])
    assert abs(threshold(crowd_of(twice), 21) - threshold(crowd_of(vectors), 21)) < 0.01


def test_with_few_people_a_cautious_crowd_is_assumed() -> None:
    nobody, one = measure(Sample((), looks(0, 0), looks(0, 0)), CALIBRATION), crowd_of(looks(1, 0))
    assert nobody.shift == pytest.approx(one.shift)
    assert 0.02 < threshold(one, 1) - DECIDER.threshold(persons=1, photos=1) < 0.06
    assert nobody.times_as_many == one.times_as_many == 1
    shifts = [crowd_of(looks(count, alike=0, seed=5)).shift for count in (1, 5, 20, 100)]
    assert shifts == sorted(shifts, reverse=True), "the more is seen, the less is assumed"


def test_a_person_among_look_alikes_is_named_with_more_care_than_the_others() -> None:
    vectors = np.concatenate([looks(100, alike=0), looks(20, alike=0.4, seed=1)])
    crowd = crowd_of(vectors)
    shifts = np.array([crowd.shift_of(str(i)) for i in range(120)])
    assert shifts[100:].mean() > shifts[:100].mean() + 0.02
    assert crowd.shift_of("somebody who was not compared") == crowd.shift


def test_people_with_several_photos_are_compared_with_what_is_usual_for_so_many() -> None:
    """Templates of three photos are more alike; that must not pass for a crowd that is."""
    vectors = looks(200, alike=0)
    three = Sample(tuple(person(str(i), photos=3) for i in range(200)), vectors, vectors)
    assert measure(three, CALIBRATION).alike < crowd_of(vectors).alike


def test_the_same_people_give_the_same_numbers_in_any_order() -> None:
    vectors = looks(60, alike=0.1)
    there, back = crowd_of(vectors), crowd_of(vectors[::-1].copy())
    assert (there.alike, there.shift) == (back.alike, back.shift)


@given(
    st.floats(-0.5, 0.6),
    st.floats(0, 0.3),
    st.integers(1, 10_000),
    st.integers(1, 6),
    st.sampled_from([1e-12, 1e-3, 0.1]),
)
def test_the_more_alike_the_further_up_and_never_down(
    shift: float, more: float, persons: int, photos: int, target: float
) -> None:
    rule = Decider(CALIBRATION, target_fpir=target)
    usual, here, there = (
        rule.threshold(persons=persons, photos=photos, shift=each) for each in (0.0, shift, shift + more)
    )
    assert usual <= here <= there <= 1
    doubt = rule.threshold(persons=persons, photos=photos, shift=shift, fpir=7 * target)
    assert doubt <= here
    (verdict,) = rule.decide(
        [[Likeness(person("Ann", photos), 1.0, shift=shift + more)]], qualities=[90], persons=persons
    )
    assert verdict.candidates


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 0.5), st.floats(0, 0.5), st.integers(1, 6))
def test_confidence_falls_with_the_crowd_and_rises_with_the_likeness(
    one: float, other: float, rise: float, more: float, photos: int
) -> None:
    low, high = sorted((one, other))
    ratio = CALIBRATION.likelihood_ratio
    assert ratio(low, photos, rise) <= ratio(high, photos, rise) * (1 + 1e-9)
    assert ratio(high, photos, rise + more) <= ratio(high, photos, rise) * (1 + 1e-9)


@given(st.floats(-0.99, 0.99), st.floats(-1, 1))
def test_raising_is_undone_by_lowering(similarity: float, rise: float) -> None:
    assert raised(raised(similarity, rise), -rise) == pytest.approx(similarity, abs=1e-6)


def test_a_likeness_that_names_in_a_mixed_crowd_is_a_doubt_among_look_alikes() -> None:
    def verdict(shift: float, fixed: float | None = None) -> Status:
        rule = Decider(CALIBRATION, target_fpir=0.01, similarity_threshold=fixed)
        (answer,) = rule.decide([[Likeness(person("Ann"), 0.55, shift=shift)]], qualities=[90], persons=50)
        return answer.status

    assert (verdict(0.0), verdict(0.1)) == (Status.KNOWN, Status.UNCERTAIN)
    assert verdict(0.1, fixed=0.5) is Status.KNOWN, "who sets a threshold gets that threshold"


def portraits(photos: Mapping[str, Path], pipeline: Pipeline) -> list[Image]:
    """Two dozen different people, upright, eyes in the same places; the groups have some people twice."""
    found: list[Face] = []
    for key in ("astronaut", "biden", "obama", *(f"group{n}" for n in range(1, 7))):
        faces = pipeline.analyse(decode(photos[key].read_bytes(), Limits()), enrolling=True)
        new = [f for f in faces if f.quality.score >= 60]
        found += [face for face in new if all(face.embedding @ other.embedding < 0.45 for other in found)]
    return [face.portrait for face in found if face.portrait is not None]


def test_strangers_from_a_family_get_none_of_its_names(
    photos: Mapping[str, Path], pipeline: Pipeline, recognizer: Recognizer
) -> None:
    """Real faces, each given the same relative's features: half are registered, the others come to the door."""
    relative, *others = portraits(photos, pipeline)
    family = [encode_jpeg((0.3 * relative + 0.7 * each).astype(np.uint8), 95) for each in others]
    for number, picture in enumerate(family[::2]):
        recognizer.enrol(name=f"P{number}", relationship=None, metadata={}, images=[picture])
    persons = recognizer.bank.person_count
    answers = [face for picture in family[1::2] for face in recognizer.identify(picture).faces]
    in_a_mixed_crowd = DECIDER.decide(
        [[Likeness(each.person, each.similarity) for each in face.candidates] for face in answers],
        qualities=[face.face.quality.score for face in answers],
        persons=persons,
    )
    assert sum(verdict.match is not None for verdict in in_a_mixed_crowd) >= 2
    assert not any(face.match for face in answers)
    assert all(recognizer.identify(picture).match for picture in family[::2]), (
        "those who are registered still are named"
    )
    closeness = recognizer.closeness()
    assert closeness.more_alike
    assert closeness.threshold > closeness.usual_threshold + 0.05
    for one in recognizer.bank.persons(limit=100).persons:
        recognizer.bank.forget(one.person_id)
    for number, each in enumerate(others[::2]):
        recognizer.enrol(name=f"P{number}", relationship=None, metadata={}, images=[encode_jpeg(each, 95)])
    assert recognizer.closeness().threshold < closeness.threshold - 0.03, "the same people, without the relative"


def test_one_pair_of_look_alikes_is_no_crowd() -> None:
    vectors = looks(2, alike=0)
    vectors[1] = vectors[0]
    assert not closeness_of(crowd_of(vectors), threshold=0.6, usual=0.5).more_alike
    assert closeness_of(crowd_of(looks(40, alike=0.3)), threshold=0.6, usual=0.5).more_alike
