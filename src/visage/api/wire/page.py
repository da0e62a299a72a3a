"""The page that a person looks at, served by the server itself: static files, built from `web/`.

Everything is read into memory at start: a path in a request never becomes a path on the disk, and building the page
anew does not break the one that is open.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

FOLDER = Path(__file__).parents[1] / "page"

SCREENS = ("/", "/people", "/people/{person_id}", "/add", "/unknown", "/report", "/settings")
"""Addresses that the page itself gives meaning to; each answers with the same document."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob: data:",
            "media-src 'self' blob:",
            "font-src 'self'",
            "connect-src 'self'",  # the WebSocket of the same host is meant too: CSP level 3
            "manifest-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_COMPRESSED = {".css", ".html", ".js", ".json", ".svg", ".webmanifest"}

_FOREVER = "public, max-age=31536000, immutable"
_ASK_FIRST = "no-cache"

_NOT_BUILT = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Visage</title>
<h1>The page is not built yet</h1>
<p>Visage is running, and its programming interface answers: <a href="/docs">/docs</a>.</p>
<p>For the page, install Node 20 or later, stop Visage, and start it with <code>make serve</code>.</p>
</html>
"""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page, as it is sent."""

    content: bytes
    compressed: bytes | None
    media_type: str
    etag: str
    cache_control: str


def load(folder: Path) -> dict[str, Asset]:
    """Read the built page: path in the address → file. Empty where it is not built."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix in _TYPES]
    return {f"/{file.relative_to(folder).as_posix()}": _read(file, folder) for file in files}


def install(app: FastAPI, folder: Path = FOLDER) -> None:
    """Serve the page; what is no file and no screen of it stays with the other routes. At an address that means
    nothing a browser gets the page too, which says so, as a 404. Install after the handlers of errors."""
    assets = load(folder)
    index = assets.pop("/index.html", None) or _asset(_NOT_BUILT, ".html", _ASK_FIRST)

    async def screen(request: Request) -> Response:
        return _reply(request, index)

    async def file(request: Request) -> Response:
        return _reply(request, assets[request.url.path])

    refuse = app.exception_handlers[HTTPException]

    async def nothing(request: Request, error: Exception) -> Response:
        if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/"):
            return Response(index.content, 404, {**HEADERS, "Cache-Control": "no-store"}, index.media_type)
        reply = refuse(request, error)
        return await reply if isinstance(reply, Awaitable) else reply

    app.add_exception_handler(404, nothing)
    for path in SCREENS:
        app.add_api_route(path, screen, methods=["GET", "HEAD"], include_in_schema=False)
    for path in assets:
        app.add_api_route(path, file, methods=["GET", "HEAD"], include_in_schema=False)


def _read(file: Path, folder: Path) -> Asset:
    hashed = file.parent == folder / "assets"  # the build puts a hash of the content into these names
    return _asset(file.read_bytes(), file.suffix, _FOREVER if hashed else _ASK_FIRST)


def _asset(content: bytes, suffix: str, cache_control: str) -> Asset:
    compressed = gzip.compress(content, mtime=0) if suffix in _COMPRESSED else None
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return Asset(content, compressed, _TYPES[suffix], etag, cache_control)


def _reply(request: Request, asset: Asset) -> Response:
    headers = {**HEADERS, "Cache-Control": asset.cache_control, "ETag": asset.etag, "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=headers)
    content = asset.content
    if asset.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = asset.compressed, "gzip"
    return Response(content, headers=headers, media_type=asset.media_type)
