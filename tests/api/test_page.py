"""The page is served by the server itself, and cannot be made to serve anything else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from tests.api.conftest import Server
from visage.api import errors
from visage.api.wire import page

SCRIPT = b"console.log('hello');" * 100


class Pages:
    """The page of a folder, without a server around it."""

    def __init__(self, folder: Path) -> None:
        self._app = FastAPI()
        errors.install(self._app)
        page.install(self._app, folder)

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """GET it."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.get(f"http://localhost{path}", headers=headers)

        return asyncio.run(ask())


@pytest.fixture
def built(tmp_path: Path) -> Pages:
    """A built page, which is small."""
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>The page</title>")
    (folder / "assets" / "index-abc.js").write_bytes(SCRIPT)
    (folder / "sw.js").write_bytes(SCRIPT)
    (folder / "notes.txt").write_text("not of the page")
    (tmp_path / "secret.html").write_text("secret")
    return Pages(folder)


@pytest.mark.parametrize("path", ["/", "/people", "/people/9b2f", "/add", "/unknown", "/report", "/settings"])
def test_every_screen_is_the_document_under_a_strict_policy(built: Pages, path: str) -> None:
    reply = built.get(path)
    assert "The page" in reply.text
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["x-content-type-options"] == "nosniff"
    policy = dict(part.split(" ", 1) for part in reply.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in str(policy)
    assert "http" not in str(policy)


def test_hashed_files_are_kept_for_good_and_others_asked_for(built: Pages) -> None:
    hashed, worker = built.get("/assets/index-abc.js"), built.get("/sw.js")
    assert "immutable" in hashed.headers["cache-control"]
    assert worker.headers["cache-control"] == "no-cache"
    assert hashed.content == worker.content == SCRIPT
    unchanged = built.get("/sw.js", headers={"If-None-Match": worker.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["content-security-policy"]


def test_files_are_compressed_for_who_can_read_that(built: Pages) -> None:
    plain = built.get("/sw.js", headers={"Accept-Encoding": "identity"})
    packed = built.get("/sw.js", headers={"Accept-Encoding": "gzip"})
    assert plain.content == packed.content == SCRIPT
    assert "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) < len(SCRIPT)


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/v1/no-such-thing",
        "/people/a/b",
        "/notes.txt",
        "/assets/",
        "/assets/none.js",
        "/../secret.html",
        "/assets/%2e%2e/%2e%2e/secret.html",
        "//secret.html",
    ],
)
def test_what_is_not_of_the_page_is_not_there(built: Pages, path: str) -> None:
    reply = built.get(path)
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "NOT_FOUND"


def test_a_browser_gets_the_page_where_nothing_is_which_says_so(built: Pages) -> None:
    headers = {"Accept": "text/html,application/xhtml+xml"}
    reply = built.get("/nix", headers=headers)
    assert (reply.status_code, reply.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert reply.content == built.get("/").content
    assert reply.headers["content-security-policy"]
    assert built.get("/api/v1/nix", headers=headers).json()["error"]["code"] == "NOT_FOUND"


def test_without_a_build_it_says_how_to_get_the_page(tmp_path: Path) -> None:
    reply = Pages(tmp_path / "nothing").get("/")
    assert "make serve" in reply.text
    assert "Node 20" in reply.text
    assert reply.headers["content-security-policy"]


def test_the_server_serves_it_before_it_is_ready_and_keeps_the_envelope_elsewhere(server: Server) -> None:
    first = httpx.get(server.url)
    assert first.status_code == 200
    assert "<title>Visage</title>" in first.text
    missing = httpx.get(f"{server.url}/no-such-page")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "NOT_FOUND"
    assert httpx.post(server.url).json()["error"]["code"] == "METHOD_NOT_ALLOWED"
