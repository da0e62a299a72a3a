"""`visage serve --https`: the certificate, and a server that uses it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import stat
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from websockets.asyncio.client import connect

from tests.api.conftest import VISAGE, free_port
from visage.api.wire.https import CERTIFICATE_FILE, ensure_certificate, hosts_of, lan_addresses, reachable_at
from visage.api.wire.security import own_hosts
from visage.cli.client import trusting
from visage.settings import Settings

HOSTS = ["localhost", "127.0.0.1", "::1"]


def test_a_certificate_is_made_once_and_kept_to_its_owner(tmp_path: Path) -> None:
    first = ensure_certificate(tmp_path / "data", HOSTS)
    content = first.certificate_path.read_bytes()
    assert ensure_certificate(tmp_path / "data", HOSTS[:1]) == first
    assert first.certificate_path.read_bytes() == content
    for path in (first.certificate_path, first.key_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"PRIVATE" not in content


@pytest.mark.parametrize("why", ["expires", "clock", "address", "damaged", "key", "other key"])
def test_it_is_renewed_when_it_is_no_good_any_more(tmp_path: Path, why: str) -> None:
    made = ensure_certificate(tmp_path, HOSTS)
    content = made.certificate_path.read_bytes()
    now, hosts = datetime.now(UTC), HOSTS
    if why == "expires":
        now += timedelta(days=370)
    elif why == "clock":
        now -= timedelta(days=1)
    elif why == "address":
        hosts = [*HOSTS, "192.168.1.7"]
    elif why == "damaged":
        made.certificate_path.write_text("nonsense")
    elif why == "key":
        made.key_path.unlink()
    else:
        other = ensure_certificate(tmp_path / "other", HOSTS)
        made.key_path.write_bytes(other.key_path.read_bytes())
    ensure_certificate(tmp_path, hosts, now)
    assert made.certificate_path.read_bytes() not in {content, b"nonsense"}
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made.certificate_path, made.key_path)


def test_a_computer_whose_name_is_not_ascii_gets_a_certificate_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Büro")
    hosts = hosts_of("0.0.0.0")
    assert {"xn--bro-hoa", "xn--bro-hoa.local"} <= set(hosts)
    made = x509.load_pem_x509_certificate(ensure_certificate(tmp_path, hosts).certificate_path.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "xn--bro-hoa.local" in names.get_values_for_type(x509.DNSName)
    allowed, _ = own_hosts(Settings(host="0.0.0.0"))
    assert "xn--bro-hoa.local" in allowed


def test_it_names_every_address_that_a_phone_may_use() -> None:
    names = hosts_of("0.0.0.0")
    assert {"localhost", "127.0.0.1", *lan_addresses()} <= set(names)
    assert any(name.endswith(".local") for name in names)
    assert hosts_of("192.168.1.7") == [*HOSTS, "192.168.1.7"]
    addresses = reachable_at([("0.0.0.0", 8000), ("::1", 8000)], "https")
    assert addresses[-2:] == ["https://127.0.0.1:8000", "https://[::1]:8000"]
    assert [f"https://{address}:8000" for address in lan_addresses()] == addresses[:-2]


async def answer_to_nonsense(url: str, context: ssl.SSLContext) -> Any:
    """What a WebSocket replies. Not by the client that reads in a thread of its own: up to Python 3.12, a read and a
    write at the same time damage a TLS connection, one in a thousand."""
    async with connect(url, ssl=context) as live:
        await live.send("nonsense")
        return json.loads(await asyncio.wait_for(live.recv(), 10))


def test_a_server_with_https_is_reached_by_those_who_trust_it(tmp_path: Path) -> None:
    data_dir, port = tmp_path / "data", free_port()
    url = f"https://127.0.0.1:{port}"
    at = ["--data-dir", str(data_dir)]
    command = [str(VISAGE), "serve", "--https", "--host", "127.0.0.1", "--port", str(port), *at]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        context = trusting(data_dir)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                context = trusting(data_dir)
                if httpx.get(f"{url}/api/v1/health", verify=context).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        with httpx.Client(base_url=f"{url}/api/v1", verify=context) as browser:
            key = browser.post("/keys", json={"role": "viewer"}).json()["data"]["key"]
            cookie = browser.post("/session", json={"key": key}).headers["Set-Cookie"]
            assert {"Secure", "HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
        reply = asyncio.run(answer_to_nonsense(f"wss://127.0.0.1:{port}/ws/identify", context))
        assert reply["error"]["code"] == "VALIDATION_ERROR"
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/api/v1/health")  # as a browser warns
        curl = ["curl", "--silent", "--fail", "--cacert", str(data_dir / CERTIFICATE_FILE), f"{url}/api/v1/health"]
        assert subprocess.run(curl, check=False, timeout=20).returncode == 0
        keys = [str(VISAGE), "keys", "list", "--url", url, *at]
        listed = subprocess.run(keys, capture_output=True, text=True, check=True)
        assert "viewer" in listed.stdout
    finally:
        process.terminate()
        printed, logged = process.communicate(timeout=40)
    assert process.returncode == 0
    assert f"Visage answers on {url}" in logged
    assert "Traceback" not in logged
    assert "Its browser will warn once" in printed
