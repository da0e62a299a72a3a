"""A page of another server in the same browser: it gets nothing out of a Visage that asks for no key."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from playwright.sync_api import Browser, Download

from tests.e2e import scenes
from tests.e2e.conftest import Home

ATTACKS = {
    "link": "location = url",
    "link to save": "Object.assign(document.createElement('a'), { href: url, download: 'x' }).click()",
    "window": "open(url)",
    "form": "put('form', { action: url }).submit()",
    "posted form": "put('form', { action: url, method: 'POST' }).submit()",
    "frame": "put('iframe', { src: url })",
    "sandboxed frame": "put('iframe', { sandbox: 'allow-downloads', src: url })",
    "embed": "put('embed', { src: url, type: 'text/html' })",
    "object": "put('object', { data: url })",
    "picture": "put('img', { src: url })",
    "script": "put('script', { src: url })",
    "fetch": "fetch(url, { mode: 'no-cors' })",
    "posted fetch": "fetch(url, { mode: 'no-cors', method: 'POST' })",
}
WORST = {"link", "posted form", "picture"}


class _Foreign(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """An empty page, whatever is asked for."""
        content = b"<!doctype html><title>Nice pictures</title><button>Go</button>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def foreign() -> Iterator[int]:
    """The port of another server on this computer."""
    server = HTTPServer(("127.0.0.1", 0), _Foreign)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"], ids=["same site", "cross site"])
def test_a_foreign_page_lets_the_browser_save_and_show_nobody(
    browser: Browser, home: Home, foreign: int, name: str
) -> None:
    home.empty()
    person_id = home.register("Barack", scenes.OBAMA)
    with home.client() as client:
        photo = client.get(f"/persons/{person_id}").json()["data"]["photos"][0]["url"]
        before = len(client.get("/audit").json()["data"]["entries"])
    paths = ["/api/v1/export", f"/api/v1/persons/{person_id}/export", "/api/v1/backup", photo]
    saved: list[str] = []

    def save(download: Download) -> None:
        saved.append(download.url)

    context = browser.new_context()
    answers: dict[str, set[int]] = {}
    context.on("response", lambda reply: answers.setdefault(reply.url.rstrip("?"), set()).add(reply.status))

    context.on("page", lambda opened: opened.on("download", save))
    page = context.new_page()
    for path in paths:
        url = home.server.url + path
        for attack, script in ATTACKS.items():
            if attack not in WORST and (path != paths[0] or name == "localhost"):
                continue
            page.goto(f"http://{name}:{foreign}/")
            with context.expect_event(
                "request", lambda request, url=url: request.url.rstrip("?") == url, timeout=5000
            ):
                page.evaluate(
                    """([script, url]) => {
                      const put = (tag, values) =>
                        document.body.appendChild(Object.assign(document.createElement(tag), values));
                      const attack = new Function("url", "put", script);
                      document.querySelector("button").onclick = () => attack(url, put);
                    }""",
                    [script, url],
                )
                page.get_by_role("button").click()
            assert saved == [], (attack, path)
            for popup in context.pages[1:]:
                popup.close()
    page.goto(f"http://{name}:{foreign}/")
    assert {path: answers.get(home.server.url + path) for path in paths} == {path: {403} for path in paths}
    assert saved == []
    with home.client() as client:
        assert len(client.get("/audit").json()["data"]["entries"]) == before
    context.close()


def test_a_typed_address_saves_nobody_and_the_page_does(browser: Browser, home: Home) -> None:
    saved: list[str] = []
    context = browser.new_context(base_url=home.server.url)
    page = context.new_page()
    page.on("download", lambda download: saved.append(download.url))
    for path in ("/api/v1/export", "/api/v1/export?person_id=x"):
        reply = page.goto(path)
        assert reply is not None
        assert reply.status == 403
    page.goto("/settings")
    with page.expect_download():
        page.get_by_role("button", name="Save a copy of everything").click()
    assert len(saved) == 1
    context.close()
