"""`visage models` and the settings that choose by name, as people use them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, UnidentifiedImageError

from tests.recognition.test_rehearsal import album, crowd
from tests.test_cli import bank, refusal, register, said, visage
from visage.cli import accuracy
from visage.cli import models as commands
from visage.recognition import calibration
from visage.vision import models, opening, weights, work
from visage.vision.models import DLIB, MOBILEFACENET

__all__ = ["bank"]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, photos: Mapping[str, Path]) -> Path:
    """A folder for each of three persons, with small pictures."""
    folder = album(tmp_path_factory.mktemp("album"), photos)
    for path in folder.glob("*/*.[jp][pn]g"):
        with suppress(UnidentifiedImageError), Image.open(path) as image:
            image.load()
            image.thumbnail((400, 400))
            image.save(path)
    return folder


def test_the_list_says_what_is_in_use_and_what_nobody_here_has_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("VISAGE_MODEL", "dlib")
    rows = {line.split("│")[1].strip(): line for line in said(visage("models", "list")).splitlines() if "│" in line}
    assert rows["dlib"].rstrip(" │").endswith("in use")
    assert rows["mobilefacenet"].rstrip(" │").endswith("here")
    assert "CC0" in rows["dlib"] and " yes " in rows["dlib"]
    assert " no " in rows["sface"] and "missing" in rows["sface"]
    assert "non-commercial" in rows["arcface-r50"]


@pytest.mark.parametrize("variable,name,nearest", [("MODEL", "dlip", "dlib"), ("DETECTOR", "mtccn", "mtcnn")])
def test_a_setting_that_names_no_model_is_told_the_nearest(
    bank: list[str], monkeypatch: pytest.MonkeyPatch, variable: str, name: str, nearest: str
) -> None:
    monkeypatch.setenv(f"VISAGE_{variable}", name)
    told = f"named {name}; the nearest is {nearest}"
    assert told in refusal(visage("persons", "list", *bank))
    assert told in refusal(visage("reembed", *bank))
    assert told in visage("doctor", *bank).stdout


def test_the_bank_follows_the_setting_there_and_back(
    tmp_path: Path, photos: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch, loaded: None
) -> None:
    bank = ["--data-dir", str(tmp_path / "data")]
    register(bank, "Barack", photos["obama"], photos["obama2"])
    register(bank, "Joe", photos["biden"])
    monkeypatch.setenv("VISAGE_MODEL", "dlib")
    unseen = visage("identify", photos["obama3"], *bank)
    assert "nobody known" in said(unseen)
    for told, waiting in (
        (unseen, 3),
        (visage("persons", "list", "--json", *bank), 3),
        (visage("register", "Joe", photos["biden"], *bank), 2),  # one person, whose photo is seen now
    ):
        assert f"{waiting} photo(s) are of another model" in told.stderr and "`visage reembed`" in told.stderr
    assert len(json.loads(said(visage("persons", "list", "--json", *bank)))) == 2
    assert "2 photos are of another model; run `visage reembed`" in " ".join(visage("doctor", *bank).stdout.split())
    assert said(visage("reembed", *bank)) == "2 photo(s) embedded with dlib-128.\n"
    assert json.loads(said(visage("identify", photos["obama3"], "--json", *bank)))["match"]["name"] == "Barack"
    monkeypatch.delenv("VISAGE_MODEL")
    assert said(visage("reembed", *bank)) == "0 photo(s) embedded with mobilefacenet-192.\n"
    assert json.loads(said(visage("identify", photos["obama3"], "--json", *bank)))["match"]["name"] == "Barack"


def test_a_command_loads_the_models_once_and_not_in_the_time_of_its_picture(
    tmp_path: Path, photos: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded_in: list[work.Work | None] = []

    def open_networks(*arguments: Any) -> opening.Networks:
        loaded_in.append(work._current.get())
        return load(*arguments)

    load = opening.open_networks
    monkeypatch.setattr(opening, "open_networks", open_networks)
    register(["--data-dir", str(tmp_path / "data")], "Barack", photos["obama"], photos["obama2"])
    assert loaded_in == [None]


def test_a_model_without_a_calibration_is_refused_with_the_command_that_makes_one(
    bank: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISAGE_MODEL", "sface")
    assert "visage models evaluate NAME DIR --save" in refusal(visage("persons", "list", *bank))
    assert "sface" in visage("doctor", *bank).stdout


def test_a_model_is_taken_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = DLIB.files[0].path
    monkeypatch.setattr(weights, "MODELS_DIR", tmp_path / "models")
    wrong = tmp_path / "wrong.dat"
    wrong.write_bytes(b"wrong")
    assert "its SHA-256 differs" in refusal(visage("models", "pull", "dlib", "--from", wrong))
    assert not (tmp_path / "models").exists()
    assert said(visage("models", "pull", "dlib", "--from", original)) == f"Took {original.name}.\n"
    assert said(visage("models", "pull", "dlib")) == "All models are here.\n"
    assert "Say which model the file is" in refusal(visage("models", "pull", "--from", original))
    assert "the nearest is dlib" in refusal(visage("models", "pull", "dlibx"))


def test_a_model_that_nobody_here_has_run_is_given_with_that_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "MODELS_DIR", tmp_path / "models")
    (tmp_path / "openface.onnx").write_bytes(b"weights")
    told = said(visage("models", "pull", "deepface-openface", "--from", tmp_path / "openface.onnx"))
    assert "Nobody here has run deepface-openface" in told
    assert "not fetched unseen" in refusal(visage("models", "pull", "deepface-facenet"))


def test_a_model_is_measured_beside_the_one_in_use(people: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    told = said(visage("models", "evaluate", "dlib", people, "--data-dir", data))
    assert "mobilefacenet" in told and "dlib" in told
    assert "photos with a face" in told and "VR at FAR 0.001" in told
    assert "photos are too few" in visage("models", "evaluate", "dlib", people, "--data-dir", data, "--save").stderr
    assert not data.exists()


def test_the_calibration_of_a_new_model_is_kept_in_the_data_folder(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The photos of a crowd are not shipped: their vectors are made up, all else is real."""
    monkeypatch.setattr(commands, "embed_folder", lambda *_: crowd(104, 4, spread=0.6))
    monkeypatch.setattr(models, "EMBEDDERS", (MOBILEFACENET, with_space_of_its_own()))
    monkeypatch.setenv("VISAGE_MODEL", "mine")  # alone: what it is compared with is another test's
    told = said(visage("models", "evaluate", "mine", people, "--data-dir", tmp_path, "--save"))
    assert "VISAGE_MODEL=mine" in told and "named right" in told
    assert calibration.load("mine-192", tmp_path).model == "mine-192"


def with_space_of_its_own() -> models.EmbedderModel:
    """The default's network under another name, uncalibrated."""
    return replace(MOBILEFACENET, name="mine", space="mine-192", sameness=None)


def test_what_there_is_no_calibration_for_is_calibrated_by_hand_too(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy, "embed_folder", lambda *_: crowd(160, 5, spread=0.6))
    monkeypatch.setattr(models, "EMBEDDERS", (MOBILEFACENET, with_space_of_its_own()))
    monkeypatch.setenv("VISAGE_MODEL", "mine")
    told = said(visage("calibrate", people, "--data-dir", tmp_path))
    assert "yours" in told and "shipped" not in told
    assert calibration.path_of("mine-192", tmp_path).exists()
