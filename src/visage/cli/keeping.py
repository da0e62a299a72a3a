"""Commands that keep the bank: backup and restore."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated, Any

import httpx
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from visage.api import PREFIX
from visage.cli.client import ApiKey, DataDir, Url, ask_passphrase, parse_reply, read_settings, request, with_client
from visage.cli.console import err, say
from visage.durable import sync, sync_descriptor
from visage.errors import InstallationError, VisageError
from visage.service.opening import key_source
from visage.service.restore import Secrets, put_in_place, stage
from visage.storage import backup as backups
from visage.storage.folder import FILE_NAME, SET_ASIDE, clear_stage, lock
from visage.storage.sqlite import open_store

Report = Callable[[int, int], None]


def backup(
    file: Annotated[Path, typer.Argument(help="File to write, or a folder to write it into.")],
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Copy the whole bank into one encrypted file, while the server runs (with --url) or not.

    Keep the file on another disk. It does not hold the key: to restore it, also on another computer, you need the key
    file (master.key), or the passphrase if you set one, or the recovery key that `visage key paper` prints. Without
    any of them nobody can read it, you neither.
    """
    path = file / backups.backup_name(datetime.now(UTC)) if file.is_dir() else file
    if path.exists():
        raise InstallationError(f"{path} is there already; choose another name")
    draft = path.with_name(f"{path.name}.part")
    try:
        draft.unlink(missing_ok=True)  # a link, perhaps
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            if url is None:
                _from_bank(data_dir, target)
            else:
                _from_server(url, api_key, data_dir, target)
            target.flush()
            sync_descriptor(target.fileno())
        backups.verify_checksum(draft)
        draft.rename(path)
        sync(path.parent)
    except OSError as exc:
        raise InstallationError(f"{path} cannot be written: {exc.strerror}") from exc
    finally:
        draft.unlink(missing_ok=True)
    header = backups.read_header(path)
    say(f"{path}: {header.persons} person(s), {header.photos} photo(s); written, read again, and whole.")
    slots = {slot.kind for slot in header.record.slots}
    needed = "the passphrase of the bank" if "passphrase" in slots else "the key of the bank (master.key)"
    if "recovery" in slots:
        say(f"To restore it you need {needed}, or the recovery key from paper.")
    else:
        say(
            f"To restore it you need {needed}: the backup alone opens nothing. Keep a copy of it elsewhere, or run "
            "`visage key paper` for a recovery key to write down, and back up again."
        )


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.", exists=True, dir_okay=False)],
    recovery_key: Annotated[
        bool, typer.Option("--recovery-key", help="Ask for the recovery key from paper, and open the backup with it.")
    ] = False,
    key_file: Annotated[
        Path | None,
        typer.Option(help="Key file that the bank had, where it is another one now.", exists=True, dir_okay=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Put a backup in the place of the bank, also on a new computer or after the bank was damaged.

    The backup is checked whole before anything is touched. The bank as it is now is kept beside the new one. Whom
    you have forgotten since the backup stays forgotten. It opens with the key that is in use here, with
    --recovery-key, or with --key-file; a passphrase is asked for, or taken from VISAGE_PASSPHRASE.
    """
    header = backups.read_header(file)
    say(
        f"This backup was made on {header.created_at.astimezone():%Y-%m-%d at %H:%M}: "
        f"{header.persons} person(s), {header.photos} photo(s)."
    )
    secrets = Secrets(
        recovery_key=typer.prompt("Recovery key") if recovery_key else None,
        key_file=key_file,
    )
    if url is not None:
        _restore_at_server(url, api_key, data_dir, file, secrets, yes)
        return
    current = read_settings(data_dir=data_dir)
    home = key_source(current)
    is_protected = header.record.slot("passphrase") is not None
    if is_protected and not (recovery_key or home.passphrase or home.master_key) and sys.stdin.isatty():
        secrets = replace(secrets, passphrase=typer.prompt("Passphrase that the bank had", hide_input=True, err=True))
    # Held to the end: what was checked is what is put in place. It says so at once if a server is running.
    with closing(lock(current.data_dir)) as held:
        try:
            with _progress("Checking the backup") as report:
                staged = stage(current.data_dir, file, home, secrets, report)
            say("It is whole, and it opens.")
            for fault in staged.faults:
                say(f"Damaged already when it was made: {fault}.")
            _ask_to_restore((current.data_dir / FILE_NAME).exists(), yes)
            done = put_in_place(staged, home, held)
        finally:
            clear_stage(current.data_dir, keep=file)
    _say_restored(
        {
            "forgotten_again": done.forgotten_again,
            "set_aside": done.set_aside,
            "erasures_known": done.old_was_readable,
            "new_key": done.new_key,
            "recovery_key_void": done.recovery_key_void,
            "without_photos": done.without_photos,
        }
    )
    if done.key_set_aside is not None:
        say(f"That bank's key is kept as {done.key_set_aside}.")
    say("API keys, settings and the audit log are in no backup: those of this computer stay; a new one has none yet.")
    if staged.opened_by == "passphrase" and home.passphrase is None and home.master_key is None:
        say("The bank opens with the passphrase that it had then.")


def purge(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    clock_is_right: Annotated[
        bool, typer.Option("--clock-is-right", help="The date of this computer is right, although it looks wrong.")
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """List who was not seen for longer than VISAGE_RETENTION_DAYS, and forget them. This cannot be undone.

    The days are counted from when a person was last seen, was registered, or retention was switched on, whichever is
    latest. Without retention nobody is ever due.
    """

    async def run(client: httpx.AsyncClient) -> str | None:
        found = await request(client, "GET", "/retention")
        if found["retention_days"] is None:
            return "Retention is off: nobody is forgotten for not being seen."
        for each in found["due"]:
            seen = f"last seen {each['last_seen_at'][:10]}" if each["last_seen_at"] else "never seen since"
            say(f"{each['name']}: {each['days']} days ({seen}). Id {each['person_id']}")
        if not found["due"]:
            return f"Nobody is due: everyone was seen within {found['retention_days']} days."
        if found["clock_fault"]:
            say(f"{found['clock_fault']}. If the date is wrong, do not go on: put the clock right first.")
            if not clock_is_right:
                raise InstallationError("Nobody was forgotten. If the date is right, add --clock-is-right")
        question = f"Forget these {len(found['due'])} person(s) and every photo of theirs for good?"
        if not yes and not await asyncio.to_thread(typer.confirm, question):
            return None
        ids = [each["person_id"] for each in found["due"]]
        done = await request(client, "POST", "/purge", json={"person_ids": ids, "clock_is_right": clock_is_right})
        rest = "" if done["complete"] else " Something may be left on the disk; the next start removes it."
        return f"{len(done['person_ids'])} person(s) forgotten.{rest}"

    told = with_client(url, data_dir, run, api_key)
    if told is None:
        raise typer.Exit(1)
    say(told)


def _from_bank(data_dir: Path | None, target: IO[bytes]) -> None:
    current = ask_passphrase(read_settings(data_dir=data_dir))
    if not (current.data_dir / FILE_NAME).exists():
        raise InstallationError(f"There is no bank in {current.data_dir}")
    store = open_store(current.data_dir, key_source(current))
    try:
        with _progress("Backing up") as report:
            store.backup(target, report)
    finally:
        store.close()


def _from_server(url: str, api_key: str | None, data_dir: Path | None, target: IO[bytes]) -> None:
    async def fetch(client: httpx.AsyncClient) -> None:
        try:
            async with client.stream("POST", f"{PREFIX}/backup") as response:
                if response.headers.get("content-type") != "application/octet-stream":
                    await response.aread()
                    parse_reply(client, response)
                total = int(response.headers.get("content-length", 0))
                done = 0
                with _progress("Backing up") as report:
                    async for chunk in response.aiter_bytes():
                        target.write(chunk)
                        done += len(chunk)
                        report(done, total)
        except httpx.HTTPError as exc:
            raise VisageError(f"The backup from {client.base_url} broke off: {exc or type(exc).__name__}") from exc

    with_client(url, data_dir, fetch, api_key)


def _restore_at_server(
    url: str, api_key: str | None, data_dir: Path | None, file: Path, secrets: Secrets, yes: bool
) -> None:
    if secrets.key_file is not None:
        raise InstallationError("--key-file works on the bank itself only; stop the server and leave out --url")
    _ask_to_restore(True, yes)

    async def send(client: httpx.AsyncClient) -> dict[str, Any]:
        fields = {"recovery_key": secrets.recovery_key} if secrets.recovery_key else {}
        with file.open("rb") as opened, err.status("Restoring …"):
            return await request(client, "POST", "/restore", data=fields, files={"file": (file.name, opened)})

    reply = with_client(url, data_dir, send, api_key)
    for fault in reply["faults"]:
        say(f"Damaged already when the backup was made: {fault}.")
    _say_restored(reply)


def _ask_to_restore(is_there: bool, yes: bool) -> None:
    if is_there:
        say("If you go on:")
        say("  - the bank as it is now is replaced. Whatever was added or changed since the backup is not in it.")
        say(f"  - it is not lost: it stays in the data directory, as {SET_ASIDE}DATE.")
        say("  - people and photos that you have forgotten since stay forgotten.")
    if not yes and not typer.confirm("Restore this backup?"):
        raise typer.Exit(1)


def _say_restored(reply: Mapping[str, Any]) -> None:
    """As the API tells it."""
    say("The bank is restored.")
    if reply["forgotten_again"]:
        say(f"{reply['forgotten_again']} person(s) or photo(s) of the backup had been forgotten since, and stay so.")
    if reply.get("without_photos"):
        say(f"{reply['without_photos']} person(s) have no photo now: the only one was forgotten. Add another.")
    if not reply["erasures_known"]:
        say("The old bank could not be read: whom you had forgotten since the backup is back. Please look.")
    if reply["set_aside"] is not None:
        say(f"The bank as it was is kept as {reply['set_aside']}; remove it when you do not need it any more.")
    if reply.get("new_key"):
        say("The bank has a new key, since the one of the backup is known elsewhere. Keep a copy of master.key.")
    if reply.get("recovery_key_void"):
        say("The recovery key from paper does not open the bank; `visage key paper` makes one that does.")


@contextmanager
def _progress(text: str) -> Iterator[Report]:
    """A bar that is told how much of how much is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=err) as progress:
        task = progress.add_task(text, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
