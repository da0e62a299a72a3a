"""Who comes in: which key, which role, how often."""
