"""Compiled networks on the disk: what is not as it was written is compiled anew, and nobody else can read it."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from openvino import opset13 as ops

from visage.vision import compiled
from visage.vision.models import BLAZEFACE, LANDMARKS
from visage.vision.runtime import Network, Runtime

FACES = np.random.default_rng(0).integers(0, 255, (2, 256, 256, 3), dtype=np.uint8)


def load(cache_dir: Path | None) -> Network:
    """The default detector's network, as a start loads it."""
    return Runtime(cache_dir=cache_dir).load(BLAZEFACE.files[0].path, mean=127.5, scale=127.5)


def kept(cache_dir: Path) -> Path:
    """The one file in there."""
    (path,) = cache_dir.iterdir()
    return path


@pytest.fixture(scope="module")
def expected() -> list[NDArray[np.float32]]:
    """What it gives, compiled from its weights."""
    return load(None)(FACES)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after a first start; not to be changed."""
    folder = tmp_path_factory.mktemp("started") / "compiled"
    load(folder)
    return folder


@pytest.fixture
def cache(started: Path, tmp_path: Path) -> Path:
    """Such a folder, to be spoilt."""
    return Path(shutil.copytree(started, tmp_path / "compiled"))


@pytest.fixture
def free_for_all() -> Iterator[None]:
    """What is made now, others may read and write, unless it is said otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_later_start_compiles_nothing(
    cache: Path, expected: list[NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ov.Core, "compile_model", None)
    for found, always in zip(load(cache)(FACES), expected, strict=True):
        assert np.array_equal(found, always)


@pytest.mark.parametrize("spoilt", ["zeroed", "one bit", "cut off", "longer", "empty", "another network's"])
def test_a_compiled_network_that_is_not_what_was_written_is_compiled_anew(
    cache: Path, expected: list[NDArray[np.float32]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    path = kept(cache)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    match spoilt:
        case "zeroed":
            content[middle : middle + 4096] = bytes(4096)
        case "one bit":
            content[middle] ^= 1
        case "cut off":
            del content[middle:]
        case "longer":
            content += b"\0"
        case "empty":
            content.clear()
        case _:
            Runtime(cache_dir=tmp_path / "other").load(LANDMARKS.files[0].path, mean=0, scale=255)
            content[:] = kept(tmp_path / "other").read_bytes()
    path.write_bytes(content)
    for found, always in zip(load(cache)(FACES), expected, strict=True):
        assert np.array_equal(found, always)
    monkeypatch.setattr(ov.Core, "compile_model", None)
    load(cache)  # is there again


def test_what_the_engine_does_not_take_is_compiled_anew(
    cache: Path, expected: list[NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "read", lambda *_: b"of another engine that calls itself the same")
    assert np.array_equal(load(cache)(FACES)[0], expected[0])


def test_what_was_compiled_from_other_weights_or_for_other_threads_is_not_taken(tmp_path: Path) -> None:
    def save(factor: float) -> Path:
        image = ops.parameter([1, 4, 4, 3], np.float32)
        product = ops.multiply(image, ops.constant(np.float32(factor)))
        ov.save_model(ov.Model([product], [image]), tmp_path / "net.xml", compress_to_fp16=False)
        return tmp_path / "net.xml"

    ones = np.ones((1, 4, 4, 3), dtype=np.uint8)
    for factor, threads in ((2, 0), (3, 0), (3, 1)):
        network = Runtime(threads, tmp_path / "compiled").load(save(factor), mean=0, scale=1)
        assert network(ones)[0].max() == factor
    assert len(list((tmp_path / "compiled").iterdir())) == 1


def test_nobody_else_may_read_or_write_it(tmp_path: Path, free_for_all: None) -> None:
    load(tmp_path / "compiled")
    assert (tmp_path / "compiled").stat().st_mode & 0o777 == 0o700
    assert kept(tmp_path / "compiled").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_was_open_to_others_is_closed(cache: Path) -> None:
    cache.chmod(0o777)
    load(cache)
    assert cache.stat().st_mode & 0o777 == 0o700


def test_a_link_in_the_folder_leads_nowhere(cache: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    path = kept(cache)
    path.unlink()
    path.symlink_to(elsewhere)
    path.with_name(f"{path.name}.part").symlink_to(elsewhere)
    load(cache)
    assert elsewhere.read_text() == "mine"
    assert not kept(cache).is_symlink()


def test_a_network_that_cannot_be_kept_runs_all_the_same(
    tmp_path: Path, expected: list[NDArray[np.float32]], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "compiled").write_text("a file")
    with caplog.at_level(logging.WARNING, "visage"):
        assert np.array_equal(load(tmp_path / "compiled")(FACES)[0], expected[0])
    assert "cannot be kept" in caplog.text
