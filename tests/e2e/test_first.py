"""The first visit, and a camera that is off."""

from __future__ import annotations

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.e2e import scenes
from tests.e2e.conftest import DESKTOP, PHONE, Camera, Home, Visits

SIZES = pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])


@pytest.fixture(autouse=True)
def _nobody(home: Home) -> None:
    """The bank is empty."""
    home.empty()


@SIZES
def test_the_first_visit_leads_to_the_first_person(visits: Visits, home: Home, viewport: ViewportSize) -> None:
    page = visits.open(camera=False, viewport=viewport)
    expect(page.get_by_role("heading", name="I do not know anybody yet")).to_be_visible()
    expect(page.get_by_role("button", name="Start the camera")).to_be_in_viewport(ratio=1)
    page.get_by_role("link", name="Add the first person").click()
    expect(page.get_by_role("heading", name="Add a person")).to_be_visible()
    home.register("Joe", scenes.BIDEN)
    page.goto("/")
    expect(page.get_by_role("heading", name="Who is there?")).to_be_visible()
    expect(page.get_by_role("link", name="Add the first person")).to_be_hidden()


def test_a_camera_that_was_stopped_stays_off_over_a_reload(visits: Visits, camera: Camera) -> None:
    camera.show("nobody")
    page = visits.open()
    status = page.get_by_role("status")
    expect(status.filter(has_text="Nobody there")).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.reload()
    expect(status.filter(has_text="Camera off")).to_be_visible()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(status.filter(has_text="Nobody there")).to_be_visible()
    page.reload()
    expect(status.filter(has_text="Nobody there")).to_be_visible()


def test_a_camera_that_is_refused_cannot_be_stopped(visits: Visits) -> None:
    page = visits.open(camera=False)
    page.get_by_role("button", name="Start the camera").click()
    expect(page.get_by_role("heading", name="The camera is not allowed")).to_be_visible()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible()
