"""Photos as people have them: of somebody else, of an iPhone, and very large ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

from tests.e2e import scenes
from tests.e2e.conftest import PHONE, Home, Visits
from tests.e2e.scenes import BIDEN, OBAMA, OBAMA_SPEAKING


@pytest.fixture(autouse=True)
def nobody(home: Home) -> Iterator[None]:
    """Every test begins with an empty bank."""
    home.empty()
    yield


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two of one person, and one of somebody else."""
    files = [tmp_path / f"{name}.jpg" for name in ("first", "second", "stranger")]
    for file, who in zip(files, (OBAMA, OBAMA_SPEAKING, BIDEN), strict=True):
        file.write_bytes(scenes.photo(who))
    return files


@pytest.mark.parametrize("options", [{}, {"viewport": PHONE, "locale": "de"}], ids=["desktop", "phone"])
def test_a_stranger_among_the_photos_is_warned_of_before_anything_is_saved(
    visits: Visits, home: Home, photos: list[Path], check_axe: Callable[[Any], None], options: dict[str, Any]
) -> None:
    german = "locale" in options
    page = visits.open("/add", reduced_motion="reduce", **options)
    page.locator("input[type=file]").set_input_files(photos)
    page.get_by_label("Name").fill("Barack")
    save = page.locator("button[type=submit]")
    save.click()
    warned = page.get_by_role("alert")
    expect(warned).to_contain_text("Ein Foto zeigt anscheinend" if german else "One photo seems to show somebody")
    row = page.get_by_role("listitem").filter(has_text="stranger.jpg")
    expect(row).to_contain_text("Vielleicht jemand anderes" if german else "Perhaps somebody else")
    check_axe(page)
    with home.client() as client:
        assert client.get("/persons").json()["data"]["total"] == 0
    row.get_by_role("button").click()
    expect(warned).to_have_count(0)
    save.click()
    kept = "2 Fotos wurden behalten." if german else "2 photos were kept."
    expect(page.get_by_text(kept)).to_be_visible()


def test_who_says_once_more_that_the_photo_is_right_is_believed(
    visits: Visits, home: Home, photos: list[Path]
) -> None:
    person_id = home.register("Barack", OBAMA)
    page = visits.open(f"/add?to={person_id}")
    page.locator("input[type=file]").set_input_files(photos[2])
    save = page.get_by_role("button", name="Add photos")
    save.click()
    expect(page.get_by_role("alert")).to_contain_text("somebody else")
    save.click()
    expect(page.get_by_role("heading", name="Visage knows Barack better now")).to_be_visible()


def test_an_iphone_picture_that_the_browser_cannot_read_says_what_to_do(visits: Visits, tmp_path: Path) -> None:
    file = tmp_path / "IMG_0001.HEIC"
    file.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    visits.expected = ("refused: 400 POST",)
    page = visits.open("/add")
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("choose “Most Compatible”")).to_be_visible()


def test_a_picture_of_many_pixels_in_few_bytes_is_made_smaller_and_not_refused(
    visits: Visits, tmp_path: Path
) -> None:
    wide = np.full((7200, 7600, 3), 128, np.uint8)
    face = cv2.resize(scenes.close_up(BIDEN, 480, 600), (2880, 3600))
    wide[1000:4600, 2000:4880] = face
    file = tmp_path / "large.jpg"
    file.write_bytes(scenes.jpeg(wide))
    assert file.stat().st_size < 8 * 1024 * 1024
    page = visits.open("/add")
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_role("listitem").filter(has_text="large.jpg").get_by_role("status")).to_have_text("Good")
