"""What an automatic checkpoint keeps: which values, pickled group by group, and which of them must be pickled again.

A value that a cell defines or uses which ran meanwhile is pickled again, so each group is as its cells' last run has left it,
which is what their keys say. `one_save` writes while the kernel is idle, `between_cells` between two cells.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeVar

from marimo_kernel_bridge.checkpoints.manifest import BlobStream
from marimo_kernel_bridge.kernel.checkpoints import LONG
from marimo_kernel_bridge.kernel.checkpoints.pickling import (
    OUT_OF_BAND,
    GivenUpError,
    PickledGroup,
    Pickling,
    Refusal,
)
from marimo_kernel_bridge.kernel.checkpoints.saving import lost_of, manifest_of, saved_group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from marimo_kernel_bridge.checkpoints.manifest import Manifest, SavedBuffer, SavedGroup
    from marimo_kernel_bridge.checkpoints.store import Saving
    from marimo_kernel_bridge.kernel.checkpoints.capture import Captured
    from marimo_kernel_bridge.kernel.checkpoints.own_code import OwnCode
    from marimo_kernel_bridge.kernel.checkpoints.saving import Origin
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession

T = TypeVar("T")

Mode = Literal["costly", "all", "off"]

NOT_YET: Final = Refusal("", "was not written before the next cell began")


class Owner(Protocol):
    """The automatic checkpoints of a notebook, one of which is written."""

    mode: Mode
    given_up: int
    left: dict[str, tuple[Refusal, Mapping[str, float | None]]]
    """Values whose own code was ended, each with the reason and when the cells had run that make or use it."""

    def wrote(self, size: int, seconds: float) -> None: ...

    def seconds_to_write(self, size: int) -> float:
        """Return how long the disk takes for so many bytes."""
        ...

    def is_worth(self, size: int, seconds: float) -> bool:
        """Return whether writing so much takes little of the time that it took to make it."""
        ...


@dataclass
class _Group:
    """A group that is written, and when the cells had run that make or use it."""

    saved: SavedGroup
    ran: Mapping[str, float | None]


class Choice:
    """The groups of one automatic checkpoint: those that are written, and the next one."""

    def __init__(
        self,
        owner: Owner,
        notebook: NotebookSession,
        saving: Saving,
        origin: Origin,
        give_up: Callable[[], bool],
        *,
        own_code: OwnCode,
        begin: Callable[[], None] = lambda: None,
        postpones: bool = False,
    ) -> None:
        """`begin` is called before a value is pickled, and `give_up` asked meanwhile.

        `postpones`: a value that was given up is left out, and the next is tried.
        """
        self._owner = owner
        self._notebook = notebook
        self._saving = saving
        self._origin = origin
        self._postpones = postpones
        self._give_up, self._begin = give_up, begin
        self._own_code = own_code
        self._pickling = Pickling(notebook.runtime.values, self._asked)
        self._groups: dict[tuple[str, ...], _Group] = {}
        self._lost: dict[str, Refusal] = {}
        self._known: set[str] = set()  # values that were looked at
        self._ran: dict[str, float | None] = {}

    async def next(self, captured: Captured) -> PickledGroup | None:
        """Pickle the next group that is not written as it is now; None if all are. Raises `GivenUpError`.

        The event loop has a turn between two values. Nothing may run cells meanwhile.
        """
        wanted = self._wanted(captured)
        begun = {*self._known, *self._pickling.given_up}
        for name in [name for name in begun if name not in wanted or self._ran_since(name)]:
            self._pickling.forget(name)  # its value may be deleted, for want of memory
            self._known.discard(name)
        self._ran = self._runs()
        for name, value in wanted.items():
            if name not in self._known and name not in self._lost:
                await asyncio.sleep(0)
                refusal = self._left(name) or self._tried(partial(self._pickling.look, name, value), [name])
                if isinstance(refusal, Refusal):
                    self._lost[name] = refusal
                else:
                    self._known.add(name)
        groups = self._found()
        self._groups = {
            names: group
            for names, group in self._groups.items()
            if names in groups and group.ran == self.ran_of(names)
        }
        for names in groups:
            if names in self._groups or names[0] in self._lost:
                continue
            await asyncio.sleep(0)
            pickled = self._tried(partial(self._pickling.pickled, names), names)
            if isinstance(pickled, Refusal):
                self._lost |= dict.fromkeys(names, pickled)
                continue
            size = size_of(pickled)
            if not self._owner.is_worth(size, self._seconds(names, captured)):
                reason = f"takes longer to write ({size / 1e6:,.0f} MB) than a tenth of what it took to make"
                self._lost |= dict.fromkeys(names, Refusal("", reason))
                continue
            return pickled
        return None

    def _found(self) -> tuple[tuple[str, ...], ...]:
        """Return the groups; none if there is no time left to see what values share, or their code was ended."""
        groups = self._tried(self._pickling.groups, ())
        if not isinstance(groups, Refusal):
            return groups
        if (
            groups.ended and self._own_code.overdue
        ):  # by whose code is not known: what a person ends is tried again
            self._note_ended(groups, self._known)
        self._lost |= dict.fromkeys(self._known, groups)
        return ()

    def _tried(self, work: Callable[[], T], names: Iterable[str]) -> T | Refusal:
        try:
            self._begin()
            if self._give_up():
                raise GivenUpError  # noqa: TRY301  # as the work raises it
            done = self._own_code.run(work)
        except GivenUpError:
            if not self._postpones:
                raise
            return NOT_YET
        if isinstance(done, Refusal) and done.ended:
            self._note_ended(done, names)
        return done

    def _note_ended(self, refusal: Refusal, names: Iterable[str]) -> None:
        self._owner.left |= {name: (refusal, self.ran_of([name])) for name in names}

    def _asked(self) -> bool:
        return self._own_code.asked(self._give_up)

    def _left(self, name: str) -> Refusal | None:
        """Return why a value is not tried again: its code was ended, and no cell has run since that makes or uses it."""
        refusal, ran = self._owner.left.get(name, (None, None))
        return refusal if ran == self.ran_of([name]) else None

    def leave_out(self, names: Iterable[str]) -> None:
        """Write these values in a later checkpoint."""
        self._lost |= dict.fromkeys(names, NOT_YET)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was left out for a later checkpoint."""
        return NOT_YET not in self._lost.values()

    def add(
        self,
        group: PickledGroup,
        blobs: Sequence[SavedBuffer],
        captured: Captured,
        ran: Mapping[str, float | None],
    ) -> None:
        """Note a group whose parts are written, and when the cells had run before that make or use it."""
        if len(group.stream) < OUT_OF_BAND:
            saved = saved_group(group, self._saving.pack(group.stream), blobs, captured)
        else:
            stream = BlobStream(blobs[0].digest, blobs[0].size)
            saved = saved_group(group, stream, blobs[1:], captured)
        self._groups[group.names] = _Group(saved, ran)

    def manifest(self, captured: Captured, outputs: SavedBuffer | None) -> Manifest | None:
        """Return the manifest of what is written; None if that is nothing."""
        if not self._groups:
            return None
        return manifest_of(
            self._notebook,
            self._saving,
            self._origin,
            captured,
            kind="automatic",
            groups=[group.saved for group in self._groups.values()],
            lost=lost_of(self._lost, captured),
            outputs=outputs,
        )

    def _wanted(self, captured: Captured) -> dict[str, object]:
        """Return the values to keep: of costly cells, and of those above, without which these would be stale."""
        if self._owner.mode == "all":
            return dict(captured.values)
        costly = self._costly(captured)
        cells = costly | self._notebook.runtime.ancestors(*costly) if costly else frozenset[str]()
        return {name: value for name, value in captured.values.items() if captured.makers[name] in cells}

    def _costly(self, captured: Captured) -> frozenset[str]:
        return frozenset(
            cell.cell_id for cell in captured.cells if cell.key and (cell.seconds or 0.0) >= LONG
        )

    def _seconds(self, names: Iterable[str], captured: Captured) -> float:
        """Return how long the costly cells took that would have to run again without these values."""
        makers = {captured.makers[name] for name in names}
        below = makers | self._notebook.runtime.descendants(*makers)
        return sum(
            cell.seconds or 0.0 for cell in captured.cells if cell.cell_id in below & self._costly(captured)
        )

    # -- what ran meanwhile ------------------------------------------------------------------------------------------

    def _runs(self) -> dict[str, float | None]:
        return {entry.cell.cell_id: entry.cell.last_run_at for entry in self._notebook.cells}

    def ran_of(self, names: Sequence[str]) -> dict[str, float | None]:
        """Return when the cells ran that define or use names."""
        nodes, wanted = self._notebook.runtime.nodes(), set(names)
        return {
            entry.cell.cell_id: entry.cell.last_run_at
            for entry in self._notebook.cells
            if (node := nodes.get(entry.cell.cell_id)) is not None
            and not wanted.isdisjoint(node.names.defines | node.names.uses | node.names.local)
        }

    def _ran_since(self, name: str) -> bool:
        """Return whether a cell that defines or uses a name has run since the last look."""
        return any(self._ran.get(cell_id) != at for cell_id, at in self.ran_of([name]).items())


def parts_of(group: PickledGroup) -> list[tuple[memoryview | bytes, bool]]:
    """Return what of a group is written as blobs, each with whether it is raw."""
    stream: list[tuple[memoryview | bytes, bool]] = []
    if len(group.stream) >= OUT_OF_BAND:
        stream.append((group.stream, False))
    return [*stream, *((buffer, not group.offsets) for buffer in group.buffers)]


def size_of(group: PickledGroup) -> int:
    """Return the bytes of a group."""
    return len(group.stream) + sum(buffer.nbytes for buffer in group.buffers)
