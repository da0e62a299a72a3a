"""Hostile WebSocket clients, on bare sockets."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.api.conftest import Server
from tests.attacks.bombs import encoded, noise
from tests.attacks.conftest import MB, BareLive, frame, peak
from visage.api.wire.websocket import KEEPALIVE_S, MAX_FRAGMENTS

TEXT, BINARY, CLOSE, PING, PONG, MORE = 1, 2, 8, 9, 10, 0


OpenLive = Callable[..., BareLive]


@pytest.fixture
def open_live(server: Server) -> Iterator[OpenLive]:
    """Opens bare WebSockets; closes what is still open."""
    opened: list[BareLive] = []

    def open_it(**options: Any) -> BareLive:
        opened.append(BareLive(server, **options))
        return opened[-1]

    yield open_it
    for live in opened:
        live.socket.close()


def assert_others_are_served(server: Server) -> None:
    """Another client gets its answer soon."""
    started = time.monotonic()
    with connect(server.live) as other:
        other.send(encoded(noise(320, 240), "JPEG"))
        assert json.loads(other.recv(timeout=10))["type"] == "identification"
    assert time.monotonic() - started < 3


def error_code(live: BareLive) -> str:
    """The code of the next message, an error."""
    opcode, payload = live.read()
    message = json.loads(payload)
    assert (opcode, message["type"]) == (TEXT, "error")
    code: str = message["error"]["code"]
    return code


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(BINARY, size=2**40), 1009),
        (frame(BINARY, size=20 * MB), 1009),
        (frame(TEXT, bytes(8 * MB), fin=False) + frame(MORE, bytes(8 * MB), fin=False), 1009),
        (frame(TEXT, b"\xff\xfe\xfd"), 1007),
        (frame(TEXT, "ü".encode()[:1]), 1007),
        (frame(3, b"a"), 1002),
        (frame(BINARY, b"a", rsv=0x20), 1002),
        (frame(PING, bytes(126)), 1002),
        (frame(PING, b"", fin=False), 1002),
        (frame(MORE, b"a"), 1002),
        (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
        (b"\x81\x04junk", 1002),
        (b"GET / HTTP/1.1\r\n\r\n", 1002),
        (frame(CLOSE, b"\x03"), 1002),
    ],
    ids=["2⁴⁰ bytes", "20 MB", "too long in fragments", "no UTF-8", "half a character", "unknown opcode",
         "reserved bit", "long ping", "fragmented ping", "continued from nothing", "two at once", "not masked",
         "HTTP", "half a code"],
)  # fmt: skip
def test_a_frame_against_the_protocol_closes_its_own_connection(
    server: Server, open_live: OpenLive, sent: bytes, code: int
) -> None:
    with peak(server, below_mb=60):
        live = open_live()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            live.send(sent)
        assert live.close_code() == code
    assert_others_are_served(server)


@pytest.mark.parametrize("fragment", [b"", b"a"])
def test_fragments_without_end_are_refused(server: Server, open_live: OpenLive, fragment: bytes) -> None:
    with peak(server, below_mb=20):
        live = open_live()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            live.send(frame(TEXT, b"", fin=False))
            for _ in range(100):
                live.send(frame(MORE, fragment, fin=False) * 1000)
        assert live.close_code() == 1009
    assert_others_are_served(server)


def test_a_message_in_as_many_fragments_as_allowed_is_read(server: Server, open_live: OpenLive) -> None:
    live = open_live()
    image = encoded(noise(320, 240), "JPEG")
    step = -(-len(image) // MAX_FRAGMENTS)
    pieces = [image[at : at + step] for at in range(0, len(image), step)]
    last = len(pieces) - 1
    live.send(*[frame(MORE if at else BINARY, piece, fin=at == last) for at, piece in enumerate(pieces)])
    assert json.loads(live.read()[1])["type"] == "identification"


def test_compression_is_not_offered_and_a_compressed_bomb_is_not_inflated(
    server: Server, open_live: OpenLive
) -> None:
    live = open_live(extensions="permessage-deflate; client_max_window_bits")
    assert b"permessage-deflate" not in live.head.lower()
    deflater = zlib.compressobj(9, wbits=-15)
    bomb = deflater.compress(bytes(100 * MB)) + deflater.flush(zlib.Z_SYNC_FLUSH)
    with peak(server, below_mb=10):
        live.send(frame(BINARY, bomb[:-4], rsv=0x40))
        assert live.close_code() == 1002
    assert_others_are_served(server)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(BINARY, b""), "INVALID_IMAGE"),
        (frame(BINARY, bytes(range(256)) * 100), "INVALID_IMAGE"),
        (frame(BINARY, b"\xff\xd8\xff" + bytes(12 * MB)), "IMAGE_TOO_LARGE"),
        (frame(TEXT, b""), "VALIDATION_ERROR"),
        (frame(TEXT, b"\0" * 1000), "VALIDATION_ERROR"),
        (frame(TEXT, b"[" * 200_000), "VALIDATION_ERROR"),
        (frame(TEXT, b'{"type":"frame","data":' + b"[" * 2_000_000), "VALIDATION_ERROR"),
        (frame(TEXT, b'{"type":"frame","data":' + b"9" * 100_000 + b"}"), "VALIDATION_ERROR"),
        (frame(TEXT, b'{"type":"frame","data":[]}'), "VALIDATION_ERROR"),
        (frame(TEXT, b'{"type":{"frame":1},"data":"a"}'), "VALIDATION_ERROR"),
        (frame(TEXT, b'{"type":"frame","data":"\xc3\xa9"}'), "INVALID_IMAGE"),
        (frame(TEXT, b'{"type":"frame","data":"data:image/svg+xml,<svg/>"}'), "INVALID_IMAGE"),
    ],
    ids=["empty", "junk", "12 MB", "no text", "NULs", "deep", "deep data", "long number", "list", "type", "é", "SVG"],
)
def test_a_bad_message_gets_an_error_and_the_connection_goes_on(
    server: Server, open_live: OpenLive, sent: bytes, code: str
) -> None:
    live = open_live()
    with peak(server, below_mb=80):
        live.send(sent)
        assert error_code(live) == code
        live.send(frame(BINARY, encoded(noise(), "JPEG")))
        assert json.loads(live.read()[1])["type"] == "identification"


@pytest.mark.parametrize("frame_id", ["[" * 500 + "]" * 500, '"\\ud800"', "NaN", "1e999", '"' + "a" * 100_000 + '"'])
def test_a_strange_frame_id_is_echoed_or_refused(server: Server, open_live: OpenLive, frame_id: str) -> None:
    live = open_live()
    image = base64.b64encode(encoded(noise(), "JPEG")).decode()
    live.send(frame(TEXT, f'{{"type":"frame","frame_id":{frame_id},"data":"{image}"}}'.encode()))
    assert json.loads(live.read()[1])["type"] in {"identification", "error"}
    live.send(frame(BINARY, encoded(noise(), "JPEG")))
    assert json.loads(live.read()[1])["type"] == "identification"


def test_10000_frames_in_a_burst_are_answered_or_counted(server: Server, open_live: OpenLive) -> None:
    live = open_live()
    image = encoded(noise(), "JPEG", quality=30)
    last = json.dumps({"type": "frame", "data": base64.b64encode(image).decode(), "frame_id": "last"}).encode()
    with peak(server, below_mb=60):
        live.send(frame(BINARY, image) * 9_999, frame(TEXT, last))
        replies = [json.loads(live.read()[1])]
        while replies[-1].get("frame_id") != "last":
            replies.append(json.loads(live.read()[1]))
    assert len(replies) + sum(reply["dropped"] for reply in replies) == 10_000
    assert_others_are_served(server)


def flood(live: BareLive, content: bytes, seconds: float) -> int:
    """Send without reading until nothing is taken any more, or the time is over; bytes sent."""
    live.socket.settimeout(0.5)
    sent, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            sent += live.socket.send(content)
        except (TimeoutError, ConnectionError):
            break
    return sent


@pytest.mark.parametrize(
    "content",
    [frame(PING, bytes(125)) * 500, frame(TEXT, b"junk") * 5000, frame(BINARY, b"junk") * 5000],
    ids=["pings", "bad messages", "bad pictures"],
)
def test_a_client_that_never_reads_fills_no_memory(server: Server, open_live: OpenLive, content: bytes) -> None:
    live = open_live(buffer_bytes=4096)
    with peak(server, below_mb=25):
        flood(live, content, 2)
        assert_others_are_served(server)
    live.socket.close()


def test_pings_are_answered(server: Server, open_live: OpenLive) -> None:
    live = open_live()
    live.send(frame(PING, b"there?"))
    assert live.read() == (PONG, b"there?")


def test_connections_that_open_and_break_leave_nothing_behind(server: Server, open_live: OpenLive) -> None:
    with peak(server, below_mb=30):
        for number in range(300):
            live = open_live()
            live.send(frame(BINARY, b"x" * number, fin=False)[: number % 40 + 1])
            if number % 2:
                live.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
            live.socket.close()
    assert_others_are_served(server)


def test_a_half_open_peer_is_let_go(server: Server, half_open: tuple[float, list[BareLive]]) -> None:
    since, peers = half_open
    time.sleep(max(0.0, since + 2 * KEEPALIVE_S + 2 - time.monotonic()))
    for peer in peers:
        assert peer.close_code() == 1011
    assert_others_are_served(server)
