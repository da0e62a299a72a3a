"""What goes over the wire when a bank is kept: backups, exports, retention, preferences."""

from __future__ import annotations

from pydantic import BaseModel, Field

from visage.api.schemas import Time
from visage.bank import restore


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
    faults: list[str] = Field(description="What was damaged in the bank already when the backup was made")


def restored(staged: restore.Staged, done: restore.Restored, persons: int) -> Restored:
    """For the wire."""
    return Restored(
        created_at=staged.header.created_at,
        persons=persons,
        forgotten_again=done.forgotten_again,
        set_aside=done.set_aside,
        erasures_known=done.old_was_readable,
        faults=list(staged.faults),
    )
