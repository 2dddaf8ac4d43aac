"""Fast process start: pauses of garbage collection, lazy imports, and cheap checks of what is patched."""
