"""What goes over the wire when a bank is kept: backups, exports, retention, preferences."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from visage.admin.preferences import Preferences
from visage.api.v1.schemas.common import Time
from visage.service import restore
from visage.service.upkeep import DueNow


class Restored(BaseModel):
    """What a restore has done."""

    created_at: Time = Field(description="When the backup was made")
    persons: int = Field(description="Persons in the bank now")
    forgotten_again: int = Field(
        description="Persons and photos that were in the backup, but had been forgotten since; they are not back"
    )
    set_aside: str | None = Field(description="File in the data directory that holds the bank as it was")
    erasures_known: bool = Field(
        description="False where the old bank could not be read: whom it had forgotten may be back"
    )
    new_key: bool = Field(
        description="The backup came with a key that was not this bank's; the bank has a new one. Keep a copy of it"
    )
    recovery_key_void: bool = Field(description="A recovery key from paper does not open the bank that is here now")
    without_photos: int = Field(
        description="Persons without any photo: the only one in the backup was forgotten since"
    )
    faults: list[str] = Field(description="What was damaged in the bank already when the backup was made")


def restored(staged: restore.Staged, done: restore.Restored, persons: int) -> Restored:
    """For the wire."""
    return Restored(
        created_at=staged.header.created_at,
        persons=persons,
        forgotten_again=done.forgotten_again,
        set_aside=done.set_aside,
        erasures_known=done.old_was_readable,
        new_key=done.new_key,
        recovery_key_void=done.recovery_key_void,
        without_photos=done.without_photos,
        faults=list(staged.faults),
    )


class CurrentSettings(BaseModel):
    """What a carer may change while the server runs."""

    target_fpir: float = Field(gt=0, lt=1, description="How many of the strangers seen may be given a name")
    retention_days: int | None = Field(description="Forget who was not seen for so many days; null for never")
    remember_last_seen: bool = Field(description="Keep when each person was seen last; retention does so too")
    require_consent: bool = Field(description="Register nobody without a consent record")
    locked: list[str] = Field(description="What a `VISAGE_*` variable decides, and cannot be changed here")


class SettingsChange(BaseModel):
    """Only what is sent changes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"remember_last_seen": True}})

    target_fpir: float = Field(0.01, gt=0, lt=1)
    retention_days: int | None = Field(None, ge=1, le=36500, strict=True)
    remember_last_seen: bool = Field(False, strict=True)
    require_consent: bool = Field(False, strict=True)


class Due(BaseModel):
    """Somebody who was not seen for long."""

    person_id: str
    name: str
    last_seen_at: Time | None
    since: Time = Field(description="From when the days are counted")
    days: int


class DuePersons(BaseModel):
    """Who would be forgotten, and whether the clock can be believed."""

    retention_days: int | None
    now: Time
    clock_fault: str | None = Field(description="Why nobody is forgotten by itself, in words")
    due: list[Due]


class PurgeOrder(BaseModel):
    """Whom to forget: those of them who are due."""

    person_ids: list[str] = Field(max_length=10_000)
    clock_is_right: bool = Field(
        False, strict=True, description="A person has looked at the date of `GET /retention`"
    )


class Purged(BaseModel):
    """Who was forgotten."""

    person_ids: list[str]
    complete: bool = Field(description="No trace is left on the disk; else the next start removes it")


def current_settings(preferences: Preferences, locked: list[str]) -> CurrentSettings:
    """For the wire."""
    return CurrentSettings(
        target_fpir=preferences.target_fpir,
        retention_days=preferences.retention_days,
        remember_last_seen=preferences.remember_last_seen,
        require_consent=preferences.require_consent,
        locked=locked,
    )


def due_persons(found: DueNow) -> DuePersons:
    """For the wire."""
    due = [
        Due(
            person_id=each.person.person_id,
            name=each.person.name,
            last_seen_at=each.person.last_seen_at,
            since=each.since,
            days=each.days,
        )
        for each in found.due
    ]
    return DuePersons(retention_days=found.days, now=found.now, clock_fault=found.fault, due=due)
