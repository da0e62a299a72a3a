"""The whole way in one process: what a newcomer runs first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.here import Here


def test_whoever_is_registered_is_named(client_here: Here, photos: Mapping[str, Path]) -> None:
    sent = {"image": photos["obama"].read_bytes()}
    registered = client_here.post("/register", data={"name": "Barack"}, files=sent).json()["data"]
    found = client_here.post("/identify", files={"image": photos["obama2"].read_bytes()}).json()["data"]
    assert found["match"]["person_id"] == registered["person_id"]
    stranger = client_here.post("/identify", files={"image": photos["biden"].read_bytes()}).json()["data"]
    assert stranger["face_detected"] and stranger["match"] is None


def test_a_restore_keeps_the_models_that_are_loaded(client_here: Here, photos: Mapping[str, Path]) -> None:
    client_here.post("/register", data={"name": "Barack"}, files={"image": photos["obama"].read_bytes()})
    backup = client_here.post("/backup").content
    before = client_here.service.recognizer.pipeline
    assert client_here.post("/restore", files={"file": ("backup", backup)}).status_code == 200
    assert client_here.service.recognizer.pipeline is before
    found = client_here.post("/identify", files={"image": photos["obama2"].read_bytes()}).json()["data"]
    assert found["match"]["name"] == "Barack"
