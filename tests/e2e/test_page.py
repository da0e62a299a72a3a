"""Every screen: of this origin alone, under its policy, fit for everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import DESKTOP, PHONE, Visits

SCREENS = ["/", "/people", "/add", "/unknown", "/report", "/settings"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", SCREENS)
def test_every_screen_is_fit_for_everybody_and_stays_at_home(
    visits: Visits, check_axe: Callable[[Page], None], path: str, scheme: Literal["light", "dark"]
) -> None:
    page = visits.open(path, color_scheme=scheme, viewport=PHONE if scheme == "dark" else DESKTOP)
    page.get_by_role("heading", level=1).wait_for(state="attached")
    page.wait_for_load_state("networkidle")
    check_axe(page)


@pytest.mark.parametrize("path", SCREENS)
def test_every_screen_fits_a_width_of_320(visits: Visits, path: str) -> None:
    page = visits.open(path, viewport={"width": 320, "height": 640})
    page.get_by_role("heading", level=1).wait_for(state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
