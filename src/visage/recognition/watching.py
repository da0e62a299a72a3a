"""What is kept of the faces of a frame, in memory and for minutes: who waits to be named, and the best pictures."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import partial

from visage.recognition.enrolment import USABLE
from visage.recognition.images import new_photo
from visage.recognition.sightings import Picture, Sightings
from visage.recognition.tracker import Track
from visage.recognition.unknowns import Unknowns
from visage.types import Face, IdentifiedFace, Image, NewPhoto, Status
from visage.vision.align import cut_out, portrait


def note_unknowns(
    unknowns: Unknowns, image: Image, faces: Sequence[IdentifiedFace], tracks: Sequence[Track], surely: float
) -> None:
    """Keep the faces of a camera that nobody knows, and let go those that are known now.

    Args:
        unknowns: those that wait to be named.
        image: the frame.
        faces: in it, each of a track.
        tracks: those.
        surely: cosine of two looks from which on they are the same person's.
    """
    for face, track in zip(faces, tracks, strict=True):
        look = track.looks[-1]
        if track.joined is not None:
            unknowns.join(track.uid, track.joined)
        if face.status is Status.KNOWN:
            unknowns.forget(track.uid)
            if track.is_fresh:
                unknowns.forget_like(track.evidence, surely)
        elif track.is_fresh and face.status is Status.UNKNOWN and look.quality.score >= USABLE:
            unknowns.seen(track.uid, look.quality.score, partial(_photo_of, image, look))


def keep_pictures(
    sightings: Sightings, image: Image, faces: Sequence[IdentifiedFace], tracks: Sequence[Track]
) -> list[str | None]:
    """Keep the best picture of each face that could be remembered; returns its key, by face. Without tracks the faces
    are those of an image that stands alone."""
    keys: list[str | None] = []
    for index, face in enumerate(faces):
        track = tracks[index] if tracks else None
        look = track.looks[-1] if track else face.face
        key = track.uid if track else str(uuid.uuid4())
        keys.append(key)
        if (
            (track is None or track.is_fresh)
            and look.quality.score >= USABLE
            and look.quality.score > sightings.picture_score(key)
        ):
            picture = Picture(*cut_out(image, look.landmarks), look.embedding, look.quality)
            sightings.keep_picture(key, face, picture)
    return keys


def _photo_of(image: Image, look: Face) -> NewPhoto:
    return new_photo(look.embedding, portrait(image, look.landmarks), look.quality)
