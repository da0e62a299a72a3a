"""Where a bank is kept: on disk, sealed, in backups. Implements `visage.bank.store`; nothing above knows which."""
