"""What all tests share: real pictures, the real models, one recognizer on an empty bank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import pytest

from tests.photos import fetch
from visage.bank.bank import MemoryBank
from visage.recognition import calibration
from visage.recognition.decision import Decider
from visage.recognition.recognizer import Recognizer
from visage.service import opening
from visage.storage.sqlite import open_store
from visage.vision.embed import DIMENSION, MODEL_NAME
from visage.vision.image import Limits
from visage.vision.models import DLIB, MTCNN
from visage.vision.pipeline import Pipeline


@pytest.fixture(scope="session")
def photos() -> Mapping[str, Path]:
    """The test pictures: obama, obama2, obama3, biden, partial1, partial2, rgba, astronaut, group1 … group6."""
    return fetch()


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    """The real models."""
    return Pipeline()


@pytest.fixture(scope="session")
def dlib_pipeline() -> Pipeline:
    """dlib's network in the place of the default."""
    return Pipeline(DLIB)


@pytest.fixture(scope="session")
def mtcnn_pipeline() -> Pipeline:
    """MTCNN in the place of the default detector."""
    return Pipeline(detector=MTCNN)


@pytest.fixture
def loaded(
    pipeline: Pipeline, dlib_pipeline: Pipeline, mtcnn_pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opens a bank gets the real models by name, loaded once for all tests."""
    pipelines = {
        ("mobilefacenet", "blazeface"): pipeline,
        ("dlib", "blazeface"): dlib_pipeline,
        ("mobilefacenet", "mtcnn"): mtcnn_pipeline,
    }
    monkeypatch.setattr(opening, "Pipeline", lambda model, detector, **_: pipelines[model.name, detector.name])


def make_recognizer(
    pipeline: Pipeline, data_dir: Path, duplicate_policy: Literal["warn", "reject"] = "warn"
) -> Recognizer:
    """A recognizer with default settings on a bank of its own; `open_recognizer` with models that are loaded."""
    bank = MemoryBank(open_store(data_dir), model=MODEL_NAME, dimension=DIMENSION)
    decider = Decider(calibration.load(MODEL_NAME), target_fpir=0.01)
    return Recognizer(pipeline, bank, decider, limits=Limits(), duplicate_policy=duplicate_policy)


@pytest.fixture
def recognizer(pipeline: Pipeline, tmp_path: Path) -> Iterator[Recognizer]:
    """A recognizer on an empty bank."""
    opened = make_recognizer(pipeline, tmp_path / "data")
    yield opened
    opened.close()
