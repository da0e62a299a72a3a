"""What an image that was sent shows: the face that it is of, those that can be told apart, those that may be
remembered. Without a bank."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visage.errors import InputError, NoFaceDetected, VisageError
from visage.recognition.choosing import Offer, Offered, face_in
from visage.recognition.enrolment import dominant_face, offer_of, usable
from visage.types import Box, Detection, Embedding, Face, Image, NewPhoto, Quality
from visage.vision.image import Limits, decode, encode_jpeg
from visage.vision.pipeline import Pipeline

PICTURE_QUALITY = 92
"""JPEG quality of stored portraits: embedded again they give nearly the same vector."""


def detect(pipeline: Pipeline, image: bytes, limits: Limits) -> Detection:
    """Find and judge the faces of an image; and which one it would be registered as.

    Raises: InvalidImage, ImageTooLarge.
    """
    pixels = decode(image, limits)
    height, width = pixels.shape[:2]
    faces = pipeline.analyse(pixels)
    try:
        face = usable(dominant_face(faces, width, height))
    except VisageError as error:
        return Detection(width, height, tuple(faces), None, error.alone(), faces.passed_over)
    return Detection(width, height, tuple(faces), face, None, faces.passed_over)


def clear_faces(pipeline: Pipeline, image: bytes, limits: Limits) -> list[Face]:
    """The faces of an image that can be told apart.

    Raises: InvalidImage, ImageTooLarge, NoFaceDetected.
    """
    faces = [face for face in pipeline.analyse(decode(image, limits)) if face.is_clear]
    if not faces:
        raise NoFaceDetected
    return faces


def chosen_face(pipeline: Pipeline, image: bytes, limits: Limits, box: Box | None, field: str) -> Face:
    """The face in a box, or the one that an image is of. `field` is that of the request which brought the box.

    Raises: InvalidImage, ImageTooLarge, NoFaceDetected, MultipleFaces, InvalidValue.
    """
    pixels = decode(image, limits)
    faces = pipeline.analyse(pixels)
    return dominant_face(faces, *pixels.shape[1::-1]) if box is None else face_in(faces, box, field)


def prepare(pipeline: Pipeline, image: bytes, limits: Limits, box: Box | None) -> Offer:
    """The faces of an image that may be remembered, or why none may: what is wrong with the image is not raised.

    Raises: Stopping: nobody waits for it any more.
    """
    try:
        pixels = decode(image, limits)
        faces = pipeline.analyse(pixels, enrolling=True)
        if box is not None:
            return Offer((_offered(usable(face_in(faces, box))),))
    except InputError as error:
        return Offer((), error.alone())
    return offer_of(faces, pixels.shape[1::-1], _offered)


def embed_pictures(pipeline: Pipeline, pictures: Sequence[bytes], limits: Limits) -> NDArray[np.float32]:
    """What a model makes of stored pictures, n JPEGs: (n, D) float32, unit length."""
    return pipeline.embed_portraits([decode(picture, limits) for picture in pictures])


def new_photo(embedding: Embedding, picture: Image, quality: Quality) -> NewPhoto:
    """A photo as it is stored.

    Args:
        embedding: (D,) float32, unit length.
        picture: the portrait, (320, 320, 3) uint8, RGB.
        quality: of the picture.
    """
    return NewPhoto(embedding, encode_jpeg(picture, PICTURE_QUALITY), quality)


def _offered(face: Face) -> Offered:
    assert face.portrait is not None  # noqa: S101 - asked for with enrolling=True
    return Offered(face.box, new_photo(face.embedding, face.portrait, face.quality))
