"""What the contract says in passing: HEAD, and that a request may be repeated."""

from __future__ import annotations

import httpx
import pytest
from websockets.sync.client import connect

from tests import photos
from tests.api.conftest import Server, client, server

__all__ = ["client", "server"]


def picture(name: str) -> bytes:
    return (photos.FOLDER / photos.PHOTOS[name][0]).read_bytes()


@pytest.mark.parametrize("path", ["/health", "/persons", "/bank/report", "/settings", "/unknowns", "/session"])
def test_head_is_wherever_get_is(client: httpx.Client, path: str) -> None:
    reply = client.head(path)
    assert (reply.status_code, reply.content) == (200, b"")


@pytest.mark.parametrize("word", ["confirm", "register"])
def test_what_is_said_of_an_unknown_face_may_be_said_again(client: httpx.Client, server: Server, word: str) -> None:
    person_id = client.post("/register", data={"name": "Ann"}, files={"image": picture("obama")}).json()["data"][
        "person_id"
    ]
    with connect(server.live) as camera:
        for _ in range(3):
            camera.send(picture("biden"))
            camera.recv(timeout=20)
        unknown_id = client.get("/unknowns").json()["data"]["unknowns"][0]["unknown_id"]
        body = {"json": {"person_id": person_id}} if word == "confirm" else {"data": {"name": "Bob"}}
        first, again = (client.post(f"/unknowns/{unknown_id}/{word}", **body) for _ in range(2))
    assert first.status_code == 200
    assert again.status_code == 200, again.text
    assert again.json()["data"]["person_id"] == first.json()["data"]["person_id"]
