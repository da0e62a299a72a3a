"""Around every request: an id, a limit on the body, and the last word on bugs."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from visage.api.errors import envelope, internal_error, reply_to
from visage.errors import Stopping

log = logging.getLogger("visage")

_SMALL_BYTES = 1024 * 1024

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class HeadAsGet:
    """Answers HEAD wherever there is a GET: with its head, and without its body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, send_head)


class RequestId:
    """Gives every reply an `X-Request-ID`, the client's own where it sent a sound one, and turns bugs into 500s.

    The id is in `scope["state"]["request_id"]`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get("x-request-id", "")
        request_id = sent if _REQUEST_ID.fullmatch(sent) else str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except asyncio.CancelledError:  # the server waited for it long enough
            if started:
                raise
            await reply_to(Stopping())(scope, receive, send_with_id)
        except Exception:
            log.exception("Request %s failed", request_id)
            if started:
                raise
            await internal_error(request_id)(scope, receive, send_with_id)


class BodyLimit:
    """Refuses bodies that are too long: at once where they say so, else as soon as they are.

    Args:
        limit: path and whether it is a form with files → bytes allowed.
        max_held_bytes: all bodies that are being worked on together. Beyond, bodies over 1 MiB get 429; a smaller one
            always has its place, so that large uploads never keep a frame from being identified.
        to_disk: paths whose bodies are written to the disk as they come, and held nowhere.
    """

    def __init__(
        self, app: ASGIApp, limit: Callable[[str, bool], int], max_held_bytes: int, to_disk: Collection[str] = ()
    ) -> None:
        self._to_disk = to_disk
        self._app = app
        self._limit = limit
        self._max_held_bytes = max_held_bytes
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._limit(scope["path"], headers.get("content-type", "").lower().startswith("multipart/"))
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > limit:
            message = f"The request has more than {limit:,} bytes"
            await envelope(413, "IMAGE_TOO_LARGE", message, {"max_bytes": limit})(scope, receive, send)
            return
        received = held = 0

        async def receive_counted() -> Message:
            nonlocal received, held
            message = await receive()
            size = len(message.get("body", b""))
            received += size
            if scope["path"] not in self._to_disk:
                held += size
                self._held_bytes += size
            if received > limit:
                raise HTTPException(413)
            if self._held_bytes > self._max_held_bytes and held > _SMALL_BYTES:
                raise HTTPException(429)
            return message

        try:
            await self._app(scope, receive_counted, send)
        finally:
            self._held_bytes -= held
