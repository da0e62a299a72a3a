"""Several people in a picture that lies upside down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from visage.vision.image import Limits, decode
from visage.vision.pipeline import Pipeline


@pytest.mark.parametrize("name", ["group2", "group4", "group5", "group6"])
def test_as_many_people_are_found_upside_down_as_upright(
    pipeline: Pipeline, photos: Mapping[str, Path], name: str
) -> None:
    upright = decode(photos[name].read_bytes(), Limits())
    faces = [face for face in pipeline.analyse(upright) if face.is_clear]
    turned = [face for face in pipeline.analyse(np.ascontiguousarray(upright[::-1, ::-1])) if face.is_clear]
    assert len(turned) >= len(faces) - 1
    alike = np.stack([face.embedding for face in faces]) @ np.stack([face.embedding for face in turned]).T
    assert sorted(alike.max(axis=0) > 0.6).count(True) >= len(faces) - 1
