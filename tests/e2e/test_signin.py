"""Signing in and out, in a real browser before a server that asks for a key."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.api.conftest import VISAGE, Server, start
from tests.e2e.conftest import DESKTOP, PHONE, Camera, Visits

SCREENS = {
    "/people": "People",
    "/add": "Add a person",
    "/unknown": "Unknown",
    "/report": "How well Visage knows everybody",
    "/settings": "Settings",
    "/people/00000000-0000-0000-0000-000000000000": "People",
    "/": "Live",
}


@dataclass
class Locked:
    """A server that asks for a key, and its first key, an admin's."""

    server: Server
    key: str

    def ask(self, method: str, path: str, **more: object) -> dict[str, object]:
        """Call the API with that key; gives the data of the reply."""
        reply = httpx.request(method, self.server.api + path, headers={"X-API-Key": self.key}, timeout=30, **more)  # type: ignore[arg-type]
        reply.raise_for_status()
        data: dict[str, object] = reply.json()["data"]
        return data

    def new_key(self) -> tuple[str, str]:
        """The id of a key for an editor's tablet, and the key."""
        made = self.ask("POST", "/keys", json={"role": "editor", "label": "tablet"})
        return str(made["key_id"]), str(made["key"])


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """One locked server for the tests of this file."""
    data = tmp_path_factory.mktemp("locked") / "data"
    call: list[str | Path] = [VISAGE, "keys", "create", "--role", "admin", "--json", "--data-dir", data]
    made = subprocess.run(call, capture_output=True, text=True, timeout=60, check=True)
    server = start(data, require_key=True)
    yield Locked(server, json.loads(made.stdout)["key"])
    server.stop()


@pytest.fixture
def visits(browser: Browser, locked: Locked) -> Iterator[Visits]:
    """Opens pages of that server."""
    visits = Visits(browser, locked.server, expected=("refused: 401", "refused: 404", "WebSocket"))
    yield visits
    try:
        visits.verify()
    finally:
        visits.close()


def sign_in(page: Page, key: str) -> None:
    """Enter a key."""
    expect(page.get_by_role("heading", name="Welcome to Visage")).to_be_visible()
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Open").click()


def sign_out(page: Page) -> None:
    """By the button in the settings."""
    page.get_by_role("navigation").wait_for()
    if page.get_by_role("button", name="More").is_visible():
        page.get_by_role("button", name="More").click()
        page.get_by_role("dialog").get_by_role("link", name="Settings").click()
    else:
        page.get_by_role("navigation").get_by_role("link", name="Settings").click()
    page.get_by_role("button", name="Sign out").click()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_signing_in_and_out_takes_effect_at_once_on_every_screen(
    visits: Visits, locked: Locked, size: ViewportSize
) -> None:
    page = visits.open("/people", camera=False, viewport=size)
    loads: list[str] = []
    page.on("load", lambda _: loads.append(page.url))
    for path, title in SCREENS.items():
        page.goto(path)
        sign_in(page, locked.key)
        expect(page.get_by_role("heading", level=1)).to_contain_text(title)
        expect(page.locator("main")).to_be_focused()
        assert page.url == locked.server.url + path
        page.context.clear_cookies()
    assert len(loads) == len(SCREENS), "no screen was loaded a second time"
    page.goto("/")
    for _ in range(2):
        sign_in(page, locked.key)
        sign_out(page)
        expect(page.get_by_label("Key")).to_be_focused()
        expect(page.get_by_label("Key")).to_have_value("")
        expect(page.get_by_role("navigation")).to_have_count(0)


def test_a_wrong_key_is_said_and_the_right_one_then_opens(
    visits: Visits, locked: Locked, check_axe: Callable[[Page], None]
) -> None:
    page = visits.open("/people", camera=False, viewport=PHONE, color_scheme="dark", reduced_motion="reduce")
    sign_in(page, "no such key")
    expect(page.get_by_text("This key does not fit.")).to_be_visible()
    check_axe(page)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(DESKTOP)
    check_axe(page)
    page.get_by_label("Key").fill(locked.key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="People")).to_be_visible()


def test_live_asks_for_a_key_as_soon_as_its_own_is_taken_away(visits: Visits, locked: Locked, camera: Camera) -> None:
    camera.show("nobody")
    key_id, key = locked.new_key()
    page = visits.open("/")
    sign_in(page, key)
    expect(page.locator("[data-activity=nobody]")).to_be_visible(timeout=20_000)
    locked.ask("DELETE", f"/keys/{key_id}")
    expect(page.get_by_role("heading", name="Welcome to Visage")).to_be_visible(timeout=3_000)
    sign_in(page, locked.key)
    expect(page.locator("[data-activity=nobody]")).to_be_visible(timeout=20_000)


def test_live_asks_for_a_key_where_it_was_taken_away_while_the_connection_was_gone(
    visits: Visits, locked: Locked, camera: Camera
) -> None:
    camera.show("nobody")
    key_id, key = locked.new_key()
    page = visits.open("/")
    sign_in(page, key)
    expect(page.locator("[data-activity=nobody]")).to_be_visible(timeout=20_000)
    page.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(page.get_by_text("No connection to Visage.")).to_be_visible()
    locked.ask("DELETE", f"/keys/{key_id}")
    page.context.set_offline(False)
    expect(page.get_by_role("heading", name="Welcome to Visage")).to_be_visible()


@pytest.mark.parametrize("notice", ["asks", "rests", "other tab"])
def test_any_screen_asks_for_a_key_when_the_session_is_over(visits: Visits, locked: Locked, notice: str) -> None:
    key_id, key = locked.new_key()
    page = visits.open("/people", camera=False)
    sign_in(page, key)
    expect(page.get_by_role("heading", name="People")).to_be_visible()
    expect(page.get_by_role("heading", name="Nobody is here yet")).to_be_visible()
    if notice == "other tab":
        other = page.context.new_page()
        other.goto("/settings")
        other.get_by_role("button", name="Sign out").click()
        expect(other.get_by_label("Key")).to_be_visible()
        other.close()
    else:
        locked.ask("DELETE", f"/keys/{key_id}")
    if notice == "asks":
        page.get_by_role("link", name="Report").click()
    else:  # as when somebody takes the tablet up again
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_role("heading", name="Welcome to Visage")).to_be_visible()
    assert not re.search("People|Nobody", page.locator("body").inner_text())


def test_whoever_signs_in_next_sees_nothing_of_the_one_before(visits: Visits, locked: Locked) -> None:
    key_id, key = locked.new_key()
    page = visits.open("/settings", camera=False)
    sign_in(page, locked.key)
    expect(page.get_by_role("heading", name="Keys for other devices")).to_be_visible()
    page.get_by_label("For which device").fill("held back")
    page.get_by_role("button", name="Make the key").click()
    page.get_by_role("button", name="Done").click()
    page.get_by_role("listitem").filter(has_text="held back").get_by_role("button", name="Take away").click()
    page.get_by_role("button", name="Sign out").press("Enter")  # the message lies over it
    expect(page.get_by_label("Key")).to_be_visible()
    expect(page.get_by_text("held back")).to_have_count(0)
    keys = locked.ask("GET", "/keys")["keys"]
    assert isinstance(keys, list)
    assert next(each for each in keys if each["label"] == "held back")["revoked_at"], "it was done before"
    sign_in(page, key)
    expect(page.get_by_role("heading", name="Speech")).to_be_visible()
    expect(page.get_by_role("heading", name="Keys for other devices")).to_have_count(0)
    locked.ask("DELETE", f"/keys/{key_id}")


def test_after_five_wrong_keys_it_says_that_one_must_wait_and_a_right_one_opens(
    visits: Visits, locked: Locked
) -> None:
    """The last of this file: no wrong key of this computer is told so for a minute."""
    visits.expected = ("refused: 429",)
    page = visits.open("/", camera=False)
    guesses = [httpx.post(f"{locked.server.api}/session", json={"key": "wrong"}).status_code for _ in range(6)]
    assert guesses[-1] == 429
    sign_in(page, "wrong again")
    expect(page.get_by_text("locked for a minute. You can try again in").last).to_be_visible()
    sign_in(page, locked.key)
    page.get_by_role("navigation").wait_for()
