"""The notebooks that can be exported: a marimo file, an .ipynb, or the notebook of a running kernel.

Owns reading them and running them for new outputs. Each becomes a `Source`; writes no format.
"""

from __future__ import annotations

import asyncio
import copy
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from marimo_kernel_bridge.client.front_end import opened, started_kernel
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.exporting import description, live
from marimo_kernel_bridge.notebooks.ipynb import Notebook, parse_notebook, read_notebook
from marimo_kernel_bridge.notebooks.marimo_file import MarimoFile, document_of
from marimo_kernel_bridge.notebooks.nbformat_json import source_of
from marimo_kernel_bridge.notebooks.origin import origin_of, origin_path, read_origin
from marimo_kernel_bridge.notebooks.restored import restore
from marimo_kernel_bridge.protocol.names import KERNELSPEC
from marimo_kernel_bridge.protocol.output_log import strip_ansi

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.exporting.description import CellGraph
    from marimo_kernel_bridge.exporting.live import LiveNotebook
    from marimo_kernel_bridge.notebooks.nbformat_json import DocumentJSON, OutputJSON
    from marimo_kernel_bridge.notebooks.origin import Origin
    from marimo_kernel_bridge.notebooks.restored import Restored

LONGEST_CELL = 1800.0
"""The time limit of one cell in seconds."""


@dataclass(frozen=True)
class Source:
    """A notebook to export.

    `document` is the notebook as an .ipynb. `as_written` is the notebook as its file has it: for a marimo file with the
    code of that file, not with the code of the .ipynb that it was imported from. `graph` is empty if it is not known. `failed` names the cells that failed when run.
    """

    name: str
    folder: Path
    document: DocumentJSON
    as_written: DocumentJSON
    graph: Mapping[str, CellGraph] = field(default_factory=dict)
    file: MarimoFile | None = None
    notes: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    live: bool = False
    has_folder: bool = True
    """Whether `folder` is the notebook's: that of a kernel's notebook may not be known."""

    @property
    def notebook(self) -> Notebook:
        """The notebook as the importer reads it. Raises `BridgeError`: bad_notebook.

        Without a path if only a kernel names the folder: the importer reads files of the folder, and imports its modules.
        """
        notebook = parse_notebook(self.folder / f"{self.name}.ipynb", self.document)
        return notebook if self.has_folder else replace(notebook, path=None)


def from_ipynb(path: Path, *, run: bool) -> Source:
    """Read an .ipynb; with `run`, run it on its own kernel first. Raises `BridgeError`."""
    notebook = read_notebook(path)
    source = Source(path.stem, path.parent, notebook.document, notebook.document)
    if not run:
        return source
    spec = notebook.metadata.get("kernelspec")
    kernel = _installed(spec.get("name") if isinstance(spec, dict) else None)
    document = copy.deepcopy(notebook.document)
    cells = [
        (str(cell.get("id") or f"cell-{number}"), source_of(cell))
        for number, cell in enumerate(document["cells"])
        if cell["cell_type"] == "code"
    ]
    shown = asyncio.run(_run(kernel, path.parent, cells))
    codes = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    for number, (cell, outputs) in enumerate(zip(codes, shown, strict=True), start=1):
        cell |= {"outputs": outputs, "execution_count": number}
    return Source(
        path.stem,
        path.parent,
        document,
        document,
        failed=_failed(dict(zip((name for name, _ in cells), shown, strict=True))),
    )


def from_marimo(file: MarimoFile, original: Notebook | None, *, run: bool) -> Source:
    """Return the source for a marimo file; with `run`, run it on this package's kernel first.

    `original` is the .ipynb that it was imported from, if the user named it.

    Raises `BridgeError`.
    """
    native = document_of(file)
    origin = read_origin(file.path) if original is None else _imported(original)
    restored = restore(file, origin) if origin is not None else None
    document = copy.deepcopy(restored.document if restored is not None else native)
    failed: tuple[str, ...] = ()
    if run:
        codes = [(cell["id"], source_of(cell)) for cell in native["cells"] if cell["cell_type"] == "code"]
        shown = asyncio.run(_run(KERNELSPEC, file.path.parent or Path(), codes))
        by_id = dict(zip((name for name, _ in codes), shown, strict=True))
        failed = _failed(by_id)
        _put_outputs(native, document, by_id, restored)
    else:
        _put_saved_outputs(native, file, document, restored)
    return Source(
        file.path.stem,
        file.path.parent,
        document,
        native,
        description.graph_of_file(file.cells),
        file,
        _notes(file, restored),
        failed,
    )


def _imported(original: Notebook) -> Origin:
    """Import the original again; the importer is deterministic."""
    from marimo_kernel_bridge.importing.to_marimo import convert  # noqa: PLC0415  # slow to import
    from marimo_kernel_bridge.marimo_format.reader import read_text  # noqa: PLC0415  # slow to import

    conversion = convert(original)
    path = original.path or Path("notebook.ipynb")
    return origin_of(original, read_text(path.with_suffix(".py"), conversion.text), conversion.positions)


def _notes(file: MarimoFile, restored: Restored | None) -> tuple[str, ...]:
    if restored is None:
        path = origin_path(file.path)
        lost = f"There is no {path}: cell ids, metadata and attachments are new."
        return (f"{lost} If the file was imported, --original NOTEBOOK.ipynb brings them back.",)
    if restored.whole:
        return ("No cell has changed since it was imported: this is the notebook that it was.",)
    notes = []
    if restored.edited:
        notes.append(f"Edited since the import: {', '.join(restored.edited)}.")
    if restored.added:
        notes.append(f"Added since the import: {', '.join(restored.added)}.")
    if restored.gone:
        notes.append(f"Deleted since the import: cells {', '.join(map(str, restored.gone))} of the original.")
    return tuple(notes)


def _put_outputs(
    native: DocumentJSON,
    document: DocumentJSON,
    by_id: Mapping[str, list[OutputJSON]],
    restored: Restored | None,
) -> None:
    """Attach new outputs to their cells; where several cells became one, to the last of them."""
    for number, (name, outputs) in enumerate(by_id.items(), start=1):
        cell = next(cell for cell in native["cells"] if cell["id"] == name)
        cell |= {"outputs": outputs, "execution_count": number}
        places = restored.places.get(name, ()) if restored is not None else ()
        targets = [document["cells"][place] for place in places]
        if restored is None:
            targets = [cell for cell in document["cells"] if cell["id"] == name]
        targets = [cell for cell in targets if cell["cell_type"] == "code"]
        for target in targets:
            last = target is targets[-1]
            target |= {"outputs": outputs if last else [], "execution_count": number}


def _put_saved_outputs(
    native: DocumentJSON,
    file: MarimoFile,
    document: DocumentJSON,
    restored: Restored | None,
) -> None:
    """Attach saved outputs: those of the notebook that the file was imported from, else those of marimo's session file."""
    from marimo_kernel_bridge.marimo_format import session_file  # noqa: PLC0415  # slow to import

    saved = session_file.read(file)
    for cell in native["cells"]:
        places = restored.places.get(cell["id"], ()) if restored is not None else ()
        origins = [document["cells"][place] for place in places]
        outputs = [output for cell in origins for output in cell.get("outputs") or []]
        if cell["cell_type"] == "code":
            cell["outputs"] = outputs or saved.get(cell["id"], [])
            targets = [cell for cell in origins if cell["cell_type"] == "code"]
            if restored is None:
                targets = [target for target in document["cells"] if target["id"] == cell["id"]]
            if targets and not outputs:
                targets[-1]["outputs"] = saved.get(cell["id"], [])


def from_live(notebook: LiveNotebook, name: str, *, has_folder: bool = False) -> Source:
    """Return the source for the notebook that was read from a kernel. `has_folder`: the person named the notebook."""
    folder = notebook.path.parent if notebook.path is not None else Path()
    return Source(
        notebook.path.stem if notebook.path is not None else name,
        folder,
        notebook.document,
        notebook.document,
        description.graph_of_kernel(notebook.cells),
        notes=tuple(notebook.notes()),
        live=True,
        has_folder=has_folder,
    )


async def read_kernel(named: str) -> LiveNotebook:
    """Read the notebook of a kernel, named by connection file, id, or notebook path. Raises `BridgeError`."""
    from marimo_kernel_bridge.client.client import KernelClient  # noqa: PLC0415
    from marimo_kernel_bridge.client.connection import locate, read_connection  # noqa: PLC0415  # only here
    from marimo_kernel_bridge.client.discovery import connection_file_of, notebooks_by_kernel  # noqa: PLC0415

    place = await connection_file_of(named) if named.endswith(".ipynb") else locate(named)
    connection = read_connection(place)
    async with await KernelClient.attach(connection, "export", redacted=False) as client:
        if not client.info.reactive:
            await client.reads.list_cells()  # raises: not_reactive
        notebook = (await client.reads.describe()).notebook
        return await live.read_live(
            client, notebook or (await notebooks_by_kernel()).get(connection.kernel_id)
        )


async def _run(kernel: str, folder: Path, cells: Sequence[tuple[str, str]]) -> list[list[OutputJSON]]:
    """Run cells from top to bottom, also after a failed cell; return the final outputs of each."""
    async with started_kernel(kernel, folder, subprocess.DEVNULL) as manager, opened(manager) as front_end:
        for cell_id, code in cells:
            if code.strip():
                await front_end.run(cell_id, code, bound=LONGEST_CELL)
        shown = front_end.cells
        return [[*shown[cell_id].log.outputs()] if cell_id in shown else [] for cell_id, _ in cells]


def _installed(name: str | None) -> str:
    from jupyter_client.kernelspec import KernelSpecManager  # noqa: PLC0415  # only for --run

    return name if name and name in KernelSpecManager().find_kernel_specs() else KERNELSPEC


def _failed(shown: Mapping[str, list[OutputJSON]]) -> tuple[str, ...]:
    return tuple(
        f"{name}: {strip_ansi(str(output['ename']))}: {strip_ansi(str(output['evalue']))}"
        for name, outputs in shown.items()
        for output in outputs
        if output["output_type"] == "error"
    )


def read_original(path: Path | None) -> Notebook | None:
    """Read the .ipynb that the user names as the origin of a file. Raises `BridgeError`: bad_notebook."""
    return read_notebook(path) if path is not None else None


def not_for_live(what: str) -> BridgeError:
    return BridgeError("bad_request", f"{what} is for files: a kernel is exported as it is.")
