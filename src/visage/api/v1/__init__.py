"""The API that `docs/api.md` describes: one file a subject, its schemas beside it."""
