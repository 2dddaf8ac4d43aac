"""Blobs: files named by the SHA-256 of their bytes, written in steps and mapped privately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from marimo_kernel_bridge.checkpoints.manifest import SavedBuffer

STEP: Final = 1 << 20
"""Bytes of a step: about a millisecond to hash, and one to write."""


class BlobWriting:
    """The writing of one blob, a step at a time.

    Each step copies its bytes before it hashes and writes them: whatever changes them meanwhile, the file is what its name
    says. If a blob of this size is known, the first pass only hashes, and nothing is written if the blob exists.
    """

    def step(self) -> SavedBuffer | None:
        """Hash and write the next `STEP` bytes; the last step syncs and renames the file, and returns the blob.

        May be called on another thread than the former step: hashing, writing and syncing release the interpreter.
        """
        raise NotImplementedError

    def discard(self) -> None:
        """Give up: remove the partial file. Harmless after the last step."""
        raise NotImplementedError
