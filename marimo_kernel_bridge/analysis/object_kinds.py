"""The kind of object that an expression returns, and the names that share it, as far as static analysis can tell.

Kinds distinguish only what decides how a mutated object is kept apart from its previous version: whether it can be
copied, and how.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal[
    "list",
    "dict",
    "set",
    "array",
    "frame",
    "plot",
    "random",
    "iterator",
    "file",
    "generator",
    "value",
    "live",
    "own",
    "module",
    "unknown",
]
"""`value`: immutable. `live`: tied to something outside (a widget, a connection). `own`: of a class of the notebook.
`iterator` and `file`: reading it advances it. `generator`: a function whose calls return an iterator."""
CONSUMED: Final = frozenset({"iterator", "file"})

COPIED_BY_METHOD: Final = frozenset({"list", "dict", "set", "array", "frame"})

_BUILTINS: Final[dict[str, Kind]] = {
    **dict.fromkeys(("list", "sorted", "deque", "bytearray"), "list"),
    **dict.fromkeys(("dict", "defaultdict", "OrderedDict", "Counter", "ChainMap"), "dict"),
    "set": "set",
    **dict.fromkeys(
        ("int", "float", "complex", "str", "bool", "bytes", "tuple", "frozenset", "range"), "value"
    ),
    **dict.fromkeys(("len", "sum", "abs", "round", "repr", "ord", "chr", "hash", "type", "format"), "value"),
    **dict.fromkeys(("iter", "zip", "map", "filter", "enumerate", "reversed"), "iterator"),
    **dict.fromkeys(
        ("open", "ZipFile", "StringIO", "BytesIO", "TemporaryFile", "NamedTemporaryFile"), "file"
    ),
    **dict.fromkeys(("default_rng", "RandomState", "Random"), "random"),
}
# By the name of the called function, whatever its module or object.
_CALLED: Final[dict[str, Kind]] = {
    **dict.fromkeys(
        ("DataFrame", "Series", "load_dataset", "get_dummies", "concat", "merge", "crosstab"), "frame"
    ),
    **dict.fromkeys(
        ("subplots", "figure", "add_subplot", "add_axes", "subplot", "axes", "gca", "gcf", "twinx"), "plot"
    ),
    **dict.fromkeys(
        ("connect", "cursor", "urlopen", "socket", "Output", "IntSlider", "FloatSlider", "Thread"), "live"
    ),
}
_ITERATORS: Final = re.compile(
    r"itertools\.(?!tee)\w+|csv\.(?:reader|DictReader)|os\.(?:walk|fwalk|scandir)|re\.finditer|glob\.iglob|heapq\.merge"
    r"|struct\.iter_unpack|xml\.etree\.\w+\.iterparse|difflib\.(?:ndiff|\w+_diff)|tokenize\.\w*tokens?|tokenize\.tokenize"
    r"|(?:asyncio|queue|multiprocessing)\.\w*Queue"
)
"""What the standard library makes that is used up by reading it: iterators, and queues."""
_ITERATING: Final = frozenset(
    {"iterrows", "itertuples", "iterdir", "rglob", "finditer", "iterfind", "itertext"}
)
_BUFFERS: Final = frozenset({"StringIO", "BytesIO"})
_TEMPORARY: Final = frozenset({"TemporaryFile", "NamedTemporaryFile"})
_MODES_OF_WRITING: Final = frozenset("wax+")
_PACKAGES: Final[dict[str, Kind]] = {"numpy": "array", "ipywidgets": "live"}
_NODES: Final[dict[type[ast.expr], Kind]] = {
    **dict.fromkeys((ast.List, ast.ListComp), "list"),
    **dict.fromkeys((ast.Dict, ast.DictComp), "dict"),
    **dict.fromkeys((ast.Set, ast.SetComp), "set"),
    **dict.fromkeys((ast.Constant, ast.JoinedStr, ast.Compare, ast.Tuple, ast.Lambda), "value"),
    ast.GeneratorExp: "iterator",
}
# The kind of an operation's result: the first of these that is the kind of an operand.
_STRONGER: Final[tuple[Kind, ...]] = ("frame", "array", "list", "unknown")
# Methods whose result has the kind of their object.
_SAME_KIND: Final = frozenset(
    {"copy", "reset_index", "sort_values", "dropna", "fillna", "rename", "head", "tail"}
)
# Methods and functions whose result shares data with their object or argument.
VIEWS: Final = frozenset(
    {
        "reshape",
        "ravel",
        "view",
        "squeeze",
        "transpose",
        "swapaxes",
        "asarray",
        "atleast_2d",
        "diagonal",
        "flat",
    }
)
_FRAME_ATTRIBUTES: Final = frozenset(
    """iloc loc groupby describe dtypes head tail sort_values reset_index set_index dropna fillna isnull
    value_counts pivot_table iterrows to_csv columns nunique drop_duplicates""".split()  # noqa: SIM905  # a list of words
)
_ADDING: Final = frozenset(
    """plot scatter bar barh hist fill fill_between fill_betweenx imshow matshow contour contourf pcolormesh quiver streamplot
    errorbar boxplot violinplot pie stem axhline axvline axhspan axvspan hlines vlines text annotate legend add_patch add_artist
    add_collection add_line colorbar suptitle inset_axes""".split()  # noqa: SIM905  # a list of words
)
"""Methods of figures and axes that return what they have added."""
_PASSING: Final = frozenset({"iter", "enumerate", "zip", "reversed", "items", "values"})


def kind_of(node: ast.expr | None, kinds: Mapping[str, Kind], modules: Mapping[str, str]) -> Kind:  # noqa: C901  # one case for each form
    """Return the kind of an expression's value.

    `kinds` are the kinds of names, `modules` what imported names stand for (`np` -> `numpy`).
    """
    if node is None:
        return "unknown"
    if type(node) in _NODES:
        return _NODES[type(node)]
    kind: Kind
    match node:
        case ast.Name():
            kind = kinds.get(node.id, "unknown")
        case ast.BinOp():
            operands = {kind_of(side, kinds, modules) for side in (node.left, node.right)}
            kind = next((stronger for stronger in _STRONGER if stronger in operands), "value")
        case ast.UnaryOp(operand=value) | ast.Await(value=value) | ast.NamedExpr(value=value):
            kind = kind_of(value, kinds, modules)
        case ast.Subscript():
            kind = _kind_of_part(kind_of(node.value, kinds, modules), node.slice)
        case ast.Attribute(attr="loc" | "iloc"):
            kind = "frame"
        case ast.Attribute(attr="T" | "real" | "imag" | "mT") if (
            kind_of(node.value, kinds, modules) == "array"
        ):
            kind = "array"
        case ast.Attribute():
            kind = "plot" if kind_of(node.value, kinds, modules) == "plot" else "unknown"
        case ast.Call():
            kind = _kind_of_call(node, kinds, modules)
        case _:
            kind = "unknown"
    return kind


def is_used_up(call: ast.Call, origin: str) -> bool:
    """Return whether a call of a library gives an iterator. `origin` is the function's path, if it is imported."""
    chunks = any(keyword.arg in {"chunksize", "iterator"} for keyword in call.keywords)
    if _ITERATORS.fullmatch(origin) is not None or (chunks and origin.startswith("pandas.read_")):
        return True
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    return method in _ITERATING or (method == "glob" and origin.startswith("pathlib."))


def _kind_of_part(kind: Kind, key: ast.expr) -> Kind:
    """Return the kind of `x[key]` for an `x` of a kind."""
    if kind in {"plot", "frame"} or (kind in {"array", "list"} and isinstance(key, ast.Slice)):
        return kind
    return "unknown"


def _kind_of_call(call: ast.Call, kinds: Mapping[str, Kind], modules: Mapping[str, str]) -> Kind:
    match call.func:
        case ast.Name(id=name):
            kind = _kind_of_call_by_name(name, kinds.get(name, "unknown"), modules.get(name, ""))
        case ast.Attribute() as func:
            name, kind = func.attr, _kind_of_method(func, kinds, modules)
        case _:
            return "unknown"
    # To open a file for writing once more would lose what was written.
    return "live" if kind == "file" and _is_written(name, call) else kind


def _is_written(name: str, call: ast.Call) -> bool:
    """Return whether a call opens a file to write to it: by its mode, or because there is nothing in it to be read."""
    if name in _BUFFERS:
        return not call.args and not call.keywords
    if name in _TEMPORARY:
        return True
    modes = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return any(
        isinstance(mode, ast.Constant)
        and isinstance(mode.value, str)
        and not _MODES_OF_WRITING.isdisjoint(mode.value)
        for mode in modes
    )


def _kind_of_call_by_name(name: str, function: Kind, module: str) -> Kind:
    """Return the kind of a function's result; `function` is its own kind, `module` its origin if it is imported."""
    if function == "own":
        return "own"
    if function == "generator":
        return "iterator"
    by_name: Kind | None = "frame" if name.startswith("read_") else _CALLED.get(name)
    if by_name is None and module == "seaborn":
        return _kind_of_seaborn(name)
    return by_name or _BUILTINS.get(name) or _PACKAGES.get(module.partition(".")[0], "unknown")


def _kind_of_method(func: ast.Attribute, kinds: Mapping[str, Kind], modules: Mapping[str, str]) -> Kind:
    """Return the kind of the result of a method, or of a function of a module."""
    name, root = func.attr, root_of(func)
    module = modules.get(root.id, "") if root is not None else ""
    by_name: Kind | None = "frame" if name.startswith("read_") else _CALLED.get(name)
    if by_name is None and not module and name in {"plot", "boxplot", "hist"}:
        by_name = "plot"
    if by_name is not None:
        return by_name
    if module == "seaborn":
        return _kind_of_seaborn(name)
    if kind_of(func.value, kinds, modules) == "random":
        return "array"
    if module:
        return _BUILTINS.get(name) or _PACKAGES.get(module.partition(".")[0], "unknown")
    same = name in _SAME_KIND or (name in _ADDING and kind_of(func.value, kinds, modules) == "plot")
    return kind_of(func.value, kinds, modules) if same else "unknown"


def _kind_of_seaborn(name: str) -> Kind:
    return "plot" if name.endswith(("plot", "map", "Grid")) else "unknown"


def root_of(node: ast.expr) -> ast.Name | None:
    """Return the name at the start of `a.b[c].d`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node if isinstance(node, ast.Name) else None


def drawing_behind(node: ast.expr, kinds: Mapping[str, Kind]) -> ast.Name | None:
    """Return the figure or the axes of which an expression returns parts: `ax` in `ax.get_legend()` and `ax.get_xticklabels()[0]`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.BinOp):
        if isinstance(node, ast.BinOp):
            node = node.left
        elif isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Attribute) or not node.func.attr.startswith(("get_", "gc")):
                return None
            node = node.func
        else:
            node = node.value
    return node if isinstance(node, ast.Name) and kinds.get(node.id) == "plot" else None


def shared_with(node: ast.expr, kinds: Mapping[str, Kind]) -> frozenset[str]:  # noqa: C901, PLR0911  # one case for each form
    """Return the names whose objects, or parts of them, an expression may return without copying."""
    match node:
        case ast.Name():
            plain = kinds.get(node.id) in {"value", "generator", "module"}
            return frozenset() if plain else frozenset({node.id})
        case ast.Starred(value=value) | ast.NamedExpr(value=value) | ast.Await(value=value):
            return shared_with(value, kinds)
        case ast.Attribute(value=value) | ast.Subscript(value=value):
            root = root_of(node)
            kind = kinds.get(root.id, "unknown") if root is not None else "unknown"
            # pandas copies on write; single elements of arrays are values.
            if kind in {"frame", "module"} or (
                isinstance(node, ast.Subscript) and kind == "array" and not _slices(node)
            ):
                return frozenset()
            return shared_with(value, kinds)
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return frozenset().union(*(shared_with(element, kinds) for element in elements))
        case ast.Dict(values=values):
            return frozenset().union(*(shared_with(value, kinds) for value in values))
        case ast.IfExp(body=body, orelse=orelse):
            return shared_with(body, kinds) | shared_with(orelse, kinds)
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _ADDING and _is_drawing(
            value, kinds
        ):
            return shared_with(value, kinds)
        case ast.Call(func=ast.Attribute(value=value, attr=attr), args=arguments) if attr in VIEWS | _PASSING:
            parts = [value, *arguments] if attr in VIEWS else [value]
            return frozenset().union(*(shared_with(part, kinds) for part in parts))
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in _PASSING or kinds.get(name) == "own":
            return frozenset().union(*(shared_with(part, kinds) for part in arguments))
        case _:
            return frozenset()


def _is_drawing(node: ast.expr, kinds: Mapping[str, Kind]) -> bool:
    root = root_of(node)
    return root is not None and kinds.get(root.id) == "plot"


def is_view(node: ast.expr, kinds: Mapping[str, Kind]) -> bool:
    """Return whether an expression returns an array that is a view of another one."""
    root = root_of(node) if not isinstance(node, ast.Call) else None
    kind = kinds.get(root.id, "unknown") if root is not None else "unknown"
    if isinstance(node, ast.Subscript):
        return _slices(node) and (
            kind == "array" or (kind == "unknown" and isinstance(node.slice, ast.Tuple))
        )
    return not isinstance(node, ast.Name) and any(
        kinds.get(name) == "array" for name in shared_with(node, kinds)
    )


def _slices(node: ast.Subscript) -> bool:
    key = node.slice
    return isinstance(key, ast.Slice) or (
        isinstance(key, ast.Tuple) and any(isinstance(part, ast.Slice) for part in key.elts)
    )


def frames_in(tree: ast.Module) -> frozenset[str]:
    """Return the names that a cell uses in ways specific to pandas objects."""
    return frozenset(
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in _FRAME_ATTRIBUTES
        and isinstance(node.value, ast.Name)
    )
