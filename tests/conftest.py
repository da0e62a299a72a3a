"""What all tests share: real pictures, the real models, one recognizer on an empty bank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.photos import fetch
from visage.recognition.recognizer import Recognizer, open_recognizer
from visage.vision.image import Limits
from visage.vision.pipeline import Pipeline


@pytest.fixture(scope="session")
def photos() -> Mapping[str, Path]:
    """The test pictures: obama, obama2, obama3, biden, partial1, partial2, rgba, astronaut, group1 … group6."""
    return fetch()


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    """The real models."""
    return Pipeline()


@pytest.fixture
def recognizer(tmp_path: Path) -> Iterator[Recognizer]:
    """A recognizer with default settings on a bank of its own."""
    opened = open_recognizer(
        data_dir=tmp_path / "data",
        threads=0,
        limits=Limits(),
        similarity_threshold=None,
        target_fpir=0.01,
        duplicate_policy="warn",
    )
    yield opened
    opened.close()
