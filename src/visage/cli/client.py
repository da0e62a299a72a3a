"""How commands on people reach the API: a server with --url, else the same application inside this process, on the
bank itself. There is one way to register a person, not two."""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

import httpx
import typer
from pydantic import SecretStr, ValidationError
from rich.text import Text

from visage.api import PREFIX
from visage.cli.console import err
from visage.errors import InstallationError, VisageError
from visage.settings import Settings

T = TypeVar("T")

Url = Annotated[
    str | None, typer.Option(help="Talk to this server, e.g. http://127.0.0.1:8000; else open the bank itself.")
]
ApiKey = Annotated[
    str | None,
    typer.Option(help="API key, where the server at --url asks for one.", envvar="VISAGE_API_KEY", show_envvar=True),
]
DataDir = Annotated[Path | None, typer.Option(help="Folder of the bank; VISAGE_DATA_DIR otherwise.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's reply as JSON.")]

_PATIENCE_S = 600  # ten photos of fifty megapixels, on a slow machine


def read_settings(**overrides: Any) -> Settings:
    """The settings, with the options of the command over them.

    Raises:
        InstallationError: one of them has a value that is not allowed.
    """
    try:
        return Settings(**{key: value for key, value in overrides.items() if value is not None})
    except ValidationError as exc:
        text = "; ".join(f"VISAGE_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in exc.errors())
        raise InstallationError(text) from exc


def ask_passphrase(current: Settings) -> Settings:
    """The settings, with the passphrase asked for where the bank needs one and there is someone to ask."""
    if current.passphrase or current.master_key or not sys.stdin.isatty():
        return current

    from visage.storage.sqlite import read_key_record  # noqa: PLC0415 - who talks to a server needs no database

    try:
        record = read_key_record(current.data_dir)
    except VisageError:  # whoever opens the bank will say the same
        return current
    if record is None or record.slot("passphrase") is None:
        return current
    passphrase = typer.prompt("Passphrase of the bank", hide_input=True, err=True)
    return current.model_copy(update={"passphrase": SecretStr(passphrase)})


def call(
    url: str | None,
    data_dir: Path | None,
    method: str,
    path: str,
    *,
    api_key: str | None = None,
    compares: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """One request; returns the reply's data. Where the answer `compares` faces, it is said who is left out."""

    async def send(client: httpx.AsyncClient) -> dict[str, Any]:
        data = await request(client, method, path, **options)
        if compares:
            await say_who_waits(client)
        return data

    return with_client(url, data_dir, send, api_key)


async def say_who_waits(client: httpx.AsyncClient) -> None:
    """Say on the standard error what no answer shows: photos of another model are not recognised."""
    count = 0
    with suppress(VisageError):  # what was asked for has its answer
        count = (await request(client, "GET", "/health")).get("photos_to_reembed", 0)  # a server of before tells none
    if count:
        said = f"{count} photo(s) are of another model and are not recognised until `visage reembed` is run."
        err.print(Text(said), soft_wrap=True)


async def request(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> dict[str, Any]:
    """Send, unwrap the envelope.

    Raises:
        VisageError: the server refused, or cannot be reached.
    """
    try:
        return parse_reply(client, await client.request(method, PREFIX + path, **options))
    except httpx.HTTPError as exc:
        raise VisageError(f"No server answers at {client.base_url}: {exc or type(exc).__name__}") from exc


def parse_reply(client: httpx.AsyncClient, response: httpx.Response) -> dict[str, Any]:
    """Unwrap the envelope.

    Raises:
        VisageError: the server refused, or is no Visage.
    """
    try:
        reply = response.json()
        if reply["success"]:
            data: dict[str, Any] = reply["data"]
            return data
        error = reply["error"]
        fields = (error.get("details") or {}).get("fields") or []
        reasons = "; ".join(f"{field['field']} {field['message']}" for field in fields)
        message, code = reasons or error["message"], error["code"]
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise VisageError(f"What answers at {client.base_url} is not Visage") from exc
    raise VisageError(message, {**(error.get("details") or {}), "code": code})


def server_at(url: str, api_key: str | None = None, data_dir: Path | None = None) -> httpx.AsyncClient:
    """A client of a server; it trusts a certificate that `visage serve --https` made in the data directory.

    Raises:
        InstallationError: that is no address, or no key.
    """
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as exc:
        raise InstallationError(f"{url} is no address: {exc}") from exc
    if address.scheme not in {"http", "https"} or not 0 < (address.port or 80) < 65536:
        raise InstallationError(f"{url} is no address of a server, such as http://127.0.0.1:8000")
    if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
        raise InstallationError("VISAGE_API_KEY is no API key")
    headers = {"X-API-Key": api_key} if api_key else {}
    verify = trusting(read_settings(data_dir=data_dir).data_dir) if address.scheme == "https" else True
    return httpx.AsyncClient(base_url=address, timeout=_PATIENCE_S, headers=headers, verify=verify)


def trusting(data_dir: Path) -> ssl.SSLContext:
    """Trust what the system trusts, and the certificate that the server made in a data directory."""
    from visage.api.wire.https import CERTIFICATE_FILE  # noqa: PLC0415 - who does not use HTTPS needs none of it

    context = ssl.create_default_context()
    certificate = data_dir / CERTIFICATE_FILE
    if certificate.exists():
        context.load_verify_locations(certificate)
    return context


def with_client(
    url: str | None,
    data_dir: Path | None,
    use: Callable[[httpx.AsyncClient], Awaitable[T]],
    api_key: str | None = None,
) -> T:
    """Run something with a client of the server, or of the application in this process."""

    async def run() -> T:
        if url is not None:
            async with server_at(url, api_key, data_dir) as client:
                return await use(client)
        settings = await asyncio.to_thread(ask_passphrase, read_settings(data_dir=data_dir))
        async with own_client(settings) as client:
            return await use(client)

    return asyncio.run(run())


@asynccontextmanager
async def own_client(current: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, started for the while."""
    from visage.api.app import create_app  # noqa: PLC0415 - who talks to a server needs none of it

    logging.getLogger("visage").addHandler(logging.NullHandler())  # what goes wrong is said once, by `fail`
    application = create_app(current, served=False)
    async with application.router.lifespan_context(application):
        with err.status("Loading …"):
            await application.state.service.wait_ready()
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=_PATIENCE_S) as client:
            yield client
