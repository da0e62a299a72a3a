"""API keys, roles and sessions: every route for every role, guessing, revoking, signing in; over real sockets."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Mount, Route
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.api.conftest import VISAGE, Server, free_port, start
from tests.api.test_live import ask, frame
from visage.admin.access import Guesses
from visage.admin.keys import Role
from visage.api.app import create_app
from visage.api.gate.roles import ACCOUNTED, PERSON_FIELDS, ROLES, UNACCOUNTED_POSTS, Operations
from visage.api.v1.schemas.people import PersonWithPhotos
from visage.api.wire.security import keys_required
from visage.cli.installation import check_proxy
from visage.errors import InstallationError, TooManyGuesses
from visage.settings import Settings

NOBODY = "00000000-0000-4000-8000-000000000000"
DOCUMENT: dict[str, Any] = create_app(Settings(require_key=True)).openapi()
OPERATIONS = {
    operation["operationId"]: (method, path)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}

EXPECTED = {
    None: {"health", "get_session", "sign_in", "sign_out"},
    Role.VIEWER: {
        "identify",
        "detect",
        "verify",
        "list_persons",
        "get_person",
        "get_photo",
        "not_me",
        "undo",
        "get_settings",
    },
    Role.EDITOR: {
        "register",
        "update_person",
        "delete_person",
        "add_photos",
        "delete_photo",
        "merge_persons",
        "is_me",
        "confirm_unknown",
        "bank_report",
        "list_unknowns",
        "get_unknown_picture",
        "register_unknown",
        "dismiss_unknown",
    },
    Role.ADMIN: {
        "list_keys",
        "create_key",
        "revoke_key",
        "list_audit",
        "verify_audit",
        "backup",
        "restore",
        "export_person",
        "export_person_by_post",
        "export_all",
        "export_all_by_post",
        "update_settings",
        "list_due",
        "purge",
    },
}


@dataclass
class Locked:
    """A server that asks for keys, and a key of each role."""

    server: Server
    keys: Mapping[Role, str]
    log: Path

    def client(self, role: Role | None = None, address: str = "127.0.0.1", **options: Any) -> httpx.Client:
        """A client that shows a key of this role, or none; from an address of this computer."""
        headers = {"X-API-Key": self.keys[role]} if role else {}
        transport = httpx.HTTPTransport(local_address=address)
        return httpx.Client(base_url=self.server.api, headers=headers, timeout=60, transport=transport, **options)

    def new_key(self, role: Role) -> dict[str, Any]:
        """One more key."""
        with self.client(Role.ADMIN) as admin:
            key: dict[str, Any] = admin.post("/keys", json={"role": role, "label": "one more"}).json()["data"]
        return key

    def live(self, headers: Mapping[str, str]) -> ClientConnection:
        """A WebSocket."""
        return connect(self.server.live, max_size=None, additional_headers=headers)


def first_key(data_dir: Path) -> str:
    """The first admin key of a bank, made as the documents say."""
    command = [str(VISAGE), "keys", "create", "--role", "admin", "--json", "--data-dir", str(data_dir)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return str(json.loads(made.stdout)["key"])


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """One locked server for the tests of this file."""
    folder = tmp_path_factory.mktemp("locked")
    admin = first_key(folder / "data")
    server = start(folder / "data", require_key=True, log_level="debug")
    keys = {Role.ADMIN: admin}
    for role in (Role.VIEWER, Role.EDITOR):
        reply = httpx.post(f"{server.api}/keys", json={"role": role}, headers={"X-API-Key": admin})
        keys[role] = reply.json()["data"]["key"]
    yield Locked(server, keys, folder / "server.log")
    assert server.stop() == 0


def call(client: httpx.Client, operation_id: str) -> httpx.Response:
    """Call an operation with ids of nobody and without a body."""
    method, path = OPERATIONS[operation_id]
    return client.request(method, re.sub(r"\{\w+\}", NOBODY, path).removeprefix("/api/v1"))


def test_the_table_names_every_route_of_the_document_and_no_other() -> None:
    assert ROLES.keys() == OPERATIONS.keys()
    assert {role: {name for name, each in ROLES.items() if each == role} for role in EXPECTED} == EXPECTED


def test_what_changes_something_is_accounted_for() -> None:
    changing = {name for name, (method, _) in OPERATIONS.items() if method != "get"}
    assert changing - UNACCOUNTED_POSTS == ACCOUNTED - {"export_person", "export_all"}


@pytest.mark.parametrize("role", [None, *Role])
def test_every_route_is_open_to_its_roles_and_to_no_other(locked: Locked, role: Role | None) -> None:
    with locked.client(role) as client:
        for operation_id, needed in ROLES.items():
            reply = call(client, operation_id)
            if needed is None or (role is not None and role.may(needed)):
                assert reply.status_code not in {401, 403}, operation_id
                continue
            status, code = (401, "UNAUTHENTICATED") if role is None else (403, "FORBIDDEN")
            assert (reply.status_code, reply.json()["error"]["code"]) == (status, code), operation_id
            assert reply.headers["X-Request-ID"]
            assert (
                str(status)
                in DOCUMENT["paths"][OPERATIONS[operation_id][1]][OPERATIONS[operation_id][0]]["responses"]
            )


def test_a_route_that_the_table_forgot_asks_for_an_admin() -> None:
    operations = Operations({"paths": {"/api/v1/new/{id}": {"get": {"operationId": "brand_new"}}}})
    found = operations.find("GET", "/api/v1/new/x")
    assert found is not None
    assert found.role is Role.ADMIN


def test_where_two_routes_fit_the_higher_role_counts() -> None:
    paths = {
        "/api/v1/persons/{person_id}": {"get": {"operationId": "get_person"}},
        "/api/v1/persons/secret": {"get": {"operationId": "list_keys"}},
    }
    found = Operations({"paths": paths}).find("GET", "/api/v1/persons/secret")
    assert found is not None
    assert found.role is Role.ADMIN


def test_outside_the_api_there_is_nothing_but_files_that_are_the_same_for_everyone() -> None:
    for route in create_app(Settings()).routes:
        path = getattr(route, "path", "/api/")
        if path.startswith(("/api/", "/ws/")):
            continue
        assert (
            isinstance(route, Mount)
            or (isinstance(route, Route) and route.methods == {"GET", "HEAD"})
            or (getattr(route, "methods", None) == {"GET"})
        ), path


@pytest.mark.parametrize(
    "method,path",
    [
        ("GET", "/api/v1/persons/"),
        ("GET", "/api/v1//persons"),
        ("GET", "/api/v1/persons%0A"),
        ("GET", "/api/v1/%70ersons"),
        ("GET", "/api/v1/nothing"),
        ("TRACE", "/api/v1/persons"),
        ("HEAD", "/api/v1/persons"),
        ("OPTIONS", "/api/v1/persons"),
        ("get", "/api/v1/persons"),
        ("GET", "/api/../api/v1/persons"),
        ("GET", "/api/v1/health/../persons"),
    ],
)
def test_no_spelling_gets_around_the_key(locked: Locked, method: str, path: str) -> None:
    with httpx.Client() as client:
        request = client.build_request(method, locked.server.url)
        request.method = method
        request.url = request.url.copy_with(raw_path=path.encode())
        assert client.send(request).status_code in {400, 401, 404, 405}


@pytest.mark.parametrize("role", [None, *Role])
def test_frames_are_identified_for_every_role_and_for_nobody_else(
    locked: Locked, photos: Mapping[str, Path], role: Role | None
) -> None:
    if role is None:
        with pytest.raises(InvalidStatus) as refused:
            locked.live({})
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body or b"")["error"]["code"] == "UNAUTHENTICATED"
        return
    with locked.live({"Authorization": f"Bearer {locked.keys[role]}"}) as connection:
        assert ask(connection, frame(photos["obama"]))["face_detected"] is True


def test_without_a_key_health_tells_only_that_all_is_well(locked: Locked) -> None:
    with locked.client() as nobody, locked.client(Role.VIEWER) as viewer:
        assert nobody.get("/health").json()["data"] == {"status": "ok"}
        assert viewer.get("/health").json()["data"].keys() > {"status", "version", "persons"}


def test_a_key_is_shown_once_and_never_kept(locked: Locked) -> None:
    created = locked.new_key(Role.VIEWER)
    with locked.client(Role.ADMIN) as admin:
        listed = admin.get("/keys")
    assert created["key_id"] in listed.text
    assert created["key"] not in listed.text
    for file in locked.server.data_dir.iterdir():
        if file.is_file():
            assert created["key"].encode() not in file.read_bytes()


def test_a_viewer_sees_who_that_is_and_not_the_door_code(locked: Locked, photos: Mapping[str, Path]) -> None:
    assert PERSON_FIELDS.keys() == PersonWithPhotos.model_fields.keys()  # field by field
    consent = {"given_by": "Jane Doe", "capacity": "self", "given_on": "2025-12-04"}
    details = {"remember": "Ask about the garden", "notes": "door code 4711"}
    sent = {"name": "Ann", "relationship": "aunt", "metadata": json.dumps(details), "consent": json.dumps(consent)}
    with locked.client(Role.EDITOR) as editor, locked.client(Role.VIEWER) as viewer:
        files = {"image": photos["obama"].read_bytes()}
        ann = editor.post("/register", data=sent, files=files).json()["data"]["person_id"]
        editor.post(f"/persons/{ann}/is-me", files={"image": photos["obama2"].read_bytes()}).raise_for_status()
        editor.post(f"/persons/{ann}/not-me", files={"image": photos["biden"].read_bytes()}).raise_for_status()
        for path in (f"/persons/{ann}", "/persons"):
            full, seen = (client.get(path).json()["data"] for client in (editor, viewer))
            full, seen = (data["persons"][0] if path == "/persons" else data for data in (full, seen))
            assert full["metadata"] == details
            assert full["consent"]["given_by"] == "Jane Doe"
            assert full.keys() == seen.keys()
            assert {key: full[key] for key in ("person_id", "name", "relationship", "embedding_count")} == {
                key: seen[key] for key in ("person_id", "name", "relationship", "embedding_count")
            }
            assert (seen["metadata"], seen["consent"]) == ({"remember": "Ask about the garden"}, None)
            if "photos" in full:
                assert full["photos"] == seen["photos"] != []
                assert [each["what"] for each in full["undos"]] == ["is-me", "not-me"]
                assert [each["what"] for each in seen["undos"]] == ["not-me"]
        assert "4711" not in viewer.get(f"/persons/{ann}").text
        editor.delete(f"/persons/{ann}")


def test_a_viewer_takes_back_a_not_me_and_nothing_else(locked: Locked, photos: Mapping[str, Path]) -> None:
    ids = []
    with locked.client(Role.EDITOR) as editor, locked.client(Role.VIEWER) as viewer:
        for name, photo in (("One", "obama"), ("Two", "biden")):
            files = {"image": photos[photo].read_bytes()}
            ids.append(editor.post("/register", data={"name": name}, files=files).json()["data"]["person_id"])
        rejected = viewer.post(f"/persons/{ids[0]}/not-me", files={"image": photos["partial1"].read_bytes()})
        assert viewer.post(f"/undo/{rejected.json()['data']['undo_id']}").status_code == 200
        taught = editor.post(f"/persons/{ids[0]}/is-me", files={"image": photos["obama2"].read_bytes()})
        merge = editor.post(f"/persons/{ids[0]}/merge", json={"from": ids[1]})
        for undo_id in (each.json()["data"]["undo_id"] for each in (merge, taught)):
            assert viewer.post(f"/undo/{undo_id}").json()["error"]["code"] == "FORBIDDEN"
            assert editor.post(f"/undo/{undo_id}").status_code == 200
        for person_id in ids:
            editor.delete(f"/persons/{person_id}")


def test_wrong_keys_are_limited_and_a_right_one_beside_them_is_not(locked: Locked) -> None:
    """A device with a key that was revoked asks on and on, from the address of everybody at home."""
    with locked.client(Role.ADMIN) as admin, locked.client(address="127.0.0.9") as guesser:
        lost = locked.new_key(Role.VIEWER)
        admin.delete(f"/keys/{lost['key_id']}").raise_for_status()
        statuses = []
        for number in range(Guesses.allowed + 20):
            wrong = lost["key"] if number % 2 else f"visage_{number:043}"
            headers = {"X-API-Key": wrong, "X-Forwarded-For": f"10.0.0.{number}"}
            statuses.append(guesser.get("/persons", headers=headers).status_code)
            assert guesser.get("/persons", headers={"X-API-Key": locked.keys[Role.VIEWER]}).status_code == 200
        assert statuses == [401] * Guesses.allowed + [429] * 20
        refused = guesser.post("/session", json={"key": "wrong"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMITED")
        assert 0 < int(refused.headers["Retry-After"]) <= 61
        assert guesser.post("/session", json={"key": locked.keys[Role.ADMIN]}).status_code == 200
        assert guesser.get("/health").status_code == 200  # without a key, as ever


def test_guesses_are_forgotten_in_time_and_never_fill_the_memory() -> None:
    now = 0.0
    guesses = Guesses(clock=lambda: now)
    for _ in range(Guesses.allowed):
        guesses.count("2001:db8::1")
    with pytest.raises(TooManyGuesses):
        guesses.count("2001:db8::ffff")  # the same household
    guesses.count("2001:db8:0:1::1")
    now = Guesses.window_s + 1
    guesses.count("2001:db8::1")
    for number in range(3 * Guesses.max_addresses):
        guesses.count(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(guesses._wrong) == Guesses.max_addresses


@pytest.mark.parametrize("by", ["key", "session"])
def test_revoking_a_key_closes_its_connections_and_no_others(
    locked: Locked, photos: Mapping[str, Path], by: str
) -> None:
    key = locked.new_key(Role.VIEWER)
    headers = {"X-API-Key": key["key"]}
    if by == "session":
        with locked.client() as browser:
            browser.post("/session", json={"key": key["key"]}).raise_for_status()
            headers = {"Cookie": f"visage_session={browser.cookies['visage_session']}"}
    other = {"X-API-Key": locked.keys[Role.VIEWER]}
    with locked.live(headers) as revoked, locked.live(other) as kept, locked.client(Role.ADMIN) as admin:
        ask(revoked, frame(photos["obama"]))
        start_s = time.monotonic()
        assert admin.delete(f"/keys/{key['key_id']}").json()["data"]["revoked"] is True
        with pytest.raises(ConnectionClosed) as closed:
            revoked.recv(timeout=5)
        assert time.monotonic() - start_s < 5
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        assert ask(kept, frame(photos["obama"]))["face_detected"] is True
        with pytest.raises(InvalidStatus):
            locked.live(headers)
        listed = admin.get("/keys").json()["data"]["keys"]
        assert [each["key_id"] for each in listed if each["revoked_at"]].count(key["key_id"]) == 1
        assert admin.delete(f"/keys/{key['key_id']}").status_code == 404
    with locked.client(address="127.0.0.11") as client:
        assert client.get("/persons", headers=headers).status_code == 401


def test_a_browser_signs_in_and_out(locked: Locked) -> None:
    with locked.client() as browser:
        assert browser.get("/session").json()["data"] == {"required": True, "signed_in": False, "role": None}
        signed_in = browser.post("/session", json={"key": locked.keys[Role.EDITOR]})
        assert signed_in.json()["data"] == {"required": True, "signed_in": True, "role": "editor"}
        cookie = signed_in.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Secure" not in cookie  # this is HTTP on this computer
        assert locked.keys[Role.EDITOR] not in cookie
        token = browser.cookies["visage_session"]
        assert browser.get("/session").json()["data"]["role"] == "editor"
        assert browser.get("/bank/report").status_code == 200
        assert browser.get("/keys").status_code == 403
        with locked.live({"Cookie": f"visage_session={token}"}) as connection:
            assert browser.delete("/session").json()["data"]["signed_in"] is False
            with pytest.raises(ConnectionClosed):
                connection.recv(timeout=5)
        assert browser.get("/persons").status_code == 401
        assert browser.get("/persons", headers={"Cookie": f"visage_session={token}"}).status_code == 401


def test_a_session_outlives_the_server(start_server: Callable[..., Server]) -> None:
    server = start_server()
    with httpx.Client(base_url=server.api) as browser:
        key = browser.post("/keys", json={"role": "admin"}).json()["data"]["key"]
        browser.post("/session", json={"key": key}).raise_for_status()
        token = browser.cookies["visage_session"]
    server.stop()
    again = start_server(require_key=True)
    headers = {"Cookie": f"visage_session={token}"}
    assert httpx.get(f"{again.api}/keys").status_code == 401
    assert httpx.get(f"{again.api}/keys", headers=headers).status_code == 200


def test_a_server_that_others_can_reach_does_not_start_without_a_key(tmp_path: Path) -> None:
    command = [str(VISAGE), "serve", "--port", str(free_port()), "--data-dir", str(tmp_path / "d")]
    environment = {"VISAGE_ALLOWED_HOSTS": "visage.home"}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert ended.returncode == 1
    assert "visage keys create --role admin" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "settings,required",
    [
        ({}, False),
        ({"host": "localhost"}, False),
        ({"host": "127.0.0.5"}, False),
        ({"host": "::1"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "::"}, True),
        ({"host": ""}, True),
        ({"host": "192.168.1.7"}, True),
        ({"host": "kitchen"}, True),
        ({"require_key": True}, True),
        ({"allowed_hosts": "visage.home"}, True),
    ],
)
def test_a_key_is_needed_wherever_others_can_reach_the_server(settings: dict[str, Any], required: bool) -> None:
    assert keys_required(Settings(**settings)) is required


def test_no_key_token_name_or_label_is_in_the_log(locked: Locked, photos: Mapping[str, Path]) -> None:
    wrong = "visage_wrongwrongwrong"
    with locked.client(Role.ADMIN, address="127.0.0.12") as client:
        client.get("/persons", headers={"X-API-Key": wrong})
        client.get("/persons", headers={"Authorization": f"Bearer {wrong}"})
        client.post("/session", json={"key": wrong})
        client.get("/persons", params={"api_key": locked.keys[Role.ADMIN]})
        client.post("/session", json={"key": locked.keys[Role.ADMIN]})
        token = client.cookies["visage_session"]
        viewer = client.post("/keys", json={"role": "viewer", "label": "Rumpelstilz"}).json()["data"]["key"]
        files = {"image": photos["obama"].read_bytes()}
        registered = client.post("/register", data={"name": "Rumpelstilz", "relationship": "Oheim"}, files=files)
        client.get("/persons/Rumpelstilz")
        client.delete("/persons/Rumpelstilz", headers={"X-API-Key": viewer})
        client.get("/persons", params={"query": "Rumpelstilz"})
        with locked.live({"X-API-Key": viewer}) as connection:
            assert ask(connection, frame(photos["obama2"]))["match"]["name"] == "Rumpelstilz"
        client.delete(f"/persons/{registered.json()['data']['person_id']}")
        audit = client.get("/audit").text
    log = locked.log.read_text()
    assert "Visage answers on" in log
    for secret in (*locked.keys.values(), viewer, wrong, token, "Rumpelstilz", "Oheim"):
        assert secret not in log
        assert secret not in audit


def test_doctor_notices_a_proxy_that_hands_on_what_its_clients_say_of_themselves(locked: Locked) -> None:
    class Credulous(BaseHTTPRequestHandler):
        """Behind it, each wrong key comes from another address."""

        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            """Not here."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Credulous) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        with pytest.raises(InstallationError, match=r"X-Forwarded-For \$remote_addr"):
            check_proxy(Settings(allowed_hosts=f"127.0.0.1:{proxy.server_port}"))
        proxy.shutdown()
    sound = locked.server.url.removeprefix("http://")
    assert check_proxy(Settings(allowed_hosts=sound)) == f"{sound} says itself who asks"
    assert "cannot be asked" in check_proxy(Settings(allowed_hosts=f"127.0.0.1:{free_port()}"))
    assert check_proxy(Settings()).startswith("none")
