"""Fields of forms, read and checked: what a name, a consent record, a box may be."""

from __future__ import annotations

import json
import unicodedata
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, File, Form, UploadFile

from visage.api.deps import ServiceDep
from visage.bank.rules import MAX_METADATA_BYTES, MAX_TEXT, NO_TEXT, fits, is_plain
from visage.errors import InvalidValue
from visage.types import Box, Consent

MAX_IMAGES = 10
_MAX_COORDINATE = 1e6


def clean_name(name: str) -> str:
    """A person's name, trimmed.

    Raises:
        InvalidValue: empty, too long, or with characters that are no text.
    """
    name = _text("name", name)
    if not name:
        raise InvalidValue.of("name", "must not be empty")
    if not any(unicodedata.category(character)[0] in "LNPS" for character in name):
        raise InvalidValue.of("name", "must have a character that can be seen")
    return name


def clean_relationship(relationship: str | None) -> str | None:
    """A relationship, trimmed; None where it is empty.

    Raises:
        InvalidValue: too long, or with characters that are no text.
    """
    return (_text("relationship", relationship) or None) if relationship is not None else None


def clean_label(label: str) -> str:
    """What a key is called, trimmed; may be empty.

    Raises:
        InvalidValue: too long, or with characters that are no text.
    """
    return _text("label", label)


def clean_consent(consent: Any) -> Consent:
    """A consent record.

    Raises:
        InvalidValue: it is none.
    """
    known = {"given_by", "capacity", "given_on", "valid_until", "text_version"}
    if not isinstance(consent, dict) or not consent.keys() <= known:
        raise InvalidValue.of("consent", f"must be a JSON object with {', '.join(sorted(known))}")

    def text(field: str, *, needed: bool) -> str | None:
        value = consent.get(field)
        if value is None and not needed:
            return None
        if not isinstance(value, str) or not (cleaned := _text("consent", value)):
            raise InvalidValue.of("consent", f"needs {field}, a text")
        return cleaned

    def day(field: str, *, needed: bool) -> date | None:
        value = text(field, needed=needed)
        try:
            return None if value is None else date.fromisoformat(value)
        except ValueError as exc:
            raise InvalidValue.of("consent", f"needs {field} as YYYY-MM-DD") from exc

    given_on, valid_until = day("given_on", needed=True), day("valid_until", needed=False)
    given_by, capacity = text("given_by", needed=True), text("capacity", needed=True)
    if given_on is None or given_by is None or capacity is None or (valid_until and valid_until < given_on):
        raise InvalidValue.of("consent", "ends before it begins")
    return Consent(given_by, capacity, given_on, valid_until, text("text_version", needed=False))


def clean_metadata(metadata: Any) -> dict[str, Any]:
    """An object that JSON can carry, of bounded size and depth.

    Raises:
        InvalidValue: it is not.
    """
    if not isinstance(metadata, dict):
        raise InvalidValue.of("metadata", "must be a JSON object")
    if not is_plain(metadata):
        raise InvalidValue.of("metadata", "holds a value that JSON cannot carry, or is nested too deeply")
    if not fits(metadata):
        raise InvalidValue.of("metadata", f"must not be longer than {MAX_METADATA_BYTES:,} bytes")
    return metadata


def clean_box(field: str, text: str) -> Box | None:
    """A box; nothing, or null, is none.

    Raises:
        InvalidValue: it is neither.
    """
    try:
        parsed = json.loads(text or "null")
    except (ValueError, RecursionError) as exc:
        raise InvalidValue.of(field, "must be a JSON object with x, y, width, height") from exc
    if parsed is None:
        return None
    if not isinstance(parsed, dict) or parsed.keys() != {"x", "y", "width", "height"}:
        raise InvalidValue.of(field, "must be a JSON object with x, y, width, height")
    # A bool is an int to Python, and json reads NaN.
    numbers = [parsed[key] for key in ("x", "y", "width", "height")]
    if not all(type(number) in (int, float) and 0 <= number <= _MAX_COORDINATE for number in numbers):
        raise InvalidValue.of(field, "must have numbers of pixels, from 0 on")
    box = Box(*map(float, numbers))
    if not box.width or not box.height:
        raise InvalidValue.of(field, "must have a width and a height")
    return box


def _text(field: str, value: str) -> str:
    value = value.strip()
    if len(value) > MAX_TEXT:
        raise InvalidValue.of(field, f"must not be longer than {MAX_TEXT} characters")
    if any(unicodedata.category(character) in NO_TEXT | {"Co", "Cn"} for character in value):
        raise InvalidValue.of(field, "must be text, without control characters")
    return value


def name_field(name: Annotated[str, Form(description="The person's name; 1–200 characters once trimmed")]) -> str:
    """The form field `name`."""
    return clean_name(name)


def relationship_field(
    relationship: Annotated[str | None, Form(description="What the person is to the user; ≤ 200 characters")] = None,
) -> str | None:
    """The form field `relationship`."""
    return clean_relationship(relationship)


def metadata_field(
    metadata: Annotated[
        str | None, Form(description="A JSON object, ≤ 16 KiB", examples=['{"note": "met at the choir"}'])
    ] = None,
) -> dict[str, Any]:
    """The form field `metadata`."""
    if metadata is None:
        return {}
    try:
        return clean_metadata(json.loads(metadata))
    except (ValueError, RecursionError) as exc:
        raise InvalidValue.of("metadata", "must be a JSON object") from exc


def given_consent_field(
    consent: Annotated[
        str | None,
        Form(
            description="Who agreed: a JSON object with `given_by`, `capacity`, `given_on` (YYYY-MM-DD) and perhaps "
            "`valid_until`, `text_version`",
            examples=['{"given_by": "Jane Doe", "capacity": "self", "given_on": "2025-12-04"}'],
        ),
    ] = None,
) -> Consent | None:
    """The form field `consent`."""
    if consent is None:
        return None
    try:
        parsed = json.loads(consent)
    except (ValueError, RecursionError) as exc:
        raise InvalidValue.of("consent", "must be a JSON object") from exc
    return clean_consent(parsed)


GivenConsentField = Annotated[Consent | None, Depends(given_consent_field)]


def consent_field(service: ServiceDep, consent: GivenConsentField) -> Consent | None:
    """The form field `consent`; it may be asked for."""
    if consent is None and service.preferences.require_consent:
        raise InvalidValue.of("consent", "is needed here: who agreed, in what capacity, when")
    return consent


async def images_field(
    image: Annotated[list[UploadFile], File(description="Face image, JPEG or PNG; repeat for more photos, up to 10")],
) -> list[bytes]:
    """The form field `image`, repeated."""
    if len(image) > MAX_IMAGES:
        raise InvalidValue.of("image", f"must not be repeated more than {MAX_IMAGES} times")
    return [await upload.read() for upload in image]


_BOX = "Which face is meant where there are several: a JSON object with `x`, `y`, `width`, `height`, in pixels"


def boxes_field(
    box: Annotated[
        list[str] | None,
        Form(description=f"{_BOX}; with several images one for each, in order, null where nothing is to be said"),
    ] = None,
) -> list[Box | None]:
    """The form field `box`, repeated."""
    return [clean_box("box", text) for text in box or ()]


def box_field(box: Annotated[str | None, Form(description=_BOX)] = None) -> Box | None:
    """The form field `box`."""
    return None if box is None else clean_box("box", box)


def box_2_field(box_2: Annotated[str | None, Form(description="The same in `image_2`")] = None) -> Box | None:
    """The form field `box_2`."""
    return None if box_2 is None else clean_box("box_2", box_2)


async def image_field(image: Annotated[UploadFile, File(description="JPEG or PNG")]) -> bytes:
    """The form field `image`."""
    return await image.read()


async def image_2_field(
    image_2: Annotated[UploadFile | None, File(description="JPEG or PNG")] = None,
) -> bytes | None:
    """The form field `image_2`."""
    return await image_2.read() if image_2 is not None else None


NameField = Annotated[str, Depends(name_field)]
RelationshipField = Annotated[str | None, Depends(relationship_field)]
MetadataField = Annotated[dict[str, Any], Depends(metadata_field)]
ConsentField = Annotated[Consent | None, Depends(consent_field)]
ImagesField = Annotated[list[bytes], Depends(images_field)]
BoxesField = Annotated[list[Box | None], Depends(boxes_field)]
BoxField = Annotated[Box | None, Depends(box_field)]
Box2Field = Annotated[Box | None, Depends(box_2_field)]
ImageField = Annotated[bytes, Depends(image_field)]
Image2Field = Annotated[bytes | None, Depends(image_2_field)]
