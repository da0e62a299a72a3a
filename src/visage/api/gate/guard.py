"""Before every request: who sends it, and may they? After what changes something: an entry in the audit log."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from visage.admin.access import Access, Principal
from visage.admin.keys import Role
from visage.api.errors import reply_to
from visage.api.gate.credentials import address_of, principal_of
from visage.api.gate.roles import ACCOUNTED, LIVE_PATH, LIVE_ROLE, Operation, Operations
from visage.errors import Forbidden, NotAccounted, NotReady, Unauthenticated, VisageError
from visage.service.service import Service

log = logging.getLogger("visage")

UNKNOWN = "unknown"
"""Who sent a wrong key, in the audit log."""

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_IDS_IN_REPLY = ("person_id", "key_id", "undo_id")
_LISTS_IN_REPLY = ("person_ids",)
_REFUSED = frozenset({401, 403})
_POLICY_VIOLATION = 1008


class Guard:
    """Refuses who may not. Everything under /api and /ws is closed, but for what the table opens; the rest are files
    that are the same for everyone.

    The principal of a request is in `scope["state"]["principal"]`.

    Args:
        service: gives the service once the app is started.
        operations: gives what the routes are, once they are all there.
    """

    def __init__(self, app: ASGIApp, service: Callable[[], Service], operations: Callable[[], Operations]) -> None:
        self._app = app
        self._service = service
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in {"http", "websocket"} or not scope["path"].startswith(("/api/", "/ws/")):
            await self._app(scope, receive, send)
            return
        operation = self._operation(scope)
        state = scope.setdefault("state", {})
        state["principal"] = None
        try:
            principal = state["principal"] = await self._principal(HTTPConnection(scope))
            if operation.role is not None:
                if principal is None:
                    raise Unauthenticated
                if not principal.role.may(operation.role):
                    raise Forbidden(f"This needs the role {operation.role}; your key has {principal.role}")
        except VisageError as error:
            if isinstance(error, Forbidden):
                await self._note(scope, operation, error.code)
            await reply_to(error)(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._live(principal, scope, receive, send)
        elif operation.operation_id in ACCOUNTED:
            await self._accounted(operation, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _operation(self, scope: Scope) -> Operation:
        if scope["type"] == "websocket":
            return Operation("live", LIVE_ROLE if scope["path"] == LIVE_PATH else Role.ADMIN, {})
        found = self._operations().find(scope["method"], scope["path"])
        # Nobody learns without a key what there is.
        return found or Operation("", Role.VIEWER, {})

    async def _principal(self, connection: HTTPConnection) -> Principal | None:
        service = self._service()
        if not service.ready and not service.keys_required:
            return Principal(Role.ADMIN)  # who learns that the server is still loading
        try:
            return principal_of(service.access, connection)
        except Unauthenticated as error:
            await self._refused(UNKNOWN, "authenticate", _address(connection), error.code, by_subject=True)
            raise

    async def _live(self, principal: Principal | None, scope: Scope, receive: Receive, send: Send) -> None:
        if principal is None or principal.key_id is None:
            await self._app(scope, receive, send)
        else:
            await _until_revoked(self._app, self._service().access, principal, scope, receive, send)

    async def _accounted(self, operation: Operation, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold a JSON reply back until the entry is written; of a long one, such as an export, the first byte."""
        held: list[Message] = []
        passing = refused = False

        async def send_accounted(message: Message) -> None:
            nonlocal passing, refused
            if refused:  # the client has its reply; what would have come is nobody's
                return
            if passing:
                await send(message)
                return
            held.append(message)
            is_json = dict(held[0]["headers"]).get(b"content-type", b"").startswith(b"application/json")
            if is_json and message["type"] == "http.response.body" and message.get("more_body"):
                return
            if is_json and message["type"] == "http.response.start":
                return
            passing = True
            body = b"".join(each.get("body", b"") for each in held) if is_json else b""
            error = await self._account(operation, scope, held[0]["status"], body)
            if error is not None:
                refused = True
                await reply_to(error)(scope, receive, send)
                return
            for each in held:
                await send(each)

        try:
            await self._app(scope, receive, send_accounted)
        except Exception:
            if not passing:
                await self._account(operation, scope, 500, b'{"error": {"code": "INTERNAL_ERROR"}}')
            raise

    async def _account(self, operation: Operation, scope: Scope, status: int, body: bytes) -> VisageError | None:
        """Write what was done. What was refused as a wrong request changed nothing, and is not written."""
        reply = _parse(body)
        code = str(_object(reply, "error").get("code", f"HTTP_{status}")) if status >= 400 else "ok"
        nobody = status < 400 and scope["state"]["principal"] is None  # who signs out without being signed in
        if (400 <= status < 500 and status not in _REFUSED) or code == NotReady.code or nobody:
            return None
        data = _object(reply, "data")
        ids = [str(data[key]) for key in _IDS_IN_REPLY if key in data]
        ids += [str(each) for key in _LISTS_IN_REPLY for each in data.get(key, ())]
        try:
            await self._note(scope, operation, code, ids)
            for subject in _lifted(reply):
                await self._write(_actor(scope), "lift_rejection", subject, "ok")
        except VisageError as exc:
            log.error("The audit log could not be written: %s", exc.message)
            return NotAccounted() if status < 400 else None
        return None

    async def _note(self, scope: Scope, operation: Operation, outcome: str, more_ids: Sequence[str] = ()) -> None:
        by_address = operation.operation_id == "sign_in" and outcome != "ok"
        if by_address:
            subject = _address(HTTPConnection(scope))
        else:
            ids = [value.lower() for value in operation.parameters.values() if _ID.fullmatch(value.lower())]
            subject = " ".join(dict.fromkeys([*ids, *more_ids]))
        if outcome in {Forbidden.code, Unauthenticated.code}:
            await self._refused(
                _actor(scope), operation.operation_id, subject or None, outcome, by_subject=by_address
            )
        else:
            await self._write(_actor(scope), operation.operation_id, subject or None, outcome)

    async def _refused(
        self, actor: str, operation: str, subject: str | None, outcome: str, *, by_subject: bool
    ) -> None:
        service = self._service()
        refuse = service.audit.refuse
        await service.lanes.account(
            refuse, actor, operation or "no_operation", subject, outcome, by_subject=by_subject
        )

    async def _write(self, actor: str, operation: str, subject: str | None, outcome: str) -> None:
        service = self._service()
        await service.lanes.account(service.audit.append, actor, operation or "no_operation", subject, outcome)


async def _until_revoked(
    app: ASGIApp, access: Access, principal: Principal, scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve a WebSocket for as long as its key and session are good."""
    revoked = access.watch(principal)
    sent_close = False

    async def receive_or_end() -> Message:
        message = asyncio.ensure_future(receive())
        both: list[asyncio.Future[Any]] = [message, revoked]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not message.done():
                message.cancel()
        if not revoked.done() and not access.is_good(principal):  # its time is over
            revoked.set_result(None)
        if revoked.done():
            return {"type": "websocket.disconnect", "code": _POLICY_VIOLATION}
        return await message

    async def send_or_end(message: Message) -> None:
        nonlocal sent_close
        if revoked.done():
            raise OSError("the key was revoked")  # as ASGI says that nobody is there any more
        sent_close = sent_close or message["type"] == "websocket.close"
        await send(message)

    try:
        await app(scope, receive_or_end, send_or_end)
    finally:
        access.unwatch(revoked)
        if revoked.done() and not sent_close:
            try:
                await send(
                    {"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": "The key or session has ended"}
                )
            except (OSError, RuntimeError):
                log.debug("A connection whose key was revoked was gone already")


def _address(connection: HTTPConnection) -> str:
    """Where a request comes from; nothing else that a proxy may have been told."""
    try:
        return str(ipaddress.ip_address(address_of(connection)))
    except ValueError:
        return "unknown"


def _actor(scope: Scope) -> str:
    principal: Principal | None = scope["state"]["principal"]
    return principal.actor if principal else UNKNOWN


def _lifted(reply: dict[str, Any]) -> list[str]:
    """Of each "that's wrong" that was taken back by what was done: whose it was, and what brings it back."""
    warnings = _object(reply, "data").get("warnings") or []
    details = [warning["details"] for warning in warnings if warning["code"] == "REJECTION_LIFTED"]
    return [f"{each['person_id']} {each['undo_id']}" for each in details]


def _object(reply: dict[str, Any], name: str) -> dict[str, Any]:
    """A member that is an object; an empty one where it is not: a body may be anything that somebody answers."""
    member = reply.get(name)
    return member if isinstance(member, dict) else {}


def _parse(body: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(body)
    except ValueError:
        return {}
    return reply if isinstance(reply, dict) else {}
