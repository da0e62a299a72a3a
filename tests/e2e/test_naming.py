"""Teaching on the page: yes, no, and who that is. People who are here already come first, and each can be undone."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from tests.api.conftest import VISAGE, Server, start
from tests.e2e import scenes
from tests.e2e.conftest import DESKTOP, PHONE, Camera, Home, Visits
from tests.e2e.test_people import walk_past

SIZES = pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])


@pytest.fixture(autouse=True)
def _family(home: Home) -> None:
    """Barack and Joe are known; the astronaut is not."""
    home.empty()
    home.register("Barack", scenes.OBAMA, scenes.OBAMA_STANDING, relationship="Your friend")
    home.register("Joe", scenes.BIDEN, relationship="Your uncle")


def card(page: Page) -> Locator:
    """Where it says who is there."""
    return page.get_by_role("region", name="Who is there")


def button(page: Page, name: str) -> Locator:
    """A button by its exact name."""
    return page.get_by_role("button", name=name, exact=True)


def person(home: Home, name: str) -> dict[str, Any]:
    """The only person of that name, with what can be undone."""
    with home.client() as client:
        (found,) = [one for one in client.get("/persons").json()["data"]["persons"] if one["name"] == name]
        whole: dict[str, Any] = client.get(f"/persons/{found['person_id']}").json()["data"]
    return whole


def names(home: Home) -> list[str]:
    """Everybody who is remembered."""
    with home.client() as client:
        return sorted(one["name"] for one in client.get("/persons").json()["data"]["persons"])


@SIZES
def test_yes_it_is_teaches_and_is_taken_back(
    visits: Visits, camera: Camera, home: Home, viewport: ViewportSize
) -> None:
    camera.show("maybe")
    page = visits.open(viewport=viewport)
    expect(card(page).locator("[data-state=maybe]")).to_be_visible()
    button(page, "Yes, it is Barack").click()
    expect(page.get_by_text("Noted: this is Barack.")).to_be_visible()
    expect(card(page).locator("[data-state=known]")).to_contain_text("Barack")
    assert [undo["what"] for undo in person(home, "Barack")["undos"]] == ["is-me"]
    button(page, "Undo").click()
    expect(card(page).locator("[data-state=maybe]")).to_be_visible()
    assert person(home, "Barack")["undos"] == []


def test_no_beside_a_perhaps_corrects_it_and_is_taken_back(visits: Visits, camera: Camera, home: Home) -> None:
    camera.show("maybe")
    page = visits.open()
    button(page, "No").click()
    expect(page.get_by_text("Noted: this is not Barack.")).to_be_visible()
    expect(card(page)).not_to_contain_text("Might be Barack")
    assert [undo["what"] for undo in person(home, "Barack")["undos"]] == ["not-me"]
    button(page, "Undo").click()
    expect(card(page)).to_contain_text("Might be Barack")


@SIZES
def test_naming_a_face_offers_those_who_are_here_first_and_has_undo(
    visits: Visits, camera: Camera, home: Home, viewport: ViewportSize
) -> None:
    camera.show("unknown")
    page = visits.open(viewport=viewport)
    button(page, "Who is this?").click()
    dialog = page.get_by_role("dialog", name="Who is this?")
    expect(dialog.get_by_text("Is it one of them?")).to_be_visible()
    expect(dialog.get_by_role("button", name=re.compile("Barack|Joe"))).to_have_count(2)
    dialog.get_by_label("Name", exact=True).press_sequentially("jo")
    expect(dialog.get_by_role("button", name=re.compile("Barack"))).to_have_count(0)
    dialog.get_by_role("button", name=re.compile("Joe")).click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("I will remember Joe.")).to_be_visible()
    assert (names(home), person(home, "Joe")["embedding_count"]) == (["Barack", "Joe"], 2)
    button(page, "Undo").click()
    expect(button(page, "Who is this?")).to_be_visible()
    assert person(home, "Joe")["embedding_count"] == 1


def test_a_second_one_of_a_name_is_a_choice(visits: Visits, camera: Camera, home: Home) -> None:
    camera.show("unknown")
    page = visits.open()
    button(page, "Who is this?").click()
    dialog = page.get_by_role("dialog", name="Who is this?")
    dialog.get_by_label("Name", exact=True).fill("  joe ")
    button(page, "Remember").click()
    expect(dialog.get_by_text("Somebody called joe is here already. Is it the same person?")).to_be_visible()
    assert names(home) == ["Barack", "Joe"]
    expect(dialog.get_by_role("button", name="Yes, it is Joe")).to_be_visible()
    button(page, "No, another joe").click()
    expect(dialog).to_be_hidden()
    assert names(home) == ["Barack", "Joe", "joe"]


def test_an_unknown_face_that_went_to_someone_is_taken_back(visits: Visits, camera: Camera, home: Home) -> None:
    camera.show("unknown")
    page = visits.open()
    expect(button(page, "Who is this?")).to_be_visible()
    page.goto("/unknown")
    page.get_by_role("button", name="Who is this?").first.click()
    dialog = page.get_by_role("dialog", name="Who is this?")
    expect(dialog.get_by_role("button", name=re.compile("Barack|Joe"))).to_have_count(2)
    dialog.get_by_role("button", name=re.compile("Joe")).click()
    said = page.get_by_role("region", name="Messages").get_by_text("Visage knows Joe now.")
    expect(said).to_contain_text("It does not look like the other photos of Joe.")
    assert person(home, "Joe")["embedding_count"] == 2
    button(page, "Undo").click()
    expect(said).to_be_hidden()
    assert (person(home, "Joe")["embedding_count"], person(home, "Joe")["undos"]) == (1, [])


@SIZES
def test_after_that_is_wrong_nothing_covers_who_is_this_nor_its_name_field(
    visits: Visits, camera: Camera, viewport: ViewportSize
) -> None:
    camera.show("known")
    page = visits.open(viewport=viewport)
    expect(card(page).locator("[data-state=known]")).to_be_visible()
    button(page, "That’s wrong").click()
    expect(page.get_by_text("Noted: this is not Barack.", exact=True)).to_be_visible()
    button(page, "Who is this?").click()
    field = page.get_by_role("dialog").get_by_label("Name", exact=True)
    expect(field).to_be_focused()
    on_top = """element => {
      const { x, y, width, height } = element.getBoundingClientRect();
      return document.elementFromPoint(x + width / 2, y + height / 2) === element;
    }"""
    assert field.evaluate(on_top)
    page.keyboard.press("Escape")
    button(page, "Undo").click()
    expect(card(page).locator("[data-state=known]")).to_be_visible()


@SIZES
def test_a_message_lies_over_no_dialog_and_can_be_closed_by_mouse(
    visits: Visits, home: Home, viewport: ViewportSize
) -> None:
    walk_past(home, scenes.ASTRONAUT)
    walk_past(home, scenes.FRIENDS[0])
    page = visits.open("/unknown", viewport=viewport)
    page.get_by_role("button", name="Who is this?").first.click()
    dialog = page.get_by_role("dialog", name="Who is this?")
    dialog.get_by_role("button", name=re.compile("Joe")).click()
    message = page.locator("li", has_text="Visage knows Joe now.")
    expect(message.get_by_role("button", name="Undo")).to_be_visible()
    page.get_by_role("button", name="Who is this?").first.click()
    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    above = message.evaluate(  # both at once, after they have come to rest
        """async (element) => {
          const moving = document.getAnimations().filter((one) => one.effect.getTiming().iterations !== Infinity);
          await Promise.all(moving.map((one) => one.finished.catch(() => {})));
          const dialog = document.querySelector("[role=dialog]").getBoundingClientRect();
          return element.getBoundingClientRect().bottom <= dialog.top;
        }"""
    )
    assert above
    # Those in a dialog hide what is beside it from who does not see; the mouse reaches it.
    message.locator("button").last.click()
    expect(message).to_be_hidden()
    expect(dialog).to_be_visible()


@pytest.fixture(scope="module")
def viewers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str, str]]:
    """A server that asks for a key, with an admin's and a viewer's; Barack is known there."""
    data = tmp_path_factory.mktemp("viewers") / "data"
    keys = []
    for role in ("admin", "viewer"):
        call: list[str | Path] = [VISAGE, "keys", "create", "--role", role, "--json", "--data-dir", data]
        made = subprocess.run(call, capture_output=True, text=True, timeout=60, check=True)
        keys.append(json.loads(made.stdout)["key"])
    server = start(data, require_key=True)
    files = {"image": ("0.jpg", scenes.photo(scenes.OBAMA), "image/jpeg")}
    headers = {"X-API-Key": keys[0]}
    reply = httpx.post(f"{server.api}/register", data={"name": "Barack"}, files=files, headers=headers, timeout=30)
    reply.raise_for_status()
    yield server, keys[0], keys[1]
    server.stop()


def test_that_is_wrong_by_a_viewer_counts_while_the_face_is_here_and_unteaches_nobody(
    browser: Browser, camera: Camera, viewers: tuple[Server, str, str]
) -> None:
    server, admin, viewer = viewers
    visits = Visits(browser, server, expected=("refused: 401",))
    try:
        camera.show("known")
        page = visits.open(viewport=PHONE)
        page.get_by_label("Key").fill(viewer)
        page.get_by_role("button", name="Open").click()
        known = card(page).locator("[data-state=known]")
        expect(known).to_contain_text("Barack")
        sent: list[str] = []
        page.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
        button(page, "That’s wrong").click()
        expect(page.get_by_text("Not Barack, then.")).to_be_visible()
        expect(card(page).locator("[data-state=unknown]")).to_be_visible()
        expect(known).to_have_count(0)
        assert not [one for one in sent if one.startswith("POST")]
        button(page, "Undo").click()
        expect(known).to_contain_text("Barack")
        button(page, "That’s wrong").click()
        expect(card(page).locator("[data-state=unknown]")).to_be_visible()
        button(page, "Stop").click()
        button(page, "Start").click()
        expect(known).to_contain_text("Barack")
        found = httpx.get(f"{server.api}/persons", headers={"X-API-Key": admin}).json()["data"]["persons"][0]
        whole = httpx.get(f"{server.api}/persons/{found['person_id']}", headers={"X-API-Key": admin}).json()["data"]
        assert whole["undos"] == []
        visits.verify()
    finally:
        visits.close()
