"""Every screen: of this origin alone, under its policy, fit for everybody."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import DESKTOP, PHONE, Visits


@pytest.mark.parametrize("path", ["/", "/people", "/add", "/unknown", "/report", "/settings"])
def test_every_screen_is_fit_for_everybody_and_stays_at_home(
    visits: Visits, check_axe: Callable[[Page], None], path: str
) -> None:
    page = visits.open(path, camera=False, viewport=DESKTOP, color_scheme="light", reduced_motion="reduce")
    page.get_by_role("heading", level=1).wait_for(state="attached")
    page.wait_for_load_state("networkidle")
    check_axe(page)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)
    check_axe(page)
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, "nothing sticks out sideways"
