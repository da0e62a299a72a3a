"""Which photos may be remembered: one face that stands out, and that can be seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from visage.errors import FaceNotUsable, MultipleFaces, NoFaceDetected, VisageError
from visage.types import Caution, Face, NewPhoto
from visage.vision.quality import ADVICE

_DOMINANCE = 1.7
"""A face stands out where it is at least so many times as prominent as the next that could be remembered. The middle
one of three people of one size, side by side over the whole picture, does not: it is 1.6 times as prominent."""

_CENTRE_SPREAD = 0.35
"""How fast a face counts less away from the middle of the picture: the standard deviation of a bell curve, in
picture widths and heights. Of 621 portraits with people in the background this, how well they are seen, and the
dominance above refuse 3 % (57 % by area alone), and they still refuse every group photo of the tests."""

USABLE = 20
"""A face of lower quality (0–100) is not remembered: two of three such pictures do not look like their own person."""

_GOOD_ENOUGH = 40
"""A face of lower quality is remembered with a warning."""


_SEEN_WELL = 50
"""A face of lower quality (0–100) counts less. So does one that the detector is less sure of, by the square: who is
half hidden behind another has a box as large, and a lower score."""


def prominence(face: Face, width: int, height: int) -> float:
    """How much a picture of (width, height) pixels is a picture of this face: its area, less away from the middle,
    and less where it is not seen well."""
    x = (face.box.x + face.box.width / 2) / width - 0.5
    y = (face.box.y + face.box.height / 2) / height - 0.5
    seen = face.detection_score**2 * min(1.0, (face.quality.score + 5) / _SEEN_WELL)
    return seen * face.box.area * float(np.exp(-(x**2 + y**2) / (2 * _CENTRE_SPREAD**2)))


def dominant_face(faces: Sequence[Face], width: int, height: int) -> Face:
    """The face that a picture of (width, height) pixels is of.

    Raises:
        NoFaceDetected: there is none.
        MultipleFaces: none of several stands out; `details.faces` gives the boxes.
    """
    if not faces:
        raise NoFaceDetected
    clear = [face for face in faces if face.is_clear] or faces
    ranked = sorted(clear, key=lambda face: prominence(face, width, height), reverse=True)
    if len(ranked) > 1:
        first, second = (prominence(face, width, height) for face in ranked[:2])
        if first < _DOMINANCE * second:
            boxes = [
                {"x": round(b.x), "y": round(b.y), "width": round(b.width), "height": round(b.height)}
                for b in (face.box for face in ranked)
            ]
            raise MultipleFaces(details={"faces": boxes})
    return ranked[0]


def usable(face: Face) -> Face:
    """The face itself.

    Raises:
        FaceNotUsable: too little of it can be seen; the message says what to do about it.
    """
    if face.quality.score < USABLE:
        advice = [ADVICE[issue] for issue in face.quality.issues]
        raise FaceNotUsable(" ".join([FaceNotUsable.default_message + ".", *advice]))
    return face


def poor_photos(results: Sequence[NewPhoto | VisageError]) -> list[Caution]:
    """A caution for each photo that is kept though it is poor."""
    return [
        Caution(
            "LOW_QUALITY",
            " ".join([f"Photo {index} is poor.", *(ADVICE[issue] for issue in result.quality.issues)]),
            {"photo": index, "score": result.quality.score},
        )
        for index, result in enumerate(results, start=1)
        if isinstance(result, NewPhoto) and result.quality.score < _GOOD_ENOUGH
    ]
