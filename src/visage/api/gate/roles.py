"""Which role each operation needs, and which are written to the audit log: the one table of rights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.routing import compile_path

from visage.admin.keys import Role

ROLES: Mapping[str, Role | None] = {
    "health": None,
    "get_session": None,
    "sign_in": None,
    "sign_out": None,
    # Seeing who that is, and saying that it is wrong.
    "identify": Role.VIEWER,
    "detect": Role.VIEWER,
    "verify": Role.VIEWER,
    "list_persons": Role.VIEWER,
    "get_person": Role.VIEWER,
    "get_photo": Role.VIEWER,
    "not_me": Role.VIEWER,
    "undo": Role.VIEWER,  # of a not-me; of all else: editor, see `v1/corrections.py`
    # Everything about people.
    "register": Role.EDITOR,
    "update_person": Role.EDITOR,
    "delete_person": Role.EDITOR,
    "add_photos": Role.EDITOR,
    "delete_photo": Role.EDITOR,
    "merge_persons": Role.EDITOR,
    "is_me": Role.EDITOR,
    "confirm_unknown": Role.EDITOR,
    "bank_report": Role.EDITOR,
    "list_unknowns": Role.EDITOR,
    "get_unknown_picture": Role.EDITOR,
    "register_unknown": Role.EDITOR,
    "dismiss_unknown": Role.EDITOR,
    # Everything about the installation.
    "list_keys": Role.ADMIN,
    "create_key": Role.ADMIN,
    "revoke_key": Role.ADMIN,
    "get_settings": Role.VIEWER,
    "update_settings": Role.ADMIN,
    "list_due": Role.ADMIN,
    "purge": Role.ADMIN,
    "export_person": Role.ADMIN,
    "export_person_by_post": Role.ADMIN,
    "export_all": Role.ADMIN,
    "export_all_by_post": Role.ADMIN,
    "backup": Role.ADMIN,
    "restore": Role.ADMIN,
    "list_audit": Role.ADMIN,
    "verify_audit": Role.ADMIN,
}
"""By operation id; None is open to all. What is not in here asks for an admin."""

PERSON_FIELDS: Mapping[str, Role] = {
    "person_id": Role.VIEWER,
    "name": Role.VIEWER,
    "relationship": Role.VIEWER,
    "photos": Role.VIEWER,
    "embedding_count": Role.VIEWER,
    "views": Role.VIEWER,
    "created_at": Role.VIEWER,
    "updated_at": Role.VIEWER,
    # A viewer sees of `metadata` the line to remember, which Live shows; of `undos` what a viewer may take back.
    "metadata": Role.EDITOR,
    "undos": Role.EDITOR,
    "consent": Role.EDITOR,
    "last_seen_at": Role.EDITOR,
}
"""Who sees what of a person, whole; what is hidden is null or empty."""

METADATA_FOR_VIEWERS = frozenset({"remember"})
UNDOS_FOR_VIEWERS = frozenset({"not-me"})

LIVE_PATH = "/ws/identify"
LIVE_ROLE = Role.VIEWER

ACCOUNTED = frozenset(
    {
        "sign_in",
        "sign_out",
        "not_me",
        "is_me",
        "confirm_unknown",
        "undo",
        "register",
        "update_person",
        "delete_person",
        "add_photos",
        "delete_photo",
        "merge_persons",
        "register_unknown",
        "dismiss_unknown",
        "create_key",
        "revoke_key",
        "update_settings",
        "purge",
        "export_person",
        "export_person_by_post",
        "export_all",
        "export_all_by_post",
        "backup",
        "restore",
    }
)
"""Operations that go to the audit log: whatever changes something, and whatever carries the bank out of the house."""

UNACCOUNTED_POSTS = frozenset({"identify", "detect", "verify"})
"""They look at images and change nothing."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request asks for."""

    operation_id: str
    role: Role | None
    parameters: Mapping[str, str]


class Operations:
    """Finds the operation of a request by the OpenAPI document.

    Where a path fits several, the one that needs the higher role counts.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._patterns = [
            (method.upper(), compile_path(path)[0], str(operation["operationId"]))
            for path, item in document["paths"].items()
            for method, operation in item.items()
        ]

    def find(self, method: str, path: str) -> Operation | None:
        """The operation; None where there is none: the framework answers 404 or 405."""
        return max(self._fitting(method, path), key=_rank, default=None)

    def _fitting(self, method: str, path: str) -> Iterator[Operation]:
        for each, pattern, operation_id in self._patterns:
            if each == method and (fits := re.match(pattern, path)):
                yield Operation(operation_id, ROLES.get(operation_id, Role.ADMIN), fits.groupdict())


def _rank(operation: Operation) -> int:
    return -1 if operation.role is None else list(Role).index(operation.role)
