"""The page when a part of it is missing, breaks, or waits for the server: words, never white, and it mends itself."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.api import conftest
from tests.e2e.conftest import PHONE, Home, Visits
from visage.api.wire.page import FOLDER

SERVE = """#!{python}
from pathlib import Path
from visage.api.wire import page
page.install.__defaults__ = (Path({folder!r}),)
from visage.cli import app
app()
"""
"""`visage`, with the page of another build."""


def build_anew(folder: Path) -> None:
    """Make a copy of the page as a build of other sources would have made it: every script has another name."""
    shutil.copytree(FOLDER, folder)
    names = {file.name: f"{file.stem}x{file.suffix}" for file in (folder / "assets").glob("*.js")}
    old = re.compile("|".join(map(re.escape, names)))
    for file in [*folder.rglob("*.js"), folder / "index.html"]:
        file.write_text(old.sub(lambda match: names[match[0]], file.read_text()))
        if file.name in names:
            file.rename(file.with_name(names[file.name]))


def loads_of(page: Page) -> list[str]:
    """Grows with each time that the page is loaded."""
    loads: list[str] = []
    page.on("load", lambda _: loads.append(page.url))
    return loads


def heading(page: Page, name: str) -> None:
    """A heading is in sight."""
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def missing(route: Route) -> None:
    """As the server answers where it has no such file."""
    route.fulfill(status=404, json={"success": False, "data": None, "error": {"code": "NOT_FOUND", "message": ""}})


def test_pages_of_before_an_update_mend_themselves(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = conftest.start(tmp_path / "data")
    visits = Visits(browser, server, expected=("refused: 404", "refused: 503", "Failed to fetch", "ERR_"))
    try:
        lazy, speaks, kept = (visits.open("/people", camera=False) for _ in range(3))
        installed = visits.open("/people", camera=False, service_workers="allow")
        speaks.goto("/settings")
        for page in (lazy, kept, installed):
            heading(page, "Nobody is here yet")
        heading(speaks, "Settings")
        installed.evaluate("navigator.serviceWorker.ready.then(() => 0)")
        loads = {page: loads_of(page) for page in (lazy, speaks, kept, installed)}
        build_anew(tmp_path / "page")
        server.stop()
        lazy.get_by_role("link", name="Report").click()
        heading(lazy, "This screen comes as soon as Visage answers")
        expect(lazy.get_by_text("No connection to Visage.")).to_be_visible()
        installed.reload()
        expect(installed.get_by_text("Visage does not answer.")).to_be_visible()
        visage = tmp_path / "visage"
        visage.write_text(SERVE.format(python=sys.executable, folder=str(tmp_path / "page")))
        visage.chmod(0o755)
        monkeypatch.setattr(conftest, "VISAGE", visage)
        port = int(server.url.rpartition(":")[2])
        server = conftest.start(tmp_path / "data", port=port)
        heading(lazy, "How well Visage knows everybody")
        speaks.get_by_label("Deutsch").check()
        heading(speaks, "Einstellungen")
        kept.get_by_role("link", name="Settings").click()
        heading(kept, "Settings")
        heading(installed, "Nobody is here yet")
        installed.get_by_role("link", name="Report").click()
        heading(installed, "How well Visage knows everybody")
        assert {name: len(loads[page]) for name, page in (("lazy", lazy), ("speaks", speaks), ("kept", kept))} == {
            "lazy": 1,
            "speaks": 1,
            "kept": 1,
        }
        installed.goto("/settings")
        entry = installed.evaluate("document.querySelector('script[type=module]').src")
        assert (tmp_path / "page" / "assets" / Path(entry).name).is_file(), "the page of now"
        visits.verify()
    finally:
        visits.close()
        server.stop()


def test_a_screen_waits_for_the_server_and_comes_without_loading_the_page_again(
    visits: Visits, check_axe: Callable[[Page], None]
) -> None:
    visits.expected = ("Failed to fetch", "ERR_")
    page = visits.open("/people", camera=False, viewport=PHONE, reduced_motion="reduce")
    heading(page, "Nobody is here yet")
    loads = loads_of(page)
    page.context.set_offline(True)
    page.get_by_role("link", name="Add", exact=True).click()
    heading(page, "This screen comes as soon as Visage answers")
    check_axe(page)
    page.get_by_role("link", name="Live").click()  # what is here already can be used
    expect(page.get_by_role("button", name="Start the camera")).to_be_visible()
    page.get_by_role("link", name="Add", exact=True).click()
    page.context.set_offline(False)
    heading(page, "Add a person")
    assert loads == []


def test_a_part_that_stays_missing_is_said_after_one_more_load(
    visits: Visits, check_axe: Callable[[Page], None]
) -> None:
    visits.expected = ("refused: 404", "Failed to fetch", "The page lacks its part")
    page = visits.open("/people", camera=False, reduced_motion="reduce")
    page.context.route(re.compile("/assets/unknown-"), missing)
    loads = loads_of(page)
    page.get_by_role("link", name="Unknown").click()
    heading(page, "This screen could not be loaded")
    check_axe(page)
    assert len(loads) == 1
    page.get_by_role("link", name="People").click()
    heading(page, "Nobody is here yet")
    page.get_by_role("link", name="Unknown").click()
    heading(page, "This screen could not be loaded")
    assert len(loads) == 1, "not in a loop"
    page.context.unroute_all()
    page.get_by_role("button", name="Try again").click()
    heading(page, "Unknown faces")


def test_a_page_whose_first_script_is_missing_loads_itself_again(visits: Visits) -> None:
    visits.expected = ("refused: 404", "Failed to load")
    page = visits.open("/settings", camera=False)
    heading(page, "Settings")
    asked: list[str] = []

    def once(route: Route) -> None:
        asked.append(route.request.url)
        missing(route) if len(asked) == 1 else route.continue_()

    page.context.route(re.compile(r"/assets/index-.*\.js"), once)
    page.reload()
    heading(page, "Settings")
    assert len(asked) == 2
    page.context.unroute_all()
    page.context.route(re.compile(r"/assets/.*\.js"), missing)
    page.reload()
    expect(page.get_by_text("This page is starting.")).to_be_visible()
    assert page.get_by_role("link", name="load it again").get_attribute("href") == "/"


@pytest.mark.parametrize("where", ["render", "effect"])
def test_a_screen_that_breaks_says_so_and_the_others_go_on(
    visits: Visits, check_axe: Callable[[Page], None], where: str
) -> None:
    visits.expected = ("console:", "error:")
    page = visits.open("/people", camera=False, reduced_motion="reduce")
    if where == "render":  # an answer such as no server of this version sends
        page.route("**/api/v1/bank/report", lambda route: route.fulfill(json={"success": True, "data": {}}))
    else:
        page.evaluate(
            """Object.defineProperty(document, "title", { configurable: true,
              set() { if (location.pathname === "/report") throw new Error("as a test wants"); } }), 0"""
        )
    page.get_by_role("link", name="Report").click()
    heading(page, "Something went wrong on this screen")
    if where == "render":
        check_axe(page)
    page.get_by_role("link", name="Settings").click()
    heading(page, "Settings")
    page.get_by_role("link", name="Report").click()
    heading(page, "Something went wrong on this screen")
    page.unroute_all()
    page.evaluate("delete document.title")
    page.get_by_role("button", name="Try again").click()
    heading(page, "How well Visage knows everybody")


def test_what_breaks_once_is_not_noticed(visits: Visits) -> None:
    visits.expected = ("console:", "error:")
    page = visits.open("/people", camera=False)
    page.evaluate(
        """Object.defineProperty(document, "title", { configurable: true,
          set() { delete document.title; throw new Error("as where a page was translated"); } }), 0"""
    )
    page.get_by_role("link", name="Settings").click()
    heading(page, "Settings")
    assert page.title().startswith("Settings")


def test_what_breaks_outside_of_the_screens_says_so_too(visits: Visits, home: Home) -> None:
    visits.expected = ("console:", "error:")
    page = visits.open("/people", camera=False)
    page.route("**/api/v1/session", lambda route: route.fulfill(json={"success": True, "data": None}))
    page.reload()
    heading(page, "Something went wrong on this screen")
    page.unroute_all()
    page.get_by_role("button", name="Load the page again").click()
    heading(page, "Nobody is here yet")
