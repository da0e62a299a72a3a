"""A folder of labelled photos, one folder a person, as faces."""

from __future__ import annotations

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
        if faces := pipeline.analyse(image):
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
