"""Which photos of a person show one view of them: the same shot in another size or quality, neighbouring frames.

Near copies say the same thing several times. They may be kept, but together they weigh as much as the best of them
alone, and count once wherever the number of photos says how well somebody is known
(`docs/decisions/0028-views.md`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SAME_VIEW = 0.94
"""Cosine from which two photos of one person are one view. Copies by another size or quality reach it in 95 to 100 of
100 cases, frames that follow each other too; of pairs of photos that were taken separately three in a thousand do,
and by eye those are of one occasion."""

_MIN_WEIGHT = 5
"""A photo of quality 0 still counts a twentieth of a perfect one: a person with only such photos has a template."""


def views_of(embeddings: NDArray[np.float32], same_view: float = SAME_VIEW) -> NDArray[np.int64]:
    """Which view each photo of one person belongs to, numbered from 0 as they come.

    A photo joins the view whose first photo it is most like, or begins one of its own. It is compared with the first
    photo alone, so that a film that turns slowly from the front to the side is not one view.

    Args:
        embeddings: (n, D) float32, unit length, the oldest photo first.
        same_view: cosine from which two of them are one view, as another model has it.

    Returns: (n,) int64.
    """
    first: list[int] = []
    found = np.zeros(len(embeddings), dtype=np.int64)
    for row in range(len(embeddings)):
        likenesses = embeddings[first] @ embeddings[row]
        nearest = int(likenesses.argmax()) if first else -1
        if not first or likenesses[nearest] < same_view:
            nearest = len(first)
            first.append(row)
        found[row] = nearest
    return found


def template_weights(scores: Sequence[int], views: NDArray[np.int64]) -> NDArray[np.float32]:
    """How much each photo counts in its person's template: by its quality, a view as much as its best photo.

    Args:
        scores: n qualities, 0–100.
        views: (n,) int64, as `views_of` gives them.

    Returns: (n,) float32.
    """
    weights: NDArray[np.float32] = np.maximum(np.asarray(scores, dtype=np.float32), np.float32(_MIN_WEIGHT))
    if len(views) < 2:
        return weights
    best = np.zeros(views.max() + 1, dtype=np.float32)
    np.maximum.at(best, views, weights)
    total = np.zeros_like(best)
    np.add.at(total, views, weights)
    return (weights * (best / total)[views]).astype(np.float32)
