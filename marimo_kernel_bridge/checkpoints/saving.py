"""A checkpoint that is being written: its blobs one by one, its manifest at the end."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import msgspec

from marimo_kernel_bridge.checkpoints.blobs import BlobWriting
from marimo_kernel_bridge.checkpoints.manifest import Manifest, PackedStream, SavedBuffer
from marimo_kernel_bridge.checkpoints.own_files import deleted_meanwhile, refusing, sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Self

    from marimo_kernel_bridge.checkpoints.manifest import Kind

AUTOMATIC_NAME: Final = "auto-"
"""What the names of automatic checkpoints begin with; their number follows."""


class Saving:
    """A checkpoint that is being written, in steps that its caller takes when it likes, on any thread."""

    def __init__(
        self,
        blobs: Path,
        name: str,
        kind: Kind,
        earlier: Sequence[Manifest],
        write_manifest: Callable[[Manifest], None],
        *,
        seed: int,
    ) -> None:
        """`earlier` are the checkpoints of the notebook. An automatic one gets its name from its number.

        `seed` is that of the digests of raw data.
        """
        self.number = 1 + max((manifest.number for manifest in earlier), default=0)
        self.name = name if kind == "named" else f"{AUTOMATIC_NAME}{self.number}"
        self.bytes_written = 0
        self._blobs = blobs
        self._kind: Kind = kind
        self._write_manifest = write_manifest
        self._seed = seed
        self._known = {blob.size for manifest in earlier for blob in manifest.blobs()}
        self._pack = bytearray()
        self._writings: list[BlobWriting] = []
        self._held = ExitStack()

    def until_closed(self, held: ExitStack) -> None:
        """Hold something (the lock) until the checkpoint is closed."""
        self._held = held

    def write(self, data: memoryview | bytes, *, raw: bool = False) -> BlobWriting:
        """Return the writing of a blob: call its `step()` until it returns the blob.

        `raw`: it can run no code and holds no offsets, and is not verified whenever it is read.
        """
        known = len(memoryview(data).cast("B")) in self._known
        seed = self._seed if raw else None
        self._writings.append(BlobWriting(self._blobs, data, self._count, known=known, seed=seed))
        return self._writings[-1]

    def pack(self, stream: bytes) -> PackedStream:
        """Add a small stream to the pack, which `commit` writes: one file for all instead of one for each."""
        packed = PackedStream(len(self._pack), len(stream))
        self._pack += stream
        return packed

    def commit(self, manifest: Manifest) -> Manifest:
        """Write the manifest: the checkpoint exists from here on, whole. Returns it with its number, name and pack.

        Raises `BridgeError`: disk_full, not_writable, also if files of it were deleted meanwhile.
        """
        pack: SavedBuffer | None = None
        if self._pack:
            writing = self.write(bytes(self._pack))
            while (pack := writing.step()) is None:
                pass
        committed = msgspec.structs.replace(
            manifest, name=self.name, kind=self._kind, number=self.number, pack=pack
        )
        with refusing(self._blobs):
            sync_folder(self._blobs)
            # Whoever deletes the folder deletes the lock, too, which keeps others from sweeping it.
            if any((self._blobs / blob.digest).stat().st_size != blob.size for blob in committed.blobs()):
                raise deleted_meanwhile(self._blobs)
        self._write_manifest(committed)
        return committed

    def _count(self, size: int) -> None:
        self.bytes_written += size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for writing in self._writings:
            writing.discard()
        self._held.close()
