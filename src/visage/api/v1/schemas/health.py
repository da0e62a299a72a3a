"""The state of the server on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class HealthStatus(BaseModel):
    """That the server is well: all that it tells without a key, where it asks for one."""

    status: Literal["ok"] = "ok"


class Health(HealthStatus):
    """State of the server."""

    version: str
    model: str
    persons: int
    embeddings: int
    uptime_s: float
    photos_to_reembed: int = Field(
        description="Photos that only another model has embedded: they are not recognised until `visage reembed`."
    )
