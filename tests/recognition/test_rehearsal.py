"""Measuring on labelled photos: what is reported is what happened."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from visage.errors import InstallationError
from visage.recognition import calibration
from visage.recognition.dataset import LabelledFaces, embed_folder, read_groups
from visage.recognition.decision import Decider
from visage.recognition.rehearsal import Answer, Rehearsal, rehearse, rehearse_groups
from visage.types import Status
from visage.vision.embed import MODEL_NAME, unit
from visage.vision.pipeline import Pipeline


def crowd(persons: int, photos: int, spread: float, seed: int = 1, dimension: int = 192) -> LabelledFaces:
    """Random people; the larger the spread, the less alike are the photos of one."""
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(persons, dimension)).astype(np.float32))
    labels = np.repeat(np.arange(persons), photos)
    noise = unit(rng.normal(size=(len(labels), dimension)).astype(np.float32))
    return LabelledFaces(
        persons=tuple(f"p{i:04}" for i in range(persons)),
        labels=labels,
        files=tuple(f"{i}.jpg" for i in range(len(labels))),
        embeddings=unit(centres[labels] + np.float32(spread) * noise),
        qualities=np.full(len(labels), 90),
        no_face=(),
    )


def decider(threshold: float | None = None) -> Decider:
    """The product's rule."""
    return Decider(calibration.load(MODEL_NAME), target_fpir=0.01, similarity_threshold=threshold)


def answers(*rows: tuple[str | None, Status, str, float, float]) -> Rehearsal:
    """A rehearsal with these answers."""
    return Rehearsal(2, 1, 0.5, tuple(Answer(t, s, n, cos, conf, "x.jpg") for t, s, n, cos, conf in rows))


def test_people_who_are_easy_to_tell_apart_are_all_named_right() -> None:
    rates = rehearse(crowd(60, 5, spread=0.4), decider(), gallery=30, strangers=30, trials=2).rates()
    assert rates["right"] == 1
    assert rates["wrong_name"] == rates["false_name"] == rates["missed"] == 0


def test_photos_that_show_nothing_of_a_person_are_missed() -> None:
    rates = rehearse(crowd(60, 5, spread=8), decider(), gallery=30, strangers=30, trials=2).rates()
    assert rates["right"] < 0.05
    assert rates["missed"] > 0.9


def test_with_a_threshold_that_everyone_reaches_every_stranger_is_named() -> None:
    rehearsal = rehearse(crowd(60, 5, spread=0.4), decider(threshold=1e-6), gallery=30, strangers=30, trials=1)
    assert rehearsal.rates()["false_name"] == 1
    assert rehearsal.confusions()[0][0] == "a stranger"


def test_rates_count_what_was_answered() -> None:
    rehearsal = answers(
        ("Ann", Status.KNOWN, "Ann", 0.8, 0.9),
        ("Ann", Status.KNOWN, "Bob", 0.7, 0.8),
        ("Ann", Status.UNCERTAIN, "Ann", 0.5, 0.3),
        ("Bob", Status.UNKNOWN, "Ann", 0.2, 0.0),
        (None, Status.KNOWN, "Bob", 0.6, 0.6),
        (None, Status.UNKNOWN, "Bob", 0.1, 0.0),
    )
    assert rehearsal.rates() == {
        "right": 0.25,
        "wrong_name": 0.25,
        "uncertain": 0.25,
        "missed": 0.25,
        "false_name": 0.5,
        "false_doubt": 0,
    }
    assert rehearsal.confusions() == [("Ann", "Bob", 1), ("a stranger", "Bob", 1)]
    assert rehearsal.at_threshold(0.5) == (0.5, 0.5)


def test_confidence_that_is_as_good_as_its_word_has_no_calibration_error() -> None:
    row = ("Ann", Status.KNOWN, "Ann", 0.7, 0.75)
    wrong = (None, Status.KNOWN, "Ann", 0.7, 0.75)
    honest, boastful = answers(row, row, row, wrong), answers(row, wrong, wrong, wrong)
    assert honest.calibration_error() == pytest.approx(0)
    assert boastful.calibration_error() == pytest.approx(0.5)
    assert honest.brier_score() < boastful.brier_score()


def test_too_few_people_are_refused() -> None:
    with pytest.raises(InstallationError, match="three persons"):
        rehearse(crowd(2, 5, spread=0.4), decider())
    with pytest.raises(InstallationError, match="50 persons"):
        calibration.fit(MODEL_NAME, crowd(20, 3, 0.5).embeddings, crowd(20, 3, 0.5).labels)


def test_a_fitted_calibration_keeps_the_rate_that_it_promises(tmp_path: Path) -> None:
    faces = crowd(400, 4, spread=1.0)
    fitted = calibration.fit(MODEL_NAME, faces.embeddings, faces.labels)
    own = calibration.path_of(MODEL_NAME, tmp_path)
    calibration.save(fitted, own)
    others = crowd(400, 4, spread=1.0, seed=2)
    rule = Decider(calibration.load(MODEL_NAME, tmp_path), target_fpir=0.05)
    rehearsal = rehearse(others, rule, gallery=200, strangers=200, trials=10)
    _, false_name = rehearsal.at_threshold(rehearsal.threshold)
    assert 0.02 < false_name < 0.1
    assert rehearsal.calibration_error() < 0.03


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": "another", "tables": {}}', '{"model": 3'])
def test_a_calibration_that_cannot_be_read_is_refused(tmp_path: Path, content: str) -> None:
    path = calibration.path_of(MODEL_NAME, tmp_path)
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(InstallationError, match="cannot be read"):
        calibration.load(MODEL_NAME, tmp_path)


def album(folder: Path, photos: Mapping[str, Path]) -> Path:
    """Three persons with three pictures each, one of them without a face, and a text file."""
    for person, keys in {
        "Barack": ("obama", "obama2", "obama3"),
        "Joe": ("biden",),
        "Eileen": ("astronaut",),
    }.items():
        (folder / person).mkdir(parents=True)
        for key in keys:
            shutil.copy(photos[key], folder / person / photos[key].name)
        if len(keys) == 1:
            with Image.open(photos[keys[0]]) as image:
                ImageOps.mirror(image.convert("RGB")).save(folder / person / "mirrored.jpg")
                image.convert("L").save(folder / person / "grey.jpg")
    Image.new("RGB", (300, 300), "green").save(folder / "Joe" / "meadow.png")
    (folder / "Joe" / "broken.jpg").write_text("not a picture")
    return folder


def test_a_folder_of_photos_becomes_labelled_faces(
    tmp_path: Path, photos: Mapping[str, Path], pipeline: Pipeline
) -> None:
    told: list[tuple[int, int]] = []
    faces = embed_folder(album(tmp_path, photos), pipeline, lambda *progress: told.append(progress))
    assert faces.persons == ("Barack", "Eileen", "Joe")
    assert np.bincount(faces.labels).tolist() == [3, 3, 3]
    assert set(faces.no_face) == {"meadow.png", "broken.jpg"}
    assert told[-1] == (11, 11)
    rates = rehearse(faces, decider(), enrolled=2, strangers=1, trials=4).rates()
    assert rates["right"] == 1
    assert rates["false_name"] == 0


def test_a_folder_without_photos_is_refused(tmp_path: Path, pipeline: Pipeline) -> None:
    with pytest.raises(InstallationError, match="no folders"):
        embed_folder(tmp_path, pipeline, lambda *_: None)


def test_banks_within_a_group_are_measured_with_strangers_of_that_group() -> None:
    faces = crowd(60, 3, spread=0.4)
    groups = {"town: A": set(faces.persons[:30]), "town: B": set(faces.persons[30:]), "few": set(faces.persons[:9])}
    found = rehearse_groups(faces, decider(), groups, enrolled=2, gallery=50, trials=3)
    assert set(found) == {"town: A", "town: B"}, "nine people are too few to say anything"
    for name, rehearsal in found.items():
        assert rehearsal.persons == 20
        assert {answer.shown for answer in rehearsal.answers} <= groups[name]
        assert rehearsal.rates()["right"] == 1
        assert rehearsal.interval("right") == (1, 1)


def test_a_group_of_people_who_look_alike_is_as_safe_as_the_others() -> None:
    """The fault: strangers from a group whose people look alike were named many times as often as promised."""
    faces = crowd(400, 2, spread=0.9, dimension=48)
    alike = np.arange(len(faces.labels)) >= len(faces.labels) // 2
    common = unit(np.random.default_rng(8).normal(size=(1, 48)).astype(np.float32))
    embeddings = faces.embeddings.copy()
    embeddings[alike] = unit(embeddings[alike] + np.float32(0.45) * common)
    faces = replace(faces, embeddings=embeddings)
    groups = {"mixed": faces.persons[:200], "alike": faces.persons[200:]}
    found = rehearse_groups(faces, decider(), groups, enrolled=1, trials=10)
    usual = {name: rehearsal.at_threshold(rehearsal.threshold)[1] for name, rehearsal in found.items()}
    assert usual["alike"] > 3 * usual["mixed"]
    assert found["alike"].rates()["false_name"] <= 0.01


def test_an_interval_draws_people_not_photos() -> None:
    """One stranger of two is always named, on a hundred photos: that is one person of two, not a sure half."""
    photos = [
        Answer(None, Status.KNOWN if n % 2 else Status.UNKNOWN, "Ann", 0.5, 0.5, "x.jpg", f"stranger {n % 2}")
        for n in range(200)
    ]
    rehearsal = Rehearsal(2, 1, 0.5, tuple(photos))
    assert rehearsal.rates()["false_name"] == 0.5
    assert rehearsal.interval("false_name") == (0, 1)
    assert rehearsal.interval("right") == (0, 1), "nothing is known of what was not shown"


def test_groups_are_read_from_any_columns(tmp_path: Path) -> None:
    file = tmp_path / "groups.csv"
    file.write_text("\ufeffage,person,town\nold,Ann,\nyoung,Bob,Ulm\nold,Cid,Ulm,too many\nold\n", encoding="utf-8")
    assert read_groups(file) == {
        "age: old": {"Ann", "Cid"},
        "age: young": {"Bob"},
        "town: Ulm": {"Bob", "Cid"},
    }


@pytest.mark.parametrize("content", [b"", b"person\nAnn\n", b"who,group\nAnn,old\n", b"\xff\xfe\x00"])
def test_a_file_that_names_no_groups_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "groups.csv"
    file.write_bytes(content)
    with pytest.raises(InstallationError, match=r"groups\.csv"):
        read_groups(file)
