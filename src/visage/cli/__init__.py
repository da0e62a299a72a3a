"""The command line. Of a command only the name and a line are known here: its module is loaded when it is called."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated

import typer

from visage import __version__
from visage.cli.console import fail, out
from visage.errors import VisageError

COMMANDS = {
    "serve": ("serving.serve", "Serve the API, until Ctrl-C."),
    "register": ("people.register", "Remember a person. To do it again with the same photos changes nothing."),
    "identify": ("people.identify", "Say who is in a photo."),
    "not-me": (
        "corrections.not_me",
        '"That\'s wrong": the face in a photo is not this person, and is not called so again.',
    ),
    "is-me": (
        "corrections.is_me",
        '"Yes, that is Anna": the face in a photo is this person. To say it again changes nothing.',
    ),
    "confirm": (
        "corrections.confirm",
        "A face before the camera of a server (--url), which nobody knows, is this person.",
    ),
    "undo": ("corrections.undo", "Take back a not-me, an is-me, a confirm or a merge, for 30 days."),
    "backup": (
        "keeping.backup",
        "Copy the whole bank into one encrypted file, while the server runs (with --url) or not.",
    ),
    "restore": (
        "keeping.restore",
        "Put a backup in the place of the bank, also on a new computer or after the bank was damaged.",
    ),
    "purge": (
        "keeping.purge",
        "List who was not seen for longer than VISAGE_RETENTION_DAYS, and forget them. This cannot be undone.",
    ),
    "evaluate": (
        "accuracy.evaluate",
        "Measure how good Visage would be on your own photos: nothing is registered, nothing leaves this computer.",
    ),
    "calibrate": (
        "accuracy.calibrate",
        "Measure your own camera: thresholds and confidence from hundreds of persons' photos. The server uses the "
        "result from its next start on; delete the file to go back to the calibration that Visage ships.",
    ),
    "settings": ("installation.settings", "List every setting with its value, default and meaning."),
    "openapi": ("installation.openapi", "Print the OpenAPI document, as the server has it at /openapi.json."),
    "reembed": (
        "installation.reembed",
        "Embed every photo that another model embedded, from the stored pictures. Stop the server first.",
    ),
    "doctor": ("installation.doctor", "Tell what is wrong with this installation, and how to mend it."),
    "export": (
        "portable.export_people",
        "Write people into a ZIP that anyone can read: each person's record as JSON, every photo as JPEG.",
    ),
    "import": (
        "portable.import_people",
        "Register people from an export of Visage, or from a folder that has a folder of photos for each person.",
    ),
    "persons": ("people.persons_app", "The people who are remembered."),
    "key": (
        "key.key_app",
        "The key of the bank. All that is stored is encrypted; without its key nobody can read it, you neither.",
    ),
    "models": ("models.models_app", "The networks: find faces, tell them apart."),
    "keys": ("access.keys_app", "API keys: who may use the server."),
    "audit": ("access.audit_app", "The audit log: who did what."),
}
"""Name → where it is, and the first line of its help."""


def main() -> None:
    """The entry point: errors meant for people are one line and exit code 1."""
    called = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    try:
        application(called)()
    except VisageError as error:
        fail(error.message)


def application(*called: str) -> typer.Typer:
    """The command line. All commands are in its help; those that are called are loaded."""
    made = typer.Typer(help="Remembers faces for people who cannot.", no_args_is_help=True, add_completion=False)
    made.callback(invoke_without_command=True)(root)
    for name, (place, line) in COMMANDS.items():
        if name not in called:
            made.command(name, help=line)(_not_called)
            continue
        module, attribute = place.split(".")
        command = getattr(import_module(f"visage.cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            made.add_typer(command, name=name)
        else:
            made.command(name)(command)
    return made


def __getattr__(name: str) -> typer.Typer:
    """`app`: all of it, for whoever wants to look at every command."""
    if name == "app":
        return application(*COMMANDS)
    raise AttributeError(name)


def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Remembers faces for people who cannot."""
    os.umask(os.umask(0o077) | 0o077)  # what is written here tells of people, whoever asks for the file
    if version:
        out.print(f"visage {__version__}")
        raise typer.Exit


def _not_called() -> None:
    raise AssertionError
