"""Errors on the wire: one table from exception to status, one envelope for all of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from visage import errors
from visage.errors import VisageError

log = logging.getLogger("visage")

STATUS: Mapping[type[VisageError], int] = {
    errors.InvalidImage: 400,
    errors.NoFaceDetected: 400,
    errors.MultipleFaces: 400,
    errors.FaceNotUsable: 400,
    errors.ImageTooLarge: 413,
    errors.TooMuchWork: 413,
    errors.InvalidValue: 422,
    errors.InvalidBackup: 422,
    errors.InvalidArchive: 422,
    errors.PersonNotFound: 404,
    errors.PhotoNotFound: 404,
    errors.SightingNotFound: 404,
    errors.UnknownNotFound: 404,
    errors.UndoNotFound: 404,
    errors.KeyNotFound: 404,
    errors.CannotUndo: 409,
    errors.DuplicatePerson: 409,
    errors.LastPhoto: 409,
    errors.InvalidRequest: 400,
    errors.HostNotAllowed: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.TooManyGuesses: 429,
    errors.Overloaded: 429,
    errors.NotAccounted: 503,
    errors.NotReady: 503,
    errors.Stopping: 503,
    errors.BankError: 503,
    errors.DamagedPerson: 503,
}
"""The status of each exception that can reach a client; anything else is a 500."""

_RETRY_AFTER_S = "1"

# What the framework itself refuses, in our words.
_FRAMEWORK = {
    401: ("UNAUTHENTICATED", "This needs an API key"),
    403: ("FORBIDDEN", "This is not allowed"),
    404: ("NOT_FOUND", "There is nothing at this address"),
    405: ("METHOD_NOT_ALLOWED", "This address does not take that method"),
    408: ("REQUEST_TIMEOUT", "The request came too slowly"),
    413: ("IMAGE_TOO_LARGE", "The request is larger than this server allows"),
    429: ("RATE_LIMITED", "Too many requests at once; try again in a moment"),
}


def envelope(status: int, code: str, message: str, details: Mapping[str, Any] | None = None) -> JSONResponse:
    """An error reply."""
    error: dict[str, Any] = {"code": code, "message": message}
    if details:
        error["details"] = dict(details)
    headers = {"Retry-After": _RETRY_AFTER_S} if status in {429, 503} else None
    return JSONResponse({"success": False, "data": None, "error": error}, status, headers)


def reply_to(error: VisageError) -> JSONResponse:
    """The reply to an exception."""
    reply = envelope(status_of(error), error.code, error.message, error.details)
    if isinstance(error, errors.TooManyGuesses) and error.details:
        reply.headers["Retry-After"] = str(error.details["retry_after_s"])
    if isinstance(error, errors.Unauthenticated):
        reply.headers["WWW-Authenticate"] = "Bearer"
    return reply


def status_of(error: VisageError) -> int:
    """The status of an exception, by the nearest class in the table."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def install(app: FastAPI) -> None:
    """Make every error that the app can raise leave it in the envelope."""
    app.add_exception_handler(VisageError, _visage_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)


def internal_error(request_id: str) -> JSONResponse:
    """The reply to a bug: no internals, and an id that the log has too."""
    return envelope(500, "INTERNAL_ERROR", "Something went wrong on the server", {"request_id": request_id})


async def _visage_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, VisageError)  # noqa: S101 - registered for this class
    status = status_of(error)
    if status >= 500 and not isinstance(error, errors.NotReady):
        log.error("%s: %s", error.code, error.message, exc_info=error)
    if status == 500:
        return internal_error(request.scope["state"]["request_id"])
    return reply_to(error)


async def _validation_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    return _invalid([{"field": _field(fault["loc"]), "message": _reason(fault["msg"])} for fault in error.errors()])


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    if error.status_code in _FRAMEWORK:
        reply = envelope(error.status_code, *_FRAMEWORK[error.status_code])
    else:  # the parsers of bodies answer 400 with their reason
        reply = _invalid([{"field": "body", "message": str(error.detail)}])
    reply.headers.update(error.headers or {})
    return reply


def _invalid(fields: list[dict[str, str]]) -> JSONResponse:
    invalid = errors.InvalidValue(details={"fields": fields})
    return envelope(422, invalid.code, invalid.message, invalid.details)


def _field(location: Sequence[str | int]) -> str:
    """The name that a client knows a field by: without the part of the request that it is in."""
    names = [str(part) for part in location]
    return ".".join(names[1:]) or names[0]


def _reason(message: str) -> str:
    """Pydantic's words, for people."""
    return "must be a file" if "UploadFile" in message else message.removeprefix("Value error, ")
