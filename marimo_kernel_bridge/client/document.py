"""The document that a person has open on a kernel: what a client asks about it, and what it changes there.

Owns one method for each request about documents, all of which are answered while a cell runs. The front end applies the
changes; the kernel replies when it has. Requires an open link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.client.link import ANSWER_BOUND
from marimo_kernel_bridge.client.reads import require_reactive
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.checkpoints import DocumentLoaded
from marimo_kernel_bridge.protocol.document_edits import (
    LONGEST_WAIT,
    Changes,
    Comparison,
    DocumentContent,
    DocumentEdit,
    Proposal,
)
from marimo_kernel_bridge.protocol.notebook import EditorLink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.client.link import KernelLink
    from marimo_kernel_bridge.client.reads import Reads
    from marimo_kernel_bridge.protocol.changes import Change

_LOAD_BOUND: Final = 30.0
"""Seconds: a new kernel imports marimo first, and analyzes all cells."""
_EDITOR_BOUND: Final = 130.0
"""Seconds: marimo's server is imported when it is first used."""
EDIT_BOUND: Final = 20.0
"""Seconds in which a front end applies a change: VS Code's waits up to ten for a pause in the person's typing."""


class Document:
    """The document on one reactive kernel.

    Each request raises `BridgeError`: no_document (none is attached), unsupported_version (an older kernel), not_reactive,
    kernel_dead, kernel_silent, and the codes in its own docstring. After kernel_silent it is not known whether a change was
    made.
    """

    def __init__(self, link: KernelLink, reads: Reads, client_name: str) -> None:
        self._link = link
        self._reads = reads
        self._client_name = client_name
        self._older_after: int | None = (
            None  # the number of restarts after which the kernel refused such requests
        )

    @property
    def unsupported(self) -> bool:
        """Whether the present kernel has refused to know of documents, because it is older."""
        return self._older_after == self._link.restarts

    async def read(self) -> DocumentContent | None:
        """Return the document that is open, unsaved text included; None if none is, or the kernel is older."""
        if self.unsupported:
            return None
        try:
            content = await self._reads.ask(wire.ReadDocument(), DocumentContent)
        except BridgeError as refusal:
            # A kernel that does not know the operation names it.
            if refusal.code == "unsupported_version" or "read_document" in refusal.message:
                self._older_after = self._link.restarts
            elif refusal.code != "no_document":
                raise
            return None
        return content if content.active is not None else None

    async def load(self) -> DocumentLoaded:
        """Have the kernel register the notebook's cells that it does not know, stale; runs nothing.

        Raises `BridgeError`: no_document, bad_notebook, too_large, paused.
        """
        require_reactive(self._link)
        request = wire.encode_request(wire.LoadDocument(client=self._client_name))
        return wire.decode_reply(
            await self._link.ask("shell", wire.REQUEST, request, _LOAD_BOUND), DocumentLoaded
        )

    async def edit(
        self,
        changes: Sequence[Change],
        *,
        run: bool = True,
        propose: bool = False,
        note: str = "",
        dry_run: bool = False,
    ) -> DocumentEdit:
        """Apply a batch of changes in the document wholly or not at all, or with `propose` show them to the person.

        Raises `BridgeError`: no_such_cell, stale_version, bad_request, paused.
        """
        request = wire.EditDocument(
            changes=list(changes),
            run=run,
            propose=propose,
            note=note,
            dry_run=dry_run,
            client=self._client_name,
        )
        return await self._changed(request)

    async def proposal(self, op_id: str, wait: float = 0.0) -> Proposal:
        """Return a proposal; with `wait` when all of it is decided, or after that many seconds.

        Raises `BridgeError` no_such_edit.
        """
        self._require_supported()
        wait = min(wait, LONGEST_WAIT)
        return await self._reads.ask(wire.ReadProposal(op_id=op_id, wait=wait), Proposal, wait + ANSWER_BOUND)

    async def withdraw(self, op_id: str) -> Proposal:
        """Take back what is not decided yet of a proposal. Raises `BridgeError` no_such_edit."""
        self._require_supported()
        return await self._reads.ask(wire.WithdrawProposal(op_id=op_id), Proposal)

    async def compare(self) -> Comparison:
        """Return which cells of the document differ from what ran."""
        self._require_supported()
        return await self._reads.ask(wire.CompareDocument(), Comparison)

    async def sync(self) -> DocumentEdit:
        """Let the front end run what differs from what ran. Raises `BridgeError` paused."""
        return await self._changed(wire.SyncDocument(client=self._client_name))

    async def changes(self, after: int | None) -> Changes:
        """Return what changed after a point; None: since this client last asked."""
        self._require_supported()
        return await self._reads.ask(wire.ReadChanges(after=after, client=self._client_name), Changes)

    async def undo(self, op_id: str) -> DocumentEdit:
        """Apply the inverse of a change. Raises `BridgeError`: no_such_edit, document_changed, paused."""
        return await self._changed(wire.UndoEdit(op_id=op_id, client=self._client_name))

    async def save(self, name: str | None = None) -> DocumentEdit:
        """Let the front end save the document, or with `name` rename its file. Raises `BridgeError` paused."""
        return await self._changed(wire.SaveDocument(name=name, client=self._client_name))

    async def _changed(
        self, request: wire.EditDocument | wire.SyncDocument | wire.UndoEdit | wire.SaveDocument
    ) -> DocumentEdit:
        self._require_supported()
        try:
            return await self._reads.ask(request, DocumentEdit, EDIT_BOUND)
        except BridgeError as refusal:
            if refusal.code != "kernel_silent":
                raise
            raise BridgeError(
                "kernel_silent",
                f"{refusal.message} It is not known whether the document was changed.",
                "Read the document again before you repeat the change: list_cells, diff_since.",
            ) from refusal

    def _require_supported(self) -> None:
        if self.unsupported:
            raise BridgeError(
                "unsupported_version",
                "This kernel is older and knows of no documents; nothing was done.",
                "Ask the person to restart it with the version of marimo-kernel-bridge that this server has.",
            )

    async def open_editor(self, *, app: bool) -> EditorLink:
        """Have the kernel serve marimo's own editor, or its app view; return an address for the person's browser, with a code.

        Raises `BridgeError`: paused, runtime_mismatch.
        """
        require_reactive(self._link)
        request = wire.OpenEditor(app=app, client=self._client_name, redacted=False)
        reply = await self._link.ask("shell", wire.REQUEST, wire.encode_request(request), _EDITOR_BOUND)
        return wire.decode_reply(reply, EditorLink)
