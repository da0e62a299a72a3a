"""Commands that measure: how good Visage is on your photos, and a calibration for your camera."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from visage.cli.client import DataDir, read_settings
from visage.cli.console import cell, err, out, say
from visage.errors import InstallationError
from visage.recognition import calibration
from visage.recognition.calibration import sameness_of
from visage.recognition.dataset import LabelledFaces, embed_folder, read_groups
from visage.recognition.decision import Decider
from visage.recognition.rehearsal import MIN_GROUP, Rehearsal, rehearse, rehearse_groups
from visage.settings import Settings
from visage.vision import models
from visage.vision.pipeline import Pipeline

Folder = Annotated[Path, typer.Argument(help="One folder of photos a person.", exists=True, file_okay=False)]

_EVERYONE = "everyone"
_MEANING = {
    "right": "photos of people you registered: named right",
    "wrong_name": "… called by another's name",
    "uncertain": "… not named, but “might be”",
    "missed": "… taken for a stranger",
    "false_name": "photos of strangers: given a name",
    "false_doubt": "… “might be” someone you registered",
}


def evaluate(
    folder: Folder,
    enrolled: Annotated[int, typer.Option(help="Photos registered of each person.", min=1)] = 3,
    gallery: Annotated[
        int | None, typer.Option(help="Persons registered at a time; 100, in groups 50.", min=1, show_default=False)
    ] = None,
    strangers: Annotated[int, typer.Option(help="Strangers shown at a time.", min=1)] = 300,
    trials: Annotated[int, typer.Option(help="How often, each time with others.", min=1)] = 10,
    groups: Annotated[
        Path | None,
        typer.Option(
            help="Measure banks within groups too: a CSV with a column `person` or `name`, and a column for each way "
            "in which your people are sorted.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the distribution of scores: .png or .svg.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Measure how good Visage would be on your own photos: nothing is registered, nothing leaves this computer."""
    current = read_settings(data_dir=data_dir)
    model = models.embedder(current.model)
    measured = calibration.load(model.space, current.data_dir)
    decider = Decider(
        measured,
        target_fpir=current.target_fpir,
        similarity_threshold=current.similarity_threshold,
        sameness=sameness_of(model, measured),
    )
    sorted_by = read_groups(groups) if groups else {}
    faces = _embed(folder, current)
    rehearsal = rehearse(
        faces, decider, enrolled=enrolled, gallery=gallery or 100, strangers=strangers, trials=trials
    )
    everyone = {_EVERYONE: frozenset(faces.persons)} if sorted_by else {}
    within = rehearse_groups(
        faces,
        decider,
        everyone | sorted_by,
        enrolled=enrolled,
        gallery=gallery or 50,
        strangers=strangers,
        trials=trials,
    )
    report = {
        "persons": rehearsal.persons,
        "enrolled": enrolled,
        "answers": len(rehearsal.answers),
        "no_face": list(faces.no_face),
        "threshold": round(rehearsal.threshold, 4),
        "rates": {name: round(rate, 5) for name, rate in rehearsal.rates().items()},
        "calibration_error": round(rehearsal.calibration_error(), 4),
        "brier_score": round(rehearsal.brier_score(), 4),
        "confusions": rehearsal.confusions(),
        "thresholds": [
            {"similarity": step / 100, "right": round(right, 5), "false_name": round(false, 5)}
            for step in range(30, 81, 5)
            for right, false in [rehearsal.at_threshold(step / 100)]
        ],
    }
    _show(rehearsal, faces)
    if sorted_by:
        report["groups"] = [_figures(name, within.get(name)) for name in (*everyone, *sorted_by)]
        _show_groups(within, set(sorted_by) - set(within))
    if picture is not None:
        _draw(rehearsal, picture)
        say(f"The scores are drawn in {picture}.")
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def calibrate(
    folder: Folder,
    output: Annotated[Path | None, typer.Option(help="Where to write it; the data directory otherwise.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Measure your own camera: thresholds and confidence from hundreds of persons' photos. The server uses the result
    from its next start on; delete the file to go back to the calibration that Visage ships."""
    current = read_settings(data_dir=data_dir)
    model = models.embedder(current.model).space
    faces = _embed(folder, current)
    fitted = calibration.fit(model, faces.embeddings, faces.labels, faces.qualities)
    path = output or calibration.path_of(model, current.data_dir)
    columns = {"yours": fitted}
    if calibration.path_of(model).exists():
        columns = {"shipped": calibration.load(model)} | columns
    calibration.save(fitted, path)
    table = Table("Persons in the bank", *(f"Threshold, {whose}" for whose in columns))
    for persons in (1, 10, 100, 1000):
        row = [
            f"{each.threshold(persons=persons, photos=3, fpir=current.target_fpir):.3f}" for each in columns.values()
        ]
        table.add_row(f"{persons:,}", *row)
    out.print(table)
    say(f"Written to {path}.")


def _embed(folder: Path, current: Settings) -> LabelledFaces:
    pipeline = Pipeline(models.embedder(current.model), models.detector(current.detector))
    with Progress(console=err) as progress:
        task = progress.add_task("Looking at the photos", total=None)
        return embed_folder(folder, pipeline, lambda done, total: progress.update(task, completed=done, total=total))


def _show(rehearsal: Rehearsal, faces: LabelledFaces) -> None:
    say(
        f"{rehearsal.persons} persons registered with {rehearsal.enrolled} photo(s) each, "
        f"{len(rehearsal.answers):,} photos shown. Named from a similarity of {rehearsal.threshold:.3f} on."
    )
    table = Table("What happened", "%")
    for name, rate in rehearsal.rates().items():
        table.add_row(_MEANING[name], f"{100 * rate:.2f}")
    out.print(table)
    say(
        f"Confidence: expected calibration error {rehearsal.calibration_error():.3f}, "
        f"Brier score {rehearsal.brier_score():.3f}."
    )
    table = Table("Named from similarity", "right %", "strangers named %")
    for step in range(30, 81, 5):
        right, false = rehearsal.at_threshold(step / 100)
        table.add_row(f"{step / 100:.2f}", f"{100 * right:.2f}", f"{100 * false:.2f}")
    out.print(table)
    confusions = rehearsal.confusions()
    if confusions:
        table = Table("Who it was", "Who was named", "Times")
        for truth, named, count in confusions[:20]:
            table.add_row(cell(truth), cell(named), str(count))
        out.print(table)
    if faces.no_face:
        say(f"No face in {len(faces.no_face)} photo(s): {', '.join(faces.no_face[:5])} …")


def _figures(name: str, rehearsal: Rehearsal | None) -> dict[str, object]:
    """What is said of one group in the JSON; of one that is too small, that it is."""
    if rehearsal is None:
        return {"group": name, "measured": False}
    return {
        "group": name,
        "measured": True,
        "persons": rehearsal.persons,
        "rates": {outcome: round(rate, 5) for outcome, rate in rehearsal.rates().items()},
        "intervals": {
            outcome: [round(end, 5) for end in rehearsal.interval(outcome)] for outcome in ("right", "false_name")
        },
        "calibration_error": round(rehearsal.calibration_error(), 4),
    }


def _show_groups(within: Mapping[str, Rehearsal], too_small: Collection[str]) -> None:
    table = Table("Bank and strangers of", "persons", "strangers named %", "95 of 100", "named right %", "95 of 100")
    for name, rehearsal in within.items():
        rates = rehearsal.rates()
        row = [f"{rehearsal.persons}"]
        for outcome in ("false_name", "right"):
            low, high = rehearsal.interval(outcome)
            row += [f"{100 * rates[outcome]:.2f}", f"{100 * low:.1f} – {100 * high:.1f}"]
        table.add_row(cell(name), *row)
    out.print(table)
    if too_small:
        say(f"Fewer than {MIN_GROUP} people with photos, not measured: {', '.join(sorted(too_small))}.")


def _draw(rehearsal: Rehearsal, path: Path) -> None:
    """Similarity of the likeliest candidate: of those enrolled, and of strangers.

    Raises:
        InstallationError: matplotlib knows no such kind of picture, or the file cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that no other command should wait for

    own = [answer.similarity for answer in rehearsal.answers if answer.truth is not None]
    strangers = [answer.similarity for answer in rehearsal.answers if answer.truth is None]
    figure = Figure(figsize=(8, 6.5), layout="constrained")
    scores, rates = figure.subplots(2, 1, sharex=True)
    bins = [step / 50 for step in range(51)]
    scores.hist(strangers, bins, density=True, alpha=0.75, color="#c0703a", label="strangers")
    scores.hist(own, bins, density=True, alpha=0.75, color="#2f6f8f", label="people who are registered")
    scores.set_ylabel("density")
    steps = [step / 100 for step in range(20, 96)]
    points = [rehearsal.at_threshold(step) for step in steps]
    rates.plot(steps, [100 * right for right, _ in points], color="#2f6f8f", label="registered, named right")
    rates.plot(steps, [100 * false for _, false in points], color="#c0703a", label="strangers, given a name")
    rates.set_ylabel("% when named from here on")
    rates.set_xlabel("similarity (cosine) to the likeliest person")
    for axes in (scores, rates):
        axes.axvline(rehearsal.threshold, color="#444444", linestyle="--", linewidth=1, label="threshold in use")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(0, 1)
    figure.suptitle(f"{rehearsal.persons} persons, {rehearsal.enrolled} photo(s) each")
    try:
        figure.savefig(path, dpi=150)
    except (ValueError, OSError) as exc:
        raise InstallationError(f"{path} cannot be drawn: {exc}") from exc
