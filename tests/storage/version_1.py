"""Backups of version 1, as Visage wrote them before: a whole database, sealed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import struct
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from visage.storage.folder import FILE_NAME
from visage.storage.keys import KEY_FILE_NAME, KeyFile
from visage.storage.vault import Vault

PIECE = 2**20


def write(path: Path, database: bytes, master_key: bytes) -> Path:
    """A backup of a database, whatever it holds."""
    salt = os.urandom(16)
    header = json.dumps(
        {
            "bank_id": "id",
            "created_at": "2026-01-02T03:04:05+00:00",
            "persons": 1,
            "photos": 1,
            "database_bytes": len(database),
            "key_check": base64.b64encode(Vault(master_key).key_check("id")).decode(),
            "slots": [],
            "salt": base64.b64encode(salt).decode(),
        }
    ).encode()
    start = struct.pack(">8sBI", b"VISAGEBK", 1, len(header)) + header
    aead = AESGCM(HKDF(SHA256(), 32, salt=salt, info=b"visage backup").derive(master_key))
    content = start
    for number in range(len(database) // PIECE + 1):
        nonce = number.to_bytes(11, "big") + bytes([number == len(database) // PIECE])
        piece = database[number * PIECE : (number + 1) * PIECE]
        content += aead.encrypt(nonce, piece, hashlib.sha256(start).digest())
    path.write_bytes(content + hashlib.sha256(content).digest())
    return path


def back_up(folder: Path, path: Path) -> Path:
    """A backup of the file of a bank, also of one that no Visage would open."""
    key = KeyFile(folder / KEY_FILE_NAME).read()
    assert key
    return write(path, (folder / FILE_NAME).read_bytes(), key)
