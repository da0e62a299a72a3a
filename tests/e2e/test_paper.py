"""The page on paper, in forced colours, and in a reader's own words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e import scenes
from tests.e2e.conftest import PHONE, Home, Visits
from tests.e2e.scenes import ASTRONAUT, BIDEN, OBAMA, OBAMA_SPEAKING, OBAMA_STANDING
from visage.types import Image


@pytest.fixture(autouse=True)
def nobody(home: Home) -> Iterator[None]:
    """Every test begins with an empty bank."""
    home.empty()
    yield


@pytest.mark.parametrize("options", [{}, {"viewport": PHONE, "locale": "de"}], ids=["desktop", "phone"])
def test_on_paper_there_is_nothing_to_press_and_the_paper_is_white(
    visits: Visits, home: Home, tmp_path: Path, options: dict[str, Any]
) -> None:
    barack = home.register("Barack", OBAMA, OBAMA_SPEAKING, relationship="Son", remember="The youngest")
    home.register("Joe", BIDEN)
    page = visits.open("/people", color_scheme="dark", **options)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    for path in ("/people", f"/people/{barack}"):
        page.get_by_role("link", name="Barack").click() if path != "/people" else None
        expect(page.locator("main img").first).to_be_visible()
        page.wait_for_load_state("networkidle")
        page.emulate_media(media="print")
        for what in ("nav", "button", "input", "a[href^='/add']", "a[href='/people']"):
            assert [each for each in page.locator(what).all() if each.is_visible()] == [], what
        expect(page.get_by_text("Barack").first).to_be_visible()
        ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        page.emulate_media(media="null")
        printed = page.pdf(format="A4", path=tmp_path / "printed.pdf")
        assert printed.startswith(b"%PDF")
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1


def look(locator: Locator) -> Image:
    """(height, width, 3) uint8, BGR: what is seen there."""
    image = cv2.imdecode(np.frombuffer(locator.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image, np.uint8)


def test_in_forced_colours_what_is_on_and_what_is_to_be_pressed_can_be_told(visits: Visits, home: Home) -> None:
    page = visits.open("/settings", forced_colors="active", reduced_motion="reduce")
    switch = page.get_by_role("switch", name="Say names aloud")
    expect(switch).to_be_checked()
    on = look(switch)
    switch.click()
    page.mouse.move(0, 0)
    off = look(switch)
    assert np.mean(np.any(on != off, axis=2)) > 0.3, "a switch looks otherwise when it is on"
    here, elsewhere = (page.locator(f"nav a[href='/{each}']") for each in ("settings", "report"))
    assert [line.evaluate("(e) => getComputedStyle(e).textDecorationLine") for line in (here, elsewhere)] == [
        "underline",
        "none",
    ]
    page.goto("/add")
    button = page.get_by_role("button", name="Remember this person")
    shape = "(e) => { const s = getComputedStyle(e); return [s.borderTopWidth, s.backgroundColor]; }"
    width, ground = button.evaluate(shape)
    assert width == "2px"
    assert ground != page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    button.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert button.evaluate("(e) => getComputedStyle(e).outlineStyle") == "solid"


def messages(page: Page) -> Locator:
    """What is said to be done."""
    return page.get_by_role("region", name="Messages").get_by_role("listitem")


def test_like_messages_are_one_and_undone_together(visits: Visits, home: Home) -> None:
    page = visits.open("/settings")
    page.get_by_label("Rather silent").click()
    expect(messages(page)).to_have_count(1)
    page.get_by_label("After a year").click()
    page.get_by_text("Nobody is due at present.").wait_for()
    expect(messages(page)).to_have_count(1)
    messages(page).get_by_role("button", name="Undo all").click()
    expect(page.get_by_label("Balanced")).to_be_checked()
    expect(page.get_by_label("Never")).to_be_checked()
    person_id = home.register("Barack", OBAMA, OBAMA_SPEAKING, OBAMA_STANDING)
    page.goto(f"/people/{person_id}")
    remove = page.get_by_role("button", name="Remove")
    remove.first.click()
    remove.first.click()
    expect(page.get_by_role("heading", name="One photo")).to_be_visible()
    expect(messages(page)).to_have_count(1)
    page.get_by_role("button", name="Undo all").click()
    expect(remove).to_have_count(3)


def test_five_wrong_keys_say_for_how_long_it_is_locked(browser: Browser, home: Home) -> None:
    visits = Visits(browser, home.server, expected=("refused: 401", "refused: 429"))
    page = visits.open("/people")
    session = {"success": True, "error": None, "data": {"required": True, "signed_in": False, "role": None}}
    error = {"code": "RATE_LIMITED", "message": "Too many", "details": {"retry_after_s": 3}}
    refused = {"success": False, "data": None, "error": error}

    def answer(route: Any) -> None:
        if route.request.method == "GET":
            route.fulfill(json=session)
        else:
            route.fulfill(status=429, json=refused)

    page.route("**/api/v1/session", answer)
    page.reload()
    page.get_by_label("Key").fill("wrong")
    page.get_by_role("button", name="Open").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("locked for a minute. You can try again in 3 seconds.")
    expect(alert).to_contain_text("in 2 seconds.")
    expect(alert).to_have_text("You can try again now.")
    visits.verify()
    visits.close()


def test_of_two_photos_that_differ_nobody_is_accused(visits: Visits, home: Home) -> None:
    home.register("Barack", OBAMA, BIDEN)
    page = visits.open("/report")
    entry = page.get_by_role("listitem").filter(has_text="These two photos of Barack do not look alike.")
    expect(entry).to_have_count(1)
    pictures = entry.locator("img").evaluate_all("(all) => all.map((each) => each.src)")
    assert len(set(pictures)) == 2
    entry.get_by_role("button", name="Both are Barack").click()
    expect(page.get_by_role("heading", name="Photos that do not fit")).to_have_count(0)


def test_a_misfit_is_compared_with_the_others_of_its_person_never_with_itself(visits: Visits, home: Home) -> None:
    home.register("Barack", ASTRONAUT, OBAMA, OBAMA_SPEAKING)
    page = visits.open("/report")
    entry = page.get_by_role("listitem").filter(has_text="Is this really Barack?")
    expect(entry.locator("img")).to_have_count(2)
    this, others = entry.locator("img").evaluate_all("(all) => all.map((each) => each.src)")
    assert this != others
    expect(entry.get_by_text("Barack otherwise")).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "said"), [("en-GB", "1 March 2025"), ("en-US", "March 1, 2025"), ("de", "1. März")]
)
def test_dates_are_those_of_the_readers_region(visits: Visits, home: Home, locale: str, said: str) -> None:
    with home.client() as client:
        form = {"name": "Joe", "consent": '{"given_by": "Joe", "capacity": "self", "given_on": "2025-03-01"}'}
        reply = client.post("/register", data=form, files={"image": scenes.photo(BIDEN)})
        person_id = reply.json()["data"]["person_id"]
    page = visits.open(f"/people/{person_id}", locale=locale)
    page.locator("main button:has(.lucide-pencil)").click()
    expect(page.get_by_role("dialog").get_by_text(said)).to_be_visible()


def test_an_address_that_means_nothing_is_a_page_that_says_so(visits: Visits) -> None:
    visits.expected = ("refused: 404",)
    page = visits.open("/nix")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    page.get_by_role("link", name="Back to the camera").click()
    expect(page.get_by_role("heading", level=1)).to_be_attached()
