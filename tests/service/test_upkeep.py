"""What is done once a minute."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.here import here
from visage.recognition.recognizer import Recognizer
from visage.service import opening, upkeep
from visage.vision.pipeline import Pipeline


def test_retention_goes_on_after_any_error(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "Pipeline", lambda **_: pipeline)
    monkeypatch.setattr(upkeep, "_FORGET_EVERY_S", 0.01)
    tried = threading.Semaphore(0)

    def fail(recognizer: Recognizer) -> None:
        tried.release()
        raise RuntimeError("a bug")

    monkeypatch.setattr(Recognizer, "forget_strangers", fail)
    with here(tmp_path / "data"):
        assert all(tried.acquire(timeout=20) for _ in range(3)), "an error was the end of it"
