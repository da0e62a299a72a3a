"""Kill the bank at random moments while people are registered, renamed, merged and forgotten; then look what is left.

    python -m tests.torture                     the long form; writes docs/durability.md
    python -m tests.torture worker FOLDER SEED  what is killed

The worker says what it begins and what is done. After each kill every write that was acknowledged must be there, the
one that was under way wholly or not at all, the file whole, and memory equal to it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bank.test_bank import DIMENSION, MODEL, look, photo
from tests.storage.killing import SCENARIOS
from visage import __version__
from visage.bank.bank import MemoryBank
from visage.storage.sqlite import open_store

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "docs" / "durability.md"
KILLS = 200
FLIPS = 5000
STORIES = 300

People = dict[str, tuple[str, int]]
"""Name and number of photos, by person id."""


@dataclass
class Outcome:
    """What was seen of the kills."""

    kills: int = 0
    acknowledged: int = 0
    under_way: int = 0
    survived: int = 0
    people: People = field(default_factory=dict)


def opened(folder: Path) -> MemoryBank:
    """The bank of a folder."""
    return MemoryBank(open_store(folder), model=MODEL, dimension=DIMENSION)


def people_of(bank: MemoryBank) -> People:
    """Who is in a bank, as its store has it."""
    return {p.person_id: (p.name, p.embedding_count) for p in bank.persons(limit=10_000).persons}


def work(folder: Path, seed: int) -> None:
    """Change the bank at random, for ever; each change is told before and after."""
    chance = random.Random(seed)
    bank = opened(folder)
    number = 0
    while True:
        number += 1
        before = people_of(bank)
        ids = sorted(before)
        what = chance.choice(["enrol", "enrol", "rename", "photo", "forget", "merge"]) if len(ids) > 3 else "enrol"
        name = f"{what} {seed} {number}"
        one, other = chance.sample(ids, 2) if len(ids) > 1 else ("", "")
        tell({"begin": what, "one": one, "other": other, "name": name})
        if what == "enrol":
            pictures = [photo(seed * 1000 + number + place) for place in range(chance.randint(1, 3))]
            one = bank.enrol(name=name, relationship="friend", metadata={"n": number}, photos=pictures).person_id
        elif what == "rename":
            bank.update(one, name=name)
        elif what == "photo":
            bank.add_photos(one, [photo(seed * 1000 + number)])
        elif what == "forget":
            assert bank.forget(one)
        else:
            bank.merge(one, other, kept=lambda _: True)
        tell({"done": what, "people": people_of(bank)})


def tell(fact: dict[str, Any]) -> None:
    """One line, at once."""
    os.write(1, f"{json.dumps(fact)}\n".encode())


def torture(folder: Path, kills: int, seed: int = 0) -> Outcome:
    """Kill so often.

    Raises:
        AssertionError: something acknowledged is missing, half or wrong.
    """
    chance = random.Random(seed)
    outcome = Outcome()
    while outcome.kills < kills:
        command = [sys.executable, "-m", "tests.torture", "worker", str(folder), str(seed * 100_000 + outcome.kills)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(chance.uniform(0, 0.25))
        os.kill(process.pid, signal.SIGKILL)
        lines = (first + process.stdout.read()).split(b"\n")[:-1]  # the last one may have been cut: not told
        told = [json.loads(line) for line in lines]
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
        outcome.kills += 1
        done = [fact for fact in told if "done" in fact]
        outcome.acknowledged += len(done)
        if done:
            outcome.people = {key: (name, count) for key, (name, count) in done[-1]["people"].items()}
        with closing(opened(folder)) as bank:
            assert bank.check() == []
            found = people_of(bank)
            for person_id in found:
                for stored in bank.photos(person_id):
                    assert b" picture " in bank.picture(person_id, stored.photo_id)
            if told and "begin" in told[-1]:
                outcome.under_way += 1
                if found != outcome.people:
                    assert found in possible(outcome.people, told[-1], found), (told[-1], outcome.people, found)
                    outcome.survived += 1
            else:
                assert found == outcome.people
            assert bank.search(look(0)[None], 10_000) and len(bank.search(look(0)[None], 10_000)[0]) == len(found)
        outcome.people = found
    return outcome


def possible(before: People, begun: dict[str, Any], found: People) -> list[People]:
    """What a change that was under way may have made of the people."""
    one, other, name = begun["one"], begun["other"], begun["name"]
    if begun["begin"] == "enrol":
        new = {key: value for key, value in found.items() if key not in before}
        return [before | new] if len(new) == 1 and next(iter(new.values()))[0] == name else []
    if begun["begin"] == "rename":
        return [before | {one: (name, before[one][1])}]
    if begun["begin"] == "photo":
        return [before | {one: (before[one][0], before[one][1] + 1)}]
    rest = {key: value for key, value in before.items() if key not in (one, other)}
    if begun["begin"] == "forget":
        return [rest | {other: before[other]}]
    return [rest | {one: (before[one][0], before[one][1] + before[other][1])}]


def main() -> None:
    """The long form."""
    with tempfile.TemporaryDirectory() as temporary:
        outcome = torture(Path(temporary) / "bank", KILLS, seed=int(time.time()) % 10_000)
        print(outcome.kills, "kills,", outcome.acknowledged, "acknowledged")  # noqa: T201
        steps = {}
        for scenario in SCENARIOS:
            command = [sys.executable, "-m", "tests.storage.killing", scenario, f"{temporary}/{scenario}", "1"]
            steps[scenario] = int(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
            print(scenario, steps[scenario])  # noqa: T201
        command = [sys.executable, "-m", "pytest", "-q", "-k", "flipped", "tests/storage/test_damage.py"]
        flips = subprocess.run(command, cwd=ROOT, env=os.environ | {"FLIPS": str(FLIPS)}, check=False).returncode
        command = [sys.executable, "-m", "pytest", "-q", "tests/storage/test_together.py"]
        told = os.environ | {"TOGETHER": str(STORIES)}
        together = subprocess.run(command, cwd=ROOT, env=told, check=False).returncode
    rows = [
        "| kill -9 at a random moment while people are registered, renamed, merged, forgotten "
        f"| {outcome.kills} kills, {outcome.acknowledged:,} acknowledged writes "
        f"| all there; of {outcome.under_way} writes under way {outcome.survived} had been made wholly, the "
        "others not at all; every file whole |",
        *(
            f"| kill -9 before each file operation and statement: {scenario.replace('_', ' ')} | {count} kills | "
            "before or after, never between |"
            for scenario, count in steps.items()
        ),
        f"| one flipped bit: half of them anywhere in the file, half where something is written | {FLIPS:,} flips | "
        f"{'refused in words, or everyone served rightly but who is damaged' if flips == 0 else 'FAILED'} |",
        "| enrol, merge, undo, reject, forget, back up, restore, change the key, revoke, restart, jump in time, in "
        f"any order | {STORIES} stories | "
        f"{'whom the account holds, and nothing of the forgotten in any file' if together == 0 else 'FAILED'} |",
    ]
    text = REPORT.read_text()
    start, end = text.index("| what |"), text.index("\nMade by")
    table = "\n".join(["| what | how often | outcome |", "|---|---|---|", *rows])
    made = f"\nMade by `make torture` on {datetime.now(UTC):%Y-%m-%d} with Visage {__version__}.\n"
    REPORT.write_text(f"{text[:start]}{table}\n{made}{text[text.index(chr(10), end + 1) + 1 :]}")
    sys.exit(flips or together)


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        work(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
