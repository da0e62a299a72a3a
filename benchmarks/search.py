#!/usr/bin/env python3
"""How fast, how small and how right the index is, by the size of the bank.

Usage: search.py [--sizes N,N,…] [--faces FILE.npz] [--repeats N] [--probes N] [--json FILE.json]

Banks of random unit vectors, 192-d. With --faces (`embeddings` as `accuracy.py --embeddings` writes them) also
banks that are as crowded as real faces: mixtures of two real embeddings, with a little noise. Probes are copies of
vectors of the bank, moved away from them to a given cosine. Times are medians of runs that take turns, each with the
next of many probes (at cosine 0.9): one NumPy matrix–vector product over the same data, an exact search, and a search
as the product does it.

For each cosine: `recall`, how often the nearest that an exact search finds is found; `second`, how often the second
is, where its cosine is 0.7 or more (a look-alike that a decision must see); and `same`, how often the names that the
decisions come to are the same as after an exact search, with default settings.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from visage.bank.index import APPROXIMATE_FROM, Index
from visage.recognition import calibration
from visage.recognition.decision import Decider, Likeness
from visage.recognition.gallery import CANDIDATES
from visage.types import Person
from visage.vision.embed import MODEL_NAME

DIMENSION = 192
COSINES = (0.5, 0.6, 0.7, 0.8, 0.9)
TIMED_COSINE = 0.9
TIMED = 64
CHANGES = 200
LOOK_ALIKE = 0.7
NEVER = 1 << 60
NOISE = 0.3
"""Length of the noise beside a mixture of two faces."""

Vectors = NDArray[np.float32]


def main() -> None:
    """Parse the arguments, measure each bank, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100,1000,10000,100000,1000000")
    parser.add_argument("--faces", type=Path, help="embeddings to make crowded banks of (.npz)")
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--probes", type=int, default=400, help="for each cosine")
    parser.add_argument("--json", type=Path, help="write the report here too")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    report = []
    for size in map(int, args.sizes.split(",")):
        report.append(measure("random", unit(normal(rng, size)), args.repeats, args.probes, rng))
        if args.faces and size >= APPROXIMATE_FROM:
            faces = np.load(args.faces)["embeddings"]
            report.append(measure("faces", mixtures(faces, size, rng), args.repeats, args.probes, rng))
    show(report)
    text = json.dumps(report, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")


def measure(name: str, vectors: Vectors, repeats: int, probes: int, rng: np.random.Generator) -> dict[str, Any]:
    """All figures of one bank. Times in ms, memory in bytes a vector."""
    size = len(vectors)
    keys = [f"{row:036d}" for row in range(size)]  # as long as a person's id
    unit(normal(rng, 1000)) @ unit(normal(rng, 1000)).T  # what NumPy keeps for itself is not the index's
    before = resident_bytes()
    start = time.perf_counter()
    index = Index(DIMENSION)
    index.put_all(keys, vectors)
    build_s = time.perf_counter() - start
    memory = (resident_bytes() - before) / size
    exact = Index(DIMENSION, approximate_from=NEVER)
    exact._blocks = index._blocks  # the same data, searched another way
    timed = cycle(near(vectors[rng.choice(size, TIMED)], TIMED_COSINE, rng))
    times = in_turns(
        {
            "product": lambda: vectors @ next(timed),
            "exact": lambda: exact.search(next(timed)[None], CANDIDATES),
            "search": lambda: index.search(next(timed)[None], CANDIDATES),
        },
        repeats if size > 10_000 else 20 * repeats,
    )
    row: dict[str, Any] = {"bank": name, "size": size, "ms": times, "build_s": build_s, "bytes_a_vector": memory}
    row["exact_to_product"] = times["exact"] / times["product"]
    row["exact_to_search"] = times["exact"] / times["search"]
    row["recall"], row["second"], row["same"] = {}, {}, {}
    for cosine in COSINES if size >= APPROXIMATE_FROM else ():
        moved = near(vectors[rng.choice(size, probes)], cosine, rng)
        truth, found = exact.search(moved, CANDIDATES), index.search(moved, CANDIDATES)
        pairs = list(zip(truth, found, strict=True))
        row["recall"][cosine] = sum(true[0][0] == got[0][0] for true, got in pairs) / probes
        alike = [true[1][0] == got[1][0] for true, got in pairs if true[1][1] >= LOOK_ALIKE]
        row["second"][cosine] = sum(alike) / len(alike) if alike else None
        row["same"][cosine] = sum(decisions(true, size) == decisions(got, size) for true, got in pairs) / probes
    row["change_ms"] = changes(index, unit(normal(rng, CHANGES)))
    return row


def changes(index: Index, looks: Vectors) -> dict[str, float]:
    """Median and longest time, ms, to add a vector and to forget another; each is checked by a search."""
    durations: dict[str, list[float]] = {"add": [], "forget": []}
    for look in looks:
        durations["add"].append(milliseconds(lambda look=look: index.put("new", look)))  # type: ignore[misc]
        assert index.search(look[None], 1)[0][0][0] == "new"
        durations["forget"].append(milliseconds(lambda: index.remove("new")))
        assert index.search(look[None], 1)[0][0][0] != "new"
    return {
        f"{what} {how}": float(function(values))
        for what, values in durations.items()
        for how, function in (("median", np.median), ("longest", np.max))
    }


def decisions(found: list[tuple[str, float]], size: int) -> tuple[str, str | None]:
    """What would be said: status, and who."""
    decider = Decider(calibration.load(MODEL_NAME), target_fpir=0.01)
    now = datetime.now(UTC)
    likenesses = [Likeness(Person(key, key, None, {}, now, now, 1, 1), similarity) for key, similarity in found]
    (verdict,) = decider.decide([likenesses], qualities=[100], persons=size)
    return verdict.status.value, verdict.match.person.person_id if verdict.match else None


def in_turns(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median ms of each, by name."""
    for function in functions.values():
        function()
    runs = [{name: milliseconds(function) for name, function in functions.items()} for _ in range(repeats)]
    return {name: float(np.median([run[name] for run in runs])) for name in functions}


def milliseconds(function: Callable[[], object]) -> float:
    """One run."""
    start = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - start)


def resident_bytes() -> int:
    """Of this process, without what is free."""
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def normal(rng: np.random.Generator, count: int) -> Vectors:
    """(count, D) float32."""
    return rng.standard_normal((count, DIMENSION), dtype=np.float32)


def unit(vectors: Vectors) -> Vectors:
    """The same directions, unit length."""
    lengths: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths


def near(vectors: Vectors, cosine: float, rng: np.random.Generator) -> Vectors:
    """Of each vector another at this cosine, in any direction."""
    noise = normal(rng, len(vectors))
    noise = unit(noise - (noise * vectors).sum(axis=1, keepdims=True) * vectors)
    return np.float32(cosine) * vectors + np.float32(np.sqrt(1 - cosine**2)) * noise


def mixtures(faces: Vectors, count: int, rng: np.random.Generator) -> Vectors:
    """(count, D) float32, unit length: each between two real faces."""
    out = np.empty((count, DIMENSION), dtype=np.float32)
    for start in range(0, count, 50_000):
        part = out[start : start + 50_000]
        first, second = rng.integers(0, len(faces), (2, len(part)))
        share = rng.uniform(0, 1, (len(part), 1)).astype(np.float32)
        mixed = unit(np.sqrt(share) * faces[first] + np.sqrt(1 - share) * faces[second])
        part[:] = unit(mixed + np.float32(NOISE / np.sqrt(DIMENSION)) * normal(rng, len(part)))
    return out


def show(report: list[dict[str, Any]]) -> None:
    """Print the tables."""
    console = Console(width=160)
    table = Table("bank", "size", "product ms", "exact ms", "÷ product", "search ms", "× faster")
    for column in ("bytes a vector", "build s", "add ms (longest)", "forget ms (longest)"):
        table.add_column(column)
    for row in report:
        ms, change = row["ms"], row["change_ms"]
        table.add_row(
            row["bank"],
            f"{row['size']:,}",
            *(f"{ms['product']:.3f}", f"{ms['exact']:.3f}", f"{row['exact_to_product']:.2f}"),
            *(f"{ms['search']:.3f}", f"{row['exact_to_search']:.1f}"),
            *(f"{row['bytes_a_vector']:.0f}", f"{row['build_s']:.2f}"),
            *(f"{change[f'{what} median']:.2f} ({change[f'{what} longest']:.2f})" for what in ("add", "forget")),
        )
    console.print(table)
    table = Table("bank", "size", *(f"cosine {c}: recall, second, same" for c in COSINES))
    for row in report:
        if row["recall"]:
            cells = [[row[what][c] for what in ("recall", "second", "same")] for c in COSINES]
            shown = [", ".join("–" if part is None else f"{part:.2%}" for part in cell) for cell in cells]
            table.add_row(row["bank"], f"{row['size']:,}", *shown)
    console.print(table)


if __name__ == "__main__":
    main()
