"""The master key: where it comes from, and how it is changed without ever being the only thing that is half done.

A key file is renamed into place only when the bank is sealed by what is in it. Until then the new key lies beside it
(`master.key.new`), so that at any moment one of the two opens the bank. A `master.key` without a bank therefore tells
that the bank was there, and is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from visage import durable
from visage.errors import BankError, DamagedPerson
from visage.storage.vault import (
    Slot,
    Vault,
    key_from_text,
    key_to_text,
    new_key,
    passphrase_slot,
)

log = logging.getLogger("visage")

KEY_FILE_NAME = "master.key"
MIN_PASSPHRASE = 8
_LOOKED_AT = 72
"""Characters; the time that it takes grows with them."""

_HOLDS = 3

_HEADER = "# The master key of this Visage. Whoever has it and visage.db can read the bank; without it nobody can.\n"


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where the master key comes from: the first of these that is set.

    Attributes:
        master_key: itself, in base64.
        passphrase: opens it.
        file: holds it; None for `master.key` in the data directory.
    """

    master_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    file: Path | None = None

    def key_file(self, data_dir: Path) -> KeyFile:
        """The file, whether the key comes from there or not."""
        return KeyFile(self.file or data_dir / KEY_FILE_NAME)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A master key in a file: base64 in one line; lines that begin with # are remarks."""

    path: Path

    @property
    def draft(self) -> Path:
        """Where a key lies until the bank is sealed by it."""
        return self.path.with_name(self.path.name + ".new")

    def read(self) -> bytes | None:
        """The key; None where there is no file.

        Raises:
            BankError: it cannot be read, or holds no key.
        """
        return _read(self.path)

    def candidates(self) -> list[bytes]:
        """The keys in the file and in the draft, as far as they can be read."""
        found = []
        for path in (self.path, self.draft):
            try:
                key = _read(path)
            except BankError:
                continue
            if key is not None:
                found.append(key)
        return found

    def write_draft(self, key: bytes) -> None:
        """Keep a key beside the file, on disk when this returns.

        Raises:
            BankError: it cannot be written.
        """
        try:
            durable.create(self.draft, f"{_HEADER}{key_to_text(key)}\n".encode())
        except OSError as exc:
            raise BankError(f"The key file {self.path.name} cannot be written: {exc.strerror}") from exc

    def settle(self) -> None:
        """Make the draft, if there is one, the file. The bank is sealed by it already: where that fails, the draft
        goes on opening it, and the next start tries again."""
        try:
            if self.draft.exists():
                self.draft.replace(self.path)
                durable.sync(self.path.parent)
        except OSError as exc:
            log.warning(
                "The key file %s cannot be written: %s. The bank's key is in %s",
                self.path.name,
                exc.strerror,
                self.draft.name,
            )

    def remove(self) -> None:
        """Overwrite and remove the file and the draft.

        Raises:
            BankError: one of them is still there.
        """
        if self.path.is_symlink():
            log.warning("%s was a link; remove yourself what it led to, an old key of this bank", self.path.name)
        for path in (self.path, self.draft):
            erase_file(path)

    def find(self, record: KeyRecord) -> Vault | None:
        """The key that opens a bank, from the file or the draft; the two are brought in order.

        Raises:
            BankError: the file holds no key, or there is a key and it is another bank's.
        """
        key = self.read()
        if key is not None and record.fits(Vault(key)):
            erase_file(self.draft)  # a change of key that was cut short before the bank knew of it
            return Vault(key)
        try:
            new = _read(self.draft)
        except BankError:
            new = None
        if new is not None and record.fits(Vault(new)):
            self.settle()
            return Vault(new)
        if key is None and new is None:
            return None
        raise BankError(
            f"The key in {self.path.name} is not this bank's key. Put back the right one, or run `visage key recover`"
        )


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What a bank knows of its key.

    Attributes:
        bank_id: random.
        key_check: made by the key.
        slots: secrets that open it.
        wrapped: some persons' keys, by id; they know the key again should the check be damaged.
    """

    bank_id: str
    key_check: bytes
    slots: Sequence[Slot]
    wrapped: Sequence[tuple[str, bytes]]

    def fits(self, vault: Vault) -> bool:
        """Is this the bank's key?"""
        if vault.fits(self.bank_id, self.key_check):
            return True
        for person_id, wrapped in self.wrapped:
            try:
                vault.key(person_id, wrapped)
            except DamagedPerson:
                continue
            log.warning("The bank's key check is damaged; its key opens it nevertheless")
            return True
        return False

    def slot(self, kind: str) -> Slot | None:
        """The slot of a kind, if there is one."""
        return next((slot for slot in self.slots if slot.kind == kind), None)


def first_key(source: KeySource, data_dir: Path) -> Vault:
    """The key for a bank that has none yet. A new one lies in the draft of the key file until `KeyFile.settle`.

    Raises:
        BankError: what is set is no key, or a file cannot be written.
    """
    if source.master_key is not None:
        return Vault(key_from_text(source.master_key))
    if source.passphrase is not None:
        check_passphrase(source.passphrase)
        return Vault(new_key())
    file = source.key_file(data_dir)
    if (key := file.read()) is not None:
        return Vault(key)
    key = new_key()
    file.write_draft(key)
    return Vault(key)


def first_slots(source: KeySource, vault: Vault, bank_id: str) -> list[Slot]:
    """The slots of a bank that is new: one where a passphrase is to open it."""
    if source.master_key is None and source.passphrase is not None:
        return [passphrase_slot(source.passphrase, vault, bank_id)]
    return []


def unlock(source: KeySource, data_dir: Path, record: KeyRecord) -> Vault:
    """The key of a bank.

    Raises:
        BankError: it is missing or wrong; the words say what to do.
    """
    if source.master_key is not None:
        vault = Vault(key_from_text(source.master_key))
        if not record.fits(vault):
            raise BankError("VISAGE_MASTER_KEY is not this bank's key. Set the right one")
        return vault
    slot = record.slot("passphrase")
    if source.passphrase is not None:
        if slot is None:
            raise BankError(
                "This bank is not protected by a passphrase. Unset VISAGE_PASSPHRASE, or run `visage key passphrase`"
            )
        key = slot.open(source.passphrase, record.bank_id)
        if key is None:
            raise BankError("The passphrase is wrong. If it is lost, run `visage key recover`")
        return Vault(key)
    if slot is not None:
        raise BankError("This bank is protected by a passphrase. Set VISAGE_PASSPHRASE")
    file = source.key_file(data_dir)
    found = file.find(record)
    if found is None:
        raise BankError(
            f"The key of this bank is missing: there is no file {file.path.name}. Put it back from your copy, or run "
            "`visage key recover`"
        )
    return found


def recovered_key(record: KeyRecord, recovery_key: str) -> bytes:
    """The master key, by the recovery key.

    Raises:
        BankError: there is none, or it is another.
    """
    slot = record.slot("recovery")
    if slot is None:
        raise BankError("This bank has no recovery key, or its key was changed after that was printed")
    key = slot.open(recovery_key, record.bank_id)
    if key is None:
        raise BankError("That is not this bank's recovery key; compare it with the paper letter by letter")
    return key


def check_passphrase(passphrase: str) -> None:
    """Would it hold, should somebody have the file and try what people choose?

    Raises:
        BankError: it would not.
    """
    if len(passphrase) < MIN_PASSPHRASE:
        raise BankError(f"The passphrase is too short: at least {MIN_PASSPHRASE} characters; four words are good")
    from zxcvbn import zxcvbn  # noqa: PLC0415 - lists of words that are needed here only

    # Of 0 to 4. From 3 on it takes 10^8 guesses, each of them 64 MiB and a good part of a second (Argon2id).
    found = zxcvbn(passphrase[:_LOOKED_AT])
    if found["score"] < _HOLDS:
        warning = found["feedback"]["warning"] or "It is one of the first that somebody would try."
        raise BankError(
            f"The passphrase is too easy to guess. {warning} Four words that do not belong together are good"
        )


def erase_file(path: Path) -> None:
    """As `durable.erase`.

    Raises:
        BankError: it cannot be.
    """
    try:
        durable.erase(path)
    except OSError as exc:
        raise BankError(f"{path.name} cannot be removed: {exc.strerror}") from exc


def _read(path: Path) -> bytes | None:
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise BankError(f"The key file {path.name} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise BankError(f"The key file {path.name} is damaged. Put it back from your copy") from exc
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    try:
        return key_from_text(lines[0] if len(lines) == 1 else "")
    except BankError as exc:
        raise BankError(f"The key file {path.name} is damaged. Put it back from your copy") from exc
