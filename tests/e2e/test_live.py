"""The Live screen, as those live it who use it: a real browser, a real server, a camera that plays real faces."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, WebSocket, WebSocketRoute, expect

from tests.api.conftest import start
from tests.e2e import scenes
from tests.e2e.conftest import PHONE, Camera, Home, Visits, wait_for

HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
"""Headless tabs are never hidden; this says that one is, as the browser would."""


LINE = "element => `${getComputedStyle(element).borderTopWidth} ${getComputedStyle(element).borderTopStyle}`"


@pytest.fixture(autouse=True)
def _family(home: Home) -> None:
    """Barack and Joe are known; the astronaut is not."""
    furnish(home)


def furnish(home: Home) -> None:
    """Register two people, and nobody else."""
    home.empty()
    home.register(
        "Barack",
        scenes.OBAMA,
        scenes.OBAMA_STANDING,
        relationship="Your friend",
        remember="He plays basketball with you.",
    )
    home.register("Joe", scenes.BIDEN, relationship="Your uncle")


def card(page: Page) -> Locator:
    """Where it says who is there."""
    return page.get_by_role("region", name="Who is there")


def activity(page: Page, words: str) -> Locator:
    """The sign that says what the camera is doing, where it says that."""
    return page.get_by_role("status").filter(has_text=words)


def button(page: Page, name: str) -> Locator:
    """A button by its exact name."""
    return page.get_by_role("button", name=name, exact=True)


def show(page: Page, camera: Camera, scene: str) -> None:
    """Put something else before the camera."""
    button(page, "Stop").click()
    camera.show(scene)
    button(page, "Start").click()


def spoken(page: Page) -> list[str]:
    """What was said so far."""
    words: list[str] = page.evaluate("window.spoken")
    return words


def touch(page: Page) -> None:
    """A first touch, from which on a page may speak."""
    page.mouse.click(2, 2)


def test_someone_known_is_recognised_and_introduced_within_seconds(
    visits: Visits, camera: Camera, check_axe: Callable[[Page], None]
) -> None:
    camera.show("known")
    start_s = time.monotonic()
    page = visits.open()
    expect(card(page)).to_contain_text("Barack")
    took_s = time.monotonic() - start_s
    expect(card(page)).to_contain_text("Your friend")
    expect(card(page)).to_contain_text("He plays basketball with you.")
    expect(card(page)).to_contain_text("In front of you", ignore_case=True)
    expect(activity(page, "Looking")).to_be_visible()
    wait_for(page, "document.querySelector('[data-state=known] img')?.naturalWidth > 0")
    assert "%" not in page.inner_text("body")
    check_axe(page)
    assert took_s < 6, "from opening the page to the name"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_known_might_be_and_unknown_differ_in_words_and_shape(
    visits: Visits, camera: Camera, check_axe: Callable[[Page], None], scheme: Literal["light", "dark"]
) -> None:
    camera.show("three")
    page = visits.open(color_scheme=scheme)
    shapes = {}
    for name in ("Barack", "Might be Barack", "Not known"):
        mark = button(page, f"Show {name}")
        expect(mark).to_be_visible()
        shapes[name] = mark.locator("span").first.evaluate(LINE)
    assert shapes == {"Barack": "4px solid", "Might be Barack": "4px dashed", "Not known": "0px solid"}
    expect(card(page).locator("[data-state]")).to_have_attribute("data-state", "known")
    check_axe(page)
    button(page, "Not known").click()
    expect(card(page)).to_contain_text("I do not know this face")
    check_axe(page)
    button(page, "Might be Barack").click()
    expect(card(page)).to_contain_text("I am not sure")
    expect(card(page).locator("[data-state]")).to_have_attribute("data-state", "maybe")
    check_axe(page)


def test_a_blurred_face_is_only_a_perhaps_and_not_spoken_of(visits: Visits, camera: Camera) -> None:
    camera.show("maybe")
    page = visits.open()
    touch(page)
    expect(card(page)).to_contain_text("Might be Barack")
    page.wait_for_timeout(1_000)
    assert spoken(page) == []
    button(page, "Say again").click()
    assert spoken(page) == ["Maybe Barack."]


def test_a_wrong_name_is_corrected_and_the_correction_taken_back(
    visits: Visits, camera: Camera, home: Home, check_axe: Callable[[Page], None]
) -> None:
    camera.show("known")
    page = visits.open()
    expect(card(page)).to_contain_text("Your friend")
    button(page, "That’s wrong").click()
    expect(page.get_by_text("Noted: this is not Barack.", exact=True)).to_be_visible()
    expect(card(page)).not_to_contain_text("Your friend")
    check_axe(page)
    page.wait_for_timeout(1_000)
    expect(card(page)).not_to_contain_text("Your friend")
    button(page, "Undo").click()
    expect(card(page)).to_contain_text("Your friend")
    with home.client() as client:
        persons = client.get("/persons").json()["data"]["persons"]
        barack = next(person for person in persons if person["name"] == "Barack")
        assert client.get(f"/persons/{barack['person_id']}").json()["data"]["undos"] == []


def test_a_stranger_is_named_and_known_from_then_on(
    visits: Visits, camera: Camera, home: Home, check_axe: Callable[[Page], None]
) -> None:
    with home.client() as client:
        earlier = {unknown["unknown_id"] for unknown in client.get("/unknowns").json()["data"]["unknowns"]}
    camera.show("unknown")
    page = visits.open()
    touch(page)
    button(page, "Who is this?").click()
    dialog = page.get_by_role("dialog", name="Who is this?")
    expect(dialog.get_by_role("img", name="The unknown face")).to_be_visible()
    assert page.evaluate("document.querySelector('video').paused"), "the picture stands still"
    check_axe(page)
    button(page, "Remember").click()
    expect(dialog.get_by_text("A name is needed.")).to_be_visible()
    dialog.get_by_label("Name", exact=True).fill("Eileen")
    dialog.get_by_label("Relationship").fill("Your pilot")
    button(page, "Remember").click()
    expect(page.get_by_text("I will remember Eileen.", exact=True)).to_be_visible()
    expect(card(page)).to_contain_text("Your pilot")
    expect(dialog).to_be_hidden()
    wait_for(page, "window.spoken.length > 0")
    assert spoken(page)[0].startswith("Eileen, Your pilot")
    with home.client() as client:
        assert client.get("/persons", params={"query": "Eileen"}).json()["data"]["total"] == 1
        waiting = {unknown["unknown_id"] for unknown in client.get("/unknowns").json()["data"]["unknowns"]}
        assert waiting <= earlier, "a blurred look of an earlier visit may still wait"


def test_closing_who_is_this_goes_on_as_before(visits: Visits, camera: Camera) -> None:
    camera.show("unknown")
    page = visits.open()
    button(page, "Who is this?").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(button(page, "Who is this?")).to_be_visible()
    assert not page.evaluate("document.querySelector('video').paused")


def test_nobody_and_darkness_are_told_apart_and_said(
    visits: Visits, camera: Camera, check_axe: Callable[[Page], None]
) -> None:
    camera.show("nobody")
    page = visits.open()
    touch(page)
    expect(activity(page, "Nobody there")).to_be_visible()
    button(page, "Say again").click()
    show(page, camera, "dark")
    expect(activity(page, "Too dark")).to_be_visible()
    expect(card(page)).to_contain_text("Switch on a lamp")
    button(page, "Say again").click()
    assert spoken(page) == ["Nobody is there.", "It is too dark."]
    check_axe(page)
    button(page, "Stop").click()
    expect(activity(page, "Camera off")).to_be_visible()
    assert page.evaluate("document.querySelector('video').srcObject") is None, "the camera's light is out"
    check_axe(page)


def test_a_refused_camera_is_explained_and_goes_on_by_itself_when_allowed(
    visits: Visits, camera: Camera, check_axe: Callable[[Page], None]
) -> None:
    camera.show("known")
    page = visits.open(camera=False)
    button(page, "Start the camera").click()
    expect(page.get_by_role("heading", name="The camera is not allowed")).to_be_visible()
    expect(activity(page, "No camera")).to_be_visible()
    check_axe(page)
    page.context.grant_permissions(["camera"], origin=visits.server.url)
    expect(card(page)).to_contain_text("Barack")


def test_a_camera_that_stops_is_looked_for_and_found_again(visits: Visits, camera: Camera) -> None:
    camera.show("known")
    page = visits.open()
    expect(card(page)).to_contain_text("Barack")
    page.evaluate("""() => {
      const [track] = document.querySelector("video").srcObject.getTracks();
      track.stop();
      track.dispatchEvent(new Event("ended"));
    }""")
    expect(page.get_by_role("heading", name="The camera stopped")).to_be_visible()
    expect(card(page)).to_contain_text("Barack")
    expect(activity(page, "Looking")).to_be_visible()


def test_the_server_restarts_and_the_page_goes_on_by_itself(browser: Browser, camera: Camera, tmp_path: Path) -> None:
    running = start(tmp_path / "data")
    visits = Visits(browser, running, expected=("WebSocket connection", "503 GET"))
    try:
        furnish(Home(running))
        camera.show("known")
        page = visits.open()
        expect(card(page)).to_contain_text("Barack")
        running.stop()
        expect(activity(page, "No connection").first).to_be_visible()
        expect(card(page)).not_to_contain_text("Your friend")
        running = start(tmp_path / "data", port=urlsplit(running.url).port)
        expect(card(page)).to_contain_text("Your friend", timeout=20_000)
        expect(activity(page, "Looking")).to_be_visible()
        visits.verify()
    finally:
        visits.close()
        running.stop()


def test_an_answer_that_cannot_be_read_leaves_no_name_standing(visits: Visits, camera: Camera) -> None:
    camera.show("known")
    visits.expected = ("error:",)
    page = visits.open("/people")
    unreadable: list[bool] = []

    def between(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        server.on_message(lambda said: socket.send('{"type": "identification", "faces": 7}' if unreadable else said))

    page.route_web_socket("**/ws/identify", between)
    page.goto("/")
    known = page.locator("[data-state=known]")
    expect(known).to_be_visible(timeout=20_000)
    unreadable.append(True)
    expect(known).to_have_count(0)
    unreadable.clear()
    expect(known).to_be_visible()


def test_a_hidden_tab_looks_at_nobody_and_goes_on_when_it_is_back(visits: Visits, camera: Camera) -> None:
    camera.show("known")
    page = visits.open()
    touch(page)
    expect(card(page)).to_contain_text("Barack")
    wait_for(page, "window.spoken.length === 1")
    page.evaluate(HIDE, True)
    wait_for(page, "document.querySelector('video').srcObject === null")
    camera.show("two")
    page.evaluate(HIDE, False)
    expect(button(page, "Show Joe")).to_be_visible()
    wait_for(page, "window.spoken.length === 2")
    assert spoken(page)[1].startswith("Joe"), "Barack was introduced already"


def test_names_are_spoken_once_an_encounter_and_again_when_asked(visits: Visits, camera: Camera) -> None:
    camera.show("known")
    page = visits.open()
    expect(card(page)).to_contain_text("Barack")
    expect(page.get_by_text("Touch the page once")).to_be_visible()
    assert spoken(page) == [], "browsers let no page speak that was never touched"
    touch(page)
    said = "Barack, Your friend, in front of you."
    wait_for(page, "window.spoken.length === 1")
    assert spoken(page) == [said]
    expect(card(page).locator("[aria-live]")).to_have_attribute("aria-live", "off")
    page.get_by_role("link", name="People", exact=True).click()
    expect(page.get_by_role("heading", name="People")).to_be_visible()
    page.get_by_role("link", name="Live", exact=True).click()
    expect(card(page)).to_contain_text("Barack")
    page.wait_for_timeout(1_200)
    assert spoken(page) == [said]
    button(page, "Say again").click()
    assert spoken(page) == [said, said]


def test_muted_it_is_silent_and_a_screen_reader_is_told_instead(visits: Visits, camera: Camera) -> None:
    camera.show("nobody")
    page = visits.open()
    expect(activity(page, "Nobody there")).to_be_visible()
    button(page, "Mute").click()
    show(page, camera, "known")
    expect(card(page)).to_contain_text("Barack")
    expect(card(page).locator("[aria-live]")).to_have_attribute("aria-live", "polite")
    page.wait_for_timeout(1_200)
    assert spoken(page) == []
    button(page, "Speak").click()
    wait_for(page, "window.spoken.length === 1")


def test_strangers_are_not_spoken_of_unless_asked(visits: Visits, camera: Camera) -> None:
    camera.show("unknown")
    page = visits.open()
    touch(page)
    expect(card(page)).to_contain_text("I do not know this face")
    page.wait_for_timeout(1_200)
    assert spoken(page) == []
    button(page, "Say again").click()
    assert spoken(page) == ["One person I do not know."]


def test_a_device_without_a_voice_says_so_in_writing(
    visits: Visits, camera: Camera, check_axe: Callable[[Page], None]
) -> None:
    camera.show("known")
    page = visits.open(voice=False)
    expect(page.get_by_text("This device has no voice for this language.")).to_be_visible()
    expect(button(page, "Say again")).to_have_attribute("aria-disabled", "true")
    expect(card(page).locator("[aria-live]")).to_have_attribute("aria-live", "polite")
    check_axe(page)


def test_frames_go_one_at_a_time_as_binary_messages(visits: Visits, camera: Camera) -> None:
    camera.show("known")
    under_way, most, sizes = 0, 0, []

    def sent(payload: str | bytes) -> None:
        nonlocal under_way, most
        assert isinstance(payload, bytes)
        sizes.append(len(payload))
        under_way += 1
        most = max(most, under_way)

    def received(payload: str | bytes) -> None:
        nonlocal under_way
        under_way -= 1

    def watch(socket: WebSocket) -> None:
        socket.on("framesent", sent)
        socket.on("framereceived", received)

    page = visits.open("/people")
    page.on("websocket", watch)
    page.get_by_role("link", name="Live", exact=True).click()
    expect(card(page)).to_contain_text("Barack")
    page.wait_for_timeout(1_500)
    assert len(sizes) > 5
    assert most == 1
    button(page, "Stop").click()
    page.wait_for_timeout(300)
    count = len(sizes)
    page.wait_for_timeout(500)
    assert len(sizes) == count, "a camera that is off sends nothing"


def test_a_stranger_is_named_by_keyboard_alone(visits: Visits, camera: Camera) -> None:
    camera.show("unknown")
    page = visits.open()
    expect(button(page, "Who is this?")).to_be_visible()

    def tab_to(target: Locator) -> None:
        for _ in range(30):
            page.keyboard.press("Tab")
            if target.evaluate("element => element === document.activeElement"):
                outline = target.evaluate("element => getComputedStyle(element).outlineStyle")
                assert outline != "none", "the focus can be seen"
                return
        pytest.fail("out of reach")

    tab_to(button(page, "Who is this?"))
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("Eileen")
    page.keyboard.press("Tab")
    page.keyboard.type("Your pilot")
    page.keyboard.press("Enter")
    expect(card(page)).to_contain_text("Your pilot")
    tab_to(button(page, "Stop"))
    page.keyboard.press("Space")
    expect(activity(page, "Camera off")).to_be_visible()


@pytest.mark.parametrize("viewport", [PHONE, {"width": 844, "height": 390}])
def test_on_a_phone_everything_is_in_sight_and_large_enough_to_press(
    visits: Visits, camera: Camera, viewport: ViewportSize
) -> None:
    camera.show("known")
    page = visits.open(viewport=viewport, has_touch=True, is_mobile=True)
    expect(card(page)).to_contain_text("He plays basketball with you.")
    for name in ("That’s wrong", "Say again", "Mute", "Stop"):
        expect(button(page, name)).to_be_in_viewport(ratio=1)
    expect(card(page).get_by_text("Barack", exact=True)).to_be_in_viewport(ratio=1)
    expect(activity(page, "Looking")).to_be_in_viewport(ratio=1)
    for target in page.get_by_role("button").all():
        box = target.bounding_box()
        if box is not None and box["width"] > 1:  # the way past the navigation is out of sight until it has focus
            assert min(box["width"], box["height"]) >= 44, target.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_the_other_camera_is_one_press_away(visits: Visits, camera: Camera) -> None:
    camera.show("known")
    page = visits.open("/people")
    page.evaluate("""() => {
      // The fake camera is one; this says that there are two.
      const devices = navigator.mediaDevices;
      const camera = (deviceId) => ({ kind: "videoinput", deviceId, label: deviceId });
      const open = devices.getUserMedia.bind(devices);
      window.asked = [];
      devices.enumerateDevices = async () => [camera("front"), camera("back")];
      devices.getUserMedia = (wanted) => {
        window.asked.push(wanted.video.deviceId?.exact ?? wanted.video.facingMode?.ideal);
        return open({ video: true });
      };
    }""")
    page.get_by_role("link", name="Live", exact=True).click()
    expect(card(page)).to_contain_text("Barack")
    button(page, "Other camera").click()
    wait_for(page, "window.asked.length === 2")
    assert page.evaluate("window.asked") == ["user", "front"]
    expect(card(page)).to_contain_text("Barack")


def test_in_german_it_speaks_german(visits: Visits, camera: Camera) -> None:
    camera.show("known")
    page = visits.open(locale="de-AT")
    touch(page)
    expect(page.get_by_role("status").filter(has_text="Schaut hin")).to_be_visible()
    wait_for(page, "window.spoken.length === 1")
    assert spoken(page) == ["Barack, Your friend, vor dir."]
