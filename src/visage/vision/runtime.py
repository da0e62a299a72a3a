"""The inference engine, OpenVINO: the only file that imports it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visage.errors import WeightsError
from visage.vision import compiled, dlib_file
from visage.vision.dlib_file import read_dlib
from visage.vision.weights import sha256_of
from visage.vision.work import checkpoint

# Where the engine finds this package, it reports to its makers over the network that it is used. Nothing leaves the
# house: to the engine, the package is not there.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino as ov  # noqa: E402
from openvino import opset13 as ops  # noqa: E402
from openvino.preprocess import PrePostProcessor  # noqa: E402


def available_cores() -> int:
    """How many cores this process may use, where the system tells; else how many there are."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Runtime:
    """Compiles networks for this machine's CPU, once; later starts read the compiled form from the disk.

    Args:
        threads: inference threads a call may use; 0 leaves it to the engine.
        cache_dir: where compiled networks are kept; None keeps nothing.
    """

    def __init__(self, threads: int = 0, cache_dir: Path | None = None) -> None:
        self._core = ov.Core()
        self._threads = threads
        self._config: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            # Newer CPUs would compute in bfloat16 unasked; a bank must mean the same on every machine.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        if threads:
            self._config["INFERENCE_NUM_THREADS"] = threads
        self._cache_dir = cache_dir
        if cache_dir is not None:
            compiled.make_private(cache_dir)

    def load(
        self,
        path: Path,
        *,
        mean: float | Sequence[float],
        scale: float,
        order: Literal["RGB", "BGR"] = "RGB",
        layout: Literal["NHWC", "NCHW"] = "NHWC",
        size: tuple[int, int] | None = None,
        abreast: int = 1,
    ) -> Network:
        """Read a network, make its batch one image, fuse its activations, and compile it.

        The batch is fixed: on a CPU, images in a batch cost what they cost one by one, and each change of a free
        batch costs another 3 to 220 ms (`docs/decisions/0008-the-way-of-a-frame.md`).

        Args:
            path: the weights: TFLite or ONNX; dlib's ResNet (`.dat`).
            mean, scale: the network sees (pixel − mean) / scale; a mean for each channel is in the network's order.
            order, layout: of the colours and dimensions that the network sees; it is always given RGB, NHWC.
            size: (height, width) of its input, where the file leaves that open.
            abreast: run so many images side by side, each on its part of the threads. One image alone is then
                slower, several are faster.

        Raises:
            WeightsError: the file is no network that the engine can read.
        """
        abreast = min(abreast, self._threads or available_cores())
        config = {**self._config, "NUM_STREAMS": abreast}
        pixels = (mean if isinstance(mean, float | int) else list(mean), scale, order, layout)

        def compile_it() -> ov.CompiledModel:
            return self._core.compile_model(self._read(path, *pixels, size), "CPU", config)

        if self._cache_dir is None:
            return Network(compile_it(), abreast)
        kept_at = self._cache_dir / f"{path.name}.compiled"
        origin = f"{sha256_of(path)} {pixels} {size} {config} {self._engine()}".encode()
        if (kept := compiled.read(kept_at, origin)) is not None:
            with suppress(RuntimeError):  # it is what was written, and the engine does not take it all the same
                return Network(self._core.import_model(kept, "CPU", config), abreast)
        model = compile_it()
        compiled.write(kept_at, origin, model.export_model().getvalue())
        return Network(model, abreast)

    def _engine(self) -> str:
        """What else compiled networks depend on: the engine, this processor, and what is done to them here."""
        processor = [
            self._core.get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")
        ]
        here = [sha256_of(Path(file)) for file in (__file__, dlib_file.__file__)]
        return f"{ov.get_version()} {processor} {here}"

    def _read(
        self,
        path: Path,
        mean: float | list[float],
        scale: float,
        order: Literal["RGB", "BGR"],
        layout: Literal["NHWC", "NCHW"],
        size: tuple[int, int] | None,
    ) -> ov.Model:
        """A network as `load` compiles it. Raises: WeightsError."""
        try:
            model = dlib_resnet(path) if path.suffix == ".dat" else self._core.read_model(str(path))
        except RuntimeError as exc:
            raise WeightsError(f"{path.name} cannot be read as a network") from exc
        _one_image(model, layout, size)
        _fuse_prelu(model)
        processor = PrePostProcessor(model)
        seen = processor.input()
        seen.tensor().set_element_type(ov.Type.u8)
        steps = seen.preprocess().convert_element_type(ov.Type.f32)
        if order == "BGR" or layout == "NCHW" or isinstance(mean, list):
            seen.tensor().set_layout(ov.Layout("NHWC"))
            seen.model().set_layout(ov.Layout(layout))
        if order == "BGR":
            steps = steps.reverse_channels()
        steps.mean(mean).scale(scale)
        return processor.build()


class Network:
    """A compiled network, safe to call from several threads."""

    def __init__(self, compiled: ov.CompiledModel, abreast: int) -> None:
        self._compiled = compiled
        self._abreast = abreast
        self._local = threading.local()

    def __call__(self, batch: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Run a batch.

        Args:
            batch: (N, H, W, 3) uint8, RGB; any N.

        Returns: the outputs in the network's order, each (N, …) float32, the caller's own.
        Raises: TooMuchWork, Stopping: between two images, where this is part of a `Work`.
        """
        lanes: list[_Lane] | None = getattr(self._local, "lanes", None)
        if lanes is None:
            lanes = self._local.lanes = [_open_lane(self._compiled) for _ in range(self._abreast)]
        results = [np.empty((len(batch), *view.shape[1:]), dtype=np.float32) for view in lanes[0].outputs]
        try:
            for index in range(len(batch) + len(lanes)):
                lane = lanes[index % len(lanes)]
                if (done := index - len(lanes)) >= 0 and done < len(batch):
                    lane.request.wait()
                    for result, view in zip(results, lane.outputs, strict=True):
                        result[done] = view[0]
                if index < len(batch):
                    checkpoint()
                    lane.input[0] = batch[index]
                    lane.request.start_async()
        except BaseException:
            for lane in lanes:  # the next batch must not meet a request that still runs
                lane.request.wait()
            raise
        return results


@dataclass(frozen=True, slots=True, eq=False)
class _Lane:
    """A request with its own memory: (1, H, W, 3) uint8 in, the outputs (1, …) float32."""

    request: ov.InferRequest
    input: NDArray[np.uint8]
    outputs: list[NDArray[np.float32]]


def _open_lane(compiled: ov.CompiledModel) -> _Lane:
    request = compiled.create_infer_request()
    return _Lane(
        request, request.get_input_tensor().data, [request.get_tensor(output).data for output in compiled.outputs]
    )


def _one_image(model: ov.Model, layout: str, size: tuple[int, int] | None) -> None:
    """Make the first dimension 1, also in the Reshape targets that freeze it, and the size what it should be.

    Some files were exported for a fixed batch (2 for MobileFaceNet, 1 for the others), and their reshapes say so
    in constants. Each such target becomes its own static result with −1 in front.
    """
    shape = model.input().get_partial_shape()
    for node in model.get_ops():
        if shape[0].is_static and node.get_type_name() == "Reshape" and node.get_output_partial_shape(0).is_static:
            target = [dimension.get_length() for dimension in node.get_output_partial_shape(0)]
            if target[0] == shape[0].get_length():
                constant = ops.constant(np.array([-1, *target[1:]], dtype=np.int64))
                node.input(1).replace_source_output(constant.output(0))
    shape[0] = ov.Dimension(1)
    if size is not None:
        first = layout.index("H")
        shape[first], shape[first + 1] = (ov.Dimension(length) for length in size)
    model.reshape(shape)


def dlib_resnet(path: Path) -> ov.Model:
    """dlib's face recognition ResNet: (1, 150, 150, 3) → (1, 128).

    Source: `anet_type` in dlib's examples/dnn_face_recognition_ex.cpp; where the two ways of a residual differ in
    size, dlib fills up with zeros at the end.
    """
    weights = read_dlib(path)
    convolutions = iter(weights.convolutions)

    def convolve(x: ov.Output) -> ov.Output:
        layer = next(convolutions)
        pads = [layer.padding, layer.padding]
        y = ops.convolution(x, ops.constant(layer.kernel), [layer.stride, layer.stride], pads, pads, [1, 1])
        return ops.add(y, ops.constant(layer.bias.reshape(1, -1, 1, 1))).output(0)

    def residual(x: ov.Output, *, down: bool) -> ov.Output:
        y = convolve(ops.relu(convolve(x)).output(0))
        if down:
            x = ops.avg_pool(x, [2, 2], [0, 0], [0, 0], [2, 2], False).output(0)
        shape = [max(sides) for sides in zip(x.get_shape(), y.get_shape(), strict=True)]
        return ops.relu(ops.add(_filled_up(x, shape), _filled_up(y, shape))).output(0)

    image = ops.parameter([1, 150, 150, 3], np.float32)
    x = convolve(ops.transpose(image, ops.constant([0, 3, 1, 2])).output(0))
    x = ops.max_pool(ops.relu(x), [2, 2], [1, 1], [0, 0], [0, 0], [3, 3]).output(0)
    for level, blocks in enumerate((3, 4, 3, 3, 1)):
        for block in range(blocks):
            x = residual(x, down=level > 0 and block == 0)
    mean = ops.reduce_mean(x, ops.constant([2, 3]), keep_dims=False)
    return ov.Model([ops.matmul(mean, ops.constant(weights.last), False, False)], [image])


def _filled_up(x: ov.Output, shape: Sequence[int]) -> ov.Output:
    missing = [wanted - there for wanted, there in zip(shape, x.get_shape(), strict=True)]
    if not any(missing):
        return x
    return ops.pad(x, [0] * len(missing), missing, "constant", ops.constant(np.float32(0))).output(0)


def _fuse_prelu(model: ov.Model) -> None:
    """Replace relu(x) + c · (x − |x|), as some exporters spell it, by PReLU(x) with slope 2c."""
    for add in model.get_ops():
        if add.get_type_name() != "Add":
            continue
        relu, product = (add.input_value(i).get_node() for i in (0, 1))
        if relu.get_type_name() != "Relu" or product.get_type_name() != "Multiply":
            continue
        factors = [product.input_value(i).get_node() for i in (0, 1)]
        constant = next((f for f in factors if f.get_type_name() == "Constant"), None)
        minus = next((f for f in factors if f.get_type_name() == "Subtract"), None)
        if constant is None or minus is None:
            continue
        x = relu.input_value(0)
        absolute = minus.input_value(1).get_node()
        if absolute.get_type_name() != "Abs" or minus.input_value(0) != x or absolute.input_value(0) != x:
            continue
        slope = 2 * constant.get_data().reshape(-1)
        add.output(0).replace(ops.prelu(x, ops.constant(slope.astype(np.float32))).output(0))
