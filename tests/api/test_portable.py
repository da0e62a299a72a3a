"""People go out in open formats and come back in; nothing else does."""

from __future__ import annotations

import io
import json
import resource
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.api.conftest import Server, client, server
from tests.api.test_keeping import names, register, who
from tests.test_cli import refusal, said, visage

__all__ = ["client", "server"]

INDEX = json.dumps({"format": "visage-export", "version": 1})
RECORD = {"name": "Mallory", "photos": [{"file": "1.jpg"}]}


def test_one_person_goes_out_whole(client: httpx.Client, photos: Mapping[str, Path]) -> None:
    sent = [("image", photos[key].read_bytes()) for key in ("obama", "obama2")]
    form = {"name": "Bärack", "relationship": "Friend", "metadata": '{"note": "met at the choir"}'}
    person = client.post("/register", data=form, files=sent).json()["data"]
    register(client, "Joe", photos["biden"])
    reply = client.get(f"/persons/{person['person_id']}/export")
    assert reply.headers["content-type"] == "application/zip"
    assert "rack" not in reply.headers["content-disposition"]
    archive = zipfile.ZipFile(io.BytesIO(reply.content))
    assert archive.testzip() is None
    assert json.loads(archive.read("visage-export.json"))["version"] == 1
    folder = f"persons/{person['person_id']}/"
    record = json.loads(archive.read(f"{folder}person.json"))
    assert (record["name"], record["relationship"]) == ("Bärack", "Friend")
    assert record["metadata"] == {"note": "met at the choir"}
    assert len(record["photos"]) == 2
    for photo in record["photos"]:
        picture = client.get(f"/persons/{person['person_id']}/photos/{photo['photo_id']}").content
        assert archive.read(folder + photo["file"]) == picture
    assert len(archive.namelist()) == 4
    assert client.get("/persons/none/export").status_code == 404
    assert client.get("/export", params={"person_id": "none"}).status_code == 404


def test_everyone_goes_out_and_is_recognised_after_coming_in(
    client: httpx.Client, server: Server, photos: Mapping[str, Path], tmp_path: Path
) -> None:
    register(client, "Barack", photos["obama"])
    register(client, "Joe", photos["biden"])
    register(client, "Astronaut", photos["astronaut"])
    path = tmp_path / "all.zip"
    text = said(visage("export", path, "--url", server.url))
    assert "3 person(s), 3 photo(s). It is not encrypted" in text
    for person in client.get("/persons").json()["data"]["persons"]:
        client.delete(f"/persons/{person['person_id']}")
    text = said(visage("import", path, "--url", server.url))
    assert "3 person(s) imported, 3 photo(s) remembered, 0 photo(s) not used" in text
    assert names(client) == ["Astronaut", "Barack", "Joe"]
    assert who(client, photos["obama2"]) == "Barack"
    assert who(client, photos["biden"]) == "Joe"
    assert who(client, photos["astronaut"]) == "Astronaut"
    said(visage("import", path, "--url", server.url))
    assert names(client) == ["Astronaut", "Barack", "Joe"]  # the same people, as when they are registered again
    person_id = client.get("/persons", params={"query": "Joe"}).json()["data"]["persons"][0]["person_id"]
    assert "1 person(s)" in said(visage("export", person_id, tmp_path / "joe.zip", "--url", server.url))
    assert "there already" in refusal(visage("export", path, "--url", server.url))
    assert "end in .zip" in refusal(visage("export", person_id, "--url", server.url))


def test_a_folder_for_each_person_comes_in(photos: Mapping[str, Path], tmp_path: Path) -> None:
    for folder, key in (("Barack_Obama", "obama"), ("Barack_Obama", "obama2"), ("Joe", "biden")):
        (tmp_path / "faces" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "faces" / folder / f"{key}.jpg").write_bytes(photos[key].read_bytes())
    Image.new("RGB", (200, 200)).save(tmp_path / "faces/Joe/wall.png")
    (tmp_path / "faces/Joe/notes.txt").write_text("no photo")
    at = ["--data-dir", str(tmp_path / "data")]
    text = said(visage("import", tmp_path / "faces", *at))
    assert "Joe/wall.png: not used. No face" in text
    assert "2 person(s) imported, 3 photo(s) remembered, 1 photo(s) not used" in text
    people = json.loads(said(visage("persons", "list", "--json", *at)))
    assert sorted(person["name"] for person in people) == ["Barack Obama", "Joe"]
    (tmp_path / "empty").mkdir()
    assert "no folder with photos" in refusal(visage("import", tmp_path / "empty", *at))


def archive(path: Path, **entries: str | bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


GOOD: dict[str, str | bytes] = {
    "visage-export.json": INDEX,
    "persons/a/person.json": json.dumps(RECORD),
    "persons/a/1.jpg": b"x",
}

HOSTILE: dict[str, dict[str, str | bytes]] = {
    "slip": {"../../evil": "x"},
    "absolute": {"/etc/evil": "x"},
    "backslash": {"..\\evil": "x"},
    "record bomb": {"persons/a/person.json": b" " * 2**27},
    "photo elsewhere": {"persons/a/person.json": json.dumps(RECORD | {"photos": [{"file": "../../etc/passwd"}]})},
    "wrong types": {"persons/a/person.json": json.dumps({"name": ["x"], "photos": 7})},
    "deep": {"persons/a/person.json": "[" * 100_000},
    "no index": {"visage-export.json": "{}"},
    "newer": {"visage-export.json": INDEX.replace("1}", "2}")},
}


def hostile(path: Path, kind: str) -> None:
    """Write an archive that must not be imported."""
    content = bytearray(archive(path, **GOOD | HOSTILE.get(kind, {})).read_bytes())
    if kind == "link":
        link = zipfile.ZipInfo("persons/a/2.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        with zipfile.ZipFile(path, "a") as file:
            file.writestr(link, "/etc/passwd")
    elif kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "flipped":
        content[content.index(b"person.json") + 14] ^= 0xFF
        path.write_bytes(content)
    elif kind == "text":
        path.write_bytes(b"no zip at all")


@pytest.mark.parametrize("kind", [*HOSTILE, "link", "cut", "flipped", "text"])
def test_a_hostile_or_damaged_archive_is_refused_before_anyone_is_registered(tmp_path: Path, kind: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = tmp_path / "hostile.zip"
    hostile(path, kind)
    result = visage("import", path, "--url", "http://127.0.0.1:1")  # nothing is sent: nobody is asked
    assert result.exit_code == 1
    assert any(word in result.stderr for word in ("archive", "export"))
    assert "Traceback" not in result.stderr
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000


def test_a_photo_that_is_a_bomb_is_left_out(
    client: httpx.Client, server: Server, photos: Mapping[str, Path], tmp_path: Path
) -> None:
    record = {"name": "Mallory", "photos": [{"file": "1.jpg"}, {"file": "2.jpg"}, {"file": "3.jpg"}]}
    entries: dict[str, str | bytes] = {
        "persons/a/person.json": json.dumps(record),
        "persons/a/1.jpg": bytes(2**26),
        "persons/a/2.jpg": photos["biden"].read_bytes(),
        "persons/a/3.jpg": b"no picture",
    }
    path = archive(tmp_path / "a.zip", **GOOD | entries)
    text = said(visage("import", path, "--url", server.url))
    assert "persons/a/1.jpg: not used" in text
    assert "persons/a/3.jpg: not used" in text
    assert who(client, photos["biden"]) == "Mallory"
