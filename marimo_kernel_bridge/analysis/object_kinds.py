"""What kind of object an expression makes, and with which names it shares it, as far as the text tells.

Only what decides how a changed object is kept apart from the one before: whether it can be copied, and how.
"""

from __future__ import annotations

import ast
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
"""`value`: cannot change. `live`: is tied to something outside (a widget, a connection). `own`: of a class of the notebook.
`iterator` and `file`: whoever looks into it moves on in it. `generator`: a function whose calls make an iterator."""
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
_FRAMES: Final = frozenset(
    {"DataFrame", "Series", "load_dataset", "get_dummies", "concat", "merge", "crosstab"}
)
_PLOTS: Final = frozenset(
    {"subplots", "figure", "add_subplot", "add_axes", "subplot", "axes", "gca", "gcf", "twinx"}
)
_SAME_KIND: Final = frozenset(
    {"copy", "reset_index", "sort_values", "dropna", "fillna", "rename", "head", "tail"}
)
_LIVE: Final = frozenset(
    {"connect", "cursor", "urlopen", "socket", "Output", "IntSlider", "FloatSlider", "Thread"}
)
# Methods and functions whose result shares its data with what they are given.
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
_PASSING: Final = frozenset({"iter", "enumerate", "zip", "reversed", "items", "values"})


def kind_of(node: ast.expr | None, known: Mapping[str, Kind], modules: Mapping[str, str]) -> Kind:  # noqa: C901, PLR0911, PLR0912  # one case for each form
    """Tell the kind of what an expression makes.

    `known` are the kinds of names; `modules` tells for imported names what they stand for (`np` -> `numpy`).
    """
    match node:
        case ast.List() | ast.ListComp():
            return "list"
        case ast.Dict() | ast.DictComp():
            return "dict"
        case ast.Set() | ast.SetComp():
            return "set"
        case ast.Constant() | ast.JoinedStr() | ast.Compare() | ast.Tuple() | ast.Lambda():
            return "value"
        case ast.GeneratorExp():
            return "iterator"
        case ast.Name():
            return known.get(node.id, "unknown")
        case ast.BinOp():
            kinds = {kind_of(node.left, known, modules), kind_of(node.right, known, modules)}
            for kind in ("frame", "array", "list", "unknown"):
                if kind in kinds:
                    return kind
            return "value"
        case ast.UnaryOp():
            return kind_of(node.operand, known, modules)
        case ast.Subscript(value=value, slice=key):
            kind = kind_of(value, known, modules)
            if kind == "plot" or (kind in {"frame", "array", "list"} and isinstance(key, ast.Slice)):
                return kind
            return "frame" if kind == "frame" else "unknown"
        case ast.Await(value=value) | ast.NamedExpr(value=value):
            return kind_of(value, known, modules)
        case ast.Attribute(value=value, attr=attr):
            return (
                "frame"
                if attr in {"loc", "iloc"}
                else "plot"
                if kind_of(value, known, modules) == "plot"
                else "unknown"
            )
        case ast.Call(func=func):
            return _kind_of_call(func, known, modules)
        case _:
            return "unknown"


def _kind_of_call(func: ast.expr, known: Mapping[str, Kind], modules: Mapping[str, str]) -> Kind:  # noqa: C901, PLR0911, PLR0912  # one case for each form
    name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
    if isinstance(func, ast.Name) and known.get(name) == "own":
        return "own"
    if isinstance(func, ast.Name) and known.get(name) == "generator":
        return "iterator"
    if name in _FRAMES or name.startswith("read_"):
        return "frame"
    if name in _PLOTS:
        return "plot"
    if name in _LIVE:
        return "live"
    root = root_of(func)
    module = modules.get(root.id, "") if root is not None else ""
    if module == "seaborn":
        return "plot" if name.endswith(("plot", "map", "Grid")) else "unknown"
    if not module and isinstance(func, ast.Attribute) and name in {"plot", "boxplot", "hist"}:
        return "plot"
    if isinstance(func, ast.Attribute) and kind_of(func.value, known, modules) == "random":
        return "array"
    if isinstance(func, ast.Name) or module:
        if name in _BUILTINS:
            return _BUILTINS[name]
        if module.partition(".")[0] == "numpy":
            return "array"
        if module.partition(".")[0] == "ipywidgets":
            return "live"
    elif isinstance(func, ast.Attribute) and name in _SAME_KIND:
        return kind_of(func.value, known, modules)
    return "unknown"


def root_of(node: ast.expr) -> ast.Name | None:
    """Return the name at the start of `a.b[c].d`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node if isinstance(node, ast.Name) else None


def shared_with(node: ast.expr, known: Mapping[str, Kind]) -> frozenset[str]:  # noqa: PLR0911  # one case for each form
    """Return the names whose objects, or parts of them, an expression may give on without copying."""
    match node:
        case ast.Name():
            plain = known.get(node.id) in {"value", "generator", "module"}
            return frozenset() if plain else frozenset({node.id})
        case ast.Starred(value=value) | ast.NamedExpr(value=value) | ast.Await(value=value):
            return shared_with(value, known)
        case ast.Attribute(value=value) | ast.Subscript(value=value):
            root = root_of(node)
            kind = known.get(root.id, "unknown") if root is not None else "unknown"
            # pandas copies on write; single elements of arrays are values.
            if kind in {"frame", "module"} or (
                isinstance(node, ast.Subscript) and kind == "array" and not _slices(node)
            ):
                return frozenset()
            return shared_with(value, known)
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return frozenset().union(*(shared_with(element, known) for element in elements))
        case ast.Dict(values=values):
            return frozenset().union(*(shared_with(value, known) for value in values))
        case ast.IfExp(body=body, orelse=orelse):
            return shared_with(body, known) | shared_with(orelse, known)
        case ast.Call(func=ast.Attribute(value=value, attr=attr), args=arguments) if attr in VIEWS | _PASSING:
            parts = [value, *arguments] if attr in VIEWS else [value]
            return frozenset().union(*(shared_with(part, known) for part in parts))
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in _PASSING or known.get(name) == "own":
            return frozenset().union(*(shared_with(part, known) for part in arguments))
        case _:
            return frozenset()


def is_view(node: ast.expr, known: Mapping[str, Kind]) -> bool:
    """Tell whether an expression gives an array that looks into the memory of another."""
    root = root_of(node) if not isinstance(node, ast.Call) else None
    kind = known.get(root.id, "unknown") if root is not None else "unknown"
    if isinstance(node, ast.Subscript):
        return _slices(node) and (
            kind == "array" or (kind == "unknown" and isinstance(node.slice, ast.Tuple))
        )
    return not isinstance(node, ast.Name) and any(
        known.get(name) == "array" for name in shared_with(node, known)
    )


def _slices(node: ast.Subscript) -> bool:
    key = node.slice
    return isinstance(key, ast.Slice) or (
        isinstance(key, ast.Tuple) and any(isinstance(part, ast.Slice) for part in key.elts)
    )


def frames_in(tree: ast.Module) -> frozenset[str]:
    """Return the names that a cell uses as only pandas objects are used."""
    return frozenset(
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in _FRAME_ATTRIBUTES
        and isinstance(node.value, ast.Name)
    )
