"""From an entry of the catalogue to a network that runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from visage.types import Image
from visage.vision.detect import Detections, Detector
from visage.vision.embed import Embedder, Runs
from visage.vision.landmarks import Landmarker
from visage.vision.models import LANDMARKS, DetectorModel, EmbedderModel
from visage.vision.mtcnn import CANVAS, Mtcnn
from visage.vision.runtime import Runtime
from visage.vision.yunet import Yunet


class Finds(Protocol):
    """What finds the faces of an image, (H, W, 3) uint8, RGB, or of one that is overturned; the first four points of
    each are right eye, left eye, nose tip and mouth centre."""

    def detect(self, image: Image, *, overturned: bool = False) -> Detections: ...


@dataclass(frozen=True, slots=True)
class Networks:
    """Those of a pipeline."""

    detector: Finds
    landmarker: Landmarker
    embedder: Embedder


def open_networks(model: EmbedderModel, detector: DetectorModel, threads: int, cache_dir: Path | None) -> Networks:
    """All networks of a pipeline, compiled; arguments as there.

    Raises:
        WeightsError: a file is no network, or the package that runs one is not installed.
    """
    runtime = Runtime(threads, cache_dir)
    return Networks(
        open_detector(runtime, detector),
        Landmarker(runtime.load(LANDMARKS.files[0].path, mean=0, scale=255)),
        open_embedder(runtime, model),
    )


def open_detector(runtime: Runtime, model: DetectorModel) -> Finds:
    """The networks of a detector, compiled.

    Raises:
        WeightsError: a file is no network.
    """
    paths = [weights.path for weights in model.files]
    match model.kind:
        case "blazeface":
            network = runtime.load(paths[0], mean=127.5, scale=127.5)
            return Detector(network, input_size=256, grids=((16, 2), (8, 6)), min_score=0.5)
        case "mtcnn":
            sizes = (CANVAS, (24, 24), (48, 48))  # width first: the networks see transposed pictures
            return Mtcnn(
                *(runtime.load(p, mean=127.5, scale=128, size=size) for p, size in zip(paths, sizes, strict=True))
            )
        case "yunet":
            side = Yunet.input_size
            return Yunet(runtime.load(paths[0], mean=0, scale=1, order="BGR", layout="NCHW", size=(side, side)))


def open_embedder(runtime: Runtime, model: EmbedderModel) -> Embedder:
    """The network of an embedder, compiled.

    Raises:
        WeightsError: the file is no network, or the package that runs it is not installed.
    """
    return Embedder(open_network(runtime, model), model)


def open_network(runtime: Runtime, model: EmbedderModel) -> Runs:
    """What an embedder asks: aligned faces in, raw vectors out. Raises: as `open_embedder`."""
    path = model.files[0].path
    if model.runs_as is not None:
        from visage.vision.deepface import DeepFaceNetwork  # noqa: PLC0415 - an optional part

        return DeepFaceNetwork(model.runs_as, path)
    pixels, side = model.pixels, model.framing.size
    return runtime.load(
        path,
        mean=pixels.mean,
        scale=pixels.scale,
        order=pixels.order,
        layout=pixels.layout,
        size=(side, side),
        abreast=2,
    )
