"""One client's TCP connection, with an end to patience.

Uvicorn waits for a request's headers for as long as a client cares to send them, goes on reading a body that nobody
wants any more, and keeps a reply that nobody takes. Hundreds of such clients would keep others out.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Collection

import h11
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from visage.api.errors import reply_to
from visage.errors import InvalidRequest
from visage.service.lanes import client_gone

HEADERS_TIMEOUT_S = 5.0
MAX_HEADER_BYTES = 16 * 1024
MAX_HEADERS = 100
_UNREAD_BODY_TIMEOUT_S = 2.0

_READ_BYTES = 32 * 1024
"""What asyncio hands on at once. All frames of a WebSocket in it are parsed in one go: its default of 256 KiB holds
40,000 tiny ones, and everybody else waits a second."""

_UNTAKEN_S = 10.0
"""A client that takes nothing of what waits for it for so long is let go. Sockets hold so little (`listening.py`)
that one who takes 8 kB a second is seen to."""

BODY_GRACE_S = 6.0
MIN_BODY_BYTES_PER_S = 2048
MAX_BODY_S = 600.0


class PatientProtocol(H11Protocol):
    """HTTP/1.1, for clients that come to the point."""

    _deadline: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None
    _untaken_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connects: its first request is due. A WebSocket that it may become inherits what is set."""
        if hasattr(transport, "max_size"):
            transport.max_size = _READ_BYTES
        super().connection_made(transport)
        # Writing pauses as soon as the client does not take everything; with TLS, at once: it has words of its own.
        transport.set_write_buffer_limits(high=1)
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        """Bytes came. The headers are due as one, however they trickle in."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._cancel_deadline()
        elif self._deadline is None:
            self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._cancel_deadline()
        self._cancel_untaken()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not take what was sent."""
        super().pause_writing()
        self._expect_taking()

    def resume_writing(self) -> None:
        """The client took all; of TLS, what is encrypted may still wait."""
        self._cancel_untaken()
        super().resume_writing()
        if self.cycle is None or self.cycle.response_complete:
            self._expect_taking()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """The connection is a WebSocket from now on, which has its own patience (`live.py`, `websocket.py`)."""
        self._cancel_deadline()
        self._cancel_untaken()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """A reply was sent. What is left of a body that nobody read is not waited for."""
        self._expect_taking()
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._cancel_deadline()
            self._deadline = self.loop.call_later(_UNREAD_BODY_TIMEOUT_S, self._close)

    def timeout_keep_alive_handler(self) -> None:
        """No further request came. While the client still takes the last reply, it cannot be expected to."""
        if not self.transport.is_closing() and _waiting_bytes(self.transport):
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        else:
            super().timeout_keep_alive_handler()
            self._expect_taking()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, in the envelope."""
        body = reply_to(InvalidRequest()).body
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"x-request-id", str(uuid.uuid4()).encode()),
            (b"connection", b"close"),
        ]
        if self.conn.our_state is h11.IDLE or self.conn.our_state is h11.SEND_RESPONSE:
            response = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (response, h11.Data(data=bytes(body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self._close()

    def _close(self) -> None:
        self.transport.close()
        self._expect_taking()

    def _expect_request(self) -> None:
        self._cancel_deadline()
        self._deadline = self.loop.call_later(HEADERS_TIMEOUT_S, self._close)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expect_taking(self) -> None:
        """Within some seconds, something of what waits is to be taken, or farewell to be said. To be called when
        nothing is written for now."""
        self._cancel_untaken()
        self._untaken_bytes = _waiting_bytes(self.transport)
        if self._untaken_bytes or self.transport.is_closing():
            self._untaken = self.loop.call_later(_UNTAKEN_S, self._look_whether_taken)

    def _look_whether_taken(self) -> None:
        if _waiting_bytes(self.transport) < self._untaken_bytes:
            self._expect_taking()
        else:
            self.transport.abort()  # to close it would wait for the client

    def _cancel_untaken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None


def _waiting_bytes(transport: asyncio.Transport) -> int:
    """What a client has not taken yet. TLS counts what it did not hand on; the transport below it, which asyncio does
    not show, has the rest, and only there is seen that a slow client takes some."""
    if not hasattr(transport, "_ssl_protocol"):
        return transport.get_write_buffer_size()
    below: asyncio.Transport | None = getattr(transport._ssl_protocol, "_transport", None)
    return 0 if below is None else transport.get_write_buffer_size() + below.get_write_buffer_size()


class HeaderLimit:
    """Refuses more headers, or a longer address, than anyone needs; Uvicorn counts only those that come in pieces."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] in {"http", "websocket"}:
            headers = scope["headers"]
            size_bytes = sum(len(name) + len(value) + 4 for name, value in headers)
            size_bytes += len(scope["query_string"]) + len(scope["path"])
            if size_bytes > MAX_HEADER_BYTES or len(headers) > MAX_HEADERS:
                reply = reply_to(InvalidRequest("The request has more or longer headers than this server takes"))
                reply.headers["Connection"] = "close"
                await reply(scope, receive, send)
                return
        await self._app(scope, receive, send)


class BodyPatience:
    """Refuses bodies that come too slowly: some seconds, and one more for every two kilobytes that came. Then it lets
    long work know when the client has gone.

    Args:
        short: paths whose bodies are so short that the first seconds are all they get.
    """

    def __init__(self, app: ASGIApp, short: Collection[str] = ()) -> None:
        self._app = app
        self._short = short

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0
        waited_s = 0.0
        complete = False

        async def receive_in_time() -> Message:
            nonlocal received, waited_s, complete
            if complete:  # what comes now is that the client went
                return await receive()
            start = time.monotonic()
            earned_s = 0.0 if scope["path"] in self._short else received / MIN_BODY_BYTES_PER_S
            allowed_s = min(BODY_GRACE_S + earned_s, MAX_BODY_S)
            try:
                message = await asyncio.wait_for(receive(), allowed_s - waited_s)
            except TimeoutError as exc:
                raise HTTPException(408, headers={"Connection": "close"}) from exc
            waited_s += time.monotonic() - start
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            return message

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        client_gone.set(gone)
        await self._app(scope, receive_in_time, send)
