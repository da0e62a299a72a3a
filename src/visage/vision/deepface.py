"""Networks that the package `deepface` runs: an optional part, `pip install visage[deepface]`."""

from __future__ import annotations

import importlib
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visage.errors import WeightsError


class DeepFaceNetwork:
    """A face recognition network of `deepface`, as this project runs its own. One call at a time.

    Args:
        name: of the network, as `deepface` has it.
        weights: its file, which was checked. The package would fetch a missing one over the network, unasked; it is
            shown this one, and none but this one.

    Raises:
        WeightsError: the package is not installed, or cannot run this network.
    """

    def __init__(self, name: str, weights: Path) -> None:
        home = weights.parent / "deepface"
        shown = home / ".deepface" / "weights" / weights.name
        try:
            shown.parent.mkdir(parents=True, exist_ok=True)
            if not shown.exists():
                shown.symlink_to(weights)
        except OSError as exc:
            raise WeightsError(f"{weights.name} cannot be laid out for deepface: {exc.strerror}") from exc
        os.environ["DEEPFACE_HOME"] = str(home)
        os.environ.setdefault("DEEPFACE_BACKEND_ENGINE", "onnx")
        try:
            modeling: Any = importlib.import_module("deepface.modules.modeling")
            self._client: Any = modeling.build_model("facial_recognition", name)
        except ImportError as exc:
            raise WeightsError(
                f"The model {name} needs a part that is not installed ({exc.name or exc}): "
                "pip install 'visage[deepface]'"
            ) from exc
        except Exception as exc:  # whatever an optional package raises, it must not look like our own fault
            raise WeightsError(f"deepface cannot run {name} ({type(exc).__name__})") from exc
        self._turn = threading.Lock()

    def __call__(self, batch: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """(N, S, S, 3) uint8, RGB → (N, D) float32, in a list of one."""
        with self._turn:
            rows = [self._client.forward(picture[None, :, :, ::-1].astype(np.float32) / 255) for picture in batch]
        return [np.array(rows, dtype=np.float32).reshape(len(batch), -1)]
