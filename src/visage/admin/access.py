"""Who asks: API keys and signed-in browsers, looked up in memory; and wrong keys, counted."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from cachetools import TTLCache

from visage.admin.audit import LOCAL
from visage.admin.keys import AccessKey, AccessStore, Role, Session, digest, new_key
from visage.clock import Clock
from visage.errors import KeyNotFound, TooManyGuesses, Unauthenticated

SESSION_DAYS = 90
MAX_SESSIONS = 100
"""Browsers that are signed in with one key; the oldest goes for the next."""

_MAX_KEY_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sent a request.

    Attributes:
        role: what they may do.
        key_id: of the key that was shown; None on this computer, where none is needed.
        session_hash: of the browser's session; None where the key itself was sent.
    """

    role: Role
    key_id: str | None = None
    session_hash: str | None = None

    @property
    def actor(self) -> str:
        """As the audit log calls them."""
        return self.key_id or LOCAL


class Guesses:
    """Counts wrong keys by the address that they came from; after a few, those from there are refused with 429 for a
    while. A right key is never counted, and never refused for the wrong ones beside it.

    A /64 of IPv6 counts as one address: whoever has one of them has all. Only so many addresses are kept in mind, the
    latest.
    """

    allowed = 5
    window_s = 60.0
    max_addresses = 4096

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._wrong: TTLCache[str, int] = TTLCache(self.max_addresses, self.window_s, clock)

    def count(self, address: str) -> None:
        """A key from this address was wrong.

        Raises:
            TooManyGuesses: so were too many before.
        """
        network = _network(address)
        wrong = self._wrong.get(network, 0)
        if wrong >= self.allowed:
            raise TooManyGuesses(details={"retry_after_s": int(self.window_s)})
        self._wrong[network] = wrong + 1


class Access:
    """Keys and sessions in memory, as the store has them.

    Args:
        store: where they are kept.
        required: whether a client must show a key at all; where not, everyone is an admin.
        clock: by which sessions end.
    """

    def __init__(self, store: AccessStore, *, required: bool, clock: Clock) -> None:
        self.required = required
        self._clock = clock
        self.guesses = Guesses()
        self._store = store
        self._keys = {key_hash: key for key_hash, key in store.all_keys() if key.revoked_at is None}
        self._sessions = store.sessions(clock.now())
        self._by_id = {key.key_id: key for key in self._keys.values()}
        self._watching: dict[asyncio.Future[None], Principal] = {}

    @property
    def has_keys(self) -> bool:
        """Is there a key that is good?"""
        return bool(self._keys)

    def principal(self, *, token: str | None, sent: str | None, address: str) -> Principal | None:
        """Who asks; None where nobody says so.

        Args:
            token: of a browser's session, if one was sent.
            sent: the key that was sent, if one was.
            address: where it comes from.

        Raises:
            Unauthenticated: a key was sent, and it is wrong.
            TooManyGuesses: so it is, and too many were before.
        """
        known = self._by_session(token)
        if not self.required:
            key = self._keys.get(digest(sent)) if sent is not None else None
            return (
                Principal(Role.ADMIN, key.key_id)
                if key
                else Principal(Role.ADMIN, known.key_id if known else None, known.session_hash if known else None)
            )
        if sent is not None:
            key = self.check_key(sent, address)
            return Principal(key.role, key.key_id)
        return known

    def check_key(self, sent: str, address: str) -> AccessKey:
        """The key that was sent from an address.

        Raises:
            Unauthenticated: it is wrong.
            TooManyGuesses: it is wrong, and so were too many before.
        """
        key = self._keys.get(digest(sent)) if len(sent) <= _MAX_KEY_LENGTH else None
        if key is None:
            self.guesses.count(address)
            raise Unauthenticated("This API key is not known; it may have been revoked")
        return key

    def sign_in(self, key: AccessKey) -> str:
        """Begin a session; returns its token. Writes to the store."""
        token = secrets.token_urlsafe(32)
        session = Session(key.key_id, self._clock.now() + timedelta(days=SESSION_DAYS))
        own = [each for each, other in self._sessions.items() if other.key_id == key.key_id]  # the oldest first
        for oldest in own[: max(0, len(own) + 1 - MAX_SESSIONS)]:
            self.sign_out(oldest)
        self._store.add_session(digest(token), session)
        self._sessions[digest(token)] = session
        return token

    def sign_out(self, session_hash: str) -> None:
        """End a session. Writes to the store."""
        self._store.delete_session(session_hash)
        self._sessions.pop(session_hash, None)

    def all_keys(self) -> list[AccessKey]:
        """Every key there ever was. Reads from the store."""
        return [key for _, key in self._store.all_keys()]

    def create_key(self, label: str, role: Role) -> tuple[AccessKey, str]:
        """A new key, and its record. Writes to the store."""
        secret = new_key()
        key = self._store.add_key(digest(secret), label, role)
        self._keys[digest(secret)] = self._by_id[key.key_id] = key
        return key, secret

    def revoke_key(self, key_id: str) -> None:
        """Make a key worthless, with its sessions. Writes to the store; `hang_up` then closes what is open.

        Raises:
            KeyNotFound: there is no such key.
        """
        key = self._by_id.get(key_id.lower())
        if key is None:
            raise KeyNotFound
        self._store.revoke(key.key_id)
        self._by_id.pop(key.key_id)
        self._keys = {key_hash: each for key_hash, each in self._keys.items() if each.key_id != key.key_id}
        self._sessions = {token: session for token, session in self._sessions.items() if session.key_id != key.key_id}

    def watch(self, principal: Principal) -> asyncio.Future[None]:
        """A future that is done as soon as this principal may no longer; `unwatch` it in the end."""
        future = asyncio.get_running_loop().create_future()
        self._watching[future] = principal
        return future

    def unwatch(self, future: asyncio.Future[None]) -> None:
        """Forget it."""
        self._watching.pop(future, None)

    def hang_up(self) -> None:
        """End every open connection whose key or session is gone, or has ended by its time."""
        for future, principal in self._watching.items():
            if not future.done() and not self.is_good(principal):
                future.set_result(None)

    def is_good(self, principal: Principal) -> bool:
        """May this one still do what it might when it came?"""
        if principal.key_id is None:
            return True
        if principal.session_hash is not None and not self._is_open(principal.session_hash):
            return False
        return principal.key_id in self._by_id

    def _by_session(self, token: str | None) -> Principal | None:
        """Wrong tokens are not counted: browsers send old ones by themselves, and nobody guesses 256 bits."""
        if not token:
            return None
        session_hash = digest(token)
        if not self._is_open(session_hash):
            return None
        key = self._by_id.get(self._sessions[session_hash].key_id)
        return Principal(key.role, key.key_id, session_hash) if key else None

    def _is_open(self, session_hash: str) -> bool:
        session = self._sessions.get(session_hash)
        return session is not None and session.expires_at > self._clock.now()


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
