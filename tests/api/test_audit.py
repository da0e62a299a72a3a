"""Who did what: what the server writes down, before it replies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import Server
from visage.admin import audit

NOBODY = "00000000-0000-4000-8000-000000000000"


def entries(client: httpx.Client, after: int = 0) -> list[dict[str, Any]]:
    """The entries, oldest first."""
    found = client.get("/audit", params={"limit": 1000}).json()["data"]["entries"]
    return [entry for entry in reversed(found) if entry["number"] > after]


def test_whatever_changes_something_is_written_down_and_nothing_else(
    client: httpx.Client, photos: Mapping[str, Path]
) -> None:
    before = len(entries(client))
    obama, biden = photos["obama"].read_bytes(), photos["biden"].read_bytes()
    one = client.post("/register", data={"name": "Rumpelstilz"}, files={"image": obama}).json()["data"]["person_id"]
    two = client.post("/register", data={"name": "Other"}, files={"image": biden}).json()["data"]["person_id"]
    client.patch(f"/persons/{one}", json={"relationship": "Oheim"})
    client.post("/identify", files={"image": obama})
    client.get("/persons")
    client.get(f"/persons/{one}")
    client.delete(f"/persons/{NOBODY}")  # refused: nothing happened
    client.delete("/persons/Rumpelstilz")
    client.post("/register", data={"name": ""}, files={"image": obama})
    undo = client.post(f"/persons/{one}/merge", json={"from": two}).json()["data"]["undo_id"]
    client.post(f"/undo/{undo}")
    key = client.post("/keys", json={"role": "viewer", "label": "Rumpelstilz"}).json()["data"]["key_id"]
    client.delete(f"/keys/{key}")
    client.delete(f"/persons/{one}")
    written = entries(client, before)
    assert [(entry["operation"], entry["subject"]) for entry in written] == [
        ("register", one),
        ("register", two),
        ("update_person", one),
        ("merge_persons", f"{one} {undo}"),
        ("undo", f"{undo} {one}"),
        ("create_key", key),
        ("revoke_key", key),
        ("delete_person", one),
    ]
    assert {(entry["actor"], entry["outcome"]) for entry in written} == {("local", "ok")}
    assert "Rumpelstilz" not in json.dumps(written)
    check = client.get("/audit/verify").json()["data"]
    assert (check["whole"], check["faults"], check["cuts"]) == (True, [], [])
    assert check["head"] == f"{written[-1]['number']}:{written[-1]['hash']}"


def test_pages_lead_through_the_whole_log(client: httpx.Client) -> None:
    for _ in range(3):
        client.post("/keys", json={"role": "viewer"})
    numbers: list[int] = []
    before = None
    while True:
        page = client.get("/audit", params={"limit": 2} | ({"before": before} if before else {})).json()["data"]
        numbers += [entry["number"] for entry in page["entries"]]
        before = page["next_before"]
        if before is None:
            break
    assert numbers == list(range(len(numbers), 0, -1))
    assert len(numbers) >= 3


def test_it_is_written_before_the_reply(start_server: Callable[..., Server], photos: Mapping[str, Path]) -> None:
    server = start_server()
    files = {"image": photos["obama"].read_bytes()}
    person = httpx.post(f"{server.api}/register", data={"name": "A"}, files=files, timeout=60).json()["data"]
    server.process.kill()
    server.process.wait()
    again = start_server()
    with httpx.Client(base_url=again.api, timeout=60) as client:
        assert [(entry["operation"], entry["subject"]) for entry in entries(client)] == [
            ("register", person["person_id"])
        ]
        # Who shows what is refused, and which keys were wrong, is written down too.
        key = client.post("/keys", json={"role": "viewer"}).json()["data"]
        admin = client.post("/keys", json={"role": "admin"}).json()["data"]
    again.stop()
    locked = start_server(require_key=True)
    with httpx.Client(base_url=locked.api, timeout=60) as client:
        client.delete(f"/persons/{person['person_id']}", headers={"X-API-Key": key["key"]})
        client.get("/persons", headers={"X-API-Key": "wrong"})
        client.post("/session", json={"key": "wrong"})
        client.get("/persons")
        client.post("/session", json={"key": admin["key"]})
        assert [
            tuple(entry[key] for key in ("actor", "operation", "subject", "outcome")) for entry in entries(client, 3)
        ] == [
            (key["key_id"], "delete_person", person["person_id"], "FORBIDDEN"),
            ("unknown", "authenticate", "127.0.0.1", "UNAUTHENTICATED"),
            ("unknown", "sign_in", "127.0.0.1", "UNAUTHENTICATED"),
            (admin["key_id"], "sign_in", None, "ok"),
        ]
        # A log that cannot be written is told, and the server recovers.
        obstacle = locked.data_dir / f"{audit.FILE_NAME}.new"
        obstacle.mkdir()
        reply = client.post("/keys", json={"role": "viewer"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "NOT_ACCOUNTED")
        obstacle.rmdir()
        assert client.post("/keys", json={"role": "viewer"}).status_code == 200


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"before": 0}, {"before": 2**63}, {"before": "x"}])
def test_bad_pages_are_refused(client: httpx.Client, query: dict[str, Any]) -> None:
    assert client.get("/audit", params=query).status_code == 422
