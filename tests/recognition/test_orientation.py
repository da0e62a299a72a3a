"""Upside down, half outside, no face at all: named as oneself or not at all, and never remembered as another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.disguises import as_image
from visage.errors import FaceNotUsable, NoFaceDetected
from visage.recognition import decision
from visage.recognition.recognizer import Recognizer
from visage.types import Image
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.pipeline import Faces, LocatedFace, Pipeline


def small(path: Path, side: int = 700) -> Image:
    """A photo, its longer side so many pixels."""
    photo = decode(path.read_bytes(), Limits())
    scale = side / max(photo.shape[:2])
    return as_image(cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def overturned(path: Path) -> bytes:
    """A photo upside down."""
    return encode_jpeg(np.ascontiguousarray(small(path)[::-1, ::-1]), 92)


def enrol(recognizer: Recognizer, name: str, image: bytes) -> str:
    """Register one image; whose it became."""
    return recognizer.enrol(name=name, relationship=None, metadata={}, images=[image]).person.person_id


def test_a_photo_upside_down_joins_the_person_of_its_name(recognizer: Recognizer, photos: Mapping[str, Path]) -> None:
    first = enrol(recognizer, "Barack", photos["obama"].read_bytes())
    assert enrol(recognizer, "Barack", overturned(photos["obama2"])) == first
    assert recognizer.bank.person_count == 1


def test_who_was_registered_upright_is_known_upside_down_and_nobody_else_is(
    recognizer: Recognizer, photos: Mapping[str, Path]
) -> None:
    enrol(recognizer, "Barack", photos["obama"].read_bytes())
    for name in ("obama2", "obama3", "biden", "astronaut", "group5"):
        match = recognizer.identify(overturned(photos[name])).match
        assert (match.person.name if match else None) == ("Barack" if name.startswith("obama") else None), name


def test_who_was_registered_upside_down_is_known_upright_and_nobody_else_is(
    recognizer: Recognizer, photos: Mapping[str, Path]
) -> None:
    enrol(recognizer, "Barack", overturned(photos["obama"]))
    for name in ("obama2", "biden", "astronaut"):
        for image in (photos[name].read_bytes(), overturned(photos[name])):
            match = recognizer.identify(image).match
            assert (match.person.name if match else None) == ("Barack" if name.startswith("obama") else None), name


def test_a_picture_that_is_overturned_before_the_camera_keeps_its_name(
    recognizer: Recognizer, photos: Mapping[str, Path]
) -> None:
    enrol(recognizer, "Barack", photos["obama"].read_bytes())
    now = 0.0
    camera = recognizer.camera(lambda: now)
    upright = encode_jpeg(small(photos["obama2"]), 92)
    for image in [upright] * 4 + [overturned(photos["obama2"])] * 4:
        match = recognizer.identify(image, camera).match
        assert match is not None
        assert match.person.name == "Barack"
        now += 0.04


def test_more_is_asked_of_who_is_seen_upside_down_and_of_nobody_else(
    recognizer: Recognizer, photos: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pictures and before a camera; a head on a pillow is not upside down."""
    enrol(recognizer, "Barack", photos["obama"].read_bytes())
    monkeypatch.setattr(decision, "_OVERTURNED", 2.0)  # more than anybody reaches
    upright = small(photos["obama2"])
    for image, named in ((upright, True), (np.rot90(upright), True), (upright[::-1, ::-1], False)):
        for camera in (None, recognizer.camera()):
            (found,) = recognizer.identify(encode_jpeg(np.ascontiguousarray(image), 92), camera).faces
            assert (found.match is not None) == named
            assert found.face.is_overturned == (not named)


def test_who_comes_before_the_camera_upside_down_is_found_within_a_second(
    recognizer: Recognizer, pipeline: Pipeline, photos: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a single picture; who is not there costs one look a second."""
    turned = list[bool]()
    find = pipeline.find

    def counted(image: Image, *, overturned: bool = False) -> Faces[LocatedFace]:
        turned.append(overturned)
        return find(image, overturned=overturned)

    monkeypatch.setattr(pipeline, "find", counted)
    enrol(recognizer, "Joe", photos["biden"].read_bytes())
    turned.clear()
    nobody = encode_jpeg(np.full((480, 640, 3), 90, dtype=np.uint8), 92)
    now = 0.0
    camera = recognizer.camera(lambda: now)
    names = list[str | None]()
    for image in [nobody] * 13 + [overturned(photos["biden"])] * 8:
        match = recognizer.identify(image, camera).match
        names.append(match.person.name if match else None)
        now += 0.2
    assert names[:13] == [None] * 13
    assert names[-4:] == ["Joe"] * 4
    assert sum(turned[: turned.index(True) + 1]) == 1
    assert turned.count(True) == 4  # at 0, 1, 2 and 3 seconds
    assert len(turned) > 15


def test_half_a_face_at_the_border_is_refused_in_words(
    recognizer: Recognizer, pipeline: Pipeline, photos: Mapping[str, Path]
) -> None:
    photo = small(photos["biden"], 1000)
    (face,) = pipeline.find(photo)
    half = encode_jpeg(np.ascontiguousarray(photo[: round(face.box.y + 0.52 * face.box.height)]), 92)
    with pytest.raises(FaceNotUsable, match="Keep the whole head in view"):
        enrol(recognizer, "Joe", half)


def test_what_is_no_face_is_never_the_one_who_was_registered(
    recognizer: Recognizer, photos: Mapping[str, Path]
) -> None:
    """Not even by hand: no picture of a cartoon is verified, rejected, or a "might be"."""
    from tests.vision.test_look import cartoon

    person = enrol(recognizer, "Joe", photos["biden"].read_bytes())
    picture = encode_jpeg(cartoon(), 95)
    with pytest.raises(FaceNotUsable, match="the right way up"):
        enrol(recognizer, "Cartoon", picture)
    (face,) = recognizer.identify(picture).faces
    assert face.status == "unknown"
    verified = recognizer.verify_person(picture, person)
    assert not verified.same
    assert verified.similarity == 0
    with pytest.raises(NoFaceDetected):
        recognizer.reject_image(person, picture)
