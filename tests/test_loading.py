"""Nothing is loaded that is not asked for: what takes long to load is not there where only names are listed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from visage import __version__, cli

ENGINES = {"openvino"}
HEAVY = ENGINES | {"cv2", "fastapi", "httpx", "numpy", "onnxruntime", "sqlalchemy"}
ROOT = Path(__file__).parent.parent


def loaded_by(program: str, *arguments: str | Path) -> tuple[set[str], str]:
    """What a Python program in a process of its own loads, of the heavy, and what it prints."""
    program += "\nprint('\\n', *(name for name in sys.modules if '.' not in name))"
    command = [sys.executable, "-c", f"import sys\n{program}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    told, _, modules = done.stdout.rstrip().rpartition("\n")
    return HEAVY & set(modules.split()), told


def by_visage(*arguments: str | Path) -> tuple[set[str], str]:
    """The same, of a command."""
    return loaded_by(
        "from visage.cli import main\ntry:\n    main()\nexcept SystemExit as exc:\n    assert not exc.code",
        *arguments,
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--version"], f"visage {__version__}"),
        (["--help"], "doctor"),
        (["serve", "--help"], "--port"),
    ],
)
def test_help_and_version_load_nothing_heavy(arguments: list[str], expected: str) -> None:
    loaded, told = by_visage(*arguments)
    assert loaded <= {"httpx"} if "serve" in arguments else not loaded
    assert expected in told


def test_to_list_names_no_models_are_loaded(tmp_path: Path) -> None:
    program = """
from visage import cli
for name in ("persons", "keys", "audit"):
    cli.application(name)([name, "list", "--json", "--data-dir", sys.argv[1]], standalone_mode=False)
"""
    loaded, told = loaded_by(program, tmp_path / "data")
    assert told.startswith("[]\n[]\n[")
    assert "sqlalchemy" in loaded
    assert not loaded & ENGINES
    assert not (tmp_path / "data" / "compiled").exists()


def test_a_test_of_numbers_loads_no_models_and_no_database() -> None:
    loaded, _ = loaded_by("import tests.conftest, visage.recognition.decision, visage.recognition.calibration")
    assert loaded == {"cv2", "numpy"}


def test_the_help_says_of_each_command_what_its_own_help_begins_with() -> None:
    def told(app: typer.Typer) -> str:
        told = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "100"}).stdout
        return " ".join(told.replace("│", " ").split())

    assert told(cli.application()) == told(cli.application(*cli.COMMANDS))
