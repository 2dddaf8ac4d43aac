"""The kernel's side of checkpoints: values as streams of bytes and back, and what of the session is kept."""

from typing import Final

LONG: Final = 5.0
"""Seconds from which a run counts as costly: a restore does not run such a cell, not even for its UI elements."""
