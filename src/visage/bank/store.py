"""What a bank stands on, as contracts: a store, which keeps it, and a search, which finds the nearest look in it.

A store keeps records (`records.py`) and answers by id. It never searches or sorts by what a person typed, since those
values are ciphertext on disk; names are searched in memory (`listing.py`). Every method that writes is one
transaction: durable when it returns, without any effect where it raises. Both may be called from several threads.
`tests/contracts` is the suite that every store and every search must pass.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from visage.bank.records import (
    Contents,
    CounterExample,
    Erasure,
    StoredPhoto,
)
from visage.types import Embedding, Person, Undo


class Store(Protocol):
    """The contract of every store. All methods raise BankError where the store cannot be read or written, NotReady
    where it was closed, and DamagedPerson where what they need of one person is damaged; whoever is not in the store
    is no one to write for, which is a BankError too."""

    def load(self, model: str) -> Contents:
        """Everything but the pictures."""

    def add_person(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        """Keep a new person with photos."""

    def add_photos(self, person: Person, photos: Sequence[StoredPhoto]) -> None:
        """Keep more photos of a person, and the person's new `updated_at`."""

    def update_person(self, person: Person) -> None:
        """Replace what is kept of a person; the photos stay."""

    def delete_person(self, person_id: str) -> bool:
        """Remove a person, damaged or not, with the key and all that it opened, and remember that it was done, by the
        id of each thing.

        Returns: no trace of it is left in any file of the store. Where False, the store tries again when it is
            opened.
        """

    def delete_photo(self, person: Person, photo_id: str) -> bool:
        """Remove a photo with its embeddings, and keep the person's new `updated_at`; returns as `delete_person`."""

    def erasures(self) -> list[Erasure]:
        """What was forgotten, oldest first."""

    def apply_erasures(self, erasures: Sequence[Erasure]) -> int:
        """Forget again what a backup had brought back, and remember that it is forgotten. Who was merged into someone
        who is forgotten, and is not forgotten, is a person again.

        Returns: how many persons and photos were still there.
        """

    def picture(self, photo_id: str) -> bytes | None:
        """The JPEG of a photo; None where there is no such photo."""

    def without_embedding(self, model: str, limit: int, skipped: Collection[str]) -> list[tuple[str, bytes]]:
        """Up to `limit` photos (id, picture) that this model has not embedded, of all but the persons skipped."""

    def add_embeddings(self, model: str, embeddings: Mapping[str, Embedding]) -> None:
        """Keep the embeddings that a model made, by photo id; of photos that are not there any more nothing is
        kept."""

    def reject(
        self, counter: CounterExample, undo: Undo, counter_ids: Sequence[str] = (), undo_ids: Sequence[str] = ()
    ) -> None:
        """Keep a rejected look, and how to take that back; in place of these older looks and undos of that person."""

    def unreject(self, counter_id: str, undo_id: str) -> None:
        """Remove a rejected look and its undo."""

    def teach(self, person: Person, photos: Sequence[StoredPhoto], undo: Undo) -> None:
        """As `add_photos`, with how to take that back; there may be no photo."""

    def unteach(self, person: Person, photo_ids: Sequence[str], undo_id: str) -> bool:
        """Remove an undo and the photos that it names, as `delete_photo` does."""

    def note_seen(self, times: Mapping[str, datetime | None]) -> None:
        """Keep when persons were last seen, by id."""

    def merge(self, target: Person, source: Person, undo: Undo) -> None:
        """Give the target all that belongs to the source, and remove the source.

        Args:
            target: as it is from now on.
            source: who goes.
            undo: of this; the target's.
        """

    def split(
        self,
        target: Person,
        source: Person,
        photo_ids: Sequence[str],
        counter_ids: Sequence[str],
        undo_ids: Sequence[str],
        undo_id: str,
    ) -> None:
        """Undo a merge.

        Args:
            target: as it is from now on.
            source: who comes back.
            photo_ids, counter_ids, undo_ids: what goes back to the source; all of it is the target's.
            undo_id: is used up.
        """

    def settle(self, undo_ids: Sequence[str], counter_ids: Sequence[str]) -> None:
        """Remove undos, and rejected looks that only they could have brought back."""

    def backup(self, target: IO[bytes], on_progress: Callable[[int, int], None]) -> None:
        """Write a backup file; nobody waits meanwhile. It holds what the store holds when this returns.

        Args:
            target: empty.
            on_progress: is told how much of how much is done.

        Raises:
            OSError: the target cannot be written.
        """

    def check(self) -> list[str]:
        """What is damaged, in words; empty where nothing is."""

    def close(self) -> None:
        """Release the store."""

    def release(self) -> IO[bytes] | None:
        """Close the store, and hand on what keeps other processes out of it: whoever closes that lets them in."""


class Search(Protocol):
    """The contract of every search: unit vectors by key, and which are nearest. What was changed is seen by the next
    search; how many neighbours it may pass over, an implementation says."""

    @property
    def revision(self) -> int:
        """Another number after every change."""

    def __len__(self) -> int:
        """How many keys there are."""

    def put(self, key: str, vector: Embedding) -> None:
        """Add a vector, or replace the one of that key. (D,) float32, unit length; it is copied."""

    def put_all(self, keys: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Add or replace many. (n, D) float32, unit length; the keys are different from each other."""

    def remove(self, key: str) -> None:
        """Forget a key and its vector; one that is not there is no error."""

    def search(self, probes: NDArray[np.float32], limit: int) -> list[list[tuple[str, float]]]:
        """The nearest keys of each probe.

        Args:
            probes: (n, D) float32, unit length.
            limit: at most so many for each.

        Returns: n lists of (key, cosine), best first; the cosines are exact.
        """

    def sample(self, most: int) -> tuple[list[str], NDArray[np.float32]]:
        """Some of the vectors: all where there are no more than `most`, else at most so many and at least half.
        Without a change between them, two calls give the same.

        Returns: n keys, different from each other, and (n, D) float32, their vectors.
        """
