"""Blobs: files named by the SHA-256 of their bytes, written in steps, mapped privately, and never changed."""

from __future__ import annotations

import hashlib
import mmap
import os
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.checkpoints.manifest import SavedBuffer
from marimo_kernel_bridge.checkpoints.own_files import broken, new_partial, open_own, refusing, write_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEP: Final = 1 << 20
"""Bytes of a step: about a millisecond to hash, and one to write."""


class BlobWriting:
    """The writing of one blob, a step at a time.

    Each step copies its bytes before it hashes and writes them: whatever changes them meanwhile, the file is what its name
    says. If a blob of this size is known, the first pass only hashes, and nothing is written if the blob exists.
    """

    def __init__(
        self, folder: Path, data: memoryview | bytes, written: Callable[[int], None], *, known: bool
    ) -> None:
        """`written` gets the number of bytes of a blob that is new. `known`: a blob of this size exists, maybe this one."""
        self._folder = folder
        self._data = memoryview(data).cast("B")
        self._written = written
        self._at = 0
        self._hash = hashlib.sha256()
        self._descriptor: int | None = None
        self._partial: Path | None = None
        if not known:
            self._begin_file()

    def step(self) -> SavedBuffer | None:
        """Hash and write the next `STEP` bytes; the last step syncs and renames the file, and returns the blob.

        May be called on another thread than the former step: hashing, writing and syncing release the interpreter.
        Raises `BridgeError`: disk_full, not_writable; the partial file is gone then.
        """
        chunk = bytes(self._data[self._at : self._at + STEP])
        self._hash.update(chunk)
        self._at += len(chunk)
        try:
            with refusing(self._folder):
                if self._descriptor is not None:
                    write_all(self._descriptor, chunk)
                return self._end() if self._at >= len(self._data) else None
        except BaseException:
            self.discard()
            raise

    def _end(self) -> SavedBuffer | None:
        blob = SavedBuffer(self._hash.hexdigest(), len(self._data))
        path = self._folder / blob.digest
        if _size_of(path) == blob.size:
            self.discard()
            self._data = memoryview(b"")  # of a value that may be deleted before the checkpoint is whole
            return blob
        if self._descriptor is None or self._partial is None:  # hashed only
            self._at, self._hash = 0, hashlib.sha256()
            self._begin_file()
            return None
        os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = None
        self._partial.replace(path)
        self._partial = None
        self._data = memoryview(b"")
        self._written(blob.size)
        return blob

    def _begin_file(self) -> None:
        with refusing(self._folder):
            self._descriptor, self._partial = new_partial(self._folder)

    def discard(self) -> None:
        """Give up: remove the partial file. Harmless after the last step."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)
            self._partial = None


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def mapped(folder: Path, blob: SavedBuffer, *, verify: bool) -> memoryview:
    """Return the bytes of a blob, mapped privately: writable, each page copied when it is written.

    Raises `BridgeError`: checkpoint_foreign, checkpoint_broken. Its hash is compared only if `verify`.
    """
    path = folder / blob.digest
    try:
        descriptor = open_own(path)
    except FileNotFoundError as error:
        raise broken(path, "it is missing") from error
    try:
        if os.fstat(descriptor).st_size != blob.size:
            raise broken(path, "it is not whole")
        view = memoryview(
            mmap.mmap(descriptor, blob.size, access=mmap.ACCESS_COPY) if blob.size else bytearray()
        )
    finally:
        os.close(descriptor)
    if verify and hashlib.sha256(view).hexdigest() != blob.digest:
        raise broken(path, "it was changed after it was saved")
    return view
