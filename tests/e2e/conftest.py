"""A real browser before a real server: Debian's Chromium, whose camera plays videos made from the test pictures."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Response,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.api.conftest import Server, start
from tests.e2e import scenes

CHROMIUM = shutil.which("chromium")
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"

PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}

expect.set_options(timeout=10_000)

_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
]

_RECORD_SPEECH = """
window.spoken = [];
let touched = false;
for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => { touched = true; }, { capture: true });
Object.defineProperty(navigator, "userActivation", { value: { get hasBeenActive() { return touched; } } });
const voice = { voiceURI: "test", name: "Test", lang: "en-GB", localService: true, default: true };
const german = { ...voice, voiceURI: "test-de", lang: "de-DE" };
class Utterance extends EventTarget {
  constructor(text) { super(); this.text = text; }
}
const speech = Object.assign(new EventTarget(), {
  speaking: false, pending: false, paused: false,
  getVoices: () => [voice, german],
  speak(utterance) {
    window.spoken.push(utterance.text);
    setTimeout(() => { utterance.onstart?.({}); utterance.onend?.({}); }, 50);
  },
  cancel() {}, pause() {}, resume() {},
});
Object.defineProperty(window, "speechSynthesis", { value: speech });
Object.defineProperty(window, "SpeechSynthesisUtterance", { value: Utterance });
"""
"""Headless Chromium has no voice: `window.spoken` holds what a voice would have said. Whatever Playwright evaluates
counts as a touch of the page; here only a real one does."""

_WATCH_POLICY = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


def launch(playwright: Playwright, camera: Camera) -> Browser:
    """Start Chromium with a camera that plays the video."""
    arguments = [
        *_QUIET,
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera.video}",
    ]
    return playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser the journeys cannot be made."""
    if CHROMIUM is None:
        reason = "no Chromium; on Debian: apt-get install chromium"
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


def wait_for(page: Page, expression: str) -> None:
    """Wait until something is so in a page. Playwright's own way needs `eval`, which the page's policy forbids."""
    end = time.monotonic() + 10
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"never: {expression}"
        page.wait_for_timeout(50)


class Camera:
    """The browser's fake camera. It plays what is shown from the next time that a page opens it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.video = folder / "camera.mjpeg"
        self.show("nobody")

    def show(self, scene: str) -> None:
        """Put a scene of `scenes.SCENES` before it."""
        made = self._folder / f"{scene}.mjpeg"
        if not made.is_file():
            scenes.write_video(scene, made)
        part = self._folder / "next.mjpeg"
        part.unlink(missing_ok=True)
        part.hardlink_to(made)
        part.replace(self.video)


@dataclass
class Visits:
    """Opens the page, as a phone or a desktop would, and watches what it does."""

    browser: Browser
    server: Server
    contexts: list[BrowserContext] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()
    """Parts of complaints that the test itself brings about."""

    def open(self, path: str = "/", *, camera: bool = True, voice: bool = True, **options: Any) -> Page:
        """A new visitor opens a screen. Options are those of a browser context: viewport, color_scheme …"""
        options = {"viewport": DESKTOP, "service_workers": "block", "locale": "en-GB", **options}
        context = self.browser.new_context(base_url=self.server.url, **options)
        context.set_default_timeout(10_000)
        self.contexts.append(context)
        if camera:
            context.grant_permissions(["camera"], origin=self.server.url)
        context.add_init_script(_WATCH_POLICY + (_RECORD_SPEECH if voice else ""))
        context.on("request", lambda request: self._check_origin(request.url))
        context.on("response", self._check_reply)
        page = context.new_page()
        self.pages.append(page)
        page.on("websocket", lambda socket: self._check_origin(socket.url))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", self._check_console)
        page.goto(path)
        return page

    def verify(self) -> None:
        """Nothing went elsewhere, nothing broke the policy, nothing failed but what the test expected."""
        for page in self.pages:
            if not page.is_closed():
                violations = page.evaluate("window.violations")
                self.complaints += [f"policy: {violation}" for violation in violations]
        unexpected = [text for text in self.complaints if not any(part in text for part in self.expected)]
        assert unexpected == []

    def close(self) -> None:
        """End all visits."""
        for context in self.contexts:
            context.close()

    def _check_reply(self, reply: Response) -> None:
        if reply.status >= 400:
            self.complaints.append(f"refused: {reply.status} {reply.request.method} {reply.url}")

    def _check_console(self, said: ConsoleMessage) -> None:
        # What did not load is told by `_check_reply`, with its address.
        if said.type == "error" and not said.text.startswith("Failed to load resource"):
            self.complaints.append(f"console: {said.text}")

    def _check_origin(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("blob", "data") and parts.netloc != urlsplit(self.server.url).netloc:
            self.complaints.append(f"elsewhere: {url}")


@dataclass
class Home:
    """A server whose bank can be filled."""

    server: Server

    def client(self) -> httpx.Client:
        """A client of the API."""
        return httpx.Client(base_url=self.server.api, timeout=60)

    def register(self, name: str, *people: scenes.Person, relationship: str = "", remember: str = "") -> str:
        """Register someone by a photo each; returns the person's id."""
        files = [("image", (f"{i}.jpg", scenes.photo(p), "image/jpeg")) for i, p in enumerate(people)]
        data = {"name": name, "relationship": relationship}
        if remember:
            data["metadata"] = json.dumps({"remember": remember})
        with self.client() as client:
            reply = client.post("/register", data=data, files=files)
            assert reply.status_code == 200, reply.text
            return str(reply.json()["data"]["person_id"])

    def empty(self) -> None:
        """Forget everybody."""
        with self.client() as client:
            for person in client.get("/persons", params={"limit": 200}).json()["data"]["persons"]:
                client.delete(f"/persons/{person['person_id']}")


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Camera:
    """What the browser's camera sees."""
    return Camera(tmp_path_factory.mktemp("camera"))


@pytest.fixture(scope="module")
def browser(camera: Camera) -> Iterator[Browser]:
    """One Chromium for the journeys of a file; each visit has a profile of its own. While it lives, Playwright's
    event loop runs in this thread, and no other test could start one."""
    with sync_playwright() as playwright, launch(playwright, camera) as browser:
        yield browser


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One server for the journeys of a file."""
    running = start(tmp_path_factory.mktemp("home") / "data")
    yield Home(running)
    running.stop()


@pytest.fixture
def visits(browser: Browser, home: Home) -> Iterator[Visits]:
    """Opens pages of `home`; afterwards nothing may have gone elsewhere, broken the policy or failed."""
    visits = Visits(browser, home.server)
    yield visits
    try:
        visits.verify()
    finally:
        visits.close()


@pytest.fixture
def check_axe() -> Callable[[Page], None]:
    """Checks what a page shows now against WCAG 2.2 A and AA, by axe."""

    def check(page: Page) -> None:
        # Evaluated by the browser's own debugger, so the policy of the page stays as it is.
        page.evaluate(AXE.read_text(encoding="utf-8"))
        results = page.evaluate(
            """() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] })"""
        )
        found = [
            f"{violation['id']}: {violation['help']}: {[node['html'][:160] for node in violation['nodes']]}"
            for violation in results["violations"]
        ]
        assert found == []

    return check
