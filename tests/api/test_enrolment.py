"""Teaching over HTTP: faces to choose from, requests that are repeated, details that are kept or refused; and the
same from the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image as PillowImage

from tests.api.conftest import Server, client, server
from tests.api.test_rest import data, error, picture, register
from tests.recognition.test_enrolment import beside, jpeg, pictures, small
from tests.test_cli import refusal, said, visage

__all__ = ["client", "pictures", "server"]

Pictures = Mapping[str, PillowImage.Image]

NO_BOXES = (
    "here",
    "[1, 2, 3, 4]",
    '{"x": 1, "y": 2, "width": 3}',
    '{"x": 1, "y": 2, "width": 3, "height": 4, "z": 5}',
    '{"x": NaN, "y": 2, "width": 3, "height": 4}',
    '{"x": Infinity, "y": 2, "width": 3, "height": 4}',
    '{"x": -1, "y": 2, "width": 3, "height": 4}',
    '{"x": 1, "y": 2, "width": -3, "height": 4}',
    '{"x": 1, "y": 2, "width": 0, "height": 4}',
    '{"x": "1", "y": 2, "width": 3, "height": 4}',
    '{"x": true, "y": 2, "width": 3, "height": 4}',
    '{"x": 1e400, "y": 2, "width": 3, "height": 4}',
    "[" * 5000,
)


@pytest.fixture(scope="module")
def couple(pictures: Pictures) -> bytes:
    """Obama in front, Biden further away."""
    return beside(pictures["obama"], small(pictures["biden"]))


def box_of(client: httpx.Client, image: bytes, place: int) -> str:
    """The box of a face, left to right, as /detect tells it."""
    faces = data(client.post("/detect", files={"image": image}))["faces"]
    return json.dumps(sorted((face["box"] for face in faces), key=lambda box: int(box["x"]))[place])


def warnings(reply: Mapping[str, Any]) -> list[str]:
    """The codes."""
    return [warning["code"] for warning in reply["warnings"]]


def who(client: httpx.Client, image: bytes) -> list[str | None]:
    """Who the faces of a picture are said to be."""
    faces = data(client.post("/identify", files={"image": image}))["faces"]
    return [face["match"] and face["match"]["name"] for face in faces]


def test_detect_tells_which_faces_can_be_chosen_and_which_stands_out(client: httpx.Client, couple: bytes) -> None:
    faces = data(client.post("/detect", files={"image": couple}))["faces"]
    faces.sort(key=lambda face: face["box"]["x"])
    assert [(face["usable"], face["stands_out"]) for face in faces] == [(True, True), (True, False)]


def test_a_box_chooses_at_register_and_photos(client: httpx.Client, couple: bytes, pictures: Pictures) -> None:
    right = box_of(client, couple, 1)
    joe = data(register(client, couple, name="Joe", box=right))
    assert warnings(joe) == []
    assert who(client, jpeg(pictures["biden"])) == ["Joe"]
    files = [("image", jpeg(pictures["biden"])), ("image", couple)]
    path = f"/persons/{joe['person_id']}/photos"
    added = data(client.post(path, files=files, data={"box": ["", box_of(client, couple, 0)]}))
    assert warnings(added) == ["DOES_NOT_FIT"]
    assert added["embedding_count"] == 3


@pytest.mark.parametrize("text", NO_BOXES)
def test_what_is_no_box_is_refused_everywhere(client: httpx.Client, couple: bytes, text: str) -> None:
    nobody = "/persons/00000000-0000-4000-8000-000000000000"
    for path, fields in (
        ("/register", {"name": "A", "box": text}),
        (f"{nobody}/photos", {"box": text}),
        (f"{nobody}/not-me", {"box": text}),
        ("/verify", {"person_id": nobody, "box": text}),
    ):
        refused = error(client.post(path, data=fields, files={"image": picture()}), 422, "VALIDATION_ERROR")
        assert refused["details"]["fields"][0]["field"] == "box"
    files = {"image": picture(), "image_2": picture()}
    refused = error(client.post("/verify", data={"box_2": text}, files=files), 422, "VALIDATION_ERROR")
    assert refused["details"]["fields"][0]["field"] == "box_2"


def test_a_box_that_cannot_be_meant_is_refused(client: httpx.Client, couple: bytes) -> None:
    outside = '{"x": 4000, "y": 10, "width": 50, "height": 50}'
    refused = error(register(client, couple, name="A", box=outside), 422, "VALIDATION_ERROR")
    assert len(refused["details"]["faces"]) == 2
    error(register(client, picture(), name="A", box=outside), 400, "NO_FACE_DETECTED")
    fields = {"name": "A", "box": ["null", "null", "null"]}
    reply = client.post("/register", data=fields, files=[("image", couple), ("image", couple)])
    assert "2, not 3" in error(reply, 422, "VALIDATION_ERROR")["message"]
    reply = client.post("/verify", data={"person_id": "x", "box_2": outside}, files={"image": couple})
    assert error(reply, 422, "VALIDATION_ERROR")["details"]["fields"][0]["field"] == "box_2"
    assert client.get("/persons").json()["data"]["total"] == 0


def test_a_box_chooses_at_verify_and_not_me(client: httpx.Client, couple: bytes, pictures: Pictures) -> None:
    left, right = box_of(client, couple, 0), box_of(client, couple, 1)
    joe = data(register(client, jpeg(pictures["biden"]), name="Joe"))["person_id"]

    def same(files: Mapping[str, bytes], **fields: str) -> bool:
        return bool(data(client.post("/verify", data=fields, files=files))["same"])

    assert not same({"image": couple}, person_id=joe)
    assert same({"image": couple}, person_id=joe, box=right)
    biden = jpeg(pictures["biden"])
    assert same({"image": biden, "image_2": couple}, box_2=right)
    assert not same({"image": biden, "image_2": couple}, box_2=left)
    data(client.post(f"/persons/{joe}/not-me", files={"image": couple}, data={"box": left}))
    assert who(client, biden) == ["Joe"]


def test_a_request_that_is_repeated_is_answered_as_the_first_time(client: httpx.Client, couple: bytes) -> None:
    fields = {"name": "Joe", "relationship": "Friend", "metadata": '{"a": [1, {"b": null}]}'}
    first, again = data(register(client, couple, **fields)), data(register(client, couple, **fields))
    assert warnings(first) == ["OTHER_FACES"]
    assert warnings(again) == ["OTHER_FACES", "SAME_PHOTO"]
    assert {**again, "warnings": None} == {**first, "warnings": None}


def test_two_alike_requests_in_flight_make_one_person(
    server: Server, client: httpx.Client, pictures: Pictures
) -> None:
    image = jpeg(pictures["obama"])

    def send(_: int) -> dict[str, Any]:
        with httpx.Client(base_url=server.api, timeout=60) as own:
            return data(register(own, image, name="Barack"))

    with ThreadPoolExecutor(3) as threads:
        replies = list(threads.map(send, range(3)))
    assert (
        len({(reply["person_id"], reply["embedding_count"], reply["photos"][0]["photo_id"]) for reply in replies})
        == 1
    )
    assert sorted(warnings(reply) for reply in replies) == [[], ["SAME_PHOTO"], ["SAME_PHOTO"]]
    assert data(client.get("/persons"))["total"] == 1


def test_details_sent_with_further_photos_are_kept_or_refused(client: httpx.Client, pictures: Pictures) -> None:
    consent = {"given_by": "Jill", "capacity": "spouse", "given_on": "2025-01-02"}
    person = data(register(client, jpeg(pictures["obama"]), name="Barack"))
    path = f"/persons/{person['person_id']}"
    fields = {"relationship": "Friend", "metadata": '{"note": "chess"}', "consent": json.dumps(consent)}
    added = data(client.post(f"{path}/photos", data=fields, files={"image": jpeg(pictures["obama2"])}))
    assert warnings(added) == []
    now = data(client.get(path))
    assert (now["relationship"], now["metadata"], now["consent"]["given_by"]) == ("Friend", {"note": "chess"}, "Jill")
    fields |= {"relationship": "Neighbour", "metadata": '{"note": "go", "street": "Elm"}'}
    reply = data(register(client, jpeg(pictures["obama3"]), name="Barack", **fields))
    kept = [warning["details"] for warning in reply["warnings"] if warning["code"] == "KEPT_AS_WAS"]
    assert kept == [{"field": "relationship"}, {"field": "metadata", "keys": ["note"]}]
    assert (reply["relationship"], reply["metadata"]) == ("Friend", {"note": "chess", "street": "Elm"})


def test_the_command_line_chooses_a_face_and_says_what_was_here(
    server: Server, client: httpx.Client, couple: bytes, pictures: Pictures, tmp_path: Path
) -> None:
    both, group, url = tmp_path / "both.jpg", tmp_path / "group.jpg", ["--url", server.url]
    both.write_bytes(couple)
    group.write_bytes(beside(pictures["obama"], pictures["biden"]))
    right = json.loads(box_of(client, couple, 1))
    option = f"{right['x']},{right['y']},{right['width']},{right['height']}"
    assert f"--box {option}: another one" in said(visage("register", "Barack", both, *url))
    assert "is here already, and is kept once" in said(visage("register", "Barack", both, *url))
    said(visage("register", "Joe", both, "--box", option, *url))
    assert who(client, jpeg(pictures["biden"])) == ["Joe"]
    refused = refusal(visage("register", "Jim", group, *url))
    assert refused.count("--box") == 2
    assert visage("register", "Jim", group, "--box", "1,2,3", *url).exit_code == 2
    said(visage("register", "Joe", group, both, "--box", "-", "--box", option, *url))


def test_a_folder_that_is_imported_twice_is_kept_once(
    client: httpx.Client, server: Server, tmp_path: Path, pictures: Pictures
) -> None:
    for name, key in (("Barack", "obama"), ("Barack", "obama2"), ("Joe", "biden")):
        (tmp_path / "people" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "people" / name / f"{key}.jpg").write_bytes(jpeg(pictures[key]))
    first = said(visage("import", tmp_path / "people", "--url", server.url))
    again = said(visage("import", tmp_path / "people", "--url", server.url))
    assert "3 photo(s) remembered" in first
    assert "0 photo(s) remembered, 0 photo(s) not used. 3 photo(s) were here already." in again
    assert data(client.get("/health"))["embeddings"] == 3
