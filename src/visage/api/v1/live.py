"""`/ws/identify`: frames in, identifications out."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, WebSocket
from starlette.types import Message
from starlette.websockets import WebSocketDisconnect

from visage.api.deps import ServiceDep, VerbsDep
from visage.api.v1.schemas import faces
from visage.errors import InvalidImage, InvalidValue, VisageError
from visage.recognition.stream import Frame, NewestFrame
from visage.recognition.tracker import Tracker
from visage.service.verbs import Verbs

router = APIRouter()
log = logging.getLogger("visage")

_DATA_URL = re.compile(r"data:[^,]{0,100};base64,")
_WHITE_SPACE = " \t\r\n"
_TRY_AGAIN_LATER = 1013
_GOING_AWAY = 1001
_SEND_TIMEOUT_S = 20.0
"""A client that has not taken a reply for so long is gone, or might as well be."""
_LONG_MESSAGE = 256 * 1024
"""Characters; longer messages are read beside the event loop, which has others to serve."""


def max_message_bytes(max_image_bytes: int) -> int:
    """How long a WebSocket message may be: an image in base64, and the JSON around it."""
    return max_image_bytes * 4 // 3 + 64 * 1024


@router.websocket("/ws/identify")
async def identify(websocket: WebSocket, service: ServiceDep, verbs: VerbsDep) -> None:
    """One connection: a reader keeps the newest frame, a worker answers it."""
    await websocket.accept()
    if service.connections >= service.settings.max_connections:
        await websocket.close(_TRY_AGAIN_LATER, "Too many connections")
        return
    service.connections += 1
    newest = NewestFrame()
    sending = asyncio.Lock()
    worker = asyncio.create_task(_answer(websocket, verbs, newest, sending))
    reader = asyncio.create_task(_read(websocket, newest, sending))
    try:
        await asyncio.wait([worker, reader], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (worker, reader):
            task.cancel()
        results = await asyncio.gather(worker, reader, return_exceptions=True)
        service.connections -= 1
    for result in results:
        gone = isinstance(result, WebSocketDisconnect | asyncio.CancelledError)
        if isinstance(result, BaseException) and not gone:
            raise result


async def _read(websocket: WebSocket, newest: NewestFrame, sending: asyncio.Lock) -> None:
    """Take messages until the client goes."""
    while True:
        content = _content(await websocket.receive())
        # Many small messages arrive at once, and none of them has to be waited for: others get a turn all the same.
        await asyncio.sleep(0)
        if isinstance(content, bytes):
            newest.put(Frame(content))
            continue
        is_long = len(content) > _LONG_MESSAGE
        frame = await asyncio.to_thread(_parse, content) if is_long else _parse(content)
        content = ""  # it may be large, and the next message long in coming
        if isinstance(frame, Frame):
            newest.put(frame)
        else:
            async with sending:
                await _send(websocket, frame)


def _content(message: Message) -> str | bytes:
    """What a client sent.

    Raises:
        WebSocketDisconnect: that it goes.
    """
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    data: bytes | None = message.get("bytes")
    text: str | None = message.get("text")
    return data if data is not None else text or ""


def _parse(text: str) -> Frame | dict[str, Any]:
    """The frame in a text message, or the reply to a bad one."""
    frame_id: dict[str, Any] = {}
    try:
        content = parse_message(text)
        if "frame_id" in content:
            frame_id = {"frame_id": content["frame_id"]}
        return Frame(parse_image(content), frame_id.get("frame_id"), bool(frame_id))
    except VisageError as error:
        return _error(error, frame_id)


async def _answer(websocket: WebSocket, verbs: Verbs, newest: NewestFrame, sending: asyncio.Lock) -> None:
    """Answer the newest frame, again and again. A client that does not read is not worked for."""
    camera: Tracker | None = None
    while True:
        frame, dropped = await newest.take()
        frame_id = {"frame_id": frame.frame_id} if frame.has_id else {}
        try:
            camera = camera or verbs.camera()
            result = await verbs.watch(frame.image, camera)
        except VisageError as error:
            reply = _error(error, frame_id)
        except Exception:
            log.exception("A frame could not be processed")
            reply = _error(VisageError(), frame_id)
        else:
            content = faces.identification(result).model_dump(mode="json")
            reply = {"type": "identification", **content, **frame_id, "dropped": dropped}
        async with sending:
            await _send(websocket, reply)


def parse_message(text: str) -> dict[str, Any]:
    """The object in a text message.

    Raises:
        InvalidValue: it is no JSON object.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InvalidValue("The message is not JSON") from exc
    if not isinstance(content, dict):
        raise InvalidValue("The message is not a JSON object")
    return content


def parse_image(content: dict[str, Any]) -> bytes:
    """The encoded image in a message of type "frame".

    Raises:
        InvalidValue: of another type, or without data.
        InvalidImage: the data is not base64.
    """
    if content.get("type") != "frame":
        raise InvalidValue('The message has an unknown type; "frame" is known')
    data = content.get("data")
    if not isinstance(data, str):
        raise InvalidValue("A frame needs `data`: an image in base64")
    if prefix := _DATA_URL.match(data):
        data = data[prefix.end() :]
    if any(space in data for space in _WHITE_SPACE):
        data = data.translate(dict.fromkeys(map(ord, _WHITE_SPACE)))
    data = data.rstrip("=")
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidImage from exc


def _error(error: VisageError, frame_id: dict[str, Any]) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "type": "error",
        "timestamp": now,
        **frame_id,
        "error": {"code": error.code, "message": error.message},
    }


async def _send(websocket: WebSocket, reply: dict[str, Any]) -> None:
    try:
        # A frame_id may hold what JSON cannot (NaN was parsed): it is echoed as it came.
        async with asyncio.timeout(_SEND_TIMEOUT_S):
            await websocket.send_text(json.dumps(reply, separators=(",", ":")))
    except (RuntimeError, TimeoutError) as exc:  # closed in the meantime, or as good as
        raise WebSocketDisconnect(_GOING_AWAY) from exc
