"""What all tests share: real pictures, the real models, one recognizer on an empty bank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from tests.here import Here
    from visage.recognition.recognizer import Recognizer
    from visage.vision.pipeline import Pipeline

# The models, the engine and the database are imported where a test asks for them: a test of numbers starts at once.


@pytest.fixture(scope="session")
def photos() -> Mapping[str, Path]:
    """The test pictures: obama, obama2, obama3, biden, partial1, partial2, rgba, astronaut, group1 … group6."""
    from tests.photos import fetch

    return fetch()


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    """The real models."""
    from visage.vision.pipeline import Pipeline

    return Pipeline()


@pytest.fixture(scope="session")
def dlib_pipeline() -> Pipeline:
    """dlib's network in the place of the default."""
    from visage.vision.models import DLIB
    from visage.vision.pipeline import Pipeline

    return Pipeline(DLIB)


@pytest.fixture(scope="session")
def mtcnn_pipeline() -> Pipeline:
    """MTCNN in the place of the default detector."""
    from visage.vision.models import MTCNN
    from visage.vision.pipeline import Pipeline

    return Pipeline(detector=MTCNN)


@pytest.fixture
def loaded(
    pipeline: Pipeline, dlib_pipeline: Pipeline, mtcnn_pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opens a bank gets the real models by name, loaded once for all tests."""
    from visage.service import opening

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
    from visage.bank.bank import MemoryBank
    from visage.recognition import calibration
    from visage.recognition.decision import Decider
    from visage.recognition.recognizer import Recognizer
    from visage.storage.sqlite import open_store
    from visage.vision.embed import DIMENSION, MODEL_NAME
    from visage.vision.image import Limits

    bank = MemoryBank(open_store(data_dir), model=MODEL_NAME, dimension=DIMENSION)
    decider = Decider(calibration.load(MODEL_NAME), target_fpir=0.01)
    return Recognizer(pipeline, bank, decider, limits=Limits(), duplicate_policy=duplicate_policy)


@pytest.fixture
def recognizer(pipeline: Pipeline, tmp_path: Path) -> Iterator[Recognizer]:
    """A recognizer on an empty bank."""
    opened = make_recognizer(pipeline, tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture
def client_here(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    """The API in this process, on an empty bank; `tests/api` has `client`, of a server in another."""
    from tests.here import here
    from visage.service import opening

    monkeypatch.setattr(opening, "Pipeline", lambda **_: pipeline)
    with here(tmp_path / "data") as client:
        yield client
