"""What the app owns while it runs: the recognizer and the threads it computes in."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, ParamSpec, TypeVar

from visage.admin.access import Access
from visage.admin.audit import LOCAL, Audit
from visage.admin.database import Database, open_database
from visage.admin.keys import AccessStore
from visage.admin.preferences import Preferences, PreferenceStore
from visage.clock import Clock
from visage.errors import BankError, InstallationError, InvalidBackup, InvalidValue, NotReady, Overloaded, VisageError
from visage.recognition.recognizer import Recognizer
from visage.service.opening import open_recognizer
from visage.service.restore import Restored, Secrets, Staged, put_in_place, stage
from visage.service.retention import Retention, clock_of
from visage.settings import Settings
from visage.storage.keys import KeySource
from visage.storage.sqlite import make_stage
from visage.vision.image import Limits
from visage.vision.work import Work

P = ParamSpec("P")
T = TypeVar("T")

_FORGET_EVERY_S = 60.0
_TICK_EVERY_S = 3600.0

_LANE = 2
"""Jobs of a lane that may be with the models: one runs while the other is ready to go on."""

client_gone: ContextVar[Callable[[], Awaitable[None]] | None] = ContextVar("client_gone", default=None)
"""Waits until the client of this request has gone; set around every request whose body was read (`connection.py`)."""

log = logging.getLogger("visage")


def key_source(settings: Settings) -> KeySource:
    """Where the settings say that the master key comes from."""
    return KeySource(
        master_key=settings.master_key.get_secret_value() if settings.master_key else None,
        passphrase=settings.passphrase.get_secret_value() if settings.passphrase else None,
        file=settings.key_file,
    )


class Service:
    """Loads in the background, computes in bounded threads, closes in order.

    Models run on one thread, since a single run already uses every core. Two lanes lead to it, one for requests and
    one for frames of streams, each first come, first served; where both wait, they take turns, so that a flood in
    one does not close the other. What only reads or writes the bank has a thread of its own and does not wait for
    models.
    """

    def __init__(self, settings: Settings, *, keys_required: bool) -> None:
        self.settings = settings
        self.keys_required = keys_required
        self.limits = Limits(settings.max_image_bytes, settings.max_image_pixels)
        self.failure: VisageError | None = None
        self.connections = 0
        self._started = time.monotonic()
        self._recognizer: Recognizer | None = None
        self._admin: Database | None = None
        self._clock = Clock()
        self._access: Access | None = None
        self._audit: Audit | None = None
        self._pending = 0
        self._works: set[Work] = set()
        self._stopping = False
        self._requests = asyncio.Semaphore(_LANE)
        self._frames = asyncio.Semaphore(_LANE)
        self._keeping = asyncio.Lock()
        self._preferences = Preferences()
        self._next_tick = 0.0
        self._vision = ThreadPoolExecutor(1, "visage-vision")
        self._storage = ThreadPoolExecutor(1, "visage-storage")
        self._loading: asyncio.Task[None] | None = None
        self._forgetting: asyncio.Task[None] | None = None

    @property
    def uptime_s(self) -> float:
        """Seconds since the server was started."""
        return time.monotonic() - self._started

    @property
    def ready(self) -> bool:
        """Models and bank are loaded."""
        return self._recognizer is not None

    @property
    def recognizer(self) -> Recognizer:
        """The recognizer.

        Raises:
            NotReady: still loading, or loading failed.
        """
        if self._recognizer is None:
            raise NotReady(self.failure.message if self.failure else None)
        return self._recognizer

    @property
    def access(self) -> Access:
        """Who may use the server.

        Raises:
            NotReady: still loading, or loading failed.
        """
        if self._access is None:
            raise NotReady(self.failure.message if self.failure else None)
        return self._access

    @property
    def preferences(self) -> Preferences:
        """What a carer may change while the server runs, as it is in force."""
        return self._preferences

    @property
    def retention(self) -> Retention:
        """The rule by which people are forgotten who were not seen for long; NotReady while loading."""
        return Retention(self.recognizer.bank, self._store_of_preferences(), self._clock)

    def locked(self) -> list[str]:
        """The preferences that a setting decides, which therefore cannot be changed while running."""
        return [each.name for each in fields(Preferences) if each.name in self.settings.model_fields_set]

    def change_preferences(self, values: Mapping[str, Any]) -> Preferences:
        """Keep new values, and let them be in force. Writes to the disk.

        Raises:
            InvalidValue: one of them is decided by a setting.
        """
        for name in self.locked():
            if name in values:
                raise InvalidValue.of(name, f"is set by VISAGE_{name.upper()}, and cannot be changed here")
        recognizer = self.recognizer
        # None is a value of its own here: the days of retention are switched off by it.
        self._store_of_preferences().write(values)
        self._apply_preferences(recognizer)
        self._next_tick = 0.0  # from when days are counted is noted within a minute
        if not self._preferences.keeps_last_seen:
            recognizer.bank.forget_seen()
        return self._preferences

    def _apply_preferences(self, recognizer: Recognizer) -> None:
        stored = self._store_of_preferences().read()
        decided = {name: getattr(self.settings, name) for name in self.locked()}
        known = {each.name for each in fields(Preferences)}
        self._preferences = Preferences(**{key: value for key, value in (stored | decided).items() if key in known})
        recognizer.set_target_fpir(self._preferences.target_fpir)

    def _store_of_preferences(self) -> PreferenceStore:
        if self._admin is None:
            raise NotReady(self.failure.message if self.failure else None)
        return PreferenceStore(self._admin.transaction)

    @property
    def audit(self) -> Audit:
        """The log of who did what.

        Raises:
            NotReady: still loading, or loading failed.
        """
        if self._audit is None:
            raise NotReady(self.failure.message if self.failure else None)
        return self._audit

    def start(self) -> None:
        """Begin loading; requests are answered meanwhile, with 503."""
        self._loading = asyncio.create_task(self._load())
        self._forgetting = asyncio.create_task(self._forget())

    async def wait_ready(self) -> None:
        """Wait until everything is loaded.

        Raises:
            VisageError: why it cannot be.
        """
        if self._loading is not None:
            await self._loading
        if self.failure is not None:
            raise self.failure

    async def compute(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that uses the models.

        Raises:
            Overloaded: too much is waiting already.
            TooMuchWork: it takes too long.
            Stopping: the server ends, or the client has gone.
        """
        with self._waiting():
            return await self._work(self._requests, function, *args, **kwargs)

    async def compute_each(self, function: Callable[..., T], *items: Iterable[Any]) -> list[T]:
        """As `compute`, for each of several pictures of one request, with what belongs to it: each is a job, and
        others get their turns in between."""
        with self._waiting():
            return [await self._work(self._requests, function, *each) for each in zip(*items, strict=True)]

    async def compute_frame(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `compute`, for a frame of a stream. A connection has one frame on its way: connections are the limit."""
        return await self._work(self._frames, function, *args, **kwargs)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """A place among the requests that wait for the models."""
        if self._pending >= self.settings.max_pending:
            raise Overloaded
        self._pending += 1
        try:
            yield
        finally:
            self._pending -= 1

    async def _work(
        self, lane: asyncio.Semaphore, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """One job for the models. It is left when nobody waits for it any more: the client has gone, whoever waits
        here was cancelled, or the server stops."""
        work = Work(self.settings.max_work_s)
        self._works.add(work)
        if self._stopping:
            work.stop()
        gone = client_gone.get() if lane is self._requests else None
        watching = asyncio.create_task(_stop_when(gone, work)) if gone else None
        try:
            async with lane:
                return await self._run(self._vision, work.run, function, *args, **kwargs)
        finally:
            work.stop()
            self._works.discard(work)
            if watching is not None:
                watching.cancel()

    def stop_work(self) -> None:
        """The server ends: what the models do is left, and nothing is begun."""
        self._stopping = True
        for work in self._works:
            work.stop()

    async def store(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that uses the bank only."""
        return await self._run(self._storage, function, *args, **kwargs)

    async def backup(self) -> IO[bytes]:
        """A whole backup file, at its beginning; it has no name, and is gone when it is closed.

        Raises:
            Overloaded: a backup is being made or restored already.
            BankError: it cannot be written.
        """
        bank = self.recognizer.bank

        def write() -> IO[bytes]:
            try:
                file = tempfile.TemporaryFile(dir=self.staging())  # noqa: SIM115 - the caller closes it
                bank.backup(file, lambda done, total: None)
                file.seek(0)
            except OSError as exc:
                raise BankError(f"The backup cannot be written: {exc.strerror}") from exc
            return file

        async with self.keeping():
            return await self._run(self._storage, write)

    async def restore(self, path: Path, secrets: Secrets) -> tuple[Staged, Restored]:
        """Replace the bank by a backup while serving: it is checked first; requests get `NotReady` for the while that
        the replacing takes. To be called within `keeping`.

        Raises:
            InvalidBackup: nothing was touched.
            BankError: the old bank is served again.
        """
        settings, home = self.settings, key_source(self.settings)
        old, access = self.recognizer, self.access
        staged = await self._run(
            self._storage, stage, settings.data_dir, path, home, secrets, lambda done, total: None
        )
        if staged.opened_by == "passphrase" and home.passphrase is None and home.master_key is None:
            raise InvalidBackup(
                "This bank was protected by a passphrase, and this server was started without one. Start it with "
                "VISAGE_PASSPHRASE, or stop it and run `visage restore`",
                {"needs": ["server_passphrase"]},
            )
        self._recognizer = None
        try:
            for executor in (self._vision, self._storage):
                await self._run(executor, lambda: None)  # what is under way comes to its end

            def replace() -> Restored:
                held = old.bank.release()
                assert held is not None  # noqa: S101 - a store that is open holds it
                with held:
                    return put_in_place(staged, home, held)

            restored = await self._run(self._storage, replace)
        finally:
            await self._load()
            access.end_all()
        if self.failure is not None:
            raise self.failure
        return staged, restored

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """One backup or restore at a time.

        Raises:
            Overloaded: there is one already.
        """
        if self._keeping.locked():
            raise Overloaded("A backup is being made or restored already; try again when that is done")
        async with self._keeping:
            yield

    def staging(self) -> Path:
        """The folder for files that are not the bank yet."""
        return make_stage(self.settings.data_dir)

    async def close(self) -> None:
        """Leave what the models do, finish what is stored, then close the bank."""
        self.stop_work()
        if self._forgetting is not None:
            self._forgetting.cancel()
        if self._loading is not None:
            await self._loading
        await asyncio.to_thread(self._vision.shutdown)
        await asyncio.to_thread(self._storage.shutdown)
        if self._recognizer is not None:
            if self._preferences.keeps_last_seen:
                try:
                    self._recognizer.note_seen()
                except VisageError as exc:
                    log.error("When people were last seen could not be kept: %s", exc.message)
            self._recognizer.close()
            self._recognizer = None
        if self._admin is not None:
            try:
                if self._audit is not None:
                    self._audit.sum_up(all_of_them=True)
            except VisageError as exc:
                log.error("The audit log could not be written: %s", exc.message)
            self._admin.close()

    async def _forget(self) -> None:
        """See to it that a stranger is forgotten in time, also when nobody is before the camera any more."""
        while True:
            await asyncio.sleep(_FORGET_EVERY_S)
            if self._recognizer is None:
                continue
            self._recognizer.forget_strangers()
            self.access.hang_up()
            try:
                await self._run(self._storage, self.audit.sum_up)
                await self._run(self._storage, self._keep_time, datetime.now(UTC))
            except VisageError as exc:
                log.error("What is kept once a minute could not be: %s", exc.message)

    def _keep_time(self, now: datetime) -> None:
        """Keep who was seen, and once a day forget who was not for too long."""
        recognizer, preferences = self._recognizer, self._preferences
        if recognizer is None:  # the bank is being replaced
            return
        if preferences.keeps_last_seen:
            recognizer.note_seen()
        if time.monotonic() < self._next_tick:
            return
        self._next_tick = time.monotonic() + _TICK_EVERY_S
        for due in self.retention.tick(now, preferences.retention_days):
            self.retention.purge([due])
            self.audit.append(LOCAL, "purge", due.person.person_id, "ok")
            log.info("Forgot person %s, not seen for %d days", due.person.person_id, due.days)

    async def _run(
        self, executor: ThreadPoolExecutor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, lambda: function(*args, **kwargs))

    async def _load(self) -> None:
        try:
            self._recognizer = await self._run(self._vision, self._open)
        except VisageError as exc:
            self.failure = exc
            log.error("Visage cannot start: %s", exc.message)
        except Exception:
            self.failure = VisageError("Visage cannot start; the log has the reason")
            log.exception("Visage cannot start")

    def _open(self) -> Recognizer:
        settings = self.settings
        recognizer = open_recognizer(
            data_dir=settings.data_dir,
            key=key_source(settings),
            threads=settings.inference_threads,
            limits=self.limits,
            similarity_threshold=settings.similarity_threshold,
            target_fpir=settings.target_fpir,
            duplicate_policy=settings.duplicate_policy,
            max_faces=settings.max_faces,
            model=settings.model,
            detector=settings.detector,
        )
        try:
            self._admit()
            self._apply_preferences(recognizer)
        except BaseException:
            recognizer.close()
            raise
        recognizer.warm_up()
        bank = recognizer.bank
        log.info("Loaded %d persons with %d embeddings of %s", bank.person_count, bank.embedding_count, bank.model)
        if bank.foreign_photos:
            log.warning(
                "%d photos were embedded by another model and are not recognised; stop the server and run "
                "`visage reembed`",
                bank.foreign_photos,
            )
        return recognizer

    def _admit(self) -> None:
        """Read the keys and the end of the audit log; after the bank was opened, since an older one holds them.

        Raises:
            InstallationError: a key is needed, and there is none.
        """
        if self._admin is None:  # a restore changes nothing of this
            self._admin = open_database(self.settings.data_dir)
            self._clock = clock_of(self._store_of_preferences())
            access = Access(AccessStore(self._admin.transaction), required=self.keys_required, clock=self._clock)
            if self.keys_required and not access.has_keys:
                raise InstallationError(
                    "Others can reach this server, and there is no API key yet. "
                    "Run `visage keys create --role admin` first, then start it again"
                )
            self._audit = Audit(self._admin.transaction, self.settings.data_dir)
            self._access = access


async def _stop_when(gone: Callable[[], Awaitable[None]], work: Work) -> None:
    await gone()
    work.stop()
