"""Who may do what: keys, sessions, the audit log and preferences. They belong to an installation, not to a bank."""
