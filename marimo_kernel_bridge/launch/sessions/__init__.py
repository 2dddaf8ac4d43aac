"""Notebooks as sessions: files with a registry entry, and a kernel that outlives the process that started it."""
