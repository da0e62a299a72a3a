"""The command that serves."""

from __future__ import annotations

from typing import Annotated

import typer

from visage.cli.client import DataDir, ask_passphrase, read_settings


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
    from visage.api.app import serve as run_server  # noqa: PLC0415 - its help needs none of it

    settings = read_settings(host=host, port=port, https=https, data_dir=data_dir)
    raise typer.Exit(run_server(ask_passphrase(settings)))
