"""What the OpenAPI document says of errors and rights: for each route, every code it can answer with."""

from __future__ import annotations

from typing import Any

from visage import errors
from visage.admin.keys import Role
from visage.api.envelope import ErrorEnvelope
from visage.api.errors import status_of
from visage.api.gate.roles import ROLES
from visage.errors import HostNotAllowed, InvalidValue, NotReady, VisageError

Responses = dict[int | str, dict[str, Any]]

_EVERYWHERE: tuple[type[VisageError], ...] = (HostNotAllowed, InvalidValue, NotReady, VisageError)

_SCHEMES = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
    "Session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "visage_session",
        "description": "What `POST /api/v1/session` sets in a browser",
    },
}


def refusals(*kinds: type[VisageError]) -> Responses:
    """The error replies of a route, with an example of each."""
    responses: Responses = {}
    for kind in (*kinds, *_EVERYWHERE):
        _add(responses.setdefault(status_of(kind()), _response({"model": ErrorEnvelope})), kind)
    return responses


def describe_access(document: dict[str, Any], *, keys_required: bool) -> None:
    """Add to a document which role each operation needs, and how it refuses; changes the document."""
    document.setdefault("components", {})["securitySchemes"] = _SCHEMES
    schemes: list[dict[str, list[str]]] = [{name: []} for name in _SCHEMES]
    schema = {"schema": {"$ref": "#/components/schemas/ErrorEnvelope"}}
    for item in document["paths"].values():
        for operation in item.values():
            role = ROLES.get(operation["operationId"], Role.ADMIN)
            kinds: list[type[VisageError]] = []
            if keys_required:
                kinds += [errors.Unauthenticated, errors.TooManyGuesses]
            if role is not None:
                operation["security"] = [*schemes, *([] if keys_required else [{}])]
                operation["description"] = f"{operation.get('description', '')}\n\nRole: {role.value}.".strip()
                kinds += [errors.Forbidden, errors.Unauthenticated, errors.TooManyGuesses]
            else:
                kinds.append(errors.Forbidden)
            for kind in dict.fromkeys(kinds):
                status = str(status_of(kind()))
                entry = operation["responses"].setdefault(status, _response({}))
                entry["content"]["application/json"].update(schema)
                if f"`{kind.code}`" not in entry["description"]:
                    _add(entry, kind)


def _response(model: dict[str, Any]) -> dict[str, Any]:
    return {**model, "description": "", "content": {"application/json": {"examples": {}}}}


def _add(entry: dict[str, Any], kind: type[VisageError]) -> None:
    body = {"success": False, "data": None, "error": {"code": kind.code, "message": kind().message}}
    entry["description"] = " or ".join(filter(None, [entry["description"], f"`{kind.code}`"]))
    entry["content"]["application/json"].setdefault("examples", {})[kind.code] = {"value": body}
