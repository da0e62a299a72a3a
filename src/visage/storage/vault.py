"""Encryption at rest: what a value looks like on disk, and the keys that open it.

    secret (key file, environment, passphrase or recovery key)
      └─ master key, 32 random bytes
           └─ a data key for each person, 32 random bytes, kept wrapped beside the person
                └─ every value of that person

Everything is AES-256-GCM with a fresh random nonce. A sealed value is

    version (1 byte, 1) ‖ nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes)

and its associated data say where it belongs (`Place`), so that a value that was altered, or moved to another person,
record, field or model, does not open. `docs/storage.md` describes the formats for a second implementation.
"""

from __future__ import annotations

import base64
import binascii
import os
import struct
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from visage.errors import BankError, DamagedPerson

VERSION = 1
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES
"""How much longer a sealed value is than what it holds."""

RECOVERY_BYTES = 20
"""160 random bits need no stretching, and are 32 characters on paper."""

_MAGIC = b"visage"
_KEY_CHECK = b"visage"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value belongs.

    Attributes:
        person_id: whose it is; empty for what belongs to the bank.
        record_id: of the row: a person's, photo's, counter-example's, undo's or the bank's.
        field: table and column, `photos.picture`.
        model: name of the model that made it; empty where none did.
    """

    person_id: str
    record_id: str
    field: str
    model: str = ""

    def associated_data(self) -> bytes:
        """What is authenticated with the value: `visage`, the version, then each part with its length before it."""
        parts = [part.encode() for part in (self.person_id, self.record_id, self.field, self.model)]
        return _MAGIC + bytes([VERSION]) + b"".join(struct.pack(">I", len(part)) + part for part in parts)


class DataKey:
    """Seals and opens the values of one owner.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, plaintext: bytes, place: Place) -> bytes:
        """Encrypt a value for its place."""
        nonce = os.urandom(NONCE_BYTES)
        return bytes([VERSION]) + nonce + self._aead.encrypt(nonce, plaintext, place.associated_data())

    def open(self, sealed: bytes, place: Place) -> bytes:
        """Decrypt a value.

        Raises:
            DamagedPerson: it was altered, or belongs elsewhere.
        """
        if not isinstance(sealed, bytes) or len(sealed) < OVERHEAD_BYTES or sealed[0] != VERSION:
            raise DamagedPerson.of(place.person_id, place.field)
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._aead.decrypt(nonce, ciphertext, place.associated_data())
        except InvalidTag as exc:
            raise DamagedPerson.of(place.person_id, place.field) from exc


class Vault:
    """The master key at work: it wraps the data keys, and seals what tells that they belong together.

    Args:
        master_key: 32 bytes.
    """

    def __init__(self, master_key: bytes) -> None:
        self.master_key = master_key
        self._wrapper = DataKey(master_key)

    def new_key(self, person_id: str) -> tuple[DataKey, bytes]:
        """A data key for a person, and the same wrapped."""
        key = new_key()
        return DataKey(key), self._wrapper.seal(key, _key_place(person_id))

    def key(self, person_id: str, wrapped: bytes) -> DataKey:
        """The data key of a person.

        Raises:
            DamagedPerson: it was altered, is another's, or the master key is another.
        """
        return DataKey(self._wrapper.open(wrapped, _key_place(person_id)))

    def digest_key(self) -> bytes:
        """32 bytes for the hashes of rows (`digest.py`)."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"visage digest").derive(self.master_key)

    def seal_digest(self, owner_id: str, value: int) -> bytes:
        """A digest of the rows of the bank or of a person, below 2^256, as the bank keeps it."""
        return self._wrapper.seal(value.to_bytes(32), Place("", owner_id, "digest"))

    def open_digest(self, owner_id: str, sealed: bytes) -> int:
        """The inverse of `seal_digest`.

        Raises:
            DamagedPerson: it was altered, or is none.
        """
        return int.from_bytes(self._wrapper.open(sealed, Place("", owner_id, "digest")))

    def key_check(self, bank_id: str) -> bytes:
        """A value by which a bank knows its master key again."""
        return self._wrapper.seal(_KEY_CHECK, _check_place(bank_id))

    def fits(self, bank_id: str, key_check: bytes) -> bool:
        """Was this key check made by this master key?"""
        try:
            return self._wrapper.open(key_check, _check_place(bank_id)) == _KEY_CHECK
        except DamagedPerson:
            return False


@dataclass(frozen=True, slots=True)
class Slot:
    """The master key, wrapped by a secret that a person keeps. It lies in the bank, useless without the secret.

    Attributes:
        kind: which secret.
        parameters: of the derivation; JSON.
        wrapped: the master key, sealed.
    """

    kind: Literal["passphrase", "recovery"]
    parameters: dict[str, Any]
    wrapped: bytes

    def open(self, secret: str, bank_id: str) -> bytes | None:
        """The master key; None where the secret is not the right one, or the slot is damaged.

        Raises:
            BankError: the secret is none at all, or the derivation is one that this version does not know.
        """
        try:
            return _slot_key(self.kind, secret, self.parameters).open(self.wrapped, _slot_place(bank_id, self.kind))
        except DamagedPerson:
            return None
        except (KeyError, TypeError, ValueError) as exc:
            raise BankError("The bank's record of its keys is damaged; restore a backup") from exc


def passphrase_slot(passphrase: str, vault: Vault, bank_id: str) -> Slot:
    """The master key under a passphrase: Argon2id, the second recommended set of RFC 9106 (64 MiB, 3 passes)."""
    parameters = {
        "kdf": "argon2id",
        "salt": base64.b64encode(os.urandom(16)).decode(),
        "iterations": 3,
        "lanes": 4,
        "memory_kib": 64 * 1024,
    }
    return _make_slot("passphrase", passphrase, parameters, vault, bank_id)


def recovery_slot(recovery_key: str, vault: Vault, bank_id: str) -> Slot:
    """The master key under a recovery key: HKDF-SHA256, since the key is random already."""
    parameters = {"kdf": "hkdf-sha256", "salt": base64.b64encode(os.urandom(16)).decode()}
    return _make_slot("recovery", recovery_key, parameters, vault, bank_id)


def new_key() -> bytes:
    """32 random bytes."""
    return os.urandom(KEY_BYTES)


def new_recovery_key() -> str:
    """A recovery key as it is printed: 32 letters and digits in eight groups."""
    text = base64.b32encode(os.urandom(RECOVERY_BYTES)).decode()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def key_to_text(key: bytes) -> str:
    """A key as key files and `VISAGE_MASTER_KEY` hold it: base64."""
    return base64.b64encode(key).decode()


def key_from_text(text: str) -> bytes:
    """The inverse of `key_to_text`.

    Raises:
        BankError: it is none.
    """
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise BankError("The master key is no key: it must be 32 bytes in base64, 44 characters")
    return key


def _make_slot(
    kind: Literal["passphrase", "recovery"], secret: str, parameters: dict[str, Any], vault: Vault, bank_id: str
) -> Slot:
    key = _slot_key(kind, secret, parameters)
    return Slot(kind, parameters, key.seal(vault.master_key, _slot_place(bank_id, kind)))


def _slot_key(kind: str, secret: str, parameters: dict[str, Any]) -> DataKey:
    salt = base64.b64decode(parameters["salt"], validate=True)
    if kind == "passphrase" and parameters["kdf"] == "argon2id":
        argon2id = Argon2id(
            salt=salt,
            length=KEY_BYTES,
            iterations=parameters["iterations"],
            lanes=parameters["lanes"],
            memory_cost=parameters["memory_kib"],
        )
        return DataKey(argon2id.derive(unicodedata.normalize("NFC", secret).encode()))
    if kind == "recovery" and parameters["kdf"] == "hkdf-sha256":
        hkdf = HKDF(SHA256(), KEY_BYTES, salt=salt, info=b"visage recovery key")
        return DataKey(hkdf.derive(_recovery_bytes(secret)))
    raise ValueError(kind)


def _recovery_bytes(text: str) -> bytes:
    letters = "".join(text.split()).replace("-", "").upper().replace("0", "O").replace("1", "I").replace("8", "B")
    try:
        key = base64.b32decode(letters)
    except binascii.Error:
        key = b""
    if len(key) != RECOVERY_BYTES:
        raise BankError("That is no recovery key: it has 32 letters and digits, in eight groups of four")
    return key


def _key_place(person_id: str) -> Place:
    return Place(person_id, person_id, "persons.key")


def _check_place(bank_id: str) -> Place:
    return Place("", bank_id, "vault.key_check")


def _slot_place(bank_id: str, kind: str) -> Place:
    return Place("", bank_id, f"key_slots.{kind}")
