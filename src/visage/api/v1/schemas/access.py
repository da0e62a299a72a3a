"""What goes over the wire about keys, sessions and the audit log."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from visage.admin import audit
from visage.admin import keys as access
from visage.admin.keys import Role
from visage.api.v1.schemas.common import Time

_KEY: dict[str, Any] = {
    "key_id": "5f2c1b8e-7a41-4f0e-9f5b-0c1d2e3f4a5b",
    "label": "kitchen tablet",
    "role": "viewer",
    "created_at": "2025-12-04T10:30:00Z",
    "revoked_at": None,
}


class Session(BaseModel):
    """Must a key be shown here, and was one?"""

    required: bool
    signed_in: bool
    role: Role | None


class SignIn(BaseModel):
    """An API key, to exchange for a cookie."""

    key: Annotated[str, Field(min_length=1, max_length=200)]


class NewKey(BaseModel):
    """A key to make."""

    model_config = ConfigDict(json_schema_extra={"example": {"label": "kitchen tablet", "role": "viewer"}})

    label: Annotated[str, Field(max_length=200, description="What you call it: name the device, not a person")] = ""
    role: Role


class Key(BaseModel):
    """An API key, without the key itself."""

    model_config = ConfigDict(json_schema_extra={"example": _KEY})

    key_id: str
    label: str
    role: Role
    created_at: Time
    revoked_at: Time | None


class CreatedKey(BaseModel):
    """A new API key. `key` is shown this once: what is kept cannot be turned back into it."""

    key_id: str
    label: str
    role: Role
    created_at: Time
    key: str


class Keys(BaseModel):
    """Every key there ever was."""

    keys: list[Key]


class RevokedKey(BaseModel):
    """A key that is worth nothing any more."""

    key_id: str
    revoked: Literal[True] = True


class AuditEntry(BaseModel):
    """Who did what to which id, with which outcome, when."""

    number: int
    at: Time
    actor: str
    operation: str
    subject: str | None
    outcome: str
    hash: str


class AuditPage(BaseModel):
    """Entries, newest first."""

    entries: list[AuditEntry]
    next_before: int | None


class AuditCheck(BaseModel):
    """Is the log whole? `head`, noted down elsewhere, proves later that nothing before it was changed."""

    whole: bool
    entries: int
    head: str
    faults: list[str]
    cuts: list[AuditEntry]


def key(each: access.AccessKey) -> Key:
    """A key."""
    return Key(
        key_id=each.key_id, label=each.label, role=each.role, created_at=each.created_at, revoked_at=each.revoked_at
    )


def created_key(each: access.AccessKey, secret: str) -> CreatedKey:
    """A new key."""
    return CreatedKey(key_id=each.key_id, label=each.label, role=each.role, created_at=each.created_at, key=secret)


def audit_entry(entry: audit.AuditEntry) -> AuditEntry:
    """An entry."""
    return AuditEntry(
        number=entry.number,
        at=entry.at,
        actor=entry.actor,
        operation=entry.operation,
        subject=entry.subject,
        outcome=entry.outcome,
        hash=entry.hash,
    )


def audit_check(check: audit.AuditCheck) -> AuditCheck:
    """A check of the log."""
    return AuditCheck(
        whole=not check.faults,
        entries=check.entries,
        head=check.head,
        faults=list(check.faults),
        cuts=[audit_entry(entry) for entry in check.cuts],
    )
