"""Commands that correct: not-me, is-me, confirm, undo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from visage.cli.client import ApiKey, AsJson, DataDir, Url, call
from visage.cli.console import out, say
from visage.cli.people import BOX, box_of, choosing, say_warnings

PersonId = Annotated[str, typer.Argument(help="Id of the person.")]
OnePhoto = Annotated[Path | None, typer.Argument(help="A photo with that face.", exists=True, dir_okay=False)]
Which = Annotated[
    str | None,
    typer.Option("--identification", help="Instead of a photo: the id of an answer of the server, for ten minutes."),
]
OneBox = Annotated[
    str | None, typer.Option(metavar=BOX, help="The face that is meant, where there are several, in pixels.")
]


def not_me(
    person_id: PersonId,
    photo: OnePhoto = None,
    identification: Which = None,
    box: OneBox = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """ "That's wrong": the face in a photo is not this person, and is not called so again."""
    sent = _face(photo, identification, box)
    reply = call(url, data_dir, "POST", f"/persons/{_quoted(person_id)}/not-me", api_key=api_key, **sent)
    if as_json:
        out.print_json(data=reply)
        return
    say(f"That face is not called by this name again. {_way_back(reply)}")


def is_me(
    person_id: PersonId,
    photo: OnePhoto = None,
    identification: Which = None,
    box: OneBox = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """ "Yes, that is Anna": the face in a photo is this person. To say it again changes nothing."""
    sent = _face(photo, identification, box)
    with choosing():
        reply = call(url, data_dir, "POST", f"/persons/{_quoted(person_id)}/is-me", api_key=api_key, **sent)
    _say_confirmed(reply, as_json)


def confirm(
    unknown_id: Annotated[str, typer.Argument(help="Id of a face that nobody knows.")],
    person_id: PersonId,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """A face before the camera of a server (--url), which nobody knows, is this person."""
    path = f"/unknowns/{_quoted(unknown_id)}/confirm"
    _say_confirmed(call(url, data_dir, "POST", path, api_key=api_key, json={"person_id": person_id}), as_json)


def undo(
    undo_id: Annotated[str, typer.Argument(help="Id that the correction gave.")],
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Take back a not-me, an is-me, a confirm or a merge, for 30 days."""
    reply = call(url, data_dir, "POST", f"/undo/{_quoted(undo_id)}", api_key=api_key)
    if as_json:
        out.print_json(data=reply)
        return
    say(f"The {reply['what']} is taken back.")


def _face(photo: Path | None, identification: str | None, box: str | None) -> dict[str, Any]:
    """What a request says of the face that is meant."""
    if (photo is None) == (identification is None):
        raise typer.BadParameter("give a photo, or --identification", param_hint="PHOTO")
    chosen = None if box is None else box_of(box)
    if photo is None:
        return {"json": {"identification_id": identification, "box": chosen}}
    fields = {} if box is None else {"data": {"box": json.dumps(chosen)}}
    return {"files": {"image": (photo.name, photo.read_bytes())}, **fields}


def _say_confirmed(reply: dict[str, Any], as_json: bool) -> None:
    if as_json:
        out.print_json(data=reply)
        return
    say_warnings(reply["warnings"])
    if reply["advice"]:
        say(reply["advice"]["message"])
    kept = "It is kept as a photo" if reply["photo_id"] else "It shows nothing new, and is not kept"
    say(f"{kept}; there are {reply['embedding_count']} photo(s) now. {_way_back(reply)}")


def _way_back(reply: dict[str, Any]) -> str:
    return f"To take that back: visage undo {reply['undo_id']}"


def _quoted(part: str) -> str:
    return quote(part, safe="")
