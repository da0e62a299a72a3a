"""An installation while it runs: its settings, its lanes, the recognizer, and who may use it."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from visage.admin.access import Access
from visage.admin.audit import Audit
from visage.admin.database import Database, open_database
from visage.admin.keys import AccessStore
from visage.admin.preferences import Preferences, PreferenceStore
from visage.clock import Clock, wall_clock
from visage.errors import InstallationError, InvalidValue, NotReady, VisageError
from visage.recognition.recognizer import Recognizer
from visage.service.lanes import Lanes
from visage.service.opening import key_source, open_recognizer
from visage.service.retention import Retention, clock_of
from visage.settings import Settings
from visage.vision.image import Limits

log = logging.getLogger("visage")

T = TypeVar("T")


class Service:
    """Loads in the background, and closes in order. `verbs.py` and `upkeep.py` work with what it holds.

    Args:
        settings: of the installation.
        keys_required: whether a client must show a key.
        models_when_needed: load them with the first picture, not at start.
    """

    def __init__(self, settings: Settings, *, keys_required: bool, models_when_needed: bool = False) -> None:
        self.settings = settings
        self._models_when_needed = models_when_needed
        self.keys_required = keys_required
        self.limits = Limits(settings.max_image_bytes, settings.max_image_pixels)
        self.lanes = Lanes(
            max_work_s=settings.max_work_s,
            max_pending=settings.max_pending,
            load_first=self._load_models if models_when_needed else None,
        )
        self.failure: VisageError | None = None
        self.connections = 0
        self._started = time.monotonic()
        self._recognizer: Recognizer | None = None
        self._admin: Database | None = None
        self._clock = Clock()
        self._access: Access | None = None
        self._audit: Audit | None = None
        self._preferences = Preferences()
        self._loading: asyncio.Task[None] | None = None

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
        return self._loaded(self._recognizer)

    @property
    def access(self) -> Access:
        """Who may use the server; NotReady as `recognizer`."""
        return self._loaded(self._access)

    @property
    def audit(self) -> Audit:
        """The log of who did what; NotReady as `recognizer`."""
        return self._loaded(self._audit)

    @property
    def preferences(self) -> Preferences:
        """What a carer may change while the server runs, as it is in force."""
        return self._preferences

    @property
    def retention(self) -> Retention:
        """The rule by which people are forgotten who were not seen for long; NotReady while loading."""
        return Retention(self.recognizer.bank, self._store_of_preferences(), self._clock)

    @property
    def clock(self) -> Clock:
        """By which things expire."""
        return self._clock

    def locked(self) -> list[str]:
        """The preferences that a setting decides, which therefore cannot be changed while running."""
        return [each.name for each in fields(Preferences) if each.name in self.settings.model_fields_set]

    def write_preferences(self, values: Mapping[str, Any]) -> Preferences:
        """Keep new values, and let them be in force. Writes.

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
        return self._preferences

    def _store_of_preferences(self) -> PreferenceStore:
        return PreferenceStore(self._loaded(self._admin).transaction)

    def start(self) -> None:
        """Begin loading; requests are answered meanwhile, with 503."""
        self._loading = asyncio.create_task(self._load())

    async def wait_ready(self) -> None:
        """Wait until everything is loaded.

        Raises:
            VisageError: why it cannot be.
        """
        if self._loading is not None:
            await self._loading
        if self.failure is not None:
            raise self.failure

    async def without_bank(self) -> Recognizer:
        """Take the recognizer out of service, once what is under way with it has come to its end: requests get
        `NotReady` until `reopen`."""
        taken, self._recognizer = self.recognizer, None
        await self.lanes.drain()
        return taken

    async def reopen(self, taken: Recognizer) -> None:
        """Open the bank that is there now; the models stay as they are loaded.

        Raises:
            VisageError: why it cannot be.
        """
        await self._load(taken)
        if self.failure is not None:
            raise self.failure

    async def close(self) -> None:
        """Leave what the models do, finish what is stored, then close the bank."""
        self.lanes.stop_work()
        if self._loading is not None:
            await self._loading
        await self.lanes.close()
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

    async def _load(self, before: Recognizer | None = None) -> None:
        try:
            self._recognizer = await self.lanes.load(self._open, before)
        except VisageError as exc:
            self.failure = exc
            log.error("Visage cannot start: %s", exc.message)
        except Exception:
            self.failure = VisageError("Visage cannot start; the log has the reason")
            log.exception("Visage cannot start")

    def _open(self, before: Recognizer | None) -> Recognizer:
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
            pipeline=before.pipeline if before else None,
            when_needed=self._models_when_needed,
            clock=self._now,
        )
        try:
            self._admit()
            self._apply_preferences(recognizer)
        except BaseException:
            recognizer.close()
            raise
        if not self._models_when_needed:
            recognizer.warm_up()
            gc.collect()  # what was loaded is looked through now, and not while the first face waits
        bank = recognizer.bank
        log.info("Loaded %d persons with %d embeddings of %s", bank.person_count, bank.embedding_count, bank.model)
        if bank.foreign_photos:
            log.warning(
                "%d photos were embedded by another model and are not recognised; stop the server and run "
                "`visage reembed`",
                bank.foreign_photos,
            )
        return recognizer

    def _now(self) -> datetime:
        """By which what is new is dated: by the computer's clock, but never before a time that surely has come, so
        that what can be undone for a month can be undone for a month."""
        return max(wall_clock(), self._clock.now())

    def _load_models(self) -> None:
        self.recognizer.load_models()

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

    def _apply_preferences(self, recognizer: Recognizer) -> None:
        stored = self._store_of_preferences().read()
        decided = {name: getattr(self.settings, name) for name in self.locked()}
        self._preferences = Preferences.of(stored | decided)
        recognizer.set_target_fpir(self._preferences.target_fpir)

    def _loaded(self, part: T | None) -> T:
        if part is None:
            raise NotReady(self.failure.message if self.failure else None)
        return part
