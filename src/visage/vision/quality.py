"""How far a picture of a face can be trusted, and what a person can do to make a better one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
    Issue.OCCLUDED: "Something may cover the face. Take off sunglasses, mask or hat, and keep hands away.",
    Issue.CUT_OFF: "Part of the face is outside the picture. Keep the whole head in view.",
    Issue.NO_CLEAR_FACE: "This may be no face, or one that is hidden. Show the whole face, the right way up.",
}
"""A sentence for a person on how to do better, for each issue."""

_CLARITY_0, _CLARITY_100 = 0.35, 0.85
"""Clarity (a cosine) of a score of 0 and of 100: below the one nobody is recognised, at the other everyone is."""

_HARD_TO_SEE = 50
"""Below this score something is wrong; where no measure says what, something covers the face."""

_MERE_BLUR = 0.07
_MERE_BLUR_SCORE = 40
"""Below this sharpness a picture scores no more than that, whatever the network makes of it: to the network one blur
looks much like another, and it is as sure of it as of a face. None of 400 photos of the development data is so
blurred."""

_HALF_A_FACE = 0.6
_HALF_A_FACE_SCORE = 15
"""Where less of a face is inside the picture, it scores no more than that: most halves still look like their own
person, but halves of two strangers, cut on the same side, look alike forty times as often as whole faces do."""

UNCLEAR = Quality(0, (Issue.NO_CLEAR_FACE,))
"""Of what is not clearly an upright face (`look`)."""

# Face Mesh vertices at the rim: the temples beside the right and the left ear, forehead and chin. Their depth tells
# the pose.
_RIM = np.array([234, 454, 10, 152])
_EYE_CORNERS = np.array([[33, 133], [362, 263]])


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
    """

    eye_distance: float
    sharpness: float
    brightness: float
    contrast: float
    yaw: float
    pitch: float
    visible: float


def measure(aligned: Image, mesh: Floats, width: int, height: int) -> Measures:
    """Measure one face.

    Args:
        aligned: (112, 112, 3) uint8, RGB.
        mesh: (468, 3) float32 pixels of the original image (x, y, z).
        width, height: of the original image, pixels.
    """
    brightness, contrast, sharpness = measure_light(aligned)
    inside = (mesh[:, 0] >= 0) & (mesh[:, 0] < width) & (mesh[:, 1] >= 0) & (mesh[:, 1] < height)
    right, left, forehead, chin = mesh[_RIM].tolist()
    return Measures(
        eye_distance=math.dist(*mesh[_EYE_CORNERS, :2].sum(axis=1).tolist()) / 2,
        sharpness=sharpness,
        brightness=brightness,
        contrast=contrast,
        yaw=_rise(right, left),
        pitch=_rise(forehead, chin),
        visible=np.count_nonzero(inside) / len(inside),
    )


def measure_light(aligned: Image) -> tuple[float, float, float]:
    """Brightness, contrast and sharpness of an aligned face, (112, 112, 3) uint8, RGB; as in `Measures`."""
    # The middle of the aligned face: brows to mouth, without hair and background.
    grey = cv2.cvtColor(aligned[28:106, 24:88], cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges = cv2.Laplacian(cv2.GaussianBlur(grey, (3, 3), 0), cv2.CV_32F)
    (brightness, contrast), (_, roughness) = (np.ravel(cv2.meanStdDev(each)).tolist() for each in (grey, edges))
    return brightness, contrast, roughness / max(contrast, 1.0)


def _rise(start: Sequence[float], end: Sequence[float]) -> float:
    """How steeply the way from one point (x, y, z) to another leads away from the camera, degrees."""
    x, y, z = (b - a for a, b in zip(start, end, strict=True))
    return math.degrees(math.atan2(z, math.hypot(x, y)))


def assess(measures: Measures, clarity: float) -> Quality:
    """Turn what is known of a face into a score of 0–100 and the issues worth telling a person.

    The score is what the embedding network makes of the face (`embed.Embedded.clarity`): measured against the cosine
    to other photos of the same person it predicts far better than any property of the picture does
    (`docs/decisions/0005-quality.md`). The properties say what to do about it.
    """
    score = round(100 * min(max((clarity - _CLARITY_0) / (_CLARITY_100 - _CLARITY_0), 0), 1))
    if measures.sharpness < _MERE_BLUR:
        score = min(score, _MERE_BLUR_SCORE)
    if measures.visible < _HALF_A_FACE:
        score = min(score, _HALF_A_FACE_SCORE)
    found = {
        Issue.TOO_SMALL: measures.eye_distance < 24,
        Issue.BLURRED: measures.sharpness < 0.12,
        Issue.TOO_DARK: measures.brightness < 40,
        Issue.TOO_BRIGHT: measures.brightness > 220,
        Issue.LOW_CONTRAST: measures.contrast < 14,
        Issue.TURNED_AWAY: max(abs(measures.yaw), abs(measures.pitch) / 0.8) > 35,
        Issue.CUT_OFF: measures.visible < 0.9,
    }
    issues = tuple(issue for issue, is_so in found.items() if is_so)
    if not issues and score < _HARD_TO_SEE:
        issues = (Issue.OCCLUDED,)
    return Quality(score, issues)
