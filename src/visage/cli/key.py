"""Commands on the key of the bank. The server must not run meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from visage.cli.client import DataDir, ask_passphrase, read_settings
from visage.cli.console import say
from visage.errors import InstallationError
from visage.service.opening import key_source
from visage.settings import Settings
from visage.storage import keys, rekeying
from visage.storage.folder import FILE_NAME
from visage.storage.keys import KeyRecord, KeySource
from visage.storage.sql import SqlStore
from visage.storage.sqlite import open_store, read_key_record
from visage.storage.vault import Vault, key_to_text, new_key

key_app = typer.Typer(
    help="The key of the bank. All that is stored is encrypted; without its key nobody can read it, you neither.",
    no_args_is_help=True,
)

_VOID = "A recovery key that was printed before opens it no more; `visage key paper` makes a new one."


@key_app.command()
def status(data_dir: DataDir = None) -> None:
    """Tell where the key is, whether it opens the bank, and whether there is a recovery key."""
    with _opened(data_dir) as (current, source, store):
        _, _, since = store.vault()
        kinds = {slot.kind for slot in store.slots()}
        say(
            f"The key opens the bank. It comes from {_origin(current, source)}, and is in use since {since:%Y-%m-%d}."
        )
        if "recovery" in kinds:
            say("A recovery key was printed. If the key is lost, `visage key recover` takes it.")
        else:
            say("There is no recovery key: if the key is lost, so is the bank. `visage key paper` makes one.")


@key_app.command()
def paper(data_dir: DataDir = None) -> None:
    """Make a recovery key to write down: it opens the bank should the key be lost. It is shown once."""
    with _opened(data_dir) as (_, _, store):
        recovery_key = rekeying.add_recovery_key(store)
    say("Write this down and keep it where you keep papers, not on this computer:")
    say("")
    say(f"    {recovery_key}")
    say("")
    say("It will not be shown again. One that was made before opens the bank no more.")


@key_app.command()
def recover(
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Set a new passphrase, in place of one that was forgotten.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Open the bank with the recovery key from paper, when its key file or passphrase is lost."""
    current = read_settings(data_dir=data_dir)
    record = _record(current)
    key = keys.recovered_key(record, typer.prompt("Recovery key"))
    file = key_source(current).key_file(current.data_dir)
    if record.slot("passphrase") is not None and not passphrase:
        raise InstallationError("This bank is protected by a passphrase: add --passphrase to set a new one")
    if passphrase:
        chosen = _ask_new_passphrase()
        store = open_store(current.data_dir, KeySource(master_key=key_to_text(key)))
        try:
            rekeying.protect(store, current.data_dir, file, chosen)
        finally:
            store.close()
        say(f"The bank has a new passphrase. {_VOID}")
        return
    if not record.fits(Vault(key)):
        raise InstallationError("The bank's record of its keys is damaged; restore a backup")
    file.write_draft(key)
    file.settle()
    say(f"The key is in {file.path} again.")


@key_app.command()
def rotate(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Make a new key, and make the old one worthless: after somebody may have seen it."""
    with _opened(data_dir) as (current, source, store):
        key = new_key()
        if source.master_key is not None:
            say("The new key. Put it where VISAGE_MASTER_KEY is set, before you go on:")
            say("")
            say(f"    {key_to_text(key)}")
            say("")
            if not yes and not typer.confirm("Is it in its place? The old one will not open the bank any more."):
                raise typer.Exit(1)
        rekeying.rotate(store, source, current.data_dir, key)
    say(f"The bank has a new key. Backups that you made keep the old one. {_VOID}")


@key_app.command("passphrase")
def set_passphrase(
    remove: Annotated[bool, typer.Option("--remove", help="Keep the key in a file again.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Protect the bank by a passphrase instead of a key file; or change the passphrase. The server then needs it at
    every start: from VISAGE_PASSPHRASE, or typed in."""
    with _opened(data_dir) as (current, source, store):
        if source.master_key is not None:
            raise InstallationError(
                "The key comes from VISAGE_MASTER_KEY; unset that, and put the key into a file first"
            )
        file = source.key_file(current.data_dir)
        chosen = None if remove else _ask_new_passphrase()
        rekeying.protect(store, current.data_dir, file, chosen)
    if remove:
        say(f"The key is in {file.path}. Unset VISAGE_PASSPHRASE. {_VOID}")
    else:
        say(f"The bank opens with the passphrase only. There is no key file any more. {_VOID}")


@contextmanager
def _opened(data_dir: Path | None) -> Iterator[tuple[Settings, KeySource, SqlStore]]:
    current = ask_passphrase(read_settings(data_dir=data_dir))
    _record(current)
    source = key_source(current)
    store = open_store(current.data_dir, source)
    try:
        yield current, source, store
    finally:
        store.close()


def _record(current: Settings) -> KeyRecord:
    record = read_key_record(current.data_dir)
    if record is None:
        raise InstallationError(
            f"There is no encrypted bank: no {FILE_NAME}, or an old one. The first start makes it"
        )
    return record


def _origin(current: Settings, source: KeySource) -> str:
    if source.master_key is not None:
        return "VISAGE_MASTER_KEY"
    if source.passphrase is not None:
        return "the passphrase"
    return f"the file {source.key_file(current.data_dir).path}"


def _ask_new_passphrase() -> str:
    chosen: str = typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)
    keys.check_passphrase(chosen)
    return chosen
