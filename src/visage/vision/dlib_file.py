"""The weights of dlib's face recognition ResNet, read from the file that dlib wrote.

dlib writes a network from its input on: of each layer a name, then its numbers. An integer is a byte that says how
many bytes follow (and, in its highest bit, the sign), then these, the lowest first; a text is its length and its
bytes; a tensor is a version, four integers, then its values as float32. Only the layers that carry weights are
looked for.

Source: dlib 19.24, dlib/serialize.h, dlib/cuda/tensor.h and dlib/dnn/layers.h.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visage.errors import WeightsError

Floats = NDArray[np.float32]

_LAYERS = re.compile(rb"\x01\x05con_4|\x01\x07affine_|\x01\x04fc_2")
_CONVOLUTIONS = 29
_TENSOR_VERSION = 2
_MAX_VALUES = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """A convolution and the scaling after it, in one.

    Attributes:
        kernel: (out, in, height, width) float32.
        bias: (out,) float32.
        stride, padding: pixels, the same in both directions.
    """

    kernel: Floats
    bias: Floats
    stride: int
    padding: int


@dataclass(frozen=True, slots=True, eq=False)
class DlibWeights:
    """All layers that carry weights.

    Attributes:
        convolutions: from the input on.
        last: (256, 128) float32, the matrix at the end.
    """

    convolutions: tuple[Convolution, ...]
    last: Floats


def read_dlib(path: Path) -> DlibWeights:
    """Read `dlib_face_recognition_resnet_model_v1.dat`.

    Raises:
        WeightsError: it is another file.
    """
    data = path.read_bytes()
    try:
        found = [(match[0][2:], match.end()) for match in _LAYERS.finditer(data)]
        convolutions = [
            _convolution(_Reader(data, start), _Reader(data, scaling))
            for (name, start), (after, scaling) in pairwise(found)
            if (name, after) == (b"con_4", b"affine_")
        ]
        (name, start) = found[-1]
        if name != b"fc_2" or len(convolutions) != _CONVOLUTIONS or len(found) != 2 * _CONVOLUTIONS + 1:
            raise ValueError(name)
        reader = _Reader(data, start)
        outputs, inputs = reader.integer(), reader.integer()
        return DlibWeights(tuple(convolutions), reader.tensor().reshape(inputs, outputs))
    except (ValueError, IndexError) as exc:
        raise WeightsError(f"{path.name} is not dlib's face recognition network") from exc


def _convolution(layer: _Reader, scaling: _Reader) -> Convolution:
    values = layer.tensor()
    filters, height, width, stride, _, padding, _ = (layer.integer() for _ in range(7))
    kernel, bias = values[:-filters].reshape(filters, -1, height, width), values[-filters:]
    gamma, beta = scaling.tensor().reshape(2, filters)
    return Convolution(kernel * gamma[:, None, None, None], bias * gamma + beta, stride, padding)


class _Reader:
    """Reads on from a place in the file."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data, self._at = data, start

    def integer(self) -> int:
        head = self._data[self._at]
        size = head & 0x0F
        value = int.from_bytes(self._data[self._at + 1 : self._at + 1 + size], "little")
        self._at += 1 + size
        return -value if head & 0x80 else value

    def tensor(self) -> Floats:
        """(n,) float32, flat."""
        if self.integer() != _TENSOR_VERSION:
            raise ValueError("tensor")
        count = int(np.prod([self.integer() for _ in range(4)]))
        if not 0 < count <= _MAX_VALUES:
            raise ValueError("tensor")
        values = np.frombuffer(self._data, "<f4", count, self._at)
        self._at += values.nbytes
        return values.astype(np.float32)
