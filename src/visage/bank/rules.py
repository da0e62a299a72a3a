"""What a value of a bank may be at most, whoever it comes from: a form, an import, or a backup that anybody made.

What a form accepts is narrower (`api/v1/fields.py`), and may become so: a bank that an older version made must still
be read, also by a Python that knows fewer characters.
"""

from __future__ import annotations

import json
import math
import unicodedata
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np

from visage.types import Embedding

MAX_TEXT = 200
"""Characters of a name, and of whatever else is a line of text."""

MAX_METADATA_BYTES = 16 * 1024
"""As JSON, of one person."""

_MAX_KEPT_METADATA_BYTES = 4 * MAX_METADATA_BYTES
"""Early versions measured it before it was written with spaces, and joined two."""

_MAX_DEPTH = 32
_MAX_TIME = 2**55
"""Microseconds since 1970: the year 3111, far from where adding to a time overflows."""

_UNIT = 1e-2
"""How far the length of an embedding may be from 1: the rounding of float16 and no more."""

NO_TEXT = frozenset({"Cc", "Cs"})
"""Unicode's categories of control characters, which a terminal obeys, and of halves of characters."""


def is_line(value: Any, most: int = MAX_TEXT) -> bool:
    """A line of text; may be empty."""
    return isinstance(value, str) and len(value) <= most and not any(map(NO_TEXT.__contains__, _categories(value)))


def is_name(value: Any) -> bool:
    """A line of text with something in it."""
    return is_line(value) and bool(value.strip())


def is_id(value: Any) -> bool:
    """A UUID as this program writes it, which is a safe name of a file too."""
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False


def is_time(value: Any) -> bool:
    """Microseconds since 1970."""
    return type(value) is int and 0 <= value <= _MAX_TIME


def is_plain(value: Any, depth: int = _MAX_DEPTH) -> bool:
    """JSON that every reader can read: finite numbers, whole characters, not deeper than allowed."""
    if depth < 0:
        return False
    if isinstance(value, dict):
        return all(is_plain(key, depth) and is_plain(item, depth - 1) for key, item in value.items())
    if isinstance(value, list):
        return all(is_plain(item, depth - 1) for item in value)
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, int):
        return abs(value) < 2**63
    return not isinstance(value, float) or math.isfinite(value)


def fits(metadata: Mapping[str, Any], most: int = MAX_METADATA_BYTES) -> bool:
    """Is it short enough to be kept?"""
    return len(json.dumps(metadata, ensure_ascii=False).encode()) <= most


def is_metadata(text: Any) -> bool:
    """A text that holds a JSON object, as it is stored. ValueError, RecursionError: it holds no JSON."""
    if not isinstance(text, str) or len(text) > 8 * _MAX_KEPT_METADATA_BYTES:
        return False
    found = json.loads(text)
    return isinstance(found, dict) and is_plain(found) and fits(found, _MAX_KEPT_METADATA_BYTES)


def is_embedding(vector: Embedding) -> bool:
    """(D,), finite, of unit length."""
    return vector.size > 0 and bool(abs(float(np.linalg.norm(vector.astype(np.float64))) - 1) <= _UNIT)


def _categories(value: str) -> map[str]:
    return map(unicodedata.category, value)
