"""Many people: by name, found as one types, and found again after "back"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Route, expect

from tests.e2e.conftest import PHONE, Home, Visits
from tests.e2e.scenes import ASTRONAUT, BIDEN, OBAMA


@pytest.fixture(autouse=True)
def nobody(home: Home) -> Iterator[None]:
    """Every test begins with an empty bank."""
    home.empty()
    yield


@pytest.mark.parametrize("options", [{}, {"viewport": PHONE, "locale": "de"}], ids=["desktop", "phone"])
def test_search_and_order_are_there_again_after_back(visits: Visits, home: Home, options: dict[str, Any]) -> None:
    for name, who in {"Berta": BIDEN, "Anna": ASTRONAUT, "Barack": OBAMA}.items():
        home.register(name, who)
    page = visits.open("/people", **options)
    german = "locale" in options
    names = page.get_by_role("main").get_by_role("list").get_by_role("link")
    expect(names).to_have_text(["Barack", "Anna", "Berta"])
    page.get_by_role("radio", name="Nach Namen" if german else "By name").check()
    expect(names).to_have_text(["Anna", "Barack", "Berta"])
    search = page.get_by_role("searchbox")
    search.fill("b")
    expect(names).to_have_text(["Barack", "Berta"])
    names.first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Barack")
    page.go_back()
    expect(search).to_have_value("b")
    expect(names).to_have_text(["Barack", "Berta"])
    search.fill("")
    expect(names).to_have_text(["Anna", "Barack", "Berta"])
    assert urlsplit(page.url).query == "order=name"


def test_everybody_can_be_picked_by_name_page_by_page(visits: Visits, home: Home) -> None:
    barack = home.register("Barack", OBAMA)

    def pages(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        assert query["order"] == ["name"]
        first = "cursor" not in query
        with home.client() as client:
            [known] = client.get("/persons").json()["data"]["persons"]
        people = [known | {"person_id": f"p{n}", "name": f"Person {n}"} for n in (range(2) if first else range(2, 4))]
        data = {"persons": people, "total": 4, "next_cursor": "next" if first else None}
        route.fulfill(json={"success": True, "error": None, "data": data})

    visits.expected = ("refused: 404 GET",)  # nobody is behind these names
    page = visits.open(f"/people/{barack}")
    page.route("**/api/v1/persons?*", pages)
    page.get_by_role("button", name="Bring together").click()
    dialog = page.get_by_role("dialog", name="Who is the same person as Barack?")
    dialog.get_by_role("button", name="Show more").click()
    expect(dialog.get_by_role("button", name="Person 3")).to_be_visible()
    expect(dialog.get_by_role("button", name="Show more")).to_have_count(0)
