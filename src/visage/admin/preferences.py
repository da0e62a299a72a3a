"""What a carer may change while the server runs, and the installation's memory of time."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from visage.admin.database import Transactions
from visage.admin.schema import preferences_table
from visage.bank.records import from_micros, to_micros

log = logging.getLogger("visage")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What is in force.

    Attributes:
        target_fpir: how many of the strangers seen may be given a name, a fraction.
        retention_days: forget who was not seen for so long; None for never.
        remember_last_seen: keep when each person was seen last.
        require_consent: register nobody without a consent record.
    """

    target_fpir: float = 0.01
    retention_days: int | None = None
    remember_last_seen: bool = False
    require_consent: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Preferences:
        """Those of these values that can be in force; for the rest, and where there is none, the defaults."""
        days, fpir = values.get("retention_days"), values.get("target_fpir")
        sound: dict[str, Any] = {
            name: value
            for name in ("remember_last_seen", "require_consent")
            if isinstance(value := values.get(name), bool)
        }
        if isinstance(fpir, float) and 0 < fpir < 1:
            sound["target_fpir"] = fpir
        if type(days) is int and days > 0:
            sound["retention_days"] = days
        wrong = {each.name for each in fields(cls)} & {key for key, value in values.items() if value is not None}
        for name in sorted(wrong - sound.keys()):
            log.warning("The setting %s is kept as something that it cannot be; the default is in force", name)
        return cls(**sound)

    @property
    def keeps_last_seen(self) -> bool:
        """Retention cannot do without."""
        return self.remember_last_seen or self.retention_days is not None


class PreferenceStore:
    """Named values in the installation's database.

    Args:
        transaction: begins a transaction there.
    """

    def __init__(self, transaction: Transactions) -> None:
        self._transaction = transaction

    def read(self) -> dict[str, Any]:
        """All values.

        Raises:
            BankError: they cannot be read.
        """
        with self._transaction() as connection:
            rows = connection.execute(sa.select(preferences_table)).all()
            return {row.name: json.loads(row.value) for row in rows}

    def write(self, values: Mapping[str, Any]) -> None:
        """Keep values; None removes one.

        Raises:
            BankError: nothing was changed.
        """
        columns = preferences_table.c
        with self._transaction() as connection:
            for name, value in values.items():
                connection.execute(preferences_table.delete().where(columns.name == name))
                if value is not None:
                    connection.execute(preferences_table.insert(), {"name": name, "value": json.dumps(value)})

    def time(self, name: str) -> datetime | None:
        """A moment that was kept."""
        micros = self.read().get(name)
        return from_micros(micros) if isinstance(micros, int) else None

    def keep_time(self, name: str, moment: datetime | None) -> None:
        """Keep a moment; None forgets it."""
        self.write({name: None if moment is None else to_micros(moment)})
