"""How far a picture of a face can be trusted, and what a person can do to make a better one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visage.types import Image, Issue, Quality

Floats = NDArray[np.float32]

ADVICE: Mapping[Issue, str] = {
    Issue.TOO_SMALL: "The face is small in the picture. Come closer, or use a larger photo.",
    Issue.BLURRED: "The face is blurred. Hold still, clean the lens, or use a sharper photo.",
    Issue.TOO_DARK: "The face is too dark. Turn towards a window or a lamp.",
    Issue.TOO_BRIGHT: "The face is too bright. Avoid direct light on it.",
    Issue.LOW_CONTRAST: "The face is flat or hazy. Use softer light from the side, and no light behind.",
    Issue.TURNED_AWAY: "The face is turned away. Look into the camera.",
    Issue.CUT_OFF: "Part of the face is outside the picture. Keep the whole head in view.",
}
"""A sentence for a person on how to do better, for each issue."""

# Face Mesh vertices at the rim: temples beside the ears, forehead and chin. Their depth tells the pose.
_RIGHT_CHEEK, _LEFT_CHEEK, _FOREHEAD, _CHIN = 234, 454, 10, 152


@dataclass(frozen=True, slots=True)
class Measures:
    """What is measured on one face.

    Attributes:
        eye_distance: between the eye centres, pixels of the original image.
        sharpness: standard deviation of the Laplacian over that of the grey values; without unit.
        brightness: mean grey value of the face, 0–255.
        contrast: standard deviation of the grey values of the face, 0–255.
        yaw, pitch: degrees; 0 looks into the camera, positive yaw to the subject's left, positive pitch down.
        visible: part of the mesh that lies inside the image, 0–1.
        presence: the landmark network's own opinion that this is a face, 0–1.
    """

    eye_distance: float
    sharpness: float
    brightness: float
    contrast: float
    yaw: float
    pitch: float
    visible: float
    presence: float


def measure(aligned: Image, mesh: Floats, presence: float, width: int, height: int) -> Measures:
    """Measure one face.

    Args:
        aligned: (112, 112, 3) uint8, RGB.
        mesh: (468, 3) float32 pixels of the original image (x, y, z).
        presence: 0–1.
        width, height: of the original image, pixels.
    """
    # The middle of the aligned face: brows to mouth, without hair and background.
    grey = cv2.cvtColor(aligned[28:106, 24:88], cv2.COLOR_RGB2GRAY).astype(np.float32)
    contrast = float(grey.std())
    edges = cv2.Laplacian(cv2.GaussianBlur(grey, (3, 3), 0), cv2.CV_32F)
    right, left = mesh[[33, 133], :2].mean(axis=0), mesh[[362, 263], :2].mean(axis=0)
    across, down = mesh[_LEFT_CHEEK] - mesh[_RIGHT_CHEEK], mesh[_CHIN] - mesh[_FOREHEAD]
    inside = (mesh[:, 0] >= 0) & (mesh[:, 0] < width) & (mesh[:, 1] >= 0) & (mesh[:, 1] < height)
    return Measures(
        eye_distance=float(np.linalg.norm(left - right)),
        sharpness=float(np.asarray(edges).std() / max(contrast, 1.0)),
        brightness=float(grey.mean()),
        contrast=contrast,
        yaw=float(np.degrees(np.arctan2(across[2], np.linalg.norm(across[:2])))),
        pitch=float(np.degrees(np.arctan2(down[2], np.linalg.norm(down[:2])))),
        visible=float(inside.mean()),
        presence=presence,
    )


def assess(measures: Measures) -> Quality:
    """Turn measures into a score of 0–100 and the issues worth telling a person."""
    turned = max(abs(measures.yaw) / 1.0, abs(measures.pitch) / 0.8)
    parts: dict[Issue, float] = {
        Issue.TOO_SMALL: _ramp(measures.eye_distance, 10, 36),
        Issue.BLURRED: _ramp(measures.sharpness, 0.05, 0.22),
        Issue.TOO_DARK: _ramp(measures.brightness, 15, 60),
        Issue.TOO_BRIGHT: _ramp(measures.brightness, 250, 215),
        Issue.LOW_CONTRAST: _ramp(measures.contrast, 6, 22),
        Issue.TURNED_AWAY: _ramp(turned, 65, 25),
        Issue.CUT_OFF: _ramp(measures.visible, 0.6, 0.97),
    }
    score = 100 * float(np.prod(list(parts.values()))) * _ramp(measures.presence, 0.0, 0.5)
    return Quality(round(score), tuple(issue for issue, part in parts.items() if part < 0.7))


def _ramp(value: float, bad: float, good: float) -> float:
    """0 at `bad` and beyond, 1 at `good` and beyond, straight between."""
    return float(np.clip((value - bad) / (good - bad), 0, 1))
