"""What a change of another cell's object comes to: one notebook for each row of the table."""

import ast
from dataclasses import replace

import pytest

from marimo_kernel_bridge.analysis import changes
from marimo_kernel_bridge.analysis.changes import DECISIONS, Decision, Manner, Readers
from marimo_kernel_bridge.analysis.document import Document
from marimo_kernel_bridge.analysis.import_order import ImportOrder
from marimo_kernel_bridge.analysis.model import Cell, Given
from marimo_kernel_bridge.analysis.mutation import How, Mutation
from marimo_kernel_bridge.analysis.name_uses import read_cell
from marimo_kernel_bridge.analysis.object_kinds import Kind
from marimo_kernel_bridge.analysis.versions import DocumentOrder

PLOT = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()"
OBJECT = "class A: pass\na = A()"

# Manner, name, and cells by who reads the object. The cell that changes it stands between two bars: `||`.
ROWS: dict[tuple[Manner, str], dict[Readers, str]] = {
    ("fixed", "x"): {
        "nobody": "x = 5 || x.a = 1 ||",
        "itself": "x = 5 || x.remove(1) ||",
        "above": "x = 5 | x || x.remove(1) ||",
        "below": "x = 5 || x.remove(1) || x",
        "both": "x = 5 | x || x.remove(1) || x",
    },
    ("drawn on", "ax"): {
        "nobody": f"{PLOT} || ax.title = 1 ||",
        "itself": f"{PLOT} || ax.plot(1) ||",
        "above": f"{PLOT} | ax || ax.plot(1) ||",
        "below": f"{PLOT} || ax.plot(1) || ax",
        "both": f"{PLOT} | ax || ax.plot(1) || ax",
    },
    ("consumed", "f"): {
        "nobody": "f = open(p) || f.mode = 1 ||",
        "itself": "f = open(p) || f.read() ||",
        "above": "f = open(p) | f || f.read() ||",
        "below": "f = open(p) || f.read() || f",
        "both": "f = open(p) | f || f.read() || f",
    },
    ("copied", "l"): {
        "nobody": "l = [1] || l[0] = 2 ||",
        "itself": "l = [1] || l.append(2) ||",
        "above": "l = [1] | l || l.append(2) ||",
        "below": "l = [1] || l.append(2) || l",
        "both": "l = [1] | l || l.append(2) || l",
    },
    ("instance", "a"): {
        "nobody": f"{OBJECT} || a.x = 1 ||",
        "itself": f"{OBJECT} || print(a)\na.x = 1 ||",
        "above": f"{OBJECT} | a || a.x = 1 ||",
        "below": f"{OBJECT} || a.x = 1 || a",
        "both": f"{OBJECT} | a || a.x = 1 || a",
    },
    ("not copied", "m"): {
        "nobody": "m = make() || m.fit(y) ||",
        "itself": "m = make() || print(m)\nm.fit(y) ||",
        "above": "m = make() | m || m.fit(y) ||",
        "below": "m = make() || m.fit(y) || m",
        "both": "m = make() | m || m.fit(y) || m",
    },
    ("unowned", "o"): {
        "nobody": "o = make() || o.a.b = 1 ||",
        "itself": "o = make() || o.a.append(1) ||",
        "above": "o = make() | o || o.a.append(1) ||",
        "below": "o = make() || o.a.append(1) || o",
        "both": "o = make() | o || o.a.append(1) || o",
    },
}
CASES = [
    (manner, readers, name, notebook)
    for (manner, name), notebooks in ROWS.items()
    for readers, notebook in notebooks.items()
]


def decided(notebook: str, name: str, order: type[DocumentOrder] = DocumentOrder) -> Decision:
    """Return what is done of a change of `name` in the cell between the bars."""
    above, changing, below = (part.strip() for part in notebook.split("||"))
    codes = [code.strip() for code in [*above.split(" | "), changing, *filter(None, [below])]]
    cells = [Cell(index, Given(code), read_cell(code)) for index, code in enumerate(codes)]
    document = Document(cells)
    in_order = order(document)
    changed = cells[codes.index(changing)]
    for cell in cells[: changed.index + 1]:
        in_order.visit(cell)
    if document.requests:
        return "join"
    start = changed.seeded.get(name)
    return "nothing" if start is None else "order" if start == "{}" else "copy"


@pytest.mark.parametrize(
    ("manner", "readers", "name", "notebook"), CASES, ids=[f"{case[0]}, {case[1]}" for case in CASES]
)
def test_each_row_of_the_table_decides_its_notebook(
    manner: Manner, readers: Readers, name: str, notebook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = DECISIONS[manner][readers]
    order = ImportOrder if manner == "unowned" else DocumentOrder
    assert decided(notebook, name, order) == decision
    other: Decision = "nothing" if decision != "nothing" else "order"
    row = {**DECISIONS[manner], readers: other}
    monkeypatch.setattr(changes, "DECISIONS", {**DECISIONS, manner: row})
    assert decided(notebook, name, order) == other  # this row, and no other


def test_every_row_of_the_table_has_a_notebook() -> None:
    rows = {(manner, readers) for manner, decisions in DECISIONS.items() for readers in decisions}
    assert {(manner, readers) for manner, readers, _, _ in CASES} == rows


def mutation(how: How, *, repeatable: bool = False, viewed: bool = False) -> Mutation:
    name = ast.Name("x")
    return Mutation("x", how, name, ast.Pass(), repeatable=repeatable, viewed=viewed)


@pytest.mark.parametrize(
    ("kind", "mutations", "copy"),
    [
        ("list", [mutation("method")], "{}.copy()"),
        ("list", [mutation("nested")], "copy.deepcopy({})"),
        ("list", [mutation("call")], "copy.deepcopy({})"),
        ("dict", [mutation("call")], "{}.copy()"),
        ("array", [mutation("item")], "{}.copy()"),
        ("array", [mutation("item", viewed=True)], None),
        ("frame", [mutation("nested")], "{}.copy()"),
        ("random", [mutation("random")], "copy.deepcopy({})"),
        ("live", [mutation("method")], None),
        ("module", [mutation("attribute")], None),
        ("unknown", [mutation("fit")], None),
        ("unknown", [mutation("other")], None),
        ("unknown", [mutation("attribute", repeatable=True)], None),
        ("unknown", [mutation("attribute")], "copy.deepcopy({})"),
        ("unknown", [mutation("fit"), mutation("method")], "copy.deepcopy({})"),
        ("own", [mutation("method")], "copy.deepcopy({})"),
    ],
)
def test_how_an_object_is_copied(kind: Kind, mutations: list[Mutation], copy: str | None) -> None:
    assert changes.copy_of(kind, mutations) == copy


def test_kinds_that_contradict_each_other_are_unknown() -> None:
    seen: list[Kind] = ["list", "dict"]
    mutations = [replace(mutation("method"), kind=kind) for kind in seen]
    assert changes.kind_of_changed("x", mutations, {}) == "unknown"


def test_what_is_changed_in_place_by_name_is_a_frame() -> None:
    assert changes.kind_of_changed("x", [mutation("inplace")], {}) == "frame"


def test_without_changes_the_kind_is_the_one_that_the_name_has() -> None:
    assert changes.kind_of_changed("x", [], {"x": "set"}) == "set"
