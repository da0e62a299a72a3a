"""Where a request may come from, and what every reply tells a browser.

A page of a foreign site may send requests to a server at home, from the browser of somebody who lives there. It is
kept out by the name that it asks for (Host: DNS rebinding makes a foreign name point here) and by where the browser
says it comes from (Origin, Sec-Fetch-Site). Under /api and /ws that holds for every method: what a page may not read,
it can still let the browser download. Programs such as curl send neither, and pass.

A server that asks for no key serves this computer alone: what a proxy says that it forwards is refused.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from visage.api.errors import reply_to
from visage.errors import Forbidden, HostNotAllowed
from visage.settings import Settings

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
ANYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to
_DEFAULT_PORTS = {"http": 80, "https": 443}
_CLOSED = ("/api/", "/ws/")
_OWN_SITES = frozenset({"same-origin", "none"})
_CARRIES_OUT = re.compile(r"/api/v1/(export|backup|persons/[^/]+/export)")
_FORWARDED = frozenset({"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"})
_FORWARDED_PREFIXES = ("x-forwarded", "x-original-")
_NO_PROXY = (
    "This came through a proxy, and this server asks nobody for a key. Set VISAGE_ALLOWED_HOSTS to the name that the "
    "proxy goes by, or VISAGE_REQUIRE_KEY, and make a key: visage keys create --role admin"
)
_JAVA_ACCEPTS = "text/html, image/gif, image/jpeg, *"  # HttpURLConnection, unless told otherwise
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]{2,45}\]|[a-zA-Z0-9._-]{1,253})(:(?P<port>[0-9]{1,5}))?")

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class SecureHeaders:
    """Tells browsers what they must not do with a reply; a reply that has a policy of its own keeps it.

    Args:
        docs: paths of the API's description, whose page holds scripts in itself.
    """

    def __init__(self, app: ASGIApp, docs: Iterable[str] = ("/docs", "/docs/oauth2-redirect")) -> None:
        self._app = app
        self._docs = frozenset(docs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault(
                    "Content-Security-Policy", _DOCS_POLICY if scope["path"] in self._docs else _POLICY
                )
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Door:
    """Refuses what asks for a foreign name or comes from a foreign page.

    Args:
        hosts: the names that the server answers to.
        any_address: whether it answers to every IP address as well. A browser that asks for an address was not led
            here by a name, so this opens nothing to DNS rebinding.
        origins: pages of other servers that may send requests, such as "https://panel.home:8123".
        keyless: nobody has to show a key, since all come from this computer. Then nothing may come through a proxy,
            which brings others, and whose requests come from this computer too.
    """

    def __init__(
        self, app: ASGIApp, hosts: Iterable[str], any_address: bool, origins: Iterable[str], keyless: bool
    ) -> None:
        self._app = app
        self._keyless = keyless
        self._hosts = frozenset(hosts)
        self._any_address = any_address
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not self._known(headers.get("host", "")):
            await reply_to(HostNotAllowed())(scope, receive, send)
        elif self._keyless and scope["path"].startswith(_CLOSED) and _is_forwarded(headers):
            await reply_to(Forbidden(_NO_PROXY))(scope, receive, send)
        elif (scope["path"].startswith(_CLOSED) or _changes_something(scope)) and not self._own_page(headers):
            await reply_to(Forbidden("A page of another site may not send this; VISAGE_ALLOWED_ORIGINS adds one"))(
                scope, receive, send
            )
        elif _CARRIES_OUT.fullmatch(scope["path"]) and _is_navigation(headers):
            await reply_to(Forbidden("A link or address does not save a copy; the page and programs do"))(
                scope, receive, send
            )
        else:
            await self._app(scope, receive, send)

    def _known(self, host: str) -> bool:
        name, _ = _split(host)
        if name is None:
            return False
        if name in self._hosts:
            return True
        address = _address(name)
        return address is not None and (address.is_loopback or self._any_address)

    def _own_page(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in _OWN_SITES
        if origin in self._origins:
            return True
        scheme, _, name = origin.partition("://")
        own = _split(headers["host"], scheme)  # the port that Host leaves out is that of the page's scheme
        return (
            scheme in _DEFAULT_PORTS
            and _split(name, scheme) == own
            and headers.get("sec-fetch-site", "same-origin") in _OWN_SITES
        )


def own_hosts(settings: Settings) -> tuple[frozenset[str], bool]:
    """The names that a server with these settings answers to, and whether it answers to every IP address."""
    hosts = {"localhost", *listed(settings.allowed_hosts)}
    if settings.host in ANYWHERE:
        hosts |= own_names()
    else:
        hosts.add(in_ascii(settings.host) or settings.host.lower())
    return frozenset(hosts), not is_loopback(settings.host)


def own_names() -> set[str]:
    """What this computer is called, alone and as mDNS calls it."""
    name = in_ascii(socket.gethostname())
    return {name, f"{name.partition('.')[0]}.local"} if name else set()


def in_ascii(host: str) -> str | None:
    """A host's name as it goes over the wire (`büro` is `xn--bro-hoa`); None where it is no name."""
    try:
        return host.lower().encode("idna").decode()
    except UnicodeError:
        return host.lower() if host.isascii() and host else None


def is_loopback(host: str) -> bool:
    """Is this reachable from this computer only?"""
    address = _address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def keys_required(settings: Settings) -> bool:
    """Must a client show a key? Wherever anyone but this computer can reach the server, also through a proxy."""
    return settings.require_key or not is_loopback(settings.host) or bool(listed(settings.allowed_hosts))


def listed(text: str) -> tuple[str, ...]:
    """The items of a comma-separated setting."""
    return tuple(item.strip().lower() for item in text.split(",") if item.strip())


def _changes_something(scope: Scope) -> bool:
    return scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS


def _is_forwarded(headers: Headers) -> bool:
    """Does a proxy say that it speaks for somebody else?"""
    return any(name in _FORWARDED or name.startswith(_FORWARDED_PREFIXES) for name in headers)


def _is_navigation(headers: Headers) -> bool:
    """Does a browser want to show the reply, or to keep it: after a link, a form, a typed address?

    One that is too old for Sec-Fetch-Mode is known by the HTML that it hopes for. Of programs, Java's ask for that as
    well, in words that no browser has. And no navigation shows a key.
    """
    if "x-api-key" in headers or headers.get("authorization", "").lower().startswith("bearer "):
        return False
    if (mode := headers.get("sec-fetch-mode")) is not None:
        return mode == "navigate"
    accept = headers.get("accept", "").lower()
    return "text/html" in accept and not accept.startswith(_JAVA_ACCEPTS)


def _split(host: str, scheme: str = "") -> tuple[str | None, int | None]:
    """Name, in lower case, and port of `name:port`; (None, None) where it is nothing of the kind."""
    parts = _HOST.fullmatch(host)
    if parts is None:
        return None, None
    return parts["name"].strip("[]").lower(), int(parts["port"]) if parts["port"] else _DEFAULT_PORTS.get(scheme)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
