"""Commands that take people out and in: export and import."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer
from rich.progress import Progress

from visage.api import PREFIX
from visage.cli.client import ApiKey, DataDir, Url, parse_reply, request, with_client
from visage.cli.console import err, say
from visage.errors import InstallationError, InvalidArchive, VisageError
from visage.service.archive import ArchivedPerson, open_archive, read_folders

_AT_ONCE = 10  # photos in a request
_Image = tuple[str, tuple[str, bytes]]


def export_people(
    arguments: Annotated[
        list[str], typer.Argument(metavar="[PERSON_ID]... FILE.zip", help="Whom, by id; all, where none is named.")
    ],
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Write people into a ZIP that anyone can read: each person's record as JSON, every photo as JPEG.

    The ZIP is NOT encrypted: give it to the person it is about, or keep it where you keep photos. For your own safety
    copy, use `visage backup`.
    """
    *person_ids, name = arguments
    path = Path(name)
    if path.suffix.lower() != ".zip":
        raise InstallationError(f"The last argument is the file to write, and must end in .zip; {name} does not")
    if path.exists():
        raise InstallationError(f"{path} is there already; choose another name")
    draft = path.with_name(f"{path.name}.part")

    async def fetch(client: httpx.AsyncClient) -> None:
        parameters = {"person_id": person_ids} if person_ids else {}
        try:
            async with client.stream("GET", f"{PREFIX}/export", params=parameters) as response:
                if response.headers.get("content-type") != "application/zip":
                    await response.aread()
                    parse_reply(client, response)
                with draft.open("xb") as file, err.status("Exporting …"):
                    draft.chmod(0o600)
                    async for chunk in response.aiter_bytes():
                        file.write(chunk)
        except httpx.HTTPError as exc:
            raise VisageError(f"The export from {client.base_url} broke off: {exc or type(exc).__name__}") from exc

    draft.unlink(missing_ok=True)
    try:
        with_client(url, data_dir, fetch, api_key)
        with open_archive(draft) as persons:
            photos = sum(len(person.photos) for person in persons)
        draft.rename(path)
    except OSError as exc:
        raise InstallationError(f"{path} cannot be written: {exc.strerror}") from exc
    finally:
        draft.unlink(missing_ok=True)
    say(f"{path}: {len(persons)} person(s), {photos} photo(s). It is not encrypted.")


def import_people(
    source: Annotated[
        Path,
        typer.Argument(help="An export (ZIP), or a folder with a folder of photos for each person.", exists=True),
    ],
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Register people from an export of Visage, or from a folder that has a folder of photos for each person.

    Photos are looked at as when you register by hand: a person of the same name whom the face matches gets the
    photos, poor photos are refused and listed. Nothing is changed if the ZIP is damaged.
    """
    counts: Counter[str] = Counter()
    with nullcontext(read_folders(source)) if source.is_dir() else open_archive(source) as persons:

        async def send(client: httpx.AsyncClient) -> None:
            with Progress(console=err) as progress:
                task = progress.add_task("Importing", total=sum(len(person.photos) for person in persons))
                for person in persons:
                    await _register(client, person, counts, lambda done: progress.advance(task, done))

        with_client(url, data_dir, send, api_key)
    say(
        f"{counts['persons']} person(s) imported, {counts['photos']} photo(s) remembered, "
        f"{counts['refused']} photo(s) not used."
        + (f" {counts['copies']} photo(s) were here already." if counts["copies"] else "")
    )
    if counts["failed"]:
        raise typer.Exit(1)


async def _register(
    client: httpx.AsyncClient, person: ArchivedPerson, counts: Counter[str], advance: Callable[[int], None]
) -> None:
    """Register one person, ten photos at a time; what is refused is said, and the others go on."""
    person_id: str | None = None
    for start in range(0, len(person.photos), _AT_ONCE):
        batch = person.photos[start : start + _AT_ONCE]
        images = await asyncio.to_thread(_read, batch, counts)
        if images:
            try:
                if person_id is None:
                    reply = await request(client, "POST", "/register", data=_fields(person), files=images)
                else:
                    path = f"/persons/{quote(person_id, safe='')}/photos"
                    reply = await request(client, "POST", path, files=images)
            except VisageError as error:
                if "code" not in (error.details or {}):
                    raise  # no server
                say(f"{person.name}: {error.message}")
                counts["refused"] += len(images)
            else:
                counts["persons"] += person_id is None
                person_id = reply["person_id"] if person_id is None else person_id
                _tell(person.name, images, reply, counts)
        advance(len(batch))
    counts["failed"] += person_id is None


def _read(photos: Sequence[tuple[str, Callable[[], bytes]]], counts: Counter[str]) -> list[_Image]:
    """The photos that can be read."""
    images: list[_Image] = []
    for name, read in photos:
        try:
            images.append(("image", (name, read())))
        except InvalidArchive as error:
            say(f"{name}: not used. {error.message}")
            counts["refused"] += 1
    return images


def _tell(who: str, images: Sequence[_Image], reply: dict[str, Any], counts: Counter[str]) -> None:
    """Say what became of each photo."""
    copies = {warning["details"]["photo"] for warning in reply["warnings"] if warning["code"] == "SAME_PHOTO"}
    for number, ((_, (name, _)), photo) in enumerate(zip(images, reply["photos"], strict=True), start=1):
        if number in copies:
            counts["copies"] += 1
        elif photo["status"] == "accepted":
            counts["photos"] += 1
        else:
            say(f"{name}: not used. {photo['message']}")
            counts["refused"] += 1
    for warning in reply["warnings"]:
        photo = warning["details"].get("photo")
        where = "" if photo is None else f" ({images[photo - 1][1][0]})"
        if warning["code"] != "SAME_PHOTO":
            say(f"{who}: please look: {warning['message']}{where}.")


def _fields(person: ArchivedPerson) -> dict[str, str]:
    fields = {"name": person.name, "metadata": json.dumps(person.metadata)}
    if person.relationship is not None:
        fields["relationship"] = person.relationship
    if person.consent is not None:
        fields["consent"] = json.dumps(person.consent)
    return fields
