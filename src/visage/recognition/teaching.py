"""What a human's word changes: what is worth keeping of it, and what would help more."""

from __future__ import annotations

from collections.abc import Sequence

from visage.types import Advice, Caution, Issue, Person, Photo, Undo
from visage.vision.quality import ADVICE

# Part of looks that are named right with 300 persons remembered (`docs/decisions/0043-in-two-places.md`).
_RIGHT = (0.94, 0.98, 0.99)
"""By so many photos: one, two, three or more."""
_GOOD = 60
_RIGHT_WHERE_POOR, _RIGHT_WHERE_GOOD = 0.77, 0.97
"""By one photo of a quality (0–100) below that, and by a good one."""


def advice(name: str, photos: Sequence[Photo], *, views: int) -> Advice | None:
    """What would help most to recognise someone by these photos, of so many views; None where there is enough."""
    best = max(photos, key=lambda photo: photo.quality.score, default=None)
    if best is None or views >= len(_RIGHT):
        return None
    known = max(views, 1)
    issues = best.quality.issues
    turned = all(Issue.TURNED_AWAY in photo.quality.issues for photo in photos)
    if best.quality.score < _GOOD:
        words = " ".join([f"A better photo of {name} would help most.", *(ADVICE[issue] for issue in issues)])
        return Advice("BETTER_PHOTO", words, "into_the_camera", _RIGHT_WHERE_POOR, _RIGHT_WHERE_GOOD)
    which = "looking into the camera" if turned else "from another day, in other light"
    return Advice(
        "MORE_PHOTOS",
        f"Another photo of {name} would help, {which}.",
        "into_the_camera" if turned else "another_day",
        *_RIGHT[known - 1 : known + 1],
    )


def lifted(person: Person, undo: Undo | None) -> list[Caution]:
    """A caution where an older "that's wrong" holds no longer."""
    count = len(undo.content.get("lifted", undo.content["set_aside"])) if undo is not None else 0
    if undo is None or not count:
        return []
    return [
        Caution(
            "REJECTION_LIFTED",
            f"Somebody had said that this face is not {person.name}; that holds no longer",
            {"undo_id": undo.undo_id, "person_id": person.person_id, "rejections": count},
        )
    ]
