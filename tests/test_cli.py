"""The `visage` command as people use it, on a bank of its own and on a running server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest
import typer
from PIL import Image
from typer.core import TyperGroup
from typer.testing import CliRunner, Result
from websockets.sync.client import connect

from tests.api.conftest import VISAGE, Server, client, free_port, server
from tests.recognition.test_crowd import portraits
from tests.recognition.test_rehearsal import album, crowd
from visage import __version__, cli
from visage.cli import accuracy, benchmark, console, installation
from visage.recognition import recognizer
from visage.settings import Settings
from visage.storage import digest
from visage.storage.folder import FILE_NAME
from visage.storage.keys import KEY_FILE_NAME
from visage.storage.sqlite import open_store
from visage.vision import fetch, models, weights
from visage.vision.embed import MODEL_NAME, unit
from visage.vision.image import encode_jpeg
from visage.vision.pipeline import Pipeline

__all__ = ["client", "server"]

NOBODY = "00000000-0000-4000-8000-000000000000"

entry = typer.Typer(add_completion=False)


@entry.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def _run(context: typer.Context) -> None:
    with patch.object(sys, "argv", ["visage", *context.args]):
        cli.main()


def visage(*arguments: str | Path, answer: str = "") -> Result:
    """Run the command in this process, by its entry point; `answer` is typed into it."""
    return CliRunner().invoke(entry, [str(argument) for argument in arguments], input=answer)


def process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run([VISAGE, *arguments], capture_output=True, text=True, timeout=60, check=False)


def said(result: Result) -> str:
    """What a command printed that went well."""
    assert result.exit_code == 0, result.output
    return result.stdout


def refusal(result: Result) -> str:
    """The one line that a command printed that was refused."""
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


def register(at: list[str], name: str, *photos: Path) -> str:
    """Register a person; returns the id."""
    person_id: str = json.loads(said(visage("register", name, *photos, "--json", *at)))["person_id"]
    return person_id


def commands(group: TyperGroup, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command there is, by the words that call it."""
    yield path
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, *path, name)
        else:
            yield (*path, name)


ROOT = typer.main.get_command(cli.app)
assert isinstance(ROOT, TyperGroup)


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with pictures that show nobody, a wide terminal, and the default settings."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VISAGE_{name.upper()}", raising=False)
    monkeypatch.setattr(console.out, "width", 200)
    Image.new("RGB", (320, 240), (90, 140, 90)).save("meadow.jpg")
    Path("letter.jpg").write_text("Dear John")


@pytest.fixture
def bank(tmp_path: Path, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options that name an empty bank; the models, which are real, are loaded once for all tests."""
    monkeypatch.setattr(recognizer, "Pipeline", lambda **_: pipeline)
    return ["--data-dir", str(tmp_path / "data")]


@pytest.fixture(params=["bank", "server"])
def at(request: pytest.FixtureRequest) -> list[str]:
    """The options that name an empty bank, or a running server that has one."""
    if request.param == "bank":
        own: list[str] = request.getfixturevalue("bank")
        return own
    request.getfixturevalue("client")
    return ["--url", request.getfixturevalue("server").url]


def test_a_man_registered_from_photos_is_known_in_another_and_somebody_else_is_not(
    at: list[str], photos: Mapping[str, Path]
) -> None:
    told = said(visage("register", "Barack", photos["obama"], photos["obama2"], "--relationship", "Friend", *at))
    assert "obama.jpg: remembered, quality" in told
    assert "obama2.jpg: remembered, quality" in told
    assert "Barack is remembered by 2 photo(s)" in told
    assert "Another photo of Barack would help" in told
    seen = said(visage("identify", photos["obama3"], *at))
    assert "Barack" in seen
    assert "Friend" in seen
    stranger = said(visage("identify", photos["biden"], *at))
    assert "nobody known" in stranger
    assert "Friend" not in stranger


def test_json_is_the_reply_of_the_api(at: list[str], photos: Mapping[str, Path]) -> None:
    person_id = register(at, "Barack", photos["obama"], photos["obama2"])
    known = json.loads(said(visage("identify", photos["obama3"], "--json", *at)))
    assert known["match"]["person_id"] == person_id
    assert known["match"]["name"] == "Barack"
    unknown = json.loads(said(visage("identify", photos["biden"], "--json", *at)))
    assert unknown["face_detected"] is True
    assert unknown["match"] is None
    assert [person["name"] for person in json.loads(said(visage("persons", "list", "--json", *at)))] == ["Barack"]
    assert json.loads(said(visage("persons", "show", person_id, "--json", *at)))["embedding_count"] == 2


def test_photos_registered_one_by_one_become_one_person(at: list[str], photos: Mapping[str, Path]) -> None:
    ids = {register(at, "Barack", photos[key]) for key in ("obama", "obama2", "obama3")}
    assert len(ids) == 1
    assert json.loads(said(visage("persons", "show", *ids, "--json", *at)))["embedding_count"] == 3


def test_persons_are_listed_shown_and_forgotten(at: list[str], photos: Mapping[str, Path]) -> None:
    told = said(
        visage(
            "register", "Barack", photos["obama"], "--relationship", "Friend", "--metadata", '{"tea": "green"}', *at
        )
    )
    person_id = told.split()[-1]
    joe = register(at, "Joe", photos["biden"])
    everyone = said(visage("persons", "list", *at))
    assert person_id in everyone
    assert joe in everyone
    friends = said(visage("persons", "list", "--query", "friend", *at))
    assert person_id in friends
    assert joe not in friends
    shown = said(visage("persons", "show", person_id, *at))
    assert "Barack (Friend)" in shown
    assert '{"tea": "green"}' in shown
    assert shown.count("  photo ") == 1

    for answer in ("n\n", ""):
        kept = visage("persons", "delete", person_id, *at, answer=answer)
        assert kept.exit_code == 1
        assert "Forget Barack and 1 photo(s) for good?" in kept.stdout
    assert person_id in said(visage("persons", "list", *at))
    assert "Barack is forgotten." in said(visage("persons", "delete", person_id, *at, answer="y\n"))
    assert said(visage("persons", "delete", joe, "--yes", *at)) == "Joe is forgotten.\n"
    assert json.loads(said(visage("persons", "list", "--json", *at))) == []
    assert refusal(visage("persons", "show", person_id, *at)) == "No person with this id"


def test_what_was_wrong_and_right_is_said_and_taken_back(at: list[str], photos: Mapping[str, Path]) -> None:
    person_id = register(at, "Barack", photos["obama"])
    known = json.loads(said(visage("not-me", person_id, photos["obama2"], "--json", *at)))
    assert (known["what"], known["person_id"]) == ("not-me", person_id)
    assert "nobody known" in said(visage("identify", photos["obama2"], *at))
    told = said(visage("is-me", person_id, photos["obama2"], *at))
    assert "that holds no longer" in told
    assert "It is kept as a photo; there are 2 photo(s) now" in told
    assert "Another photo of Barack would help" in told
    undo_id = told.split("visage undo ")[1].strip()
    reply = json.loads(said(visage("is-me", person_id, photos["obama2"], "--json", *at)))
    assert (reply["undo_id"], reply["embedding_count"]) == (undo_id, 2), "to say it again changes nothing"
    assert said(visage("undo", undo_id, *at)) == "The is-me is taken back.\n"
    told = said(visage("not-me", person_id, photos["biden"], *at))
    assert "not called by this name again" in told
    undone = json.loads(said(visage("undo", told.split("visage undo ")[1].strip(), "--json", *at)))
    assert undone["what"] == "not-me"
    assert "nothing to undo" in refusal(visage("undo", undo_id, *at))


def test_of_several_faces_the_one_to_confirm_is_chosen(bank: list[str], photos: Mapping[str, Path]) -> None:
    person_id = register(bank, "Joe", photos["biden"])
    refused = refusal(visage("is-me", person_id, photos["group1"], *bank))
    options = [words.split()[0] for words in refused.split("--box ")[1:]]
    assert len(options) > 1
    told = said(visage("is-me", person_id, photos["group1"], "--box", options[1], *bank))
    assert "does not look like the other photos of Joe" in told
    said(visage("not-me", person_id, photos["group1"], "--box", options[0], *bank))
    for wrong in (("is-me", person_id), ("not-me", person_id, photos["biden"], "--identification", "1")):
        assert visage(*wrong, *bank).exit_code == 2


def test_an_answer_and_a_stranger_of_a_server_are_confirmed(
    server: Server, client: httpx.Client, photos: Mapping[str, Path]
) -> None:
    at = ["--url", server.url]
    person_id = register(at, "Barack", photos["obama"])
    seen = json.loads(said(visage("identify", photos["obama2"], "--json", *at)))["identification_id"]
    assert "there are 2 photo(s) now" in said(visage("is-me", person_id, "--identification", seen, *at))
    assert "is not called" in said(visage("not-me", person_id, "--identification", seen, *at))
    with connect(server.live, max_size=None) as camera:
        camera.send(photos["biden"].read_bytes())
        (face,) = json.loads(camera.recv(timeout=20))["faces"]
    reply = json.loads(said(visage("confirm", face["unknown_id"], person_id, "--json", *at)))
    assert (reply["what"], reply["embedding_count"]) == ("is-me", 3)
    again = json.loads(said(visage("confirm", face["unknown_id"], person_id, "--json", *at)))
    assert again == reply, "the reply may have been lost"
    assert refusal(visage("confirm", reply["undo_id"], person_id, *at))


def test_unusable_photos_beside_a_good_one_are_told_and_left_out(bank: list[str], photos: Mapping[str, Path]) -> None:
    told = said(visage("register", "Barack", "meadow.jpg", photos["obama"], "letter.jpg", *bank))
    assert "meadow.jpg: not used. No face" in told
    assert "letter.jpg: not used. Invalid image" in told
    assert "Barack is remembered by 1 photo(s)" in told


def test_a_known_face_under_another_name_is_pointed_out(bank: list[str], photos: Mapping[str, Path]) -> None:
    register(bank, "Barack", photos["obama"])
    told = said(visage("register", "Joe", photos["obama2"], *bank))
    assert "Please look: This face looks like Barack, who is already registered." in told


def test_a_name_is_printed_as_it_was_given(bank: list[str], photos: Mapping[str, Path]) -> None:
    person_id = register(bank, "[bold]Ann[/bold]", photos["astronaut"])
    assert "[bold]Ann[/bold]" in said(visage("persons", "list", *bank))
    assert "[bold]Ann[/bold]" in said(visage("persons", "show", person_id, *bank))
    assert "[bold]Ann[/bold]" in said(visage("identify", photos["astronaut"], *bank))


def test_register_photo_without_a_face_is_refused(at: list[str]) -> None:
    assert "No face" in refusal(visage("register", "Ann", "meadow.jpg", *at))
    assert json.loads(said(visage("persons", "list", "--json", *at))) == []


@pytest.mark.parametrize("command", [("register", "Ann"), ("identify",)])
def test_text_named_as_a_photo_is_refused(bank: list[str], command: tuple[str, ...]) -> None:
    assert refusal(visage(*command, "letter.jpg", *bank)).startswith("Invalid image format")


def test_identify_says_that_a_photo_shows_no_face(bank: list[str]) -> None:
    assert said(visage("identify", "meadow.jpg", *bank)) == "No face in this photo.\n"


@pytest.mark.parametrize("command", [("register", "Ann"), ("identify",)])
def test_a_file_that_is_not_there_is_named(command: tuple[str, ...], tmp_path: Path) -> None:
    refused = visage(*command, "none.jpg", "--data-dir", tmp_path / "data")
    assert refused.exit_code == 2
    assert "'none.jpg' does not exist" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_metadata_that_is_no_json_object_is_refused(bank: list[str], photos: Mapping[str, Path]) -> None:
    told = refusal(visage("register", "Ann", photos["obama"], "--metadata", "tea", *bank))
    assert told == "metadata must be a JSON object"


@pytest.mark.parametrize("command", ["show", "delete"])
@pytest.mark.parametrize("person_id", [NOBODY, "Barack"])
def test_an_id_of_nobody_is_refused(bank: list[str], command: str, person_id: str) -> None:
    assert refusal(visage("persons", command, person_id, *bank)) == "No person with this id"


@pytest.mark.parametrize("command", ["show", "delete"])
def test_an_id_that_leads_elsewhere_is_refused(bank: list[str], command: str) -> None:
    refused = visage("persons", command, "../health", *bank)
    assert isinstance(refused.exception, SystemExit)
    assert refused.stderr


def test_no_server_at_the_url_is_one_line() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert refusal(visage("persons", "list", "--url", url)).startswith(f"No server answers at {url}")


@pytest.mark.parametrize("url", ["http://127.0.0.1:port", "http://127.0.0.1:99999"])
def test_a_url_that_is_none_is_one_line(url: str) -> None:
    assert refusal(visage("persons", "list", "--url", url))


@pytest.mark.parametrize("command", [("persons", "list"), ("identify", "meadow.jpg"), ("reembed",)])
def test_a_bank_that_a_server_uses_is_refused_with_the_way_out(server: Server, command: tuple[str, ...]) -> None:
    told = refusal(visage(*command, "--data-dir", server.data_dir))
    assert told.startswith("Another Visage is using this bank")
    assert "--url" in told


def test_a_refusal_is_one_line_in_a_terminal(server: Server) -> None:
    refused = process("persons", "list", "--data-dir", server.data_dir)
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith("Another Visage is using this bank")


def test_the_installed_command_remembers_from_run_to_run(tmp_path: Path, photos: Mapping[str, Path]) -> None:
    registered = process("register", "Barack", photos["obama"], "--json", "--data-dir", tmp_path / "data")
    assert registered.returncode == 0, registered.stderr
    identified = process("identify", photos["obama2"], "--json", "--data-dir", tmp_path / "data")
    assert json.loads(identified.stdout)["match"]["person_id"] == json.loads(registered.stdout)["person_id"]


def test_settings_lists_each_with_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAGE_PORT", "8123")
    rows = {
        cells[0]: cells[1:]
        for line in said(visage("settings")).splitlines()
        if (cells := [cell.strip() for cell in line.split("│")[1:-1]]) and cells[0]
    }
    assert rows.keys() == {f"VISAGE_{name.upper()}" for name in Settings.model_fields}
    assert rows["VISAGE_PORT"] == ["8123", "8000", "TCP port to serve on."]


def test_settings_as_markdown_has_a_whole_row_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "width", 40)
    head, _, *rows = said(visage("settings", "--markdown")).splitlines()
    assert head == "| variable | default | meaning |"
    assert len(rows) == len(Settings.model_fields)
    assert "| `VISAGE_PORT` | `8000` | TCP port to serve on. |" in rows


@pytest.mark.parametrize("command", [("settings",), ("doctor",), ("persons", "list"), ("serve",)])
def test_a_setting_that_is_not_allowed_is_named(monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setenv("VISAGE_PORT", "99999")
    assert refusal(visage(*command)).startswith("VISAGE_PORT: ")


def test_doctor_finds_a_sound_installation_sound(bank: list[str], photos: Mapping[str, Path]) -> None:
    register(bank, "Barack", photos["obama"], photos["obama2"])
    lines = said(visage("doctor", "--port", str(free_port()), *bank)).splitlines()
    assert len(lines) == len(installation.CHECKS)
    assert all(line.startswith("ok ") for line in lines)
    assert "1 persons, 2 embeddings" in "".join(lines)


def test_doctor_times_the_machine_and_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark.run, "__defaults__", (0.5,))
    told = said(visage("doctor", "--benchmark", "--port", str(free_port()), "--data-dir", tmp_path))
    assert "8 faces" in told
    assert "Set VISAGE_INFERENCE_THREADS=" in told
    assert "frames a second" in told


@pytest.mark.parametrize("cores,counts", [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (64, [1, 2, 4, 8, 64])])
def test_the_numbers_of_threads_that_are_timed(cores: int, counts: list[int]) -> None:
    assert benchmark.thread_counts(cores) == counts


def test_no_more_threads_are_recommended_than_pay() -> None:
    timings = [benchmark.Timing(threads, 1, 2, 1, 3, whole, 30) for threads, whole in ((1, 12), (2, 8), (4, 7.5))]
    assert benchmark.recommended(timings).threads == 2


def test_doctor_makes_no_bank(tmp_path: Path) -> None:
    assert "none yet" in said(visage("doctor", "--port", str(free_port()), "--data-dir", tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_doctor_names_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "MODELS_DIR", tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"damaged" * 1000)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        told = visage("doctor", "--data-dir", tmp_path, "--port", port)
    assert told.exit_code == 1
    wrong = [line for line in told.stdout.splitlines() if line.startswith("WRONG")]
    assert len(wrong) == 3
    assert "visage models pull" in wrong[0]
    assert "damaged" in wrong[1]
    assert f"{port} is taken" in wrong[2]


def test_doctor_says_who_else_may_use_the_files_and_ends_that(tmp_path: Path) -> None:
    data, key = tmp_path / "data", tmp_path / "data" / KEY_FILE_NAME
    open_store(data).close()
    (data / "compiled").mkdir(mode=0o777)
    at = ["--port", str(free_port()), "--data-dir", str(data)]
    for path, mode in ((data, 0o777), (key, 0o644), (data / "compiled", 0o777)):
        path.chmod(mode)
    told = visage("doctor", *at)
    assert told.exit_code == 1
    assert "others on this computer may use data, master.key, compiled" in " ".join(told.stdout.split())
    said(visage("doctor", "--fix", *at))
    assert [path.stat().st_mode & 0o777 for path in (data, key, data / "compiled")] == [0o700, 0o600, 0o700]
    key.chmod(0o640)  # also alone: it is copied, and kept elsewhere
    assert "master.key" in visage("doctor", *at).stdout


def test_nothing_that_is_written_here_is_for_others_whatever_the_umask() -> None:
    before = os.umask(0)
    try:
        said(visage("settings"))
    finally:
        assert os.umask(before) == 0o077


def test_doctor_notices_that_the_data_directory_is_a_file() -> None:
    assert visage("doctor", "--data-dir", "letter.jpg", "--port", str(free_port())).exit_code == 1


def test_models_list_says_which_are_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = said(visage("models", "list"))
    assert all(model.name in here for model in models.CATALOGUE)
    assert here.count("in use") == 3
    monkeypatch.setattr(weights, "MODELS_DIR", tmp_path)
    assert said(visage("models", "list")).count("missing") == len(models.CATALOGUE)


def test_models_verify_notices_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(visage("models", "verify")) == "All models are what they should be.\n"
    monkeypatch.setattr(weights, "MODELS_DIR", tmp_path)
    file = models.MOBILEFACENET.files[0].file
    (tmp_path / file).write_bytes(b"another")
    told = refusal(visage("models", "verify"))
    assert told.startswith(f"Model file {file} is not the expected file")
    assert "visage models pull" in told


def test_models_pull_fetches_nothing_that_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "pull", lambda *_: pytest.fail("fetched"))
    assert said(visage("models", "pull")) == "All models are here.\n"


def test_without_models_people_are_told_which_command_fetches_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "MODELS_DIR", tmp_path)
    assert "visage models pull" in refusal(visage("identify", "meadow.jpg", "--data-dir", tmp_path / "data"))


def test_reembed_makes_people_of_another_model_known_again(
    bank: list[str], tmp_path: Path, photos: Mapping[str, Path]
) -> None:
    register(bank, "Barack", photos["obama"], photos["obama2"])
    store = open_store(tmp_path / "data")
    vectors = {photo.photo_id: vector for photo, vector in store.load(MODEL_NAME).photos if vector is not None}
    store.add_embeddings("an older one", vectors)
    vault, _, _ = store.vault()
    with store.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM embeddings WHERE model <> 'an older one'")
        digest.renew(connection, vault)
    store.close()
    assert "nobody known" in said(visage("identify", photos["obama3"], *bank))
    assert "run `visage reembed`" in visage("doctor", *bank).stdout
    assert said(visage("reembed", *bank)).startswith("2 photo(s) embedded")
    assert json.loads(said(visage("identify", photos["obama3"], "--json", *bank)))["match"]["name"] == "Barack"
    assert said(visage("reembed", *bank)).startswith("0 photo(s) embedded")


@pytest.mark.parametrize("command", [*commands(ROOT)], ids=lambda command: " ".join(["visage", *command]))
def test_help_is_there(command: tuple[str, ...]) -> None:
    assert f"{' '.join(['visage', *command])} [OPTIONS]" in said(visage(*command, "--help"))


def test_the_version_is_printed() -> None:
    assert said(visage("--version")) == f"visage {__version__}\n"


@pytest.mark.parametrize("command", [("recognise",), ("persons", "forget"), ("register", "Ann")])
def test_a_command_that_is_none_exits_2(command: tuple[str, ...]) -> None:
    refused = visage(*command)
    assert refused.exit_code == 2
    assert refused.stderr
    assert "Traceback" not in refused.stderr


def test_evaluate_tells_what_would_happen_on_ones_own_photos(bank: list[str], photos: Mapping[str, Path]) -> None:
    folder = album(Path("album"), photos)
    told = said(
        visage("evaluate", folder, "--enrolled", "2", "--picture", "scores.png", "--json", "report.json", *bank)
    )
    assert "named right" in told
    assert "No face in 2 photo(s): broken.jpg, meadow.png" in told
    assert Path("scores.png").read_bytes().startswith(b"\x89PNG")
    report = json.loads(Path("report.json").read_text())
    assert report["rates"]["right"] == 1
    assert report["rates"]["false_name"] == 0
    assert {row["similarity"] for row in report["thresholds"]} >= {0.3, 0.5, 0.8}
    assert not Path("data").exists()


def test_evaluate_measures_banks_within_groups(
    bank: list[str], photos: Mapping[str, Path], pipeline: Pipeline
) -> None:
    people = [f"p{number}" for number in range(12)]
    for name, picture in zip(people, portraits(photos, pipeline), strict=False):
        Path("album", name).mkdir(parents=True)
        Path("album", name, "1.jpg").write_bytes(encode_jpeg(picture, 92))
        Path("album", name, "2.jpg").write_bytes(encode_jpeg(picture[:, ::-1], 60))
    rows = [
        f"{name},{'river' if name != 'p3' else 'hill'},{'left' if n < 6 else 'right'}"
        for n, name in enumerate(people)
    ]
    Path("groups.csv").write_text("\n".join(["person,village,side", *rows]))
    options = ("--enrolled", "1", "--trials", "2", "--groups", "groups.csv", "--json", "report.json")
    told = said(visage("evaluate", "album", *options, *bank))
    assert "village: river" in told
    assert "not measured: side: left, side: right, village: hill" in " ".join(told.split())
    measured = {row["group"]: row for row in json.loads(Path("report.json").read_text())["groups"]}
    assert measured["side: left"] == {"group": "side: left", "measured": False}
    for group in ("everyone", "village: river"):
        assert measured[group]["rates"]["right"] == 1
        assert measured[group]["intervals"]["right"] == [1, 1]
        assert 0 <= measured[group]["intervals"]["false_name"][0] <= measured[group]["rates"]["false_name"]
    Path("groups.csv").write_text("who\nAnn\n")
    assert "needs a column" in visage("evaluate", "album", *options, *bank).stderr


def test_evaluate_draws_svg_and_refuses_what_it_cannot_draw(bank: list[str], photos: Mapping[str, Path]) -> None:
    folder = album(Path("album"), photos)
    said(visage("evaluate", folder, "--enrolled", "2", "--picture", "scores.svg", *bank))
    assert "<svg" in Path("scores.svg").read_text()
    refused = visage("evaluate", folder, "--enrolled", "2", "--picture", "scores.doc", *bank)
    assert refused.exit_code == 1
    assert "scores.doc cannot be drawn" in refused.stderr.splitlines()[-1]


def test_evaluate_and_calibrate_say_when_there_is_too_little(bank: list[str], photos: Mapping[str, Path]) -> None:
    folder = album(Path("album"), photos)
    assert "with more than 5 photos" in visage("evaluate", folder, "--enrolled", "5", *bank).stderr
    refused = visage("calibrate", folder, *bank)
    assert refused.exit_code == 1
    assert "at least 50 persons" in refused.stderr.splitlines()[-1]


def test_a_calibration_of_ones_own_is_used_from_the_next_start_on(
    bank: list[str], photos: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    said(visage("register", "Barack", photos["obama"], *bank))
    assert json.loads(said(visage("identify", photos["obama2"], "--json", *bank)))["match"]
    alike = crowd(100, 4, spread=0.2)  # people who all look alike: nothing may be named
    blended = unit(alike.embeddings + 3 * alike.embeddings[:1])
    monkeypatch.setattr(accuracy, "embed_folder", lambda *_: replace(alike, embeddings=blended))
    Path("album").mkdir()
    assert "Written to" in said(visage("calibrate", "album", *bank))
    assert json.loads(said(visage("identify", photos["obama2"], "--json", *bank)))["match"] is None
