"""Bounds of what one client can take from the others: faces, seconds, memory, connections."""

from __future__ import annotations

import json
import re
import resource
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image as PillowImage
from websockets.sync.client import connect

from tests.api.conftest import VISAGE, Server, free_port, start
from tests.attacks.bombs import encoded
from tests.attacks.conftest import answer, error, peak
from visage.cli.client import trusting

MAX_FACES = 5
MAX_CONNECTIONS = 40
ELSEWHERE = "127.0.0.2"
"""Another address of this computer: another client."""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux",
    reason="other addresses than 127.0.0.1 are this computer's, and /proc is there, in Linux only",
)

Crowd = Callable[[int, int], PillowImage.Image]


@pytest.fixture(scope="module")
def crowd(photos: Mapping[str, Path]) -> Crowd:
    """Makes a square picture, so many pixels wide, full of one face, in fields of so many pixels."""

    def make(side: int, field: int) -> PillowImage.Image:
        picture = PillowImage.new("RGB", (side, side))
        with PillowImage.open(photos["obama"]) as image:
            face = image.convert("RGB").crop((275, 90, 755, 570)).resize((field, field))
        for left in range(0, side - field + 1, field):
            for top in range(0, side - field + 1, field):
                picture.paste(face, (left, top))
        return picture

    return make


def files(picture: PillowImage.Image) -> dict[str, bytes]:
    """A form with it."""
    return {"image": encoded(picture, "JPEG", quality=60)}


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with small limits."""
    folder = tmp_path_factory.mktemp("narrow")
    running = start(folder / "data", max_faces=MAX_FACES, max_connections_per_address=MAX_CONNECTIONS)
    yield running
    assert running.stop() == 0
    log = (folder / "server.log").read_text()
    assert "Traceback" not in log
    assert log.count("A connection was refused") <= 2  # a minute each


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that speaks HTTPS."""
    running = start_https(tmp_path_factory.mktemp("secure"))
    yield running
    assert running.stop() == 0


def dial(server: Server, source: str = ELSEWHERE) -> socket.socket:
    """A connection from an address."""
    return socket.create_connection(
        ("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=20, source_address=(source, 0)
    )


def dial_securely(server: Server, tls: ssl.SSLContext, source: str = ELSEWHERE) -> ssl.SSLSocket:
    """The same, to HTTPS."""
    return tls.wrap_socket(dial(server, source), server_hostname="127.0.0.1")


def served_from(server: Server, source: str) -> bool:
    """Is somebody at an address served?"""
    try:
        with httpx.Client(transport=httpx.HTTPTransport(local_address=source)) as client:
            return client.get(f"{server.api}/health", timeout=20).status_code == 200
    except httpx.TransportError:
        return False


def open_files(server: Server) -> int:
    """How many it has open, connections among them."""
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Does it hold in time?"""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.1)
    return False


@dataclass
class Deaf:
    """What goes on beside the other tests: the files that the servers had open before, and replies."""

    open_before: int
    open_before_secure: int
    script_bytes: int
    slow_sign_in: Future[tuple[int, bytes]]
    slow_readers: list[Future[tuple[int, float]]]


def sign_in_slowly(server: Server) -> tuple[int, bytes]:
    """Send a long body in ten seconds, never pausing for long; the reply's status and body."""
    with closing(dial(server, "127.0.0.3")) as slow:
        slow.sendall(b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n")
        for _ in range(20):
            try:
                slow.sendall(b" " * 3000)
            except OSError:
                break
            if select.select([slow], [], [], 0.5)[0]:
                break
        return answer(slow)


def script_of(server: Server) -> tuple[str, int]:
    """The path and the bytes of the page's script, the largest file that is served."""
    page = httpx.get(f"{server.url}/").text
    sizes = {path: len(httpx.get(server.url + path).content) for path in re.findall(r'src="([^"]+)"', page)}
    path = max(sizes, key=lambda each: sizes[each])
    assert sizes[path] > 250_000  # more than the system holds
    return path, sizes[path]


def ask_for(script: str, *, close: bool = False) -> bytes:
    """A request."""
    how = "close" if close else "keep-alive"
    return f"GET {script} HTTP/1.1\r\nHost: localhost\r\nConnection: {how}\r\n\r\n".encode()


def read_slowly(client: socket.socket, script: str, size: int) -> tuple[int, float]:
    """Read a large reply at once and three more at a steady 25 kB a second; the bytes and the seconds."""
    begun, came = time.monotonic(), 0
    with closing(client):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        client.sendall(ask_for(script) * 3 + ask_for(script, close=True))
        try:
            while chunk := client.recv(4096):
                came += len(chunk)
                time.sleep(max(0.0, (came - size) / 25_000 - (time.monotonic() - begun)))
        except OSError:
            pass
    return came, time.monotonic() - begun


@pytest.fixture(scope="module", autouse=True)
def deaf(narrow: Server, secure: Server) -> Iterator[Deaf]:
    """As many clients as one address may have ask for a large file again and again, and read nothing of it; other
    tests pass the time in which they are let go."""
    script, size = script_of(narrow)
    before, before_secure, clients = open_files(narrow), open_files(secure), []
    tls = trusting(secure.data_dir)
    for _ in range(MAX_CONNECTIONS):
        client = dial(narrow)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(ask_for(script) * 16)
        clients.append(client)
    for number in range(MAX_CONNECTIONS):
        client = dial_securely(secure, tls)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(ask_for(script, close=number % 2 == 0) * (1 + 15 * (number % 4 > 1)))
        clients.append(client)
    try:
        assert within(20, lambda: open_files(narrow) > before + MAX_CONNECTIONS / 2)
        with ThreadPoolExecutor(3) as pool:
            yield Deaf(
                before,
                before_secure,
                size,
                pool.submit(sign_in_slowly, narrow),
                [
                    pool.submit(read_slowly, dial(narrow, "127.0.0.5"), script, size),
                    pool.submit(read_slowly, dial_securely(secure, tls, "127.0.0.5"), script, size),
                ],
            )
    finally:
        for client in clients:
            client.close()


def test_of_a_crowd_the_largest_faces_are_looked_at_and_the_others_counted(narrow: Server, crowd: Crowd) -> None:
    picture = crowd(1300, 130)
    picture.paste(picture.crop((0, 0, 130, 130)).resize((260, 260)), (390, 390))
    with httpx.Client(base_url=narrow.api, timeout=60) as client:
        for route in ("identify", "detect"):
            data = client.post(f"/{route}", files=files(picture)).json()["data"]
            assert len(data["faces"]) == MAX_FACES
            assert data["faces_passed_over"] > 50
            assert max(face["box"]["width"] for face in data["faces"]) > 120
        few = client.post("/identify", files=files(picture.crop((390, 390, 650, 650)))).json()["data"]
        assert (len(few["faces"]), few["faces_passed_over"]) == (1, 0)
        taken = client.post("/register", data={"name": "A"}, files=files(picture))
        assert taken.status_code == 200 or len(taken.json()["error"]["details"]["faces"]) <= MAX_FACES
    with connect(narrow.live) as live:
        for shift in (0, 65, 30):  # other faces are largest, and those before are followed
            live.send(files(picture.crop((shift, shift, 1300, 1300)))["image"])
            reply = json.loads(live.recv(60))
            assert len(reply["faces"]) <= MAX_FACES
            assert reply["faces_passed_over"] > 50


def test_who_opens_too_many_connections_is_told_and_others_are_served(narrow: Server) -> None:
    idle = [dial(narrow, "127.0.0.4") for _ in range(MAX_CONNECTIONS)]
    with closing(dial(narrow, "127.0.0.4")) as more:
        more.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, body = answer(more)
    assert served_from(narrow, "127.0.0.1")
    for each in idle:
        each.close()
    refusal = json.loads(body)["error"]
    assert (status, refusal["code"]) == (429, "RATE_LIMITED")
    assert "VISAGE_MAX_CONNECTIONS_PER_ADDRESS" in refusal["message"]
    assert within(20, lambda: served_from(narrow, "127.0.0.4"))


def test_a_picture_that_takes_too_long_is_refused(tmp_path: Path, crowd: Crowd) -> None:
    server = start(tmp_path / "data", max_faces=1000, max_work_s=1)
    try:
        huge = files(crowd(4900, 145))
        for route in ("identify", "register"):
            reply = httpx.post(f"{server.api}/{route}", data={"name": "A"}, files=huge, timeout=60)
            assert error(reply) == (413, "TOO_MUCH_WORK")
            assert "VISAGE_MAX_WORK_S" in reply.json()["error"]["message"]
        with connect(server.live, max_size=None) as live:
            live.send(huge["image"])
            assert json.loads(live.recv(60))["error"]["code"] == "TOO_MUCH_WORK"
        # The next one is served: no run of a network was left half done.
        assert len(httpx.post(f"{server.api}/identify", files=files(crowd(200, 200))).json()["data"]["faces"]) == 1
    finally:
        assert server.stop() == 0


def test_work_that_nobody_waits_for_is_left(tmp_path: Path, crowd: Crowd) -> None:
    server = start(tmp_path / "data", max_faces=1000, max_work_s=600)
    huge, small = files(crowd(7000, 145)), files(crowd(200, 200))
    request = httpx.Request("POST", f"{server.api}/identify", files=huge)
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    try:
        with closing(dial(server)) as goes:
            goes.sendall(f"POST /api/v1/identify HTTP/1.1\r\n{head}\r\n".encode() + request.read())
            assert within(20, lambda: threads_busy(server))
        begun = time.monotonic()
        assert httpx.post(f"{server.api}/identify", files=small, timeout=120).status_code == 200
        assert time.monotonic() - begun < 10
        with connect(server.live, max_size=None) as live:
            live.send(huge["image"])
            assert within(20, lambda: threads_busy(server))
        begun = time.monotonic()
        assert httpx.post(f"{server.api}/identify", files=small, timeout=120).status_code == 200
        assert time.monotonic() - begun < 10
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(httpx.post, f"{server.api}/identify", files=huge, timeout=120)
            assert within(20, lambda: threads_busy(server))
            begun = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - begun < 12
            assert error(asked.result()) == (503, "NOT_READY")
    finally:
        server.stop()


def threads_busy(server: Server) -> bool:
    """Is it at work?"""
    stat = Path(f"/proc/{server.process.pid}/stat")
    before = sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13]))
    time.sleep(0.3)
    return sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13])) - before > 5


def test_refused_pictures_are_not_kept_and_streams_get_their_turns(
    server: Server, client: httpx.Client, crowd: Crowd
) -> None:
    flat = encoded(PillowImage.new("RGB", (7000, 7000), "grey"), "PNG", compress_level=1)
    frame = files(crowd(200, 200))["image"]
    done = threading.Event()

    def register() -> httpx.Response:
        try:
            return client.post("/register", data={"name": "A"}, files=[("image", flat)] * 3)
        finally:
            done.set()

    with peak(server, below_mb=420), ThreadPoolExecutor(1) as pool, connect(server.live) as live:
        live.send(frame)
        live.recv(60)
        asked = pool.submit(register)
        answered = 0
        while not done.is_set():
            live.send(frame)
            live.recv(60)
            answered += 1
            time.sleep(0.02)
        assert error(asked.result()) == (400, "NO_FACE_DETECTED")
    assert answered >= 3
    with peak(server, below_mb=420):
        assert error(client.post("/verify", files={"image": flat, "image_2": flat})) == (400, "NO_FACE_DETECTED")


def start_https(folder: Path) -> Server:
    """A server that speaks HTTPS."""
    data_dir, port = folder / "data", free_port()
    command = [str(VISAGE), "serve", "--https", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen([*command, "--data-dir", str(data_dir)], stdout=log, stderr=log)
    server = Server(process, f"https://127.0.0.1:{port}", data_dir)
    assert within(60, lambda: served_securely(server))
    return server


def served_securely(server: Server) -> bool:
    """Is somebody who trusts the server served?"""
    try:
        reply = httpx.get(f"{server.api}/health", verify=trusting(server.data_dir), timeout=10)
    except httpx.TransportError:
        return False
    return reply.status_code == 200


def test_clients_that_read_no_reply_are_let_go(narrow: Server, deaf: Deaf) -> None:
    assert within(25, lambda: open_files(narrow) < deaf.open_before + MAX_CONNECTIONS / 2)
    assert served_from(narrow, ELSEWHERE)


def test_clients_that_read_no_reply_over_https_are_let_go(secure: Server, deaf: Deaf) -> None:
    assert within(25, lambda: open_files(secure) < deaf.open_before_secure + MAX_CONNECTIONS / 4)
    assert "pause_writing" not in (secure.data_dir.parent / "server.log").read_text()


def test_clients_that_never_shake_hands_keep_nobody_out(secure: Server, deaf: Deaf) -> None:
    log = secure.data_dir.parent / "server.log"
    limit = open_files(secure) + 300
    resource.prlimit(secure.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
    silent = [dial(secure, f"127.0.0.{2 + number % 20}") for number in range(700)]
    assert within(30, lambda: served_securely(secure))
    for each in silent:
        each.close()
    assert log.stat().st_size < 20_000
    assert log.read_text().count("out of system resource") == 1


def test_who_signs_in_gets_a_few_seconds_for_it(deaf: Deaf) -> None:
    status, _ = deaf.slow_sign_in.result(timeout=20)
    assert status == 408


def test_a_client_that_reads_slowly_gets_all_of_its_replies(deaf: Deaf) -> None:
    for reader in deaf.slow_readers:
        came, seconds = reader.result(timeout=60)
        assert came > 4 * deaf.script_bytes
        assert seconds > 30
