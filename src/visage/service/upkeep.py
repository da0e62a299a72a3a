"""What keeps an installation well: backup, restore, export, retention, and what a carer may change meanwhile."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from visage.admin.audit import LOCAL
from visage.admin.preferences import Preferences
from visage.bank.bank import MemoryBank
from visage.errors import BankError, InvalidBackup, InvalidValue, Overloaded
from visage.service.archive import write_archive
from visage.service.opening import key_source
from visage.service.restore import Restored, Secrets, Staged, put_in_place, stage
from visage.service.retention import Due
from visage.service.service import Service
from visage.storage.folder import UPLOAD_NAME, clear_stage, make_stage

log = logging.getLogger("visage")

_FORGET_EVERY_S = 60.0
_TICK_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class DueNow:
    """Who is to be forgotten, as it is now.

    Attributes:
        due: they.
        days: of retention; None where it is off.
        now: what the clock says.
        fault: why that cannot be believed; None where it can.
    """

    due: Sequence[Due]
    days: int | None
    now: datetime
    fault: str | None


class Upkeep:
    """Of one service.

    Args:
        service: may still be loading.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lanes = service.lanes
        self._keeping = asyncio.Lock()
        self._next_tick = 0.0
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin what has to be done now and then."""
        self._running = asyncio.create_task(self._run())

    def stop(self) -> None:
        """End that."""
        if self._running is not None:
            self._running.cancel()

    async def backup(self) -> IO[bytes]:
        """A whole backup file, at its beginning; it has no name, and is gone when it is closed.

        Raises:
            Overloaded: a backup is being made or restored already.
            BankError: it cannot be written.
        """
        bank, data_dir = self._service.recognizer.bank, self._service.settings.data_dir

        def write() -> IO[bytes]:
            try:
                file = tempfile.TemporaryFile(dir=make_stage(data_dir))  # noqa: SIM115 - the caller closes it
                bank.backup(file, lambda done, total: None)
                file.seek(0)
            except OSError as exc:
                raise BankError(f"The backup cannot be written: {exc.strerror}") from exc
            return file

        async with self._alone():
            return await self._lanes.read(write)  # people are registered and forgotten meanwhile

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[Path]:
        """Where to write a backup that is to be restored; whatever comes of it, the file is gone in the end.

        Raises:
            NotReady: the service is still loading.
            Overloaded: a backup is being made or restored already.
        """
        self._service.recognizer  # noqa: B018 - not while it is loading
        data_dir = self._service.settings.data_dir
        async with self._alone():
            try:
                yield await self._lanes.store(make_stage, data_dir) / UPLOAD_NAME
            finally:
                await self._lanes.store(clear_stage, data_dir)

    async def restore(self, path: Path, secrets: Secrets) -> tuple[Staged, Restored]:
        """Replace the bank by a backup while serving: it is checked first; requests get `NotReady` for the while that
        the replacing takes. To be called within `receiving`.

        Raises:
            InvalidBackup: nothing was touched.
            BankError: the old bank is served again.
        """
        service = self._service
        settings, home = service.settings, key_source(service.settings)
        staged = await self._lanes.store(stage, settings.data_dir, path, home, secrets, lambda done, total: None)
        if staged.opened_by == "passphrase" and home.passphrase is None and home.master_key is None:
            raise InvalidBackup(
                "This bank was protected by a passphrase, and this server was started without one. Start it with "
                "VISAGE_PASSPHRASE, or stop it and run `visage restore`",
                {"needs": ["server_passphrase"]},
            )
        taken = await service.without_bank()

        def replace() -> Restored:
            held = taken.bank.release()
            assert held is not None  # noqa: S101 - a store that is open holds it
            with held:
                return put_in_place(staged, home, held)

        try:
            restored = await self._lanes.store(replace)
        finally:
            await service.reopen(taken)
        return staged, restored

    async def export(self, person_ids: Sequence[str] | None) -> AsyncIterator[bytes]:
        """The pieces of an archive of these persons, or of all; the first is ready, since what is damaged is said
        before a reply begins.

        Raises: PersonNotFound, DamagedPerson, BankError.
        """
        bank = self._service.recognizer.bank

        def begin() -> tuple[Any, bytes]:
            wanted = _everyone(bank) if person_ids is None else [bank.person(each).person_id for each in person_ids]
            pieces = write_archive(bank, list(dict.fromkeys(wanted)))
            return pieces, next(pieces)

        pieces, first = await self._lanes.store(begin)

        async def stream() -> AsyncIterator[bytes]:
            yield first
            while (piece := await self._lanes.store(next, pieces, None)) is not None:
                yield piece

        return stream()

    async def change_preferences(self, values: Mapping[str, Any]) -> Preferences:
        """Keep new values, and let them be in force.

        Raises:
            InvalidValue: one of them is decided by a setting.
            BankError: they cannot be kept.
        """
        bank = self._service.recognizer.bank
        preferences = await self._lanes.account(self._service.write_preferences, values)
        self._next_tick = 0.0  # from when days are counted is noted within a minute
        if not preferences.keeps_last_seen:
            await self._lanes.store(bank.forget_seen)
        return preferences

    async def due(self) -> DueNow:
        """Who was not seen for so long that they are to be forgotten.

        Raises: BankError.
        """
        days, now, retention = self._service.preferences.retention_days, datetime.now(UTC), self._service.retention

        def find() -> DueNow:
            return DueNow(retention.due(now, days) if days else [], days, now, retention.clock_fault(now))

        return await self._lanes.store(find)

    async def purge(self, person_ids: Collection[str], *, clock_is_right: bool) -> tuple[list[str], bool]:
        """Forget those named who are due.

        Args:
            person_ids: who may go.
            clock_is_right: a person says so.

        Returns: who went; and whether no trace of them is left.

        Raises:
            InvalidValue: the clock cannot be believed, and nobody says that it is right.
            BankError: they cannot be forgotten.
        """
        days, now, retention = self._service.preferences.retention_days, datetime.now(UTC), self._service.retention
        named = {each.lower() for each in person_ids}

        def forget() -> tuple[list[str], bool]:
            fault = retention.clock_fault(now)
            if fault is not None and not clock_is_right:
                raise InvalidValue.of("clock_is_right", f"must be true: {fault[0].lower()}{fault[1:]}")
            due = [each for each in (retention.due(now, days) if days else []) if each.person.person_id in named]
            retention.believe(now)
            complete = retention.purge(due)
            return [each.person.person_id for each in due], complete

        return await self._lanes.store(forget)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """One backup or restore at a time."""
        if self._keeping.locked():
            raise Overloaded("A backup is being made or restored already; try again when that is done")
        async with self._keeping:
            yield

    async def _run(self) -> None:
        """See to it that strangers are forgotten in time, also when nobody is before the camera any more, and people
        who were not seen for too long. Whatever goes wrong once is tried again."""
        while True:
            await asyncio.sleep(_FORGET_EVERY_S)
            if not self._service.ready:
                continue
            try:
                await self._lanes.read(self._service.recognizer.forget_strangers)
                self._service.access.hang_up()  # sessions end
                await self._lanes.account(self._service.audit.sum_up)
                await self._tick(datetime.now(UTC))
            except Exception as exc:
                log.error("What is done once a minute could not be; it is tried again: %s", exc)

    async def _tick(self, now: datetime) -> None:
        """Keep who was seen, and once a day forget who was not for too long."""
        service = self._service
        recognizer, preferences, retention = service.recognizer, service.preferences, service.retention
        if preferences.keeps_last_seen:
            await self._lanes.store(recognizer.note_seen)
        if time.monotonic() < self._next_tick:
            return
        self._next_tick = time.monotonic() + _TICK_EVERY_S
        await self._lanes.store(recognizer.bank.settle, service.clock.now())
        for due in await self._lanes.store(retention.tick, now, preferences.retention_days):
            await self._lanes.store(retention.purge, [due])
            await self._lanes.account(service.audit.append, LOCAL, "purge", due.person.person_id, "ok")
            log.info("Forgot person %s, not seen for %d days", due.person.person_id, due.days)


def _everyone(bank: MemoryBank) -> list[str]:
    """Oldest first, so that they are imported in the order in which they came."""
    return [person.person_id for person in reversed(bank.persons(limit=2**31).persons)]
