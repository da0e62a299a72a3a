"""Registering and recognising real people, with the real models and a real bank."""

from __future__ import annotations

import gc
import io
import itertools
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from tests.conftest import make_recognizer
from visage.bank.records import CounterExample
from visage.errors import (
    DuplicatePerson,
    InvalidImage,
    MultipleFaces,
    NoFaceDetected,
    PersonNotFound,
)
from visage.recognition.enrolment import Details
from visage.recognition.recognizer import Recognizer
from visage.recognition.sightings import Picture
from visage.types import Enrolment, NewPhoto, Person, Photo, Status, Undo
from visage.vision.pipeline import Pipeline


def enrol(recognizer: Recognizer, name: str, *paths: Path) -> Enrolment:
    """Register the photos under a name."""
    return recognizer.enrol(name=name, relationship=None, metadata={}, images=[path.read_bytes() for path in paths])


def no_face() -> bytes:
    """A picture of noise."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    PillowImage.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def strict(pipeline: Pipeline, tmp_path: Path) -> Iterator[Recognizer]:
    """A recognizer that refuses known faces under other names."""
    opened = make_recognizer(pipeline, tmp_path / "strict", "reject")
    yield opened
    opened.close()


def test_a_person_is_recognised_in_photos_that_were_not_registered(
    recognizer: Recognizer, photos: Mapping[str, Path]
) -> None:
    enrolled = enrol(recognizer, "Barack", photos["obama"])
    for name in ("obama2", "obama3", "partial1", "partial2", "rgba"):
        result = recognizer.identify(photos[name].read_bytes())
        assert result.match is not None, name
        assert result.match.person.person_id == enrolled.person.person_id
    for name in ("biden", "astronaut", "group1", "group2", "group3", "group4", "group5", "group6"):
        result = recognizer.identify(photos[name].read_bytes())
        assert result.match is None, name
        assert {face.status for face in result.faces} == {Status.UNKNOWN}


def test_the_same_name_with_the_same_face_is_the_same_person(
    recognizer: Recognizer, photos: Mapping[str, Path]
) -> None:
    first = enrol(recognizer, "Barack", photos["obama"])
    second = enrol(recognizer, "  bARACK ", photos["obama2"])
    third = enrol(recognizer, "ＢＡＲＡＣＫ", photos["obama3"])
    assert first.person.person_id == second.person.person_id == third.person.person_id
    assert [e.person.embedding_count for e in (first, second, third)] == [1, 2, 3]
    assert second.cautions == third.cautions == ()


def test_the_same_name_with_another_face_is_another_person(
    recognizer: Recognizer, photos: Mapping[str, Path]
) -> None:
    first = enrol(recognizer, "President", photos["obama"])
    second = enrol(recognizer, "President", photos["biden"])
    assert first.person.person_id != second.person.person_id
    assert enrol(recognizer, "President", photos["obama2"]).person.person_id == first.person.person_id


def test_a_known_face_under_another_name_is_registered_with_a_warning(
    recognizer: Recognizer, photos: Mapping[str, Path]
) -> None:
    first = enrol(recognizer, "Barack", photos["obama"])
    (caution,) = enrol(recognizer, "Barry", photos["obama2"]).cautions
    assert caution.code == "LOOKS_LIKE"
    assert caution.details["person_id"] == first.person.person_id
    assert "Barack" in caution.message
    assert recognizer.bank.person_count == 2


def test_a_known_face_under_another_name_is_refused_where_that_is_the_policy(
    strict: Recognizer, photos: Mapping[str, Path]
) -> None:
    enrol(strict, "Barack", photos["obama"])
    with pytest.raises(DuplicatePerson):
        enrol(strict, "Barry", photos["obama2"])
    assert enrol(strict, "Barack", photos["obama2"]).person.embedding_count == 2
    enrol(strict, "Joe", photos["biden"])
    assert strict.bank.person_count == 2


def test_two_equal_looking_persons_are_never_told_apart_by_guessing(
    recognizer: Recognizer, photos: Mapping[str, Path]
) -> None:
    """One man under two names: the look-alikes that cannot be told apart."""
    enrol(recognizer, "Barack", photos["obama"])
    enrol(recognizer, "Barry", photos["obama"])
    (face,) = recognizer.identify(photos["obama3"].read_bytes()).faces
    assert face.status is Status.UNCERTAIN
    assert face.match is None
    assert {c.person.name for c in face.candidates} == {"Barack", "Barry"}


def test_usable_photos_are_kept_and_the_others_reported(recognizer: Recognizer, photos: Mapping[str, Path]) -> None:
    images = [b"junk", photos["obama"].read_bytes(), no_face(), photos["obama2"].read_bytes()]
    enrolled = recognizer.enrol(name="B", relationship=None, metadata={}, images=images)
    assert enrolled.person.embedding_count == 2
    codes = [outcome.error.code if outcome.error else None for outcome in enrolled.outcomes]
    assert codes == ["INVALID_IMAGE", None, "NO_FACE_DETECTED", None]


def test_when_no_photo_is_usable_the_first_error_is_raised(
    recognizer: Recognizer, photos: Mapping[str, Path]
) -> None:
    for images, error in (
        ([no_face(), b"junk"], NoFaceDetected),
        ([b"junk", no_face()], InvalidImage),
        ([photos["group1"].read_bytes()], MultipleFaces),
    ):
        with pytest.raises(error):
            recognizer.enrol(name="B", relationship=None, metadata={}, images=images)
    assert recognizer.bank.person_count == 0


@pytest.mark.parametrize("number", range(1, 7))
def test_a_group_photo_registers_nobody(recognizer: Recognizer, photos: Mapping[str, Path], number: int) -> None:
    with pytest.raises(MultipleFaces) as refused:
        enrol(recognizer, "Who", photos[f"group{number}"])
    assert refused.value.details is not None
    assert len(refused.value.details["faces"]) >= 3


def test_a_photo_of_someone_else_is_reported_as_a_misfit(recognizer: Recognizer, photos: Mapping[str, Path]) -> None:
    person = enrol(recognizer, "Barack", photos["obama"]).person
    enrolled = recognizer.add_photos(person.person_id, [photos["obama2"].read_bytes(), photos["biden"].read_bytes()])
    assert [(c.code, c.details["photo"]) for c in enrolled.cautions] == [("DOES_NOT_FIT", 2)]


def test_every_face_of_a_group_gets_its_own_answer(recognizer: Recognizer, photos: Mapping[str, Path]) -> None:
    """Two men side by side, and the same man twice in one picture."""
    enrol(recognizer, "Barack", photos["obama"])
    enrol(recognizer, "Joe", photos["biden"])

    def beside(*names: str) -> bytes:
        pictures = [PillowImage.open(photos[name]).convert("RGB").resize((450, 600)) for name in names]
        sheet = PillowImage.new("RGB", (900, 600))
        for x, picture in zip(itertools.count(0, 450), pictures, strict=False):
            sheet.paste(picture, (x, 0))
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=92)
        return buffer.getvalue()

    pair = recognizer.identify(beside("obama", "biden"))
    assert sorted(face.match.person.name for face in pair.faces if face.match) == ["Barack", "Joe"]
    twice = recognizer.identify(beside("obama", "obama2"))
    assert [face.match.person.name for face in twice.faces if face.match] == ["Barack", "Barack"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_does_not_change_who_it_is(
    recognizer: Recognizer, photos: Mapping[str, Path], orientation: int
) -> None:
    upright = recognizer.detect(photos["obama"].read_bytes()).faces[0].embedding
    inverse = [None, 0, 3, 1, 5, 2, 6, 4][orientation - 1]
    picture = PillowImage.open(photos["obama"]).convert("RGB")
    if inverse is not None:
        picture = picture.transpose(PillowImage.Transpose(inverse))
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", exif=exif, quality=95)
    (face,) = recognizer.detect(buffer.getvalue()).faces
    assert float(face.embedding @ upright) >= 0.99


def test_verification_tells_same_from_different(recognizer: Recognizer, photos: Mapping[str, Path]) -> None:
    person = enrol(recognizer, "Barack", photos["obama"]).person
    assert recognizer.verify_person(photos["obama3"].read_bytes(), person.person_id).same
    assert not recognizer.verify_person(photos["biden"].read_bytes(), person.person_id).same
    same = recognizer.verify_images(photos["obama"].read_bytes(), photos["obama2"].read_bytes())
    other = recognizer.verify_images(photos["obama"].read_bytes(), photos["astronaut"].read_bytes())
    assert (same.same, other.same) == (True, False)
    assert same.confidence > 0.95
    assert other.confidence < 0.05
    with pytest.raises(PersonNotFound):
        recognizer.verify_person(photos["obama"].read_bytes(), "nobody")


def test_the_bank_is_embedded_anew_from_its_own_pictures(recognizer: Recognizer, photos: Mapping[str, Path]) -> None:
    person = enrol(recognizer, "Barack", photos["obama"]).person
    before = recognizer.bank.template(person.person_id)
    roster = recognizer.bank._roster
    roster.model = "another-model"
    roster.embeddings.clear()
    roster.refresh(person)
    assert recognizer.identify(photos["obama2"].read_bytes()).match is None
    assert recognizer.reembed(lambda *_: None) == 1
    assert float(recognizer.bank.template(person.person_id) @ before) > 0.98
    assert recognizer.identify(photos["obama2"].read_bytes()).match is not None


def test_a_photo_that_brings_metadata_and_a_change_of_metadata_both_count(
    recognizer: Recognizer, photos: Mapping[str, Path]
) -> None:
    person_id = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    offers = [recognizer.prepare(photos["obama"].read_bytes())]
    done = threading.Event()
    said: list[str] = []

    def say_more(person: Person) -> Person:
        return replace(person, metadata={**person.metadata, said[-1]: 1})

    def change() -> None:
        while not done.is_set() and len(said) < 100:  # more of it would not fit
            said.append(f"said {len(said)}")
            recognizer.bank.change(person_id, say_more)

    changing = threading.Thread(target=change)
    changing.start()
    for number in range(10):
        recognizer.add_prepared(person_id, Details(metadata={f"brought {number}": 1}), offers)
    done.set()
    changing.join(30)
    brought = {f"brought {number}" for number in range(10)}
    assert recognizer.bank.person(person_id).metadata.keys() == {*brought, *said}


def test_nothing_in_memory_is_of_who_was_forgotten(recognizer: Recognizer, photos: Mapping[str, Path]) -> None:
    """After all that may hold somebody: a camera, a sighting, a correction, a merge, the reports."""
    person_id = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    other_id = enrol(recognizer, "Joe", photos["biden"]).person.person_id
    camera = recognizer.camera()
    for _ in range(3):
        recognizer.identify(photos["obama2"].read_bytes(), camera)
    recognizer.reject_sighting(person_id, recognizer.identify(photos["obama3"].read_bytes()).identification_id)
    recognizer.merge(person_id, other_id)
    recognizer.report()
    recognizer.advice()

    def held() -> list[str]:
        gc.collect()
        return [
            type(each).__name__
            for each in gc.get_objects()
            if (isinstance(each, Person | Photo | Undo | CounterExample) and each.person_id in (person_id, other_id))
            or isinstance(each, NewPhoto | Picture)
        ]

    assert set(held()) >= {"Person", "Photo", "Undo", "CounterExample", "Picture"}
    recognizer.bank.forget(person_id)
    recognizer.forget_strangers()  # as the server does every minute
    assert held() == []
