"""The application: everything put together, and run."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.formparsers import MultiPartParser

from visage import __version__
from visage.api import errors, live, page
from visage.api.deps import MAX_IMAGES
from visage.api.middleware import BodyLimit, HeadLimit, RequestId
from visage.api.routes import corrections, faces, health, people, unknowns
from visage.api.service import Service
from visage.api.wire import KEEPALIVE_S, HttpProtocol, LiveProtocol
from visage.errors import VisageError
from visage.settings import Settings

log = logging.getLogger("visage")

PREFIX = "/api/v1"
_FORM_OVERHEAD_BYTES = 128 * 1024
_MAX_HELD_BYTES = 256 * 1024 * 1024
_DESCRIPTION = """
Visage remembers faces for people who cannot. Register the people who matter from a few photos; then ask who is in a
picture, or stream frames to the WebSocket `/ws/identify`. Every reply is an envelope: `success`, `data`, `error`.
"""


def create_app(settings: Settings) -> FastAPI:
    """Make the application; it loads models and bank in the background once it is started."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = app.state.service = Service(settings)
        service.start()
        try:
            yield
        finally:
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
    for router in (health.router, people.router, faces.router, corrections.router, unknowns.router):
        app.include_router(router, prefix=PREFIX)
    app.include_router(live.router)
    page.install(app)
    app.add_middleware(
        BodyLimit,
        limit=lambda path, files: _max_body(settings, _images_at(path) if files else 0),
        max_held_bytes=max(_MAX_HELD_BYTES, 2 * _max_body(settings, MAX_IMAGES)),
    )
    app.add_middleware(HeadLimit)
    app.add_middleware(RequestId)
    return app


def serve(settings: Settings) -> int:
    """Serve until a signal ends it; requests in flight are finished. Returns the exit code of the process."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    for chatty in ("alembic", "uvicorn.error", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    app = create_app(settings)
    server = _Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            http=HttpProtocol,
            ws=LiveProtocol,
            ws_max_size=live.max_message_bytes(settings.max_image_bytes),
            ws_max_queue=1,
            ws_per_message_deflate=False,  # pictures are compressed already; what inflates can be a bomb
            ws_ping_interval=KEEPALIVE_S,
            ws_ping_timeout=KEEPALIVE_S,
            timeout_graceful_shutdown=30,
        ),
        app,
    )
    try:
        asyncio.run(server.serve())
    except SystemExit:  # the address cannot be bound; the log says so
        return 1
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
        for server in self.servers:
            for bound in server.sockets:
                host, port = bound.getsockname()[:2]
                log.info("Visage answers on http://%s:%d", f"[{host}]" if ":" in host else host, port)


def _images_at(path: str) -> int:
    """How many images a request to a path may carry."""
    if path == f"{PREFIX}/register" or path.endswith("/photos"):
        return MAX_IMAGES
    return 2 if path == f"{PREFIX}/verify" else 1


def _max_body(settings: Settings, images: int) -> int:
    return images * settings.max_image_bytes + _FORM_OVERHEAD_BYTES
