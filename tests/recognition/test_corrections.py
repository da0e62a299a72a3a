"""What a carer can put right, with the real models: "that's wrong", "the same person", and taking it back."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageEnhance, ImageFilter, ImageOps

from tests.conftest import make_recognizer
from tests.recognition.test_recognizer import enrol, no_face
from visage.bank.bank import MemoryBank
from visage.errors import FaceNotUsable, NoFaceDetected, PersonNotFound, SightingNotFound
from visage.recognition.decision import Likeness
from visage.recognition.recognizer import Recognizer
from visage.recognition.sightings import Sightings
from visage.storage.folder import FILE_NAME
from visage.storage.sqlite import open_store
from visage.types import Issue, NewPhoto, Quality, Status, Undo
from visage.vision.embed import DIMENSION
from visage.vision.pipeline import Pipeline
from visage.vision.quality import ADVICE

Photos = Mapping[str, Path]


@pytest.fixture(scope="module")
def photos(photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> Photos:
    """Portraits as a webcam would take them: quicker to look at."""
    folder = tmp_path_factory.mktemp("photos")
    for key in ("obama", "obama2", "obama3", "partial1", "biden", "astronaut"):
        with PillowImage.open(photos[key]) as image:
            small = image.convert("RGB")
        small.thumbnail((640, 640))
        small.save(folder / key, "JPEG", quality=95)
    return {path.name: path for path in folder.iterdir()}


def changed(path: Path, change: Callable[[PillowImage.Image], PillowImage.Image]) -> bytes:
    """A photo after a change, as a JPEG."""
    buffer = io.BytesIO()
    with PillowImage.open(path) as image:
        change(image.convert("RGB")).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def darker(path: Path, factor: float) -> bytes:
    """With less light."""
    return changed(path, lambda image: ImageEnhance.Brightness(image).enhance(factor))


def blurred(path: Path, radius: float) -> bytes:
    """Out of focus."""
    return changed(path, lambda image: image.filter(ImageFilter.GaussianBlur(radius)))


def looks(path: Path) -> list[bytes]:
    """The same picture again: as it is, cropped, brighter, darker, smaller, mirrored."""
    return [
        path.read_bytes(),
        changed(path, lambda image: image.crop((20, 30, image.width - 25, image.height - 40))),
        darker(path, 1.4),
        darker(path, 0.6),
        changed(path, lambda image: ImageOps.scale(image, 0.6)),
        changed(path, ImageOps.mirror),
    ]


def names(recognizer: Recognizer, image: bytes | Path) -> list[tuple[Status, str | None, set[str]]]:
    """Of each face: status, name, and whom it might be."""
    content = image if isinstance(image, bytes) else image.read_bytes()
    return [
        (face.status, face.match.person.name if face.match else None, {c.person.name for c in face.candidates})
        for face in recognizer.identify(content).faces
    ]


def name(recognizer: Recognizer, image: bytes | Path) -> str | None:
    """Who the only face is said to be."""
    ((_, said, _),) = names(recognizer, image)
    return said


def mistaken(recognizer: Recognizer, photos: Photos) -> str:
    """Obama, with a photo of Biden among his own: both are named Obama. Returns the id."""
    person_id = enrol(recognizer, "Obama", photos["obama"]).person.person_id
    recognizer.add_photos(person_id, [photos["biden"].read_bytes()])
    assert name(recognizer, photos["biden"]) == "Obama"
    return person_id


def reject(recognizer: Recognizer, person_id: str, image: bytes, way: str) -> Undo:
    """Say that this is not that person, in one of two ways."""
    if way == "by image":
        return recognizer.reject_image(person_id, image)
    return recognizer.reject_sighting(person_id, recognizer.identify(image).identification_id)


def strangers(recognizer: Recognizer, count: int) -> list[str]:
    """Fill the bank with people whom nobody looks like."""
    vectors = np.random.default_rng(7).normal(size=(count, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [
        recognizer.bank.enrol(
            name="Stranger", relationship=None, metadata={}, photos=[NewPhoto(vector, b"", Quality(100))]
        ).person_id
        for vector in vectors
    ]


WAYS = pytest.mark.parametrize("way", ["by identification", "by image"])


def test_the_same_face_is_rejected_once(recognizer: Recognizer, photos: Photos) -> None:
    person_id = mistaken(recognizer, photos)
    image = photos["biden"].read_bytes()
    sighting = recognizer.identify(image).identification_id
    undos = {recognizer.reject_sighting(person_id, sighting).undo_id for _ in range(20)}
    undos |= {recognizer.reject_image(person_id, image).undo_id for _ in range(2)}
    assert len(recognizer.bank.counter_examples(person_id)) == len(undos) <= 2, "by the sighting, and by the image"


@WAYS
def test_a_rejected_face_is_not_named_again(recognizer: Recognizer, photos: Photos, way: str) -> None:
    person_id = mistaken(recognizer, photos)
    reject(recognizer, person_id.upper(), photos["biden"].read_bytes(), way)
    for look in looks(photos["biden"]):
        assert names(recognizer, look) == [(Status.UNKNOWN, None, {"Obama"})]
    for own in ("obama", "obama2", "obama3", "partial1"):
        assert name(recognizer, photos[own]) == "Obama", own
    enrol(recognizer, "Biden", photos["biden"])
    assert name(recognizer, darker(photos["biden"], 0.6)) == "Biden"


@WAYS
def test_a_look_that_was_rejected_in_bad_light_is_not_named_in_good_light(
    recognizer: Recognizer, photos: Photos, way: str
) -> None:
    person_id = mistaken(recognizer, photos)
    reject(recognizer, person_id, darker(photos["biden"], 0.5), way)
    assert {name(recognizer, look) for look in looks(photos["biden"])} == {None}


def test_the_very_photo_that_was_registered_is_not_named_once_it_is_rejected(
    recognizer: Recognizer, photos: Photos
) -> None:
    said = []
    for _ in range(3):
        strangers(recognizer, 1)
        for key in ("obama", "obama3", "biden"):
            person_id = enrol(recognizer, "Wrong", photos[key]).person.person_id
            reject(recognizer, person_id, photos[key].read_bytes(), "by identification")
            said.append(name(recognizer, photos[key]))
            recognizer.bank.forget(person_id)
    assert said == [None] * 9


@pytest.mark.parametrize("similarity,rejected", [(1.0, 0.9999999), (0.9, 0.899), (0.8, 0.78)])
def test_a_face_that_is_as_like_a_rejected_one_is_not_named(
    recognizer: Recognizer, photos: Photos, similarity: float, rejected: float
) -> None:
    likeness = Likeness(enrol(recognizer, "Obama", photos["obama"]).person, similarity, 100, rejected)
    (verdict,) = recognizer._decider.decide([[likeness]], qualities=[100], persons=100)
    assert verdict.status is not Status.KNOWN


def test_a_photo_of_a_rejected_look_does_not_bring_the_name_back(recognizer: Recognizer, photos: Photos) -> None:
    person_id = enrol(recognizer, "Obama", photos["biden"]).person.person_id
    reject(recognizer, person_id, darker(photos["biden"], 0.5), "by identification")
    assert {name(recognizer, look) for look in looks(photos["biden"])} == {None}


@WAYS
def test_the_undo_of_a_rejection_brings_the_former_answer_back(
    recognizer: Recognizer, photos: Photos, way: str
) -> None:
    person_id = mistaken(recognizer, photos)
    image = photos["biden"].read_bytes()
    before = recognizer.identify(image).match
    undo = reject(recognizer, person_id, image, way)
    assert recognizer.identify(image).match is None
    recognizer.bank.undo(undo.undo_id)
    assert recognizer.identify(image).match == before


def test_a_rejection_holds_after_a_restart(pipeline: Pipeline, photos: Photos, tmp_path: Path) -> None:
    with closing(make_recognizer(pipeline, tmp_path)) as first:
        first.reject_image(mistaken(first, photos), photos["biden"].read_bytes())
    with closing(make_recognizer(pipeline, tmp_path)) as second:
        assert name(second, photos["biden"]) is None
        assert name(second, photos["obama2"]) == "Obama"


def test_a_rejection_tells_look_alikes_apart(recognizer: Recognizer, photos: Photos) -> None:
    enrol(recognizer, "Barack", photos["obama"])
    barry = enrol(recognizer, "Barry", photos["obama2"]).person.person_id
    assert names(recognizer, photos["obama3"]) == [(Status.UNCERTAIN, None, {"Barack", "Barry"})]
    reject(recognizer, barry, photos["obama3"].read_bytes(), "by identification")
    assert names(recognizer, photos["obama3"]) == [(Status.KNOWN, "Barack", {"Barack", "Barry"})]


@WAYS
def test_of_several_faces_the_one_that_was_named_is_rejected(
    recognizer: Recognizer, photos: Photos, way: str
) -> None:
    person_id = enrol(recognizer, "Eileen", photos["biden"]).person.person_id
    sheet = PillowImage.new("RGB", (1600, 640))
    for x, key in enumerate(("astronaut", "biden", "obama")):
        with PillowImage.open(photos[key]) as image:
            sheet.paste(image, (540 * x, 0))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    assert sorted(str(said) for _, said, _ in names(recognizer, buffer.getvalue())) == ["Eileen", "None", "None"]
    reject(recognizer, person_id, buffer.getvalue(), way)
    (counter,) = recognizer.bank.counter_examples(person_id)
    (face,) = recognizer.detect(photos["biden"].read_bytes()).faces
    assert float(counter.embedding @ face.embedding) > 0.8


def test_an_identification_can_be_corrected_for_ten_minutes(recognizer: Recognizer, photos: Photos) -> None:
    now = 1000.0
    recognizer._sightings = Sightings(lambda: now)
    person_id = mistaken(recognizer, photos)
    sighting = recognizer.identify(photos["biden"].read_bytes()).identification_id
    now += 599
    recognizer.bank.undo(recognizer.reject_sighting(person_id, sighting.upper()).undo_id)
    now += 2
    with pytest.raises(SightingNotFound):
        recognizer.reject_sighting(person_id, sighting)
    assert name(recognizer, photos["biden"]) == "Obama"


def test_of_many_identifications_the_latest_can_be_corrected(recognizer: Recognizer, photos: Photos) -> None:
    person_id = enrol(recognizer, "Obama", photos["obama"]).person.person_id
    faces = recognizer.identify(photos["obama2"].read_bytes()).faces
    sightings = Sightings()
    ids = [sightings.add(faces, (640, 640)) for _ in range(5001)]
    assert len(set(ids)) == 5001
    for sighting in (ids[1], ids[-1]):
        assert sightings.sighting(sighting).of(person_id).face is faces[0].face
    with pytest.raises(SightingNotFound):
        sightings.sighting(ids[0])


def test_only_who_came_up_in_an_identification_can_be_rejected_by_it(recognizer: Recognizer, photos: Photos) -> None:
    person_id = enrol(recognizer, "Obama", photos["obama"]).person.person_id
    others = strangers(recognizer, 20)
    found = recognizer.identify(photos["obama2"].read_bytes())
    nobody = recognizer.identify(no_face()).identification_id
    came_up = {candidate.person.person_id for candidate in found.faces[0].candidates}
    for who, sighting in (
        (next(other for other in others if other not in came_up), found.identification_id),
        (person_id, nobody),
        (person_id, "nothing"),
        (person_id, ""),
    ):
        with pytest.raises(SightingNotFound):
            recognizer.reject_sighting(who, sighting)
    with pytest.raises(PersonNotFound):
        recognizer.reject_sighting("nobody", found.identification_id)
    with pytest.raises(PersonNotFound):
        recognizer.reject_image("nobody", photos["obama2"].read_bytes())
    with pytest.raises(NoFaceDetected):
        recognizer.reject_image(person_id, no_face())
    assert recognizer.bank.counter_examples(person_id) == ()
    recognizer.reject_sighting(person_id, found.identification_id)
    assert len(recognizer.bank.counter_examples(person_id)) == 1


def test_rejecting_a_strangers_face_takes_nothing_from_the_person(recognizer: Recognizer, photos: Photos) -> None:
    person_id = enrol(recognizer, "Obama", photos["obama"]).person.person_id
    before = recognizer.identify(photos["obama2"].read_bytes()).match
    recognizer.reject_image(person_id, photos["astronaut"].read_bytes())
    after = recognizer.identify(photos["obama2"].read_bytes()).match
    assert before is not None
    assert after is not None
    assert (after.person, after.similarity) == (before.person, before.similarity)
    assert after.confidence == pytest.approx(before.confidence, abs=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        ["A"],
        ["A", "B", "C"],
    ],
)
def test_who_was_rejected_is_in_nobody_elses_way(recognizer: Recognizer, photos: Photos, wrong: list[str]) -> None:
    enrol(recognizer, "Barack", photos["obama"], photos["obama2"])
    look = darker(photos["obama3"], 0.6)
    for other in wrong:
        recognizer.reject_image(enrol(recognizer, other, photos["obama3"]).person.person_id, look)
    assert names(recognizer, look)[0][:2] == (Status.KNOWN, "Barack")


def test_persons_merged_are_known_by_the_photos_of_both(recognizer: Recognizer, photos: Photos) -> None:
    barack = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    barry = enrol(recognizer, "Barry", photos["obama2"]).person.person_id
    assert name(recognizer, photos["obama3"]) is None
    undo = recognizer.merge(barack, barry)
    assert names(recognizer, photos["obama3"]) == [(Status.KNOWN, "Barack", {"Barack"})]
    recognizer.bank.undo(undo.undo_id)
    assert names(recognizer, photos["obama3"]) == [(Status.UNCERTAIN, None, {"Barack", "Barry"})]


def test_rejected_as_the_one_and_like_the_other_is_no_longer_rejected_after_a_merge(
    recognizer: Recognizer, photos: Photos
) -> None:
    barack = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    barry = enrol(recognizer, "Barry", photos["obama2"]).person.person_id
    recognizer.reject_image(barry, photos["obama3"].read_bytes())
    recognizer.reject_image(barry, photos["biden"].read_bytes())
    undo = recognizer.merge(barack, barry)
    assert name(recognizer, photos["obama3"]) == "Barack"
    (kept,) = recognizer.bank.counter_examples(barack)
    (biden,) = recognizer.detect(photos["biden"].read_bytes()).faces
    assert float(kept.embedding @ biden.embedding) > 0.99
    recognizer.bank.undo(undo.undo_id)
    assert len(recognizer.bank.counter_examples(barry)) == 2


def test_persons_with_looks_that_another_model_rejected_can_be_merged(
    pipeline: Pipeline, photos: Photos, tmp_path: Path
) -> None:
    vector = np.eye(8, dtype=np.float32)[0]
    with closing(MemoryBank(open_store(tmp_path), model="old-model", dimension=8)) as old:
        photo = NewPhoto(vector, photos["obama"].read_bytes(), Quality(80))
        people = [old.enrol(name=n, relationship=None, metadata={}, photos=[photo]) for n in ("A", "B")]
        old.reject(people[0].person_id, vector)
    with closing(make_recognizer(pipeline, tmp_path)) as recognizer:
        recognizer.reembed(lambda *_: None)
        recognizer.merge(people[0].person_id, people[1].person_id)
        assert recognizer.bank.person_count == 1


@pytest.mark.parametrize(
    "key,spoil,value,sure",
    [("obama2", darker, 0.05, "Obama"), ("biden", darker, 0.1, "Biden"), ("biden", blurred, 3.5, "Biden")],
)
def test_a_poor_picture_names_nobody(
    recognizer: Recognizer, photos: Photos, key: str, spoil: Callable[[Path, float], bytes], value: float, sure: str
) -> None:
    enrol(recognizer, "Obama", photos["obama"])
    enrol(recognizer, "Biden", photos["biden"])
    assert name(recognizer, photos[key]) == sure
    ((status, said, _),) = names(recognizer, spoil(photos[key], value))
    assert (status is not Status.KNOWN, said) == (True, None)


def test_a_poor_picture_of_someone_alike_is_uncertain(recognizer: Recognizer, photos: Photos) -> None:
    enrol(recognizer, "Obama", photos["obama"])
    assert names(recognizer, darker(photos["obama2"], 0.05)) == [(Status.UNCERTAIN, None, {"Obama"})]


def test_two_poor_pictures_of_one_man_are_not_enough(recognizer: Recognizer, photos: Photos) -> None:
    recognizer.enrol(name="O", relationship=None, metadata={}, images=[darker(photos["obama"], 0.07)])
    assert names(recognizer, darker(photos["obama2"], 0.07)) == [(Status.UNCERTAIN, None, {"O"})]
    assert name(recognizer, photos["obama2"]) == "O"


@pytest.mark.parametrize(
    "key,radius",
    [
        ("obama3", 5),
        ("obama2", 8),
        ("obama", 8),
    ],
)
def test_a_blurred_photo_of_one_man_gives_no_name_to_another(
    recognizer: Recognizer, photos: Photos, key: str, radius: float
) -> None:
    recognizer.enrol(name="Biden", relationship=None, metadata={}, images=[blurred(photos["biden"], 5)])
    assert name(recognizer, blurred(photos[key], radius)) is None


def test_a_photo_that_shows_hardly_anything_is_refused_with_advice(recognizer: Recognizer, photos: Photos) -> None:
    dark = darker(photos["obama2"], 0.05)
    with pytest.raises(FaceNotUsable) as refused:
        recognizer.enrol(name="O", relationship=None, metadata={}, images=[dark])
    assert refused.value.message.startswith(FaceNotUsable.default_message)
    assert ADVICE[Issue.TOO_DARK] in refused.value.message
    assert recognizer.bank.person_count == 0
    good = photos["obama"].read_bytes()
    enrolled = recognizer.enrol(name="O", relationship=None, metadata={}, images=[dark, good])
    assert [getattr(outcome.error, "code", None) for outcome in enrolled.outcomes] == ["FACE_NOT_USABLE", None]
    with pytest.raises(FaceNotUsable):
        recognizer.add_photos(enrolled.person.person_id, [dark])
    assert recognizer.bank.embedding_count == 1


def test_a_poor_photo_is_kept_with_a_warning(recognizer: Recognizer, photos: Photos) -> None:
    images = [photos["obama2"].read_bytes(), darker(photos["obama"], 0.07)]
    enrolled = recognizer.enrol(name="O", relationship=None, metadata={}, images=images)
    (caution,), quality = enrolled.cautions, enrolled.outcomes[1].quality
    assert quality is not None
    assert (caution.code, caution.details) == ("LOW_QUALITY", {"photo": 2, "score": quality.score})
    assert ADVICE[Issue.TOO_DARK] in caution.message
    assert enrolled.person.embedding_count == 2


def test_the_same_likeness_is_enough_among_few_and_not_among_many(recognizer: Recognizer, photos: Photos) -> None:
    enrol(recognizer, "Obama", photos["obama"])
    probe = blurred(photos["obama2"], 5)
    assert name(recognizer, probe) == "Obama"
    strangers(recognizer, 1000)
    assert name(recognizer, probe) is None
    assert name(recognizer, photos["obama3"]) == "Obama"


def test_nothing_is_learned_from_what_the_camera_sees(pipeline: Pipeline, photos: Photos, tmp_path: Path) -> None:
    with closing(make_recognizer(pipeline, tmp_path)) as recognizer:
        person = enrol(recognizer, "Obama", photos["obama"]).person
        before, file = recognizer.bank.template(person.person_id).tobytes(), (tmp_path / FILE_NAME).read_bytes()
        for _ in range(5):
            for key in ("obama", "partial1", "biden", "astronaut"):
                recognizer.identify(photos[key].read_bytes())
        assert recognizer.bank.template(person.person_id).tobytes() == before
        assert recognizer.bank.counter_examples(person.person_id) == ()
        assert recognizer.bank.persons().persons == (person,)
        assert (tmp_path / FILE_NAME).read_bytes() == file


def test_who_was_seen_is_counted_latest_first(recognizer: Recognizer, photos: Photos) -> None:
    obama = enrol(recognizer, "Obama", photos["obama"]).person
    biden = enrol(recognizer, "Biden", photos["biden"]).person
    for key in ("obama", "obama2", "biden", "astronaut"):
        recognizer.identify(photos[key].read_bytes())
    first, second = recognizer.seen()
    assert [(s.person, s.times) for s in (first, second)] == [(biden, 1), (obama, 2)]
    assert first.last_seen_at > second.last_seen_at
    recognizer.bank.forget(biden.person_id)
    assert [s.person for s in recognizer.seen()] == [obama]
