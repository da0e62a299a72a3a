"""People, adding, unknown faces, the report, the settings: what a carer does, in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect
from websockets.sync.client import connect

from tests.api.conftest import VISAGE, start
from tests.e2e import scenes
from tests.e2e.conftest import PHONE, Camera, Home, Visits
from tests.e2e.scenes import ASTRONAUT, BIDEN, OBAMA, OBAMA_SPEAKING, OBAMA_STANDING
from tests.storage.test_backup import back_up
from visage.admin.database import open_database
from visage.admin.preferences import PreferenceStore
from visage.service.retention import MARK, SINCE
from visage.storage.rekeying import add_recovery_key
from visage.storage.sqlite import open_store

_FRAMES_A_VIEW = 90
"""Three seconds of the fake camera."""


@pytest.fixture(autouse=True)
def nobody(home: Home) -> Iterator[None]:
    """Every test begins with an empty bank."""
    home.empty()
    yield


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as people have one: photos, and what is none."""
    folder = tmp_path_factory.mktemp("files")
    for name, person in {"anna.jpg": ASTRONAUT, "joe.jpg": BIDEN}.items():
        (folder / name).write_bytes(scenes.photo(person))
    (folder / "wall.jpg").write_bytes(scenes.jpeg(scenes.room()))
    (folder / "party.jpg").write_bytes(scenes.jpeg(scenes.side_by_side(OBAMA, BIDEN, heads=1.8)))
    couple = scenes.side_by_side(OBAMA, BIDEN, heads=1.8)
    couple[:, 480:] = 110
    couple[270:, 600:840] = scenes.close_up(BIDEN, 240, 270)
    (folder / "couple.jpg").write_bytes(scenes.jpeg(couple))
    (folder / "night.jpg").write_bytes(scenes.jpeg(scenes.darkened(scenes.close_up(BIDEN, 480, 600), 0.12)))
    (folder / "letter.jpg").write_text("Dear Anna, no picture this time.")
    return folder


@pytest.fixture(scope="module")
def old_bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of another computer, which knows Barack. To be copied."""
    folder = tmp_path_factory.mktemp("old")
    (folder / "barack.jpg").write_bytes(scenes.photo(OBAMA))
    call: list[str | Path] = [VISAGE, "register", "Barack", folder / "barack.jpg", "--data-dir", folder / "data"]
    subprocess.run(call, capture_output=True, timeout=60, check=True)  # Playwright's loop runs in this process
    return folder / "data"


def show_turning(camera: Camera) -> None:
    """Someone before the camera looks straight, then a little to his left, then a little to his right; and again."""
    made = camera.video.parent / "turning.mjpeg"
    if not made.is_file():
        to_his_right = scenes.alone(OBAMA_SPEAKING)
        views = [scenes.alone(OBAMA), np.ascontiguousarray(cv2.flip(to_his_right, 1)), to_his_right]
        made.write_bytes(b"".join(scenes.jpeg(np.asarray(view, np.uint8)) * _FRAMES_A_VIEW for view in views))
    camera.show("turning")


def person(home: Home, person_id: str) -> dict[str, Any]:
    """What the server knows of a person."""
    with home.client() as client:
        found: dict[str, Any] = client.get(f"/persons/{person_id}").json()["data"]
        return found


def names(home: Home) -> list[str]:
    """Everybody who is remembered."""
    with home.client() as client:
        return sorted(entry["name"] for entry in client.get("/persons").json()["data"]["persons"])


def walk_past(home: Home, image: scenes.Person) -> None:
    """Someone comes before the camera of a device, long enough to be told apart."""
    with connect(home.server.live, max_size=None) as camera:
        for _ in range(4):
            camera.send(scenes.jpeg(scenes.alone(image)))
            camera.recv(timeout=10)


def test_the_camera_takes_three_views_by_itself(
    visits: Visits, home: Home, camera: Camera, check_axe: Callable[[Page], None]
) -> None:
    show_turning(camera)
    page = visits.open("/add", reduced_motion="reduce")
    page.get_by_role("button", name="Use the camera").click()
    pictures = page.get_by_role("list", name="Photos so far").get_by_role("listitem")
    expect(pictures).to_have_count(1, timeout=15_000)
    expect(page.get_by_text("Turn your head a little to your left.")).to_be_visible()
    expect(pictures).to_have_count(3, timeout=30_000)
    expect(page.get_by_text("Thank you, that was it")).to_be_visible()
    check_axe(page)
    page.get_by_label("Name").fill("Barack")
    page.get_by_label("One line to remember").fill("Your neighbour's son")
    page.get_by_role("button", name="Remember Barack").click()
    expect(page.get_by_role("heading", name="Visage knows Barack now")).to_be_focused()
    expect(page.get_by_text("3 photos were kept.")).to_be_visible()
    page.get_by_role("link", name="See Barack").click()
    expect(page.get_by_text("Your neighbour's son")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Photo . of Barack"))).to_have_count(3)


def test_who_turns_away_is_told_so_and_may_take_the_picture_by_hand(
    visits: Visits, camera: Camera, check_axe: Callable[[Page], None]
) -> None:
    camera.show("nobody")
    page = visits.open("/add", viewport=PHONE, color_scheme="dark", reduced_motion="reduce")
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_text("No face in sight.")).to_be_visible()
    check_axe(page)
    page.get_by_role("button", name="Take it now").click()
    expect(page.get_by_text("No face was found.")).to_be_visible()


def test_each_file_says_what_is_wrong_with_it_and_the_good_ones_are_kept(
    visits: Visits, home: Home, files: Path
) -> None:
    page = visits.open("/add")
    page.get_by_role("button", name="Remember this person").click()
    expect(page.get_by_text("A name is needed.")).to_be_visible()
    expect(page.get_by_text("A photo is needed.")).to_be_visible()
    chosen = [files / name for name in ("anna.jpg", "wall.jpg", "party.jpg", "letter.jpg")]
    visits.expected = ("refused: 400 POST",)  # the letter
    page.locator("input[type=file]").set_input_files(chosen)
    rows = page.get_by_role("list", name="Photos so far").get_by_role("listitem")
    said = ["Good", "No face was found", "Several people", "not a JPEG or PNG"]
    for name, words in zip(chosen, said, strict=True):
        expect(rows.filter(has_text=name.name)).to_contain_text(words)
    rows.filter(has_text="party.jpg").get_by_role("button", name="Leave this photo out").click()
    page.get_by_label("Name").fill("Anna <b>Eileen</b>")
    page.get_by_label("Relationship").fill("Daughter")
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Visage knows Anna <b>Eileen</b> now")
    expect(page.get_by_text("2 could not be used.")).to_be_visible()
    assert names(home) == ["Anna <b>Eileen</b>"]


@pytest.mark.parametrize("options", [{}, {"viewport": PHONE, "color_scheme": "dark"}], ids=["desktop", "phone"])
def test_in_a_photo_of_several_people_a_finger_chooses(
    visits: Visits, home: Home, files: Path, check_axe: Callable[[Page], None], options: dict[str, Any]
) -> None:
    page = visits.open("/add", reduced_motion="reduce", has_touch=True, **options)
    page.locator("input[type=file]").set_input_files(files / "party.jpg")
    faces = page.get_by_role("group", name="Touch the one who is meant").get_by_role("radio")
    expect(faces).to_have_count(2)
    page.get_by_label("Name").fill("Joe")
    page.get_by_role("button", name="Remember Joe").click()
    expect(page.get_by_role("alert")).to_contain_text("touch the one who is meant")
    check_axe(page)
    page.get_by_role("radio", name="Face 2 of 2, from the left").tap()
    expect(page.get_by_text("Good", exact=True)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_role("radio", name="Face 2 of 2, from the left")).to_be_checked()
    check_axe(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
    page.get_by_role("button", name="Remember Joe").click()
    expect(page.get_by_role("heading", name="Visage knows Joe now")).to_be_visible()
    with home.client() as client:
        seen = client.post("/identify", files={"image": scenes.photo(BIDEN)}).json()["data"]
    assert seen["match"]["name"] == "Joe"


def test_who_stands_out_is_marked_and_a_key_chooses_another(visits: Visits, home: Home, files: Path) -> None:
    page = visits.open("/add")
    page.locator("input[type=file]").set_input_files(files / "couple.jpg")
    first, second = (page.get_by_role("radio", name=f"Face {number} of 2") for number in (1, 2))
    expect(first).to_be_checked()
    first.focus()
    page.keyboard.press("ArrowRight")
    expect(second).to_be_checked()
    page.get_by_label("Name").fill("Joe")
    page.get_by_role("button", name="Remember Joe").click()
    expect(page.get_by_role("heading", name="Visage knows Joe now")).to_be_visible()
    with home.client() as client:
        seen = client.post("/identify", files={"image": scenes.photo(BIDEN)}).json()["data"]
    assert seen["match"]["name"] == "Joe"


def test_what_was_here_already_is_said(visits: Visits, home: Home, files: Path) -> None:
    page = visits.open("/add")
    for relationship, words in (("Friend", "One photo was kept."), ("Brother", "One photo was here already.")):
        page.locator("input[type=file]").set_input_files(files / "joe.jpg")
        expect(page.get_by_text("Good", exact=True)).to_be_visible()
        page.get_by_label("Name").fill("Joe")
        page.get_by_label("Relationship").fill(relationship)
        page.get_by_role("button", name="Remember Joe").click()
        expect(page.get_by_text(words)).to_be_visible()
        expect(page.get_by_text("What is known stays as it was")).to_have_count(0 if relationship == "Friend" else 1)
        page.get_by_role("button", name="Add another person").click()


def test_photos_are_dropped_onto_a_person_who_is_here_already(visits: Visits, home: Home) -> None:
    person_id = home.register("Barack", OBAMA)
    page = visits.open(f"/people/{person_id}")
    page.get_by_role("link", name="Add photos").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Photos of Barack")
    transfer = page.evaluate_handle(
        """bytes => { const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], "b.jpg", { type: "image/jpeg" })); return transfer; }""",
        list(scenes.photo(OBAMA_SPEAKING)),
    )
    for event in ("dragover", "drop"):
        page.get_by_role("button", name="Choose photos").dispatch_event(event, {"dataTransfer": transfer})
    expect(page.get_by_text("Good", exact=True)).to_be_visible()
    page.get_by_role("button", name="Add photos").click()
    expect(page.get_by_role("heading", name="Visage knows Barack better now")).to_be_visible()
    expect(page.get_by_text("One more photo of Barack helps most")).to_be_visible()
    assert person(home, person_id)["embedding_count"] == 2


def test_a_face_that_is_here_already_is_asked_about(
    visits: Visits, home: Home, files: Path, check_axe: Callable[[Page], None]
) -> None:
    joe = home.register("Joe", BIDEN)
    page = visits.open("/add", viewport=PHONE, reduced_motion="reduce")
    page.locator("input[type=file]").set_input_files(files / "joe.jpg")
    page.get_by_label("Name").fill("Joseph")
    page.get_by_role("button", name="Remember Joseph").click()
    expect(page.get_by_role("heading", name="Is this the same person?")).to_be_visible()
    check_axe(page)
    page.get_by_role("button", name="The same person").click()
    expect(page.get_by_role("heading", name="Visage knows Joe better now")).to_be_visible()
    page.get_by_role("button", name="Close").click()  # the message lies over it
    check_axe(page)
    page.emulate_media(color_scheme="dark")
    check_axe(page)
    assert (names(home), person(home, joe)["embedding_count"]) == (["Joe"], 2)


def test_people_are_found_as_one_types(visits: Visits, home: Home) -> None:
    home.register("Barack", OBAMA, relationship="Son")
    home.register("Joe", BIDEN, relationship="Neighbour")
    page = visits.open("/people")
    expect(page.get_by_text("2 people")).to_be_visible()
    page.get_by_label("Search by name or relationship").fill("neigh")
    expect(page.get_by_text("One person found")).to_be_visible()
    expect(page.get_by_role("link", name="Joe")).to_be_visible()
    page.get_by_label("Search by name or relationship").fill("zz")
    expect(page.get_by_role("heading", name="Nobody found for “zz”")).to_be_visible()
    page.get_by_role("button", name="Clear the search").click()
    expect(page.get_by_role("link", name="Barack")).to_be_visible()


def test_an_edit_is_taken_back(visits: Visits, home: Home) -> None:
    person_id = home.register("Joe", BIDEN, relationship="Neighbour", remember="Has the key")
    page = visits.open(f"/people/{person_id}")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Name").fill("Joe Miller")
    page.get_by_label("One line to remember").fill("")
    page.get_by_label("Notes").fill("Feeds the cat.\nComes on Mondays.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Joe Miller")
    expect(page.get_by_text("Comes on Mondays.")).to_be_visible()
    assert person(home, person_id)["metadata"] == {"notes": "Feeds the cat.\nComes on Mondays."}
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Joe")
    assert person(home, person_id)["metadata"] == {"remember": "Has the key"}


def test_two_entries_are_brought_together_and_taken_apart(visits: Visits, home: Home) -> None:
    barack = home.register("Barack", OBAMA)
    home.register("Barry", OBAMA_STANDING)
    page = visits.open(f"/people/{barack}")
    page.get_by_role("button", name="Bring together").click()
    page.get_by_role("dialog").get_by_role("button", name="Barry").click()
    expect(page.get_by_role("heading", name="2 photos")).to_be_visible()
    assert names(home) == ["Barack"]
    message(page).get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="One photo")).to_be_visible()
    assert names(home) == ["Barack", "Barry"]


def test_what_was_said_of_a_face_can_be_taken_back(visits: Visits, home: Home) -> None:
    person_id = home.register("Joe", BIDEN)
    with home.client() as client:
        for what in ("not-me", "is-me"):
            files = {"image": scenes.photo(ASTRONAUT)}
            client.post(f"/persons/{person_id}/{what}", files=files).raise_for_status()
    page = visits.open(f"/people/{person_id}")
    for said in ("is not Joe", "is Joe"):
        entry = page.get_by_role("listitem").filter(has_text=f"Somebody said: this face {said}.")
        entry.get_by_role("button", name="Undo").click()
        expect(entry).to_have_count(0)
    expect(page.get_by_text("The correction is taken back.").first).to_be_visible()
    assert (person(home, person_id)["undos"], person(home, person_id)["embedding_count"]) == ([], 1)


def test_a_removed_photo_comes_back_or_goes_when_the_page_does(visits: Visits, home: Home) -> None:
    person_id = home.register("Barack", OBAMA, OBAMA_SPEAKING, OBAMA_STANDING)
    page = visits.open(f"/people/{person_id}")
    remove = page.get_by_role("button", name="Remove")
    remove.first.click()
    expect(remove).to_have_count(2)
    page.get_by_role("button", name="Undo").click()
    expect(remove).to_have_count(3)
    remove.first.click()
    expect(remove).to_have_count(2)
    assert person(home, person_id)["embedding_count"] == 3
    page.goto("about:blank")  # the page closes: what was held back is sent
    wait_for(lambda: person(home, person_id)["embedding_count"] == 2)
    page.goto(f"/people/{person_id}")
    remove.first.click()
    page.get_by_role("button", name="Close").click()  # so does closing the message
    expect(page.get_by_text("One photo")).to_be_visible()
    expect(page.get_by_text("The last photo cannot be removed")).to_be_visible()
    assert person(home, person_id)["embedding_count"] == 1


def test_forgetting_says_what_it_means_and_is_asked_about(visits: Visits, home: Home) -> None:
    person_id = home.register("Joe", BIDEN)
    page = visits.open(f"/people/{person_id}")
    page.get_by_role("button", name="Forget this person").click()
    dialog = page.get_by_role("dialog", name="Forget Joe?")
    expect(dialog).to_contain_text("This cannot be taken back.")
    expect(dialog.get_by_role("button", name="Keep Joe")).to_be_focused()
    page.keyboard.press("Escape")
    assert names(home) == ["Joe"]
    page.get_by_role("button", name="Forget this person").click()
    dialog.get_by_role("button", name="Forget for good").click()
    expect(page.get_by_role("heading", name="Nobody is here yet")).to_be_visible()
    assert names(home) == []
    visits.expected = (f"refused: 404 GET {home.server.api}/persons/{person_id}",)
    page.goto(f"/people/{person_id}")
    expect(page.get_by_role("heading", name="This person is not here")).to_be_visible()


def test_an_unknown_face_is_named(visits: Visits, home: Home) -> None:
    walk_past(home, ASTRONAUT)
    page = visits.open("/unknown")
    page.get_by_role("button", name="Who is this?").click()
    dialog = page.get_by_role("dialog", name="Who is this?")
    expect(dialog.get_by_label("Name")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("A name is needed.")).to_be_visible()
    page.keyboard.type("Eileen")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No unknown faces")).to_be_visible()
    assert names(home) == ["Eileen"]


def test_an_unknown_face_goes_to_someone_who_is_here(visits: Visits, home: Home) -> None:
    joe = home.register("Joe", BIDEN)
    walk_past(home, ASTRONAUT)
    page = visits.open("/unknown")
    page.get_by_role("button", name="Who is this?").click()
    page.get_by_role("button", name="Someone who is here already").click()
    page.get_by_role("dialog").get_by_role("button", name="Joe").click()
    expect(page.get_by_role("heading", name="No unknown faces")).to_be_visible()
    assert (names(home), person(home, joe)["embedding_count"]) == (["Joe"], 2)


@pytest.fixture
def house_that_asks(home: Home) -> Iterator[None]:
    """Nobody is remembered there without consent."""
    with home.client() as client:
        client.patch("/settings", json={"require_consent": True}).raise_for_status()
        yield
        client.patch("/settings", json={"require_consent": False}).raise_for_status()


def consent(home: Home) -> dict[str, Any]:
    """That of the one person who is remembered, without its day."""
    with home.client() as client:
        [only] = client.get("/persons").json()["data"]["persons"]
    return {key: only["consent"][key] for key in ("given_by", "capacity", "valid_until")}


def test_where_the_house_asks_for_consent_nobody_is_added_without_it(
    visits: Visits, home: Home, files: Path, house_that_asks: None, check_axe: Callable[[Page], None]
) -> None:
    page = visits.open("/add", viewport=PHONE, reduced_motion="reduce")
    page.locator("input[type=file]").set_input_files(files / "joe.jpg")
    page.get_by_label("Name", exact=True).fill("Joe")
    page.get_by_role("button", name="Remember Joe").click()
    expect(page.get_by_text("Choose who agrees.")).to_be_visible()
    assert names(home) == []
    page.get_by_label("I agree myself").check()
    expect(page.get_by_label("Full name of who agrees")).to_have_value("Joe")
    page.get_by_label("Someone else, as …").check()
    page.get_by_label("As what").fill("parent")
    page.get_by_label("Full name of who agrees").fill("Jill Miller")
    page.get_by_label("Until").fill("2000-01-01")
    expect(page.get_by_text("This is before the day of the consent.")).to_be_visible()
    check_axe(page)
    page.get_by_label("Until").fill("2099-12-31")
    page.get_by_role("button", name="Remember Joe").click()
    expect(page.get_by_role("heading", name="Visage knows Joe now")).to_be_visible()
    assert consent(home) == {"given_by": "Jill Miller", "capacity": "parent", "valid_until": "2099-12-31"}


def test_who_is_this_asks_for_consent_even_where_the_page_did_not_know_that_it_must(
    visits: Visits, home: Home, camera: Camera, house_that_asks: None
) -> None:
    camera.show("unknown")
    rules = {"target_fpir": 0.01, "retention_days": None, "remember_last_seen": False, "require_consent": False}
    page = visits.open("/people")
    page.route(
        "**/api/v1/settings",
        lambda route: route.fulfill(json={"success": True, "error": None, "data": rules | {"locked": []}}),
    )
    visits.expected = ("refused: 422 POST",)
    page.get_by_role("link", name="Live").click()
    page.get_by_role("button", name="Who is this?").click()
    dialog = page.get_by_role("dialog", name="Who is this?")
    dialog.get_by_label("Name", exact=True).fill("Eileen")
    page.keyboard.press("Enter")
    dialog.get_by_label("I agree myself").check()
    dialog.get_by_role("button", name="Remember").click()
    expect(dialog).to_be_hidden()
    assert consent(home) == {"given_by": "Eileen", "capacity": "self", "valid_until": None}


def test_a_face_of_someone_who_never_agreed_is_asked_about_and_then_the_record_is_edited(
    visits: Visits, home: Home, request: pytest.FixtureRequest
) -> None:
    joe = home.register("Joe", BIDEN)
    request.getfixturevalue("house_that_asks")
    walk_past(home, ASTRONAUT)
    page = visits.open("/unknown")
    page.get_by_role("button", name="Who is this?").click()
    page.get_by_role("button", name="Someone who is here already").click()
    page.get_by_role("dialog").get_by_role("button", name="Joe").click()
    page.get_by_label("I decide for this person").check()
    page.get_by_label("Full name of who agrees").fill("Jill Miller")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="No unknown faces")).to_be_visible()
    with home.client() as client:
        client.patch("/settings", json={"require_consent": False}).raise_for_status()
    page.goto(f"/people/{joe}")
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Jill Miller agreed for this person on")).to_be_visible()
    dialog.get_by_role("button", name="Change").click()
    dialog.get_by_label("I agree myself").check()
    dialog.get_by_label("Full name of who agrees").fill("Joe")
    dialog.get_by_label("Agreed on").fill("2024-02-29")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    assert person(home, joe)["consent"]["given_on"] == "2024-02-29"
    page.get_by_role("button", name="Edit").click()
    expect(dialog.get_by_text("Joe agreed in person on 29 February 2024.")).to_be_visible()
    dialog.get_by_role("button", name="Remove").click()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    assert person(home, joe)["consent"] is None


def test_the_report_shows_whom_to_look_after_and_mends_it(visits: Visits, home: Home) -> None:
    barack = home.register("Barack", OBAMA, OBAMA_SPEAKING, OBAMA_STANDING, BIDEN)
    joe = home.register("Joe", BIDEN)
    page = visits.open("/report")
    misfit = page.get_by_role("listitem").filter(has_text="Is this Barack, or Joe?")
    misfit.get_by_role("button", name="It is Joe: move it there").click()
    expect(misfit).to_have_count(0)
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("heading", name="Photos that do not fit")).to_have_count(0)
    expect(
        page.get_by_role("link", name=re.compile("Joe.*2 photos, nearly the same.*in other light.*98 instead of 94"))
    ).to_be_visible()
    assert [person(home, each)["embedding_count"] for each in (barack, joe)] == [3, 2]


def test_the_report_says_that_visage_is_more_careful_where_people_look_alike(visits: Visits, home: Home) -> None:
    home.register("Barack", OBAMA, OBAMA_SPEAKING, OBAMA_STANDING)
    page = visits.open("/report")
    expect(page.get_by_role("heading", name="All is well")).to_be_visible()

    def alike(route: Route) -> None:
        reply = route.fetch()
        body = reply.json()
        body["data"]["closeness"]["more_alike"] = True
        route.fulfill(response=reply, json=body)

    page.route("**/api/v1/bank/report", alike)
    page.reload()
    expect(page.get_by_role("heading", name="Visage is more careful here")).to_be_visible()
    expect(page.get_by_text("among children it may leave out several names in ten")).to_be_visible()
    expect(page.get_by_role("heading", name="All is well")).to_have_count(0)


def test_a_pair_that_looks_alike_is_kept_apart(visits: Visits, home: Home) -> None:
    home.register("Barack", OBAMA)
    home.register("Barry", OBAMA_STANDING)
    page = visits.open("/report")
    expect(page.get_by_role("heading", name="Hard to tell apart")).to_be_visible()
    page.get_by_role("button", name="Two people").click()
    expect(page.get_by_role("heading", name="Hard to tell apart")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("heading", name="Too few photos")).to_be_visible()
    expect(page.get_by_role("heading", name="Hard to tell apart")).to_have_count(0)


def test_settings_are_kept_and_a_key_is_shown_once(visits: Visits, home: Home) -> None:
    page = visits.open("/settings")
    page.get_by_label("Dark").check()
    page.get_by_label("Very large").check()
    page.get_by_role("button", name="Try it").click()
    assert page.evaluate("window.spoken") == ["Anna, your daughter, on your left."]
    page.get_by_label("For which device").fill("bedroom tablet")
    page.get_by_role("button", name="Make the key").click()
    secret = page.get_by_label("Your new key").input_value()
    with home.client() as client:
        assert client.post("/session", json={"key": secret}).json()["data"]["role"] == "viewer"
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text("bedroom tablet")).to_be_visible()
    page.get_by_role("button", name="Take away").click()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_text("There is no key yet.")).to_be_visible()
    with home.client() as client:
        assert all(key["revoked_at"] for key in client.get("/keys").json()["data"]["keys"])
    page.get_by_label("Deutsch").check()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Einstellungen")
    assert page.evaluate("Object.values({...document.documentElement.dataset})") == ["dark", "largest"]


def test_a_backup_brings_everybody_back_and_a_copy_can_be_taken_along(
    visits: Visits, home: Home, tmp_path: Path
) -> None:
    person_id = home.register("Barack", OBAMA)
    page = visits.open("/settings")
    with page.expect_download() as backup:
        page.get_by_role("button", name="Make a backup").click()
    backup.value.save_as(tmp_path / "backup")
    with page.expect_download() as everything:
        page.get_by_role("button", name="Save a copy of everything").click()
    assert everything.value.suggested_filename.endswith(".zip")
    home.register("Joe", BIDEN)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a backup").click()
    visits.expected = ("refused: 503",)  # while the bank is exchanged
    chooser.value.set_files(tmp_path / "backup")
    result = page.get_by_role("status").filter(has_text="The backup is back.")
    expect(result).to_be_focused(timeout=20_000)
    expect(result).to_contain_text("One person is here now")
    expect(result).to_contain_text("visage.db.before-")
    assert names(home) == ["Barack"]
    page.goto(f"/people/{person_id}")
    with page.expect_download() as copy:
        page.get_by_role("button", name="Save a copy").click()
    with ZipFile(copy.value.path()) as archive:
        assert any(name.endswith(".jpg") for name in archive.namelist())


def test_a_backup_of_another_computer_comes_back_with_the_recovery_key(
    visits: Visits, home: Home, old_bank: Path, files: Path, tmp_path: Path, check_axe: Callable[[Page], None]
) -> None:
    home.register("Joe", BIDEN)
    store = open_store(old_bank)
    paper = add_recovery_key(store)
    store.close()
    old = back_up(old_bank, tmp_path / "old.visage")
    page = visits.open("/settings", viewport=PHONE, reduced_motion="reduce")
    visits.expected = ("refused: 422 POST", "refused: 503")  # the wrong keys; while the bank is exchanged
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a backup").click()
    chooser.value.set_files(old)
    field = page.get_by_label("Recovery key")
    expect(field).to_be_focused()
    field.fill("AAAA " * 8)
    page.keyboard.press("Enter")
    expect(page.get_by_text("This recovery key does not fit.")).to_be_visible()
    check_axe(page)
    assert names(home) == ["Joe"]
    field.fill(paper)
    page.get_by_role("button", name="Bring it back").click()
    result = page.get_by_role("status").filter(has_text="The backup is back.")
    expect(result).to_contain_text("One person is here now", timeout=20_000)
    check_axe(page)
    assert names(home) == ["Barack"]
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a backup").click()
    chooser.value.set_files(files / "joe.jpg")
    expect(page.get_by_text("This is no backup of Visage")).to_be_visible()
    assert names(home) == ["Barack"]


def test_who_was_not_seen_for_long_is_listed_with_reasons_and_goes_once_the_date_is_confirmed(
    browser: Browser, old_bank: Path, tmp_path: Path, check_axe: Callable[[Page], None]
) -> None:
    shutil.copytree(old_bank, tmp_path / "data")
    stand_still(tmp_path / "data", days=100)
    server = start(tmp_path / "data")
    visits = Visits(browser, server)
    try:
        page = visits.open("/settings", viewport=PHONE, reduced_motion="reduce")
        row = page.get_by_role("listitem").filter(has_text="Barack")
        expect(row).to_contain_text("Never seen by the camera. 100 days since")
        expect(page.get_by_text(re.compile("Is today .*nobody is forgotten by itself."))).to_be_visible()
        check_axe(page)
        page.get_by_role("button", name="Forget them now").click()
        dialog = page.get_by_role("dialog", name="Forget one person?")
        expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        expect(dialog).to_contain_text("Barack")
        expect(dialog).to_contain_text("This cannot be taken back.")
        expect(dialog).to_contain_text("You say that today is")
        check_axe(page)
        dialog.get_by_role("button", name="Date is right: forget").click()
        expect(message(page).get_by_text("One person is forgotten.")).to_be_visible()
        expect(page.get_by_text("Nobody is due at present.")).to_be_visible()
        expect(page.get_by_text("Is today")).to_have_count(0)
        assert names(Home(server)) == []
        visits.verify()
    finally:
        visits.close()
        server.stop()


def test_the_false_name_target_is_changed_in_words_and_taken_back(visits: Visits, home: Home) -> None:
    page = visits.open("/settings")
    page.get_by_label("Rather silent").click()
    expect(page.get_by_label("Rather silent")).to_be_checked()
    with home.client() as client:
        assert client.get("/settings").json()["data"]["target_fpir"] == 0.002
    message(page).get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Balanced")).to_be_checked()
    page.get_by_label("After a year").click()
    expect(page.get_by_text("Nobody is due at present.")).to_be_visible()


def test_who_may_only_look_sees_nothing_to_change(visits: Visits, home: Home) -> None:
    person_id = home.register("Barack", OBAMA, OBAMA_SPEAKING)
    page = visits.open("/people")
    session = {"success": True, "error": None, "data": {"required": True, "signed_in": True, "role": "viewer"}}
    page.route("**/api/v1/session", lambda route: route.fulfill(json=session))
    page.goto(f"/people/{person_id}")
    expect(page.get_by_role("heading", name="2 photos")).to_be_visible()
    for words in ("Edit", "Remove", "Bring together", "Forget this person", "Add photos"):
        expect(page.get_by_text(words, exact=True)).to_have_count(0)
    page.goto("/settings")
    expect(page.get_by_role("heading", name="Speech")).to_be_visible()
    expect(page.get_by_role("heading", name="Keys for other devices")).to_have_count(0)
    page.goto("/add")
    expect(page.get_by_role("heading", name="Not with this key")).to_be_visible()


def test_everything_goes_by_keyboard(visits: Visits, home: Home) -> None:
    person_id = home.register("Barack", OBAMA)
    page = visits.open("/people")
    page.get_by_label("Search by name or relationship").focus()
    page.keyboard.type("bar")
    expect(page.get_by_text("One person found")).to_be_visible()
    press(page, "Tab", 2)  # past the cross
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Barack")
    press(page, "Tab", 2)
    expect(page.get_by_role("button", name="Edit")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    focus_by_tab(page, "Name")
    page.keyboard.press("End")
    page.keyboard.type(" junior")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Barack junior")
    page.keyboard.press("F8")
    focus_by_tab(page, "Undo")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Barack")
    assert person(home, person_id)["name"] == "Barack"


def test_screens_with_people_are_fit_for_everybody_in_light_and_dark(
    visits: Visits, home: Home, files: Path, check_axe: Callable[[Page], None]
) -> None:
    barack = home.register("Barack", OBAMA, OBAMA_SPEAKING, BIDEN, relationship="Son", remember="The youngest")
    home.register("Barry", OBAMA_STANDING)
    walk_past(home, ASTRONAUT)
    visits.expected = ("refused: 400 POST",)  # the letter
    page = visits.open("/people", viewport=PHONE, locale="de", reduced_motion="reduce")

    def check(*, dark: bool = True) -> None:
        """All rules in light; those of colours once more in dark."""
        page.wait_for_load_state("networkidle")
        check_axe(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        if dark:
            page.evaluate("document.documentElement.dataset.theme = 'dark'")
            page.evaluate("new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)))")
            page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished)).then(() => 0)")
            results = page.evaluate("axe.run(document, { runOnly: { type: 'rule', values: ['color-contrast'] } })")
            assert [node["html"] for found in results["violations"] for node in found["nodes"]] == []
            page.evaluate("document.documentElement.dataset.theme = 'light'")

    for path in ("/people", "/unknown", "/report", "/settings"):
        page.goto(path)
        check()
    page.goto("/add")
    page.locator("input[type=file]").set_input_files([files / "joe.jpg", files / "letter.jpg", files / "night.jpg"])
    check()
    page.goto(f"/people/{barack}")
    check()
    for icon in ("pencil", "merge", "user-x"):
        page.locator(f"main button:has(svg.lucide-{icon})").click()
        page.get_by_role("dialog").wait_for()
        check(dark=False)
        page.keyboard.press("Escape")


def stand_still(data_dir: Path, *, days: int) -> None:
    """Nobody was seen for so long, and the server did not run; retention was on."""
    then = datetime.now(UTC) - timedelta(days=days)
    store = open_store(data_dir)
    database = open_database(data_dir)
    preferences = PreferenceStore(database.transaction)
    preferences.write({"retention_days": 90})
    preferences.keep_time(SINCE, then)
    preferences.keep_time(MARK, then)
    database.close()
    with store.transaction() as connection:
        aged = f"UPDATE persons SET created_at = created_at - {days} * 86400000000"
        connection.exec_driver_sql(aged)
    store.close()


def message(page: Page) -> Locator:
    """Where the page says what was done, and takes it back."""
    return page.get_by_role("region", name=re.compile("Messages"))


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it is so; at most five seconds."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def press(page: Page, key: str, times: int) -> None:
    """Press a key so often."""
    for _ in range(times):
        page.keyboard.press(key)


def focus_by_tab(page: Page, name: str) -> None:
    """Go on with Tab until a button or field of this name has the focus."""
    for _ in range(12):
        focused = page.evaluate("(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()")
        if focused == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {name}")
