"""Sections 1, 2 and 4 of the contract, over HTTP, with real photos."""

from __future__ import annotations

import io
import json
import re
import sys
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageOps

from tests.api.conftest import Server

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def register(client: httpx.Client, *paths: Path | bytes, **fields: str) -> httpx.Response:
    """POST /register."""
    contents = [path if isinstance(path, bytes) else path.read_bytes() for path in paths]
    return client.post("/register", data=fields, files=[("image", ("x.jpg", content)) for content in contents])


def identify(client: httpx.Client, path: Path) -> dict[str, Any]:
    """POST /identify."""
    reply = client.post("/identify", files={"image": path.read_bytes()})
    assert reply.status_code == 200
    data: dict[str, Any] = reply.json()["data"]
    return data


def data(reply: httpx.Response) -> dict[str, Any]:
    """What a successful reply holds."""
    body = reply.json()
    assert (reply.status_code, body["success"], body["error"]) == (200, True, None), body
    content: dict[str, Any] = body["data"]
    return content


def error(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """What a failed reply says."""
    body = reply.json()
    assert reply.status_code == status, body
    assert (body["success"], body["data"], body["error"]["code"]) == (False, None, code)
    assert reply.headers["X-Request-ID"]
    content: dict[str, Any] = body["error"]
    return content


def picture(width: int = 320, height: int = 240, kind: str = "JPEG") -> bytes:
    """A picture of noise: no face."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    PillowImage.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


def test_health_tells_the_state(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    register(client, photos["obama"], name="A")
    health = data(client.get("/health"))
    assert health.keys() == {"status", "version", "model", "persons", "embeddings", "uptime_s", "photos_to_reembed"}
    assert (health["persons"], health["embeddings"]) == (1, 1)


def test_register_answers_as_documented(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    fields = {"name": "  John Doe ", "relationship": "Friend", "metadata": '{"note": "chess"}'}
    reply = data(register(client, photos["obama"], **fields))
    uuid.UUID(reply["person_id"])
    assert TIME.fullmatch(reply["created_at"])
    assert (reply["name"], reply["relationship"], reply["embedding_count"]) == ("John Doe", "Friend", 1)
    assert (reply["metadata"], reply["warnings"]) == ({"note": "chess"}, [])
    (photo,) = reply["photos"]
    assert photo["status"] == "accepted"
    assert 0 <= photo["quality"]["score"] <= 100


def test_several_photos_in_one_call(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    reply = data(register(client, photos["obama"], b"junk", photos["obama2"], picture(), name="B"))
    assert reply["embedding_count"] == 2
    assert [p["status"] for p in reply["photos"]] == ["accepted", "rejected", "accepted", "rejected"]
    assert [p["code"] for p in reply["photos"]] == [None, "INVALID_IMAGE", None, "NO_FACE_DETECTED"]


def test_the_documented_call_repeated_adds_photos(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    replies = [data(register(client, photos[name], name="John")) for name in ("obama", "obama2", "obama3")]
    assert len({reply["person_id"] for reply in replies}) == 1
    assert [reply["embedding_count"] for reply in replies] == [1, 2, 3]


def test_a_look_alike_is_warned_of(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    first = data(register(client, photos["obama"], name="Barack"))
    (warning,) = data(register(client, photos["obama2"], name="Barry"))["warnings"]
    assert warning["code"] == "LOOKS_LIKE"
    assert warning["details"]["person_id"] == first["person_id"]
    assert "Barack" in warning["message"]


def test_identify_answers_as_documented(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    registered = data(register(client, photos["obama"], name="John Doe", relationship="Friend"))
    found = identify(client, photos["obama2"])
    assert found["match"].keys() == {"person_id", "name", "relationship", "confidence"}
    assert found["match"]["person_id"] == registered["person_id"]
    assert found["face_detected"] is True
    assert TIME.fullmatch(found["timestamp"])
    assert found["image"] == {"width": 626, "height": 1200}
    assert found["timing_ms"].keys() == {"decode", "detect", "embed", "search", "total"}
    (face,) = found["faces"]
    assert face["status"] == "known"
    assert face["box"].keys() == {"x", "y", "width", "height"}
    assert len(face["landmarks"]) == 5
    candidate = face["candidates"][0]
    assert candidate.keys() == {"person_id", "name", "relationship", "similarity", "confidence"}
    stranger = identify(client, photos["biden"])
    assert (stranger["face_detected"], stranger["match"]) == (True, None)
    assert stranger["faces"][0]["status"] == "unknown"


def test_identify_without_a_face_is_no_error(client: httpx.Client) -> None:
    reply = data(client.post("/identify", files={"image": picture()}))
    assert (reply["face_detected"], reply["match"], reply["faces"]) == (False, None, [])


def test_the_largest_recognised_face_is_the_match(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    for name in ("obama", "biden"):
        register(client, photos[name], name=name)
    sheet = PillowImage.new("RGB", (1000, 700))
    sheet.paste(PillowImage.open(photos["biden"]).resize((300, 680)), (0, 0))
    sheet.paste(PillowImage.open(photos["obama"]).resize((560, 700)), (400, 0))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    reply = data(client.post("/identify", files={"image": buffer.getvalue()}))
    assert sorted(face["match"]["name"] for face in reply["faces"]) == ["biden", "obama"]
    assert reply["match"]["name"] == "obama"


@pytest.mark.parametrize(
    "content,name",
    [(b"just text", "photo.jpg"), (b"", "empty.jpg"), ("truncated", "photo.jpg"), ("gif", "photo.png")],
)
@pytest.mark.parametrize("route", ["/register", "/identify", "/detect"])
def test_what_is_no_jpeg_or_png_is_refused_in_the_documented_words(
    client: httpx.Client, photos: Mapping[str, Path], content: bytes | str, name: str, route: str
) -> None:
    if content == "truncated":
        content = photos["obama"].read_bytes()[:20_000]
    elif content == "gif":
        content = picture(kind="GIF")
    reply = client.post(route, data={"name": "A"}, files={"image": (name, content, "image/jpeg")})
    assert error(reply, 400, "INVALID_IMAGE")["message"] == "Invalid image format. Supported: JPEG, PNG"


def test_a_photo_without_a_face_is_refused_in_the_documented_words(client: httpx.Client) -> None:
    reply = register(client, picture(), name="A")
    assert error(reply, 400, "NO_FACE_DETECTED")["message"] == "No face detected in the provided image"


def test_a_group_photo_is_refused_with_its_faces(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    refused = error(register(client, photos["group1"], name="A"), 400, "MULTIPLE_FACES")
    assert len(refused["details"]["faces"]) == 3
    assert refused["details"]["faces"][0].keys() == {"x", "y", "width", "height"}


def test_persons_are_listed_found_paged_and_deleted(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    ids = {
        name: data(register(client, photos[photo], name=name, relationship=relationship))["person_id"]
        for name, photo, relationship in (
            ("Änne", "obama", "Schwester"),
            ("李小龍", "biden", "friend"),
            ("Eileen 👩‍🚀", "astronaut", "astronaut"),
        )
    }
    listed = data(client.get("/persons"))
    assert [person["name"] for person in listed["persons"]] == list(ids)[::-1]
    assert (listed["total"], listed["next_cursor"]) == (3, None)
    assert [p["name"] for p in data(client.get("/persons", params={"query": "SCHWEST"}))["persons"]] == ["Änne"]
    first = data(client.get("/persons", params={"limit": 2}))
    second = data(client.get("/persons", params={"limit": 2, "cursor": first["next_cursor"]}))
    assert [len(first["persons"]), len(second["persons"]), second["next_cursor"]] == [2, 1, None]
    person = data(client.get(f"/persons/{ids['Änne']}"))
    assert person["photos"][0]["url"].endswith(person["photos"][0]["photo_id"])
    assert data(client.delete(f"/persons/{ids['Änne']}")) == {
        "person_id": ids["Änne"],
        "deleted": True,
        "complete": True,
    }
    error(client.get(f"/persons/{ids['Änne']}"), 404, "PERSON_NOT_FOUND")
    error(client.delete(f"/persons/{ids['Änne']}"), 404, "PERSON_NOT_FOUND")
    assert identify(client, photos["obama2"])["match"] is None


def test_what_several_change_at_once_is_all_kept(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    path = f"/persons/{data(register(client, photos['obama'], name='A'))['person_id']}"
    with ThreadPoolExecutor(6) as devices:
        replies = list(devices.map(lambda key: client.patch(path, json={"metadata": {key: 1}}), "abcdef"))
    assert [reply.status_code for reply in replies] == [200] * 6
    assert data(client.get(path))["metadata"] == dict.fromkeys("abcdef", 1)


def found_in_memory(process_id: int, piece: bytes) -> int:
    """How often a piece is in the memory of a process that can be written."""
    found = 0
    with Path(f"/proc/{process_id}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{process_id}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            start, end = (int(each, 16) for each in place.split("-"))
            if (rights.startswith("rw") and not line.endswith("]")) or line.endswith("[heap]"):
                memory.seek(start)
                found += memory.read(end - start).count(piece)
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a process cannot be looked into")
def test_the_picture_of_who_was_forgotten_is_hardly_in_memory(
    client: httpx.Client, server: Server, photos: Mapping[str, Path]
) -> None:
    """Of each copy a part of a page may be left; before free memory was given back, three or four copies were."""
    with PillowImage.open(photos["obama3"]) as opened:
        buffer = io.BytesIO()
        opened.rotate(3).save(buffer, "JPEG")  # a picture that no other test has left there
    path = f"/persons/{data(register(client, buffer.getvalue(), name='A'))['person_id']}"
    picture = client.get(f"{path}/photos/{data(client.get(path))['photos'][0]['photo_id']}").content
    identify(client, photos["obama2"])
    piece = picture[len(picture) // 2 :][:48]
    assert found_in_memory(server.process.pid, piece) >= 1
    data(client.delete(path))
    assert found_in_memory(server.process.pid, piece) <= 2


def test_a_person_is_changed_by_merge_patch(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    fields = {"name": "A", "relationship": "aunt", "metadata": '{"a": 1, "b": {"c": 2, "d": 3}}'}
    path = f"/persons/{data(register(client, photos['obama'], **fields))['person_id']}"
    changed = data(client.patch(path, json={"metadata": {"a": None, "b": {"c": 4}, "e": "f"}}))
    assert changed["metadata"] == {"b": {"c": 4, "d": 3}, "e": "f"}
    assert changed["relationship"] == "aunt"
    changed = data(client.patch(path, json={"name": " B ", "relationship": None, "metadata": None}))
    assert (changed["name"], changed["relationship"], changed["metadata"]) == ("B", None, {})
    wrongs: list[dict[str, Any]] = [
        {"name": None},
        {"name": " "},
        {"name": 1},
        {"metadata": []},
        {"unknown": 1},
        {"name": "x" * 201},
    ]
    for wrong in wrongs:
        error(client.patch(path, json=wrong), 422, "VALIDATION_ERROR")
    error(client.patch("/persons/nobody", json={}), 404, "PERSON_NOT_FOUND")
    for body in (b"", b"{", b"[]", b'{"metadata": {"x": NaN}}', b'{"metadata": {"x": 1e999}}', b"[" * 100_000):
        reply = client.patch(path, content=body, headers={"Content-Type": "application/json"})
        error(reply, 422, "VALIDATION_ERROR")


def test_photos_are_added_shown_and_removed(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    path = f"/persons/{data(register(client, photos['obama'], name='A'))['person_id']}"
    files = [("image", photos[name].read_bytes()) for name in ("obama2", "biden")]
    added = data(client.post(f"{path}/photos", files=files))
    assert added["embedding_count"] == 3
    assert [warning["code"] for warning in added["warnings"]] == ["DOES_NOT_FIT"]
    shown = client.get(f"{path}/photos/{added['photos'][0]['photo_id']}")
    assert shown.headers["content-type"] == "image/jpeg"
    with PillowImage.open(io.BytesIO(shown.content)) as stored:
        assert (stored.format, stored.size) == ("JPEG", (320, 320))
    ids = [photo["photo_id"] for photo in data(client.get(path))["photos"]]
    for photo_id in ids[:2]:
        assert data(client.delete(f"{path}/photos/{photo_id}"))["deleted"] is True
    error(client.delete(f"{path}/photos/{ids[2]}"), 409, "LAST_PHOTO")
    error(client.get(f"{path}/photos/{ids[0]}"), 404, "PHOTO_NOT_FOUND")
    error(client.get(f"/persons/nobody/photos/{ids[2]}"), 404, "PERSON_NOT_FOUND")


def test_verify_compares_with_a_person_or_an_image(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    person_id = data(register(client, photos["obama"], name="A"))["person_id"]
    image = {"image": photos["obama2"].read_bytes()}
    assert data(client.post("/verify", data={"person_id": person_id}, files=image))["same"] is True
    other = image | {"image_2": photos["biden"].read_bytes()}
    assert data(client.post("/verify", files=other))["same"] is False
    error(client.post("/verify", files=image), 422, "VALIDATION_ERROR")
    error(client.post("/verify", data={"person_id": person_id}, files=other), 422, "VALIDATION_ERROR")
    error(client.post("/verify", data={"person_id": "x"}, files=image), 404, "PERSON_NOT_FOUND")


def test_detect_says_where_a_face_looks(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    with PillowImage.open(photos["obama2"]) as image:
        mirrored = io.BytesIO()
        ImageOps.mirror(image).save(mirrored, "JPEG")
    yaws = []
    for picture in (photos["obama2"].read_bytes(), mirrored.getvalue()):
        (face,) = data(client.post("/detect", files={"image": picture}))["faces"]
        yaws.append(face["pose"]["yaw"])
    assert yaws == [pytest.approx(-14, abs=4), pytest.approx(14, abs=4)]  # a little to his right, then to his left


def test_detect_judges_in_words(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    with PillowImage.open(photos["obama"]) as image:
        buffer = io.BytesIO()
        image.resize((110, 137)).save(buffer, "PNG")
    (face,) = data(client.post("/detect", files={"image": buffer.getvalue()}))["faces"]
    assert "TOO_SMALL" in face["quality"]["issues"]
    assert any("closer" in advice["message"] for advice in face["quality"]["advice"])


@pytest.mark.parametrize(
    "fields,field",
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "A", "relationship": "x" * 201}, "relationship"),
        ({"name": "A", "metadata": "no json"}, "metadata"),
        ({"name": "A", "metadata": "[]"}, "metadata"),
        ({"name": "A", "metadata": '{"a": NaN}'}, "metadata"),
        ({"name": "A", "metadata": '{"a": "\\ud800"}'}, "metadata"),
        ({"name": "A", "metadata": '{"a":' * 5000}, "metadata"),
        ({"name": "A", "metadata": json.dumps({"a": "x" * 17_000})}, "metadata"),
    ],
)
def test_a_bad_field_is_named(
    client: httpx.Client, photos: Mapping[str, Path], fields: dict[str, str], field: str
) -> None:
    refused = error(register(client, photos["obama"], **fields), 422, "VALIDATION_ERROR")
    assert [entry["field"] for entry in refused["details"]["fields"]] == [field]


def test_images_must_be_files_and_not_too_many(client: httpx.Client) -> None:
    for request in (
        {"data": {"name": "A"}},
        {"data": {"name": "A", "image": "text"}},
        {"data": {"name": "A"}, "files": [("image", b"x")] * 11},
        {"data": {"name": "A"}, "files": [("image", b"x")] * 200},
        {"data": {f"f{i}": "x" for i in range(200)}},
        {"content": b"not a form", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
        {"content": b"{}", "headers": {"Content-Type": "application/json"}},
    ):
        error(client.post("/register", **request), 422, "VALIDATION_ERROR")


def test_what_is_too_large_is_refused_before_it_is_decoded(client: httpx.Client) -> None:
    large = b"\xff\xd8\xff" + bytes(10 * 2**20)
    for route in ("/identify", "/register"):
        reply = client.post(route, data={"name": "A"}, files={"image": large})
        error(reply, 413, "IMAGE_TOO_LARGE")
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    chunked = client.post(
        "/identify",
        content=iter([head, *[bytes(2**20)] * 12, b"\r\n--x--\r\n"]),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    error(chunked, 413, "IMAGE_TOO_LARGE")
    wide = io.BytesIO()
    PillowImage.new("1", (10_000, 5_001)).save(wide, "PNG")
    error(client.post("/identify", files={"image": wide.getvalue()}), 413, "IMAGE_TOO_LARGE")


def test_the_frameworks_own_errors_have_the_envelope(client: httpx.Client) -> None:
    error(client.get("/nothing"), 404, "NOT_FOUND")
    error(client.get("/persons/x/y/z"), 404, "NOT_FOUND")
    error(client.put("/persons"), 405, "METHOD_NOT_ALLOWED")
    error(client.get("/persons", params={"limit": "0"}), 422, "VALIDATION_ERROR")
    error(client.get("/persons", params={"limit": "201"}), 422, "VALIDATION_ERROR")
    error(client.get("/persons", params={"cursor": "x"}), 422, "VALIDATION_ERROR")


def test_a_request_id_is_echoed_where_it_is_sound(client: httpx.Client) -> None:
    assert client.get("/health", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    for unsound in ("x" * 65, "a b", "<script>"):
        uuid.UUID(client.get("/health", headers={"X-Request-ID": unsound}).headers["X-Request-ID"])


def test_a_file_name_has_no_effect(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    for name in ("../../etc/passwd", "a" * 1000, "a\x00b", "名前.gif", "x.exe"):
        files = {"image": (name, photos["obama"].read_bytes(), "text/plain")}
        data(client.post("/identify", files=files))
    files = {"image": ("a" * 10_000, photos["obama"].read_bytes(), "text/plain")}
    error(client.post("/identify", files=files), 422, "VALIDATION_ERROR")


def test_the_documentation_needs_no_other_host(server: Any) -> None:
    page = httpx.get(f"{server.url}/docs")
    assert page.status_code == 200
    assert not re.findall(r"(?:src|href)=.https?://", page.text)
    for asset in re.findall(r"(?:src|href)=.(/[^\"']+)", page.text):
        assert httpx.get(server.url + asset).status_code == 200


@pytest.mark.parametrize(
    ("photo", "refusal"),
    [("obama", None), ("group5", "MULTIPLE_FACES"), ("meadow", "NO_FACE_DETECTED"), ("night", "FACE_NOT_USABLE")],
)
def test_detect_foretells_what_register_does(
    client: httpx.Client, photos: Mapping[str, Path], photo: str, refusal: str | None
) -> None:
    with PillowImage.open(photos["obama"]) as obama:
        made = {
            "meadow": PillowImage.new("RGB", (320, 240), "green"),
            "night": obama.convert("RGB").point(lambda value: value * 0.04),
        }
    buffer = io.BytesIO()
    if photo in made:
        made[photo].save(buffer, "JPEG")
    image = buffer.getvalue() or photos[photo].read_bytes()
    foretold = data(client.post("/detect", files={"image": image}))
    registered = client.post("/register", data={"name": "Someone"}, files={"image": image}).json()
    assert foretold["usable"] is registered["success"] is (refusal is None)
    assert (foretold["refusal"] or {}).get("code") == refusal
    if refusal:
        assert foretold["refusal"]["message"] == registered["error"]["message"]
        assert registered["error"]["code"] == refusal
