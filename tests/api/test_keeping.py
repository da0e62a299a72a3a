"""Backups and restores of a server that is running."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.api.conftest import VISAGE, Server, client, server
from tests.test_cli import refusal, said, visage
from visage.admin.sqlite import FILE_NAME as ADMIN_FILE
from visage.storage.folder import FILE_NAME, SET_ASIDE, STAGE_NAME

__all__ = ["client", "server"]


def register(client: httpx.Client, name: str, photo: Path) -> str:
    reply = client.post("/register", data={"name": name}, files={"image": photo.read_bytes()}).json()
    person_id: str = reply["data"]["person_id"]
    return person_id


def names(client: httpx.Client) -> list[str]:
    return sorted(each["name"] for each in client.get("/persons").json()["data"]["persons"])


def who(client: httpx.Client, photo: Path) -> str | None:
    match = client.post("/identify", files={"image": photo.read_bytes()}).json()["data"]["match"]
    return match["name"] if match else None


def restore(client: httpx.Client, content: bytes, **fields: str) -> httpx.Response:
    return client.post("/restore", files={"file": ("b.visage", content)}, data=fields)


def test_a_server_backs_up_and_restores_while_it_serves(
    client: httpx.Client, server: Server, photos: Mapping[str, Path]
) -> None:
    register(client, "Barack", photos["obama"])
    gone = register(client, "Joe", photos["biden"])
    reply = client.post("/backup")
    assert reply.headers["content-disposition"].startswith('attachment; filename="visage-backup-2')
    assert b"Barack" not in reply.content
    client.delete(f"/persons/{gone}")
    register(client, "Astronaut", photos["astronaut"])
    with connect(server.live):
        done = restore(client, reply.content).json()["data"]
    assert (done["persons"], done["forgotten_again"], done["erasures_known"]) == (1, 1, True)
    assert done["set_aside"].startswith(SET_ASIDE)
    assert (server.data_dir / done["set_aside"]).exists()
    assert names(client) == ["Barack"]
    assert who(client, photos["obama2"]) == "Barack"
    assert who(client, photos["astronaut"]) is None
    register(client, "Joe", photos["biden"])
    assert names(client) == ["Barack", "Joe"]
    assert not (server.data_dir / STAGE_NAME).exists()
    operations = [each["operation"] for each in client.get("/audit").json()["data"]["entries"]]
    assert operations[:5] == ["register", "restore", "register", "delete_person", "backup"]
    assert client.get("/audit/verify").json()["data"]["faults"] == []


def test_a_backup_that_was_changed_is_refused_and_the_server_serves_on(
    client: httpx.Client, server: Server, photos: Mapping[str, Path]
) -> None:
    register(client, "Barack", photos["obama"])
    content = bytearray(client.post("/backup").content)
    content[len(content) // 2] ^= 1
    for wrong in (bytes(content), b"", b"nonsense", bytes(content[:-5])):
        reply = restore(client, wrong)
        assert (reply.status_code, reply.json()["error"]["code"]) == (422, "INVALID_BACKUP")
    reply = client.post("/restore", data={"passphrase": "x"})
    assert reply.status_code == 422
    reply = client.post("/restore", files=[("file", b"x"), ("file", b"y")])
    assert reply.status_code == 422
    reply = restore(client, bytes(content), passphrase="x" * 2000)
    assert reply.status_code == 422
    assert who(client, photos["obama2"]) == "Barack"
    assert not (server.data_dir / STAGE_NAME).exists()


def test_requests_during_a_restore_are_told_to_wait_and_none_is_lost(
    client: httpx.Client, photos: Mapping[str, Path]
) -> None:
    register(client, "Barack", photos["obama"])
    content = client.post("/backup").content
    end = threading.Event()
    statuses: set[int] = set()

    def ask() -> None:
        while not end.is_set():
            reply = client.post("/identify", files={"image": photos["obama2"].read_bytes()})
            statuses.add(reply.status_code)
            if reply.status_code == 503:
                assert reply.json()["error"]["code"] == "NOT_READY"

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert restore(client, content).status_code == 200
    end.set()
    for thread in threads:
        thread.join()
    assert statuses <= {200, 503}
    assert who(client, photos["obama2"]) == "Barack"


def test_only_an_admin_takes_the_bank_out_of_the_house(start_server: Callable[..., Server], tmp_path: Path) -> None:
    data = ["--data-dir", str(tmp_path / "data")]
    keys = {}
    for role in ("editor", "admin"):
        keys[role] = re.findall(r"visage_\S+", said(visage("keys", "create", "--role", role, *data)))[0]
    server = start_server(require_key="true")
    for role, status in (("editor", 403), ("admin", 200)):
        reply = httpx.post(f"{server.api}/backup", headers={"X-API-Key": keys[role]}, timeout=60)
        assert reply.status_code == status
    admin = {"X-API-Key": keys["admin"]}
    back = httpx.post(f"{server.api}/restore", headers=admin, files={"file": reply.content}, timeout=60)
    assert back.status_code == 200
    assert httpx.get(f"{server.api}/keys", headers=admin).status_code == 200


def test_the_command_backs_up_and_restores(
    tmp_path: Path, photos: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = ["--data-dir", str(tmp_path / "data")]
    path = tmp_path / "b.visage"
    assert "no bank" in refusal(visage("backup", path, *at))
    said(visage("register", "Barack", photos["obama"], *at))
    text = said(visage("backup", path, *at))
    assert "1 person(s), 1 photo(s)" in text
    assert "visage key paper" in text
    assert path.stat().st_mode & 0o777 == 0o600
    assert "there already" in refusal(visage("backup", path, *at))
    paper = said(visage("key", "paper", *at)).split("\n")[2].strip()
    assert "recovery key from paper" in said(visage("backup", tmp_path / "p.visage", *at))
    said(visage("register", "Joe", photos["biden"], *at))
    assert visage("restore", path, *at, answer="n\n").exit_code == 1
    assert "Joe" in said(visage("persons", "list", *at))
    text = said(visage("restore", path, *at, answer="y\n"))
    assert "stays in the data directory" in text
    assert "Joe" not in said(visage("persons", "list", *at))
    new = ["--data-dir", str(tmp_path / "new")]
    result = visage("restore", tmp_path / "p.visage", *new, "--yes")
    assert "recovery key from paper" in result.stderr
    said(visage("restore", tmp_path / "p.visage", *new, "--yes", "--recovery-key", answer=f"{paper}\n"))
    assert "Barack" in said(visage("persons", "list", *new))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    (tmp_path / "c.visage").write_bytes(content)
    assert "damaged" in visage("restore", tmp_path / "c.visage", *at, "--yes").stderr

    def full(_: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    failed = visage("backup", tmp_path / "full.visage", *at)
    assert failed.exit_code == 1
    assert "No space left" in failed.stderr
    assert not list(tmp_path.glob("full*"))


def test_nobody_comes_between_the_check_of_a_backup_and_the_answer(
    tmp_path: Path, photos: Mapping[str, Path]
) -> None:
    """What was shown is what is put in place: another command would have thrown it away, or put in another."""
    at = ["--data-dir", str(tmp_path / "data")]
    said(visage("register", "Barack", photos["obama"], *at))
    said(visage("backup", tmp_path / "b.visage", *at))
    said(visage("register", "Joe", photos["biden"], *at))
    command = [str(VISAGE), "restore", str(tmp_path / "b.visage"), *at]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdin and asking.stdout
        told = ""
        while "Restore this backup?" not in told:
            told += asking.stdout.read(1)
        for other in (["persons", "list"], ["restore", tmp_path / "b.visage", "--yes"], ["key", "status"]):
            assert "--url" in visage(*other, *at).stderr
        asking.stdin.write("y\n")
        asking.stdin.flush()
        told = asking.stdout.read()
    assert asking.returncode == 0, told
    assert "The bank is restored" in told
    left = said(visage("persons", "list", *at))
    assert "Barack" in left
    assert "Joe" not in left


def test_a_crafted_backup_brings_neither_programs_nor_keys_nor_a_way_in(
    client: httpx.Client, server: Server, photos: Mapping[str, Path], tmp_path: Path
) -> None:
    """An admin key was stolen, and its thief restores what he made, with a recovery key of his own."""
    theirs = tmp_path / "theirs"
    said(visage("register", "Mallory", photos["biden"], "--data-dir", theirs))
    said(visage("keys", "create", "--role", "admin", "--data-dir", theirs))
    paper = said(visage("key", "paper", "--data-dir", theirs)).split("\n")[2].strip()
    with closing(sqlite3.connect(theirs / FILE_NAME)) as file, file:
        file.execute("CREATE TABLE keepsake AS SELECT * FROM persons")
    said(visage("backup", tmp_path / "t.visage", "--data-dir", theirs))
    register(client, "Barack", photos["obama"])
    entries = client.get("/audit/verify").json()["data"]["entries"]
    reply = restore(client, (tmp_path / "t.visage").read_bytes(), recovery_key=paper)
    assert reply.status_code == 200
    assert (reply.json()["data"]["new_key"], reply.json()["data"]["recovery_key_void"]) == (True, True)
    check = client.get("/audit/verify").json()["data"]
    assert (check["entries"], check["faults"]) == (entries + 1, [])
    assert client.get("/keys").json()["data"]["keys"] == []
    (person_id,) = [each["person_id"] for each in client.get("/persons").json()["data"]["persons"]]
    assert client.delete(f"/persons/{person_id}").json()["data"]["complete"] is True
    assert tables_with(server.data_dir / FILE_NAME, person_id) == {"erasures"}
    assert tables_with(server.data_dir / ADMIN_FILE, person_id) == {"audit"}  # ids, and nothing else of a person
    content = b"".join((server.data_dir / name).read_bytes() for name in (ADMIN_FILE, "audit.head"))
    assert b"Mallory" not in content and b"Barack" not in content
    answer = visage("key", "recover", "--data-dir", server.data_dir, answer=f"{paper}\n")
    assert answer.exit_code != 0


def tables_with(path: Path, text: str) -> set[str]:
    """The tables of a database that hold a text."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as file:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {
            name
            for name in tables
            for row in file.execute(f"SELECT * FROM {name}")
            if any(isinstance(value, str) and text in value for value in row)
        }


def test_the_command_talks_to_a_server(
    client: httpx.Client, server: Server, photos: Mapping[str, Path], tmp_path: Path
) -> None:
    register(client, "Barack", photos["obama"])
    local = ["--data-dir", str(server.data_dir)]
    assert "--url" in refusal(visage("backup", tmp_path / "b.visage", *local))
    said(visage("backup", tmp_path / "b.visage", "--url", server.url))
    register(client, "Joe", photos["biden"])
    assert "--url" in visage("restore", tmp_path / "b.visage", *local, "--yes").stderr
    said(visage("restore", tmp_path / "b.visage", "--yes", "--url", server.url))
    assert names(client) == ["Barack"]


def test_a_restore_that_breaks_off_leaves_no_traceback_in_the_log(server: Server, client: httpx.Client) -> None:
    head = b"POST /api/v1/restore HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n"
    head += b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    port = int(server.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port)) as line:
        part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        line.sendall(head + part + bytes(100_000))
        staged = server.data_dir / "staging" / "upload"
        while not staged.exists():
            assert client.get("/health").status_code == 200
    while staged.exists():
        assert client.get("/health").status_code == 200
    while (reply := restore(client, b"x")).status_code == 429:  # until the first one has let go
        pass
    assert reply.json()["error"]["code"] == "INVALID_BACKUP"
    log = (server.data_dir.parent / "server.log").read_text()
    assert "Traceback" not in log
