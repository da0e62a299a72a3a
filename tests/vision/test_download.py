"""Fetching a file over HTTP from a real server on this computer, which breaks off, lies, or cannot resume."""

from __future__ import annotations

import fcntl
import hashlib
import resource
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from visage.errors import WeightsError
from visage.vision.download import download

CONTENT = bytes(range(256)) * 4000  # about 1 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Shelf:
    """What the server has and how it behaves, and what it was asked.

    Attributes:
        content: of the file.
        sends: bytes of each answer, in turn, before the connection is cut; None sends all.
        resumes: it honours Range.
        moved: it says once that the file is elsewhere.
        asked: (path, Range) of each request.
    """

    content: bytes = CONTENT
    sends: list[int | None] = field(default_factory=list)
    resumes: bool = True
    moved: bool = False
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@dataclass
class Site:
    """A running server."""

    shelf: Shelf
    url: str


def serve(shelf: Shelf) -> ThreadingHTTPServer:
    """A server of this shelf, on a free port; not yet running."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            shelf.asked.append((self.path, wanted))
            if self.path.endswith("/nothing"):
                self.send_error(404)
                return
            if shelf.moved and not self.path.endswith("/elsewhere"):
                self.send_response(302)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and shelf.resumes else 0
            size = len(shelf.content)
            if start >= size > 0 and wanted and shelf.resumes:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.send_header("Content-Length", str(size - start))
            self.end_headers()
            cut = shelf.sends.pop(0) if shelf.sends else None
            self.wfile.write(shelf.content[start:] if cut is None else shelf.content[start : start + cut])
            self.close_connection = cut is not None

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server with the file at /file."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    shelf = Shelf()
    server = serve(shelf)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Site(shelf, f"http://127.0.0.1:{server.server_port}/file")
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(site: Site, target: Path, *, sha256: str | None = SHA256, size: int | None = None) -> list[int]:
    """Download; returns how many bytes were said to be here, each time."""
    steps: list[int] = []
    download(site.url, target, sha256=sha256, size=size, on_progress=lambda have, _: steps.append(have))
    return steps


def test_a_file_arrives_whole_with_its_progress(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "new" / "net.onnx"
    steps = fetch(site, target, size=len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert steps == sorted(steps) and steps[-1] == len(CONTENT) and len(steps) > 1
    assert [path.name for path in target.parent.iterdir()] == ["net.onnx"]


def test_a_cut_connection_is_taken_up_where_it_broke(site: Site, tmp_path: Path) -> None:
    site.shelf.sends = [300_000, 200_000, None]
    fetch(site, tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == CONTENT
    assert [asked for _, asked in site.shelf.asked] == [None, "bytes=300000-", "bytes=500000-"]


def test_what_arrived_before_it_was_given_up_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    site.shelf.sends = [300_000, 0, 0, 0]
    with pytest.raises(WeightsError, match=r"Fetching from 127\.0\.0\.1 failed: .*the next try goes on"):
        fetch(site, tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()
    site.shelf.asked.clear()
    fetch(site, tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == CONTENT
    assert site.shelf.asked == [("/file", "bytes=300000-")]


def test_a_server_that_cannot_resume_is_asked_for_all_of_it(site: Site, tmp_path: Path) -> None:
    site.shelf.resumes = False
    site.shelf.sends = [300_000, None]
    fetch(site, tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == CONTENT


def test_a_server_that_always_breaks_off_at_the_same_place_is_given_up(site: Site, tmp_path: Path) -> None:
    site.shelf.resumes = False
    site.shelf.sends = [300_000] * 20
    with pytest.raises(WeightsError, match="failed"):
        fetch(site, tmp_path / "net.onnx")
    assert len(site.shelf.asked) == 4


def test_what_had_all_arrived_is_only_put_in_place(site: Site, tmp_path: Path) -> None:
    (tmp_path / "net.onnx.part").write_bytes(CONTENT)
    fetch(site, tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == CONTENT


@pytest.mark.parametrize("rest", [b"another file", CONTENT + b"too long"])
def test_a_rest_of_another_file_does_not_spoil_the_next_one(site: Site, tmp_path: Path, rest: bytes) -> None:
    (tmp_path / "net.onnx.part").write_bytes(rest)
    try:
        fetch(site, tmp_path / "net.onnx")
    except WeightsError:  # noticed by the hash; the next try starts from nothing
        assert not (tmp_path / "net.onnx").exists()
        fetch(site, tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == CONTENT


@pytest.mark.parametrize("before", [None, b"the old network"])
def test_another_file_is_refused_and_changes_nothing(site: Site, tmp_path: Path, before: bytes | None) -> None:
    target = tmp_path / "net.onnx"
    if before is not None:
        target.write_bytes(before)
    site.shelf.content = CONTENT[:-1] + b"!"
    with pytest.raises(WeightsError, match=r"What 127\.0\.0\.1 sent is not net\.onnx: its SHA-256 differs"):
        fetch(site, target)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([] if before is None else [before])


def test_a_file_of_another_size_is_refused_before_it_is_fetched(site: Site, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is not the expected file: 1,024,000 bytes, not 1,000"):
        fetch(site, tmp_path / "net.onnx", size=1000)
    assert not (tmp_path / "net.onnx").exists()


def test_a_server_without_the_file_is_told(site: Site, tmp_path: Path) -> None:
    site.url = site.url.replace("/file", "/nothing")
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1 answered 404"):
        fetch(site, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_server_out_of_reach_is_told(site: Site, tmp_path: Path) -> None:
    site.url = "http://127.0.0.1:9/file"  # the discard port; nobody serves there
    with pytest.raises(WeightsError, match=r"Fetching from 127\.0\.0\.1 failed"):
        fetch(site, tmp_path / "net.onnx")


def test_a_file_that_moved_is_followed(site: Site, tmp_path: Path) -> None:
    site.shelf.moved = True
    fetch(site, tmp_path / "net.onnx")
    assert [path for path, _ in site.shelf.asked] == ["/file", "/elsewhere"]


def test_a_proxy_of_the_environment_is_asked(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", site.url.removesuffix("/file"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    site.url = "http://models.example/file"
    fetch(site, tmp_path / "net.onnx")
    assert site.shelf.asked == [("http://models.example/file", None)]


def test_a_folder_that_cannot_be_made_is_told(site: Site, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(WeightsError, match=r"net\.onnx cannot be written: "):
        fetch(site, tmp_path / "models" / "net.onnx")
    assert site.shelf.asked == []


def test_a_disk_that_takes_no_more_is_told_and_the_rest_is_fetched_later(site: Site, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"the old network")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, limits[1]))
    try:
        with pytest.raises(WeightsError, match=r"net\.onnx cannot be written: File too large"):
            fetch(site, tmp_path / "net.onnx")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "net.onnx").read_bytes() == b"the old network"
    site.shelf.asked.clear()
    fetch(site, tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == CONTENT
    assert site.shelf.asked == [("/file", "bytes=500000-")]


def test_two_at_once_do_not_write_into_one_another(site: Site, tmp_path: Path) -> None:
    with (tmp_path / "net.onnx.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(WeightsError, match=r"net\.onnx is being fetched already"):
            fetch(site, tmp_path / "net.onnx")
    assert site.shelf.asked == []
