"""Section 3 of the contract, over real sockets: the WebSocket."""

from __future__ import annotations

import base64
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image as PillowImage
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.api.conftest import Server


@pytest.fixture
def live(server: Server) -> Iterator[ClientConnection]:
    """A connection to the server."""
    with connect(server.live, max_size=None) as connection:
        yield connection


def ask(connection: ClientConnection, message: str | bytes | dict[str, Any]) -> dict[str, Any]:
    """Send, and wait for the reply."""
    connection.send(json.dumps(message) if isinstance(message, dict) else message)
    reply: dict[str, Any] = json.loads(connection.recv(timeout=20))
    return reply


def frame(path: Path, **extra: Any) -> dict[str, Any]:
    """The documented message."""
    return {"type": "frame", "data": base64.b64encode(path.read_bytes()).decode(), **extra}


def small(path: Path) -> bytes:
    """The photo as a webcam would send it."""
    buffer = io.BytesIO()
    with PillowImage.open(path) as image:
        image.resize((480, 600)).save(buffer, "JPEG")
    return buffer.getvalue()


def no_face() -> bytes:
    """A frame of noise."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    PillowImage.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_person_is_recognised_in_frames(
    client: httpx.Client, live: ClientConnection, photos: Mapping[str, Path]
) -> None:
    fields = {"name": "John Doe", "relationship": "Friend"}
    registered = client.post("/register", data=fields, files={"image": photos["obama"].read_bytes()}).json()["data"]
    reply = ask(live, frame(photos["obama2"]))
    assert (reply["type"], reply["face_detected"], reply["dropped"]) == ("identification", True, 0)
    assert reply["match"] == {
        "person_id": registered["person_id"],
        "name": "John Doe",
        "relationship": "Friend",
        "confidence": reply["match"]["confidence"],
    }
    assert "frame_id" not in reply
    rest = client.post("/identify", files={"image": photos["obama2"].read_bytes()}).json()["data"]
    assert [face.pop("track_id") for face in reply["faces"] + rest["faces"]] == [1, None]
    assert [face["unknown_id"] for face in reply["faces"]] == [None]
    for key in ("match", "faces", "image", "face_detected"):
        assert reply[key] == rest[key]
    assert ask(live, frame(photos["biden"]))["match"] is None
    nobody = ask(live, no_face())
    assert (nobody["face_detected"], nobody["match"], nobody["faces"]) == (False, None, [])


@pytest.mark.parametrize("frame_id", [7, "a", None, {"x": [1]}, 0, False])
def test_a_frame_id_is_echoed(live: ClientConnection, photos: Mapping[str, Path], frame_id: Any) -> None:
    assert ask(live, frame(photos["obama"], frame_id=frame_id))["frame_id"] == frame_id
    assert ask(live, {"type": "frame", "frame_id": frame_id})["frame_id"] == frame_id


def test_data_urls_binary_messages_and_wrapped_base64_are_accepted(
    live: ClientConnection, photos: Mapping[str, Path]
) -> None:
    content = photos["obama"].read_bytes()
    encoded = base64.b64encode(content).decode()
    for message in (
        content,
        {"type": "frame", "data": f"data:image/jpeg;base64,{encoded}"},
        {"type": "frame", "data": base64.encodebytes(content).decode()},
        {"type": "frame", "data": encoded.rstrip("=")},
    ):
        assert ask(live, message)["face_detected"] is True


@pytest.mark.parametrize(
    "message,code",
    [
        ("no json", "VALIDATION_ERROR"),
        ("[" * 100_000, "VALIDATION_ERROR"),
        ("[]", "VALIDATION_ERROR"),
        ("1", "VALIDATION_ERROR"),
        ({"type": "other"}, "VALIDATION_ERROR"),
        ({"type": "frame"}, "VALIDATION_ERROR"),
        ({"type": "frame", "data": 5}, "VALIDATION_ERROR"),
        ({"type": ["frame"], "data": "x"}, "VALIDATION_ERROR"),
        ({"type": "frame", "data": "%%%"}, "INVALID_IMAGE"),
        ({"type": "frame", "data": "é"}, "INVALID_IMAGE"),
        ({"type": "frame", "data": ""}, "INVALID_IMAGE"),
        ({"type": "frame", "data": "aGVsbG8="}, "INVALID_IMAGE"),
        (b"", "INVALID_IMAGE"),
        (b"junk", "INVALID_IMAGE"),
        (b"\xff\xd8\xff" + bytes(10 * 2**20), "IMAGE_TOO_LARGE"),
    ],
)
def test_a_bad_message_gets_an_error_and_the_connection_goes_on(
    live: ClientConnection, photos: Mapping[str, Path], message: str | bytes | dict[str, Any], code: str
) -> None:
    reply = ask(live, message)
    assert (reply["type"], reply["error"]["code"]) == ("error", code)
    assert reply["timestamp"].endswith("Z")
    assert reply["error"]["message"]
    assert ask(live, frame(photos["obama"]))["type"] == "identification"


def test_a_message_beyond_all_limits_closes_only_its_own_connection(server: Server, live: ClientConnection) -> None:
    with connect(server.live) as other, pytest.raises(ConnectionClosed):
        other.send(bytes(20 * 2**20))
        other.recv(timeout=10)
    assert ask(live, no_face())["type"] == "identification"


def test_a_fast_client_gets_the_newest_frames_and_the_count_of_the_others(
    live: ClientConnection, photos: Mapping[str, Path]
) -> None:
    content = base64.b64encode(small(photos["obama"])).decode()
    count = 60
    for number in range(count):
        live.send(json.dumps({"type": "frame", "data": content, "frame_id": number}))
    replies: list[dict[str, Any]] = []
    while not replies or replies[-1]["frame_id"] != count - 1:
        replies.append(json.loads(live.recv(timeout=20)))
    ids = [reply["frame_id"] for reply in replies]
    assert ids == sorted(ids)
    assert len(replies) + sum(reply["dropped"] for reply in replies) == count


def test_a_client_that_waits_loses_nothing(live: ClientConnection, photos: Mapping[str, Path]) -> None:
    content = small(photos["obama"])
    assert sum(ask(live, content)["dropped"] for _ in range(15)) == 0


def test_a_flood_keeps_nobody_out(server: Server, client: httpx.Client, photos: Mapping[str, Path]) -> None:
    content = small(photos["obama"])
    end = threading.Event()

    def flood() -> None:
        with connect(server.live, compression=None) as connection:
            reader = threading.Thread(target=lambda: [None for _ in connection], daemon=True)
            reader.start()
            while not end.is_set():
                connection.send(content)

    floods = [threading.Thread(target=flood, daemon=True) for _ in range(2)]
    for thread in floods:
        thread.start()
    try:
        with connect(server.live) as patient:
            replies = [ask(patient, content) for _ in range(5)]
        assert [reply["dropped"] for reply in replies] == [0] * 5
        started = time.monotonic()
        assert client.get("/health").status_code == 200
        assert time.monotonic() - started < 1
        assert client.post("/identify", files={"image": content}).json()["data"]["face_detected"] is True
        assert time.monotonic() - started < 5
    finally:
        end.set()
        for thread in floods:
            thread.join(10)


def test_frames_of_streams_take_no_place_of_requests(
    start_server: Callable[..., Server], photos: Mapping[str, Path]
) -> None:
    server, content = start_server(max_pending=1), small(photos["obama"])
    with ExitStack() as stack:
        streams = [stack.enter_context(connect(server.live)) for _ in range(6)]
        for _ in range(2):
            for stream in streams:
                stream.send(content)
            reply = httpx.post(f"{server.api}/identify", files={"image": content}, timeout=30)
            assert reply.status_code == 200
            for stream in streams:
                assert json.loads(stream.recv(timeout=20))["type"] == "identification"


def test_a_stranger_before_the_camera_can_be_dismissed(
    client: httpx.Client, live: ClientConnection, photos: Mapping[str, Path]
) -> None:
    content = small(photos["biden"])
    ask(live, content)
    (unknown, *_) = client.get("/unknowns").json()["data"]["unknowns"]
    path = f"/unknowns/{unknown['unknown_id']}"
    assert client.delete(path).json()["data"] == {"unknown_id": unknown["unknown_id"], "deleted": True}
    ask(live, content)
    ids = [entry["unknown_id"] for entry in client.get("/unknowns").json()["data"]["unknowns"]]
    assert unknown["unknown_id"] not in ids
    assert client.delete(path).status_code == 404


def test_a_long_message_is_read_as_any_other(live: ClientConnection, photos: Mapping[str, Path]) -> None:
    content = photos["obama"].read_bytes() + bytes(6 * 2**20)
    encoded = base64.encodebytes(content).decode()
    reply = ask(live, {"type": "frame", "data": encoded, "frame_id": 9})
    assert (reply["type"], reply["frame_id"]) == ("identification", 9)
    assert ask(live, "x" * 2**20)["error"]["code"] == "VALIDATION_ERROR"


def test_the_server_says_nothing_unasked(live: ClientConnection) -> None:
    with pytest.raises(TimeoutError):
        live.recv(timeout=0.5)


def test_a_client_that_never_reads_harms_nobody(
    server: Server, live: ClientConnection, photos: Mapping[str, Path]
) -> None:
    def memory_mb() -> float:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024

    content = small(photos["obama"])
    ask(live, content)
    before = memory_mb()
    deaf = socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    key = base64.b64encode(b"0123456789abcdef").decode()
    deaf.sendall(
        f"GET /ws/identify HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    while not deaf.recv(4096).endswith(b"\r\n\r\n"):
        pass
    deaf.settimeout(0.2)
    junk = b"\x81\x84\0\0\0\0junk" * 2000
    end = time.monotonic() + 4
    while time.monotonic() < end:
        try:
            deaf.sendall(junk)
        except TimeoutError:
            break
    started = time.monotonic()
    assert ask(live, content)["type"] == "identification"
    assert time.monotonic() - started < 2
    assert memory_mb() - before < 60
    deaf.close()


def test_too_many_connections_are_told_to_try_later(
    start_server: Callable[..., Server], photos: Mapping[str, Path]
) -> None:
    server = start_server(max_connections=2)
    with connect(server.live) as one, connect(server.live) as two:
        for connection in (one, two):
            assert ask(connection, no_face())["type"] == "identification"
        with connect(server.live) as third:
            with pytest.raises(ConnectionClosed):
                third.recv(timeout=10)
            assert third.close_code == 1013
    time.sleep(0.2)
    with connect(server.live) as again:
        assert ask(again, no_face())["type"] == "identification"


def test_a_stranger_in_a_frame_can_be_named_by_the_id_that_the_face_carries(
    server: Server, client: httpx.Client, live: ClientConnection, photos: Mapping[str, Path]
) -> None:
    def waiting() -> set[str]:
        return {unknown["unknown_id"] for unknown in client.get("/unknowns").json()["data"]["unknowns"]}

    with connect(server.live) as another_camera:
        (elsewhere,) = ask(another_camera, frame(photos["astronaut"]))["faces"]
    (face,) = ask(live, frame(photos["astronaut"]))["faces"]
    assert face["status"] == "unknown"
    assert {face["unknown_id"], elsewhere["unknown_id"]} <= waiting()
    reply = client.post(f"/unknowns/{face['unknown_id']}/register", data={"name": "Eileen"})
    assert reply.status_code == 200
    (known,) = ask(live, frame(photos["astronaut"]))["faces"]
    assert (known["match"]["name"], known["unknown_id"]) == ("Eileen", None)
    assert elsewhere["unknown_id"] not in waiting(), "what another camera saw of the same face is known too"


def test_a_stranger_in_a_frame_can_be_confirmed_as_someone_who_is_remembered(
    client: httpx.Client, live: ClientConnection, photos: Mapping[str, Path]
) -> None:
    files = {"image": photos["obama"].read_bytes()}
    person = client.post("/register", data={"name": "Eileen"}, files=files).json()["data"]
    (face,) = ask(live, frame(photos["astronaut"]))["faces"]
    path = f"/unknowns/{face['unknown_id']}/confirm"
    for wrong in ({}, {"person_id": None}, {"person_id": person["person_id"], "more": 1}):
        assert client.post(path, json=wrong).status_code == 422
    assert client.post(path, json={"person_id": "nobody"}).json()["error"]["code"] == "PERSON_NOT_FOUND"
    confirmed = client.post(path, json={"person_id": person["person_id"].upper()}).json()["data"]
    assert (confirmed["person_id"], confirmed["embedding_count"]) == (person["person_id"], 2)
    assert [warning["code"] for warning in confirmed["warnings"]] == ["DOES_NOT_FIT"]
    (known,) = ask(live, frame(photos["astronaut"]))["faces"]
    assert (known["match"]["name"], known["unknown_id"]) == ("Eileen", None)
    assert client.post(path, json={"person_id": person["person_id"]}).json()["data"] == confirmed
    assert client.post(f"/undo/{confirmed['undo_id']}").status_code == 200
    assert client.post(path, json={"person_id": person["person_id"]}).json()["error"]["code"] == "NOT_FOUND"
    assert client.get(f"/persons/{person['person_id']}").json()["data"]["embedding_count"] == 1
