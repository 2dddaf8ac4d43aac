"""The place of cells that become one: which cells between them they are not moved past, and so join as well.

A cell is not moved past one that binds or changes what it reads, or that uses the same files. What an iterator, a generator or a
`map` does, it does where it is advanced, so cells that advance one act as those do that make it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.changing_methods import change_by_call
from marimo_kernel_bridge.analysis.name_uses import read_cell
from marimo_kernel_bridge.analysis.object_kinds import root_of
from marimo_kernel_bridge.analysis.plan import Join

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from marimo_kernel_bridge.analysis.plan import Plan
    from marimo_kernel_bridge.importing.prepared import Working

ANY: Final = ""
"""A path that the text does not show."""
_WRITING: Final = frozenset(
    """write_text write_bytes to_csv to_json to_excel to_parquet to_pickle to_html savefig imsave save savez savetxt
    remove unlink rename replace makedirs mkdir rmtree rmdir copyfile copy2 move touch""".split()  # noqa: SIM905  # a list of words
)
_READING: Final = frozenset(
    """read_text read_bytes read_csv read_json read_excel read_parquet read_pickle read_table imread loadtxt genfromtxt
    load exists isfile is_file listdir iterdir glob getsize stat""".split()  # noqa: SIM905  # a list of words
)
_OF_FILES: Final = frozenset({"os", "shutil", "Path", "path", "pathlib"})
_AMBIGUOUS: Final = frozenset(
    {"replace", "copy", "move", "remove", "load", "save", "stat", "exists", "rename"}
)


@dataclass(frozen=True)
class _Acts:
    """What a cell does, with the functions that it names: what they read and change, and which files they use."""

    reads: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()

    def __or__(self, other: _Acts) -> _Acts:
        return _Acts(
            self.reads | other.reads,
            self.changes | other.changes,
            self.files | other.files,
            self.written | other.written,
        )

    def meets(self, other: _Acts, *, certain: bool) -> bool:
        """Return whether the order of two cells matters to files. `certain`: only to files that the text names."""
        return any(
            one == another or (not certain and ANY in {one, another})
            for one, another in (
                *((mine, theirs) for mine in self.written for theirs in other.files),
                *((mine, theirs) for mine in self.files for theirs in other.written),
            )
        )


def closed(request: Join, cells: Sequence[Working], plan: Plan, *, lazy: bool) -> Join:
    """Find a place for the joined cell at which the cells between do and read the same; otherwise join them too.

    `lazy`: the cells advance an iterator that the first one makes.
    """
    makes = [set(cell_plan.defines) for cell_plan in plan.cells]
    gives = [cell_plan.gives for cell_plan in plan.cells]
    acts = _acts_of(cells, range(min(request.cells), max(request.cells) + 1))
    members = set(request.cells)

    def crossed(member: int, index: int) -> bool:
        mine, other = acts[member], acts[index]
        if lazy:
            mine = reduce(_Acts.__or__, (acts[each] for each in members if each <= member))
        return bool(
            makes[member] & (other.reads | makes[index])
            or mine.reads & makes[index]
            or gives[member] & gives[index]
            or (lazy and (mine.changes & other.reads or mine.reads & other.changes))
            or mine.meets(other, certain=not lazy)
        )

    while True:
        between = [index for index in range(min(members), max(members)) if index not in members]
        up = [
            index for index in between if any(crossed(member, index) for member in members if member > index)
        ]
        down = [
            index for index in between if any(crossed(member, index) for member in members if member < index)
        ]
        if not up or not down:
            place = min(members) if not up else max(members)
            return Join(tuple(sorted(members)), place, request.reason)
        members.update(up if len(up) <= len(down) else down)


def _acts_of(cells: Sequence[Working], indices: Iterable[int]) -> dict[int, _Acts]:
    functions: dict[str, list[tuple[ast.AST, _Acts]]] = {}
    for cell in cells:
        names = read_cell(cell.code)
        for node in names.tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                late = {
                    use.name
                    for use in names.occurrences
                    if use.late and use.act == "load" and use.owner == node.name
                }
                acts = _Acts(reads=frozenset(late)) | _by_text(node)
                functions.setdefault(node.name, []).append((node, acts))

    def with_functions(acts: _Acts) -> _Acts:
        seen: set[str] = set()
        while waiting := (acts.reads & functions.keys()) - seen:
            seen |= waiting
            called = [known for name in waiting for _, known in functions[name]]
            acts = reduce(_Acts.__or__, called, acts)
        return acts

    found = {}
    for index in indices:
        names = read_cell(cells[index].code)
        if all(
            isinstance(node, ast.FunctionDef) for node in names.tree.body
        ):  # reads the rest when it is called
            defaults = {use.name for use in names.occurrences if use.act == "load" and use.exposed}
            found[index] = _Acts(reads=frozenset(defaults))
            continue
        reads = {use.name for use in names.occurrences if use.act == "load" and (use.exposed or use.late)}
        own = [node for node in names.tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
        acts = reduce(_Acts.__or__, map(_by_text, own), _Acts(reads=frozenset(reads)))
        found[index] = with_functions(acts)
    return found


def _by_text(node: ast.AST) -> _Acts:
    """Return what code changes, and which files it uses."""
    changes: set[str] = set()
    files: set[str] = set()
    written: set[str] = set()
    for part in ast.walk(node):
        match part:
            case ast.Attribute(value=value, attr=method, ctx=ast.Load()):
                root = root_of(value)
                if root is not None and change_by_call(method, "list", direct=True) is not None:
                    changes.add(root.id)
            case ast.Subscript(ctx=ast.Store()) | ast.Attribute(ctx=ast.Store()):
                root = root_of(part)
                changes |= {root.id} if root is not None else set()
            case ast.Call():
                for path, writes in _files_of(part):
                    files.add(path)
                    written |= {path} if writes else set()
    return _Acts(frozenset(), frozenset(changes), frozenset(files), frozenset(written))


def _files_of(call: ast.Call) -> Iterator[tuple[str, bool]]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "open":
        mode = next(
            (each.value for each in call.keywords if each.arg == "mode"),
            call.args[1]
            if len(call.args) > 1
            else call.args[0]
            if isinstance(call.func, ast.Attribute) and call.args
            else None,
        )
        reads = mode is None or (isinstance(mode, ast.Constant) and not set(str(mode.value)) & set("wax+"))
        yield _path(call), not reads
    elif name in _WRITING | _READING:
        words = {part.id for part in ast.walk(call.func) if isinstance(part, ast.Name)}
        if name not in _AMBIGUOUS or words & _OF_FILES:
            yield _path(call), name in _WRITING


def _path(call: ast.Call) -> str:
    """Return the path in a call, or in the `Path("...")` that it is a method of."""
    inner = call.func.value if isinstance(call.func, ast.Attribute) else None
    places = [*(inner.args if isinstance(inner, ast.Call) else ()), *call.args[:1]]
    return next(
        (each.value for each in places if isinstance(each, ast.Constant) and isinstance(each.value, str)), ANY
    )
