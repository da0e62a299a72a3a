"""Known, uncertain, unknown: thresholds that move with the bank, and names that are said once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visage.errors import InstallationError
from visage.recognition import calibration
from visage.recognition.decision import Decider, Likeness, Verdict
from visage.types import Person, Status
from visage.vision.embed import MODEL_NAME

CALIBRATION = calibration.load(MODEL_NAME)


def person(name: str, photos: int = 3) -> Person:
    """Someone with so many photos."""
    now = datetime.now(UTC)
    return Person(name, name, None, {}, now, now, photos, photos)


def decide(*faces: list[tuple[str, float]], persons: int = 100, threshold: float | None = None) -> list[Verdict]:
    """The verdicts of a frame; each face is given as (name, similarity) pairs, best first."""
    decider = Decider(CALIBRATION, target_fpir=0.01, similarity_threshold=threshold)
    likenesses = [[Likeness(person(n), s) for n, s in face] for face in faces]
    return decider.decide(likenesses, qualities=[100] * len(faces), persons=persons)


def test_a_clear_likeness_is_known() -> None:
    (verdict,) = decide([("Ann", 0.8), ("Bob", 0.2)])
    assert verdict.status is Status.KNOWN
    assert verdict.match is not None
    assert verdict.match.person.name == "Ann"
    assert verdict.match.confidence > 0.99


def test_a_stranger_is_unknown_and_a_faint_likeness_uncertain() -> None:
    faint, stranger = decide([("Ann", 0.54)])[0], decide([("Ann", 0.3)])[0]
    assert (faint.status, faint.match) == (Status.UNCERTAIN, None)
    assert (stranger.status, stranger.match) == (Status.UNKNOWN, None)
    assert decide([])[0].status is Status.UNKNOWN


def test_look_alikes_share_the_probability_and_neither_is_named() -> None:
    (verdict,) = decide([("Ann", 0.72), ("Anne", 0.715)])
    assert verdict.status is Status.UNCERTAIN
    assert verdict.match is None
    assert sum(c.confidence for c in verdict.candidates) <= 1


def test_nobody_is_in_two_places() -> None:
    far, near = decide([("Ann", 0.7)], [("Ann", 0.85)])
    assert (far.status, near.status) == (Status.UNCERTAIN, Status.KNOWN)
    assert far.match is None


def test_two_faces_of_one_name_are_both_named_where_they_are_one_face() -> None:
    """Someone beside a picture; the same beside somebody who looks like it, as far as strangers do."""
    decider = Decider(CALIBRATION, target_fpir=0.01)
    beside = [[Likeness(person("Ann"), similarity)] for similarity in (0.86, 0.95)]
    look_alike = [[Likeness(person("Ann"), similarity)] for similarity in (0.62, 0.95)]
    for alike, faces, expected in (
        (0.82, beside, [Status.KNOWN, Status.KNOWN]),
        (0.45, beside, [Status.UNCERTAIN, Status.KNOWN]),
        (0.64, look_alike, [Status.UNCERTAIN, Status.KNOWN]),
    ):
        embeddings = np.array([[1, 0], [alike, np.sqrt(1 - alike**2)]], dtype=np.float32)
        verdicts = decider.decide(faces, qualities=[100, 100], persons=100, embeddings=embeddings)
        assert [verdict.status for verdict in verdicts] == expected, alike


def test_a_look_that_is_like_nobody_contradicts_no_rejection() -> None:
    """A "yes" on a picture in which hardly anything can be seen must not call a stranger by a name again."""
    decider = Decider(CALIBRATION, target_fpir=0.01)
    assert not decider.contradicts(0.27, 0.15, photos=1)
    assert not decider.contradicts(0.1, 0.1, photos=3)
    assert decider.contradicts(0.3, 0.8, photos=1)  # the same face
    assert decider.contradicts(0.6, 0.6, photos=1)  # it would be in the way of its name


def test_who_was_rejected_stays_a_candidate_behind_who_it_may_be() -> None:
    rejected = Likeness(person("Ann"), 0.8, rejected=0.9)
    decider = Decider(CALIBRATION, target_fpir=0.01)
    others = {
        Status.UNKNOWN: [],
        Status.UNCERTAIN: [Likeness(person("Bob"), 0.54)],
        Status.KNOWN: [Likeness(person("Bob"), 0.75)],
    }
    for status, other in others.items():
        (verdict,) = decider.decide([[rejected, *other]], qualities=[100], persons=100)
        names = [candidate.person.name for candidate in verdict.candidates]
        assert (verdict.status, names) == (status, ["Bob", "Ann"] if other else ["Ann"])
        assert sum(candidate.confidence for candidate in verdict.candidates) <= 1


def test_the_threshold_rises_with_the_bank() -> None:
    face = [("Ann", 0.6)]
    statuses = [decide(face, persons=count)[0].status for count in (10, 100, 10_000)]
    assert statuses == [Status.KNOWN, Status.KNOWN, Status.UNKNOWN]
    thresholds = [CALIBRATION.threshold(persons=n, photos=3, fpir=0.01) for n in (1, 10, 100, 1000, 100_000)]
    assert thresholds == sorted(thresholds)


def test_a_plain_threshold_overrides_the_calibration() -> None:
    assert decide([("Ann", 0.41)], persons=10**6, threshold=0.4)[0].status is Status.KNOWN
    assert decide([("Ann", 0.39)], persons=1, threshold=0.4)[0].status is not Status.KNOWN


@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=5),
    st.integers(1, 10**6),
    st.integers(1, 10),
)
def test_confidences_are_probabilities(similarities: list[float], persons: int, photos: int) -> None:
    confidences = CALIBRATION.confidences(similarities, [photos] * len(similarities), persons=persons)
    assert all(0 <= c <= 1 for c in confidences)
    assert sum(confidences) <= 1 + 1e-9
    order = np.argsort(similarities)
    assert (np.diff(np.array(confidences)[order]) >= -1e-12).all()


@given(st.floats(-1, 1), st.integers(1, 1000))
def test_more_strangers_to_confuse_with_means_less_confidence(similarity: float, persons: int) -> None:
    few, many = (CALIBRATION.confidences([similarity], [1], persons=n)[0] for n in (persons, 10 * persons))
    assert many <= few


def test_a_model_without_calibration_is_refused() -> None:
    with pytest.raises(InstallationError):
        calibration.load("no-such-model")


def test_a_fit_finds_the_threshold_of_a_known_distribution() -> None:
    """Random directions: the chance of a cosine above t is known, and the fitted threshold must keep it."""
    rng = np.random.default_rng(3)
    dimension, people = 64, 600
    centres = rng.normal(size=(people, dimension))
    photos = centres[:, None] + 0.3 * rng.normal(size=(people, 3, dimension))
    embeddings = (photos / np.linalg.norm(photos, axis=2, keepdims=True)).reshape(-1, dimension).astype(np.float32)
    fitted = calibration.fit("random", embeddings, np.repeat(np.arange(people), 3), photos=(1,))
    threshold = fitted.threshold(persons=300, photos=1, fpir=0.01)
    strangers = rng.normal(size=(20_000, dimension))
    strangers /= np.linalg.norm(strangers, axis=1, keepdims=True)
    gallery = embeddings[: 300 * 3 : 3]
    false_names = ((strangers @ gallery.T).max(axis=1) >= threshold).mean()
    assert 0.005 < false_names < 0.02


def test_a_calibration_survives_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "_FOLDER", tmp_path)
    calibration.save(CALIBRATION, calibration.path_of(MODEL_NAME))
    again = calibration.load(MODEL_NAME)
    for count in (1, 50, 10_000):
        assert again.threshold(persons=count, photos=2, fpir=0.01) == CALIBRATION.threshold(
            persons=count, photos=2, fpir=0.01
        )
