"""Consent, last seen, retention, and what a carer changes while the server runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from tests.api.conftest import Server, client, server
from tests.api.test_keeping import names, register, who
from tests.test_cli import said, visage

__all__ = ["client", "server"]

CONSENT = {"given_by": "Jane Doe", "capacity": "self", "given_on": "2025-12-04", "text_version": "1"}
OFF = {"retention_days": None, "remember_last_seen": False, "require_consent": False, "target_fpir": 0.01}


@pytest.fixture(autouse=True)
def _as_before(client: httpx.Client) -> Iterator[None]:
    yield
    client.patch("/settings", json=OFF)


def test_consent_goes_with_a_person(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    form = {"name": "Jane", "consent": json.dumps(CONSENT)}
    sent = {"image": photos["astronaut"].read_bytes()}
    person_id = client.post("/register", data=form, files=sent).json()["data"]["person_id"]
    shown = client.get(f"/persons/{person_id}").json()["data"]
    assert shown["consent"] == CONSENT | {"valid_until": None}
    changed = CONSENT | {"valid_until": "2027-01-01"}
    assert client.patch(f"/persons/{person_id}", json={"consent": changed}).json()["data"]["consent"] == changed
    assert client.patch(f"/persons/{person_id}", json={"name": "J"}).json()["data"]["consent"] == changed
    assert client.patch(f"/persons/{person_id}", json={"consent": None}).json()["data"]["consent"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        "{}",
        "[]",
        "no",
        json.dumps(CONSENT | {"given_on": "yesterday"}),
        json.dumps(CONSENT | {"given_by": " "}),
        json.dumps(CONSENT | {"valid_until": "2020-01-01"}),
        json.dumps(CONSENT | {"signature": "x"}),
    ],
)
def test_what_is_no_consent_record_is_refused(client: httpx.Client, photos: Mapping[str, Path], wrong: str) -> None:
    sent = {"image": photos["astronaut"].read_bytes()}
    reply = client.post("/register", data={"name": "Jane", "consent": wrong}, files=sent)
    assert reply.status_code == 422
    assert reply.json()["error"]["details"]["fields"][0]["field"] == "consent"


def test_consent_can_be_asked_for(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    assert client.patch("/settings", json={"require_consent": True}).json()["data"]["require_consent"] is True
    sent = {"image": photos["astronaut"].read_bytes()}
    reply = client.post("/register", data={"name": "Jane"}, files=sent)
    assert reply.status_code == 422
    assert reply.json()["error"]["details"]["fields"][0]["field"] == "consent"
    form = {"name": "Jane", "consent": json.dumps(CONSENT)}
    person_id = client.post("/register", data=form, files=sent).json()["data"]["person_id"]
    assert client.patch(f"/persons/{person_id}", json={"consent": None}).status_code == 422


def test_settings_change_while_the_server_runs(client: httpx.Client) -> None:
    assert client.get("/settings").json()["data"] == OFF | {"locked": []}
    changed = client.patch("/settings", json={"retention_days": 365, "target_fpir": 0.001}).json()["data"]
    assert (changed["retention_days"], changed["target_fpir"]) == (365, 0.001)
    assert client.get("/settings").json()["data"] == changed
    for wrong in (
        {"retention_days": 0},
        {"target_fpir": 1},
        {"target_fpir": 0},
        {"other": 1},
        {"require_consent": 1},
    ):
        assert client.patch("/settings", json=wrong).status_code == 422
    assert client.get("/settings").json()["data"] == changed


def test_a_stricter_target_names_fewer(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    register(client, "Barack", photos["obama"])
    assert who(client, photos["obama2"]) == "Barack"
    client.patch("/settings", json={"target_fpir": 1e-12})
    assert who(client, photos["obama2"]) is None
    client.patch("/settings", json={"target_fpir": 0.01})
    assert who(client, photos["obama2"]) == "Barack"


def test_an_environment_variable_wins_and_settings_outlive_a_restart(
    start_server: Callable[..., Server], photos: Mapping[str, Path]
) -> None:
    first = start_server()
    with httpx.Client(base_url=first.api, timeout=60) as client:
        client.patch("/settings", json={"remember_last_seen": True, "retention_days": 100})
        person_id = register(client, "Barack", photos["obama"])
        assert who(client, photos["obama2"]) == "Barack"
    assert first.stop() == 0
    second = start_server(retention_days=30)
    with httpx.Client(base_url=second.api, timeout=60) as client:
        assert client.get("/settings").json()["data"] == {
            "target_fpir": 0.01,
            "retention_days": 30,
            "remember_last_seen": True,
            "require_consent": False,
            "locked": ["retention_days"],
        }
        reply = client.patch("/settings", json={"retention_days": 5})
        assert reply.status_code == 422
        assert "VISAGE_RETENTION_DAYS" in reply.text
        seen = client.get(f"/persons/{person_id}").json()["data"]["last_seen_at"]
        assert seen is not None
        client.patch("/settings", json={"remember_last_seen": False})
        assert client.get("/retention").json()["data"]["due"] == []
        assert client.post("/purge", json={"person_ids": [person_id]}).json()["data"]["person_ids"] == []
        assert names(client) == ["Barack"]


def test_last_seen_is_not_kept_unless_it_is_asked_for(
    start_server: Callable[..., Server], photos: Mapping[str, Path]
) -> None:
    first = start_server()
    with httpx.Client(base_url=first.api, timeout=60) as client:
        person_id = register(client, "Barack", photos["obama"])
        who(client, photos["obama2"])
    first.stop()
    with httpx.Client(base_url=start_server().api, timeout=60) as client:
        assert client.get(f"/persons/{person_id}").json()["data"]["last_seen_at"] is None


def test_the_command_lists_before_it_forgets(
    tmp_path: Path, photos: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import UTC, datetime, timedelta

    from visage.admin.database import open_database
    from visage.admin.preferences import PreferenceStore
    from visage.service.retention import MARK, SINCE
    from visage.storage.sqlite import open_store

    at = ["--data-dir", str(tmp_path / "data")]
    said(visage("register", "Barack", photos["obama"], *at))
    assert "Retention is off" in said(visage("purge", *at))
    monkeypatch.setenv("VISAGE_RETENTION_DAYS", "30")
    assert "Nobody is due" in said(visage("purge", *at))
    long_ago = datetime.now(UTC) - timedelta(days=60)
    store = open_store(tmp_path / "data")
    database = open_database(tmp_path / "data")
    preferences = PreferenceStore(database.transaction)
    preferences.keep_time(SINCE, long_ago)
    preferences.keep_time(MARK, long_ago)
    database.close()
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE persons SET created_at = created_at - 60 * 86400000000, updated_at = 0")
    store.close()
    result = visage("purge", *at, "--yes")
    assert result.exit_code == 1
    assert "Barack: 60 days" in result.stdout
    assert "clock-is-right" in result.stderr
    assert visage("purge", *at, "--clock-is-right", answer="n\n").exit_code == 1
    assert "Barack" in said(visage("persons", "list", *at))
    assert "1 person(s) forgotten." in said(visage("purge", *at, "--clock-is-right", answer="y\n"))
    assert "Barack" not in said(visage("persons", "list", *at))
