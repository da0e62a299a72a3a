"""What the OpenAPI document says of errors: for each route, every code it can answer with."""

from __future__ import annotations

from typing import Any

from visage.api.errors import status_of
from visage.api.schemas import ErrorEnvelope
from visage.errors import InvalidValue, NotReady, VisageError

Responses = dict[int | str, dict[str, Any]]

_EVERYWHERE: tuple[type[VisageError], ...] = (InvalidValue, NotReady, VisageError)


def refusals(*kinds: type[VisageError]) -> Responses:
    """The error replies of a route, with an example of each."""
    responses: Responses = {}
    for kind in (*kinds, *_EVERYWHERE):
        error = kind()
        body = {"success": False, "data": None, "error": {"code": kind.code, "message": error.message}}
        entry = responses.setdefault(
            status_of(error),
            {"model": ErrorEnvelope, "description": "", "content": {"application/json": {"examples": {}}}},
        )
        entry["description"] = " or ".join(filter(None, [entry["description"], f"`{kind.code}`"]))
        entry["content"]["application/json"]["examples"][kind.code] = {"value": body}
    return responses
