"""A piece of work for the models: how long it may take, and whether anybody still waits for it.

Whoever has it done runs it as a `Work`; whatever computes asks in between, by `checkpoint`, whether to go on. So
nothing that is added to the way of a frame has to be told of deadlines, or can forget them.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

from visage.errors import Stopping, TooMuchWork

P = ParamSpec("P")
T = TypeVar("T")

_current: ContextVar[Work | None] = ContextVar("work", default=None)


class Work:
    """One job of a client, run on one thread; `stop` may be called from any other.

    Args:
        max_s: seconds that it may take, counted from when it begins: waiting for others is no work.
    """

    def __init__(self, max_s: float) -> None:
        self._max_s = max_s
        self._end_s = float("inf")
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Nobody waits for it any more: it ends at the next checkpoint, or does not begin."""
        self._stopped.set()

    def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it.

        Raises:
            TooMuchWork: it took too long.
            Stopping: nobody waits for it any more.
        """
        token = _current.set(self)
        self._end_s = time.monotonic() + self._max_s
        try:
            self.check()
            return function(*args, **kwargs)
        except BaseException as exc:
            forget_locals(exc)
            raise
        finally:
            _current.reset(token)

    def check(self) -> None:
        """Go on?

        Raises: TooMuchWork, Stopping.
        """
        if self._stopped.is_set():
            raise Stopping
        if time.monotonic() > self._end_s:
            raise TooMuchWork.after(self._max_s)


def checkpoint() -> None:
    """To be called between two steps of some milliseconds: ends the work that this thread does, if it has to end.

    Raises: TooMuchWork, Stopping.
    """
    work = _current.get()
    if work is not None:
        work.check()


def checked(items: Iterable[T]) -> Iterator[T]:
    """Items, with a checkpoint before each."""
    for item in items:
        checkpoint()
        yield item


def forget_locals(error: BaseException) -> None:
    """Let go of what the frames of an exception, and of those that led to it, hold: pictures of 150 MB. Where it was
    raised can still be logged."""
    led: BaseException | None = error
    while led is not None:
        traceback.clear_frames(led.__traceback__)
        led = led.__cause__ or led.__context__
