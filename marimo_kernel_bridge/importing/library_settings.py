"""The settings of libraries that cells change: what changes each, and which statements show it.

A table, and the rules for reading statements by it. Decides nothing about cells.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marimo_kernel_bridge.analysis.name_uses import CellNames

_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SHOWING: Final = frozenset({"print", "display", "pprint", "str", "repr", "format"})
_PYPLOT: Final = r"(?:matplotlib(?:\.pyplot|\.pylab)?|pylab)\."


@dataclass(frozen=True)
class LibrarySettings:
    """The settings of a library.

    `assigned` and `called` match the paths of what is assigned and of what is called to change them. `packages` are those
    whose objects show them; None: any but those of Python and those that draw. `neither` matches paths that
    do not show them. `shown_as_text`: only in text that a cell prints or displays. `returns_value`: so does what changes them.
    """

    name: str
    library: str
    assigned: re.Pattern[str]
    called: re.Pattern[str]
    packages: frozenset[str] | None
    neither: re.Pattern[str]
    shown_as_text: bool = False
    returns_value: bool = False

    def has(self, origin: str) -> bool:
        """Return whether objects of a module may show the settings."""
        package = origin.partition(":")[0].partition(".")[0]
        if self.packages is not None:
            return package in self.packages
        return package not in sys.stdlib_module_names and package not in {"IPython", *_DRAWING, "pylab"}


_DRAWING: Final = frozenset({"matplotlib", "seaborn"})
_DRAWING_METHODS: Final = frozenset({"plot", "hist", "boxplot"})
_FIGURE: Final = "what draws"
_FRAME: Final = "what returns a frame"
"""What stands among the names of objects for what an expression makes itself."""
_VERSION: Final = re.compile(r".*\.__version__")
SETTINGS: Final = (
    LibrarySettings(
        "matplotlib_settings",
        "matplotlib",
        re.compile(_PYPLOT + r"rcParams\[\]"),
        re.compile(
            rf"{_PYPLOT}(?:rc|rcdefaults|rc_file|rc_file_defaults|set_cmap|gray|hot|jet|rcParams\.(?:update|setdefault|pop))"
            r"|matplotlib(?:\.pyplot)?\.style\.use"
            r"|seaborn\.(?:set|set_theme|set_style|set_context|set_palette|reset_defaults|reset_orig)"
        ),
        frozenset({"matplotlib", "pylab", "seaborn"}),
        re.compile(
            rf".*\.__version__|{_PYPLOT}(?:use|ion|ioff|switch_backend|close|show|style\.available)"
            r"|seaborn\.(?:load_dataset|get_dataset_names)|matplotlib_inline\..*"
        ),
    ),
    LibrarySettings(
        "pandas_settings",
        "pandas",
        re.compile(r"pandas\.options\.display\..+"),
        re.compile(r"pandas\.(?:set_option|reset_option|set_eng_float_format)"),
        None,
        _VERSION,
        shown_as_text=True,
    ),
    LibrarySettings(
        "numpy_settings",
        "numpy",
        re.compile(r"(?!)"),
        re.compile(r"numpy\.set_printoptions"),
        None,
        _VERSION,
        shown_as_text=True,
    ),
    LibrarySettings(
        "numpy_error_settings",
        "numpy",
        re.compile(r"(?!)"),
        re.compile(r"numpy\.seterr(?:call)?"),
        frozenset({"numpy", "pandas", "scipy"}),
        re.compile(r".*\.__version__|numpy\.(?:errstate|printoptions|set_printoptions|random\..*)"),
        returns_value=True,
    ),
    LibrarySettings(
        "locale_settings",
        "locale",
        re.compile(r"(?!)"),
        re.compile(r"locale\.setlocale"),
        frozenset({"locale"}),
        re.compile(r"locale\.LC_\w+"),
        returns_value=True,
    ),
    LibrarySettings(
        "decimal_settings",
        "decimal",
        re.compile(r"decimal\.getcontext\(\)\..+"),
        re.compile(r"decimal\.setcontext"),
        frozenset({"decimal"}),
        re.compile(r"decimal\.(?:localcontext|Context|ROUND_\w+)"),
    ),
)


class Reading:
    """The statements of a notebook as far as one library's settings are concerned. `is_set`: some are changed."""

    def __init__(self, cells: Sequence[CellNames], settings: LibrarySettings) -> None:
        self._settings = settings
        self._origins = {use.name: use.origin for cell in cells for use in cell.occurrences if use.origin}
        trees = [cell.tree for cell in cells]
        for node in (statement for tree in trees for statement in tree.body):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)]) if name not in self._origins:
                    path = self._path(node.value)  # `params = plt.rcParams`
                    if path is not None and path.endswith(("rcParams", "getcontext()")):
                        self._origins[name] = path
        self._bodies = {
            node.name: node for tree in trees for node in ast.walk(tree) if isinstance(node, _SCOPES)
        }
        self._setting: set[str] = set()
        self._printing: set[str] = set()
        self._having: set[str] = set()
        while (
            more := {name for name, node in self._bodies.items() if self._sets_inside(node)} - self._setting
        ):
            self._setting |= more
        self.is_set = any(self.sets(statement) for tree in trees for statement in tree.body)
        if not self.is_set:
            return
        self._printing = {name for name, node in self._bodies.items() if self._prints(node)}
        self._having = {name for name, origin in self._origins.items() if settings.has(origin)}
        if settings.library == "matplotlib":
            self._having.add(_FIGURE)
        elif settings.packages is None:
            self._having.add(_FRAME)
        while more := self._derived(trees) - self._having:
            self._having |= more

    def sets(self, statement: ast.stmt) -> bool:
        """Return whether a statement changes the settings when it runs."""
        return not isinstance(statement, _SCOPES) and self._sets_inside(statement)

    def has_value(self, statement: ast.stmt) -> bool:
        """Return whether it is a call that changes the settings and returns a value."""
        if not isinstance(statement, ast.Expr):
            return False
        if self._settings.returns_value and self._is_setting(statement.value):
            return True
        return any(
            isinstance(node, ast.Return | ast.ClassDef)
            for call in _calls(statement)
            if self._last(call) in self._setting
            for node in ast.walk(self._bodies[self._last(call)])
        )

    def shows(self, statement: ast.stmt, *, is_last: bool) -> bool:
        """Return whether what a statement shows or makes may depend on the settings. `is_last`: its value is shown."""
        if isinstance(statement, (*_SCOPES, ast.Import, ast.ImportFrom)):
            return False
        if isinstance(statement, ast.Assign) and self._path(statement.value) is not None:
            return False
        is_value = isinstance(statement, ast.Expr)
        if not self._settings.shown_as_text:
            computes = any(
                isinstance(node, ast.Call | ast.BinOp | ast.UnaryOp | ast.AugAssign)
                for node in _running(statement)
            )
            return (is_value or computes) and not self._having.isdisjoint(self._names(statement))
        shown = self._prints(statement) or (
            is_last
            and isinstance(statement, ast.Expr)
            and not (isinstance(statement.value, ast.Call) and self._draws(statement.value))
        )
        return shown and not self._having.isdisjoint(self._names(statement))

    def _draws(self, call: ast.Call) -> bool:
        path = self._path(call.func) or ""
        return path.partition(".")[0] in _DRAWING and not path.endswith((".hist", "load_dataset"))

    def _derived(self, trees: Sequence[ast.Module]) -> set[str]:
        """Return the names that statements bind to something made of objects of the library."""
        return {
            name
            for tree in trees
            for node in tree.body
            if not isinstance(node, ast.Import | ast.ImportFrom)
            and not self._having.isdisjoint(self._names(node))
            for name in ({node.name} if isinstance(node, _SCOPES) else _bound(node))
        }

    def _sets_inside(self, node: ast.AST) -> bool:
        inner = ast.walk(node) if isinstance(node, _SCOPES) else _running(node)
        return any(self._is_setting(each) or self._last(each) in self._setting for each in inner)

    def _is_setting(self, node: ast.AST) -> bool:
        settings = self._settings
        if isinstance(node, ast.Call):
            path = self._path(node.func) or ""
            if not settings.called.fullmatch(path):
                return False
            match node.args:
                case [ast.Constant(value=str(option)), *_] if settings.library == "pandas":
                    return "." not in option or "display" in option
                case [_] if settings.library == "locale" and not node.keywords:
                    return False  # it asks for the locale
            return True
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            return bool(settings.assigned.fullmatch(self._path(node) or ""))
        return False

    def _prints(self, node: ast.AST) -> bool:
        return any(
            isinstance(each, ast.JoinedStr) or self._last(each) in _SHOWING | self._printing
            for each in ast.walk(node)
        )

    def _last(self, node: ast.AST) -> str:
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                return name
        return ""

    def _names(self, node: ast.AST) -> Iterator[str]:
        """Yield what a statement reads, apart from what it sets and what does not show settings."""
        path = self._path(node) if isinstance(node, ast.expr) else None
        if path is not None and (self._settings.neither.fullmatch(path) or self._is_setting(node)):
            return
        if path == "seaborn.load_dataset":
            yield _FRAME
        if self._draws_by_name(node):
            yield _FIGURE
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        for child in ast.iter_child_nodes(node):
            if not (
                isinstance(node, ast.Call)
                and child is node.func
                and (self._is_setting(node) or self._is_only_setting(node))
            ):
                yield from self._names(child)

    def _draws_by_name(self, node: ast.AST) -> bool:
        """Return whether it is a method or an imported function that draws by its name: `frame.plot`, `plot_tree`."""
        match node:
            case ast.Attribute(attr=name):
                return name in _DRAWING_METHODS or name.startswith("plot_")
            case ast.Name(id=name):
                return name.startswith("plot_") and name in self._origins
        return False

    def _is_only_setting(self, call: ast.Call) -> bool:
        """Return whether a call is one of a function of the notebook that changes settings and uses nothing."""
        name = self._last(call)
        return name in self._setting and name not in self._having

    def _path(self, node: ast.AST) -> str | None:
        """Return the full path of an expression: `matplotlib.rcParams[]`, `decimal.getcontext().prec`."""
        match node:
            case ast.Name(id=name) if name in self._origins:
                return self._origins[name].replace(":", ".")
            case ast.Attribute(value=value, attr=attr) if path := self._path(value):
                return f"{path}.{attr}"
            case ast.Subscript(value=value) if path := self._path(value):
                return f"{path}[]"
            case ast.Call(func=func, args=[], keywords=[]) if self._path(func) == "decimal.getcontext":
                return "decimal.getcontext()"
        return None


def _calls(statement: ast.stmt) -> Iterator[ast.Call]:
    return (node for node in _running(statement) if isinstance(node, ast.Call))


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a statement that run with it: not those of functions that it defines."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        yield each
        waiting += [child for child in ast.iter_child_nodes(each) if not isinstance(child, _SCOPES)]


def _bound(node: ast.stmt) -> Iterator[str]:
    for each in _running(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            yield each.id
        elif isinstance(each, ast.Subscript | ast.Attribute) and isinstance(each.ctx, ast.Store):
            root = each.value  # `parts["a"] = frame`
            while isinstance(root, ast.Subscript | ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name):
                yield root.id
