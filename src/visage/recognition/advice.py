"""Which photo would help most to recognise somebody more often."""

from __future__ import annotations

from collections.abc import Sequence

from visage.bank.bank import MemoryBank
from visage.types import Advice, Issue, Person, Photo
from visage.vision.quality import ADVICE

# Part of looks that are named right with 300 persons remembered (`docs/decisions/0029-in-two-places.md`).
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


def advice_for(bank: MemoryBank, person: Person) -> Advice | None:
    """What would help most to recognise this person; None where there is enough."""
    return advice(person.name, bank.photos(person.person_id), views=person.views)


def advice_for_all(bank: MemoryBank) -> list[tuple[Person, Advice]]:
    """Who would be recognised more often by another photo, and which one would help most."""
    photos: dict[str, list[Photo]] = {}
    looks = bank.looks()
    for photo in looks.photos:
        photos.setdefault(photo.person_id, []).append(photo)
    found = ((person, advice(person.name, photos[person.person_id], views=person.views)) for person in looks.persons)
    return [(person, words) for person, words in found if words is not None]
