"""The writing of a named checkpoint: all fresh values of a notebook, at once.

`automatic` writes in idle time; both share how a manifest is made. Main thread only.
"""

from __future__ import annotations

import platform
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from marimo_kernel_bridge.checkpoints.manifest import BlobStream, Extras, Lost, Manifest, SavedGroup
from marimo_kernel_bridge.kernel.checkpoints.capture import (
    PROCESS,
    STATE,
    Captured,
    capture,
    capture_outputs,
    capture_process,
)
from marimo_kernel_bridge.kernel.checkpoints.pickling import (
    OUT_OF_BAND,
    PickledGroup,
    Pickling,
    pickle_groups,
)
from marimo_kernel_bridge.runtime.interface import plain_name
from marimo_kernel_bridge.startup.working_directory import working_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marimo_kernel_bridge.checkpoints.manifest import Kind, PackedStream, SavedBuffer
    from marimo_kernel_bridge.checkpoints.store import Saving, Store
    from marimo_kernel_bridge.kernel.checkpoints.own_code import OwnCode
    from marimo_kernel_bridge.kernel.checkpoints.pickling import Refusal
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.notebook import Output


@dataclass(frozen=True)
class Origin:
    """Whose checkpoints they are: the notebook's path (may be empty), the kernel's id, and the shelf in the store."""

    notebook: str
    kernel_id: str
    shelf: str


def save(
    session: NotebookSession,
    store: Store,
    origin: Origin,
    name: str,
    kind: Kind = "named",
    *,
    own_code: OwnCode | None = None,
) -> tuple[Manifest, int]:
    """Save the fresh values of a notebook. Return what was saved and the bytes that were new. Blocks.

    `own_code` ends that of a value that does not come back; without, an interrupt ends the save.

    Raises `BridgeError`: disk_full, not_writable.
    """
    captured = capture(session, origin.notebook)
    namespace = session.runtime.values
    pickled, refused, _ = pickle_groups(captured.values, namespace, own_code)
    with store.saving(origin.shelf, name, kind) as saving:
        groups = [written(saving, group, captured) for group in pickled]
        outputs = capture_outputs(session)
        manifest = manifest_of(
            session,
            saving,
            origin,
            captured,
            kind=kind,
            groups=groups,
            lost=lost_of(refused, captured),
            outputs=_blob(saving, encoded(outputs)) if outputs else None,
        )
        return saving.commit(manifest), saving.bytes_written


def written(saving: Saving, group: PickledGroup, captured: Captured) -> SavedGroup:
    """Write a group."""
    small = len(group.stream) < OUT_OF_BAND
    stream = saving.pack(group.stream) if small else _stream(_blob(saving, group.stream))
    buffers = [_blob(saving, buffer, raw=not group.offsets) for buffer in group.buffers]
    return saved_group(group, stream, buffers, captured)


def saved_group(
    group: PickledGroup, stream: PackedStream | BlobStream, buffers: Iterable[SavedBuffer], captured: Captured
) -> SavedGroup:
    """Return a group that is written, with the keys of the cells that made it."""
    makers = {captured.makers[name] for name in group.names if name in captured.makers}
    keys = tuple(sorted(captured.keys[maker] for maker in makers))
    return SavedGroup(group.names, stream, tuple(buffers), group.code, group.offsets, keys)


def _stream(blob: SavedBuffer) -> BlobStream:
    return BlobStream(blob.digest, blob.size)


def _blob(saving: Saving, data: memoryview | bytes, *, raw: bool = False) -> SavedBuffer:
    writing = saving.write(data, raw=raw)
    while (blob := writing.step()) is None:
        pass
    return blob


def manifest_of(
    session: NotebookSession,
    saving: Saving,
    origin: Origin,
    captured: Captured,
    *,
    kind: Kind,
    groups: Iterable[SavedGroup],
    lost: Iterable[Lost],
    outputs: SavedBuffer | None,
) -> Manifest:
    """Return the manifest of a checkpoint whose groups and outputs are written. Writes what is kept of the process."""
    pickling = Pickling(session.runtime.values)
    pickling.look(PROCESS, capture_process(session))
    process = pickling.pickled([PROCESS])
    kept = [written(saving, process, captured)] if isinstance(process, PickledGroup) else []
    return Manifest(
        name=saving.name,
        kind=kind,
        at=time.time(),
        notebook=origin.notebook,
        kernel_id=origin.kernel_id,
        python=platform.python_version(),
        platform=platform.platform(),
        packages=packages(),
        mode=session.mode,
        strict=session.commands.strict,
        cells=captured.cells,
        superseded=dict(captured.superseded),
        groups=(*groups, *kept),
        lost=tuple(lost),
        absent=captured.absent,
        spent=captured.spent,
        extras=Extras(working_directory(), outputs=outputs, file=captured.file),
    )


def encoded(outputs: Mapping[str, Sequence[Output]]) -> bytes:
    """Return outputs of cells as JSON."""
    return msgspec.json.encode(outputs, enc_hook=str)


def lost_of(refused: Mapping[str, Refusal], captured: Captured) -> list[Lost]:
    """Return the names whose values are not kept, as the person knows them."""
    return [
        Lost(
            plain_name(name.removeprefix(STATE)),
            refusal.kind,
            refusal.reason,
            refusal.path,
            captured.makers.get(name, ""),
        )
        for name, refusal in sorted(refused.items())
    ]


def packages() -> dict[str, str]:
    """Return the versions of the packages that are imported, by module. The notebook's own module is none."""
    tops = sorted({name.partition(".")[0] for name in list(sys.modules)} - {"__main__"})
    found = {name: imported_version(name) for name in tops}
    return {name: version for name, version in found.items() if version is not None}


def imported_version(module: str) -> str | None:
    """Return the version that an imported module has, None if it has none. Imports nothing, lazy modules included."""
    version = getattr(sys.modules.get(module), "__dict__", {}).get("__version__")
    return version if isinstance(version, str) else None
