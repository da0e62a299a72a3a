"""Commands on who may use the server, and on who did what."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer
from rich.table import Column, Table

from visage.admin.keys import Role
from visage.cli.client import ApiKey, AsJson, DataDir, Url, call, request, with_client
from visage.cli.console import cell, out, plain, say
from visage.errors import VisageError

keys_app = typer.Typer(help="API keys: who may use the server.", no_args_is_help=True)
audit_app = typer.Typer(help="The audit log: who did what.", no_args_is_help=True)

_PAGE = 1000


@keys_app.command()
def create(
    role: Annotated[
        Role, typer.Option(help="viewer: sees who that is; editor: people too; admin: keys, backup, all else too.")
    ],
    label: Annotated[str, typer.Option(help="What you call it: name the device, not a person.")] = "",
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Make an API key. It is shown this once."""
    key = call(url, data_dir, "POST", "/keys", api_key=api_key, json={"label": label, "role": role.value})
    if as_json:
        out.print_json(data=key)
        return
    say(f"The key of a new {key['role']}, shown this once:")
    print(plain(key["key"]))  # noqa: T201 - nothing wraps or colours it
    say(f"Type it where a browser asks for it, or send it as X-API-Key. Revoke it by its id {key['key_id']}")


@keys_app.command("list")
def list_keys(as_json: AsJson = False, url: Url = None, api_key: ApiKey = None, data_dir: DataDir = None) -> None:
    """List every key there ever was, oldest first."""
    keys = call(url, data_dir, "GET", "/keys", api_key=api_key)["keys"]
    if as_json:
        out.print_json(data=keys)
        return
    table = Table("Label", "Role", "Since", "Revoked", Column("Id", no_wrap=True, min_width=36))
    for key in keys:
        revoked = key["revoked_at"][:10] if key["revoked_at"] else ""
        table.add_row(cell(key["label"]), key["role"], key["created_at"][:10], revoked, key["key_id"])
    out.print(table)


@keys_app.command()
def revoke(key_id: str, url: Url = None, api_key: ApiKey = None, data_dir: DataDir = None) -> None:
    """Make a key worthless at once."""
    reply = call(url, data_dir, "DELETE", f"/keys/{quote(key_id, safe='')}", api_key=api_key)
    say(f"The key {reply['key_id']} is worth nothing any more.")


@audit_app.command("list")
def list_audit(
    limit: Annotated[int, typer.Option(help="How many, the latest.", min=1)] = 50,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Show who did what to which id, with which outcome, when; newest first."""

    async def collect(client: httpx.AsyncClient) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        before = None
        while len(found) < limit:
            parameters = {"limit": min(limit - len(found), _PAGE)} | ({"before": before} if before else {})
            page = await request(client, "GET", "/audit", params=parameters)
            found += page["entries"]
            before = page["next_before"]
            if before is None:
                break
        return found

    entries = with_client(url, data_dir, collect, api_key)
    if as_json:
        out.print_json(data=entries)
        return
    table = Table("Number", Column("When", no_wrap=True), "Who", "What", "To which", "Outcome")
    for entry in entries:
        table.add_row(
            str(entry["number"]),
            entry["at"],
            cell(entry["actor"]),
            cell(entry["operation"]),
            cell(entry["subject"] or ""),
            cell(entry["outcome"]),
        )
    out.print(table)


@audit_app.command()
def verify(
    head: Annotated[str | None, typer.Option(help="A head noted down earlier, which must still be there.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Check that no entry was changed, dropped or slipped in."""
    check = call(url, data_dir, "GET", "/audit/verify", api_key=api_key, params={"head": head} if head else {})
    for entry in check["cuts"]:
        say(f"Entry {entry['number']}, {entry['at']}: a start found that the end of the log had been cut off")
    if not check["whole"]:
        raise VisageError("; ".join(check["faults"]))
    say(f"Whole: {check['entries']} entries. Note the head down elsewhere, for `--head` later: {check['head']}")
