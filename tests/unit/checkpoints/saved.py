"""Checkpoints of bytes: what a store keeps, without a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.checkpoints.manifest import BlobStream, Manifest, SavedGroup

if TYPE_CHECKING:
    from marimo_kernel_bridge.checkpoints.manifest import Kind, SavedBuffer
    from marimo_kernel_bridge.checkpoints.store import Saving, Store

SHELF = "nb-0123456789abcdef"


def manifest(
    groups: tuple[SavedGroup, ...] = (), *, at: float = 1.0, notebook: str = "/nb.ipynb"
) -> Manifest:
    return Manifest(name="", kind="named", at=at, python="3.11.7", notebook=notebook, groups=groups)


def written(saving: Saving, data: bytes, *, raw: bool = False) -> SavedBuffer:
    writing = saving.write(data, raw=raw)
    while (blob := writing.step()) is None:
        pass
    return blob


def group(
    saving: Saving, name: str, small: bytes = b"", large: bytes = b"", buffers: tuple[bytes, ...] = ()
) -> SavedGroup:
    """Write a group whose stream is small, in the pack, or large, a blob."""
    if large:
        blob = written(saving, large)
        return SavedGroup(
            (name,),
            BlobStream(blob.digest, blob.size),
            tuple(written(saving, each, raw=True) for each in buffers),
        )
    return SavedGroup((name,), saving.pack(small), tuple(written(saving, each, raw=True) for each in buffers))


def save(  # the parts of a checkpoint
    store: Store,
    name: str = "",
    *,
    shelf: str = SHELF,
    small: bytes = b"stream",
    large: bytes = b"",
    buffers: tuple[bytes, ...] = (),
    at: float = 1.0,
) -> Manifest:
    """Save a checkpoint with a small stream, a large one and buffers; automatic, if it has no name."""
    kind: Kind = "named" if name else "automatic"
    with store.saving(shelf, name, kind) as saving:
        groups = [group(saving, "x", small, buffers=buffers)]
        if large:
            groups.append(group(saving, "y", large=large))
        return saving.commit(manifest(tuple(groups), at=at, notebook=f"/{shelf}.ipynb"))


def contents(store: Store, name: str | None = None, shelf: str = SHELF) -> dict[str, list[bytes]]:
    """Return the stream and the buffers of each group of a checkpoint, by name."""
    with store.open(shelf, name) as opened:
        return {
            each.names[0]: [stream, *map(bytes, buffers)]
            for each in opened.manifest.groups
            for stream, buffers in [opened.read(each)]
        }
