"""The audit log: who did what to which id, with which outcome, when. No names.

Each entry holds the SHA-256 of the one before, so that none can be changed, dropped or slipped in without every later
hash being wrong. The end is anchored in a file beside the database: an end that was cut off, or an older database put
in place, is noticed by the next start, which writes that down. Whoever may write both can forge both; only a head
noted down elsewhere (`AuditCheck.head`) tells then.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from visage import durable
from visage.admin.database import Transactions
from visage.admin.schema import audit_table
from visage.bank.records import from_micros, to_micros
from visage.errors import BankError, InvalidValue

FILE_NAME = "audit.head"
LOCAL = "local"
CUT = "audit_cut"
_ORIGIN = "0" * 64
_MAX_FAULTS = 20
SUM_UP_AFTER_S = 60.0
_MAX_KINDS = 1000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the log.

    Attributes:
        number: 1, 2, 3, …
        actor: the id of an API key, "local" where none is asked for, "unknown" for a wrong key.
        operation: as in the OpenAPI document.
        subject: ids, separated by spaces; the client's address for a wrong key; `+N` where this stands for N more
            refusals of the minute before.
        outcome: "ok", or the error code.
    """

    number: int
    at: datetime
    actor: str
    operation: str
    subject: str | None
    outcome: str
    hash: str


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """Is the log whole?

    Attributes:
        entries: how many there are.
        head: `number:hash` of the last; noted down elsewhere, it proves later that nothing before it was changed.
        faults: what is wrong, in words; empty where nothing is.
        cuts: entries that say that the log had been cut when the server was started.
    """

    entries: int
    head: str
    faults: tuple[str, ...]
    cuts: tuple[AuditEntry, ...]


class Audit:
    """The log in the installation's database; used from one thread at a time.

    Args:
        transaction: begins a transaction there.
        data_dir: where the end is anchored.
        monotonic: seconds.

    Raises:
        BankError: it cannot be read or written.
    """

    def __init__(
        self, transaction: Transactions, data_dir: Path, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._transaction = transaction
        self._anchor = data_dir / FILE_NAME
        self._monotonic = monotonic
        self._refused: dict[tuple[str, str, str | None, str], tuple[float, int]] = {}
        with transaction() as connection:
            fault = self._fault_of_end(connection)
        if fault is not None:
            self.append(LOCAL, CUT, None, fault)

    def append(self, actor: str, operation: str, subject: str | None, outcome: str) -> None:
        """Write an entry; it is durable when this returns.

        Raises:
            BankError: it could not be written.
        """
        with self._transaction() as connection:
            number, previous = _end(connection)
            content = (number + 1, to_micros(datetime.now(UTC)), actor, operation, subject, outcome, previous)
            row = dict(zip(audit_table.c.keys(), (*content, _hash(content)), strict=True))
            connection.execute(audit_table.insert(), row)
        self._write_anchor(f"{row['number']}:{row['hash']}")

    def refuse(self, actor: str, operation: str, subject: str | None, outcome: str, *, by_subject: bool) -> None:
        """Write that something was refused. The first is an entry at once; what follows of its kind within a minute
        is one more, written by `sum_up`, whose subject says how many they were.

        Args:
            by_subject: whether refusals of other subjects are another kind.

        Raises:
            BankError: it could not be written.
        """
        self.sum_up()
        kind = (actor, operation, subject if by_subject else None, outcome)
        if len(self._refused) >= _MAX_KINDS and kind not in self._refused:
            kind = (actor, operation, None, outcome)
        since, more = self._refused.get(kind, (self._monotonic(), -1))
        self._refused[kind] = (since, more + 1)
        if more < 0:
            self.append(actor, operation, subject, outcome)

    def sum_up(self, *, all_of_them: bool = False) -> None:
        """Write how often was refused what is over, or all of it.

        Raises:
            BankError: it could not be written.
        """
        due = self._monotonic() - SUM_UP_AFTER_S
        for kind, (since, more) in list(self._refused.items()):
            if since <= due or all_of_them:
                actor, operation, subject, outcome = kind
                if more:
                    self.append(actor, operation, f"{subject} +{more}" if subject else f"+{more}", outcome)
                del self._refused[kind]

    def page(self, limit: int, before: int | None = None) -> list[AuditEntry]:
        """Entries, newest first; those with a smaller number than `before`."""
        query = sa.select(audit_table).order_by(audit_table.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(audit_table.c.number < before)
        with self._transaction() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def verify(self, expected_head: str | None = None) -> AuditCheck:
        """Go through the whole log.

        Args:
            expected_head: a `head` of earlier, which must still be there.

        Raises:
            InvalidValue: that is no head.
        """
        wanted = _parse_head(expected_head) if expected_head is not None else None
        faults: list[str] = []
        cuts: list[AuditEntry] = []
        number, previous = 0, _ORIGIN
        met = wanted is None or wanted[0] == 0
        with self._transaction() as connection:
            for row in connection.execute(sa.select(audit_table).order_by(audit_table.c.number)):
                content = tuple(row[:-1])
                if row.number != number + 1:
                    faults.append(f"Entries {number + 1} to {row.number - 1} are missing")
                elif row.previous != previous:
                    faults.append(f"Entry {row.number} does not follow entry {number}")
                if row.hash != _hash(content):
                    faults.append(f"Entry {row.number} was changed")
                if row.operation == CUT:
                    cuts.append(_entry(row))
                met = met or wanted == (row.number, row.hash)
                number, previous = row.number, row.hash
            fault = self._fault_of_end(connection)
        if fault is not None:
            faults.append(_CUT_IN_WORDS[fault])
        if not met:
            faults.append("The head that you noted down is not in the log")
        return AuditCheck(number, f"{number}:{previous}", tuple(faults[:_MAX_FAULTS]), tuple(cuts))

    def _fault_of_end(self, connection: sa.Connection) -> str | None:
        """What is wrong with the end; a crash may leave the anchor behind, never before it."""
        end, _ = _end(connection)
        try:
            number, expected = _parse_head(self._anchor.read_text(encoding="ascii").strip())
        except FileNotFoundError:
            return "ANCHOR_MISSING" if end else None
        except (OSError, ValueError, InvalidValue):
            return "ANCHOR_UNREADABLE"
        found = connection.scalar(sa.select(audit_table.c.hash).where(audit_table.c.number == number))
        return None if found == expected else "END_MISSING"

    def _write_anchor(self, head: str) -> None:
        try:
            durable.replace(self._anchor, f"{head}\n".encode())
        except OSError as exc:
            raise BankError(f"The data directory cannot be written: {exc.strerror}") from exc


_CUT_IN_WORDS = {
    "ANCHOR_MISSING": f"The file {FILE_NAME}, which holds the end of the log, is missing",
    "ANCHOR_UNREADABLE": f"The file {FILE_NAME}, which holds the end of the log, cannot be read",
    "END_MISSING": "The end of the log is missing, or an older database was put in place",
}


def _end(connection: sa.Connection) -> tuple[int, str]:
    row = connection.execute(
        sa.select(audit_table.c.number, audit_table.c.hash).order_by(audit_table.c.number.desc()).limit(1)
    ).first()
    return (0, _ORIGIN) if row is None else (row.number, row.hash)


def _hash(content: tuple[object, ...]) -> str:
    """SHA-256 of number, time, actor, operation, subject, outcome and the hash of the entry before, hexadecimal."""
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _parse_head(head: str) -> tuple[int, str]:
    number, _, hash_ = head.partition(":")
    if not (number.isascii() and number.isdecimal() and len(number) < 19 and len(hash_) == 64):
        raise InvalidValue.of("head", "must be NUMBER:HASH, as `visage audit verify` prints it")
    return int(number), hash_


def _entry(row: sa.Row[tuple[object, ...]]) -> AuditEntry:
    return AuditEntry(row.number, from_micros(row.at), row.actor, row.operation, row.subject, row.outcome, row.hash)
