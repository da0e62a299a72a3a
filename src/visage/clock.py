"""Which time may be believed. A computer without a battery starts in 1970, or wherever its clock fell, and a wrong
clock must end nothing: no session, no undo, nobody's being remembered.

What expires asks `Clock.now`, never the computer's own clock. Where that stands before a time that was known to be
right, or more than a month after it, it may have jumped; then time goes on from the time that was known to be right,
by as long as this process runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

PLAUSIBLE_GAP = timedelta(days=30)
"""A server that was off for longer cannot be told from a clock that is wrong."""

_SMALL_STEP = timedelta(minutes=5)  # clocks are set right by a little all the time
_EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)
"""Before this program was written no clock was right."""


def wall_clock() -> datetime:
    """What this computer says."""
    return datetime.now(UTC)


class Clock:
    """The time by which things expire.

    Args:
        mark: the latest time at which the server is known to have run; None where it never did.
        wall: what the computer says.
        monotonic: seconds that nobody sets.
    """

    def __init__(
        self,
        mark: datetime | None = None,
        *,
        wall: Callable[[], datetime] = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._known = (mark, monotonic())  # one value, for threads that read while another writes

    @property
    def mark(self) -> datetime | None:
        """A time that surely has come: the latest that was believed, and the whole minutes that passed since."""
        mark, since = self._known
        return None if mark is None else mark + timedelta(minutes=(self._monotonic() - since) // 60)

    def fault(self, now: datetime | None = None) -> str | None:
        """Why a time cannot be believed, in words; None where it can.

        Args:
            now: the time; None for what the computer says.
        """
        now, mark = now or self._wall(), self.mark
        if mark is None:
            return f"The clock says {now:%Y-%m-%d}" if now < _EARLIEST else None
        if now < mark - _SMALL_STEP:
            return f"The clock says {now:%Y-%m-%d}, but the server already ran on {mark:%Y-%m-%d}"
        if now > mark + PLAUSIBLE_GAP:
            return f"The clock says {now:%Y-%m-%d}, and the server last ran on {mark:%Y-%m-%d}"
        return None

    def now(self) -> datetime:
        """By which time things expire."""
        wall = self._wall()
        if self.fault(wall) is None:
            self.believe(max(wall, self.mark or wall))
            return wall
        return self.mark or _EARLIEST

    def believe(self, now: datetime) -> None:
        """This time is right."""
        self._known = (now, self._monotonic())
