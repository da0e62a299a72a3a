"""A real server: the product's own command in a process of its own, on a free port and an empty bank."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

VISAGE = Path(sys.executable).parent / "visage"


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    url: str
    data_dir: Path

    @property
    def api(self) -> str:
        """Where the REST API is."""
        return f"{self.url}/api/v1"

    @property
    def live(self) -> str:
        """Where the WebSocket is."""
        return self.url.replace("http", "ws", 1) + "/ws/identify"

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=40)


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(data_dir: Path, *, port: int | None = None, **settings: object) -> Server:
    """Start `visage serve` and wait until it answers; on a free port, unless one is given."""
    port = port or free_port()
    environment = os.environ | {f"VISAGE_{name.upper()}": str(value) for name, value in settings.items()}
    with (data_dir.parent / "server.log").open("ab") as log:
        command = [str(VISAGE), "serve", "--port", str(port), "--data-dir", str(data_dir)]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    server = Server(process, f"http://127.0.0.1:{port}", data_dir)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if httpx.get(f"{server.api}/health").status_code == 200:
                return server
        except httpx.TransportError:
            pass
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise RuntimeError((data_dir.parent / "server.log").read_text())


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers on this test's bank; ends what still runs."""
    started: list[Server] = []

    def start_it(**settings: Any) -> Server:
        started.append(start(tmp_path / "data", **settings))
        return started[-1]

    yield start_it
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a file."""
    running = start(tmp_path_factory.mktemp("server") / "data")
    yield running
    assert running.stop() == 0


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of that server, whose bank is empty again."""
    with httpx.Client(base_url=server.api, timeout=60) as client:
        for person in client.get("/persons", params={"limit": 200}).json()["data"]["persons"]:
            client.delete(f"/persons/{person['person_id']}")
        yield client
