"""Corrections over HTTP: not-me, merge, undo, and the report; as a carer uses them, and as an attacker would."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.api.conftest import Server
from tests.api.test_rest import TIME, data, error, identify, picture, register

Photos = Mapping[str, Path]
JSON = {"Content-Type": "application/json"}


def registered(client: httpx.Client, photo: Path, name: str) -> str:
    """Register someone; returns the id."""
    person_id: str = data(register(client, photo, name=name, relationship=f"of {name}"))["person_id"]
    return person_id


def mistaken(client: httpx.Client, photos: Photos) -> str:
    """Obama, with a photo of Biden among his own: both are named Obama. Returns the id."""
    person_id = registered(client, photos["obama"], "Obama")
    data(client.post(f"/persons/{person_id}/photos", files={"image": photos["biden"].read_bytes()}))
    return person_id


def named(client: httpx.Client, photo: Path) -> str | None:
    """Who a photo is said to show."""
    match = identify(client, photo)["match"]
    return match["name"] if match else None


def undos(client: httpx.Client, person_id: str) -> list[str]:
    """The ids of what can be taken back."""
    return [undo["undo_id"] for undo in data(client.get(f"/persons/{person_id}"))["undos"]]


@pytest.mark.parametrize("way", ["json", "image", "websocket"])
def test_a_wrong_name_is_corrected_and_the_correction_taken_back(
    client: httpx.Client, server: Server, photos: Photos, way: str
) -> None:
    person_id = mistaken(client, photos)
    before = identify(client, photos["biden"])
    assert before["match"]["name"] == "Obama"
    if way == "image":
        request: dict[str, Any] = {"files": {"image": ("x", photos["biden"].read_bytes(), "text/plain")}}
    elif way == "json":
        request = {"json": {"identification_id": before["identification_id"]}}
    else:
        with connect(server.live, max_size=None) as camera:
            frame = base64.b64encode(photos["biden"].read_bytes()).decode()
            camera.send(json.dumps({"type": "frame", "data": frame}))
            request = {"json": {"identification_id": json.loads(camera.recv(timeout=20))["identification_id"]}}
    undo = data(client.post(f"/persons/{person_id}/not-me", **request))
    assert undo.keys() == {"undo_id", "person_id", "what", "created_at"}
    assert (undo["person_id"], undo["what"]) == (person_id, "not-me")
    assert TIME.fullmatch(undo["created_at"])
    assert named(client, photos["biden"]) is None
    assert named(client, photos["obama2"]) == "Obama"
    assert data(client.get(f"/persons/{person_id}"))["undos"] == [undo]
    assert data(client.post(f"/undo/{undo['undo_id']}")) == undo
    assert identify(client, photos["biden"])["match"] == before["match"]
    assert undos(client, person_id) == []
    error(client.post(f"/undo/{undo['undo_id']}"), 404, "NOT_FOUND")


def test_each_identification_has_an_id_of_its_own(client: httpx.Client, photos: Photos) -> None:
    ids = [identify(client, photos["astronaut"])["identification_id"] for _ in range(3)]
    ids.append(data(client.post("/identify", files={"image": picture()}))["identification_id"])
    assert len({uuid.UUID(one) for one in ids}) == 4


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"content": b"", "headers": JSON},
        {"content": b"{", "headers": JSON},
        {"content": b"[]", "headers": JSON},
        {"content": b"null", "headers": JSON},
        {"content": b'"x"', "headers": JSON},
        {"content": b"\xff\xfe", "headers": JSON},
        {"content": b'{"identification_id": "\\ud800"}', "headers": JSON},
        {"content": b"[" * 100_000, "headers": JSON},
        {"json": {}},
        {"json": {"identification_id": None}},
        {"json": {"identification_id": 7}},
        {"json": {"identification_id": ["x"]}},
        {"json": {"identification_id": "x", "more": 1}},
        {"json": {"image": "x"}},
        {"data": {"identification_id": "x"}},
        {"content": b"x", "headers": {"Content-Type": "image/jpeg"}},
        {"files": {"image": (None, b"no file")}},
        {"files": {"photo": b"x"}},
        {"files": [("image", b"x"), ("image", b"x")]},
        {"data": {"a": "1", "b": "2"}, "files": {"image": b"x"}},
        {"content": b"no form", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
        {"content": b"no form", "headers": {"Content-Type": "multipart/form-data"}},
    ],
    ids=str,
)
def test_a_correction_without_identification_or_image_is_refused(
    client: httpx.Client, photos: Photos, request_: dict[str, Any]
) -> None:
    person_id = registered(client, photos["obama"], "Obama")
    for what in ("not-me", "is-me"):
        refused = error(client.post(f"/persons/{person_id}/{what}", **request_), 422, "VALIDATION_ERROR")
        assert refused["details"]["fields"][0]["message"]
    assert undos(client, person_id) == []


def test_the_content_type_of_an_image_is_read_in_any_case(client: httpx.Client, photos: Photos) -> None:
    path = f"/persons/{registered(client, photos['obama'], 'Obama')}/not-me"
    sound = client.build_request("POST", path, files={"image": photos["biden"].read_bytes()})
    kind = sound.headers["Content-Type"].replace("multipart/form-data", "Multipart/Form-Data")
    data(client.post(path, content=sound.read(), headers={"Content-Type": kind}))


@pytest.mark.parametrize("what", ["not-me", "is-me"])
def test_a_correction_that_cannot_be_followed_is_refused(client: httpx.Client, photos: Photos, what: str) -> None:
    person_id = registered(client, photos["obama"], "Obama")
    path = f"/persons/{person_id}/{what}"
    for image, status, code in (
        (b"", 400, "INVALID_IMAGE"),
        (b"just text", 400, "INVALID_IMAGE"),
        (picture(kind="GIF"), 400, "INVALID_IMAGE"),
        (picture(), 400, "NO_FACE_DETECTED"),
        (b"\xff\xd8\xff" + bytes(10 * 2**20), 413, "IMAGE_TOO_LARGE"),
    ):
        error(client.post(path, files={"image": image}), status, code)
    no_face = data(client.post("/identify", files={"image": picture()}))["identification_id"]
    for identification in (no_face, str(uuid.uuid4()), "", "x" * 10_000, "../..", "a\x00b"):
        error(client.post(path, json={"identification_id": identification}), 404, "NOT_FOUND")
    seen = identify(client, photos["obama2"])["identification_id"]
    nobody = f"/persons/{uuid.uuid4()}/{what}"
    error(client.post(nobody, json={"identification_id": seen}), 404, "PERSON_NOT_FOUND")
    error(client.post(nobody, files={"image": photos["obama2"].read_bytes()}), 404, "PERSON_NOT_FOUND")
    assert undos(client, person_id) == []
    assert named(client, photos["obama2"]) == "Obama"


@pytest.mark.parametrize("way", ["json", "image", "websocket"])
def test_a_right_guess_is_confirmed_and_the_confirmation_taken_back(
    client: httpx.Client, server: Server, photos: Photos, way: str
) -> None:
    person_id = registered(client, photos["obama"], "Obama")
    if way == "image":
        request: dict[str, Any] = {"files": {"image": ("x", photos["obama2"].read_bytes(), "text/plain")}}
    elif way == "json":
        request = {"json": {"identification_id": identify(client, photos["obama2"])["identification_id"]}}
    else:
        with connect(server.live, max_size=None) as camera:
            for _ in range(2):
                camera.send(photos["obama2"].read_bytes())
                reply = json.loads(camera.recv(timeout=20))
            request = {"json": {"identification_id": reply["identification_id"]}}
    confirmed = data(client.post(f"/persons/{person_id}/is-me", **request))
    assert (confirmed["person_id"], confirmed["what"], confirmed["warnings"]) == (person_id, "is-me", [])
    assert (confirmed["embedding_count"], confirmed["advice"]["code"]) == (2, "MORE_PHOTOS")
    person = data(client.get(f"/persons/{person_id}"))
    assert person["photos"][1]["photo_id"] == confirmed["photo_id"]
    assert client.get(person["photos"][1]["url"].removeprefix("/api/v1")).headers["Content-Type"] == "image/jpeg"
    again = data(client.post(f"/persons/{person_id}/is-me", **request))
    assert (again["undo_id"], again["embedding_count"]) == (confirmed["undo_id"], 2), "the same word"
    assert data(client.post(f"/undo/{confirmed['undo_id']}"))["what"] == "is-me"
    after = data(client.get(f"/persons/{person_id}"))
    assert (len(after["photos"]), after["undos"]) == (1, [])


def test_teaching_lifts_a_mistaken_rejection_and_says_so(client: httpx.Client, photos: Photos) -> None:
    person_id = registered(client, photos["obama"], "Obama")
    data(client.post(f"/persons/{person_id}/not-me", files={"image": photos["obama2"].read_bytes()}))
    (face,) = identify(client, photos["obama2"])["faces"]
    assert (face["status"], [one["name"] for one in face["candidates"]]) == ("unknown", ["Obama"])
    reply = data(register(client, photos["obama2"], name="Obama"))
    (warning,) = reply["warnings"]
    undo_id = warning["details"]["undo_id"]
    assert warning == {
        "code": "REJECTION_LIFTED",
        "message": "Somebody had said that this face is not Obama; that holds no longer",
        "details": {"undo_id": undo_id, "person_id": person_id, "rejections": 1},
    }
    assert named(client, photos["obama2"]) == "Obama"
    assert data(client.post(f"/undo/{undo_id}"))["what"] == "is-me"
    assert named(client, photos["obama2"]) is None
    assert data(client.get(f"/persons/{person_id}"))["embedding_count"] == 1
    written = data(client.get("/audit", params={"limit": 3}))["entries"]
    assert [(entry["operation"], entry["subject"]) for entry in written] == [
        ("undo", f"{undo_id} {person_id}"),
        ("lift_rejection", f"{person_id} {undo_id}"),
        ("register", person_id),
    ]


def test_someone_who_looks_like_several_is_refused_with_the_names_of_all(start_server: Any, photos: Photos) -> None:
    first = start_server()
    with httpx.Client(base_url=first.api, timeout=60) as client:
        ids = [registered(client, photos["obama"], name) for name in ("A", "B")]
    assert first.stop() == 0
    with httpx.Client(base_url=start_server(duplicate_policy="reject").api, timeout=60) as client:
        details = error(register(client, photos["obama2"], name="C"), 409, "DUPLICATE_PERSON")["details"]
        assert details["person_id"] == details["looks_like"][0]["person_id"]
        assert sorted(each["person_id"] for each in details["looks_like"]) == sorted(ids)


def test_two_persons_are_made_one_and_two_again(client: httpx.Client, photos: Photos) -> None:
    barack, barry = registered(client, photos["obama"], "Barack"), registered(client, photos["obama2"], "Barry")
    before = {one: data(client.get(f"/persons/{one}")) for one in (barack, barry)}
    assert named(client, photos["obama3"]) is None
    merged = data(client.post(f"/persons/{barack}/merge", json={"from": barry}))
    assert merged.keys() == {"undo_id", "person_id", "what", "created_at", "person"}
    assert (merged["person_id"], merged["what"]) == (barack, "merge")
    assert (merged["person"]["name"], merged["person"]["embedding_count"]) == ("Barack", 2)
    error(client.get(f"/persons/{barry}"), 404, "PERSON_NOT_FOUND")
    person = data(client.get(f"/persons/{barack}"))
    urls = [photo["url"].removeprefix("/api/v1") for photo in person["photos"]]
    assert [client.get(url).headers["Content-Type"] for url in urls] == ["image/jpeg"] * 2
    assert person["undos"] == [{key: merged[key] for key in ("undo_id", "person_id", "what", "created_at")}]
    assert named(client, photos["obama3"]) == "Barack"
    assert data(client.post(f"/undo/{merged['undo_id']}"))["what"] == "merge"
    after = {one: data(client.get(f"/persons/{one}")) for one in (barack, barry)}
    for person in (*before.values(), *after.values()):
        del person["updated_at"]
    assert after == before
    error(client.post(f"/undo/{merged['undo_id']}"), 404, "NOT_FOUND")


def test_a_merge_whose_photos_are_gone_cannot_be_undone(client: httpx.Client, photos: Photos) -> None:
    barack, joe = registered(client, photos["obama"], "Barack"), registered(client, photos["biden"], "Joe")
    (photo,) = data(client.get(f"/persons/{joe}"))["photos"]
    undo = data(client.post(f"/persons/{barack}/merge", json={"from": joe}))["undo_id"]
    data(client.delete(f"/persons/{barack}/photos/{photo['photo_id']}"))
    error(client.post(f"/undo/{undo}"), 409, "CANNOT_UNDO")
    assert data(client.get("/persons"))["total"] == 1


def test_a_merge_that_makes_no_sense_is_refused(client: httpx.Client, photos: Photos) -> None:
    barack, joe = registered(client, photos["obama"], "Barack"), registered(client, photos["biden"], "Joe")
    path = f"/persons/{barack}/merge"
    (fault,) = error(client.post(path, json={"from": barack}), 422, "VALIDATION_ERROR")["details"]["fields"]
    assert fault["field"] == "from"
    error(client.post(path, json={"from": barack.upper()}), 422, "VALIDATION_ERROR")
    error(client.post(path, json={"from": str(uuid.uuid4())}), 404, "PERSON_NOT_FOUND")
    error(client.post(f"/persons/{uuid.uuid4()}/merge", json={"from": joe}), 404, "PERSON_NOT_FOUND")
    wrongs: list[Any] = [{}, {"from": None}, {"from": 1}, {"from": [joe]}, {"source": joe}, {"from": joe, "x": 1}, []]
    for wrong in wrongs:
        error(client.post(path, json=wrong), 422, "VALIDATION_ERROR")
    for content in (b"", b"{", b"[" * 100_000):
        error(client.post(path, content=content, headers=JSON), 422, "VALIDATION_ERROR")
    error(client.post(path, data={"from": joe}), 422, "VALIDATION_ERROR")
    assert data(client.get("/persons"))["total"] == 2


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
@pytest.mark.parametrize("what", ["merge", "not-me"])
def test_json_is_only_read_where_it_is_said_to_be_json(
    client: httpx.Client, photos: Photos, what: str, content_type: str
) -> None:
    barack, joe = registered(client, photos["obama"], "Barack"), registered(client, photos["biden"], "Joe")
    seen = identify(client, photos["obama2"])["identification_id"]
    content = json.dumps({"from": joe} if what == "merge" else {"identification_id": seen})
    reply = client.post(f"/persons/{barack}/{what}", content=content, headers={"Content-Type": content_type})
    error(reply, 422, "VALIDATION_ERROR")


def test_an_undo_is_not_guessed(client: httpx.Client) -> None:
    for undo in (str(uuid.uuid4()), "x", "%00", "%F0%9F%91%A9", "x" * 5000):
        error(client.post(f"/undo/{undo}"), 404, "NOT_FOUND")
    error(client.get(f"/undo/{uuid.uuid4()}"), 405, "METHOD_NOT_ALLOWED")


def test_corrections_survive_a_restart_of_the_server(start_server: Any, photos: Photos) -> None:
    first = start_server()
    with httpx.Client(base_url=first.api, timeout=60) as client:
        person_id = mistaken(client, photos)
        seen = identify(client, photos["biden"])["identification_id"]
        undo = data(client.post(f"/persons/{person_id}/not-me", json={"identification_id": seen}))["undo_id"]
    assert first.stop() == 0
    with httpx.Client(base_url=start_server().api, timeout=60) as client:
        assert named(client, photos["biden"]) is None
        error(client.post(f"/persons/{person_id}/not-me", json={"identification_id": seen}), 404, "NOT_FOUND")
        data(client.post(f"/undo/{undo}"))
        assert named(client, photos["biden"]) == "Obama"


def test_the_report_shows_what_to_look_at(client: httpx.Client, photos: Photos) -> None:
    empty = data(client.get("/bank/report"))
    closeness = empty.pop("closeness")
    assert (closeness["more_alike"], closeness["times_as_many"]) == (False, 1)
    assert 0 < closeness["usual_threshold"] <= closeness["threshold"] < 1
    assert empty == {"persons": 0, "thin": [], "look_alikes": [], "misfits": [], "advice": [], "seen": []}
    barack = data(register(client, *(photos[key] for key in ("obama", "obama2", "obama3")), name="Barack"))
    joe = registered(client, photos["biden"], "Joe")
    files = {"image": photos["biden"].read_bytes()}
    planted = data(client.post(f"/persons/{barack['person_id']}/photos", files=files))["photos"][0]["photo_id"]
    joseph = registered(client, photos["biden"], "ＪＯＳＥＰＨ")
    identify(client, photos["obama"])
    identify(client, photos["obama2"])
    report = data(client.get("/bank/report"))
    name = {
        one: {"person_id": one, "name": n, "relationship": f"of {n}"}
        for one, n in ((joe, "Joe"), (joseph, "ＪＯＳＥＰＨ"))
    }
    assert report["persons"] == 3
    assert report["thin"] == [{**name[one], "embedding_count": 1, "views": 1} for one in (joe, joseph)]
    assert [(each["name"], each["advice"]["view"]) for each in report["advice"]] == [
        ("Joe", "another_day"),
        ("ＪＯＳＥＰＨ", "another_day"),
    ]
    (pair,) = report["look_alikes"]
    assert pair == {"persons": [name[joe], name[joseph]], "similarity": 1.0, "same_name": False}
    (misfit,) = report["misfits"]
    assert (misfit["person_id"], misfit["photo_id"]) == (barack["person_id"], planted)
    assert misfit["looks_like"] in list(name.values())
    assert -1 <= misfit["similarity"] < 0.3
    assert client.get(misfit["url"].removeprefix("/api/v1")).headers["Content-Type"] == "image/jpeg"
    (seen,) = report["seen"]
    assert (seen["person_id"], seen["times"]) == (barack["person_id"], 2)
    assert TIME.fullmatch(seen["last_seen_at"])
    client.patch(f"/persons/{joseph}", json={"name": " joe "})
    assert data(client.get("/bank/report"))["look_alikes"][0]["same_name"] is True
