"""Commands on people: register, identify, list, show, forget."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer
from rich.table import Column, Table

from visage.cli.client import ApiKey, AsJson, DataDir, Url, call, request, say_who_waits, with_client
from visage.cli.console import cell, out, plain, say
from visage.errors import BankError, VisageError

BOX = "X,Y,WIDTH,HEIGHT"

persons_app = typer.Typer(help="The people who are remembered.", no_args_is_help=True)


def register(
    name: Annotated[str, typer.Argument(help="The person's name.")],
    photos: Annotated[list[Path], typer.Argument(help="Photos of that person.", exists=True, dir_okay=False)],
    relationship: Annotated[str | None, typer.Option(help="What the person is to you.")] = None,
    metadata: Annotated[str | None, typer.Option(help="A JSON object to keep with the person.")] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(
            metavar=BOX,
            help="The face that is meant, where a photo shows several, in pixels; for several photos one each, in "
            'order, "-" where nothing is to be said.',
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Remember a person. To do it again with the same photos changes nothing."""
    fields = {"name": name, "relationship": relationship, "metadata": metadata}
    values: dict[str, str | list[str]] = {key: value for key, value in fields.items() if value is not None}
    if box:
        values["box"] = [json.dumps(box_of(text)) for text in box]
    with choosing():
        reply = call(
            url,
            data_dir,
            "POST",
            "/register",
            api_key=api_key,
            compares=True,
            data=values,
            files=[("image", (path.name, path.read_bytes())) for path in photos],
        )
    if as_json:
        out.print_json(data=reply)
        return
    copies = {warning["details"]["photo"] for warning in reply["warnings"] if warning["code"] == "SAME_PHOTO"}
    for number, (path, photo) in enumerate(zip(photos, reply["photos"], strict=True), start=1):
        if number in copies:
            say(f"{path.name}: is here already, and is kept once.")
        elif photo["status"] == "accepted":
            advice = " ".join(item["message"] for item in photo["quality"]["advice"])
            say(f"{path.name}: remembered, quality {photo['quality']['score']} of 100. {advice}".strip())
        else:
            say(f"{path.name}: not used. {photo['message']}")
    say_warnings(reply["warnings"])
    if reply.get("advice"):  # a server of before gives none
        say(reply["advice"]["message"])
    say(f"{reply['name']} is remembered by {reply['embedding_count']} photo(s). Id {reply['person_id']}")


@contextmanager
def choosing() -> Iterator[None]:
    """Where a refusal is that several faces are there, it says how to choose one."""
    try:
        yield
    except VisageError as error:
        faces = (error.details or {}).get("faces", [])
        if not faces:
            raise
        choices = " or ".join(_option(face) for face in faces)
        raise VisageError(f"{error.message}. Or say which one is meant: {choices}") from error


def say_warnings(warnings: list[dict[str, Any]]) -> None:
    """Print what a carer should look at, and which faces could be chosen."""
    for warning in warnings:
        if warning["code"] != "SAME_PHOTO":
            say(f"Please look: {warning['message']}.")
        if warning["code"] == "OTHER_FACES":
            for face in warning["details"]["faces"]:
                taken = face == warning["details"]["taken"]
                say(f"  {_option(face)}: {'this one was taken' if taken else 'another one'}")


def box_of(text: str) -> dict[str, float] | None:
    """The box of an option; None where nothing is said."""
    if text == "-":
        return None
    try:
        return dict(zip(("x", "y", "width", "height"), map(float, text.split(",")), strict=True))
    except ValueError as exc:
        raise typer.BadParameter(f"{text} is not {BOX}", param_hint="--box") from exc


def _option(box: dict[str, int]) -> str:
    return f"--box {box['x']},{box['y']},{box['width']},{box['height']}"


def identify(
    photo: Annotated[Path, typer.Argument(help="A photo.", exists=True, dir_okay=False)],
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Say who is in a photo."""
    files = [("image", (photo.name, photo.read_bytes()))]
    reply = call(url, data_dir, "POST", "/identify", api_key=api_key, compares=True, files=files)
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
            f"{int(100 * match['confidence'])} %" if match else "",  # never rounded up to certainty
            cell(f"{nearest['name']} ({nearest['similarity']:.2f})") if nearest else "",
            str(face["quality"]["score"]),
        )
    out.print(table)
    if reply.get("faces_passed_over"):  # a server of before does not count them
        say(f"{reply['faces_passed_over']} smaller faces were not looked at.")


@persons_app.command("list")
def list_persons(
    query: Annotated[str | None, typer.Option(help="Part of a name or relationship.")] = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
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
                await say_who_waits(client)
                return found
            parameters["cursor"] = page["next_cursor"]

    people = with_client(url, data_dir, collect, api_key)
    if as_json:
        out.print_json(data=people)
        return
    table = Table(
        "Name", "Relationship", "Photos", Column("Since", no_wrap=True), Column("Id", no_wrap=True, min_width=36)
    )
    for person in people:
        since = person["created_at"][:10]
        count = str(person["embedding_count"])
        table.add_row(cell(person["name"]), cell(person["relationship"] or ""), count, since, person["person_id"])
    out.print(table)


@persons_app.command()
def show(
    person_id: str, as_json: AsJson = False, url: Url = None, api_key: ApiKey = None, data_dir: DataDir = None
) -> None:
    """Show one person."""
    person = call(url, data_dir, "GET", f"/persons/{quote(person_id, safe='')}", api_key=api_key)
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
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Forget a person and every photo of theirs. This cannot be undone."""

    async def forget(client: httpx.AsyncClient) -> str | None:
        try:
            person = await request(client, "GET", f"/persons/{quote(person_id, safe='')}")
            name, question = str(person["name"]), f"{plain(person['name'])} and {person['embedding_count']} photo(s)"
        except VisageError as error:
            if (error.details or {}).get("code") != BankError.code:
                raise
            name, question = person_id, "this person, of whom something cannot be read any more,"
        question = f"Forget {question} for good?"
        if not yes and not await asyncio.to_thread(typer.confirm, question):
            return None
        reply = await request(client, "DELETE", f"/persons/{quote(person_id, safe='')}")
        rest = "" if reply["complete"] else " Something may be left on the disk; the next start removes it."
        return f"{name} is forgotten.{rest}"

    told = with_client(url, data_dir, forget, api_key)
    if told is None:
        raise typer.Exit(1)
    say(told)
