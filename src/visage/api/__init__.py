"""HTTP and WebSocket: the documented interface, and nothing that decides anything."""

PREFIX = "/api/v1"
