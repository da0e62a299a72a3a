"""What a request shows of who sends it: a key in a header, or the cookie of a browser that signed in."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from visage.admin.access import Access, Principal

COOKIE = "visage_session"


def principal_of(access: Access, connection: HTTPConnection) -> Principal | None:
    """Who sends this, as `Access.principal` knows; raises as it does."""
    return access.principal(
        token=connection.cookies.get(COOKIE), sent=_sent_key(connection), address=address_of(connection)
    )


def address_of(connection: HTTPConnection) -> str:
    """Where a request comes from."""
    return connection.client.host if connection.client else ""


def _sent_key(connection: HTTPConnection) -> str | None:
    key = connection.headers.get("x-api-key")
    if key is not None:
        return key
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
