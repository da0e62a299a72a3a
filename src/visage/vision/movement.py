"""What movement did to a face while the shutter was open, undone before the network looks at it.

The aligned face itself tells whether, in which direction and how far; every other face stays as it is, to the bit
(`docs/decisions/0031-hard-conditions.md`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visage.types import Image
from visage.vision.align import _MIRRORED_VIEW, _PLAIN_VIEW, FACE_SIZE

_BLUR, _SHARP = 0.07, 0.19
"""A face of greater sharpness is not smeared; three of four are. One of less is out of focus: a smear leaves detail
in one direction, in 98 of 100 more than this."""
_ONE_WAY = 2.6
"""How much less detail a smeared face has in one direction than in another, at least; of clean faces 96 in 100 have
less, of faces out of focus 89."""
_SHORTEST, _LONGEST = 5.5, 17
_LOOKS_LONGER = 0.4
"""Smears of so many pixels of the aligned face are undone. Shorter ones do no harm, and what looks like one in a
clean face is shorter than 4. They look a little longer, since a derivative is taken over three pixels."""

_NOISE = 0.02
"""Power of the noise against that of the picture, for undoing a smear."""
_MARGIN = 24
"""The picture goes on, mirrored, by so many pixels, so that what wraps around stays outside."""

_ANGLES = np.arange(36) * (math.pi / 36)
_ALONG = np.stack([np.cos(_ANGLES) ** 2, np.sin(2 * _ANGLES), np.sin(_ANGLES) ** 2])
"""(3, 36): makes the second derivative in each direction of those in x, x and y, y."""
_DETAIL_OF_FACES = 1 - 0.059 * np.cos(2 * _ANGLES) + 0.100 * np.cos(4 * _ANGLES)
"""How much of it a sharp face has in each direction, over their mean: of 400 faces, to a hundredth."""
_MIRRORED_IS_LARGER = float(_MIRRORED_VIEW[0, 0] / _PLAIN_VIEW[0, 0])


@dataclass(frozen=True, slots=True)
class _Smear:
    """A straight movement while the shutter was open.

    Attributes:
        angle: its direction, radians from x towards y.
        length: pixels.
    """

    angle: float
    length: float

    def mirrored(self) -> _Smear:
        """The same in the mirrored view of the face."""
        return _Smear(math.pi - self.angle, self.length * _MIRRORED_IS_LARGER)


def undo_movement(views: NDArray[np.uint8], sharpness: float) -> None:
    """Undo, in place, what movement did to a face.

    Args:
        views: (2, 112, 112, 3) uint8, RGB, from `align`, on the ArcFace template.
        sharpness: of the face, see `quality.Measures`.
    """
    if _BLUR <= sharpness < _SHARP and (smear := _find_smear(views[0])) is not None:
        for view, each in zip(views, (smear, smear.mirrored()), strict=True):
            view[:] = _undo(view, each)


def _find_smear(view: Image) -> _Smear | None:
    """How somebody moved; None where nobody did.

    Along the movement fine detail is lost. There the second derivative of the picture is that of a sharp one less its
    copy one smear further on, so it is like its own negative at that distance: Yitzhaky & Kopeika 1997, Graphical
    Models and Image Processing 59(5).
    """
    grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY).astype(np.float32)
    soft = cv2.GaussianBlur(grey, (0, 0), 1.0)
    inner = (slice(12, 104), slice(12, 100))
    curved = np.stack([cv2.Sobel(soft, cv2.CV_32F, *order)[inner].ravel() for order in ((2, 0), (1, 1), (0, 2))])
    detail = np.einsum("in,ij,jn->n", _ALONG, curved @ curved.T, _ALONG) / _DETAIL_OF_FACES
    if detail.max() < _ONE_WAY * detail.min():
        return None
    angle = float(_ANGLES[detail.argmin()])
    level = cv2.getRotationMatrix2D(((FACE_SIZE - 1) / 2,) * 2, math.degrees(angle), 1)
    fine = cv2.warpAffine(
        cv2.GaussianBlur(grey, (0, 0), 0.6),
        level,
        (FACE_SIZE, FACE_SIZE),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    )
    along = cv2.Sobel(fine, cv2.CV_32F, 2, 0)[16:100, 8:104]
    most = 3 * float(along.std())
    along = np.clip(along - along.mean(), -most, most)
    width = along.shape[1]
    alike = [float((along[:, : width - far] * along[:, far:]).sum()) for far in range(_LONGEST + 2)]
    far = 3 + int(np.argmin(alike[3:-1]))
    before, at, after = alike[far - 1 : far + 2]
    bend = before - 2 * at + after
    length = far + (0.5 * (before - after) / bend if bend > 0 else 0) - _LOOKS_LONGER
    return _Smear(angle, length) if length >= _SHORTEST else None


def _undo(view: Image, smear: _Smear) -> Image:
    """Undo a smear. Source: Wiener's filter; a smear of length L is a factor of sinc(L f) along its direction."""
    padded = cv2.copyMakeBorder(view, *(_MARGIN,) * 4, cv2.BORDER_REFLECT).astype(np.float32)
    side = padded.shape[0]
    x, y = np.fft.rfftfreq(side)[None, :], np.fft.fftfreq(side)[:, None]
    left = np.sinc(smear.length * (x * math.cos(smear.angle) + y * math.sin(smear.angle)))
    back = (1 + _NOISE) * left / (left**2 + _NOISE)
    spectrum = np.fft.rfft2(padded, axes=(0, 1)) * back[:, :, None]
    sharp = np.fft.irfft2(spectrum, s=(side, side), axes=(0, 1))[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    return np.clip(np.round(sharp), 0, 255).astype(np.uint8)
