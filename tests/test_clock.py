"""Which time is believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from visage.clock import PLAUSIBLE_GAP, Clock

THEN = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Times:
    """A computer whose clock somebody sets."""

    def __init__(self) -> None:
        self.wall = THEN
        self.elapsed = timedelta()

    def clock(self, mark: datetime | None) -> Clock:
        return Clock(mark, wall=lambda: self.wall, monotonic=self.seconds)

    def seconds(self) -> float:
        return self.elapsed.total_seconds()

    def run(self, time: timedelta) -> None:
        self.wall += time
        self.elapsed += time


@pytest.mark.parametrize("jump", [365 * DAY, 31 * DAY, -DAY, -20_000 * DAY], ids=str)
def test_after_a_jump_time_goes_on_from_where_it_was(jump: timedelta) -> None:
    times = Times()
    clock = times.clock(THEN)
    times.wall += jump
    assert clock.fault() is not None
    assert clock.now() == THEN
    times.run(40 * DAY)
    assert clock.fault() is not None  # waiting does not make a wrong date right
    assert clock.now() == THEN + 40 * DAY
    times.wall -= jump
    assert clock.fault() is None
    assert clock.now() == THEN + 40 * DAY


@pytest.mark.parametrize("step", [timedelta(), DAY, PLAUSIBLE_GAP, -timedelta(minutes=2)], ids=str)
def test_a_server_that_was_off_for_less_than_a_month_believes_the_clock(step: timedelta) -> None:
    times = Times()
    times.wall += step
    clock = times.clock(THEN)
    assert clock.now() == THEN + step
    assert (clock.mark or THEN) >= THEN  # what was known stays known


def test_a_clock_that_jumps_while_the_server_runs_is_noticed() -> None:
    times = Times()
    clock = times.clock(None)
    for _ in range(100):
        times.run(DAY)
        assert clock.now() == times.wall
    right = times.wall
    times.wall += 200 * DAY
    assert clock.now() == right
    clock.believe(times.wall)
    assert clock.now() == right + 200 * DAY


def test_before_anybody_could_have_run_this_no_clock_is_right() -> None:
    times = Times()
    times.wall = datetime(1970, 1, 1, tzinfo=UTC)
    clock = times.clock(None)
    assert clock.fault() is not None
    assert clock.now() > times.wall
    assert clock.mark is None
