"""The application: everything put together, and run."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache, partial
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.formparsers import MultiPartParser
from starlette.middleware.cors import CORSMiddleware

from visage import __version__
from visage.api import PREFIX, errors
from visage.api.gate.guard import Guard
from visage.api.gate.roles import Operations
from visage.api.openapi import describe_access
from visage.api.v1 import access, corrections, faces, health, keeping, live, people, unknowns
from visage.api.v1.fields import MAX_IMAGES
from visage.api.wire import page
from visage.api.wire.connection import MAX_HEADER_BYTES, BodyPatience, HeaderLimit, PatientProtocol
from visage.api.wire.https import ensure_certificate, hosts_of, print_invitation, reachable_at
from visage.api.wire.listening import Connections, Loop, Summed, listen
from visage.api.wire.middleware import BodyLimit, HeadAsGet, RequestId
from visage.api.wire.security import Door, SecureHeaders, keys_required, listed, own_hosts
from visage.api.wire.websocket import KEEPALIVE_S, LiveProtocol
from visage.errors import VisageError
from visage.service.service import Service
from visage.service.upkeep import Upkeep
from visage.service.verbs import Verbs
from visage.settings import Settings

log = logging.getLogger("visage")

_FORM_OVERHEAD_BYTES = 128 * 1024
_RESTORE = f"{PREFIX}/restore"
_SIGN_IN = f"{PREFIX}/session"
_FINISH_S = 3.0
_MAX_HELD_BYTES = 256 * 1024 * 1024
_DESCRIPTION = """
Visage remembers faces for people who cannot. Register the people who matter from a few photos; then ask who is in a
picture, or stream frames to the WebSocket `/ws/identify`. Every reply is an envelope: `success`, `data`, `error`.
"""


def create_app(settings: Settings, *, served: bool = True) -> FastAPI:
    """Make the application; it loads models and bank in the background once it is started.

    Args:
        served: whether others can reach it; a command that uses it in its own process shows no key, and loads the
            models only for pictures.
    """
    required = served and keys_required(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        _build_routes(app)
        service = app.state.service = Service(settings, keys_required=required, models_when_needed=not served)
        app.state.verbs = Verbs(service)
        upkeep = app.state.upkeep = Upkeep(service)
        service.start()
        upkeep.start()
        try:
            yield
        finally:
            upkeep.stop()
            await service.close()

    app = FastAPIOffline(
        title="Visage",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        form_limits={"max_files": MAX_IMAGES + 6, "max_fields": 16, "max_part_size": 64 * 1024},
    )
    # Photos wait in memory, never in temporary files on a disk.
    MultiPartParser.spool_max_size = _max_body(settings, MAX_IMAGES)
    errors.install(app)
    for part in (health, people, faces, corrections, unknowns, access, keeping):
        app.include_router(part.router, prefix=PREFIX)
    app.include_router(live.router)
    page.install(app)
    app.add_middleware(
        BodyLimit,
        limit=partial(_body_limit, settings),
        max_held_bytes=max(_MAX_HELD_BYTES, 2 * _max_body(settings, MAX_IMAGES)),
        to_disk={_RESTORE},
    )
    app.add_middleware(BodyPatience, short={_SIGN_IN})  # nobody knows yet whose body that is
    app.add_middleware(
        Guard,
        service=lambda: app.state.service,
        operations=cache(lambda: Operations(app.openapi())),
    )
    origins = listed(settings.allowed_origins)
    if origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["X-API-Key", "Authorization"]
        )
    hosts, any_address = own_hosts(settings)
    app.add_middleware(Door, hosts=hosts, any_address=any_address, origins=origins, keyless=served and not required)
    app.add_middleware(HeaderLimit)
    app.add_middleware(SecureHeaders)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestId)
    _describe(app, required)
    return app


def _describe(app: FastAPI, required: bool) -> None:
    """Let the OpenAPI document tell of rights."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            describe_access(plain(), keys_required=required)
        assert app.openapi_schema is not None  # noqa: S101 - made by the line before
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def serve(settings: Settings) -> int:
    """Serve until a signal ends it; requests in flight are finished. Returns the exit code of the process."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    for chatty in ("alembic", "uvicorn.error", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for provoked in ("asyncio", "uvicorn.error", "visage.listening"):
        logging.getLogger(provoked).addFilter(Summed())
    certificate = None
    if settings.https:
        if "host" not in settings.model_fields_set:
            settings = settings.model_copy(update={"host": "0.0.0.0"})  # noqa: S104 - a key is needed then
        certificate = ensure_certificate(settings.data_dir, hosts_of(settings.host))
    app = create_app(settings)
    server = _Server(
        uvicorn.Config(
            app,
            http=PatientProtocol,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            ssl_certfile=certificate.certificate_path if certificate else None,
            ssl_keyfile=certificate.key_path if certificate else None,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(listed(settings.allowed_hosts)),  # else anybody could name any address as their own
            ws=LiveProtocol,
            ws_max_size=live.max_message_bytes(settings.max_image_bytes),
            ws_max_queue=1,
            # Pictures are compressed already, and what inflates can be a bomb.
            ws_per_message_deflate=False,
            ws_ping_interval=KEEPALIVE_S,
            ws_ping_timeout=KEEPALIVE_S,
            timeout_graceful_shutdown=30,
        ),
        app,
    )
    proxied = bool(listed(settings.allowed_hosts))
    connections = Connections(settings.max_connections_per_address, proxied=proxied)
    try:
        sockets = listen(settings.host, settings.port, connections, speaks_http=certificate is None)
    except OSError as exc:
        log.error("%s", exc)
        return 1
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(server.serve(sockets))
    return 1 if server.failed else 0


class _Server(uvicorn.Server):
    """Uvicorn, which says when everything is loaded and ends when it cannot be."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self.failed = False
        self._app = app
        self._announcing: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Bind, and wait for the models beside serving."""
        await super().startup(sockets)
        self._announcing = asyncio.create_task(self._announce())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End. Requests in flight have some seconds to be finished; then what the models do is left."""
        leave = asyncio.get_running_loop().call_later(_FINISH_S, self._app.state.service.lanes.stop_work)
        await super().shutdown(sockets)
        leave.cancel()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End by SIGINT and SIGTERM with exit code 0: Uvicorn's own way ends by the signal after all."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def _announce(self) -> None:
        try:
            await self._app.state.service.wait_ready()
        except VisageError:
            self.failed = self.should_exit = True
            return
        bound = [each.getsockname()[:2] for server in self.servers for each in server.sockets]
        addresses = reachable_at(bound, "https" if self.config.is_ssl else "http")
        for address in addresses:
            log.info("Visage answers on %s", address)
        if self.config.is_ssl:
            print_invitation(addresses[0])


def _build_routes(app: FastAPI) -> None:
    """FastAPI puts off building the routes until one is asked for, and the first request would wait for it."""
    for route in app.routes:
        route.matches({"type": "http", "method": "GET", "path": f"{PREFIX}/", "root_path": "", "headers": []})


def _body_limit(settings: Settings, path: str, files: bool) -> int:
    if path == _RESTORE:
        return keeping.MAX_BACKUP_BYTES if files else _max_body(settings, 0)
    return _max_body(settings, _images_at(path) if files else 0)


def _images_at(path: str) -> int:
    """How many images a request to a path may carry."""
    if path == f"{PREFIX}/register" or path.endswith("/photos"):
        return MAX_IMAGES
    return 2 if path == f"{PREFIX}/verify" else 1


def _max_body(settings: Settings, images: int) -> int:
    return images * settings.max_image_bytes + _FORM_OVERHEAD_BYTES
