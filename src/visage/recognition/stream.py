"""One connection's frames: the newest one wins."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Frame:
    """An encoded image that a client sent; `frame_id` is whatever the client calls it."""

    image: bytes
    frame_id: Any = None
    has_id: bool = False


class NewestFrame:
    """A place for one frame: a newer one displaces it, and is counted.

    A client that waits for each reply never loses a frame; one that sends faster than the server works gets replies
    for the newest only, and memory holds one frame a connection.
    """

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._arrived = asyncio.Event()
        self._dropped = 0

    def put(self, frame: Frame) -> None:
        """Offer a frame."""
        if self._frame is not None:
            self._dropped += 1
        self._frame = frame
        self._arrived.set()

    async def take(self) -> tuple[Frame, int]:
        """Wait for a frame; also how many were passed over since the last was taken."""
        await self._arrived.wait()
        frame, dropped = self._frame, self._dropped
        assert frame is not None  # noqa: S101 - arrived is set only with a frame
        self._frame, self._dropped = None, 0
        self._arrived.clear()
        return frame, dropped
