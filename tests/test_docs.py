"""What the documents say is so: the examples run as printed, tables list what there is, links lead somewhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.api.conftest import Server, client, server
from visage.api.errors import _FRAMEWORK, STATUS
from visage.cli.installation import settings_table

__all__ = ["client", "server"]

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def examples(language: str) -> list[str]:
    """The README's examples in a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def desk(tmp_path: Path, server: Server, client: httpx.Client, photos: dict[str, Path]) -> Path:
    """A folder with the photos that the examples name; the bank is empty."""
    shutil.copy(photos["obama"], tmp_path / "photo.jpg")
    shutil.copy(photos["obama2"], tmp_path / "another.jpg")
    return tmp_path


def run(command: list[str], desk: Path) -> str:
    """Run a command where the photos are; returns what it printed."""
    done = subprocess.run(command, cwd=desk, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def here(example: str, server: Server) -> str:
    """The example as printed, but for the port."""
    assert "localhost:8000" in example
    return example.replace("localhost:8000", server.url.removeprefix("http://"))


def test_the_curl_examples_run_as_printed(desk: Path, server: Server) -> None:
    register, identify = [here(example, server) for example in examples("bash")]
    registered = json.loads(run(["bash", "-c", register], desk))
    assert registered["data"]["name"] == "John Doe"
    identified = json.loads(run(["bash", "-c", identify], desk))
    assert identified["data"]["match"]["person_id"] == registered["data"]["person_id"]
    assert identified["data"]["match"]["relationship"] == "Friend"


def test_the_python_examples_run_as_printed(desk: Path, server: Server) -> None:
    register, watch = [here(example, server) for example in examples("python")]
    printed = run([sys.executable, "-c", register], desk)
    person_id = re.fullmatch(r"Person ID: ([0-9a-f-]{36})\n", printed)
    assert person_id is not None
    assert person_id[1] in run([sys.executable, "-c", watch], desk)


def test_the_javascript_examples_run_as_printed(desk: Path, server: Server) -> None:
    register, watch = [here(example, server) for example in examples("javascript")]
    stub = "import fs from 'fs'; const fileInput = {files: [new Blob([fs.readFileSync('photo.jpg')])]};\n"
    (desk / "register.mjs").write_text(f"{stub}{register}\nconsole.log(JSON.stringify(result));")
    registered = json.loads(run(["node", "register.mjs"], desk))
    assert registered["data"]["name"] == "John Doe"
    stub = "import fs from 'fs'; const frame = fs.readFileSync('another.jpg');\n"
    (desk / "watch.mjs").write_text(f"{stub}{watch}\ncamera.addEventListener('message', () => camera.close());")
    seen = run(["node", "--experimental-websocket", "watch.mjs"], desk)
    assert registered["data"]["person_id"] in seen


def test_somebody_else_is_not_recognised_by_any_example(desk: Path, server: Server, photos: dict[str, Path]) -> None:
    register, identify = [here(example, server) for example in examples("bash")]
    run(["bash", "-c", register], desk)
    shutil.copy(photos["biden"], desk / "another.jpg")
    identified = json.loads(run(["bash", "-c", identify], desk))
    assert identified["data"]["face_detected"] is True
    assert identified["data"]["match"] is None
    assert run([sys.executable, "-c", here(examples("python")[1], server)], desk) == "None\n"


def test_the_table_of_settings_is_the_one_that_the_program_makes() -> None:
    assert settings_table() in (ROOT / "docs" / "configuration.md").read_text()


def test_every_error_code_is_documented_with_its_status() -> None:
    documented = set(re.findall(r"^\| (\d{3}) \| `(\w+)`", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE))
    leaves = [kind for kind in STATUS if not kind.__subclasses__()]
    used = {(str(STATUS[kind]), kind.code) for kind in leaves}
    used |= {(str(status), code) for status, (code, _) in _FRAMEWORK.items()} | {("500", "INTERNAL_ERROR")}
    assert documented == used


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", document.read_text()):
        assert target.startswith(("http://", "https://")) or (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_a_document_names_is_there(document: Path) -> None:
    named = re.findall(r"(?:^|[\s(`])((?:src|tests|web/src|benchmarks|scripts)/[\w./-]+[\w/])", document.read_text())
    missing = [each for each in named if not (ROOT / each).exists()]
    assert missing == []


def test_decisions_are_numbered_without_gaps_and_say_when_they_were_made() -> None:
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [each.name[:4] for each in decisions] == [f"{number:04d}" for number in range(1, len(decisions) + 1)]
    for number, each in enumerate(decisions, 1):
        title, blank, status, *_ = each.read_text().split("\n")
        assert title.startswith(f"# {number}. ") and not blank, each.name
        assert re.fullmatch(
            r"\*(Accepted|Superseded by \[\d{4}\]\(.+\)) \d{4}-\d\d-\d\d(, amended \d{4}-\d\d-\d\d)?\.\*", status
        ), each.name
