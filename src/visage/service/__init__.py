"""An installation while it runs: the open bank, the models, and where each of its verbs runs."""
