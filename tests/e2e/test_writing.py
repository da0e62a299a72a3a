"""What someone writes and chooses is never lost, and is done when it can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e import scenes
from tests.e2e.conftest import PHONE, Home, Visits
from tests.e2e.scenes import BIDEN, OBAMA

SCREENS = [{}, {"viewport": PHONE, "locale": "de"}]
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"


@pytest.fixture(autouse=True)
def nobody(home: Home) -> Iterator[None]:
    """Every test begins with an empty bank."""
    home.empty()
    yield


@pytest.fixture
def joe(tmp_path: Path) -> Path:
    """A photo."""
    file = tmp_path / "joe.jpg"
    file.write_bytes(scenes.photo(BIDEN))
    return file


@pytest.mark.parametrize("options", SCREENS, ids=["desktop", "phone"])
def test_a_press_beside_the_form_asks_before_it_throws_away_what_was_written(
    visits: Visits, home: Home, check_axe: Callable[[Page], None], options: dict[str, Any]
) -> None:
    person_id = home.register("Joe", BIDEN)
    page = visits.open(f"/people/{person_id}", reduced_motion="reduce", **options)
    german = "locale" in options
    notes = page.get_by_label("Notizen" if german else "Notes")
    edit, go_on, discard = (
        page.get_by_role("button", name=each)
        for each in (
            ("Bearbeiten", "Weiter schreiben", "Verwerfen") if german else ("Edit", "Go on writing", "Throw it away")
        )
    )
    edit.click()
    notes.fill("Feeds the cat.")
    for leave in ("beside", "Escape"):
        if leave == "beside":
            page.mouse.click(3, 3)
        else:
            page.keyboard.press(leave)
        expect(go_on).to_be_focused()
        expect(go_on).to_be_in_viewport()
        check_axe(page)
        go_on.click()
        expect(notes).to_be_focused()
        expect(notes).to_have_value("Feeds the cat.")
    page.mouse.click(3, 3)
    discard.click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    edit.click()
    expect(notes).to_have_value("")
    page.evaluate("new Promise(done => setTimeout(done))")  # a dialog hears what is beside it from its next turn on
    page.mouse.click(3, 3)  # nothing was written
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("options", SCREENS, ids=["desktop", "phone"])
def test_back_keeps_what_was_written_and_the_person_says_so(
    visits: Visits, home: Home, options: dict[str, Any]
) -> None:
    home.register("Joe", BIDEN)
    page = visits.open("/people", **options)
    german = "locale" in options
    page.get_by_role("link", name="Joe").click()
    page.locator("main button:has(.lucide-pencil)").click()
    notes = page.get_by_label("Notizen" if german else "Notes")
    notes.fill("Feeds the cat.")
    page.go_back()
    page.get_by_role("link", name="Joe").click()
    unsaved = "Einige Änderungen sind noch nicht gespeichert." if german else "Some changes are not saved yet."
    expect(page.get_by_text(unsaved)).to_be_visible()
    page.get_by_role("button", name="Weiter bearbeiten" if german else "Go on editing").click()
    expect(notes).to_have_value("Feeds the cat.")
    page.get_by_role("button", name="Speichern" if german else "Save").click()
    expect(page.get_by_role("heading", name="Notizen" if german else "Notes")).to_be_visible()
    expect(page.get_by_text(unsaved)).to_have_count(0)


def test_closing_the_page_over_something_unsaved_is_asked_about(visits: Visits, home: Home) -> None:
    page = visits.open("/add")
    page.get_by_label("Name").press_sequentially("Joe")
    with page.expect_event("dialog") as asked:
        page.evaluate("setTimeout(() => location.reload())")
        asked.value.dismiss()
    assert asked.value.type == "beforeunload"
    expect(page.get_by_label("Name")).to_have_value("Joe")


@pytest.mark.parametrize("options", SCREENS, ids=["desktop", "phone"])
def test_who_is_to_be_remembered_while_photos_are_looked_at_is_remembered_then(
    visits: Visits, home: Home, joe: Path, options: dict[str, Any]
) -> None:
    page = visits.open("/add", **options)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/v1/detect", hold)
    page.locator("input[type=file]").set_input_files(joe)
    page.get_by_label("Name").fill("Joe")
    german = "locale" in options
    page.locator("button[type=submit]").click()
    words = "Erst werden die Fotos geprüft" if german else "Looking at the photos first"
    expect(page.locator("button[type=submit]")).to_contain_text(words)
    [route] = held
    route.continue_()
    done = "Visage kennt jetzt Joe" if german else "Visage knows Joe now"
    expect(page.get_by_role("heading", name=done)).to_be_visible()


@pytest.mark.parametrize("options", SCREENS, ids=["desktop", "phone"])
def test_leaving_and_coming_back_keeps_photos_and_name_until_one_starts_afresh(
    visits: Visits, joe: Path, options: dict[str, Any]
) -> None:
    page = visits.open("/add", **options)
    german = "locale" in options
    page.locator("input[type=file]").set_input_files(joe)
    page.get_by_label("Name").fill("Joe")
    page.get_by_role("link", name="Personen" if german else "People").click()
    page.locator("nav a[href='/add']").click()
    photo = page.get_by_text("joe.jpg")
    expect(photo).to_be_visible()
    expect(page.get_by_text("Gut" if german else "Good", exact=True)).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("Joe")
    assert page.evaluate("document.querySelector('main img').naturalWidth") > 0
    page.get_by_role("button", name="Neu beginnen" if german else "Start afresh").click()
    expect(photo).to_have_count(0)
    expect(page.get_by_label("Name")).to_have_value("")
    page.get_by_role("button", name="Rückgängig" if german else "Undo").click()
    expect(photo).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("Joe")


@pytest.mark.parametrize("path", ["/add", "/people"])
def test_a_file_that_is_dropped_anywhere_is_taken_or_let_be_but_never_opened(
    visits: Visits, joe: Path, path: str
) -> None:
    page = visits.open(path)
    page.get_by_role("heading", level=1).wait_for()
    opened = page.evaluate(
        """bytes => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([new Uint8Array(bytes)], "joe.jpg", { type: "image/jpeg" }));
          return ["dragover", "drop"].map((kind) => document.querySelector("h1").dispatchEvent(
            new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true })));
        }""",
        list(joe.read_bytes()),
    )
    assert opened == [False, False], "the browser's own way with a file is to open it"
    expect(page.get_by_text("joe.jpg")).to_have_count(1 if path == "/add" else 0)


@pytest.mark.parametrize("locale", ["en-GB", "de"])
def test_long_words_break_on_every_screen(visits: Visits, home: Home, tmp_path: Path, locale: str) -> None:
    first = home.register(LONG, OBAMA, relationship=LONG, remember=LONG)
    home.register(LONG[:60], BIDEN)
    with home.client() as client:
        client.post("/keys", json={"label": LONG, "role": "viewer"}).raise_for_status()
    file = tmp_path / f"{LONG}.jpg"
    file.write_bytes(scenes.photo(BIDEN))
    page = visits.open("/people", viewport={"width": 320, "height": 640}, locale=locale)

    def fits(where: str) -> None:
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, where
        sticking_out = """[...document.querySelectorAll("main *, [role=dialog] *")]
            .filter((each) => each.checkVisibility() && !each.closest(".sr-only, .overflow-hidden, svg")
                && each.getBoundingClientRect().right > 321)
            .map((each) => each.outerHTML.slice(0, 120))"""
        assert page.evaluate(sticking_out) == [], where

    for path in ("/people", "/report", "/settings", f"/people/{first}", f"/add?to={first}", "/add", "/unknown"):
        page.goto(path)
        page.get_by_role("heading", level=1).wait_for()
        fits(path)
        if path.startswith("/add"):
            page.locator("input[type=file]").set_input_files(file)
            page.get_by_text(file.name).wait_for()
            fits(f"{path} with a file")
        if path == "/add":
            page.locator("[name=name]").fill(LONG)
            fits("who is to be remembered")
    page.locator("nav a[href='/add']").click()
    page.locator("button[type=submit]").click()
    page.goto(f"/people/{first}")
    for icon in ("pencil", "merge", "user-x"):
        page.locator(f"main button:has(.lucide-{icon})").click()
        page.get_by_role("dialog").wait_for()
        fits(icon)
        page.keyboard.press("Escape")
