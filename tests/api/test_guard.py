"""The guard alone, before an application that answers what it likes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.types import Message, Receive, Scope, Send

from visage.admin.access import SESSION_DAYS, Access
from visage.admin.audit import Audit, AuditEntry
from visage.admin.database import open_database
from visage.admin.keys import AccessStore, Role
from visage.api.gate.guard import Guard
from visage.api.gate.roles import Operations
from visage.clock import Clock
from visage.errors import BankError
from visage.service.service import Service

PATHS = {
    "/api/v1/persons/{person_id}": {"delete": {"operationId": "delete_person"}},
    "/api/v1/purge": {"post": {"operationId": "purge"}},
}
NOBODY = "00000000-0000-0000-0000-000000000000"


@dataclass
class Gate:
    """What the guard needs of a service, and its key."""

    access: Access
    audit: Audit
    now: list[datetime]
    keys: dict[Role, str] = field(default_factory=dict)
    ready: bool = True
    keys_required: bool = True

    @property
    def lanes(self) -> Gate:
        """As the service's, without threads."""
        return self

    async def account(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """As `Lanes.account`."""
        return function(*args, **kwargs)

    def ask(self, role: Role, method: str, path: str, status: int, body: bytes) -> tuple[int, AuditEntry | None]:
        """Send a request to an application that answers so; returns the status and the latest entry."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b""}

        asyncio.run(self.guard(answer)(self.scope("http", path, self.keys[role], method=method), receive, send))
        return sent[0]["status"], next(iter(self.audit.page(1)), None)

    def guard(self, app: Any) -> Guard:
        """Before an application."""
        operations = Operations({"paths": PATHS})
        return Guard(app, service=lambda: cast(Service, self), operations=lambda: operations)

    def scope(self, kind: str, path: str, key: str, **more: Any) -> Scope:
        """Of a request that shows a key, or the cookie of a session."""
        name = b"x-api-key" if key.startswith("visage_") and "=" not in key else b"cookie"
        return {"type": kind, "path": path, "headers": [(name, key.encode())], "client": ("192.0.2.1", 1), **more}


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    now = [datetime(2026, 5, 1, tzinfo=UTC)]
    with closing(open_database(tmp_path)) as database:
        clock = Clock(wall=lambda: now[0])
        access = Access(AccessStore(database.transaction), required=True, clock=clock)
        made = Gate(access, Audit(database.transaction, tmp_path), now)
        made.keys = {role: access.create_key(role, role)[1] for role in Role}
        yield made


@pytest.mark.parametrize(
    "body", [b'{"error": "no"}', b'{"error": ["no"]}', b'"no"', b"[]", b"{", b"", b'{"data": "x", "error": 7}']
)
def test_whatever_a_body_is_what_was_done_is_written_down(gate: Gate, body: bytes) -> None:
    for status, outcome in ((200, "ok"), (500, "HTTP_500"), (403, "HTTP_403")):
        told, entry = gate.ask(Role.EDITOR, "DELETE", f"/api/v1/persons/{NOBODY}", status, body)
        assert entry is not None
        assert (told, entry.operation, entry.subject, entry.outcome) == (status, "delete_person", NOBODY, outcome)


def test_a_purge_is_one_entry_with_who_did_it_and_who_is_gone(gate: Gate) -> None:
    gone = [NOBODY, NOBODY.replace("0", "1")]
    body = f'{{"data": {{"person_ids": ["{gone[0]}", "{gone[1]}"], "complete": true}}, "error": null}}'
    _, entry = gate.ask(Role.ADMIN, "POST", "/api/v1/purge", 200, body.encode())
    assert entry is not None
    (admin,) = [key for key in gate.access.all_keys() if key.role is Role.ADMIN]
    assert (entry.number, entry.actor, entry.operation, entry.subject) == (1, admin.key_id, "purge", " ".join(gone))


def test_of_what_cannot_be_written_down_nothing_goes_out(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long reply, such as an export, whose entry fails: its client gets the refusal, and nothing after it."""

    async def export(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/zip")]})
        for piece in (b"one", b"two", b""):
            await send({"type": "http.response.body", "body": piece, "more_body": bool(piece)})

    def full(*_: object) -> None:
        raise BankError("The disk is full")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    monkeypatch.setattr(gate.audit, "append", full)
    scope = gate.scope("http", "/api/v1/purge", gate.keys[Role.ADMIN], method="POST")
    asyncio.run(gate.guard(export)(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 503
    assert b"NOT_ACCOUNTED" in sent[1]["body"]


def test_three_hundred_refused_requests_are_not_three_hundred_entries(gate: Gate) -> None:
    for number in range(300):
        path = f"/api/v1/persons/{number:08}{NOBODY[8:]}"
        assert gate.ask(Role.VIEWER, "DELETE", path, 200, b"{}")[0] == 403
    assert [(entry.operation, entry.outcome) for entry in gate.audit.page(10)] == [("delete_person", "FORBIDDEN")]
    gate.audit.sum_up(all_of_them=True)
    assert gate.audit.page(1)[0].subject == "+299"


def test_a_websocket_ends_with_its_session(gate: Gate) -> None:
    """A frame that comes after is not worked for, and the client is told why."""
    (viewer,) = [key for key in gate.access.all_keys() if key.role is Role.VIEWER]
    token = gate.access.sign_in(viewer)
    seen: list[str] = []
    sent: list[Message] = []

    async def live(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            seen.append(message["type"])
            if message["type"] == "websocket.disconnect":
                return

    async def receive() -> Message:
        assert len(seen) < 3
        if len(seen) == 2:
            gate.now[0] += timedelta(days=1)
        return {"type": "websocket.receive", "bytes": b"frame"}

    async def send(message: Message) -> None:
        sent.append(message)

    for _ in range(SESSION_DAYS - 1):
        gate.now[0] += timedelta(days=1)
        assert gate.access.principal(token=token, sent=None, address="192.0.2.1") is not None
    scope = gate.scope("websocket", "/ws/identify", f"visage_session={token}")
    asyncio.run(gate.guard(live)(scope, receive, send))
    assert seen == ["websocket.receive", "websocket.receive", "websocket.disconnect"]
    assert [(each["type"], each["code"]) for each in sent] == [("websocket.close", 1008)]
