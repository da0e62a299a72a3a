"""All that a household does with its bank, in any order, against a plain account of what must be true.

Enrol, add, merge, undo, reject, forget, back up, restore, change the key, revoke an API key, restart, jump in time.
After each step the bank holds whom the account holds, with the photos that it holds; and whoever reads every file of
the data directory with every key that there ever was finds nothing of what was forgotten.

    TOGETHER=1000 python -m pytest tests/storage/test_together.py     the long form, as `make torture` runs it
"""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.bank.test_bank import DIMENSION, MODEL, look, photo
from tests.storage.test_backup import back_up, restore
from visage.admin.database import open_database
from visage.admin.keys import AccessStore, Role, digest
from visage.bank.bank import UNDO_PERIOD, MemoryBank
from visage.errors import CannotUndo, DamagedPerson, LastPhoto
from visage.service.restore import Secrets
from visage.storage import rekeying, rows, sql
from visage.storage.folder import FILE_NAME, SET_ASIDE
from visage.storage.keys import KEY_FILE_NAME, KeyFile, KeySource
from visage.storage.schema import persons_table, photos_table, undos_table
from visage.storage.sqlite import open_store
from visage.storage.sqlite_database import connect
from visage.storage.vault import Vault, new_key

EXAMPLES = int(os.environ.get("TOGETHER", "8"))
STEPS = 30
WHICH = st.integers(0, 3)


@dataclass
class Human:
    """A person of the account: the numbers of the photos by their ids, and the rejected looks."""

    name: str
    photos: dict[str, int]
    counters: set[str] = field(default_factory=set)


@dataclass
class Correction:
    """What an undo must bring back."""

    owner: str
    made: datetime
    counter: str | None = None
    source: str | None = None
    human: Human | None = None
    undos: tuple[str, ...] = ()


@dataclass
class Account:
    """What must be true of a bank."""

    people: dict[str, Human] = field(default_factory=dict)
    undos: dict[str, Correction] = field(default_factory=dict)
    joined: dict[str, str] = field(default_factory=dict)
    """Who was merged into whom."""

    def split(self, undo_id: str, photos: list[str]) -> None:
        """Take a merge back."""
        undo = self.undos.pop(undo_id)
        assert undo.source is not None and undo.human is not None
        giver = self.people[undo.owner]
        back = Human(undo.human.name, {key: giver.photos.pop(key) for key in photos})
        back.counters = undo.human.counters & giver.counters
        giver.counters -= back.counters
        for each in undo.undos:
            if each in self.undos and self.undos[each].owner == undo.owner:
                self.undos[each].owner = undo.source
        self.people[undo.source] = back
        del self.joined[undo.source]

    def drop(self, person_id: str) -> None:
        """A person goes, with all undos."""
        del self.people[person_id]
        self.undos = {key: undo for key, undo in self.undos.items() if undo.owner != person_id}

    def settle(self, now: datetime) -> None:
        """What cannot be undone any more is final."""
        self.undos = {key: undo for key, undo in self.undos.items() if undo.made >= now - UNDO_PERIOD}

    def forget_again(self, gone: set[str]) -> None:
        """What was forgotten since this was true."""
        for undo_id, undo in sorted(self.undos.items(), key=lambda item: item[1].made, reverse=True):
            if undo.source is None or undo.owner not in gone or undo.source in gone or undo_id not in self.undos:
                continue
            assert undo.human is not None
            held = [key for key in undo.human.photos if key in self.people[undo.owner].photos and key not in gone]
            if held:
                self.split(undo_id, held)
        for person_id in gone & self.people.keys():
            self.drop(person_id)
        for human in self.people.values():
            human.photos = {key: number for key, number in human.photos.items() if key not in gone}
            human.counters -= gone
        self.undos = {key: undo for key, undo in self.undos.items() if key not in gone and undo.source not in gone}
        for source in self.joined:  # by way of somebody who is gone, to the end of the chain
            while self.joined[source] in gone and self.joined[source] in self.joined:
                self.joined[source] = self.joined[self.joined[source]]
        self.joined = {source: target for source, target in self.joined.items() if source not in gone}


@dataclass
class Copy:
    """A backup, with what was true then and the key of then."""

    path: Path
    key: Path
    account: Account


class Together(RuleBasedStateMachine):
    """The household."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="together-"))
        self.home = self.folder / "home"
        self.shift = timedelta()
        self.number = 0
        self.account = Account()
        self.copies: list[Copy] = []
        self.gone: set[str] = set()
        self.gone_words: set[str] = set()
        """Names, and pictures, of what was forgotten."""
        self.used: set[str] = set()
        self.vaults: list[Vault] = []
        self.good_keys: list[str] = []
        self.revoked_keys: set[str] = set()
        self._sql_clock = patch.multiple(sql, datetime=self._make_clock())
        self._sql_clock.start()
        self.bank = self._opened()
        self.admin = open_database(self.home)
        self._learn_key()

    def _opened(self) -> MemoryBank:
        return MemoryBank(open_store(self.home), model=MODEL, dimension=DIMENSION, clock=lambda: self.now)

    def _make_clock(self) -> Any:
        machine = self

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime.now(tz) + machine.shift

        return Clock

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift

    def _learn_key(self) -> None:
        key = KeyFile(self.home / KEY_FILE_NAME).read()
        assert key is not None
        if all(vault.master_key != key for vault in self.vaults):
            self.vaults.append(Vault(key))

    def _one(self, which: int) -> str:
        ids = list(self.account.people)
        return ids[which % len(ids)]

    def _new_photo(self) -> int:
        self.number += 1
        return self.number

    @contextmanager
    def _closed(self) -> Iterator[None]:
        self.bank.close()
        yield
        self.bank = self._opened()
        self._learn_key()

    def teardown(self) -> None:
        """Leave nothing."""
        self.bank.close()
        self.admin.close()
        self._sql_clock.stop()
        shutil.rmtree(self.folder)

    @initialize()
    def three(self) -> None:
        """A family."""
        for _ in range(3):
            self.enrol(1)

    @precondition(lambda self: len(self.account.people) < 4)
    @rule(photos=st.integers(1, 2))
    def enrol(self, photos: int) -> None:
        """Somebody new."""
        numbers = [self._new_photo() for _ in range(photos)]
        name = f"Human-{numbers[0]}-"
        person = self.bank.enrol(
            name=name, relationship=None, metadata={}, photos=[photo(number) for number in numbers]
        )
        ids = [each.photo_id for each in self.bank.photos(person.person_id)]
        self.account.people[person.person_id] = Human(name, dict(zip(ids, numbers, strict=True)))

    @precondition(lambda self: self.account.people)
    @rule(which=WHICH)
    def add(self, which: int) -> None:
        """Another photo."""
        person_id, number = self._one(which), self._new_photo()
        (added,) = self.bank.add_photos(person_id, [photo(number)])
        self.account.people[person_id].photos[added.photo_id] = number

    @precondition(lambda self: len(self.account.people) > 1)
    @rule(which=WHICH, other=WHICH)
    def merge(self, which: int, other: int) -> None:
        """Two are one."""
        target, source = self._one(which), self._one(other)
        if target == source:
            return
        undo = self.bank.merge(target, source, kept=lambda _: True)
        human = self.account.people.pop(source)
        taker = self.account.people[target]
        moved = tuple(key for key, each in self.account.undos.items() if each.owner == source)
        for key in moved:
            self.account.undos[key].owner = target
        self.account.undos[undo.undo_id] = Correction(
            target, self.now, source=source, human=copy.deepcopy(human), undos=moved
        )
        taker.photos |= human.photos
        taker.counters |= human.counters
        self.account.joined[source] = target

    @precondition(lambda self: self.account.people)
    @rule(which=WHICH)
    def reject(self, which: int) -> None:
        """That's wrong."""
        person_id = self._one(which)
        undo = self.bank.reject(person_id, look(self._new_photo()))
        counter = undo.content["counter_id"]
        self.account.people[person_id].counters.add(counter)
        self.account.undos[undo.undo_id] = Correction(person_id, self.now, counter=counter)

    @precondition(lambda self: self.account.undos)
    @rule(which=WHICH)
    def undo(self, which: int) -> None:
        """Take a correction back, however late."""
        ids = list(self.account.undos)
        undo_id = ids[which % len(ids)]
        undo = self.account.undos[undo_id]
        try:
            self.bank.undo(undo_id)
        except CannotUndo:
            assert undo.human is not None
            own = self.account.people[undo.owner].photos
            assert len(own.keys() & undo.human.photos.keys()) in (0, len(own))
            return
        self.used.add(undo_id)
        if undo.source is None:
            assert undo.counter is not None
            self.account.people[undo.owner].counters.discard(undo.counter)
            del self.account.undos[undo_id]
        else:
            assert undo.human is not None
            own = self.account.people[undo.owner].photos
            self.account.split(undo_id, [key for key in undo.human.photos if key in own])

    @precondition(lambda self: len(self.account.people) > 1)
    @rule(which=WHICH)
    def forget(self, which: int) -> None:
        """Somebody goes for good, and whoever was found to be that person."""
        person_id = self._one(which)
        human = self.account.people[person_id]
        gone = {person_id}
        while more := {source for source, target in self.account.joined.items() if target in gone} - gone:
            gone |= more
        self.account.joined = {a: b for a, b in self.account.joined.items() if a not in gone}
        undone = {key: each for key, each in self.account.undos.items() if each.owner == person_id}
        names = {human.name, *(each.human.name for each in undone.values() if each.human is not None)}
        assert self.bank.forget(person_id)
        self.gone |= gone | human.photos.keys() | human.counters | undone.keys()
        self.gone_words |= names | {f"picture {number}." for number in human.photos.values()}
        self.account.drop(person_id)

    @precondition(lambda self: self.account.people)
    @rule(which=WHICH, photo_of=WHICH)
    def forget_photo(self, which: int, photo_of: int) -> None:
        """One photo goes for good."""
        person_id = self._one(which)
        photos = self.account.people[person_id].photos
        if not photos:
            return
        photo_id = list(photos)[photo_of % len(photos)]
        try:
            assert self.bank.forget_photo(person_id, photo_id)
        except LastPhoto:
            assert len(photos) == 1
            return
        self.gone.add(photo_id)
        self.gone_words.add(f"picture {photos.pop(photo_id)}.")

    @precondition(lambda self: len(self.copies) < 4)
    @rule()
    def back_up(self) -> None:
        """A copy, in a safe place with its key."""
        place = self.folder / f"copy-{len(self.copies)}"
        with self._closed():
            back_up(self.home, place)
            key = shutil.copy(self.home / KEY_FILE_NAME, place.with_suffix(".key"))
        self.copies.append(Copy(place, Path(key), copy.deepcopy(self.account)))

    @precondition(lambda self: self.copies)
    @rule(which=WHICH)
    def restore(self, which: int) -> None:
        """An older bank comes back; whom it should not hold it does not."""
        chosen = self.copies[which % len(self.copies)]
        with self._closed():
            restore(self.home, chosen.path, secrets=Secrets(key_file=chosen.key))
            self.account = copy.deepcopy(chosen.account)
            self.account.forget_again(self.gone)

    @rule(
        what=st.sampled_from(["rotate", "make_api_key", "revoke_api_key", "restart", "settle", "jump"]),
        days=st.integers(-40, 40),
    )
    def meanwhile(self, what: str, days: int) -> None:
        """What has little to do with the rest comes less often."""
        if what == "jump":
            self.shift += timedelta(days=days)
        else:
            getattr(self, what)()

    def rotate(self) -> None:
        """Another key."""
        with self._closed():
            store = open_store(self.home)
            rekeying.rotate(store, KeySource(), self.home, new_key())
            store.close()

    def make_api_key(self) -> None:
        """For another device."""
        self.number += 1
        made = AccessStore(self.admin.transaction).add_key(digest(f"key {self.number}"), "phone", Role.VIEWER)
        self.good_keys.append(made.key_id)

    def revoke_api_key(self) -> None:
        """A device was lost."""
        if not self.good_keys:
            return
        key_id = self.good_keys.pop(0)
        AccessStore(self.admin.transaction).revoke(key_id)
        self.revoked_keys.add(key_id)

    def settle(self) -> None:
        """Somebody believes the clock."""
        self.bank.settle(self.now)
        self.account.settle(self.now)

    def restart(self) -> None:
        """A power cut would do as well."""
        with self._closed():
            pass

    @invariant()
    def it_holds_whom_it_should(self) -> None:
        """Persons, photos, rejected looks, undos and API keys."""
        assert self.bank.check() == []
        found = {person.person_id: person for person in self.bank.persons(limit=1000).persons}
        assert {key: person.name for key, person in found.items()} == {
            key: human.name for key, human in self.account.people.items()
        }
        for person_id, human in self.account.people.items():
            assert {each.photo_id for each in self.bank.photos(person_id)} == human.photos.keys()
            assert {each.counter_id for each in self.bank.counter_examples(person_id)} == human.counters
            assert {each.undo_id for each in self.bank.undos(person_id)} == {
                key for key, undo in self.account.undos.items() if undo.owner == person_id
            }
        access = {key.key_id: key.revoked_at for _, key in AccessStore(self.admin.transaction).all_keys()}
        assert {key_id for key_id, revoked in access.items() if revoked is None} == set(self.good_keys)
        assert {key_id for key_id, revoked in access.items() if revoked is not None} == self.revoked_keys

    @invariant()
    def nothing_of_what_was_forgotten_can_be_read(self) -> None:
        """In no file, with no key."""
        if not self.gone:
            return
        set_aside = [path for path in self.home.glob(f"{SET_ASIDE}*") if not path.name.endswith("-journal")]
        for path in (self.home / FILE_NAME, *set_aside):
            ids, words = read_everything(path, self.vaults)
            assert not ids & self.gone, path.name
            assert not words & self.gone_words, path.name


def read_everything(path: Path, vaults: list[Vault]) -> tuple[set[str], set[str]]:
    """The ids of persons, photos and undos in a file, and the names and pictures that some key opens."""
    ids: set[str] = set()
    words: set[str] = set()
    engine = connect(path)
    try:
        with engine.begin() as connection:
            for person in connection.execute(sa.select(persons_table)):
                key = None
                for vault in vaults:
                    try:
                        key = vault.key(person.person_id, person.key)
                    except DamagedPerson:
                        continue
                assert key is not None
                ids.add(person.person_id)
                words.add(rows.person_of(person, key).name)
                of_person = photos_table.c.person_id == person.person_id
                for row in connection.execute(sa.select(photos_table).where(of_person)):
                    ids.add(row.photo_id)
                    picture = key.open(row.picture, rows.picture_place(row.person_id, row.photo_id))
                    words.add(f"{picture[4:].decode()}.")
                for row in connection.execute(
                    sa.select(undos_table).where(undos_table.c.person_id == person.person_id)
                ):
                    ids.add(row.undo_id)
                    undo = rows.undo_of(row, key)
                    if undo.kind == "merge":
                        ids.add(undo.content["person"]["person_id"])
                        words.add(undo.content["person"]["name"])
    finally:
        engine.dispose()
    return ids, words


Together.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    phases=[Phase.reuse, Phase.generate],  # a long story is told at once; making it short takes minutes
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestTogether = pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")(Together.TestCase)
