"""Starting, ending, being killed, being overloaded: the process as a whole."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import VISAGE, Server, free_port, start
from visage.api.wire.listening import Connections, Gate, listen
from visage.api.wire.middleware import RequestId
from visage.api.wire.security import keys_required
from visage.settings import Settings
from visage.storage.folder import FILE_NAME

ADDRESSES = [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")]


def test_a_registered_person_survives_a_kill(start_server: Callable[..., Server], photos: Mapping[str, Path]) -> None:
    server = start_server()
    files = {"image": photos["obama"].read_bytes()}
    person = httpx.post(f"{server.api}/register", data={"name": "A"}, files=files, timeout=60).json()["data"]
    server.process.kill()
    server.process.wait()
    again = start_server()
    found = httpx.post(f"{again.api}/identify", files={"image": photos["obama3"].read_bytes()}, timeout=60).json()
    assert found["data"]["match"]["person_id"] == person["person_id"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_requests_in_flight(
    start_server: Callable[..., Server], photos: Mapping[str, Path], number: int
) -> None:
    server = start_server()
    content = photos["obama3"].read_bytes()
    with ThreadPoolExecutor(4) as pool:
        requests = [
            pool.submit(httpx.post, f"{server.api}/identify", files={"image": content}, timeout=60) for _ in range(4)
        ]
        time.sleep(0.25)
        assert server.stop(number) == 0
        assert [request.result().status_code for request in requests] == [200] * 4


def test_a_second_server_on_the_same_bank_is_refused(start_server: Callable[..., Server], tmp_path: Path) -> None:
    first = start_server()
    command = [str(VISAGE), "serve", "--port", str(free_port()), "--data-dir", str(first.data_dir)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "Another Visage is using this bank" in second.stderr
    assert "Traceback" not in second.stderr
    assert httpx.get(f"{first.api}/health").status_code == 200


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [str(VISAGE), "serve", "--port", str(taken.getsockname()[1]), "--data-dir", str(tmp_path / "d")]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_host_that_there_is_not_is_one_clear_line(tmp_path: Path) -> None:
    command = [str(VISAGE), "serve", "--host", "no host", "--port", "0", "--data-dir", str(tmp_path)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert "VISAGE_HOST, 'no host', is no address or name" in ran.stderr
    with pytest.raises(OSError, match=r"VISAGE_HOST, 'a\.\.b', is no"):
        listen("a..b", 0, Connections(5, proxied=False), speaks_http=True)


def test_no_host_is_every_address_and_asks_for_a_key(tmp_path: Path) -> None:
    assert keys_required(Settings(host="", data_dir=tmp_path))
    gates = listen("", free_port(), Connections(5, proxied=False), speaks_http=True)
    bound = {gate.getsockname()[0] for gate in gates}
    for gate in gates:
        gate.close()
    assert bound in ({"0.0.0.0"}, {"0.0.0.0", "::"})


@pytest.mark.parametrize("lacks", ["socket", "bind"])
def test_an_address_of_a_family_that_the_system_lacks_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    """A kernel without IPv6, and one in which it is switched off."""
    make, bind = Gate.__init__, Gate.bind

    def made(self: Gate, family: int, *args: Any, **kwargs: Any) -> None:
        if family == socket.AF_INET6 and lacks == "socket":
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        make(self, family, *args, **kwargs)

    def bound(self: Gate, address: Any) -> None:
        if self.family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        bind(self, address)

    monkeypatch.setattr(Gate, "__init__", made)
    monkeypatch.setattr(Gate, "bind", bound, raising=False)
    both = [(family, socket.SOCK_STREAM, 6, "", (name, 0)) for family, name in ADDRESSES]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    (gate,) = listen("localhost", 0, Connections(5, proxied=False), speaks_http=True)
    assert gate.getsockname()[0] == "127.0.0.1"
    gate.close()
    del both[1]
    with pytest.raises(OSError, match="localhost port 0 cannot be served on"):
        listen("localhost", 0, Connections(5, proxied=False), speaks_http=True)


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system takes names in UTF-8 only")
def test_a_data_folder_whose_name_is_not_text_is_served(tmp_path: Path, photos: Mapping[str, Path]) -> None:
    data_dir = tmp_path / os.fsdecode(b"caf\xe9") / "data"
    data_dir.parent.mkdir()
    server = start(data_dir)
    try:
        with photos["obama"].open("rb") as image:
            reply = httpx.post(f"{server.api}/register", data={"name": "A"}, files={"image": image}, timeout=60)
        assert reply.status_code == 200
    finally:
        assert server.stop() == 0
    assert len(list((data_dir / "compiled").iterdir())) == 3


def test_a_request_that_is_cancelled_is_told_that_the_server_stops() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def cancel() -> None:
        begun = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        request = asyncio.create_task(RequestId(app)({"type": "http", "headers": []}, receive, send))
        await begun.wait()
        request.cancel()  # as Uvicorn does with what has not ended in time
        await request

    asyncio.run(cancel())
    assert (sent[0]["status"], json.loads(sent[1]["body"])["error"]["code"]) == (503, "NOT_READY")
    assert b"x-request-id" in dict(sent[0]["headers"])


def test_a_damaged_bank_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"damaged" * 1000)
    command = [str(VISAGE), "serve", "--port", str(free_port()), "--data-dir", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "damaged" in ended.stderr
    assert (tmp_path / FILE_NAME).read_bytes() == b"damaged" * 1000


def test_it_answers_503_until_it_is_ready(tmp_path: Path) -> None:
    port = free_port()
    command = [str(VISAGE), "serve", "--port", str(port), "--data-dir", str(tmp_path / "d")]
    statuses: list[int] = []
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 60
            while (not statuses or statuses[-1] != 200) and time.monotonic() < end:
                try:
                    reply = httpx.get(f"http://127.0.0.1:{port}/api/v1/health")
                except httpx.TransportError:
                    continue
                statuses.append(reply.status_code)
                if reply.status_code == 503:
                    assert reply.json()["error"]["code"] == "NOT_READY"
                    assert reply.headers["Retry-After"]
        finally:
            process.terminate()
    assert set(statuses) == {503, 200}


def test_more_requests_than_it_takes_on_get_429_and_the_others_are_served(
    start_server: Callable[..., Server], photos: Mapping[str, Path]
) -> None:
    server = start_server(max_pending=3)
    content = photos["obama3"].read_bytes()

    def ask(_: int) -> httpx.Response:
        return httpx.post(f"{server.api}/identify", files={"image": content}, timeout=60)

    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(ask, range(32)))
    statuses = {reply.status_code for reply in replies}
    assert statuses == {200, 429}
    refused = next(reply for reply in replies if reply.status_code == 429)
    assert refused.json()["error"]["code"] == "RATE_LIMITED"
    assert refused.headers["Retry-After"]


def test_reading_the_bank_does_not_wait_for_the_models(
    start_server: Callable[..., Server], photos: Mapping[str, Path]
) -> None:
    server = start_server()
    content = photos["obama3"].read_bytes()
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            httpx.post(f"{server.api}/identify", files={"image": content}, timeout=60)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(load)
        time.sleep(0.3)
        times = []
        for _ in range(40):
            start = time.monotonic()
            assert httpx.get(f"{server.api}/persons").status_code == 200
            times.append(time.monotonic() - start)
        stop.set()
    assert sorted(times)[len(times) // 2] < 0.1


def test_nothing_is_logged_that_names_a_person(
    start_server: Callable[..., Server], photos: Mapping[str, Path], tmp_path: Path
) -> None:
    server = start_server(log_level="debug")
    files = {"image": photos["obama"].read_bytes()}
    httpx.post(
        f"{server.api}/register", data={"name": "Rumpelstilz", "relationship": "Oheim"}, files=files, timeout=60
    )
    httpx.get(f"{server.api}/persons", params={"query": "Rumpelstilz"})
    httpx.post(f"{server.api}/identify", files=files, timeout=60)
    server.stop()
    log = (tmp_path / "server.log").read_text()
    assert "Visage answers on" in log
    assert "Rumpelstilz" not in log
    assert "Oheim" not in log


def test_it_serves_where_the_system_lacks_what_only_linux_has(
    start_server: Callable[..., Server], photos: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS: the server and the commands that are promised there, with what is missing there taken away."""
    (tmp_path / "macos").mkdir()
    (tmp_path / "macos" / "sitecustomize.py").write_text(
        "import mmap, os, signal, socket\n"
        "for module, names in {\n"
        "    os: ('sched_getaffinity', 'sched_setaffinity', 'fdatasync', 'posix_fadvise', 'posix_fallocate',\n"
        "         'memfd_create', 'eventfd', 'pidfd_open', 'O_TMPFILE', 'O_DIRECT', 'getrandom'),\n"
        "    socket: ('TCP_KEEPIDLE', 'TCP_USER_TIMEOUT', 'SO_BINDTODEVICE', 'AF_NETLINK'),\n"
        "    mmap: ('MAP_POPULATE',), signal: ('sigwaitinfo', 'sigtimedwait', 'pidfd_send_signal'),\n"
        "}.items():\n"
        "    for name in names:\n"
        "        if hasattr(module, name):\n"
        "            delattr(module, name)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "macos"))
    server = start_server()
    files = {"image": photos["obama"].read_bytes()}
    httpx.post(f"{server.api}/register", data={"name": "A"}, files=files, timeout=60).raise_for_status()
    found = httpx.post(f"{server.api}/identify", files={"image": photos["obama3"].read_bytes()}, timeout=60).json()
    assert found["data"]["match"]["name"] == "A"
    assert server.stop() == 0
    for command in (["doctor"], ["persons", "list"], ["backup", str(tmp_path / "b.visage")]):
        done = subprocess.run(
            [VISAGE, *command, "--data-dir", str(tmp_path / "data")], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_nothing_connects_to_anywhere(tmp_path: Path, photos: Mapping[str, Path]) -> None:
    program = f"""
import sys
NETWORK = "socket.connect", "socket.getaddrinfo"
sys.addaudithook(lambda event, args: print(event, *args[1:]) if event in NETWORK else None)
from visage.cli import app
for command in (["register", "Barack", {str(photos["obama"])!r}], ["identify", {str(photos["obama2"])!r}]):
    app([*command, "--data-dir", {str(tmp_path)!r}], standalone_mode=False)
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("127.0.0.1", 9))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "Barack" in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("socket.")] == [
        "socket.connect ('127.0.0.1', 9)"  # the last line: what connects is seen
    ]
