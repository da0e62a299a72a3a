"""A folder of labelled photos, one folder a person, as faces."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visage.errors import InputError, InstallationError
from visage.recognition.enrolment import prominence
from visage.vision.image import Limits, decode
from visage.vision.pipeline import Pipeline

_SUFFIXES = {".jpg", ".jpeg", ".png"}
_WHO = {"person", "name"}


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFaces:
    """One face a photo: the most prominent one.

    Attributes:
        persons: names of the n persons, sorted.
        labels: (m,) int64, 0 … n − 1, whose each face is.
        files: m file names.
        embeddings: (m, D) float32, unit length.
        qualities: (m,) int64, 0–100.
        no_face: names of the files in which there was no face, or no picture.
    """

    persons: tuple[str, ...]
    labels: NDArray[np.int64]
    files: tuple[str, ...]
    embeddings: NDArray[np.float32]
    qualities: NDArray[np.int64]
    no_face: tuple[str, ...]

    @property
    def names(self) -> NDArray[np.str_]:
        """(m,) whose each face is."""
        return np.array(self.persons)[self.labels]

    def of_persons(self, chosen: NDArray[np.int64]) -> LabelledFaces:
        """Those of some persons, by label; the labels are counted anew."""
        rows = np.flatnonzero(np.isin(self.labels, chosen))
        known, labels = np.unique(self.labels[rows], return_inverse=True)
        return LabelledFaces(
            persons=tuple(self.persons[label] for label in known),
            labels=labels.astype(np.int64),
            files=tuple(self.files[row] for row in rows),
            embeddings=self.embeddings[rows],
            qualities=self.qualities[rows],
            no_face=(),
        )


def read_groups(file: Path) -> dict[str, frozenset[str]]:
    """Read who belongs to which groups.

    The file is a CSV with a column `person` or `name`, as the folders are called, and any other columns, each of
    which sorts people in its own way (`group`, or `age` and `village`); an empty field is not known.

    Returns: "column: value" → the names of those people.

    Raises:
        InstallationError: it cannot be read, or has no such columns.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise InstallationError(f"{file} cannot be read as CSV") from exc
    columns = list(rows[0]) if rows else []
    who = next((column for column in columns if column in _WHO), None)
    if who is None or len(columns) < 2:
        raise InstallationError(f"{file} needs a column `person` or `name`, and at least one more")
    groups: dict[str, set[str]] = {}
    for row in rows:
        for column in columns:
            # Too few or too many fields in a line give None as value or key.
            if column and column != who and row[who] and isinstance(value := row[column], str) and value.strip():
                groups.setdefault(f"{column}: {value.strip()}", set()).add(row[who])
    return {name: frozenset(persons) for name, persons in sorted(groups.items())}


def embed_folder(folder: Path, pipeline: Pipeline, on_progress: Callable[[int, int], None]) -> LabelledFaces:
    """Embed FOLDER/PERSON/*.jpg, .jpeg, .png.

    Args:
        folder: one folder of photos a person.
        pipeline: images to faces.
        on_progress: is told how many photos of how many are done.

    Raises:
        InstallationError: there are no such photos, or no faces in them.
    """
    files = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in _SUFFIXES)
    names, used, embeddings, qualities, no_face = [], [], [], [], []
    for number, path in enumerate(files, start=1):
        on_progress(number, len(files))
        try:
            image = decode(path.read_bytes(), Limits())
        except InputError:
            no_face.append(path.name)
            continue
        height, width = image.shape[:2]
        if faces := [face for face in pipeline.analyse(image) if face.is_clear]:
            face = max(faces, key=lambda face: prominence(face, width, height))
            names.append(path.parent.name)
            used.append(path.name)
            embeddings.append(face.embedding)
            qualities.append(face.quality.score)
        else:
            no_face.append(path.name)
    if not embeddings:
        raise InstallationError(f"{folder} holds no folders with photos of faces")
    persons, labels = np.unique(names, return_inverse=True)
    return LabelledFaces(
        persons=tuple(str(person) for person in persons),
        labels=labels.astype(np.int64),
        files=tuple(used),
        embeddings=np.stack(embeddings),
        qualities=np.array(qualities, dtype=np.int64),
        no_face=tuple(no_face),
    )
