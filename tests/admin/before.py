"""A bank of before keys, sessions, the audit log and settings had a database of their own: `before.zip`, made by
commit 2c4def4. Ann and Bob; three keys, one of them revoked; a session until 2099; five entries; two settings. The
pictures were made to begin as a JPEG does."""

from __future__ import annotations

import zipfile
from pathlib import Path

HEAD = "5:b1c5b0b675166621dbebe9e78e4cb4b74014421b8656d51f21cbb96394cbdd65"
"""Of its audit log, as it was noted down then."""

SECRETS = {"laptop": "visage_admin", "kitchen": "visage_viewer", "lost phone": "visage_lost"}
TOKEN = "token"


def unpack(folder: Path) -> Path:
    """Lay it in a folder."""
    with zipfile.ZipFile(Path(__file__).with_suffix(".zip")) as archive:
        archive.extractall(folder)
    return folder
