"""Killed at random moments: the short form of `make torture`."""

from __future__ import annotations

from pathlib import Path

from tests.torture import torture


def test_every_acknowledged_write_survives_kills_at_random_moments(tmp_path: Path) -> None:
    outcome = torture(tmp_path / "bank", kills=6)
    assert outcome.acknowledged > 6
