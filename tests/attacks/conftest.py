"""What the attacks share: one server that has to survive all of them, its memory, and sockets without manners."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import Server, start

MB = 2**20


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of all attacks; at the end it still ends in order, and has logged no bug."""
    folder = tmp_path_factory.mktemp("attacked")
    running = start(folder / "data")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in (folder / "server.log").read_text()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of that server, whose bank is empty again."""
    with httpx.Client(base_url=server.api, timeout=60) as client:
        for person in client.get("/persons", params={"limit": 200}).json()["data"]["persons"]:
            client.delete(f"/persons/{person['person_id']}")
        yield client


@dataclass
class Peak:
    """How far a server's memory rose, MB; known when the block ends."""

    rose_mb: float = 0.0


def memory_mb(server: Server, what: str) -> float:
    """VmRSS, or VmHWM: the highest since it was last reset."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(what))) / 1024


@contextmanager
def peak(server: Server, below_mb: float) -> Iterator[Peak]:
    """The highest memory of the server inside the block, which must rise by less than that."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    before, seen = memory_mb(server, "VmRSS"), Peak()
    yield seen
    seen.rose_mb = memory_mb(server, "VmHWM") - before
    if log := os.environ.get("ATTACKS_LOG"):
        with Path(log).open("a") as file:
            file.write(f"{os.environ['PYTEST_CURRENT_TEST']}: +{seen.rose_mb:.1f} MB (bound {below_mb:.0f})\n")
    assert seen.rose_mb < below_mb


def connected(server: Server) -> socket.socket:
    """A bare socket to the server."""
    bare = socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=20)
    bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bare


def answer(bare: socket.socket) -> tuple[int, bytes]:
    """Status and body of one HTTP reply."""
    got = b""
    while b"\r\n\r\n" not in got:
        chunk = bare.recv(65536)
        assert chunk, got
        got += chunk
    head, _, body = got.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    size = int(next(line.split(b":")[1] for line in lines if line.startswith(b"content-length:")))
    while len(body) < size:
        body += bare.recv(65536)
    assert any(line.startswith(b"x-request-id:") for line in lines)
    return int(head.split()[1]), body


class BareLive:
    """A WebSocket client that sends whatever it likes, and reads only when asked to."""

    def __init__(self, server: Server, *, extensions: str | None = None, buffer_bytes: int | None = None) -> None:
        self.socket = connected(server)
        if buffer_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        offer = f"Sec-WebSocket-Extensions: {extensions}\r\n" if extensions else ""
        self.socket.sendall(
            f"GET /ws/identify HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{offer}"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
        )
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += self.socket.recv(1)
        assert self.head.startswith(b"HTTP/1.1 101 ")

    def send(self, *frames: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(b"".join(frames))

    def read(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame but pings."""
        while True:
            first, second = self._exactly(2)
            size = second
            if size == 126:
                (size,) = struct.unpack(">H", self._exactly(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", self._exactly(8))
            payload = self._exactly(size)
            if first & 15 != 9:
                return first & 15, payload

    def close_code(self) -> int:
        """Read until the server closes; its code."""
        while True:
            opcode, payload = self.read()
            if opcode == 8:
                code: int = struct.unpack(">H", payload[:2])[0]
                return code

    def _exactly(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            chunk = self.socket.recv(size - len(got))
            if not chunk:
                raise ConnectionResetError
            got += chunk
        return got


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, size: int | None = None) -> bytes:
    """A masked frame (the mask is 0); `size` may lie."""
    size = len(payload) if size is None else size
    first = bytes([(0x80 if fin else 0) | rsv | opcode])
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65536:
        length = b"\xfe" + struct.pack(">H", size)
    else:
        length = b"\xff" + struct.pack(">Q", size)
    return first + length + bytes(4) + payload


@pytest.fixture(scope="session", autouse=True)
def half_open(server: Server) -> Iterator[tuple[float, list[BareLive]]]:
    """Peers that fall silent at once, and when: the other tests pass the time in which they are reaped."""
    peers = [BareLive(server) for _ in range(3)]
    yield time.monotonic(), peers
    for peer in peers:
        peer.socket.close()


def error(reply: httpx.Response) -> tuple[int, Any]:
    """Status and code of a refusal in the envelope."""
    body = reply.json()
    assert body.keys() == {"success", "data", "error"}
    assert (body["success"], body["data"]) == (False, None), body
    assert reply.headers["X-Request-ID"]
    return reply.status_code, body["error"]["code"]
