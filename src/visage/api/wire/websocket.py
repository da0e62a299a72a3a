"""The WebSocket as Uvicorn speaks it, with what it leaves unbounded bounded."""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

MAX_FRAGMENTS = 1024
"""Frames of one WebSocket message; a browser sends a message as one, a client library as a few."""

KEEPALIVE_S = 10.0
"""A silent WebSocket is asked this often whether it is there, and has as long to answer."""


class LiveProtocol(WebSocketsSansIOProtocol):
    """Bounds the fragments of a message and the answers to pings, and lets go of who does not take them."""

    def handle_cont(self, event: Frame) -> None:
        """Collect a fragment. Empty ones count too: they have no bytes that the limit on messages would see."""
        if self.close_sent:
            return
        if len(self.frames) >= MAX_FRAGMENTS:
            self._refuse(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Hand a message on. Text that is no UTF-8 ends the connection, without a stack trace in the log."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            self.frames = [b"".join(self.frames)]
            try:
                self.frames[0].decode()
            except UnicodeDecodeError:
                self._refuse(CloseCode.INVALID_DATA, "no UTF-8")
                return
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Answer, unless the answers before are still waiting to be taken."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def send_keepalive_ping(self) -> None:
        """Ask whether the client is there; a closed connection whose last bytes it never took is cut instead."""
        if self.transport.is_closing():
            self.transport.abort()
        elif self.close_sent:  # the client has its time to say farewell too
            self.schedule_ping()
        else:
            super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        """Cut the connection: a client that is not there takes no farewell."""
        super().keepalive_timeout()
        self.transport.abort()

    def _refuse(self, code: CloseCode, reason: str) -> None:
        self.frames = []
        self.conn.fail(code, reason)
        self.handle_parser_exception()
