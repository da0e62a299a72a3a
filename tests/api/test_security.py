"""Foreign names, foreign pages, what replies tell a browser, and clients that never come to the point."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.api.conftest import Server
from visage.api.wire.connection import BODY_GRACE_S, HEADERS_TIMEOUT_S, MAX_HEADER_BYTES
from visage.api.wire.security import own_hosts
from visage.settings import Settings

NOBODY = "00000000-0000-0000-0000-000000000000"
DOWNLOADS = [
    ("GET", "/export"),
    ("POST", "/export"),
    ("POST", "/backup"),
    ("GET", f"/persons/{NOBODY}/export"),
    ("POST", f"/persons/{NOBODY}/export"),
]
"""Whatever carries people out of the house as a file."""
READS = [
    ("GET", path)
    for path in ("/health", "/session", "/persons", "/unknowns", "/audit", f"/persons/{NOBODY}/photos/x")
]


def code_of(reply: httpx.Response) -> tuple[int, str | None]:
    """Status and error code."""
    return reply.status_code, (reply.json()["error"] or {}).get("code")


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"])
@pytest.mark.parametrize("port", ["", ":8000"])
def test_it_answers_to_the_names_of_this_computer(server: Server, name: str, port: str) -> None:
    assert httpx.get(f"{server.api}/health", headers={"Host": name + port}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example@localhost",
        "localhost/evil",
        "localhost#",
        "192.168.1.7",
        "0.0.0.0",
        "2130706433",
        "[::ffff:10.0.0.1]",
        "[fe80::1]",
        "localhost:port",
        "[",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/health", "/api/v1/persons", "/docs", "/openapi.json", "/", "/nothing"])
def test_a_foreign_name_is_refused_everywhere(server: Server, host: str, path: str) -> None:
    assert code_of(httpx.get(server.url + path, headers={"Host": host})) == (400, "HOST_NOT_ALLOWED")


def test_a_foreign_name_is_refused_at_the_websocket(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused, socket.create_connection(server_address(server)) as raw:
        connect("ws://evil.example/ws/identify", sock=raw)
    assert refused.value.response.status_code == 400


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://localhost.evil.example",
        "http://localhost",  # the same computer, another server
        "http://localhost:1",
        "null",
        "",
        "file://",
        "chrome-extension://abc",
        "http://evil.example@localhost",
    ],
)
@pytest.mark.parametrize("method,path", [("POST", "/register"), ("DELETE", "/persons/x"), ("PATCH", "/persons/x")])
def test_a_foreign_page_changes_nothing(server: Server, origin: str, method: str, path: str) -> None:
    reply = httpx.request(method, server.api + path, headers={"Origin": origin})
    assert code_of(reply) == (403, "FORBIDDEN")
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_a_request_that_the_browser_calls_foreign_changes_nothing(server: Server, site: str) -> None:
    for headers in ({"Sec-Fetch-Site": site}, {"Sec-Fetch-Site": site, "Origin": server.url}):
        assert code_of(httpx.delete(f"{server.api}/persons/x", headers=headers)) == (403, "FORBIDDEN")


@pytest.mark.parametrize(
    "site,mode", [("cross-site", "navigate"), ("same-site", "no-cors"), ("nonsense", "cors"), ("", "navigate")]
)
def test_what_the_browser_calls_foreign_gets_nothing_of_the_api(server: Server, site: str, mode: str) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
    for method, path in [*DOWNLOADS, *READS, ("HEAD", "/persons"), ("OPTIONS", "/persons"), ("GET", "/nothing")]:
        reply = httpx.request(method, server.api + path, headers=headers)
        assert (method, path, reply.status_code) == (method, path, 403)
    for path in ("/", "/people", "/docs"):  # the same for everyone, and a link to them is welcome
        assert httpx.get(server.url + path, headers=headers).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
def test_a_foreign_page_reads_nothing_where_the_browser_tells_its_origin_alone(server: Server, origin: str) -> None:
    for method, path in READS:
        assert code_of(httpx.request(method, server.api + path, headers={"Origin": origin})) == (403, "FORBIDDEN")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},  # a link in a mail
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},  # a browser from before 2020
        {"Accept": "application/xml,application/xhtml+xml,text/html;q=0.9,*/*;q=0.5"},  # Safari 4
        {"Accept": "Text/HTML", "Authorization": "Basic YTpi"},  # http://a:b@localhost
        {"Accept": "Text/HTML", "Origin": "null"},
    ],
)
def test_no_link_carries_people_out(server: Server, headers: dict[str, str]) -> None:
    for method, path in DOWNLOADS:
        reply = httpx.request(method, server.api + path, headers=headers)
        assert (method, path, *code_of(reply)) == (method, path, 403, "FORBIDDEN")
        assert "content-disposition" not in reply.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "*/*"},  # curl, wget, requests, httpx
        {"Accept": ""},  # urllib
        {"Accept": "application/json, */*;q=0.5"},
        {"Accept": "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"},  # Java
        {"Accept": "text/html, image/gif, image/jpeg, */*; q=0.2"},  # a later one
        {"Accept": "text/html,*/*;q=0.8", "X-API-Key": "any"},
        {"Accept": "text/html,*/*;q=0.8", "Authorization": "Bearer any"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
    ],
)
def test_programs_and_the_server_s_own_page_save_copies(server: Server, headers: dict[str, str]) -> None:
    for method, path in DOWNLOADS:
        reply = httpx.request(method, server.api + path, headers=headers)
        if NOBODY in path:
            assert code_of(reply) == (404, "PERSON_NOT_FOUND")
        else:
            assert (reply.status_code, reply.headers["content-disposition"][:11]) == (200, "attachment;")


def test_an_address_that_is_typed_shows_what_it_says(server: Server) -> None:
    typed = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Accept": "text/html,*/*;q=0.8"}
    for method, path in READS:
        if NOBODY not in path:
            assert httpx.request(method, server.api + path, headers=typed).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_websocket_that_the_browser_calls_foreign_is_not_opened(server: Server, site: str) -> None:
    for more in ({}, {"Origin": server.url}):
        with pytest.raises(InvalidStatus) as refused:
            connect(server.live, additional_headers={"Sec-Fetch-Site": site, **more})
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
def test_a_foreign_page_opens_no_websocket(server: Server, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(server.live, additional_headers={"Origin": origin})
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body or b"")["error"]["code"] == "FORBIDDEN"


def test_the_server_s_own_page_and_programs_pass(server: Server) -> None:
    port = server_address(server)[1]
    own: list[dict[str, str]] = [
        {},
        {"Origin": server.url, "Sec-Fetch-Site": "same-origin"},
        {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"},
        {"Host": "localhost", "Origin": "http://localhost"},
        {"Host": "localhost", "Origin": "https://localhost"},  # behind something that ends HTTPS
        {"Sec-Fetch-Site": "none"},
    ]
    for headers in own:
        assert code_of(httpx.delete(f"{server.api}/persons/x", headers=headers)) == (404, "PERSON_NOT_FOUND")
    with connect(server.live, additional_headers={"Origin": server.url}):
        pass


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-IP", "Via", "CF-Connecting-IP"],
)
def test_a_server_that_asks_for_no_key_answers_nobody_through_a_proxy(server: Server, header: str) -> None:
    """It passes the name that it calls, and all that it brings would be taken for this computer."""
    for method, path in [("GET", "/persons"), ("POST", "/register"), ("POST", "/export"), ("GET", "/health")]:
        reply = httpx.request(method, server.api + path, headers={header: "192.0.2.1"})
        assert code_of(reply) == (403, "FORBIDDEN")
        assert "VISAGE_ALLOWED_HOSTS" in reply.json()["error"]["message"]
    with pytest.raises(InvalidStatus) as refused:
        connect(server.live, additional_headers={header: "192.0.2.1"})
    assert refused.value.response.status_code == 403


def test_pages_of_other_servers_can_be_allowed(start_server: Callable[..., Server]) -> None:
    origin = "https://panel.home:8123"
    server = start_server(allowed_origins=f"{origin}, http://other.home")
    reply = httpx.delete(f"{server.api}/persons/x", headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"})
    assert reply.status_code == 404
    assert reply.headers["Access-Control-Allow-Origin"] == origin
    assert httpx.delete(f"{server.api}/persons/x", headers={"Origin": f"{origin}4"}).status_code == 403
    asked = {"Origin": origin, "Access-Control-Request-Method": "DELETE"}
    assert httpx.options(f"{server.api}/persons/x", headers=asked).status_code == 200
    page = {"Origin": origin, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    assert httpx.get(f"{server.api}/persons", headers=page).status_code == 200
    assert httpx.get(f"{server.api}/persons", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_on_all_addresses_it_answers_to_addresses_and_its_own_names_only() -> None:
    hosts, any_address = own_hosts(Settings(host="0.0.0.0", allowed_hosts="Visage.home, cam"))
    assert any_address
    assert {"localhost", "visage.home", "cam", socket.gethostname().lower()} <= hosts
    assert "evil.example" not in hosts
    assert own_hosts(Settings(host="127.0.0.1")) == (frozenset({"localhost", "127.0.0.1"}), False)


def test_every_reply_tells_browsers_what_not_to_do(server: Server) -> None:
    for path in ("/api/v1/health", "/api/v1/nothing", "/docs", "/openapi.json", "/"):
        for headers in ({}, {"Host": "evil.example"}):
            reply = httpx.get(server.url + path, headers=headers)
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
            assert reply.headers["Referrer-Policy"] == "no-referrer"
            assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert reply.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert "frame-ancestors 'none'" in reply.headers["Content-Security-Policy"]
            assert reply.headers["X-Request-ID"]
    assert httpx.get(f"{server.api}/persons").headers["Cache-Control"] == "no-store"


def test_the_page_of_the_api_needs_nothing_from_elsewhere(server: Server) -> None:
    page = httpx.get(f"{server.url}/docs")
    assert "https://" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-inline'" in policy
    assert "http" not in policy


def server_address(server: Server) -> tuple[str, int]:
    """Host and port."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    return host, int(port)


def dial(server: Server, beginning: bytes) -> socket.socket:
    """A connection on which something was sent."""
    raw = socket.create_connection(server_address(server))
    raw.sendall(beginning)
    return raw


def read_all(raw: socket.socket, timeout_s: float) -> bytes:
    """What comes until the other side closes."""
    raw.settimeout(timeout_s)
    parts = []
    try:
        while part := raw.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def upload_slowly(server: Server) -> bytes:
    """Send 32 KiB in eight seconds; returns the reply."""
    content = b"--x\r\nContent-Disposition: form-data; name=image; filename=a\r\n\r\n"
    content += b"z" * 32_768 + b"\r\n--x--\r\n"
    head = b"POST /api/v1/identify HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    with dial(server, head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(content)) as raw:
        for index in range(0, len(content), 4096):
            raw.sendall(content[index : index + 4096])
            time.sleep(0.9)
        return read_all(raw, 10)


def test_two_hundred_slow_senders_are_reaped_and_others_served(server: Server) -> None:
    body = b"POST /api/v1/identify HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    slow = [dial(server, b"GET /api/v1/health HTTP/1.1\r\nHo") for _ in range(80)]
    slow += [dial(server, body + b"Content-Length: 100000\r\n\r\n--x\r\n") for _ in range(80)]
    slow += [dial(server, body + b"Transfer-Encoding: chunked\r\n\r\n") for _ in range(20)]
    slow += [dial(server, b"") for _ in range(20)]
    steady = ThreadPoolExecutor(1).submit(upload_slowly, server)
    start_s = time.monotonic()
    waits_s: list[float] = []
    replies: dict[socket.socket, bytes] = dict.fromkeys(slow, b"")
    still = set(slow)
    while still and time.monotonic() - start_s < BODY_GRACE_S + 5:
        for raw in list(still):
            try:
                raw.sendall(b"a")
            except OSError:
                still.discard(raw)
        asked_s = time.monotonic()
        assert httpx.get(f"{server.api}/persons").status_code == 200
        waits_s.append(time.monotonic() - asked_s)
        end_s = time.monotonic() + 1
        while still and (left_s := end_s - time.monotonic()) > 0:
            for raw in select.select(list(still), [], [], left_s)[0]:
                try:
                    part = raw.recv(65536)
                except ConnectionResetError:
                    part = b""
                replies[raw] += part
                if not part:
                    still.discard(raw)
    for raw in slow:
        raw.close()
    assert not still
    assert len(waits_s) >= HEADERS_TIMEOUT_S - 1
    assert max(waits_s) < 3
    told = [replies[raw] for raw in slow[80:160]]
    assert b"INVALID_IMAGE" in steady.result()
    assert sum(b"408" in reply and b"REQUEST_TIMEOUT" in reply for reply in told) == len(told)


def test_a_body_that_nobody_wants_is_not_read_to_its_end(server: Server) -> None:
    with dial(server, b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\nabc") as raw:
        start_s = time.monotonic()
        assert b"404" in read_all(raw, 6)
        assert time.monotonic() - start_s < 5


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"a%d: b\r\n" % i for i in range(10_000)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"x" * (MAX_HEADER_BYTES + 1) + b"\r\n\r\n",
        b"GET /" + b"x" * (MAX_HEADER_BYTES + 1) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
    ],
    ids=lambda request_bytes: request_bytes[:24].decode("latin-1"),
)
def test_what_is_not_sound_http_is_refused_in_the_envelope(server: Server, request_bytes: bytes) -> None:
    with dial(server, b"") as raw:
        with suppress(ConnectionError):  # it has heard enough
            raw.sendall(request_bytes)
        head, _, body = read_all(raw, 10).partition(b"\r\n\r\n")
    if not head:
        assert len(request_bytes) > MAX_HEADER_BYTES  # closed while we were still sending
        return
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["code"] == "INVALID_REQUEST"


@pytest.mark.parametrize("parts", ["fields", "files"])
def test_ten_thousand_parts_are_refused(server: Server, parts: str) -> None:
    name = b"; filename=a" if parts == "files" else b""
    part = b'--x\r\nContent-Disposition: form-data; name="n%d"%b\r\n\r\n\r\n'
    content = b"".join(part % (number, name) for number in range(10_000))
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    for path in ("/register", "/identify", "/persons/x/not-me"):
        assert httpx.post(server.api + path, content=content, headers=kind).status_code == 422
