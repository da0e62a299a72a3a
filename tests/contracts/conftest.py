"""The subjects of the contracts. A new store or search is added here, and to nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.contracts.reference import PlainSearch, PlainStore, State
from visage.bank.index import Index
from visage.bank.store import Search, Store
from visage.storage.sqlite import open_store

OpenStore = Callable[[], Store]
"""Opens the store of one place; the one that was opened before is closed."""
MakeSearch = Callable[[int], Search]
"""An empty search for vectors of a dimension."""


class Place:
    """Where a store is kept: it is opened again and again."""

    def __init__(self, open_it: OpenStore) -> None:
        self._open = open_it
        self._opened: Store | None = None

    def __call__(self) -> Store:
        """As `OpenStore`."""
        self.close()
        self._opened = self._open()
        return self._opened

    def close(self) -> None:
        """Close what is open."""
        if self._opened is not None:
            self._opened.close()


def plain_place(kind: type[PlainStore] = PlainStore) -> Place:
    """For a store of dictionaries."""
    disk = [State()]
    return Place(lambda: kind(disk))


@pytest.fixture(scope="session")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite store: to copy it is ten times as quick as to make one."""
    folder = tmp_path_factory.mktemp("empty")
    open_store(folder).close()
    return folder


@pytest.fixture(params=["plain", "SQLite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, empty_folder: Path) -> Iterator[OpenStore]:
    """Every store."""
    if request.param == "plain":
        place = plain_place()
    else:
        shutil.copytree(empty_folder, tmp_path, dirs_exist_ok=True)
        place = Place(lambda: open_store(tmp_path))
    yield place
    place.close()


SEARCHES: dict[str, MakeSearch] = {
    "plain": PlainSearch,
    "index": Index,
    "index by sketches": partial(Index, approximate_from=1),  # among so few vectors it compares all that are near
}


@pytest.fixture(params=SEARCHES)
def make_search(request: pytest.FixtureRequest) -> MakeSearch:
    """Every search."""
    return SEARCHES[request.param]
