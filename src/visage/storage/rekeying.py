"""Another master key for a bank that is open, and what else opens it."""

from __future__ import annotations

from pathlib import Path

from visage.errors import BankError
from visage.storage.keys import KeyFile, KeySource, check_passphrase, first_slots
from visage.storage.sql import SqlStore
from visage.storage.vault import Vault, new_key, new_recovery_key, recovery_slot


def rotate(store: SqlStore, source: KeySource, data_dir: Path, key: bytes) -> None:
    """Make another master key the bank's, and seal everything anew. A recovery key is void from then on.

    Args:
        store: open.
        source: where the key comes from, as before. Where that is `master_key`, the caller sees to the new one.
        data_dir: of the store.
        key: the new one.

    Raises:
        BankError: nothing was changed.
    """
    vault, (_, bank_id, _) = Vault(key), store.vault()
    slots = first_slots(source, vault, bank_id)
    if slots or source.master_key is not None:
        store.rewrap(vault, slots)
        return
    file = source.key_file(data_dir)
    file.write_draft(key)
    store.rewrap(vault, [])
    file.settle()


def protect(store: SqlStore, data_dir: Path, file: KeyFile, passphrase: str | None) -> None:
    """Let a passphrase open the bank from now on, and no file; or a file, where it is None. The key is a new one.

    Raises:
        BankError: nothing was changed, unless the message says so.
    """
    if passphrase is None:
        rotate(store, KeySource(file=file.path), data_dir, new_key())
    else:
        check_passphrase(passphrase)
        rotate(store, KeySource(passphrase=passphrase), data_dir, new_key())
        try:
            file.remove()
        except BankError as error:
            raise BankError(
                f"The bank opens with the passphrase only, but {error.message}. Remove it yourself: it opens older "
                "backups"
            ) from error


def add_recovery_key(store: SqlStore) -> str:
    """Make a recovery key; the one before is void. It is kept nowhere."""
    vault, bank_id, _ = store.vault()
    recovery_key = new_recovery_key()
    others = [slot for slot in store.slots() if slot.kind != "recovery"]
    store.put_slots([*others, recovery_slot(recovery_key, vault, bank_id)])
    return recovery_key
