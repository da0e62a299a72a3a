"""The other ways from the bytes of a frame to a decision that `speed.py` compares with, where they are installed."""

from __future__ import annotations

import atexit
import importlib
import io
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

Way = Callable[[bytes], list[Any]]
"""Bytes of a frame → one result a face."""


def ways(persons: int) -> tuple[dict[str, Way], dict[str, str]]:
    """The ways that can be gone on this machine, by name; and of the others, why not."""
    found, missing = {}, {}
    for name, make in (
        ("face_recognition", face_recognition_way),
        ("DeepFace, Dlib", deepface_way),
        ("Haar cascade + LBPH", haar_way),
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found[name] = make(persons)
        except (ImportError, AttributeError, OSError, ValueError) as exc:
            missing[name] = f"{type(exc).__name__}: {str(exc).splitlines()[0]}"
        except SystemExit:  # how face_recognition says that its models cannot be read
            missing[name] = "its models cannot be read; they need setuptools<81"
    return found, missing


def face_recognition_way(persons: int) -> Way:
    """The default calls: dlib HOG with one upsampling, ResNet, distances to so many encodings."""
    library: Any = importlib.import_module("face_recognition")
    known = np.random.default_rng(1).normal(size=(persons, 128))

    def way(data: bytes) -> list[Any]:
        image = library.load_image_file(io.BytesIO(data))
        return [library.face_distance(known, e).min() for e in library.face_encodings(image)]

    return way


def deepface_way(persons: int) -> Way:
    """DeepFace with the Dlib model and the OpenCV detector; the weights come from `face_recognition_models`."""
    home = Path(tempfile.mkdtemp(prefix="deepface-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["DEEPFACE_HOME"] = str(home)  # it would fetch its weights into the user's home
    models: Any = importlib.import_module("face_recognition_models")
    target = home / ".deepface" / "weights" / "dlib_face_recognition_resnet_model_v1.dat"
    target.parent.mkdir(parents=True)
    shutil.copy(models.face_recognition_model_location(), target)
    shutil.copy(
        models.pose_predictor_five_point_model_location(), target.with_name("shape_predictor_5_face_landmarks.dat")
    )
    deepface: Any = importlib.import_module("deepface.DeepFace")
    if not hasattr(cv2, "CascadeClassifier"):
        raise AttributeError(f"OpenCV {cv2.__version__} has no cascade classifier, DeepFace's detector")
    known = np.random.default_rng(1).normal(size=(persons, 128))

    def way(data: bytes) -> list[Any]:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        faces = deepface.represent(image, model_name="Dlib", detector_backend="opencv", enforce_detection=True)
        return [np.linalg.norm(known - np.array(face["embedding"]), axis=1).min() for face in faces]

    return way


def haar_way(persons: int) -> Way:
    """OpenCV's Haar cascade and local binary patterns, as many tutorials have it; needs opencv-contrib 4."""
    opencv: Any = cv2
    cascade = opencv.CascadeClassifier(opencv.data.haarcascades + "haarcascade_frontalface_default.xml")
    recognizer = opencv.face.LBPHFaceRecognizer_create()
    looks = np.random.default_rng(1).integers(0, 255, (persons, 100, 100), dtype=np.uint8)
    recognizer.train(list(looks), np.arange(persons))

    def way(data: bytes) -> list[Any]:
        grey = opencv.imdecode(np.frombuffer(data, np.uint8), opencv.IMREAD_GRAYSCALE)
        faces = cascade.detectMultiScale(grey, 1.1, 5)
        return [recognizer.predict(opencv.resize(grey[y : y + h, x : x + w], (100, 100))) for x, y, w, h in faces]

    return way
