"""The command line."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from visage import __version__
from visage.api.app import serve as run_server
from visage.cli import access, accuracy, installation, keeping, key, models, people, portable
from visage.cli.client import DataDir, ask_passphrase, read_settings
from visage.cli.console import fail, out
from visage.errors import VisageError

app = typer.Typer(help="Remembers faces for people who cannot.", no_args_is_help=True, add_completion=False)


def main() -> None:
    """The entry point: errors meant for people are one line and exit code 1."""
    try:
        app()
    except VisageError as error:
        fail(error.message)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Remembers faces for people who cannot."""
    os.umask(os.umask(0o077) | 0o077)  # what is written here tells of people, whoever asks for the file
    if version:
        out.print(f"visage {__version__}")
        raise typer.Exit


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to serve on.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port.", min=0, max=65535)] = None,
    https: Annotated[
        bool | None,
        typer.Option("--https", help="HTTPS, for phones and tablets: on all addresses unless --host says otherwise."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Serve the API, until Ctrl-C."""
    settings = read_settings(host=host, port=port, https=https, data_dir=data_dir)
    raise typer.Exit(run_server(ask_passphrase(settings)))


for command in (
    people.register,
    people.identify,
    keeping.backup,
    keeping.restore,
    keeping.purge,
    accuracy.evaluate,
    accuracy.calibrate,
    installation.settings,
    installation.openapi,
    installation.reembed,
    installation.doctor,
):
    app.command()(command)
app.command("export")(portable.export_people)
app.command("import")(portable.import_people)
app.add_typer(people.persons_app, name="persons")
app.add_typer(key.key_app, name="key")
app.add_typer(models.models_app, name="models")
app.add_typer(access.keys_app, name="keys")
app.add_typer(access.audit_app, name="audit")
