"""Where connections come in: each is counted when it is accepted, before anything is read of it.

Uvicorn learns of a connection once its TLS hand-shake is done, and asyncio waits a minute for that. Thousands that
never shake hands would use up the files that a process may have open; and for each connection that then cannot be
accepted, asyncio logs a stack.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
import time
import uuid
from asyncio import base_events
from collections import Counter
from typing import Any

from visage.api.errors import reply_to
from visage.errors import Overloaded

log = logging.getLogger("visage.listening")

MAX_CONNECTIONS = 500
"""Of all addresses together: half of the files that a process may usually have open."""

HANDSHAKE_TIMEOUT_S = 5.0
"""A TLS hand-shake takes three messages; so long has a telephone on bad Wi-Fi for it."""

_FAREWELL_TIMEOUT_S = 120.0
"""Before its farewell, a client takes what waits for it; one that takes nothing has less (`connection.py`)."""

_OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_NO_SUCH_ADDRESS = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
_PAUSE_S = 0.5
_REFUSED_IN_A_ROW = 100
_SAY_EVERY_S = 60.0

_SEND_BUFFER_BYTES = 128 * 1024
"""What the system holds of a reply. Left to itself it takes megabytes, and whether a client takes any of it cannot be
seen for minutes."""

# A peer that vanished without a word is asked after a minute, and given up within another half.
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class Connections:
    """The connections that are open, of all sockets that a server listens on.

    Args:
        max_per_address: so many may one address have; of IPv6, one network of 64 bits.
        proxied: a proxy on this computer brings the clients of many; its address is not counted.
    """

    def __init__(self, max_per_address: int, *, proxied: bool) -> None:
        self._max_per_address = max_per_address
        self._proxied = proxied
        self._open: Counter[str] = Counter()
        self._total = 0

    def refusal(self) -> bytes:
        """What is said in HTTP to whom has too many connections."""
        reply = reply_to(
            Overloaded(
                f"Your address has {self._max_per_address} connections open, and no more are allowed "
                "(VISAGE_MAX_CONNECTIONS_PER_ADDRESS)",
                {"max_connections": self._max_per_address, "setting": "VISAGE_MAX_CONNECTIONS_PER_ADDRESS"},
            )
        )
        reply.headers.update(
            {"Connection": "close", "X-Content-Type-Options": "nosniff", "X-Request-ID": str(uuid.uuid4())}
        )
        head = b"".join(name + b": " + value + b"\r\n" for name, value in reply.raw_headers)
        return b"HTTP/1.1 429 Too Many Requests\r\n" + head + b"\r\n" + bytes(reply.body)

    def admit(self, address: str) -> str | None:
        """Count a connection from this address; returns under which name it counts, None where it is one too many."""
        key = _counted_as(address)
        exempt = self._proxied and ipaddress.ip_address(key.partition("/")[0]).is_loopback
        if self._total >= MAX_CONNECTIONS or (not exempt and self._open[key] >= self._max_per_address):
            return None
        self._open[key] += 1
        self._total += 1
        return key

    def leave(self, key: str) -> None:
        """A connection that was admitted is closed."""
        self._total -= 1
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]


class Gate(socket.socket):
    """A listening socket that admits or refuses whom it accepts.

    Args:
        connections: who counts.
        speaks_http: whom it refuses is told so; a client that begins with TLS would not understand.
    """

    def __init__(self, family: int, connections: Connections, *, speaks_http: bool) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._connections = connections
        self._speaks_http = speaks_http
        self._paused_until_s = 0.0

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that is admitted.

        Raises:
            BlockingIOError: none waits, or so many were refused that others shall have a turn.
            OSError: no more files may be opened; said once, since asyncio goes on asking for all that wait.
        """
        for _ in range(_REFUSED_IN_A_ROW):
            try:
                plain, address = super().accept()
            except OSError as exc:
                if exc.errno in _OUT_OF_FILES:
                    if time.monotonic() < self._paused_until_s:
                        raise BlockingIOError from exc
                    self._paused_until_s = time.monotonic() + _PAUSE_S
                raise
            key = self._connections.admit(address[0])
            if key is not None:
                return _Admitted(self.family, plain.detach(), self._connections, key), address
            with plain:
                self._refuse(plain)
        raise BlockingIOError

    def _refuse(self, refused: socket.socket) -> None:
        log.warning("A connection was refused: there are too many, of one address or of all")
        refused.setblocking(False)
        try:
            if self._speaks_http:
                refused.send(self._connections.refusal())
                refused.shutdown(socket.SHUT_WR)
                refused.recv(65536)  # what is closed with something unread takes the refusal back
        except OSError:
            return  # gone, or slow: it is told nothing then


class _Admitted(socket.socket):
    """A connection that counts until it is closed."""

    def __init__(self, family: int, descriptor: int, connections: Connections, key: str) -> None:
        super().__init__(family, socket.SOCK_STREAM, fileno=descriptor)
        self._connections = connections
        self._key: str | None = key
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                self.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def close(self) -> None:
        """Close it; it counts no more."""
        super().close()
        if self._key is not None:
            self._connections.leave(self._key)
            self._key = None


class Loop(asyncio.SelectorEventLoop):
    """asyncio's loop, which gives up on a TLS hand-shake sooner than in a minute."""

    async def create_server(self, *args: Any, ssl: Any = None, **kwargs: Any) -> base_events.Server:
        """As asyncio's."""
        if ssl is not None:
            kwargs |= {"ssl_handshake_timeout": HANDSHAKE_TIMEOUT_S, "ssl_shutdown_timeout": _FAREWELL_TIMEOUT_S}
        return await super().create_server(*args, ssl=ssl, **kwargs)


class Summed(logging.Filter):
    """Lets a warning through once a minute, with how often it would have been written since; for what a stranger can
    cause as often as he likes. Errors are bugs, and all written, but for connections that cannot be accepted."""

    _SAME = 40

    def __init__(self) -> None:
        super().__init__()
        self._written_s: dict[str, float] = {}
        self._more: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Is it written?"""
        text = str(record.msg)
        line = text[: self._SAME]
        if record.levelno > logging.WARNING and not line.startswith("socket.accept()"):
            return True
        now = time.monotonic()
        if now - self._written_s.get(line, -_SAY_EVERY_S) < _SAY_EVERY_S:
            self._more[line] += 1
            return False
        self._written_s[line] = now
        if more := self._more.pop(line, 0):
            record.msg = f"{text} (and {more:,} times in the minutes before)"
        return True


def listen(host: str, port: int, connections: Connections, *, speaks_http: bool) -> list[socket.socket]:
    """Bind to every address that a host has; "" has all of this computer. Where the system does without IPv6,
    "localhost" may have an address all the same: that is passed over.

    Raises:
        OSError: there is no such host; or one of its addresses, or each, cannot be bound.
    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as exc:
        raise OSError(f"VISAGE_HOST, {host!r}, is no address or name that this computer knows") from exc
    gates: list[socket.socket] = []
    missing: OSError | None = None
    for family, _, _, _, address in dict.fromkeys(found):
        try:
            gates.append(_bound(family, address, connections, speaks_http=speaks_http))
        except OSError as exc:
            if exc.errno in _NO_SUCH_ADDRESS:
                missing = exc
                continue
            for each in gates:
                each.close()
            raise _not_served(host, port, exc) from exc
    if missing is not None and not gates:
        raise _not_served(host, port, missing) from missing
    return gates


def _bound(family: int, address: Any, connections: Connections, *, speaks_http: bool) -> Gate:
    gate = Gate(family, connections, speaks_http=speaks_http)
    try:
        gate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            gate.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        gate.bind(address)
    except OSError:
        gate.close()
        raise
    return gate


def _not_served(host: str, port: int, why: OSError) -> OSError:
    name = host or "VISAGE_HOST"
    return OSError(why.errno, f"{name} port {port} cannot be served on: {str(why.strerror).lower()}")


def _counted_as(address: str) -> str:
    """An address; of IPv6 its network, since whoever has one address of it has them all."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        if not parsed.is_loopback:
            return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
