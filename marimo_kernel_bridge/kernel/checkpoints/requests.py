"""The checkpoints of a kernel's notebook, for whoever asks: the person's magics, agents' requests, the kernel itself.

Composes saving, restoring and the automatic checkpoints. Imported when something is saved, restored or listed.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from marimo_kernel_bridge.checkpoints.store import Store, shelf_of
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.checkpoints import answers
from marimo_kernel_bridge.kernel.checkpoints.automatic import AutomaticSaving
from marimo_kernel_bridge.kernel.checkpoints.differences import differences, lost_names
from marimo_kernel_bridge.kernel.checkpoints.files import is_changed
from marimo_kernel_bridge.kernel.checkpoints.own_code import OwnCode
from marimo_kernel_bridge.kernel.checkpoints.planning import require_usable
from marimo_kernel_bridge.kernel.checkpoints.restoring import Restoring
from marimo_kernel_bridge.kernel.checkpoints.saving import Origin, save
from marimo_kernel_bridge.protocol.checkpoints import CheckpointSaved, CheckpointSummary

if TYPE_CHECKING:
    import asyncio
    import logging
    from collections.abc import Callable, Collection, Iterator

    from marimo_kernel_bridge.checkpoints.manifest import Manifest
    from marimo_kernel_bridge.checkpoints.store import OpenCheckpoint
    from marimo_kernel_bridge.kernel.cells import Address, Entry
    from marimo_kernel_bridge.kernel.checkpoints.choice import Mode
    from marimo_kernel_bridge.kernel.checkpoints.one_save import Queue
    from marimo_kernel_bridge.kernel.checkpoints.own_code import Interrupts
    from marimo_kernel_bridge.kernel.front_ends import Header
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.kernel.recording import Recording
    from marimo_kernel_bridge.protocol.checkpoints import Restored

DEFAULT_NAME = "saved"
"""The name of a checkpoint that the person gives none."""


class LoadNewer(Protocol):
    """What registers the cells of a document that is newer than a checkpoint."""

    def __call__(self, header: Header, *, saved: bool) -> tuple[str, ...] | None: ...


class File(Protocol):
    """The notebook's file."""

    def path(self) -> str | None: ...


class Host(Protocol):
    """The parts of the kernel that checkpoints use."""

    @property
    def notebook(self) -> NotebookSession: ...

    @property
    def file(self) -> File: ...

    @property
    def queue(self) -> Queue: ...

    @property
    def one_at_a_time(self) -> asyncio.Lock: ...

    @property
    def interrupts(self) -> Interrupts: ...

    @property
    def log(self) -> logging.Logger: ...

    @property
    def recording(self) -> Recording | None: ...

    @property
    def shell(self) -> Any:
        """IPython's shell, for its execution count."""
        ...


class Checkpoints:
    """Saves, restores, lists and deletes the checkpoints of the kernel's notebook."""

    def __init__(
        self,
        host: Host,
        kernel_id: str,
        load_newer: LoadNewer,
        show_outputs: Callable[[Collection[str]], None],
        mode: Mode,
    ) -> None:
        """`load_newer` registers the cells of the document if it is open or its file was saved since, and returns those it has registered.

        `show_outputs` shows the outputs of cells in open documents that have lost theirs.
        """
        self._host = host
        self._kernel_id = kernel_id
        self._load_newer = load_newer
        self._show_outputs = show_outputs
        self._origin: Origin | None = None
        self.offered = False
        """Whether the person has been told of the checkpoints, or has used one."""
        self.automatic = AutomaticSaving(host, lambda: self.store, self.origin, mode)

    @cached_property
    def store(self) -> Store:
        """The checkpoints of this user."""
        return Store()

    def origin(self) -> Origin:
        """Return whose checkpoints they are. They follow a notebook that was renamed. Any thread."""
        path = self._host.file.path() or ""
        known = self._origin
        if known is None or known.notebook != path:
            self._origin = Origin(path, self._kernel_id, shelf_of(path, self._kernel_id))
            if known is not None and path and not (known.notebook and Path(known.notebook).exists()):
                self.store.rename(known.shelf, self._origin.shelf, path)
        assert self._origin is not None
        return self._origin

    # -- saving ------------------------------------------------------------------------------------------------------

    def save(self, name: str = "") -> CheckpointSaved:
        """Save the state of the notebook, while no cell runs but the one that asks. Blocks.

        Raises `BridgeError`: bad_request, disk_full, not_writable.
        """
        begun = time.monotonic()
        manifest, written = save(self._host.notebook, self.store, self.origin(), name or DEFAULT_NAME)
        told = self.store.collect()
        lost = lost_names(manifest, {})
        seconds = round(time.monotonic() - begun, 3)
        return CheckpointSaved(manifest.name, len(_kept(manifest)), written, seconds, lost, tuple(told))

    def save_and_tell(self, name: str) -> str:
        """Save the state of the notebook, and return what the person is told of it. Raises as `save` does."""
        return answers.saved(self.save(name))

    async def save_before_end(self) -> None:
        """Save all as an automatic checkpoint, for a kernel that is about to end itself. Never raises."""
        if (
            self.automatic.mode == "off"
            or not self._host.notebook.loaded
            or not len(self._host.notebook.cells)
        ):
            return
        self.automatic.stop()
        try:
            await self.automatic.finished()
            with OwnCode(self._host.interrupts) as own_code:
                save(self._host.notebook, self.store, self.origin(), "", "automatic", own_code=own_code)
        except Exception:
            self._host.log.exception("The kernel could not save its state before it ends")

    # -- restoring ---------------------------------------------------------------------------------------------------

    async def restore(self, name: str | None, address: Address, *, preview: bool = False) -> Restored:
        """Restore a checkpoint (None: the newest), between runs of cells. `address`: of the request, whose run is open.

        Raises `BridgeError`: no_such_checkpoint, checkpoint_foreign, checkpoint_broken, checkpoint_other_python.
        """
        session, self.offered = self._host.notebook, True
        with self._opened(name) as opened:
            run = session.runs.current
            saved = is_changed(self._host.file.path(), opened.manifest)
            loaded = self._load_newer(address.parent, saved=saved)
            session.runs.resume(run)
            restoring = Restoring(session, opened, address, add=loaded is None)
            if preview:
                result = restoring.preview()
                session.execution.forget(loaded or ())
                return result
            result = await restoring.restore()
        self._show_outputs(result.fresh)
        shell = self._host.shell
        counts = [entry.cell.execution_count or 0 for entry in session.cells]
        shell.execution_count = max([shell.execution_count, *counts])
        return result

    @contextmanager
    def _opened(self, name: str | None) -> Iterator[OpenCheckpoint]:
        """Open a checkpoint of which this Python can use something. What is mapped is not taken from the memory for cells."""
        shelf, recording = self.origin().shelf, self._host.recording
        manifest = self.store.manifest(shelf, name)
        require_usable(manifest)
        room = nullcontext() if recording is None else recording.guard.room_for(manifest.size())
        with room, self.store.open(shelf, manifest.name) as opened:
            yield opened

    def restore_soon(self, name: str | None, entry: Entry) -> None:
        """Restore when no cell runs any more, and show the answer in the cell that asks."""
        notebook = self._host.notebook

        async def restore() -> None:
            try:
                answer = answers.restored(await self.restore(name, entry.address), notebook.cells)
            except BridgeError as refusal:
                answer = str(refusal)
            text = {"name": "stdout", "text": f"{answer}\n"}
            notebook.outputs.append_late(entry, "stream", text)

        notebook.execution.later(restore)

    # -- what there is -----------------------------------------------------------------------------------------------

    def list(self, *, verify: bool = False) -> list[CheckpointSummary]:
        """Return the checkpoints of the notebook, newest first. Any thread.

        `verify`: whether all of their data is as it was saved, which reads it, and also those that cannot be used.
        """
        shelf = self.origin().shelf
        states = self.store.verify(shelf) if verify else {}
        said = {name: answers.state(why) for name, why in states.items()}
        found = [
            CheckpointSummary(
                manifest.name,
                manifest.kind,
                manifest.at,
                len(_kept(manifest)),
                manifest.size(),
                lost_names(manifest, {}),
                manifest.python,
                tuple(differences(manifest)),
                said.pop(manifest.name, ""),
            )
            for manifest in self.store.manifests(shelf)
        ]
        unusable = [CheckpointSummary(name, "named", 0.0, 0, 0, verified=why) for name, why in said.items()]
        return [*found, *unusable]

    def listing(self) -> str:
        """Return the list of checkpoints as the person sees it."""
        return answers.listed(self.list())

    def verified(self) -> str:
        """Return whether each checkpoint is as it was saved, as the person sees it. Reads all of their data."""
        return answers.verified(self.store.verify(self.origin().shelf))

    def delete(self, name: str) -> None:
        """Delete a checkpoint. Any thread. Raises `BridgeError`: no_such_checkpoint."""
        self.store.delete(self.origin().shelf, name)

    def offer(self) -> str:
        """Return a sentence about the newest checkpoint; empty if there is none that can be used."""
        try:
            newest = next(iter(self.store.manifests(self.origin().shelf)), None)
        except (BridgeError, OSError):
            return ""
        if newest is None or not (kept := _kept(newest)):
            return ""
        return answers.offer(newest.at, len(kept), len(newest.cells))


def _kept(manifest: Manifest) -> list[str]:
    """Return the ids of the cells whose values a checkpoint has."""
    names = {name for group in manifest.groups for name in group.names}
    return [
        cell.cell_id for cell in manifest.cells if cell.key and (cell.live or names.issuperset(cell.defines))
    ]
