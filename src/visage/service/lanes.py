"""Where things run: models on one thread, storage on another, reading and keeping accounts beside them.

The event loop carries messages: it takes no lock, touches no disk and computes nothing longer than a millisecond.
Whatever might is given to a lane, by `verbs.py` and its neighbours, and by nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from visage.errors import Overloaded
from visage.vision.work import Work

P = ParamSpec("P")
T = TypeVar("T")

_AHEAD = 2
"""Jobs of a queue that may be with the models: one runs while the other is ready to go on."""

_READERS = 4
"""Threads that read what the bank holds in memory: they may wait for a write, and must not wait for each other."""

client_gone: ContextVar[Callable[[], Awaitable[None]] | None] = ContextVar("client_gone", default=None)
"""Waits until the client of this request has gone; set around every request whose body was read (`connection.py`)."""


class Lanes:
    """The threads of an installation.

    Models run on one thread, since a single run already uses every core. Two queues lead to it, one for requests and
    one for frames of streams, each first come, first served; where both wait, they take turns, so that a flood in
    one does not close the other. What writes to the bank has a thread of its own and does not wait for models; what
    only reads it has several, and the accounts of the installation have one.

    Args:
        max_work_s: seconds that one job may take with the models.
        max_pending: requests that may wait for them.
        load_first: loads the models before a job, where they are not; the time that it takes is none of the job's.
    """

    def __init__(self, *, max_work_s: float, max_pending: int, load_first: Callable[[], None] | None = None) -> None:
        self._load_first = load_first
        self._max_work_s = max_work_s
        self._max_pending = max_pending
        self._pending = 0
        self._works: set[Work] = set()
        self._stopping = False
        self._requests = asyncio.Semaphore(_AHEAD)
        self._frames = asyncio.Semaphore(_AHEAD)
        self._vision = ThreadPoolExecutor(1, "visage-vision")
        self._storage = ThreadPoolExecutor(1, "visage-storage")
        self._reading = ThreadPoolExecutor(_READERS, "visage-reading")
        self._accounts = ThreadPoolExecutor(1, "visage-accounts")

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

    async def load(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what makes the models ready, on their thread, before anybody else."""
        return await _run(self._vision, function, *args, **kwargs)

    async def store(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that writes to the bank, or reads its disk."""
        return await _run(self._storage, function, *args, **kwargs)

    async def read(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that only reads what is held in memory, and may have to wait for a lock."""
        return await _run(self._reading, function, *args, **kwargs)

    async def account(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that reads or writes keys, sessions, preferences or the audit log."""
        return await _run(self._accounts, function, *args, **kwargs)

    async def drain(self) -> None:
        """Wait until what is under way with models and storage has come to its end."""
        for executor in (self._vision, self._storage):
            await _run(executor, lambda: None)

    def stop_work(self) -> None:
        """The server ends: what the models do is left, and nothing is begun."""
        self._stopping = True
        for work in self._works:
            work.stop()

    async def close(self) -> None:
        """Leave what the models do, finish what is stored."""
        self.stop_work()
        for executor in (self._vision, self._reading, self._storage, self._accounts):
            await asyncio.to_thread(executor.shutdown)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """A place among the requests that wait for the models."""
        if self._pending >= self._max_pending:
            raise Overloaded
        self._pending += 1
        try:
            yield
        finally:
            self._pending -= 1

    async def _work(
        self, queue: asyncio.Semaphore, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """One job for the models. It is left when nobody waits for it any more: the client has gone, whoever waits
        here was cancelled, or the server stops."""
        work = Work(self._max_work_s)
        self._works.add(work)
        if self._stopping:
            work.stop()
        gone = client_gone.get() if queue is self._requests else None
        watching = asyncio.create_task(_stop_when(gone, work)) if gone else None
        try:
            async with queue:
                if self._load_first is not None:
                    await _run(self._vision, self._load_first)
                return await _run(self._vision, work.run, function, *args, **kwargs)
        finally:
            work.stop()
            self._works.discard(work)
            if watching is not None:
                watching.cancel()


async def _run(executor: ThreadPoolExecutor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, lambda: function(*args, **kwargs))


async def _stop_when(gone: Callable[[], Awaitable[None]], work: Work) -> None:
    await gone()
    work.stop()
