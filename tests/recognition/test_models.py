"""One bank, two models: their vectors never meet, and the bank goes from one to the other and back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.recognition.test_rehearsal import crowd
from visage.errors import InstallationError, NoCalibration, UnknownModel
from visage.recognition import calibration
from visage.recognition.recognizer import Recognizer
from visage.service.opening import open_recognizer
from visage.storage.keys import KeySource
from visage.types import Image, Status
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.models import DEFAULT_SAMENESS, DLIB, MOBILEFACENET, SFACE

Opener = Callable[..., Recognizer]


@pytest.fixture
def open_with(tmp_path: Path, loaded: None) -> Iterator[Opener]:
    """Opens the bank with a model, as the server does; the one before is closed."""
    opened: list[Recognizer] = []

    def open_it(
        model: str = "mobilefacenet", detector: str = "blazeface", threshold: float | None = None
    ) -> Recognizer:
        while opened:
            opened.pop().close()
        opened.append(
            open_recognizer(
                data_dir=tmp_path / "data",
                key=KeySource(),
                threads=0,
                limits=Limits(),
                similarity_threshold=threshold,
                target_fpir=0.01,
                duplicate_policy="warn",
                model=model,
                detector=detector,
            )
        )
        return opened[0]

    yield open_it
    while opened:
        opened.pop().close()


def enrol(recognizer: Recognizer, name: str, *photos: Path) -> str:
    """Register somebody; returns the id."""
    images = [path.read_bytes() for path in photos]
    return recognizer.enrol(name=name, relationship=None, metadata={}, images=images).person.person_id


def named(recognizer: Recognizer, photo: Path) -> str | None:
    """Whom a photo is said to show."""
    match = recognizer.identify(photo.read_bytes()).match
    return match.person.name if match else None


def test_a_bank_goes_to_another_model_and_back(open_with: Opener, photos: Mapping[str, Path]) -> None:
    default = open_with()
    enrol(default, "Barack", photos["obama"], photos["obama2"])
    enrol(default, "Joe", photos["biden"])

    dlib = open_with("dlib")
    assert (dlib.bank.model, dlib.bank.person_count) == (DLIB.space, 2)
    assert (dlib.bank.embedding_count, dlib.bank.foreign_photos) == (0, 3)
    assert named(dlib, photos["obama3"]) is None
    assert dlib.reembed(lambda *_: None) == 3
    assert (dlib.bank.embedding_count, dlib.bank.foreign_photos, dlib.bank.check()) == (3, 0, [])
    assert named(dlib, photos["obama3"]) == "Barack"
    assert named(dlib, photos["astronaut"]) is None
    enrol(dlib, "Eileen", photos["astronaut"])

    default = open_with()
    assert (default.bank.embedding_count, default.bank.foreign_photos) == (3, 1)
    assert named(default, photos["obama3"]) == "Barack"
    assert named(default, photos["astronaut"]) is None
    assert default.reembed(lambda *_: None) == 1
    assert named(default, photos["astronaut"]) == "Eileen"

    dlib = open_with("dlib")
    assert (dlib.bank.embedding_count, dlib.bank.foreign_photos) == (4, 0)


def test_who_is_registered_again_with_another_model_stays_one_person(
    open_with: Opener, photos: Mapping[str, Path]
) -> None:
    """Their photos wait for `visage reembed`: nobody is a stranger to them for that, and nobody else gets them."""
    default = open_with()
    barack, joe = enrol(default, "Sam", photos["obama"], photos["obama2"]), enrol(default, "Joe", photos["biden"])

    dlib = open_with("dlib")
    assert enrol(dlib, "Sam", photos["obama3"]) == barack
    assert len(dlib.bank.photos(barack)) == dlib.bank.person(barack).embedding_count == 3
    assert enrol(dlib, "SAM ", photos["obama"]) == barack  # which is here already
    assert len(dlib.bank.photos(barack)) == 3
    other = enrol(dlib, "Sam", photos["astronaut"])
    assert other not in (barack, joe)
    assert (dlib.bank.person_count, dlib.bank.foreign_photos, dlib.bank.check()) == (3, 1, [])
    assert named(dlib, photos["biden"]) is None  # who was not asked for still waits


@pytest.mark.parametrize("how", ["confirm", "add"])
def test_what_is_said_of_somebody_whose_photos_wait_is_said_of_the_right_face(
    open_with: Opener, photos: Mapping[str, Path], tmp_path: Path, how: str
) -> None:
    default = open_with()
    barack, joe = enrol(default, "Barack", photos["obama"]), enrol(default, "Joe", photos["biden"])
    faces = [decode(photos[name].read_bytes(), Limits()) for name in ("biden", "obama3")]
    both = encode_jpeg(np.hstack([cv2.resize(face, (480, 600)) for face in faces]), 92)

    dlib = open_with("dlib")
    if how == "confirm":
        dlib.confirm_image(barack, both)
    else:
        dlib.add_photos(barack, [both])
    (first, second) = (vector for _, vector in dlib.bank.embedded(barack))
    assert float(first @ second) > 0.93
    assert dlib.verify_person(photos["biden"].read_bytes(), joe).same
    assert not dlib.verify_person(photos["biden"].read_bytes(), barack).same


def test_a_look_that_was_rejected_counts_for_its_own_model_only(
    open_with: Opener, photos: Mapping[str, Path]
) -> None:
    default = open_with()
    barack = enrol(default, "Barack", photos["obama"])
    default.reject_image(barack, photos["obama3"].read_bytes())
    assert named(default, photos["obama3"]) is None
    dlib = open_with("dlib")
    dlib.reembed(lambda *_: None)
    assert dlib.bank.counter_examples(barack) == ()
    assert named(dlib, photos["obama3"]) == "Barack"
    assert named(open_with(), photos["obama3"]) is None


def test_another_detector_leads_to_the_same_people(open_with: Opener, photos: Mapping[str, Path]) -> None:
    enrol(open_with(), "Barack", photos["obama"])
    with_mtcnn = open_with(detector="mtcnn")
    assert named(with_mtcnn, photos["obama3"]) == "Barack"
    assert named(with_mtcnn, photos["biden"]) is None
    assert with_mtcnn.bank.foreign_photos == 0


def test_without_a_calibration_a_model_names_nobody_and_says_what_to_do(
    open_with: Opener, photos: Mapping[str, Path]
) -> None:
    enrol(open_with(), "Barack", photos["obama"])
    with pytest.raises(
        NoCalibration, match=f"{SFACE.space}.*may name nobody.*`visage models evaluate NAME DIR --save`"
    ):
        open_with("sface")
    assert named(open_with(), photos["obama2"]) == "Barack"  # the bank was let go


def test_a_threshold_that_was_set_for_one_model_does_not_name_everybody_with_another(
    open_with: Opener, photos: Mapping[str, Path]
) -> None:
    """To dlib, strangers are alike to 0.8: a bank that names from 0.6 on would give each of them a name."""
    enrol(open_with(threshold=0.6), "Barack", photos["obama"])
    with pytest.raises(InstallationError, match=r"reaches VISAGE_SIMILARITY_THRESHOLD=0\.6.*0\.9\d keeps strangers"):
        open_with("dlib", threshold=0.6)
    dlib = open_with("dlib", threshold=0.95)
    dlib.reembed(lambda *_: None)
    assert named(dlib, photos["obama2"]) == "Barack"
    assert named(dlib, photos["biden"]) is None


def test_an_unknown_name_opens_nothing(open_with: Opener, tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="no model named dilb; the nearest is dlib"):
        open_with("dilb")
    with pytest.raises(UnknownModel, match="no detector named mtcn; the nearest is mtcnn"):
        open_with(detector="mtcn")
    assert not (tmp_path / "data").exists()


def on_stage(path: Path) -> Image:
    """A face in the middle of a frame, as large as the others."""
    image = decode(path.read_bytes(), Limits())
    scale = 480 / image.shape[0]
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    frame = np.full((480, 640, 3), 90, dtype=np.uint8)
    left = (640 - small.shape[1]) // 2
    frame[:, left : left + small.shape[1]] = small[:480]
    return frame


def test_with_every_model_a_name_stays_with_the_face_that_earned_it(
    open_with: Opener, photos: Mapping[str, Path]
) -> None:
    """To dlib all faces are alike to 0.8: with the default's cosines one would be taken for the other."""
    recognizer = open_with("dlib")
    enrol(recognizer, "Barack", photos["obama"])
    camera = recognizer.camera(clock=iter(np.arange(0, 100, 0.2)).__next__)
    first, second = (encode_jpeg(on_stage(photos[name]), 92) for name in ("obama", "astronaut"))
    for _ in range(3):
        (face,) = recognizer.identify(first, camera).faces
    assert face.status is Status.KNOWN
    for _ in range(3):
        (other,) = recognizer.identify(second, camera).faces
        assert other.match is None
        assert other.track_id != face.track_id


def test_the_default_follows_faces_as_it_always_did() -> None:
    assert MOBILEFACENET.sameness is DEFAULT_SAMENESS
    assert (DEFAULT_SAMENESS.surely, DEFAULT_SAMENESS.likely, DEFAULT_SAMENESS.not_another) == (0.55, 0.45, 0.15)


def test_a_calibration_is_as_fine_where_all_similarities_are_high() -> None:
    faces = crowd(80, 4, spread=0.5)
    plain = calibration.fit("plain", faces.embeddings, faces.labels)
    # The same people seen by a network to which all faces look alike: a long vector added to each.
    shifted = np.concatenate([faces.embeddings, np.full((len(faces.labels), 1), 3, dtype=np.float32)], axis=1)
    high = calibration.fit("high", shifted / np.linalg.norm(shifted, axis=1, keepdims=True), faces.labels)
    for far in (1e-2, 1e-3):
        one, other = (each.threshold(persons=1, photos=1, fpir=far) for each in (plain, high))
        assert (other * 10 - 9) == pytest.approx(one, abs=0.03)  # cos' = (cos + 9) / 10
    assert len(high.tables[1].similarity) == len(plain.tables[1].similarity)
    assert plain.tables[1].similarity[0] == -0.2 and high.tables[1].similarity[0] > 0.8


def test_two_who_ask_for_the_same_person_at_once_embed_each_photo_once(
    open_with: Opener, photos: Mapping[str, Path]
) -> None:
    barack = enrol(open_with(), "Barack", photos["obama"], photos["obama2"])
    dlib = open_with("dlib")
    together = threading.Barrier(2)

    def embed(pictures: Sequence[bytes]) -> NDArray[np.float32]:
        together.wait(10)
        return np.eye(DLIB.dimension, dtype=np.float32)[: len(pictures)]

    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(dlib.bank.reembed_person, barack, embed) for _ in range(2)]
        assert [done.result().embedding_count for done in both] == [2, 2]
    assert dlib.bank.check() == []
