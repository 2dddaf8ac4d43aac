"""Runs cells in one namespace as Jupyter does, and as a reactive notebook does, to compare what they show."""

import ast
import io
from contextlib import redirect_stdout
from dataclasses import dataclass, field

from marimo._ast.compiler import compile_cell  # noqa: TID251  # which names of a cell marimo deletes after it has run
from marimo._types.ids import CellId_t  # noqa: TID251

from marimo_kernel_bridge.analysis.name_uses import read_cell
from marimo_kernel_bridge.importing.cells import prepare
from marimo_kernel_bridge.importing.prepared import Prepared
from marimo_kernel_bridge.notebooks.ipynb import Notebook, NotebookCell


def prepared(codes) -> Prepared:
    cells = tuple(
        NotebookCell(number, f"c{number}", "code", code) for number, code in enumerate(codes, start=1)
    )
    return prepare(Notebook(cells, {}), lambda _: None, lambda _: None)


def shown(code, namespace, *, as_marimo=False):
    """Run a cell; return what it prints, what it displays, and the text of its last expression.

    In marimo, the value of that replaces what was displayed.
    """
    tree = ast.parse(code)
    last = tree.body[-1] if tree.body else None
    printed = io.StringIO()
    texts = namespace["display"] = Displayed()
    with redirect_stdout(printed):
        try:
            if isinstance(last, ast.Expr):
                exec(compile(ast.Module(tree.body[:-1], []), "<cell>", "exec"), namespace)
                value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), namespace)
                if value is not None:
                    texts[:] = [*([] if as_marimo else texts), repr(value)]
            else:
                exec(compile(tree, "<cell>", "exec"), namespace)
        except Exception as error:
            texts.append(type(error).__name__)
    return Shown(printed.getvalue(), "".join(f"{text}\n" for text in texts))


class Shown(str):
    """What a cell shows: what it prints, and then what it displays, which marimo shows apart."""

    __slots__ = ("displayed", "printed")

    def __new__(cls, printed, displayed):
        text = super().__new__(cls, printed + displayed)
        text.printed, text.displayed = printed, displayed
        return text

    @classmethod
    def together(cls, parts):
        """What one cell shows that does what several did."""
        return cls("".join(part.printed for part in parts), "".join(part.displayed for part in parts))


class Displayed(list):
    """IPython's `display`, which keeps what it displayed."""

    def __call__(self, value):
        self.append(repr(value))


def in_order(codes):
    """What each cell shows when a notebook runs from top to bottom."""
    namespace = {}
    return [shown(code, namespace) for code in codes]


class _Private(ast.NodeTransformer):
    """Makes `_names` local to a cell, as marimo does."""

    def __init__(self, number):
        self.prefix = f"_cell_{number}"

    def visit_Name(self, node):
        if node.id.startswith("_") and not node.id.startswith("__"):
            node.id = self.prefix + node.id
        return node

    def visit_alias(self, node):
        if node.asname and node.asname.startswith("_") and not node.asname.startswith("__"):
            node.asname = self.prefix + node.asname
        return node

    def visit_FunctionDef(self, node):
        if node.name.startswith("_") and not node.name.startswith("__"):
            node.name = self.prefix + node.name
        self.generic_visit(node)
        return node


@dataclass
class Reactive:
    """A reactive notebook: who depends on whom is known from names alone."""

    codes: list
    namespace: dict = field(default_factory=dict)

    def __post_init__(self):
        self.cells = [read_cell(code) for code in self.codes]
        self.defines = [self._public(cell, "store") for cell in self.cells]
        self.reads = [
            self._public(cell, "load") - defined
            for cell, defined in zip(self.cells, self.defines, strict=True)
        ]
        self.private = [
            ast.unparse(_Private(number).visit(ast.parse(code))) for number, code in enumerate(self.codes)
        ]
        compiled = [compile_cell(code, CellId_t(str(number))) for number, code in enumerate(self.codes)]
        self.deleted = [cell.temporaries - cell.closed_over_temporaries for cell in compiled]

    @staticmethod
    def _public(cell, act):
        return {
            each.name
            for each in cell.occurrences
            if each.act == act and (not each.name.startswith("_") or each.name.startswith("__"))
        }

    def problems(self):
        names = [name for defined in self.defines for name in defined]
        twice = {name for name in names if names.count(name) > 1}
        return [f"{name} is defined twice" for name in sorted(twice)] + (
            ["a cycle"] if self.order() is None else []
        )

    def upstream(self, number):
        return {
            other
            for other in range(len(self.codes))
            if other != number and self.defines[other] & self.reads[number]
        }

    def order(self, among=None):
        """A topological order, ties by document order; None if there is a cycle."""
        waiting = sorted(among if among is not None else range(len(self.codes)))
        done = []
        while waiting:
            ready = next((each for each in waiting if not (self.upstream(each) & set(waiting))), None)
            if ready is None:
                return None
            done.append(ready)
            waiting.remove(ready)
        return done

    def downstream(self, number):
        found, waiting = {number}, [number]
        while waiting:
            current = waiting.pop()
            near = {other for other in range(len(self.codes)) if current in self.upstream(other)} - found
            found |= near
            waiting += near
        return found

    def run(self, among=None):
        """Run cells in order; return what each of them shows."""
        return {number: self._run_cell(number) for number in self.order(among)}

    def _run_cell(self, number):
        text = shown(self.private[number], self.namespace, as_marimo=True)
        for name in self.deleted[number]:
            self.namespace.pop(name, None)
        return text


def assert_shows_the_same_again_and_again(codes):
    """A converted notebook shows what its cells showed in order, and each cell can run again without a change."""
    expected = in_order(codes)
    result = prepared(codes)
    reactive = Reactive([cell.code for cell in result.cells])
    told = "\n--\n".join(codes) + "\n=====>\n" + "\n--\n".join(reactive.codes)
    assert reactive.problems() == [], told
    first = reactive.run()
    for number, cell in enumerate(result.cells):
        if cell.positions:
            assert first[number] == Shown.together([expected[each - 1] for each in sorted(cell.positions)]), (
                told
            )
    for number in range(len(reactive.codes)):
        for other, text in reactive.run(reactive.downstream(number)).items():
            assert text == first[other], f"cell {number} again changed cell {other}\n{told}"
