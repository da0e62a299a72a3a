"""What every reply is wrapped in."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel

T = TypeVar("T")


class Envelope(BaseModel, Generic[T]):
    """Every successful reply."""

    success: Literal[True] = True
    data: T
    error: None = None


class ErrorBody(BaseModel):
    """What went wrong: `code` for programs, `message` for people."""

    code: str
    message: str
    details: dict[str, Any] | None = None


class ErrorEnvelope(BaseModel):
    """Every failed reply."""

    success: Literal[False] = False
    data: None = None
    error: ErrorBody
