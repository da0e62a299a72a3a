"""Models and bank together, as an installation has them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from visage.bank.bank import MemoryBank
from visage.clock import wall_clock
from visage.errors import InstallationError
from visage.recognition import calibration
from visage.recognition.calibration import Calibration, sameness_of
from visage.recognition.decision import Decider
from visage.recognition.recognizer import Recognizer
from visage.settings import Settings
from visage.storage.keys import KeySource
from visage.storage.sqlite import open_store
from visage.vision import models
from visage.vision.image import Limits
from visage.vision.pipeline import MAX_FACES, Pipeline

_MAX_FIXED_FAR = 0.01
_FIXED_FPIR = 0.01
"""A fixed threshold that more strangers reach, of pairs, is another model's."""


def key_source(settings: Settings) -> KeySource:
    """Where the settings say that the master key comes from."""
    return KeySource(
        master_key=settings.master_key.get_secret_value() if settings.master_key else None,
        passphrase=settings.passphrase.get_secret_value() if settings.passphrase else None,
        file=settings.key_file,
    )


def open_recognizer(
    *,
    data_dir: Path,
    key: KeySource,
    threads: int,
    limits: Limits,
    similarity_threshold: float | None,
    target_fpir: float,
    duplicate_policy: Literal["warn", "reject"],
    max_faces: int = MAX_FACES,
    model: str = models.DEFAULT_EMBEDDER.name,
    detector: str = models.DEFAULT_DETECTOR.name,
    pipeline: Pipeline | None = None,
    when_needed: bool = False,
    clock: Callable[[], datetime] = wall_clock,
) -> Recognizer:
    """Load the models, by name, and open the bank in a data directory.

    Args:
        pipeline: of these models, where they are loaded already.
        when_needed: load the models with the first picture.
        clock: the time by which what is new in the bank is dated.

    Raises: UnknownModel, WeightsError, NoCalibration, BankError, InstallationError.
    """
    chosen, finds = models.embedder(model), models.detector(detector)
    measured = calibration.load(chosen.space, data_dir)
    sameness = sameness_of(chosen, measured)
    store = open_store(data_dir, key)
    bank = MemoryBank(store, model=chosen.space, dimension=chosen.dimension, same_view=sameness.view, clock=clock)
    try:
        if similarity_threshold is not None and chosen is not models.DEFAULT_EMBEDDER:
            _must_fit(similarity_threshold, measured)
        pipeline = pipeline or Pipeline(
            model=chosen,
            detector=finds,
            threads=threads,
            cache_dir=data_dir / "compiled",
            max_faces=max_faces,
            when_needed=when_needed,
        )
    except BaseException:
        bank.close()
        raise
    return Recognizer(
        pipeline,
        bank,
        Decider(measured, target_fpir=target_fpir, similarity_threshold=similarity_threshold, sameness=sameness),
        limits=limits,
        duplicate_policy=duplicate_policy,
        sameness=sameness,
    )


def _must_fit(threshold: float, measured: Calibration) -> None:
    """A threshold that was chosen for one model may name everybody with another: to dlib all faces are alike to 0.8.

    Raises:
        InstallationError: too many strangers reach it.
    """
    reached = measured.far(threshold, 1)
    if reached > _MAX_FIXED_FAR:
        raise InstallationError(
            f"With the model {measured.model} one pair of strangers in {max(1, round(1 / reached))} reaches "
            f"VISAGE_SIMILARITY_THRESHOLD={threshold:g}. Unset it, or set one of this model's: "
            f"{measured.threshold(persons=100, photos=1, fpir=_FIXED_FPIR):.2f} keeps strangers nameless in a bank "
            "of a hundred"
        )
