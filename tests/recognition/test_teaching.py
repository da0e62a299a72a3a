"""What a human says counts, and the newest word most; someone beside a picture of themselves; the real models."""

from __future__ import annotations

import io
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageOps

from tests.conftest import make_recognizer
from tests.recognition.test_corrections import darker, name, names, strangers
from tests.recognition.test_recognizer import enrol
from visage.errors import (
    DuplicatePerson,
    FaceNotUsable,
    MultipleFaces,
    PersonNotFound,
    SightingNotFound,
    UnknownNotFound,
)
from visage.recognition.advice import advice
from visage.recognition.recognizer import Recognizer
from visage.recognition.sightings import Sightings
from visage.recognition.watching import keep_pictures
from visage.types import Box, Confirmation, Enrolment, Identification, Issue, Photo, Quality, Status
from visage.vision.align import cut_out, portrait
from visage.vision.image import Limits, decode
from visage.vision.pipeline import Pipeline
from visage.vision.quality import ADVICE

Photos = Mapping[str, Path]


@pytest.fixture(scope="module")
def photos(photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> Photos:
    """Portraits as a webcam would take them: quicker to look at."""
    folder = tmp_path_factory.mktemp("photos")
    for key in ("obama", "obama2", "obama3", "biden", "astronaut"):
        with PillowImage.open(photos[key]) as image:
            small = image.convert("RGB")
        small.thumbnail((640, 640))
        small.save(folder / key, "JPEG", quality=95)
    return {path.name: path for path in folder.iterdir()}


def scene(*parts: tuple[PillowImage.Image, tuple[int, int]]) -> bytes:
    """A grey room with pictures in it, each at its place."""
    room = PillowImage.new("RGB", (1280, 720), (150, 145, 140))
    for picture, place in parts:
        room.paste(picture, place)
    buffer = io.BytesIO()
    room.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def opened(path: Path, height: int) -> PillowImage.Image:
    """A photo, so many pixels high."""
    with PillowImage.open(path) as image:
        return image.convert("RGB").resize((round(image.width * height / image.height), height))


def said(identification: Identification) -> list[tuple[Status, str | None]]:
    """Of each face, the largest first."""
    faces = sorted(identification.faces, key=lambda face: face.face.box.area, reverse=True)
    return [(face.status, face.match.person.name if face.match else None) for face in faces]


BOTH = [(Status.KNOWN, "Barack")] * 2


@pytest.mark.parametrize("enrolled", ["obama", "obama3"])
@pytest.mark.parametrize("height", [240, 320])
def test_someone_before_a_picture_of_themselves_is_named(
    recognizer: Recognizer, photos: Photos, enrolled: str, height: int
) -> None:
    enrol(recognizer, "Barack", photos[enrolled])
    strangers(recognizer, 50)
    image = scene((opened(photos["obama2"], 640), (60, 40)), (opened(photos["obama"], height), (940, 60)))
    found = recognizer.identify(image)
    assert said(found) == BOTH
    largest = max(found.faces, key=lambda face: face.face.box.area)
    assert found.match == largest.match
    camera = recognizer.camera()
    for _ in range(4):
        assert said(recognizer.identify(image, camera)) == BOTH


def test_someone_beside_a_mirror_is_named(recognizer: Recognizer, photos: Photos) -> None:
    enrol(recognizer, "Barack", photos["obama"])
    mirrored = ImageOps.mirror(opened(photos["obama2"], 300))
    assert said(recognizer.identify(scene((opened(photos["obama2"], 640), (60, 40)), (mirrored, (900, 60))))) == BOTH


def test_of_two_alike_only_the_likelier_is_named(recognizer: Recognizer, photos: Photos, pipeline: Pipeline) -> None:
    """Someone whose face is half another's is taken for Barack alone; beside Barack, there is a doubt."""
    enrol(recognizer, "Barack", photos["obama"])
    (own,), (other,) = (
        pipeline.analyse(decode(photos[key].read_bytes(), Limits()), enrolling=True) for key in ("obama3", "biden")
    )
    assert own.portrait is not None
    assert other.portrait is not None
    look_alike = PillowImage.fromarray(((own.portrait.astype(np.float32) + other.portrait) / 2).astype(np.uint8))
    ((status, alone),) = said(recognizer.identify(scene((look_alike, (900, 60)))))
    assert (status, alone) == (Status.KNOWN, "Barack")
    beside = recognizer.identify(scene((opened(photos["obama2"], 640), (60, 40)), (look_alike, (900, 60))))
    assert said(beside) == [(Status.KNOWN, "Barack"), (Status.UNCERTAIN, None)]


def test_who_is_in_a_frame_twice_was_seen_once(recognizer: Recognizer, photos: Photos) -> None:
    enrol(recognizer, "Barack", photos["obama"])
    recognizer.identify(scene((opened(photos["obama2"], 640), (60, 40)), (opened(photos["obama"], 240), (940, 60))))
    assert [seen.times for seen in recognizer.seen()] == [1]


def test_of_someone_and_their_picture_the_one_that_is_nearer_is_corrected(
    recognizer: Recognizer, photos: Photos
) -> None:
    person_id = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    found = recognizer.identify(
        scene((opened(photos["obama2"], 640), (60, 40)), (opened(photos["obama"], 240), (940, 60)))
    )
    recognizer.reject_sighting(person_id, found.identification_id)
    (counter,) = recognizer.bank.counter_examples(person_id)
    nearest = max(found.faces, key=lambda face: face.face.box.area)
    assert counter.embedding.tobytes() == nearest.face.embedding.tobytes()


def lifts(enrolment: Enrolment) -> list[str]:
    """What takes back that a rejection holds no longer."""
    return [caution.details["undo_id"] for caution in enrolment.cautions if caution.code == "REJECTION_LIFTED"]


@pytest.mark.parametrize("way", ["register", "photos", "unknown", "is-me by identification", "is-me by image"])
def test_the_newest_word_counts(recognizer: Recognizer, photos: Photos, way: str) -> None:
    person_id = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    image = photos["obama2"].read_bytes()
    recognizer.reject_image(person_id, image)
    assert names(recognizer, image) == [(Status.UNKNOWN, None, {"Barack"})]
    if way == "register":
        (undo_id,) = lifts(enrol(recognizer, "barack ", photos["obama2"]))
    elif way == "photos":
        (undo_id,) = lifts(recognizer.add_photos(person_id, [image]))
    elif way == "unknown":
        (face,) = recognizer.identify(image, recognizer.camera()).faces
        assert face.unknown_id is not None
        (undo_id,) = lifts(recognizer.enrol_unknown(face.unknown_id, name="Barack", relationship=None, metadata={}))
    elif way == "is-me by image":
        undo_id = recognizer.confirm_image(person_id, image).undo.undo_id
    else:
        undo_id = recognizer.confirm_sighting(person_id, recognizer.identify(image).identification_id).undo.undo_id
    assert name(recognizer, image) == "Barack"
    assert name(recognizer, darker(photos["obama2"], 0.6)) == "Barack"
    assert recognizer.bank.person(person_id).embedding_count == 2
    recognizer.bank.undo(undo_id)
    assert recognizer.bank.person(person_id).embedding_count == 1
    assert names(recognizer, image) == [(Status.UNKNOWN, None, {"Barack"})]


@pytest.mark.parametrize("way", ["photos", "is-me by identification", "is-me by image"])
def test_a_word_that_is_repeated_is_answered_as_the_first_time(
    recognizer: Recognizer, photos: Photos, way: str
) -> None:
    person_id = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    image = photos["biden"].read_bytes()
    recognizer.reject_image(person_id, image)
    sighting = recognizer.identify(image).identification_id

    def say() -> tuple[Any, ...]:
        if way == "photos":
            reply: Enrolment | Confirmation = recognizer.add_photos(person_id, [image])
        elif way == "is-me by image":
            reply = recognizer.confirm_image(person_id, image)
        else:
            reply = recognizer.confirm_sighting(person_id, sighting)
        cautions = [(each.code, each.details) for each in reply.cautions if each.code != "SAME_PHOTO"]
        if isinstance(reply, Confirmation):
            return cautions, reply.photo, reply.undo
        return cautions, reply.outcomes[0].photo, None

    first = say()
    assert sorted(code for code, _ in first[0]) == ["DOES_NOT_FIT", "REJECTION_LIFTED"]
    assert [say(), say()] == [first, first]
    (undo_id,) = [details["undo_id"] for code, details in first[0] if code == "REJECTION_LIFTED"]
    recognizer.bank.undo(undo_id)
    assert recognizer.bank.person(person_id).embedding_count == 1
    assert name(recognizer, image) is None
    again = say()
    assert [code for code, _ in again[0]] == [code for code, _ in first[0]], "what was undone can be said anew"
    assert again != first


def test_an_older_word_that_is_taken_back_does_not_overrule_a_newer_one(
    recognizer: Recognizer, photos: Photos
) -> None:
    person_id = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    images = [photos["biden"].read_bytes(), darker(photos["biden"], 0.8)]
    recognizer.reject_image(person_id, images[0])
    older = recognizer.confirm_image(person_id, images[0]).undo
    newer = recognizer.confirm_image(person_id, images[1]).undo
    assert name(recognizer, images[0]) == "Barack"
    recognizer.bank.undo(older.undo_id)
    assert name(recognizer, images[0]) == "Barack"
    recognizer.bank.undo(newer.undo_id)
    assert name(recognizer, images[0]) is None
    assert recognizer.bank.person(person_id).embedding_count == 1


def test_of_a_group_the_one_who_is_meant_is_confirmed(recognizer: Recognizer, photos: Photos) -> None:
    barack = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    eileen = enrol(recognizer, "Eileen", photos["astronaut"]).person.person_id
    image = scene((opened(photos["biden"], 700), (300, 10)), (opened(photos["obama2"], 260), (1010, 60)))
    sighting = recognizer.identify(image).identification_id
    boxes = sorted((face.box for face in recognizer.detect(image).faces), key=lambda box: box.x)

    def is_me(person_id: str, way: str, box: Box | None = None) -> Confirmation:
        if way == "image":
            return recognizer.confirm_image(person_id, image, box)
        return recognizer.confirm_sighting(person_id, sighting, box)

    def is_of(confirmed: Confirmation, key: str) -> bool:
        (face,) = recognizer.detect(photos[key].read_bytes()).faces
        kept = {photo.photo_id: each for photo, each in recognizer.bank.embedded(confirmed.person.person_id)}
        assert confirmed.photo is not None
        return float(kept[confirmed.photo.photo_id] @ face.embedding) > 0.8

    for way in ("image", "identification"):
        known = is_me(barack, way)
        assert (is_of(known, "obama2"), known.cautions) == (True, ())
        recognizer.bank.undo(known.undo.undo_id)
        chosen = is_me(eileen, way, boxes[1])
        assert is_of(chosen, "obama2")
        assert "OTHER_FACES" not in [caution.code for caution in chosen.cautions]
        recognizer.bank.undo(chosen.undo.undo_id)
        nearest = is_me(eileen, way)
        assert is_of(nearest, "biden")
        told = [caution.code for caution in nearest.cautions]
        # In the identification the other one was called Barack: it is hardly meant.
        assert told == (["DOES_NOT_FIT", "OTHER_FACES"] if way == "image" else ["DOES_NOT_FIT"])
        recognizer.bank.undo(nearest.undo.undo_id)


@pytest.mark.parametrize("way", ["image", "identification"])
def test_a_group_is_asked_about_twice_and_answered_the_same(recognizer: Recognizer, photos: Photos, way: str) -> None:
    eileen = enrol(recognizer, "Eileen", photos["astronaut"]).person.person_id
    image = scene((opened(photos["biden"], 700), (300, 10)), (opened(photos["obama2"], 260), (1010, 60)))
    sighting = recognizer.identify(image).identification_id

    def confirm(_: int = 0) -> tuple[Any, ...]:
        if way == "image":
            said = recognizer.confirm_image(eileen, image)
        else:
            said = recognizer.confirm_sighting(eileen, sighting)
        return said.undo, said.photo, [(each.code, each.details) for each in said.cautions]

    with ThreadPoolExecutor(3) as pool:
        first, *others = pool.map(confirm, range(3))
    assert [code for code, _ in first[2]] == ["DOES_NOT_FIT", "OTHER_FACES"]
    assert [*others, confirm()] == [first] * 3
    assert recognizer.bank.person(eileen).embedding_count == 2


def test_someone_merged_since_is_confirmed_by_an_answer_of_before(recognizer: Recognizer, photos: Photos) -> None:
    eileen = enrol(recognizer, "Eileen", photos["astronaut"]).person.person_id
    barack = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    image = scene((opened(photos["biden"], 700), (300, 10)), (opened(photos["obama2"], 260), (1010, 60)))
    sighting = recognizer.identify(image).identification_id
    merger = recognizer.merge(eileen, barack)
    confirmed = recognizer.confirm_sighting(eileen, sighting)
    (face,) = recognizer.detect(photos["obama2"].read_bytes()).faces
    kept = {photo.photo_id: embedding for photo, embedding in recognizer.bank.embedded(eileen)}
    assert confirmed.photo is not None
    assert float(kept[confirmed.photo.photo_id] @ face.embedding) > 0.8
    with pytest.raises(PersonNotFound):
        recognizer.confirm_sighting(barack, sighting)
    recognizer.bank.undo(merger.undo_id)
    recognizer.bank.undo(confirmed.undo.undo_id)
    assert [recognizer.bank.person(each).embedding_count for each in (eileen, barack)] == [1, 1]


def test_whoever_is_forgotten_while_being_confirmed_stays_forgotten(recognizer: Recognizer, photos: Photos) -> None:
    images = [photos["obama2"].read_bytes(), photos["obama3"].read_bytes()]
    for _ in range(3):
        person_id = enrol(recognizer, "Barack", photos["obama"]).person.person_id
        sighting = recognizer.identify(images[0]).identification_id

        def confirm(way: int, person_id: str = person_id, sighting: str = sighting) -> None:
            try:
                if way:
                    recognizer.confirm_image(person_id, images[1])
                else:
                    recognizer.confirm_sighting(person_id, sighting)
            except PersonNotFound:
                pass

        with ThreadPoolExecutor(3) as pool:
            said = [pool.submit(confirm, way) for way in (0, 1)]
            pool.submit(recognizer.bank.forget, person_id).result()
            assert [each.result() for each in said] == [None, None]
        assert (recognizer.bank.person_count, recognizer.bank.embedding_count) == (0, 0)
        assert recognizer.bank.check() == []


def test_of_strangers_side_by_side_none_is_confirmed_without_a_box(recognizer: Recognizer, photos: Photos) -> None:
    eileen = enrol(recognizer, "Eileen", photos["astronaut"]).person.person_id
    image = scene((opened(photos["biden"], 640), (100, 40)), (opened(photos["obama2"], 360), (700, 40)))
    found = recognizer.identify(image)
    with pytest.raises(MultipleFaces):
        recognizer.confirm_image(eileen, image)
    with pytest.raises(MultipleFaces):
        recognizer.confirm_sighting(eileen, found.identification_id)
    assert recognizer.bank.undos(eileen) == ()
    for face in found.faces:
        assert recognizer.confirm_sighting(eileen, found.identification_id, face.face.box).photo is not None


def test_a_face_that_nobody_knows_is_confirmed_by_its_identification(recognizer: Recognizer, photos: Photos) -> None:
    before = recognizer.identify(photos["biden"].read_bytes()).identification_id
    person_id = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    strangers(recognizer, 10)
    found = recognizer.identify(photos["biden"].read_bytes())
    assert found.faces[0].status is Status.UNKNOWN
    confirmed = recognizer.confirm_sighting(person_id, found.identification_id)
    assert confirmed.photo is not None
    assert name(recognizer, photos["biden"]) == "Barack"
    recognizer.bank.undo(confirmed.undo.undo_id)
    assert recognizer.confirm_sighting(person_id, before).photo is not None, "of an empty bank, too"
    hardly = recognizer.identify(darker(photos["biden"], 0.1)).identification_id
    with pytest.raises(FaceNotUsable):
        recognizer.confirm_sighting(person_id, hardly)


def test_a_street_of_strangers_pushes_out_nobody_who_might_be_someone(recognizer: Recognizer, photos: Photos) -> None:
    person_id = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    found = recognizer.identify(photos["obama2"].read_bytes())
    (stranger,) = recognizer.identify(photos["biden"].read_bytes()).faces
    assert stranger.status is Status.UNKNOWN
    sightings = recognizer._sightings
    for _ in range(120):
        keep_pictures(sightings, np.zeros((3000, 3000, 3), np.uint8), [stranger], [])
    assert sightings._picture_bytes <= 16 * 2**20
    assert recognizer.confirm_sighting(person_id, found.identification_id).photo is not None


def test_faces_of_crowds_are_remembered_within_bounds(recognizer: Recognizer, photos: Photos) -> None:
    enrol(recognizer, "Barack", photos["obama"])
    faces = recognizer.identify(photos["obama2"].read_bytes()).faces * 100
    sightings = Sightings()
    ids = [sightings.add(faces, (640, 640)) for _ in range(201)]
    assert sum(len(entry.sighting.looks) for entry in sightings._sightings.values()) == 20_000
    assert len(sightings.sighting(ids[1]).looks) == 100
    with pytest.raises(SightingNotFound):
        sightings.sighting(ids[0])


def test_a_photo_of_a_face_that_is_kept_already_lifts_a_later_mistake(recognizer: Recognizer, photos: Photos) -> None:
    person_id = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    recognizer.reject_image(person_id, photos["obama"].read_bytes())
    assert name(recognizer, photos["obama"]) is None
    assert len(lifts(enrol(recognizer, "Barack", photos["obama"]))) == 1
    assert name(recognizer, photos["obama"]) == "Barack"


def test_a_rejection_after_teaching_counts(recognizer: Recognizer, photos: Photos) -> None:
    person_id = enrol(recognizer, "Barack", photos["obama"], photos["obama2"]).person.person_id
    recognizer.confirm_image(person_id, photos["obama3"].read_bytes())
    recognizer.reject_image(person_id, photos["obama3"].read_bytes())
    assert name(recognizer, photos["obama3"]) is None


def test_photos_of_other_faces_lift_nothing(recognizer: Recognizer, photos: Photos) -> None:
    person_id = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    recognizer.add_photos(person_id, [photos["biden"].read_bytes()])
    recognizer.reject_image(person_id, photos["biden"].read_bytes())
    for key in ("obama2", "obama3"):
        assert lifts(recognizer.add_photos(person_id, [photos[key].read_bytes()])) == []
    assert name(recognizer, photos["biden"]) is None


def test_a_lifted_rejection_stays_lifted_after_a_restart(pipeline: Pipeline, photos: Photos, tmp_path: Path) -> None:
    with closing(make_recognizer(pipeline, tmp_path)) as first:
        person_id = enrol(first, "Barack", photos["obama"]).person.person_id
        first.reject_image(person_id, photos["obama2"].read_bytes())
        (undo_id,) = lifts(first.add_photos(person_id, [photos["obama2"].read_bytes()]))
    with closing(make_recognizer(pipeline, tmp_path)) as second:
        assert name(second, photos["obama2"]) == "Barack"
        second.bank.undo(undo_id)
        assert name(second, photos["obama2"]) is None
        assert second.bank.check() == []


def test_a_confirmed_look_is_kept_where_it_shows_something_new(recognizer: Recognizer, photos: Photos) -> None:
    person_id = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    again = recognizer.confirm_image(person_id, darker(photos["obama"], 0.9))
    assert (again.photo, again.person.embedding_count) == (None, 1)
    sighting = recognizer.identify(photos["obama2"].read_bytes()).identification_id
    confirmed = recognizer.confirm_sighting(person_id, sighting.upper())
    assert confirmed.person.embedding_count == 2
    assert confirmed.photo is not None
    picture = decode(recognizer.bank.picture(person_id, confirmed.photo.photo_id), Limits())
    (embedding,) = recognizer._pipeline.embed_portraits([picture])
    (face,) = recognizer.detect(photos["obama2"].read_bytes()).faces
    assert float(embedding @ face.embedding) > 0.98
    again = recognizer.confirm_sighting(person_id, sighting)
    assert (again.photo, again.undo) == (confirmed.photo, confirmed.undo)
    recognizer.bank.undo(confirmed.undo.undo_id)
    assert recognizer.bank.person(person_id).embedding_count == 1


def test_a_stranger_is_confirmed_as_someone_who_is_here(recognizer: Recognizer, photos: Photos) -> None:
    person_id = enrol(recognizer, "Eileen", photos["biden"]).person.person_id
    (face,) = recognizer.identify(photos["astronaut"].read_bytes(), recognizer.camera()).faces
    assert face.unknown_id is not None
    with pytest.raises(PersonNotFound):
        recognizer.confirm_unknown(face.unknown_id, "nobody")
    confirmed = recognizer.confirm_unknown(face.unknown_id, person_id)
    assert [caution.code for caution in confirmed.cautions] == ["DOES_NOT_FIT"]
    assert name(recognizer, photos["astronaut"]) == "Eileen"
    assert recognizer.confirm_unknown(face.unknown_id, person_id) == confirmed, "the reply may have been lost"
    recognizer.bank.undo(confirmed.undo.undo_id)
    with pytest.raises(UnknownNotFound):
        recognizer.confirm_unknown(face.unknown_id, person_id)


def test_what_was_said_of_a_face_goes_with_the_person(recognizer: Recognizer, photos: Photos) -> None:
    person_id = enrol(recognizer, "Eileen", photos["biden"]).person.person_id
    (face,) = recognizer.identify(photos["astronaut"].read_bytes(), recognizer.camera()).faces
    assert face.unknown_id is not None
    recognizer.confirm_unknown(face.unknown_id, person_id)
    recognizer.forget_strangers()
    assert recognizer.unknowns.said(face.unknown_id, person_id) is not None
    recognizer.bank.forget(person_id)
    recognizer.forget_strangers()  # as the server does every minute
    assert recognizer.unknowns.said(face.unknown_id, person_id) is None


def test_pictures_of_a_camera_are_few_and_go_with_the_person(recognizer: Recognizer, photos: Photos) -> None:
    now = 1000.0
    sightings = recognizer._sightings = Sightings(lambda: now)
    person_id = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    camera, image = recognizer.camera(lambda: now), photos["obama2"].read_bytes()
    for _ in range(5):
        found = recognizer.identify(image, camera)
        now += 0.3
    assert len(sightings._pictures) == 1, "one a track"
    for _ in range(120):
        recognizer._sightings.add(found.faces, (640, 640))
        keep_pictures(sightings, np.zeros((3000, 3000, 3), np.uint8), found.faces, [])
    assert sum(kept.picture.image.nbytes for kept in sightings._pictures.values()) == sightings._picture_bytes
    assert sightings._picture_bytes <= 16 * 2**20
    recognizer.bank.forget(person_id)
    recognizer.forget_strangers()
    assert (len(sightings._pictures), sightings._picture_bytes) == (0, 0)
    with pytest.raises(SightingNotFound):
        sightings.sighting(found.identification_id).of("nobody")


@pytest.mark.parametrize("size", [(640, 480), (4000, 3000)])
def test_a_portrait_of_the_cutting_is_the_portrait(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    image = np.asarray(PillowImage.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8)).resize(size))
    eyes = np.array([[0.1, 0.4], [0.35, 0.38], [0.2, 0.55], [0.13, 0.7], [0.32, 0.69]], np.float32) * size
    small, points = cut_out(image, eyes.astype(np.float32))
    assert max(small.shape) <= 640
    whole, again = portrait(image, eyes.astype(np.float32)), portrait(small, points)
    assert float(np.abs(whole.astype(int) - again.astype(int)).mean()) < 2


def test_every_look_alike_is_named(recognizer: Recognizer, photos: Photos) -> None:
    look_alikes = []
    for other in "ABCDEFGHIJ":
        cautions = [c for c in enrol(recognizer, other, photos["obama"]).cautions if c.code == "LOOKS_LIKE"]
        look_alikes.append(sorted(caution.details["name"] for caution in cautions))
    assert look_alikes == [list("ABCDEFGHIJ"[:n]) for n in range(10)]
    assert len(recognizer.report().look_alikes) == 45


def test_who_has_several_look_alikes_is_refused_too(pipeline: Pipeline, photos: Photos, tmp_path: Path) -> None:
    with closing(make_recognizer(pipeline, tmp_path)) as before:
        ids = {enrol(before, other, photos["obama"]).person.person_id for other in "ABC"}
    with closing(make_recognizer(pipeline, tmp_path, "reject")) as recognizer:
        with pytest.raises(DuplicatePerson) as refused:
            enrol(recognizer, "D", photos["obama2"])
        assert refused.value.details is not None
        assert {each["person_id"] for each in refused.value.details["looks_like"]} == ids
        assert refused.value.details["person_id"] in ids
        assert recognizer.bank.person_count == 3


def test_a_misfit_makes_no_room_for_more_of_its_kind(recognizer: Recognizer, photos: Photos) -> None:
    person_id = enrol(recognizer, "Barack", photos["obama"]).person.person_id
    for image in (photos["biden"].read_bytes(), darker(photos["biden"], 0.7)):
        assert [caution.code for caution in recognizer.add_photos(person_id, [image]).cautions] == ["DOES_NOT_FIT"]
    joe = enrol(recognizer, "Joe", photos["biden"]).person.person_id
    recognizer.add_photos(joe, [photos["astronaut"].read_bytes()])
    assert "DOES_NOT_FIT" not in [c.code for c in recognizer.add_photos(joe, [darker(photos["biden"], 0.7)]).cautions]


@pytest.mark.parametrize(
    "keys,odd",
    [
        (("obama", "obama2", "biden"), [3]),
        (("biden", "obama", "obama2"), [1]),
        (("obama", "biden"), [2]),
        (("obama", "obama2"), []),
        (("obama",), []),
    ],
)
def test_one_stranger_among_the_photos_of_somebody_new_is_warned_of(
    recognizer: Recognizer, photos: Photos, keys: tuple[str, ...], odd: list[int]
) -> None:
    cautions = enrol(recognizer, "Barack", *(photos[key] for key in keys)).cautions
    assert [caution.details["photo"] for caution in cautions if caution.code == "DOES_NOT_FIT"] == odd


def test_what_would_help_most_is_said(recognizer: Recognizer, photos: Photos) -> None:
    first = enrol(recognizer, "Barack", photos["obama"])
    assert first.advice is not None
    assert (first.advice.code, first.advice.view) == ("MORE_PHOTOS", "another_day")
    assert first.advice.right_now < first.advice.right_then
    assert recognizer.advice() == [(first.person, first.advice)]
    assert enrol(recognizer, "Barack", photos["obama2"], photos["obama3"]).advice is None
    poor = recognizer.enrol(name="Joe", relationship=None, metadata={}, images=[darker(photos["biden"], 0.12)])
    assert poor.advice is not None
    assert poor.advice.code == "BETTER_PHOTO"
    assert ADVICE[Issue.TOO_DARK] in poor.advice.message
    assert [person.name for person, _ in recognizer.advice()] == ["Joe"]


def test_someone_who_always_looks_away_is_asked_to_look_into_the_camera() -> None:
    turned = Photo("1", "1", Quality(70, (Issue.TURNED_AWAY,)), datetime.now(UTC))
    found = advice("Ann", [turned, turned], views=2)
    assert found is not None
    assert (found.code, found.view) == ("MORE_PHOTOS", "into_the_camera")
    assert advice("Ann", [], views=0) is None
