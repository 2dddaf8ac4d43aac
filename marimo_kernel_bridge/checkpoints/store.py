r"""A folder of checkpoints: signed manifests by notebook, and the blobs that they share.

    <folder>/            0700
      key                32 bytes, 0600: one for each user
      lock               held by who saves or reads (shared), and by who sweeps (alone)
      blobs/<sha256>     0600, never changed once it has this name
      <stem>-<hash of the notebook's path>/NAME.json   "<hmac>\n<json>"

Nothing that a file says is used before its owner, its mode and its signature or hash are right. Does not pickle: what it
gives are bytes that this user has written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from marimo_kernel_bridge.checkpoints.blobs import BlobWriting
    from marimo_kernel_bridge.checkpoints.manifest import (
        Kind,
        Manifest,
        PackedStream,
        SavedBuffer,
        SavedGroup,
    )

FOLDER_VARIABLE: Final = "MARIMO_KERNEL_BRIDGE_CHECKPOINTS"
"""The environment variable that names another folder."""
AUTOMATIC: Final = 3
"""How many automatic checkpoints of a notebook are kept."""


def default_folder() -> Path:
    """Return the folder of this user's checkpoints: that of the environment variable, else in Jupyter's data directory."""
    raise NotImplementedError


def shelf_of(notebook: str, kernel_id: str = "") -> str:
    """Return the name of the folder of a notebook's checkpoints: by its absolute path, else by the kernel's id."""
    raise NotImplementedError


class Store:
    """The checkpoints below a folder, which is made when something is saved.

    Raises `BridgeError`: `no_such_checkpoint`, `checkpoint_foreign` (another's file or key, or others can read or write
    it), `checkpoint_broken` (changed, partial, or of another format), `disk_full`, `not_writable`.
    """

    def __init__(self, folder: Path | None = None, *, quota: int | None = None) -> None:
        """`quota`: the most bytes of all checkpoints; None: 10 GB, or a tenth of what is free on the disk if that is less."""
        raise NotImplementedError

    def shelves(self) -> tuple[str, ...]:
        """Return the notebooks that have checkpoints."""
        raise NotImplementedError

    def manifests(self, shelf: str) -> tuple[Manifest, ...]:
        """Return the checkpoints of a notebook, newest first, without those that cannot be trusted."""
        raise NotImplementedError

    def refused(self, shelf: str) -> dict[str, str]:
        """Return the names of files that are no checkpoints that can be trusted, each with the reason."""
        raise NotImplementedError

    def manifest(self, shelf: str, name: str | None = None) -> Manifest:
        """Return a checkpoint (None: the newest), of which the signature is right."""
        raise NotImplementedError

    def open(self, shelf: str, name: str | None = None, *, verify_buffers: bool = False) -> OpenCheckpoint:
        """Return a checkpoint to restore from, all of whose streams have the hashes that were signed.

        A context manager; what it has mapped outlives it. Buffers are checked for size, owner and mode; for their hashes
        only if `verify_buffers`: an array's bytes hold no pointers and run no code.
        """
        raise NotImplementedError

    def saving(self, shelf: str, name: str, kind: Kind) -> Saving:
        """Return a checkpoint that is being written. A context manager: what is not committed leaves nothing.

        An automatic one gets its name (`auto-1` ...) and replaces the oldest beyond `AUTOMATIC`; give "" for its name.
        A named one replaces that of the same name, when it is committed.
        """
        raise NotImplementedError

    def delete(self, shelf: str, name: str) -> int:
        """Delete a checkpoint, and the blobs that no other one needs. Returns the bytes that became free."""
        raise NotImplementedError

    def rename(self, old: str, new: str, notebook: str) -> None:
        """Give the checkpoints of a notebook to it under its new path. Names that exist there are replaced by newer ones."""
        raise NotImplementedError

    def collect(self) -> tuple[str, ...]:
        """Keep the quota: delete the oldest automatic checkpoints beyond it, and blobs that none refers to.

        Returns what the person must be told: what was deleted, and by how much named ones, which are never deleted, exceed
        the quota. Does nothing while anyone saves or restores.
        """
        raise NotImplementedError

    def room(self) -> int:
        """Return how many bytes an automatic checkpoint may take, if all other automatic ones give way."""
        raise NotImplementedError


class OpenCheckpoint:
    """A verified checkpoint whose blobs are not deleted while it is open."""

    manifest: Manifest

    def read(self, group: SavedGroup) -> tuple[memoryview, list[memoryview]]:
        """Return the stream of a group, verified, and its buffers, mapped privately: writable, copied by page when written."""
        raise NotImplementedError

    def blob(self, blob: SavedBuffer) -> bytes:
        """Return the bytes of a blob (outputs), verified."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        raise NotImplementedError

    def __exit__(self, *_: object) -> None:
        raise NotImplementedError


class Saving:
    """A checkpoint that is being written, in steps that its caller takes when it likes, on any thread."""

    number: int
    name: str
    key_id: str
    bytes_written: int

    def write(self, data: memoryview | bytes) -> BlobWriting:
        """Return the writing of a blob: call its `step()` until it returns the blob."""
        raise NotImplementedError

    def pack(self, stream: bytes) -> PackedStream:
        """Add a small stream (below `SMALL`) to the pack, which `commit` writes."""
        raise NotImplementedError

    def commit(self, manifest: Manifest) -> Manifest:
        """Write the manifest: the checkpoint exists from here on, whole. Returns it with its number, name, key and pack."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        raise NotImplementedError

    def __exit__(self, *_: object) -> None:
        raise NotImplementedError
