"""`make screens`: a picture of every screen, light and dark, on a phone and on a desktop, in docs/screens/."""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.api.conftest import start
from tests.e2e import scenes
from tests.e2e.conftest import DESKTOP, PHONE, Camera, Home, Visits, launch

FOLDER = Path(__file__).parents[2] / "docs" / "screens"
COLOURS = 192
"""Of a picture's palette: enough to look at, and a quarter of the bytes."""

SIZES = {"phone": PHONE, "desktop": DESKTOP}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def card(state: str) -> Callable[[Page], None]:
    """Wait for the card of the Live screen to show a state."""
    return lambda page: expect(page.locator(f"[data-state={state}]")).to_be_visible(timeout=20_000)


def activity(state: str) -> Callable[[Page], None]:
    """Wait for the camera to be in a state."""
    return lambda page: expect(page.locator(f"[data-activity={state}]")).to_be_visible(timeout=20_000)


def stop(page: Page) -> None:
    """Stop the camera."""
    activity("nobody")(page)
    page.get_by_role("button", name="Stop").click()
    activity("off")(page)


def refuse(page: Page) -> None:
    """Start a camera that the browser does not allow."""
    page.get_by_role("button", name="Start the camera").click()
    activity("blocked")(page)


def ask_who(page: Page) -> None:
    """Open "Who is this?"."""
    card("unknown")(page)
    page.get_by_role("button", name="Who is this?").click()
    expect(page.get_by_role("dialog")).to_be_visible()


# name → (address, what the camera sees or None for no camera, what to wait for)
SCREENS: dict[str, tuple[str, str | None, Callable[[Page], None] | None]] = {
    "live-off": ("/", "nobody", stop),
    "live-refused": ("/", None, refuse),
    "live-known": ("/", "friend", card("known")),
    "live-maybe": ("/", "friend-maybe", card("maybe")),
    "live-unknown": ("/", "unknown", card("unknown")),
    "live-group": ("/", "group", card("known")),
    "live-nobody": ("/", "nobody", activity("nobody")),
    "live-dark": ("/", "dark", activity("dark")),
    "live-who": ("/", "unknown", ask_who),
    "people": ("/people", None, None),
    "person": ("/people/{person_id}", None, None),
    "add": ("/add", None, None),
    "unknown": ("/unknown", None, None),
    "report": ("/report", None, None),
    "settings": ("/settings", None, None),
}


def furnish(home: Home) -> str:
    """Fill the bank; returns the id of one person."""
    mira, anna, lea, _ = scenes.FRIENDS
    home.register("Mira", mira, relationship="Your neighbour", remember="She waters the plants when you are away.")
    person_id = home.register("Anna", anna, relationship="Your daughter", remember="She calls every Sunday evening.")
    home.register("Lea", lea, relationship="Your granddaughter", remember="She studies in Leipzig.")
    home.register("Peter", scenes.BIDEN, relationship="Your brother")
    return person_id


def main(wanted: list[str]) -> None:
    """Take the pictures; with names, only those."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        camera = Camera(Path(folder))
        home = Home(start(Path(folder) / "data"))
        try:
            person_id = furnish(home)
            with launch(playwright, camera) as browser:
                for name, (path, scene, ready) in SCREENS.items():
                    if wanted and name not in wanted:
                        continue
                    camera.show(scene or "nobody")
                    for size, viewport in SIZES.items():
                        for theme in THEMES:
                            visits = Visits(browser, home.server)
                            options: dict[str, Any] = {"viewport": viewport, "color_scheme": theme}
                            page = visits.open(path.format(person_id=person_id), camera=scene is not None, **options)
                            page.get_by_role("heading", level=1).wait_for(state="attached")
                            page.mouse.click(1, 1)  # a touch, from which on the page may speak
                            if ready is not None:
                                ready(page)
                            page.wait_for_timeout(900)
                            save(page.screenshot(), FOLDER / f"{name}-{theme}-{size}.png")
                            visits.close()
        finally:
            home.server.stop()


def save(png: bytes, file: Path) -> None:
    """With a palette, since pictures of a camera make large PNG files."""
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(COLOURS).save(file, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
