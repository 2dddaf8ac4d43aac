"""Cells that act outside of the notebook, so that two runs are not one: they append to a file, insert rows, send, move files.

Jupyter runs a cell when a person asks for it. Here a cell also runs because what it reads was made again, and because another
needs an object that it makes and that was used up since. For a cell that acts, the latter would be destructive: it would append
once more although nothing that it reads has changed. It is left as it is; who needs the object runs on what there is, as in
Jupyter, and is marked stale.

Judges by what runs have shown of files and databases, and by the text of the cell and of the cells that define the functions
which it calls. Main thread only. Runs and marks nothing.
"""

from __future__ import annotations

import itertools
import os
import re
import types
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.analysis.model import TEXTS_REMEMBERED
from marimo_kernel_bridge.analysis.observations import file_path, is_file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from marimo_kernel_bridge.kernel.versions.observer import CellObserver
    from marimo_kernel_bridge.kernel.versions.swapping import VersionValues
    from marimo_kernel_bridge.kernel.versions.value_flow import Part, ValueFlow

_ACTS: Final = re.compile(
    r"""(?x)
      \.(?:post|put|patch|sendmail|send_message|sendall|sendto|publish)\( | \b(?:requests|httpx|client|session)\.delete\(
    | \burlopen\([^)\n]{0,300}\bdata\b | \bto_sql\( | \b(?:wandb|mlflow)\.log
    | (?i:\b(?:insert\s+(?:or\s+\w+\s+)?into|delete\s+from|update\s+[\w."`\[\]]{1,100}\s+set)\b)
    | \b(?:subprocess|asyncio)\.(?:run|call|check_\w+|Popen|getoutput|getstatusoutput|create_subprocess_\w+)\( | \bPopen\(
    | \bos\.(?:system|popen|renames?|replace|remove|unlink|kill|truncate)\( | \bshutil\.(?:move|rmtree)\(
    | \bopen\([^)\n]{0,300}[,=]\s*["'](?:[rwxbt]?a[bt+]{0,2}|[rbt]{1,2}\+[bt]?)["'] | \bmode\s*=\s*["']a[bt+]*["']
    | \.open\(\s*["'][bt]*a[bt+]*["'] | (?i:log\w{0,30}(?:\([^)\n]{0,200}\))?)\.(?:info|warning|error|critical|exception)\(
    | (?:^[ \t]*(?:\w+[ \t]*=[ \t]*)?! | \b(?:system|getoutput|run_\w+_magic)\().{0,200}(?:>>|\b(?:mv|rm|kill|curl|git|pip|scp|ssh)\b)
    """,
    re.MULTILINE,
)
"""Occurs in the text of cells that act. Whether a shell line only lists files, nobody knows; these surely may act."""
_PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes})


@dataclass(frozen=True)
class _Run:
    """A run of an acting cell: its number among all runs, the code, and the states of the versions that it has read."""

    number: int
    code: str
    inputs: Mapping[tuple[str, str], object]


class ActingCells:
    """Which cells act, and which of those need not, or should not, run again although they are stale."""

    def __init__(
        self,
        observer: CellObserver,
        values: VersionValues,
        namespace: Mapping[str, Any],
        flow: Callable[[], ValueFlow | None],
    ) -> None:
        """`namespace` is the one in which all code runs; `flow` returns the present flow of values."""
        self._observer = observer
        self._values = values
        self._namespace = namespace
        self._flow = flow
        self._numbers = itertools.count()
        self._began: dict[str, int] = {}  # the number of each cell's last run
        self._runs: dict[
            str, _Run
        ] = {}  # of acting cells, unless something else than a version has changed since
        self.bystanders: set[str] = set()
        """The acting cells that are stale only because a cell above them ran again for the sake of another."""
        self._on_spent: set[str] = set()  # cells that ran on objects which a later cell has mutated

    def _part(self, cell_id: str) -> Part | None:
        flow = self._flow()
        return None if flow is None else flow.parts.get(cell_id)

    def act(self, cell_id: str) -> bool:
        """Return whether a cell acts outside of the notebook."""
        flow, part = self._flow(), self._part(cell_id)
        if flow is None or part is None:
            return False
        known = self._observer.observations(cell_id)
        if known is not None and any(map(_is_content, known[1].appends)):
            return True
        makers = {
            maker
            for name, maker in part.reads
            if maker in flow.parts and isinstance(self._namespace.get(name), types.FunctionType)
        }
        return any(_acts(flow.parts[each].source.code) for each in {cell_id, *makers})

    def repeats(self, cell_id: str) -> bool:
        """Return whether another run of a cell that reads the same may do harm: it acts, or builds on its own earlier run."""
        if cell_id in self._on_spent or self.act(cell_id):
            return True
        known = self._observer.observations(cell_id)
        return known is not None and any(map(_is_file, known[1].reads & known[1].writes))

    def writes(self, cell_id: str) -> bool:
        """Return whether a cell writes files, as its last run has shown."""
        known = self._observer.observations(cell_id)
        return known is not None and any(map(_is_file, known[1].writes | known[1].appends))

    # -- around a body -----------------------------------------------------------------------------------------------

    def begin(self, cell_id: str) -> None:
        """Note on what a cell is about to run."""
        self._began[cell_id] = next(self._numbers)
        self._runs.pop(cell_id, None)
        self.bystanders.discard(cell_id)
        self._on_spent.discard(cell_id)
        if self._values.consumed and self._reads_spent(cell_id):
            self._on_spent.add(cell_id)

    def succeeded(self, cell_id: str) -> None:
        """Note what a cell has read that has run to its end."""
        part = self._part(cell_id)
        if part is None or cell_id not in self._began or not self.repeats(cell_id):
            return
        inputs = {read: self._state(*read) for read in part.reads if not is_file_name(read[0])}
        self._runs[cell_id] = _Run(self._began[cell_id], part.source.code, inputs)

    def outdated(self, cell_ids: Iterable[str]) -> None:
        """Note that something else than a version has changed for cells: a random generator, a setting, a file."""
        for cell_id in cell_ids:
            self._runs.pop(cell_id, None)
            self.bystanders.discard(cell_id)

    def forget(self, cell_ids: Iterable[str]) -> None:
        """Drop cells that are gone."""
        for cell_id in cell_ids:
            self._began.pop(cell_id, None)
            self._runs.pop(cell_id, None)
            self.bystanders.discard(cell_id)
            self._on_spent.discard(cell_id)

    # -- stale cells -------------------------------------------------------------------------------------------------

    def stand_by(self, cell_ids: Iterable[str]) -> None:
        """Note cells that are stale only because a cell above them ran again for the sake of another."""
        self.bystanders.update(self._runs.keys() & cell_ids)

    def reads_the_same(self, cell_id: str) -> bool:
        """Return whether a stale cell would read what its last run has read: cells above it ran again, and made the same."""
        run, part = self._runs.get(cell_id), self._part(cell_id)
        if run is None or part is None or run.code != part.source.code:
            return False
        return all(
            (self._began.get(maker, -1) < run.number and self._live_state(name, maker) is None)
            or (
                not is_file_name(name)
                and (state := run.inputs.get((name, maker))) is not None
                and state == self._state(name, maker)
            )
            for name, maker in part.reads
        )

    def _state(self, name: str, maker: str) -> object:
        """Return what differs if another version of a name does the same as this one; None if that is unknown."""
        from marimo_kernel_bridge.kernel.versions.object_graph import fingerprint, is_watched  # noqa: PLC0415  # a client waits for the sockets

        if (live := self._live_state(name, maker)) is not None:
            return live
        value = self._values.of(name, maker)
        made_by = self._part(maker)
        code = "" if made_by is None else made_by.source.code
        if type(value) in _PLAIN:
            return type(value), value, code
        if isinstance(value, types.ModuleType):
            return value.__name__, code
        seen = fingerprint(value) if is_watched(value) else None
        return None if seen is None else (seen.state, code)

    def _live_state(self, name: str, maker: str) -> object:
        """Return what differs if a state or an element of marimo has another value, which it gets without a run of its maker.

        So of a function that uses some; None for all other objects.
        """
        from marimo_kernel_bridge.kernel.versions.live_objects import is_marimos  # noqa: PLC0415  # as in `_state`
        from marimo_kernel_bridge.kernel.versions.object_graph import fingerprint  # noqa: PLC0415

        value = self._values.of(name, maker)
        if is_marimos(value):
            return _held_by(value)
        if not isinstance(value, types.FunctionType) or (seen := fingerprint(value)) is None:
            return None
        used = {each: self._namespace.get(each) for code in seen.codes for each in code.co_names}
        return {each: _held_by(one) for each, one in used.items() if is_marimos(one)} or None

    @property
    def ahead(self) -> frozenset[str]:
        """The cells that would not be right if they ran again by themselves."""
        return frozenset(filter(self._reads_spent, self._on_spent))

    def _reads_spent(self, cell_id: str) -> bool:
        flow = self._flow()
        return flow is not None and any(
            self._values.is_consumed(name, maker) and self.act(maker)
            for name, maker in flow.reads_of(cell_id, set())
        )


def _held_by(value: object) -> object:
    """Return what differs if a state or an element of marimo has another value."""
    from marimo_kernel_bridge.kernel.versions.object_graph import fingerprint, is_watched  # noqa: PLC0415  # as in `_state`

    held = vars(value)["_value"]
    if not is_watched(held):
        return type(held), held
    seen = fingerprint(held)
    return object() if seen is None else seen.state  # unknown: it may be another one


def _is_content(name: str) -> bool:
    """Return whether what a cell adds to is a file or the rows of a database, and not the list of what is in a folder."""
    return not file_path(name).endswith(os.sep)


def _is_file(name: str) -> bool:
    """Return whether what a cell builds on is a file: what it has put into a module is taken back before it runs again."""
    return _is_content(name) and os.path.isabs(file_path(name))  # noqa: PTH117  # it is a string


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _acts(code: str) -> bool:
    return _ACTS.search(code) is not None
