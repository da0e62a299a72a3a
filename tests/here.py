"""The API in the test's own process: quick to start, and a debugger sees all of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from anyio.from_thread import start_blocking_portal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.from_thread import BlockingPortal

    from visage.service.service import Service


@dataclass(frozen=True)
class Here:
    """A client of an application whose loop runs beside the test."""

    service: Service
    _client: httpx.AsyncClient
    _portal: BlockingPortal

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """As `httpx.Client.request`."""
        return self._portal.call(partial(self._client.request, method, path, **options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        """As `httpx.Client.post`."""
        return self.request("POST", path, **options)


@contextmanager
def here(data_dir: Path) -> Iterator[Here]:
    """Run the application on a bank."""
    from visage.api import PREFIX
    from visage.api.app import create_app
    from visage.settings import Settings

    app = create_app(Settings(data_dir=data_dir))

    @asynccontextmanager
    async def running() -> AsyncIterator[httpx.AsyncClient]:
        async with app.router.lifespan_context(app):
            await app.state.service.wait_ready()
            url = f"http://127.0.0.1{PREFIX}"
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=url, timeout=60) as client:
                yield client

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(running()) as client:
        yield Here(app.state.service, client, portal)
