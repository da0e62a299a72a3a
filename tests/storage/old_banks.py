"""A bank as Visage made it before it encrypted: by its own old migrations, filled with plain rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from tests.bank.test_bank import MODEL, look, photo
from visage.bank.records import person_to_json
from visage.storage.folder import FILE_NAME
from visage.storage.shape import migrate
from visage.storage.sqlite_database import connect
from visage.storage.vault import Vault, new_key
from visage.types import Person

MADE = datetime(2025, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def make_old_bank(folder: Path, revision: str = "0002") -> list[Person]:
    """Ann and Bob, with a photo each; Ann has a rejected look, and an undo of that."""
    folder.mkdir(exist_ok=True)
    (folder / FILE_NAME).touch()
    engine = connect(folder / FILE_NAME, fresh=True)
    migrate(engine, Vault(new_key()), revision)
    engine.dispose()
    people = [
        Person(f"person-{seed}", name, "aunt", {"k": f"v{seed}"}, MADE, MADE, 1, 1)
        for seed, name in enumerate(("Ann", "Bob"), start=1)
    ]
    with closing(sqlite3.connect(folder / FILE_NAME)) as file, file:
        for seed, person in enumerate(people, start=1):
            row = {
                name: value
                for name, value in person_to_json(person).items()
                if name not in {"consent", "last_seen_at"}
            }
            file.execute(f"INSERT INTO persons ({', '.join(row)}) VALUES (?,?,?,?,?,?)", [*row.values()])
            fields = (
                f"photo-{seed}",
                person.person_id,
                '{"score": 70, "issues": ["BLURRED"]}',
                photo(seed).picture,
                row["created_at"],
            )
            file.execute(
                "INSERT INTO photos (photo_id, person_id, quality, picture, created_at) VALUES (?,?,?,?,?)", fields
            )
            file.execute("INSERT INTO embeddings VALUES (?,?,?)", (f"photo-{seed}", MODEL, look(seed).tobytes()))
        if revision >= "0002":
            now = int(datetime.now(UTC).timestamp() * 1e6)
            file.execute(
                "INSERT INTO counter_examples VALUES (?,?,?,?,?)",
                ("counter-1", "person-1", MODEL, look(9).tobytes(), now),
            )
            file.execute(
                "INSERT INTO undos VALUES (?,?,?,?,?)",
                ("undo-1", "person-1", "not-me", '{"counter_id": "counter-1"}', now),
            )
    return people
