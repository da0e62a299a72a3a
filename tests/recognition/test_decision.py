"""Known, uncertain, unknown: thresholds that move with the bank, and names that are said once."""

from __future__ import annotations

from dataclasses import replace
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
    assert seen(
        0.41, face=100, photo=100, rule=Decider(CALIBRATION, target_fpir=0.01, similarity_threshold=0.4)
    ).match


def seen(similarity: float, *, face: int, photo: int, rule: Decider | None = None) -> Verdict:
    """The verdict on a face of this quality, where the person's best photo has that, among 100 persons."""
    rule = rule or Decider(CALIBRATION, target_fpir=0.01)
    (verdict,) = rule.decide([[Likeness(person("Ann"), similarity, photo)]], qualities=[face], persons=100)
    return verdict


def test_a_poorer_picture_is_named_where_a_better_one_would_have_to_be_more_alike() -> None:
    """Strangers are less like a poor picture, as oneself is."""
    poor, good = seen(0.55, face=50, photo=60), seen(0.55, face=100, photo=100)
    assert (poor.status, good.status) == (Status.KNOWN, Status.UNCERTAIN)
    assert poor.candidates[0].confidence > good.candidates[0].confidence


@given(st.floats(0.3, 0.9), st.integers(20, 99), st.integers(50, 99), st.integers(1, 50))
def test_who_is_named_on_a_good_picture_is_named_on_a_poorer_one_that_is_as_like(
    similarity: float, face: int, photo: int, more: int
) -> None:
    better = seen(similarity, face=min(face + more, 100), photo=min(photo + more, 100))
    poorer = seen(similarity, face=face, photo=photo)
    assert poorer.match is not None or better.match is None


def test_more_is_asked_of_a_face_that_is_seen_upside_down() -> None:
    """By 0.03, as a cosine; nothing changes for the others of the frame, nor with a threshold of one's own."""
    decider = Decider(CALIBRATION, target_fpir=0.01)

    def statuses(similarity: float, threshold: float | None = None) -> list[Status]:
        decider = Decider(CALIBRATION, target_fpir=0.01, similarity_threshold=threshold)
        faces = [[Likeness(person(name), similarity)] for name in ("Ann", "Bob")]
        verdicts = decider.decide(faces, qualities=[90, 90], overturned=[True, False], persons=100)
        return [verdict.status for verdict in verdicts]

    least = decider.threshold(persons=100, photos=3)
    assert statuses(least + 0.02) == [Status.UNCERTAIN, Status.KNOWN]
    assert statuses(least + 0.04) == [Status.KNOWN, Status.KNOWN]
    assert statuses(0.41, threshold=0.4) == [Status.KNOWN, Status.KNOWN]


def test_quality_moves_nothing_where_that_of_the_calibration_is_not_known() -> None:
    rule = Decider(replace(CALIBRATION, usual_quality=None), target_fpir=0.01)
    for similarity in (0.5, 0.55, 0.6):
        verdicts = [seen(similarity, face=face, photo=photo, rule=rule) for face, photo in ((50, 60), (100, 100))]
        assert len({(verdict.status, verdict.candidates[0].confidence) for verdict in verdicts}) == 1


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
    qualities = np.tile([60, 90, 90], people)
    fitted = calibration.fit("random", embeddings, np.repeat(np.arange(people), 3), qualities, photos=(1,))
    assert fitted.usual_quality == 80
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
    assert again.usual_quality == CALIBRATION.usual_quality
    calibration.save(replace(CALIBRATION, usual_quality=None), calibration.path_of(MODEL_NAME))
    assert calibration.load(MODEL_NAME).usual_quality is None
