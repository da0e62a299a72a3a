"""HTTP and WebSocket: the documented interface, and nothing that decides anything."""
