"""Teaching a person by real photos: of several people, the same one again, nearly the same one again."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from threading import Barrier
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageFilter, ImageOps

from tests.conftest import make_recognizer
from tests.recognition.test_recognizer import no_face
from visage.errors import FaceNotUsable, InvalidValue, MultipleFaces, NoFaceDetected
from visage.recognition.decision import Likeness
from visage.recognition.recognizer import Recognizer
from visage.types import Box, Caution, Consent, Enrolment, NewPhoto
from visage.vision.pipeline import Pipeline

Pictures = Mapping[str, PillowImage.Image]


@pytest.fixture(scope="module")
def pictures(photos: Mapping[str, Path]) -> Pictures:
    """Heads and shoulders, 480 pixels high."""
    heads = {
        "obama": (0.54, 0.29, 0.27),
        "obama2": (0.53, 0.29, 0.33),
        "obama3": (0.545, 0.16, 0.165),
        "biden": (0.58, 0.13, 0.18),
        "astronaut": (0.44, 0.21, 0.33),
    }
    found = {}
    for key, (x, y, head) in heads.items():
        with PillowImage.open(photos[key]) as image:
            whole = image.convert("RGB")
        half = min(1.3 * head, y + 0.05 * head + head, 0.99 - y) * whole.height
        middle = (x * whole.width, (y + 0.1 * head) * whole.height)
        crop = whole.crop((middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half))
        found[key] = crop.resize((480, 480))
    return found


def jpeg(picture: PillowImage.Image, quality: int = 92, **options: Any) -> bytes:
    """Encoded."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, **options)
    return buffer.getvalue()


def beside(*pictures: PillowImage.Image) -> bytes:
    """A picture of several people, side by side."""
    sheet = PillowImage.new("RGB", (sum(p.width for p in pictures), max(p.height for p in pictures)), (120, 110, 90))
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, sheet.height - picture.height))
        left += picture.width
    return jpeg(sheet)


def small(picture: PillowImage.Image, part: float = 0.5) -> PillowImage.Image:
    """The same person further away."""
    return ImageOps.scale(picture, part)


def teach(
    recognizer: Recognizer,
    name: str,
    *images: bytes,
    boxes: Sequence[Box | None] = (),
    relationship: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    consent: Consent | None = None,
) -> Enrolment:
    """Register photos under a name."""
    return recognizer.enrol(
        name=name,
        relationship=relationship,
        metadata=metadata or {},
        images=images,
        boxes=boxes,
        consent=consent,
    )


def codes(enrolment: Enrolment) -> list[str]:
    """What a carer is told."""
    return [caution.code for caution in enrolment.cautions]


def caution(enrolment: Enrolment, code: str) -> Caution:
    """The only one of its kind."""
    (found,) = [caution for caution in enrolment.cautions if caution.code == code]
    return found


def is_now(recognizer: Recognizer, picture: PillowImage.Image) -> str | None:
    """Who the only face of a picture is said to be."""
    (face,) = recognizer.identify(jpeg(picture)).faces
    return face.match.person.name if face.match else None


def boxes_in(recognizer: Recognizer, image: bytes) -> list[Box]:
    """Where the faces are, left to right."""
    return sorted((face.box for face in recognizer.detect(image).faces), key=lambda box: box.x)


# --- several people in a photo


def test_of_two_people_the_one_who_is_known_by_the_name_is_taken(recognizer: Recognizer, pictures: Pictures) -> None:
    joe = teach(recognizer, "Joe", jpeg(pictures["biden"])).person
    both = beside(pictures["obama"], small(pictures["biden"]))
    again = teach(recognizer, " joe", both)
    assert (again.person.person_id, again.person.embedding_count, codes(again)) == (joe.person_id, 2, [])
    added = recognizer.add_photos(joe.person_id, [beside(pictures["obama2"], small(pictures["biden"], 0.6))])
    assert (added.person.embedding_count, codes(added)) == (3, [])
    assert is_now(recognizer, pictures["obama"]) is None


def test_one_of_a_group_is_found_when_known_by_the_name_and_nobody_else_is(
    recognizer: Recognizer, pictures: Pictures
) -> None:
    group = beside(pictures["obama"], pictures["biden"], pictures["astronaut"])
    with pytest.raises(MultipleFaces):
        teach(recognizer, "Joe", group)
    teach(recognizer, "Joe", jpeg(pictures["biden"]))
    assert teach(recognizer, "Joe", group).person.embedding_count == 2
    with pytest.raises(MultipleFaces):
        teach(recognizer, "Jim", group)


def test_where_two_match_the_one_who_is_known_the_other_is_named_in_a_warning(
    recognizer: Recognizer, pictures: Pictures
) -> None:
    """A twin, or a picture on the wall."""
    teach(recognizer, "Barack", jpeg(pictures["obama"]))
    taught = teach(recognizer, "Barack", beside(small(pictures["obama2"], 0.6), pictures["obama3"]))
    assert (taught.person.embedding_count, codes(taught)) == (2, ["OTHER_FACES"])


def test_of_two_strangers_the_nearer_is_taken_and_the_other_named_in_a_warning(
    recognizer: Recognizer, pictures: Pictures
) -> None:
    both = beside(pictures["obama"], small(pictures["biden"]))
    taught = teach(recognizer, "Joe", both)
    details = caution(taught, "OTHER_FACES").details
    (left, right) = boxes_in(recognizer, both)
    assert [face["x"] for face in details["faces"]] == [round(left.x), round(right.x)]
    assert details["taken"] == details["faces"][0]
    assert details["photo"] == 1
    assert is_now(recognizer, pictures["obama"]) == "Joe"


def test_who_is_only_a_blur_behind_is_not_worth_a_warning(recognizer: Recognizer, pictures: Pictures) -> None:
    behind = small(pictures["biden"], 0.4).filter(ImageFilter.GaussianBlur(2))
    both = beside(pictures["obama"], behind)
    assert len(recognizer.detect(both).faces) == 2
    assert codes(teach(recognizer, "Barack", both)) == []


def test_a_box_of_whatever_detector_chooses(recognizer: Recognizer, pictures: Pictures) -> None:
    both = beside(pictures["obama"], small(pictures["biden"]))
    _, own = boxes_in(recognizer, both)
    middle = Box(own.x + own.width / 2, own.y + own.height / 2, 1, 1)
    whole_head = Box(own.x - 0.2 * own.width, own.y - 0.5 * own.height, 1.4 * own.width, 1.6 * own.height)
    eyes_to_mouth = Box(own.x + 0.15 * own.width, own.y + 0.3 * own.height, 0.7 * own.width, 0.6 * own.height)
    shoulders = Box(480, 240, 240, 240)
    for box in (own, middle, whole_head, eyes_to_mouth, shoulders):
        taught = teach(recognizer, "Joe", both, boxes=[box])
        assert "OTHER_FACES" not in codes(taught)
        assert is_now(recognizer, pictures["biden"]) == "Joe"
        assert is_now(recognizer, pictures["obama"]) is None
        recognizer.bank.forget(taught.person.person_id)


def test_a_box_goes_before_the_name(recognizer: Recognizer, pictures: Pictures) -> None:
    """Two people of one name."""
    first = teach(recognizer, "Sam", jpeg(pictures["obama"])).person
    both = beside(pictures["obama2"], small(pictures["biden"]))
    second = teach(recognizer, "Sam", both, boxes=[boxes_in(recognizer, both)[1]]).person
    assert second.person_id != first.person_id
    assert teach(recognizer, "Sam", jpeg(pictures["biden"])).person.person_id == second.person_id


def test_a_box_that_fits_no_face_is_refused(recognizer: Recognizer, pictures: Pictures) -> None:
    both = beside(pictures["obama"], small(pictures["biden"]))
    nowhere, everywhere, outside = Box(500, 10, 60, 60), Box(0, 0, 720, 480), Box(5000, 5000, 60, 60)
    for box in (nowhere, everywhere, outside):
        with pytest.raises(InvalidValue) as refused:
            teach(recognizer, "Joe", both, boxes=[box])
        assert refused.value.details is not None
        assert refused.value.details["fields"][0]["field"] == "box"
        assert len(refused.value.details["faces"]) == 2
    with pytest.raises(NoFaceDetected):
        teach(recognizer, "Joe", no_face(), boxes=[nowhere])
    blurred = small(pictures["biden"], 0.4).filter(ImageFilter.GaussianBlur(2))
    both = beside(pictures["obama"], blurred)
    with pytest.raises(FaceNotUsable):
        teach(recognizer, "Joe", both, boxes=[boxes_in(recognizer, both)[1]])
    assert recognizer.bank.person_count == 0


def test_with_several_photos_each_has_its_box(recognizer: Recognizer, pictures: Pictures) -> None:
    both = beside(pictures["obama"], small(pictures["biden"]))
    box = boxes_in(recognizer, both)[1]
    taught = teach(recognizer, "Joe", jpeg(pictures["astronaut"]), both, boxes=[Box(1, 1, 9, 9), box])
    assert [outcome.error.code if outcome.error else None for outcome in taught.outcomes] == [
        "VALIDATION_ERROR",
        None,
    ]
    assert is_now(recognizer, pictures["biden"]) == "Joe"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_other_photos_of_a_request_tell_who_is_meant(
    recognizer: Recognizer, pictures: Pictures, order: tuple[int, int]
) -> None:
    both = beside(pictures["obama"], small(pictures["biden"], 0.9))
    images = [jpeg(pictures["biden"]), both]
    taught = teach(recognizer, "Joe", *(images[place] for place in order))
    assert taught.person.embedding_count == 2
    assert codes(taught) == ["OTHER_FACES"]
    assert is_now(recognizer, pictures["biden"]) == "Joe"
    assert is_now(recognizer, pictures["obama"]) is None


def test_a_couple_in_every_photo_is_not_mixed(recognizer: Recognizer, pictures: Pictures) -> None:
    images = [
        beside(pictures["obama"], small(pictures["biden"])),
        beside(small(pictures["obama2"]), pictures["biden"]),
    ]
    taught = teach(recognizer, "Barack", *images)
    assert codes(taught) == ["OTHER_FACES", "OTHER_FACES"]
    assert is_now(recognizer, pictures["obama3"]) == "Barack"
    assert is_now(recognizer, pictures["biden"]) is None


def test_a_box_chooses_in_questions_and_corrections_too(recognizer: Recognizer, pictures: Pictures) -> None:
    joe = teach(recognizer, "Joe", jpeg(pictures["biden"])).person.person_id
    both = beside(pictures["obama"], small(pictures["biden"]))
    left, right = boxes_in(recognizer, both)
    assert not recognizer.verify_person(both, joe).same
    assert recognizer.verify_person(both, joe, right).same
    assert recognizer.verify_images(jpeg(pictures["biden"]), both, None, right).same
    assert recognizer.verify_images(both, jpeg(pictures["obama2"]), left).same
    recognizer.reject_image(joe, both, left)
    assert is_now(recognizer, pictures["biden"]) == "Joe"
    (counter,) = recognizer.bank.counter_examples(joe)
    (obama,) = recognizer.detect(jpeg(pictures["obama"])).faces
    assert float(counter.embedding @ obama.embedding) > 0.9


# --- the same photo again


def test_the_same_photo_again_changes_nothing_and_answers_the_same(
    recognizer: Recognizer, pictures: Pictures
) -> None:
    image = jpeg(pictures["obama"])
    first = teach(recognizer, "Barack", image, relationship="Friend", metadata={"a": 1})
    again = teach(recognizer, "Barack", image, relationship="Friend", metadata={"a": 1})
    assert codes(again) == ["SAME_PHOTO"]
    assert (again.person, [o.photo for o in again.outcomes]) == (first.person, [o.photo for o in first.outcomes])
    added = recognizer.add_photos(first.person.person_id, [image])
    assert (added.person, codes(added)) == (first.person, ["SAME_PHOTO"])
    assert (
        caution(added, "SAME_PHOTO").details["photo_id"] == recognizer.bank.photos(first.person.person_id)[0].photo_id
    )


def test_the_same_pixels_in_another_file_are_the_same_photo(recognizer: Recognizer, pictures: Pictures) -> None:
    image = jpeg(pictures["obama"])
    with PillowImage.open(io.BytesIO(image)) as opened:
        pixels = opened.convert("RGB")
    buffer = io.BytesIO()
    pixels.save(buffer, "PNG")
    comment = image[:2] + b"\xff\xfe\x00\x0eOn the beach" + image[2:]
    lying = io.BytesIO()
    turned = PillowImage.Exif()
    turned[0x0112] = 6
    pixels.transpose(PillowImage.Transpose.ROTATE_90).save(lying, "PNG", exif=turned)
    teach(recognizer, "Barack", image)
    for copy in (comment, buffer.getvalue(), lying.getvalue()):
        assert codes(teach(recognizer, "Barack", copy)) == ["SAME_PHOTO"]


def test_a_photo_sent_twice_in_one_request_is_kept_once(recognizer: Recognizer, pictures: Pictures) -> None:
    images = [jpeg(pictures[key]) for key in ("obama", "obama2", "obama")]
    taught = teach(recognizer, "Barack", *images)
    ids = [outcome.photo.photo_id for outcome in taught.outcomes if outcome.photo]
    assert (taught.person.embedding_count, ids[0] == ids[2], len(set(ids))) == (2, True, 2)
    assert caution(taught, "SAME_PHOTO").details["photo"] == 3
    again = teach(recognizer, "Barack", *images)
    assert [outcome.photo.photo_id for outcome in again.outcomes if outcome.photo] == ids
    assert again.person == taught.person


def test_the_same_photo_is_known_after_a_restart(pipeline: Pipeline, pictures: Pictures, tmp_path: Path) -> None:
    image = jpeg(pictures["obama"])
    before = make_recognizer(pipeline, tmp_path / "data")
    first = teach(before, "Barack", image).person
    before.close()
    after = make_recognizer(pipeline, tmp_path / "data")
    again = teach(after, "Barack", image)
    after.close()
    assert (again.person, codes(again)) == (first, ["SAME_PHOTO"])


def test_a_warning_is_given_again_with_the_reply(recognizer: Recognizer, pictures: Pictures) -> None:
    both = beside(pictures["obama"], small(pictures["biden"]))
    first, again = teach(recognizer, "Joe", both), teach(recognizer, "Joe", both)
    assert caution(again, "OTHER_FACES") == caution(first, "OTHER_FACES")
    other = [teach(recognizer, "Barack", jpeg(pictures["obama2"])) for _ in range(2)]
    assert caution(other[1], "LOOKS_LIKE").details == caution(other[0], "LOOKS_LIKE").details
    assert other[0].person == other[1].person
    joe = first.person.person_id
    stranger = [recognizer.add_photos(joe, [jpeg(pictures["astronaut"])]) for _ in range(2)]
    assert [codes(each)[0] for each in stranger] == ["DOES_NOT_FIT"] * 2
    assert stranger[0].person == stranger[1].person


def answer(enrolment: Enrolment) -> tuple[Any, ...]:
    """What a client is told, but for the person's counts and for `SAME_PHOTO`."""
    photos = [outcome.photo for outcome in enrolment.outcomes]
    told = [(each.code, each.details) for each in enrolment.cautions if each.code != "SAME_PHOTO"]
    return enrolment.person.person_id, photos, told


def test_a_repeated_request_takes_the_same_face_though_more_is_known_since(
    recognizer: Recognizer, pictures: Pictures
) -> None:
    images = [beside(pictures["biden"], small(pictures["obama"])), jpeg(pictures["biden"])]
    first = teach(recognizer, "Barack", *images)
    for key in ("obama", "obama2", "obama3"):
        recognizer.add_photos(first.person.person_id, [jpeg(pictures[key])])
    again = teach(recognizer, "Barack", *images)
    assert answer(again) == answer(first)
    assert answer(recognizer.add_photos(first.person.person_id, images)) == answer(first)
    assert recognizer.bank.person(first.person.person_id).embedding_count == 5


def test_a_face_that_was_no_doubt_is_none_when_the_request_is_repeated(
    recognizer: Recognizer, pictures: Pictures
) -> None:
    teach(recognizer, "Joe", jpeg(pictures["biden"]))
    both = beside(pictures["obama"], ImageOps.mirror(small(pictures["biden"])))
    assert codes(teach(recognizer, "Joe", both)) == []
    assert codes(teach(recognizer, "Joe", both)) == ["SAME_PHOTO"]


def test_a_namesake_who_was_found_in_one_image_only_changes_no_second_answer(
    recognizer: Recognizer, pictures: Pictures
) -> None:
    """The request makes another Joe, who has the face of the first one in a photo, and no doubt about it."""
    joe = teach(recognizer, "Joe", jpeg(pictures["biden"])).person
    images = [jpeg(pictures[key]) for key in ("obama", "obama2", "obama3")]
    images.append(beside(ImageOps.mirror(pictures["obama"]), ImageOps.mirror(small(pictures["biden"]))))
    first = teach(recognizer, "Joe", *images)
    assert first.person.person_id != joe.person_id
    assert "OTHER_FACES" not in codes(first)
    assert answer(teach(recognizer, "Joe", *images)) == answer(first)


@pytest.mark.parametrize("way", ["by name", "by id"])
def test_photos_that_fitted_or_not_are_told_the_same_when_requests_are_repeated(
    recognizer: Recognizer, pictures: Pictures, way: str
) -> None:
    person_id = ""
    requests = [["biden"], ["obama", "astronaut"], ["obama2", "biden"], ["obama3"], ["astronaut"]]

    def send(keys: list[str]) -> Enrolment:
        images = [jpeg(pictures[key]) for key in keys]
        if person_id and way == "by id":
            return recognizer.add_photos(person_id, images)
        return teach(recognizer, "Barack", *images)

    first = []
    for keys in requests:
        first.append(send(keys))
        person_id = first[0].person.person_id
        assert answer(send(keys)) == answer(first[-1]), keys
    assert answer(send(requests[0])) == answer(first[0])


def test_two_alike_requests_at_once_make_one_person(recognizer: Recognizer, pictures: Pictures) -> None:
    image, start = jpeg(pictures["obama"]), Barrier(4)

    def send(_: int) -> Enrolment:
        start.wait()
        return teach(recognizer, "Barack", image)

    with ThreadPoolExecutor(4) as threads:
        replies = list(threads.map(send, range(4)))
    assert len({(reply.person.person_id, reply.person.embedding_count) for reply in replies}) == 1
    assert recognizer.bank.person_count == recognizer.bank.embedding_count == 1


# --- nearly the same photo again


def frames(picture: PillowImage.Image, count: int) -> list[bytes]:
    """Of a film of someone who holds still, in a hand that does not."""
    rng = np.random.default_rng(5)
    pixels = np.asarray(picture)
    film = []
    for number in range(count):
        turn = cv2.getRotationMatrix2D((240, 240), 0.6 * number, 1 + 0.008 * number)
        moved = cv2.warpAffine(pixels, turn, (480, 480), borderMode=cv2.BORDER_REPLICATE)
        noisy = np.clip(moved + rng.normal(0, 4, moved.shape), 0, 255).astype(np.uint8)
        film.append(jpeg(PillowImage.fromarray(noisy), 85))
    return film


def copies(picture: PillowImage.Image) -> list[bytes]:
    """One shot as it comes back from a messenger, from a mail, from an album."""
    return [
        jpeg(picture),
        jpeg(picture, 40),
        jpeg(small(picture, 0.6), 70),
        jpeg(small(picture, 1.5)),
        jpeg(picture.crop((12, 12, 470, 470))),
    ]


@pytest.mark.parametrize("kind", [copies, lambda picture: frames(picture, 5)], ids=["copies", "frames"])
def test_near_copies_count_as_one_view(recognizer: Recognizer, pictures: Pictures, kind: Any) -> None:
    """Confidence in a face that is hard to tell is that of one photo, however often it is sent."""
    hard = jpeg(pictures["obama2"].filter(ImageFilter.GaussianBlur(5.5)))
    images = kind(pictures["obama"])
    person = teach(recognizer, "Barack", images[0]).person
    (once,) = recognizer.identify(hard).faces
    taught = recognizer.add_photos(person.person_id, images[1:])
    (often,) = recognizer.identify(hard).faces
    assert (taught.person.embedding_count, taught.person.views) == (5, 1)
    assert once.candidates[0].confidence < 0.9
    assert often.candidates[0].similarity == pytest.approx(once.candidates[0].similarity, abs=0.03)
    one = replace(often.candidates[0].person, embedding_count=1, views=1)
    shift = recognizer.crowd().shift_of(one.person_id)
    likeness = Likeness(one, often.candidates[0].similarity, shift=shift)
    (verdict,) = recognizer._decider.decide([[likeness]], qualities=[often.face.quality.score], persons=1)
    assert often.candidates[0].confidence == pytest.approx(verdict.candidates[0].confidence, abs=1e-6)
    assert [each.person_id for each in recognizer.report().thin] == [person.person_id]


def test_different_photos_are_different_views(recognizer: Recognizer, pictures: Pictures) -> None:
    person = teach(recognizer, "Barack", *(jpeg(pictures[key]) for key in ("obama", "obama2", "obama3"))).person
    assert (person.embedding_count, person.views) == (3, 3)
    assert recognizer.report().thin == ()


def test_a_wrong_photo_does_not_hide_behind_its_copy(recognizer: Recognizer, pictures: Pictures) -> None:
    person = teach(recognizer, "Barack", *(jpeg(pictures[key]) for key in ("obama", "obama2", "obama3"))).person
    wrong = pictures["biden"]
    added = recognizer.add_photos(
        person.person_id, [jpeg(wrong), jpeg(small(wrong, 0.7)), jpeg(wrong, 60), jpeg(small(wrong, 1.2), 80)]
    )
    misfits = {misfit.photo.photo_id for misfit in recognizer.report().misfits}
    assert misfits == {outcome.photo.photo_id for outcome in added.outcomes if outcome.photo}


def test_a_warning_names_the_photo_as_it_was_sent(recognizer: Recognizer, pictures: Pictures) -> None:
    person = teach(recognizer, "Barack", jpeg(pictures["obama"])).person
    added = recognizer.add_photos(person.person_id, [b"junk", jpeg(pictures["biden"]), jpeg(pictures["obama2"])])
    assert caution(added, "DOES_NOT_FIT").details["photo"] == 2


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_stranger_among_the_first_photos_of_a_person_is_noticed(
    recognizer: Recognizer, pictures: Pictures, place: int
) -> None:
    keys = ["obama", "obama2"]
    keys.insert(place, "biden")
    first = [teach(recognizer, "Barack", *(jpeg(pictures[key]) for key in keys)) for _ in range(2)]
    assert [caution(each, "DOES_NOT_FIT").details["photo"] for each in first] == [place + 1] * 2


# --- what else a request brings


def test_what_was_not_known_of_a_person_is_taken_over(recognizer: Recognizer, pictures: Pictures) -> None:
    consent = Consent("Michelle", "self", date(2025, 1, 2))
    teach(recognizer, "Barack", jpeg(pictures["obama"]), metadata={"note": "chess"})
    taught = teach(
        recognizer,
        "Barack",
        jpeg(pictures["obama2"]),
        relationship="Friend",
        metadata={"note": "chess", "street": "Elm"},
        consent=consent,
    )
    person = taught.person
    assert codes(taught) == []
    assert (person.relationship, person.metadata, person.consent) == (
        "Friend",
        {"note": "chess", "street": "Elm"},
        consent,
    )


@pytest.mark.parametrize("again", ["obama2", "obama"], ids=["another photo", "the same photo"])
def test_what_was_known_stays_and_is_reported(recognizer: Recognizer, pictures: Pictures, again: str) -> None:
    agreed, later = Consent("Michelle", "self", date(2025, 1, 2)), Consent("Joe", "guardian", date(2025, 2, 2))
    first = teach(
        recognizer,
        "Barack",
        jpeg(pictures["obama"]),
        relationship="Friend",
        metadata={"a": 1, "b": 2},
        consent=agreed,
    ).person
    taught = teach(
        recognizer,
        "Barack",
        jpeg(pictures[again]),
        relationship="Neighbour",
        metadata={"a": 1, "b": 3, "c": 4},
        consent=later,
    )
    kept = [each.details for each in taught.cautions if each.code == "KEPT_AS_WAS"]
    assert kept == [
        {"field": "relationship"},
        {"field": "consent"},
        {"field": "metadata", "keys": ["b"]},
    ]
    now = recognizer.bank.person(first.person_id)
    assert (now.relationship, now.consent, now.metadata) == ("Friend", agreed, {"a": 1, "b": 2, "c": 4})


@pytest.mark.parametrize(
    "known,sent",
    [
        (1, True),
        (0, False),
        (1, 1.0),
        ({"a": [1, {"b": 0}]}, {"a": [1, {"b": False}]}),
        (None, False),
    ],
)
def test_values_that_only_python_holds_for_equal_are_reported(
    recognizer: Recognizer, pictures: Pictures, known: Any, sent: Any
) -> None:
    image = jpeg(pictures["obama"])
    teach(recognizer, "Barack", image, metadata={"key": known, "same": {"a": 1, "b": 2}})
    taught = teach(recognizer, "Barack", image, metadata={"key": sent, "same": {"b": 2, "a": 1}})
    assert caution(taught, "KEPT_AS_WAS").details == {"field": "metadata", "keys": ["key"]}
    assert repr(taught.person.metadata["key"]) == repr(known)


def test_metadata_that_would_be_too_long_together_are_reported(recognizer: Recognizer, pictures: Pictures) -> None:
    teach(recognizer, "Barack", jpeg(pictures["obama"]), metadata={"a": "x" * 9_000})
    taught = teach(recognizer, "Barack", jpeg(pictures["obama2"]), metadata={"b": "y" * 9_000})
    assert caution(taught, "KEPT_AS_WAS").details == {"field": "metadata", "keys": ["b"]}
    assert taught.person.metadata == {"a": "x" * 9_000}


def test_what_is_sent_with_a_strangers_name_is_kept_or_refused_too(
    recognizer: Recognizer, pictures: Pictures
) -> None:
    camera = recognizer.camera()
    for _ in range(3):
        recognizer.identify(jpeg(pictures["obama"]), camera)
    (unknown,) = recognizer.unknowns.all()
    (known,) = recognizer.detect(jpeg(pictures["obama2"])).faces
    recognizer.bank.enrol(
        name="Barack", relationship="Friend", metadata={}, photos=[NewPhoto(known.embedding, b"", known.quality)]
    )
    taught = recognizer.enrol_unknown(
        unknown.unknown_id, name="Barack", relationship="Neighbour", metadata={"note": "chess"}
    )
    assert caution(taught, "KEPT_AS_WAS").details == {"field": "relationship"}
    assert (taught.person.relationship, taught.person.metadata) == ("Friend", {"note": "chess"})
