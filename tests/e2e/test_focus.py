"""Focus never falls to the document: it goes back to what opened a dialog, or on to what takes a thing's place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import scenes
from tests.e2e.conftest import PHONE, Camera, Home, Visits
from tests.e2e.scenes import BIDEN, OBAMA, OBAMA_SPEAKING, OBAMA_STANDING


@pytest.fixture(autouse=True)
def nobody(home: Home) -> Iterator[None]:
    """Every test begins with an empty bank."""
    home.empty()
    yield


def press(page: Page, name: str) -> None:
    """Press a button by keyboard."""
    page.get_by_role("button", name=name, exact=True).first.press("Enter")


def focus(page: Page) -> str:
    """What has the focus, in words."""
    return str(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.tagName"))


@pytest.mark.parametrize("options", [{}, {"viewport": PHONE, "locale": "de"}], ids=["desktop", "phone"])
def test_every_dialog_gives_the_focus_back_to_what_opened_it(
    visits: Visits, home: Home, options: dict[str, Any]
) -> None:
    barack = home.register("Barack", OBAMA, OBAMA_SPEAKING)
    home.register("Barry", OBAMA_STANDING)
    page = visits.open(f"/people/{barack}", **options)
    dialog = page.get_by_role("dialog")
    openers = ["main button:has(.lucide-pencil)", "main button:has(.lucide-notebook-pen)"]
    openers += ["main button:has(.lucide-merge)", "main button:has(.lucide-user-x)"]
    if options:
        openers.append("nav button:has(.lucide-ellipsis)")
    for opener in openers:
        button = page.locator(opener)
        for leave in ("Escape", "cross", "beside"):
            button.press("Enter")
            expect(dialog.locator(":focus")).to_have_count(1)
            page.evaluate("new Promise((ready) => setTimeout(() => setTimeout(ready)))")  # it hears a press beside it
            if leave == "Escape":
                page.keyboard.press("Escape")
            elif leave == "cross":
                dialog.locator("button:has(.lucide-x)").first.press("Enter")
            else:
                page.mouse.click(3, 3)
            expect(dialog, f"{opener} {leave}").to_have_count(0)
            expect(button).to_be_focused()


def test_after_every_action_the_focus_is_where_one_goes_on(visits: Visits, home: Home) -> None:
    barack = home.register("Barack", OBAMA, OBAMA_SPEAKING)
    home.register("Barry", OBAMA_STANDING)
    visits.expected = ("refused: 404 GET",)  # pictures on their way of whom is brought together or forgotten
    page = visits.open(f"/people/{barack}")
    dialog = page.get_by_role("dialog")
    main = page.locator("main")

    press(page, "Add a line to remember")  # goes once there is one
    dialog.get_by_label("One line to remember").fill("The youngest")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The youngest")).to_be_visible()
    expect(page.get_by_role("button", name="Edit")).to_be_focused()
    press(page, "Undo")
    expect(page.get_by_text("The youngest")).to_have_count(0)
    expect(page.get_by_role("button", name="Edit")).to_be_focused()

    press(page, "Bring together")
    dialog.get_by_role("button", name="Barry").press("Enter")
    expect(page.get_by_role("heading", name="3 photos")).to_be_visible()
    expect(page.get_by_role("button", name="Bring together")).to_be_focused()
    page.get_by_role("region", name="Messages").get_by_role("button", name="Close").press("Enter")
    expect(page.get_by_role("button", name="Bring together")).to_be_focused()

    press(page, "Remove")
    expect(page.get_by_role("heading", name="2 photos")).to_be_visible()
    expect(main.get_by_role("button", name="Remove").first).to_be_focused()

    press(page, "Forget this person")
    dialog.get_by_role("button", name="Forget for good").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("People")
    expect(main).to_be_focused()


def test_after_the_capture_and_after_a_photo_is_left_out_the_focus_stays_among_the_photos(
    visits: Visits, camera: Camera, tmp_path: Path
) -> None:
    camera.show("nobody")
    page = visits.open("/add")
    press(page, "Use the camera")
    press(page, "Close the camera")
    expect(page.get_by_role("button", name="Use the camera")).to_be_focused()
    files = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    for file, who in zip(files, (OBAMA, BIDEN), strict=True):
        file.write_bytes(scenes.photo(who))
    page.locator("input[type=file]").set_input_files(files)
    leave = page.get_by_role("button", name="Leave this photo out")
    expect(leave).to_have_count(2)
    leave.first.press("Enter")
    expect(leave).to_have_count(1)
    expect(leave).to_be_focused()
    leave.press("Enter")
    assert focus(page) == "Choose photos"


def test_after_the_last_of_the_list_the_focus_is_on_it(visits: Visits, home: Home) -> None:
    page = visits.open("/people")

    def pages(route: Any) -> None:
        first = "cursor" not in route.request.url
        people = [
            {"person_id": f"p{n}", "name": f"Person {n}", "relationship": None, "metadata": {}, "consent": None}
            | {"embedding_count": 1, "views": 1, "created_at": "2026-01-01T00:00:00Z"}
            | {"updated_at": "2026-01-01T00:00:00Z", "last_seen_at": None}
            for n in (range(2) if first else range(2, 4))
        ]
        data = {"persons": people, "total": 4, "next_cursor": "next" if first else None}
        route.fulfill(json={"success": True, "error": None, "data": data})

    visits.expected = ("refused: 404 GET",)  # nobody is behind these names
    page.route("**/api/v1/persons?*", pages)
    page.reload()
    press(page, "Show more")
    expect(page.get_by_role("link", name="Person 3")).to_be_focused()
