"""A checkpoint that is restored from: its streams are verified when it is opened, before anything of it is used."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from marimo_kernel_bridge.checkpoints.blobs import mapped
from marimo_kernel_bridge.checkpoints.manifest import BlobStream, Manifest, SavedBuffer

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from marimo_kernel_bridge.checkpoints.manifest import SavedGroup


class OpenCheckpoint:
    """A verified checkpoint whose blobs are not deleted while it is open. `mapped` counts the bytes of its mapped buffers."""

    def __init__(self, blobs: Path, manifest: Manifest, seed: int, *, verify_buffers: bool) -> None:
        """`seed` is that of the digests of raw data."""
        self.manifest = manifest
        self.mapped = 0
        self._blobs = blobs
        self._seed = seed
        self._verify_buffers = verify_buffers
        self._held = ExitStack()
        self._pack = bytes(self._verified(manifest.pack)) if manifest.pack is not None else b""
        for group in manifest.groups:
            self._stream(group)
            self._buffers(group)

    def until_closed(self, held: ExitStack) -> None:
        """Hold something (the lock) until the checkpoint is closed."""
        self._held = held

    def read(self, group: SavedGroup) -> tuple[bytes, list[memoryview]]:
        """Return the stream of a group, verified, and its buffers, mapped privately: writable, copied by page when written."""
        buffers = self._buffers(group)
        self.mapped += sum(buffer.nbytes for buffer in buffers)
        return bytes(self._stream(group)), buffers

    def blob(self, blob: SavedBuffer) -> bytes:
        """Return the bytes of a blob (outputs), verified."""
        return bytes(self._verified(blob))

    def _stream(self, group: SavedGroup) -> memoryview:
        stream = group.stream
        if isinstance(stream, BlobStream):
            return self._verified(SavedBuffer(stream.digest, stream.size))
        return memoryview(self._pack)[stream.offset : stream.offset + stream.size]

    def _buffers(self, group: SavedGroup) -> list[memoryview]:
        verify, seed = self._verify_buffers or group.verified, None if group.verified else self._seed
        return [mapped(self._blobs, buffer, verify=verify, seed=seed) for buffer in group.buffers]

    def _verified(self, blob: SavedBuffer) -> memoryview:
        return mapped(self._blobs, blob, verify=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()
