"""What a carer may change, as it is kept."""

from __future__ import annotations

import pytest

from visage.admin.preferences import Preferences


def test_what_is_kept_is_in_force() -> None:
    kept = {
        "target_fpir": 0.02,
        "retention_days": 90,
        "remember_last_seen": True,
        "require_consent": True,
        "clock.mark": 7,
    }
    assert Preferences.of(kept) == Preferences(0.02, 90, remember_last_seen=True, require_consent=True)
    assert Preferences.of({"retention_days": None}) == Preferences()


@pytest.mark.parametrize(
    "kept",
    [
        {"target_fpir": "x"},
        {"target_fpir": 7.0},
        {"target_fpir": float("nan")},
        {"retention_days": True},
        {"retention_days": -1},
        {"retention_days": "30"},
        {"remember_last_seen": "yes"},
        {"require_consent": 1},
    ],
)
def test_what_cannot_be_in_force_stops_nothing_and_is_said(
    kept: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    assert Preferences.of(kept) == Preferences()
    assert next(iter(kept)) in caplog.text
