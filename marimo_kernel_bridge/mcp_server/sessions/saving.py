"""The file of a session, written by this process when the kernel has settled, and new code as soon as it runs.

Nothing is written while a front end has the document open, which saves it itself; nor over a file that somebody else has written since, nor
one that a Jupyter server has open for another kernel: then the session has a refusal, which the next answer tells.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.sessions.entries import digest, id_of
from marimo_kernel_bridge.mcp_server.sessions.held_outputs import HeldOutputs
from marimo_kernel_bridge.mcp_server.sessions.unsaved_code import Listing, with_unsaved_code
from marimo_kernel_bridge.notebooks.ipynb import notebook_in
from marimo_kernel_bridge.notebooks.nbformat_json import serialized
from marimo_kernel_bridge.notebooks.whole_files import write_whole
from marimo_kernel_bridge.protocol.names import kernel_id_of
from marimo_kernel_bridge.protocol.regular_files import LARGEST_NOTEBOOK, pinned, read_bytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from marimo_kernel_bridge.client.client import KernelClient
    from marimo_kernel_bridge.client.runs import Run
    from marimo_kernel_bridge.launch.sessions.entries import Session
    from marimo_kernel_bridge.launch.sessions.registry import Registry
    from marimo_kernel_bridge.mcp_server.sessions.text_cells import TextEdits
    from marimo_kernel_bridge.protocol.notebook import Cell, CellWithOutputs

_QUIET: Final = 0.3
"""Seconds from a change on until the kernel is looked at,"""
_SHARE: Final = 30.0
"""or so many times as long as the last look took: who runs one cell after another, in this or another session, waits for little of it;"""
_LONGEST_QUIET: Final = 5.0
"""but no longer."""
_LAST: Final = 2.0
"""Seconds for the last writing, before a server ends."""
_ELSEWHERE: Final = (
    "export_notebook with output writes the kernel's cells to another file. close_notebook with save=false, "
    "then open_notebook, goes on with the file as it is."
)

logger = logging.getLogger(__name__)


async def open_in_servers() -> Mapping[str, str]:
    """Return the notebooks that this user's Jupyter servers have open, by their kernels' ids."""
    from marimo_kernel_bridge.client.discovery import notebooks_by_kernel  # noqa: PLC0415  # urllib is slow to import

    return await notebooks_by_kernel()


class SessionSaver:
    """The writer of one session's file. End it with `close`."""

    def __init__(
        self,
        session: Session,
        client: KernelClient,
        registry: Registry,
        opened: Callable[[], Awaitable[Mapping[str, str]]] = open_in_servers,
        root: Path | None = None,
    ) -> None:
        """`root`: a folder in which the file must be as it is written; code of agents may have moved its path elsewhere."""
        self.session_id = session.id
        self.refusal: BridgeError | None = None
        """Why the file does not have what the kernel has; None if it has."""
        self._told: BridgeError | None = None
        self._path = Path(session.path)
        self._client = client
        # The file gets the notebook as the person would save it, without marks in place of secrets.
        self._reads = client.reads.unredacted()
        self._registry = registry
        self._opened = opened
        self._root = root
        self._known: set[str] = set()
        self._listing = Listing()  # the cells as last read for the file
        self._is_open = False  # in a front end, which saves it itself
        self._held = HeldOutputs()
        self._texts: list[
            tuple[TextEdits, Run | None]
        ] = []  # not in the file yet, with the runs that they follow
        self._saving = asyncio.Lock()
        self._due = asyncio.Event()
        client.runs.on_change(self._due.set)
        self._watching = asyncio.create_task(self._watch())
        self._due.set()  # the kernel may have changed while no server was there

    def close(self) -> None:
        self._watching.cancel()

    async def finish(self) -> None:
        """Write what is not written yet, if the kernel answers soon, or is dead."""
        with suppress(BridgeError, TimeoutError):
            async with asyncio.timeout(_LAST):
                await self.save()
                return
        if self._client.end is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST):
                    await self.rescue()

    async def rescue(self) -> None:
        """If the kernel is dead, write the code that it was given and the file has not. Then `refusal` says what prevented it."""
        if self._is_open or await self._client.liveness() != "dead":
            return
        async with self._saving:
            try:
                async with self._registry.changing(self.session_id):
                    await self._replace_with(self._with_unsaved_code)
                self._listing = Listing(self._listing.cells, time.time())  # now the file has it all
                self._texts = []
            except BridgeError as refusal:
                self.refusal = refusal
                logger.info("The last code of session %s was not written: %s", self.session_id, refusal)

    def news(self) -> str:
        """Return once why the file is not written."""
        if self.refusal is None or self.refusal is self._told:
            return ""
        self._told = self.refusal
        return f"The notebook's file is not written ({self.refusal.code}): {self.refusal}"

    def keep(self, texts: TextEdits, run: Run | None) -> None:
        """Write cells that are no code into the file: next time, and if the run, which adds code beside them, is over."""
        self._texts.append((texts, run))
        self._due.set()

    async def with_kept(self) -> bytes | None:
        """Return the file as it is with the cells that are kept for it, for whoever looks; None if there are none. Writes nothing."""
        if not self._over():
            return None
        async with self._saving:
            session = self._registry.get(self.session_id)
            texts = self._over()
            if session is None or not texts:
                return None
            with suppress(BridgeError):  # which the next answer tells
                cells = await self._held.read((await self._list()).cells, self._reads, anew=False)
                before = await asyncio.to_thread(self._on_disk, session)
                return await asyncio.to_thread(self._merged, before, cells, texts)
        return None

    def _over(self) -> list[tuple[TextEdits, Run | None]]:
        """Return the cells that are kept and whose runs are over."""
        return [kept for kept in self._texts if kept[1] is None or kept[1].over]

    async def save_texts(self, texts: TextEdits) -> None:
        """Write cells that are no code into the file now. Raises as `save` does; then nothing is kept of them."""
        kept = (texts, None)
        self._texts.append(kept)
        try:
            await self.save()
        finally:
            if kept in self._texts:
                self._texts.remove(kept)

    async def save(self, *, quickly: bool = False, listed: Listing | None = None) -> bool:
        """Write the file if the kernel has something else; return whether it was written.

        `quickly`: of cells that have neither run nor changed since they were last read, the outputs are those of then. `listed`: the
        kernel's cells, if they were just read.

        Raises `BridgeError`: notebook_in_use, no_such_notebook, disk_full, bad_request, and those of a kernel that does not answer.
        """
        if self._saving.locked():  # what that writes may be newer
            listed = None
        async with self._saving:
            listing = await self._list() if listed is None else listed
            content = await self._client.document.read()
            self._is_open = content is not None and content.active is not None
            if self._is_open:
                self._held.forget()
                self._listing = listing
                async with self._registry.changing(self.session_id):
                    await asyncio.to_thread(self._note_file)
                return False
            cells = await self._held.read(listing.cells, self._reads, anew=not quickly)
            try:
                async with self._registry.changing(self.session_id):
                    written = await self._write(cells)
            except BridgeError as refusal:
                if self.refusal is None or self.refusal.message != refusal.message:
                    self.refusal = refusal
                raise
            self.refusal, self._listing = None, listing
            if any(cell.notebook_cell_id is None for cell in listing.cells) and await self._settled():
                with suppress(BridgeError):  # only what the next answer says of these cells
                    await self._client.document.load()  # they are the notebook's now
            return written

    async def _write(self, cells: list[CellWithOutputs]) -> bool:
        texts = self._over()
        written = await self._replace_with(lambda before: self._merged(before, cells, texts))
        self._texts = [kept for kept in self._texts if kept not in texts]
        return written

    async def _replace_with(self, make: Callable[[bytes], bytes]) -> bool:
        """Write what is made of the file as it is, in a thread, if that is another one; return whether it is."""
        session = self._registry.get(self.session_id)
        if session is None:  # deleted meanwhile
            return False
        before = await asyncio.to_thread(self._on_disk, session)
        after = await asyncio.to_thread(make, before)
        if after == before:
            return False
        await self._require_not_open_elsewhere()
        # Both digests are noted before the file is written: whoever is stopped between has changed nothing behind the next one's back.
        self._registry.put(msgspec.structs.replace(session, saved=(digest(before), digest(after))))
        await asyncio.to_thread(self._replace, after)
        self._registry.put(msgspec.structs.replace(session, saved=(digest(after),), used=time.time()))
        return True

    def _note_file(self) -> None:
        """Take the file as it is for one that nobody else has written."""
        session = self._registry.get(self.session_id)
        if session is not None:
            with suppress(OSError):
                now = digest(read_bytes(self._path, LARGEST_NOTEBOOK))
                if now not in session.saved:
                    self._registry.put(msgspec.structs.replace(session, saved=(now,)))

    def _on_disk(self, session: Session) -> bytes:
        try:
            content = read_bytes(self._path, LARGEST_NOTEBOOK)
        except OSError as error:
            raise BridgeError(
                "no_such_notebook",
                f"{self._path} cannot be read: {error.strerror}; nothing was written.",
                "export_notebook with output writes the kernel's cells to another file.",
            ) from error
        if digest(content) not in session.saved:
            raise BridgeError(
                "notebook_in_use",
                f"Another program has changed {self._path} since it was read or written here; nothing was written.",
                _ELSEWHERE,
            )
        return content

    def _merged(
        self, before: bytes, cells: list[CellWithOutputs], texts: list[tuple[TextEdits, Run | None]]
    ) -> bytes:
        from marimo_kernel_bridge.exporting.live import id_in_file  # noqa: PLC0415  # a server starts without it
        from marimo_kernel_bridge.exporting.session_file import session_document  # noqa: PLC0415  # likewise

        disk = notebook_in(before, self._path)
        self._known |= {id_in_file(live.cell) for live in cells}
        document = session_document(disk, cells, self._known)
        for edits, run in texts:
            if (added := _added_by(run)) is not None:
                document = edits.applied(document, added)
        return before if document == disk.document else serialized(document).encode()

    def _with_unsaved_code(self, before: bytes) -> bytes:
        disk = notebook_in(before, self._path)
        document, added = with_unsaved_code(disk, self._client.runs.ours, self._listing)
        for edits, run in self._texts:
            new = () if run is None else added.get(run.run_id) or _added_by(run)
            if new is not None:
                document = edits.applied(document, new)
        return before if document == disk.document else serialized(document).encode()

    async def _require_not_open_elsewhere(self) -> None:
        own = Path(self._client.connection.where)
        for kernel_id, notebook in (await self._opened()).items():
            if kernel_id != kernel_id_of(own) and id_of(Path(notebook)) == self.session_id:
                raise BridgeError(
                    "notebook_in_use",
                    f"{self._path} is open in Jupyter, with another kernel; nothing was written.",
                    f"Ask the person to close it there. {_ELSEWHERE}",
                )

    def _replace(self, content: bytes) -> None:
        try:
            with pinned(self._path, self._root) as place:
                write_whole(place, content, overwrite=True)
        except BridgeError as refusal:
            raise BridgeError(
                refusal.code, refusal.message, "export_notebook with output writes to another folder."
            ) from refusal

    async def _watch(self) -> None:
        pause, first = _QUIET, True
        while True:
            await self._due.wait()
            await asyncio.sleep(pause)
            self._due.clear()
            begun = time.monotonic()
            try:
                await self._look()
            except BridgeError as refusal:
                logger.info("The file of session %s was not written: %s", self.session_id, refusal)
                await self.rescue()
            except Exception:
                logger.exception("The file of session %s was not written", self.session_id)
            took = 0.0 if first else time.monotonic() - begun  # the first look imports what it needs
            pause, first = min(max(_QUIET, _SHARE * took), _LONGEST_QUIET), False

    async def _look(self) -> None:
        """Write what the kernel has, if it has settled or there is new code, which may run for hours."""
        settled, listed = await self._settled(), await self._list()
        if listed.codes != self._listing.codes or (settled and self._held.differ(listed.cells)):
            await self.save(quickly=True, listed=listed)
            self._due.set()  # to look at all outputs, when no cell has run or changed since
        elif settled:
            await self.save()

    async def _list(self) -> Listing:
        at = time.time()
        return Listing(tuple(filter(_is_kept, await self._reads.list_cells())), at)

    async def _settled(self) -> bool:
        """Whether nothing runs; what does ends with a change."""
        state = await self._reads.describe()
        return not (state.busy or state.settling or state.queued)


def _is_kept(cell: Cell) -> bool:
    return cell.notebook_cell_id is not None or cell.status != "superseded"


def _added_by(run: Run | None) -> tuple[str, ...] | None:
    """Return the cells that a run has added; None if what it was to do was refused, or is lost."""
    if run is None:
        return ()
    try:
        report = run.edit_report()
    except BridgeError:
        return None
    return report.added if report is not None and report.applied else None
