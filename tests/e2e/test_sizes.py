"""What Live shows is read from where people are: two metres, a phone, very large text, 400 %."""

from __future__ import annotations

from itertools import combinations

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e import scenes
from tests.e2e.conftest import PHONE, Camera, Home, Visits, wait_for

CAPITAL = """selector => {
  // Height of a capital of what is shown, in CSS pixels; the font says it, by what it draws.
  const element = document.querySelector(selector);
  const style = getComputedStyle(element);
  const context = document.createElement("canvas").getContext("2d");
  context.font = `${style.fontWeight} 1000px ${style.fontFamily}`;
  return (context.measureText("H").actualBoundingBoxAscent / 1000) * Number.parseFloat(style.fontSize);
}"""

NAME, RELATIONSHIP, LINE = (f"[data-state=known] > div > p:nth-child({n})" for n in (1, 2, 3))

# name → (CSS pixels, millimetres of one of them)
SCREENS: dict[str, tuple[ViewportSize, float]] = {
    "tablet of 10.9 inches": ({"width": 1180, "height": 820}, 25.4 / 132),
    "tablet of 10.9 inches, upright": ({"width": 820, "height": 1180}, 25.4 / 132),
    "screen of 24 inches": ({"width": 1920, "height": 1080}, 531 / 1920),
    "television of 43 inches": ({"width": 1920, "height": 1080}, 952 / 1920),
}


@pytest.fixture(scope="module", autouse=True)
def _family(home: Home) -> None:
    home.register("Barack", scenes.OBAMA, relationship="Your neighbour", remember="He plays basketball with you.")


def named(page: Page) -> None:
    """Somebody is known, and all that is known is on the card."""
    page.mouse.click(1, 1)
    expect(page.locator("[data-state=known]")).to_contain_text("basketball", timeout=20_000)
    wait_for(page, "document.fonts.status === 'loaded' && document.querySelector('[data-state=known] img')?.complete")


def rename(home: Home, name: str) -> None:
    """Call the one person so."""
    with home.client() as client:
        (person,) = client.get("/persons").json()["data"]["persons"]
        client.patch(f"/persons/{person['person_id']}", json={"name": name}).raise_for_status()


@pytest.mark.parametrize("screen", SCREENS)
def test_name_and_relationship_are_read_from_two_metres(visits: Visits, camera: Camera, screen: str) -> None:
    viewport, millimetres = SCREENS[screen]
    camera.show("known")
    page = visits.open(viewport=viewport)
    named(page)
    name, relationship, line = (millimetres * page.evaluate(CAPITAL, each) for each in (NAME, RELATIONSHIP, LINE))
    assert name >= 9.3
    assert relationship >= 9.3
    assert line >= 7
    for part in (NAME, RELATIONSHIP, LINE):
        expect(page.locator(part)).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("viewport", [PHONE, SCREENS["tablet of 10.9 inches, upright"][0]], ids=["phone", "tablet"])
def test_a_long_single_name_is_never_smaller_than_the_relationship(
    visits: Visits, camera: Camera, home: Home, viewport: ViewportSize
) -> None:
    rename(home, "Maximilianochristopherus")
    try:
        camera.show("known")
        page = visits.open(viewport=viewport)
        named(page)
        assert page.evaluate(CAPITAL, NAME) >= page.evaluate(CAPITAL, RELATIONSHIP)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    finally:
        rename(home, "Barack")


TIGHT: dict[str, tuple[ViewportSize, str]] = {
    "phone": (PHONE, "normal"),
    "phone, very large text": (PHONE, "largest"),
    "small phone, very large text": ({"width": 320, "height": 568}, "largest"),
    "phone on its side, very large text": ({"width": 844, "height": 390}, "largest"),
    "tablet, very large text": ({"width": 1180, "height": 820}, "largest"),
    "400 %": ({"width": 320, "height": 200}, "normal"),
    "400 %, 5 to 4": ({"width": 320, "height": 256}, "largest"),
}


@pytest.mark.parametrize("locale", ["en-GB", "de-AT"])
@pytest.mark.parametrize("tight", TIGHT)
def test_nothing_lies_over_anything_and_the_name_is_on_the_screen(
    visits: Visits, camera: Camera, tight: str, locale: str
) -> None:
    viewport, text = TIGHT[tight]
    camera.show("known")
    page = visits.open("/settings", viewport=viewport, locale=locale)
    page.evaluate(f"localStorage.setItem('visage.preferences', JSON.stringify({{ textSize: '{text}' }}))")
    page.goto("/")
    named(page)
    expect(page.locator(NAME)).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    parts = [page.locator(each) for each in (NAME, RELATIONSHIP, LINE)]
    parts += page.locator("[data-controls] button").all()
    boxes = []
    for part in parts:
        inside = part.evaluate("element => element.scrollWidth <= element.clientWidth + 1")
        assert inside, f"wider than its place: {part.inner_text()}"
        boxes.append((part.inner_text(), part.bounding_box()))
    for (one, a), (other, b) in combinations(boxes, 2):
        assert a is not None
        assert b is not None
        apart = (
            a["x"] + a["width"] <= b["x"] + 1
            or b["x"] + b["width"] <= a["x"] + 1
            or a["y"] + a["height"] <= b["y"] + 1
            or b["y"] + b["height"] <= a["y"] + 1
        )
        assert apart, f"{one!r} and {other!r} lie over each other"
    covered = page.evaluate(
        """() => [...document.querySelectorAll("[data-state=known] p")].filter((element) => {
          const { x, y, width, height } = element.getBoundingClientRect();
          const [px, py] = [x + Math.min(width, 40) / 2, y + height / 2];
          if (py < 0 || py > innerHeight) return false;
          return !element.contains(document.elementFromPoint(px, py));
        }).map((element) => element.textContent)"""
    )
    assert covered == []
