"""What the house does to a server: no network, a full disk, no more open files."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.api.conftest import start

ROOT = Path(__file__).parents[2]

IN_A_HOUSE_WITHOUT_NETWORK = """
import fcntl, json, socket, struct, sys
from pathlib import Path
import httpx
from websockets.sync.client import connect
from tests.api.conftest import start

with socket.socket() as any_socket:  # ip link set lo up: a new network namespace has nothing else
    request = struct.pack("16sh", b"lo", 0x1)
    fcntl.ioctl(any_socket, 0x8914, request)
server = start(Path(sys.argv[1]))
own, other = (Path(path).read_bytes() for path in sys.argv[2:4])
registered = httpx.post(f"{server.api}/register", data={"name": "Obama"}, files={"image": own}, timeout=60)
named = httpx.post(f"{server.api}/identify", files={"image": other}, timeout=60)
with connect(server.live) as camera:
    camera.send(other)
    live = json.loads(camera.recv(timeout=60))
page, docs = httpx.get(server.url), httpx.get(f"{server.url}/docs")
print(json.dumps([registered.status_code, named.json()["data"]["match"]["name"], live["match"]["name"],
                  page.status_code, docs.status_code, server.stop()]))
"""


def test_everything_works_in_a_network_namespace_without_a_route(photos: Mapping[str, Path], tmp_path: Path) -> None:
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces need root")
    command = ["unshare", "--net", sys.executable, "-c", IN_A_HOUSE_WITHOUT_NETWORK, str(tmp_path / "data")]
    done = subprocess.run(
        [*command, str(photos["obama"]), str(photos["obama2"])],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == '[200, "Obama", "Obama", 200, 200, 0]', done.stderr


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own, in memory."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=False).returncode:
        pytest.skip("mounting needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def register(client: httpx.Client, name: str, photo: Path) -> httpx.Response:
    """Register someone."""
    return client.post("/register", data={"name": name}, files={"image": photo.read_bytes()})


def names(client: httpx.Client) -> set[str]:
    """Who is registered."""
    return {person["name"] for person in client.get("/persons").json()["data"]["persons"]}


def refused(reply: httpx.Response) -> bool:
    """With the code of a bank that cannot be written, in words that help."""
    error = reply.json()["error"]
    return reply.status_code == 503 and error["code"] == "BANK_ERROR" and "nothing was changed" in error["message"]


def test_a_full_disk_is_told_and_recovers_without_a_restart(photos: Mapping[str, Path], tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64m"):
        running = start(tmp_path / "disk" / "data")
        try:
            with httpx.Client(base_url=running.api, timeout=60) as client:
                assert register(client, "Obama", photos["obama"]).status_code == 200
                filler = tmp_path / "disk" / "filler"
                with filler.open("wb") as file, pytest.raises(OSError, match="No space"):
                    while True:
                        os.write(file.fileno(), bytes(4096))
                assert refused(register(client, "Biden", photos["biden"]))
                assert client.post("/identify", files={"image": photos["obama2"].read_bytes()}).json()["data"][
                    "match"
                ]
                assert client.get("/health").status_code == 200
                filler.unlink()
                assert register(client, "Astronaut", photos["astronaut"]).status_code == 200
                assert names(client) == {"Obama", "Astronaut"}
        finally:
            assert running.stop() == 0


def test_no_more_open_files_is_told_and_recovers(photos: Mapping[str, Path], tmp_path: Path) -> None:
    running = start(tmp_path / "data")
    try:
        with httpx.Client(base_url=running.api, timeout=60) as client:
            assert register(client, "Obama", photos["obama"]).status_code == 200
            pid = running.process.pid
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            highest = max(int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir())
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, before[1]))
            reply = register(client, "Biden", photos["biden"])
            assert (reply.status_code, reply.json()["error"]["code"]) == (503, "BANK_ERROR")
            assert client.get("/health").status_code == 200
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            assert register(client, "Biden", photos["biden"]).status_code == 200
            assert names(client) == {"Obama", "Biden"}
    finally:
        assert running.stop() == 0
