"""Look at an image: who is it, is it the same, can it be used?"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form

from visage import errors
from visage.api.deps import VerbsDep
from visage.api.envelope import Envelope
from visage.api.openapi import refusals
from visage.api.v1.fields import Box2Field, BoxField, Image2Field, ImageField
from visage.api.v1.schemas import faces
from visage.api.v1.schemas.faces import Detection, Identification, Verification
from visage.errors import InvalidValue

router = APIRouter(tags=["faces"])

_IMAGE_ERRORS = (errors.InvalidImage, errors.ImageTooLarge, errors.TooMuchWork, errors.Overloaded)


@router.post("/identify", operation_id="identify", responses=refusals(*_IMAGE_ERRORS))
async def identify(verbs: VerbsDep, image: ImageField) -> Envelope[Identification]:
    """Say who is in an image: every face, with the person it is, might be, or that nobody knows it."""
    return Envelope(data=faces.identification(await verbs.identify(image)))


@router.post("/detect", operation_id="detect", responses=refusals(*_IMAGE_ERRORS))
async def detect(verbs: VerbsDep, image: ImageField) -> Envelope[Detection]:
    """Find the faces of an image and judge them: the check to run before registering."""
    return Envelope(data=faces.detection(await verbs.detect(image)))


@router.post(
    "/verify",
    operation_id="verify",
    responses=refusals(
        *_IMAGE_ERRORS, errors.NoFaceDetected, errors.MultipleFaces, errors.PersonNotFound, errors.BankError
    ),
)
async def verify(
    verbs: VerbsDep,
    image: ImageField,
    image_2: Image2Field,
    box: BoxField,
    box_2: Box2Field,
    person_id: Annotated[str | None, Form(description="Compare with this person …")] = None,
) -> Envelope[Verification]:
    """Is it the same person? An image against a person, or against a second image."""
    if (person_id is None) == (image_2 is None):
        raise InvalidValue.of("person_id", "send either person_id or image_2")
    if person_id is not None:
        if box_2 is not None:
            raise InvalidValue.of("box_2", "belongs to image_2, which is not there")
        result = await verbs.verify_person(image, person_id, box)
    else:
        assert image_2 is not None  # noqa: S101 - exactly one of the two is there
        result = await verbs.verify_images(image, image_2, box, box_2)
    return Envelope(data=faces.verification(result))
