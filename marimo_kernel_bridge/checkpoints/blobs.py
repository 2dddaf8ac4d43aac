"""Blobs: files named by a digest of their bytes, written in steps, mapped privately, and never changed.

The digest is SHA-256, but for raw data: that of arrays, which runs no code and holds no offsets. There it is XXH3 with 128
bits and the user's own secret seed, which takes a twentieth of the time: nobody else can make data of equal names.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.checkpoints.manifest import SavedBuffer
from marimo_kernel_bridge.checkpoints.own_files import broken, new_partial, open_own, refusing, write_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from hashlib import _Hash
    from pathlib import Path

    from xxhash import xxh3_128

STEP: Final = 1 << 20
"""Bytes of a step: up to a millisecond to hash, and less than one to write."""
_PIECE: Final = 1 << 19
"""Bytes that are copied, hashed and written before the next: they stay in the processor's cache."""


class BlobWriting:
    """The writing of one blob, a step at a time.

    Bytes are copied before they are hashed and written: whatever changes them meanwhile, the file is what its name
    says. If a blob of this size is known, the first pass only hashes, and nothing is written if the blob exists.
    """

    def __init__(
        self,
        folder: Path,
        data: memoryview | bytes,
        written: Callable[[int], None],
        *,
        known: bool,
        seed: int | None = None,
    ) -> None:
        """`written` gets the number of bytes of a blob that is new. `known`: a blob of this size exists, maybe this one.

        `seed`: the data is raw, and its digest made with this seed.
        """
        self._folder = folder
        self._data = memoryview(data).cast("B")
        self._written = written
        self._at = 0
        self._seed = seed
        self._hash = _new_hash(seed)
        self._copy = memoryview(b"")
        self._descriptor: int | None = None
        self._partial: Path | None = None
        if not known:
            self._begin_file()

    def step(self) -> SavedBuffer | None:
        """Hash and write the next `STEP` bytes; the last step syncs and renames the file, and returns the blob.

        May be called on another thread than the former step: hashing, writing and syncing release the interpreter.
        Raises `BridgeError`: disk_full, not_writable; the partial file is gone then.
        """
        end = min(self._at + STEP, len(self._data))
        try:
            with refusing(self._folder):
                while self._at < end:
                    piece = self._data[self._at : min(self._at + _PIECE, end)]
                    if self._descriptor is not None:
                        piece = self._copied(piece)
                        write_all(self._descriptor, piece)
                    self._hash.update(piece)
                    self._at += len(piece)
                return self._end() if self._at >= len(self._data) else None
        except BaseException:
            self.discard()
            raise

    def _copied(self, piece: memoryview) -> memoryview:
        copy = self._copy[: len(piece)]
        copy[:] = piece
        return copy

    def _end(self) -> SavedBuffer | None:
        blob = SavedBuffer(self._hash.hexdigest(), len(self._data))
        path = self._folder / blob.digest
        if _size_of(path) == blob.size:
            self.discard()
            self._data = memoryview(b"")  # of a value that may be deleted before the checkpoint is whole
            return blob
        if self._descriptor is None or self._partial is None:  # hashed only
            self._at, self._hash = 0, _new_hash(self._seed)
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
        self._copy = memoryview(bytearray(min(len(self._data), _PIECE)))

    def discard(self) -> None:
        """Give up: remove the partial file. Harmless after the last step."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)
            self._partial = None


def _new_hash(seed: int | None) -> _Hash | xxh3_128:
    if seed is None:
        return hashlib.sha256()
    from xxhash import xxh3_128  # noqa: PLC0415  # a server lists checkpoints without

    return xxh3_128(seed=seed)


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def mapped(folder: Path, blob: SavedBuffer, *, verify: bool, seed: int | None = None) -> memoryview:
    """Return the bytes of a blob, mapped privately: writable, each page copied when it is written.

    Raises `BridgeError`: checkpoint_foreign, checkpoint_broken. Its digest is compared only if `verify`; `seed` as in `BlobWriting`.
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
    if verify:
        digest = _new_hash(seed)
        digest.update(view)
        if digest.hexdigest() != blob.digest:
            raise broken(path, "it was changed after it was saved")
    return view
