"""An ordinary notebook on the kernel: names that several cells define mean what they mean from top to bottom."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell, EditReport
from marimo_kernel_bridge.protocol.notebook import Cell
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd


def run_all(lab: FrontEnd, cells: dict[str, str]) -> dict[str, str]:
    """Send all cells at once, as Run All does, and return what they show."""
    for msg_id in [lab.send(cell, code) for cell, code in cells.items()]:
        assert lab.finish(msg_id).ok
    lab.sync()
    return texts(lab, cells)


def texts(lab: FrontEnd, cells: dict[str, str]) -> dict[str, str]:
    return {
        cell: "\n".join(line for line in lab.text(cell).splitlines() if "defined here" not in line).strip()
        for cell in cells
    }


def people_see(lab: FrontEnd, expression: str) -> str:
    return lab.run(None, expression, store_history=False).text


def test_each_cell_reads_the_definition_above_it(lab: FrontEnd) -> None:
    cells = {"a": "x = 1", "b": "print(x)", "c": "x = 2", "d": "print(x)"}
    assert run_all(lab, cells) == {"a": "", "b": "1", "c": "", "d": "2"}
    lab.run("a", "x = 10")
    assert texts(lab, cells) == {"a": "", "b": "10", "c": "", "d": "2"}
    assert people_see(lab, "x") == "2"
    lab.run("c", "x = 20")
    assert texts(lab, cells) == {"a": "", "b": "10", "c": "", "d": "20"}
    assert people_see(lab, "x") == "20"


def test_an_attribute_of_a_thread_that_a_cell_counts_up_begins_again_when_the_cell_runs_again(
    lab: FrontEnd,
) -> None:
    cells = {
        "a": "import threading\nclass Worker(threading.Thread):\n    n = 1\nw = Worker()",
        "b": "print(w.n)",
        "c": "w.n += 1",
        "d": "print(w.n)",
    }
    assert run_all(lab, cells) == {"a": "", "b": "1", "c": "", "d": "2"}
    for cell in "cbd":
        lab.run(cell, cells[cell])
    assert texts(lab, cells) == {"a": "", "b": "1", "c": "", "d": "2"}


def test_step_by_step_the_order_is_that_of_the_first_runs(lab: FrontEnd) -> None:
    for cell, code in {"a": "x = 1", "b": "print(x)", "c": "x = x + 1", "d": "print(x)"}.items():
        assert lab.run(cell, code).ok
    for _ in range(2):
        lab.run("c", "x = x + 1")
    assert (lab.text("b"), lab.text("d")) == ("1", "2")
    lab.run("a", "x = 5")
    assert (lab.text("b"), lab.text("d")) == ("5", "6")


AGAIN = {
    "x = x + 1": ("x = 1", "x = x + 1", "x", "2"),
    "x += 1": ("x = 1", "x += 1", "x", "2"),
    "list +=": ("x = [1]", "x += [2]", "x", "[1, 2]"),
    "append": ("x = []", "x.append(1)", "x", "[1]"),
    "item": ("x = {}", "x[len(x)] = 1", "x", "{0: 1}"),
    "function": ("x = []\ndef add(to): to.append(1)", "add(x)", "x", "[1]"),
    "global": ("x = 0\ndef count():\n    global x\n    x += 1", "count()", "x", "1"),
    "del": ("x = 1", "del x", "'x' in globals()", "False"),
    "private": ("_x = 1", "_x = _x + 1", "_x", "2"),
    "conditional": ("x = 1", "if x < 2: x = 2", "x", "2"),
    "loop": ("x = [3]", "for i in range(2): x.insert(0, i)", "x", "[1, 0, 3]"),
    "frame": (
        "import pandas as pd; df = pd.DataFrame({'a': [1, None]})",
        "df = df.dropna(); df['b'] = df['a'] * 2 if 'b' not in df else 0",
        "list(df.get('b', []))",
        "[2.0]",
    ),
    "alias": ("x = []; y = x", "y.append(1)", "x", "[1]"),
}


@pytest.mark.parametrize(("maker", "changer", "reader", "shown"), AGAIN.values(), ids=AGAIN)
def test_running_a_cell_again_that_builds_on_an_earlier_value_changes_nothing(
    lab: FrontEnd, maker: str, changer: str, reader: str, shown: str
) -> None:
    cells = {"make": maker, "before": reader, "change": changer, "after": reader}
    first = run_all(lab, cells)
    assert first["after"] == shown
    for cell, code in cells.items():
        assert lab.run(cell, code).ok
        assert texts(lab, cells) == first, cell


UNSEEN = {
    "a list of functions": ("x = 0\ndef inc():\n    global x\n    x += 1\nfs = [inc]", "x = x + 1", "for f in fs: f()", "2"),
    "map": ("x = 0", "def t(v):\n    global x\n    x += v", "list(map(t, [1, 2, 3])); None", "6"),
    "decorator": ("x = 0", "def d(f):\n    global x\n    x += 1\n    return f", "@d\ndef a(): pass\n@d\ndef b(): pass", "2"),
    "method": ("x = 0", "class C:\n    def add(self):\n        global x\n        x += 5", "C().add()", "5"),
    "exec": ("x = 1", "x = 2", "exec('x = 5')", "5"),
    "globals": ("x = 1", "x = 2", "globals()['x'] = 6", "6"),
    "after del": ("x = 1", "del x", "exec('x = 5')", "5"),
    "trait": (
        "import traitlets\nclass S(traitlets.HasTraits):\n    v = traitlets.Int()\ns = S(); x = 0",
        "def on_change(change):\n    global x\n    x = change['new']\ns.observe(on_change, 'v')",
        "s.v = 4",
        "4",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("maker", "second", "binds", "shown"), UNSEEN.values(), ids=UNSEEN)
def test_what_a_cell_binds_where_no_analysis_sees_it_is_there_below(
    lab: FrontEnd, maker: str, second: str, binds: str, shown: str
) -> None:
    cells = {"make": maker, "second": second, "bind": binds, "after": "print(x)", "last": "print(x); x = 9"}
    first = run_all(lab, cells)
    assert (first["after"], first["last"]) == (shown, shown)
    for cell in ("after", "last", "after"):
        lab.run(cell, cells[cell])
        assert lab.text("after") == shown
    assert people_see(lab, "x") == "9"


def test_what_is_bound_between_cells_stays(lab: FrontEnd) -> None:
    cells = {
        "a": "count = 0\nimport threading",
        "b": "def handler():\n    global count\n    count += 1\ngo, done = threading.Event(), threading.Event()",
        "c": "threading.Thread(target=lambda: (go.wait(), handler(), done.set())).start()",
        "d": "print(count)",
    }
    run_all(lab, cells)
    people_see(lab, "handler(); go.set(); done.wait(60); None")
    assert people_see(lab, "count") == "2"
    lab.run("d", cells["d"])
    assert lab.text("d") == "2"
    people_see(lab, "count = 77")
    lab.run("new", "count")
    assert lab.text("new") == "77"


# -- what people are told and see -----------------------------------------------------------------------------------------


def test_a_redefinition_is_told_once_and_names_the_other_cell(lab: FrontEnd) -> None:
    lab.run("a", "x = 1")
    lab.run("b", "x")
    lab.run("c", "x = 2")
    assert lab.text("c") == (
        "`x`: defined here and by cell [1] `x = 1`; each cell uses the definition above it (`%marimo strict` refuses this)"
    )
    lab.run("c", "x = 3")
    assert lab.text("c") == ""


def test_temporaries_are_no_news(lab: FrontEnd) -> None:
    loop = "for i in range(3): pass\nprint(i)"
    assert run_all(lab, {"a": loop, "b": loop}) == {"a": "2", "b": "2"}
    assert (lab.text("a"), lab.text("b")) == ("2", "2")


# -- the order of the document --------------------------------------------------------------------------------------------


def test_run_all_tells_where_a_new_cell_is(lab: FrontEnd) -> None:
    run_all(lab, {"a": "x = 1", "c": "print(x)"})
    lab.run("new", "x = 2")
    assert lab.text("c") == "1"
    assert run_all(lab, {"a": "x = 1", "new": "x = 2", "c": "print(x)"})["c"] == "2"
    assert run_all(lab, {"a": "x = 1", "c": "print(x)", "new": "x = 2"})["c"] == "1"


def test_run_all_tells_the_order_also_where_each_request_is_answered_before_the_next(
    lab: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = {"z": "pass", "a": "x = 1", "b": "x = 2", "c": "print(x)"}
    assert run_all(lab, cells)["c"] == "2"
    make = lab.session.msg_header
    start, count = datetime.now(UTC), itertools.count()
    monkeypatch.setattr(
        lab.session,
        "msg_header",
        lambda *args: make(*args) | {"date": start + timedelta(milliseconds=10 * next(count))},
    )
    for cell in "zbac":  # moved, and not saved
        lab.finish(lab.send(cell, cells[cell]))
    assert lab.text("c") == "1"
    monkeypatch.undo()
    for cell in "ab":  # as a person does
        lab.run(cell, cells[cell])
    assert lab.text("c") == "1"


def test_a_cell_that_goes_or_stops_defining_a_name_gives_it_back(lab: FrontEnd) -> None:
    run_all(lab, {"a": "x = 1", "b": "x = 2", "c": "print(x)"})
    lab.run("b", "y = 2")
    assert lab.text("c") == "1"
    lab.run("b", "x = 3")
    assert lab.text("c") == "3"
    lab.run("d", "pass", metadata={"deletedCells": ["b"]})
    assert lab.text("c") == "1"
    assert people_see(lab, "x") == "1"
    lab.run("a", "x = 5")
    assert lab.text("c") == "5"


@pytest.mark.parametrize("broken", ["x ==", ""])
def test_a_cell_that_is_broken_for_a_while_takes_nobodys_value(lab: FrontEnd, broken: str) -> None:
    cells = {"a": "x = 1", "b": "print(x)", "c": "x = 2", "d": "print(x)"}
    run_all(lab, cells)
    lab.run("c", broken)
    lab.sync()
    assert (lab.text("b"), lab.text("d"), people_see(lab, "x")) == ("1", "1", "1")
    lab.run("b", cells["b"])
    lab.run("c", "x = 3")
    assert (lab.text("b"), lab.text("d"), people_see(lab, "x")) == ("1", "3", "3")


def test_equal_cells_are_cells_of_their_own(lab: FrontEnd) -> None:
    for cell in ("a", "b", "c"):
        assert lab.run(cell, "x = 1" if cell == "a" else "x = x * 2").ok
    assert people_see(lab, "x") == "4"
    lab.run("c", "x = x * 2")
    lab.run("b", "x = x * 2")
    assert people_see(lab, "x") == "4"


def test_a_function_reads_what_is_defined_above_the_cell_that_calls_it(lab: FrontEnd) -> None:
    cells = {
        "a": "k = 1",
        "b": "def f(): return k",
        "c": "f()",
        "d": "k = 2",
        "e": "f()",
    }
    assert [run_all(lab, cells)[cell] for cell in "ce"] == ["1", "2"]
    lab.run("a", "k = 10")
    assert [lab.text(cell) for cell in "ce"] == ["10", "2"]


def test_a_cell_may_use_what_is_made_of_it_below(lab: FrontEnd) -> None:
    cells = {"a": "x = 1", "b": "x = x + 1; t = 5", "c": "print(x)"}
    run_all(lab, cells)
    assert lab.run("a", "x = t").ok
    assert lab.text("c") == "6"
    assert people_see(lab, "(x, t)") == "(6, 5)"
    assert run_all(lab, {**cells, "a": "x = t"})["c"] == "6"


def test_a_function_that_could_bind_a_name_does_not_hold_it_fast(lab: FrontEnd) -> None:
    cells = {"a": "x = 1", "b": "def set_x(to):\n    global x\n    x = to", "c": "print(x)"}
    assert run_all(lab, cells)["c"] == "1"
    lab.run("a", "x = 5")
    assert lab.text("c") == "5"


def test_functions_that_call_each_other_are_no_cycle(lab: FrontEnd) -> None:
    cells = {
        "a": "def even(n): return n == 0 or odd(n - 1)",
        "b": "def odd(n): return n != 0 and even(n - 1)",
        "c": "even(4)",
    }
    assert run_all(lab, cells)["c"] == "True"
    lab.run("b", "def odd(n): return None")
    assert lab.text("c") == ""


def test_what_cannot_be_copied_is_made_again(lab: FrontEnd) -> None:
    cells = {
        "a": "import itertools; log = []; import matplotlib.pyplot as plt; fig, ax = plt.subplots(); plt.close()",
        "b": "ax.plot([1, 2]); None",
        "c": "len(ax.lines)",
    }
    assert run_all(lab, cells)["c"] == "1"
    for cell in ("b", "b", "c", "a"):
        lab.run(cell, cells[cell])
        assert lab.text("c") == "1", cell


def test_a_view_that_another_cell_changes_does_not_drift(lab: FrontEnd) -> None:
    cells = {
        "a": "import numpy as np",
        "b": "x = np.array([4.0, 1.0])",
        "c": "y = x[:1]",
        "d": "y /= 2",
        "e": "print(y, x)",
    }
    assert run_all(lab, cells)["e"] == "[2.] [2. 1.]"
    for cell in ("d", "d", "c", "b"):
        lab.run(cell, cells[cell])
        lab.wait_quiet()
        assert lab.text("e") == "[2.] [2. 1.]", cell


def test_what_holds_parts_of_a_trained_model_is_made_again_with_it(lab: FrontEnd) -> None:
    cells = {
        "a": """class Model:
    def __init__(self): self.w = [0]
    def train(self): self.training = True
class Optimizer:
    def __init__(self, w): self.w = w
    def step(self): self.w[0] += 1""",
        "b": "model = Model()",
        "c": "optimizer = Optimizer(model.w)",
        "d": "model.train()\nfor _ in range(3): optimizer.step()\nprint(model.w)",
    }
    assert run_all(lab, cells)["d"] == "[3]"
    for cell in ("d", "d", "c", "b"):
        lab.run(cell, cells[cell])
        lab.wait_quiet()
        assert lab.text("d") == "[3]", cell


def test_a_slider_that_another_cell_replaces_still_moves_its_readers(lab: FrontEnd) -> None:
    cells = {
        "a": "import marimo as mo; s = mo.ui.slider(0, 9)",
        "b": "print('first', s.value)",
        "c": "s = mo.ui.slider(0, 9, value=5)",
        "d": "print('second', s.value)",
    }
    run_all(lab, cells)
    lab.run("set", "%marimo set s 7")
    lab.wait_for("d", "second 7")
    assert lab.text("b") == "first 0"


def test_star_imports_and_private_names_work_as_in_jupyter(lab: FrontEnd) -> None:
    cells = {
        "a": "from math import *\n_k = 2",
        "b": "print(floor(2.5) + _k)",
        "c": "floor = 3\n_k = 5",
        "d": "print(floor, _k)",
    }
    first = run_all(lab, cells)
    assert (first["b"], first["d"]) == ("4", "3 5")
    for cell, code in cells.items():
        assert lab.run(cell, code).ok
        assert texts(lab, cells) == first


def test_a_private_name_that_cells_made_in_another_order_is_that_of_the_document(lab: FrontEnd) -> None:
    run_all(lab, {"a": "_k = 1\ndef f():\n    return _k", "b": "_k = 2\ndef g():\n    return _k"})
    lab.run(
        "a", "_k = 1\ndef f():\n    return _k"
    )  # last, so that `_k` is 1 when a cell comes that reads the second
    assert lab.run("c", "print(g())").text == "2"


def test_private_names_that_are_imported_stay_for_cells_that_come_later(lab: FrontEnd) -> None:
    assert lab.run("a", "from os.path import _get_sep").ok
    assert lab.run("b", "_get_sep('x')").text == "'/'"


# -- modes ----------------------------------------------------------------------------------------------------------------


def test_strict_and_relaxed_hold_from_the_end_of_their_cell(lab: FrontEnd) -> None:
    run_all(lab, {"a": "x = 1", "b": "x = 2", "c": "print(x)"})
    lab.run("mode", "%marimo strict")
    assert "marimo autorun, strict" in lab.run("status", "%marimo").text
    assert lab.run("b", "x = 3").content["ename"] == "MultipleDefinitionError"
    lab.run("mode", "%marimo relaxed")
    lab.run("a", "x = 1")
    assert lab.run("b", "x = 4").ok
    assert lab.text("c") == "4"


def test_values_come_back_with_the_relaxed_rule(lab: FrontEnd) -> None:
    cells = {"a": "_k = 7; x = 1", "b": "print(x)", "c": "x = 2", "d": "print(x, _k)"}
    first = run_all(lab, cells)
    lab.run("mode", "%marimo strict")
    lab.run("mode", "%marimo relaxed")
    lab.sync()
    assert texts(lab, cells) == first
    lab.run("b", cells["b"])
    assert lab.text("b") == "1"


def test_in_lazy_mode_readers_of_the_version_alone_become_stale(lab: FrontEnd) -> None:
    lab.run("mode", "%marimo lazy")
    cells = {"a": "x = 1", "b": "print(x)", "c": "x = 2", "d": "print(x)"}
    run_all(lab, cells)
    lab.run("c", "x = 3")
    lab.sync()
    stale = wire.decode_reply(lab.ask(wire.ListCells()), list[Cell])
    assert [cell.notebook_cell_id for cell in stale if cell.stale] == ["d"]
    assert lab.text("b") == "1"


def test_vscode_has_the_order_of_the_first_runs(connect: Connect) -> None:
    code = connect("vscode")
    cells = {"a": "x = 1", "b": "print(x)", "c": "x = x + 1", "d": "print(x)"}
    for cell, source in cells.items():
        assert code.run(cell, source).ok
    code.wait_quiet()
    code.run("c", "x = x + 1")
    code.wait_quiet()
    code.run("a", "x = 5")
    code.wait_for("d", "6")
    assert code.text("b") == "5"


def test_an_agents_batch_may_define_a_name_again_where_the_order_is_known(lab: FrontEnd) -> None:
    run_all(lab, {"a": "x = 1", "b": "print(x)"})
    first, _ = wire.decode_reply(lab.ask(wire.ListCells()), list[Cell])
    batch = wire.EditCells(changes=[AddCell("x = x + 1", after=first.cell_id)], client="agent")
    preview = wire.decode_reply(lab.ask(msgspec.structs.replace(batch, dry_run=True), "shell"), EditReport)
    assert preview.problems == ()
    report = wire.decode_reply(lab.ask(batch, "shell"), EditReport)
    assert report.applied
    lab.wait_for("b", "2")


@pytest.mark.parametrize(
    "hostile",
    [
        "def __deepcopy__(self, memo): raise SystemExit",
        "def __deepcopy__(self, memo): raise KeyError",
        "__module__ = None",
    ],
)
def test_what_refuses_to_be_copied_is_changed_all_the_same(lab: FrontEnd, hostile: str) -> None:
    cells = {
        "a": f"class C:\n    {hostile}\n    n = 0\n    def add(self): self.n = self.n + 1\nx = C()",
        "b": "print(x.n)",
        "c": "x.add()",
        "d": "print(x.n)",
    }
    for _ in range(2):
        assert [run_all(lab, cells)[cell] for cell in "bd"] == ["0", "1"]
    lab.run("c", cells["c"])
    assert [lab.text(cell) for cell in "bd"] == ["0", "1"]


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the notebook, as a kernel knows it from its environment."""
    path = tmp_path / "n.ipynb"
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    return path


def test_the_saved_file_tells_where_a_cell_is(saved: Path, lab: FrontEnd) -> None:
    document = {"cells": [{"id": one} for one in "abc"], "metadata": {}}
    saved.write_text(json.dumps(document))
    for cell, code in {"a": "x = 1", "c": "print(x)", "b": "x = 2"}.items():
        assert lab.run(cell, code).ok
    lab.sync()
    assert lab.text("c") == "2"
    saved.write_text(json.dumps(document | {"cells": [{"id": one} for one in "acb"], "nbformat": 4}))
    lab.run("d", "pass")
    assert lab.text("c") == "1"


REPEATED = ("x = 1", "a = 1", "a = 2", "x = 1\nprint(a)")
"""Not the cells after a merge or a split: all of them are in the notebook."""


def test_a_cell_with_the_text_of_another_has_its_own_place_once_the_other_runs_again(lab: FrontEnd) -> None:
    lab.run_each(REPEATED, ("0", "1"))
    assert lab.text("3") == "2"


def test_a_cell_with_the_text_of_another_follows_it_once_the_other_runs_again(lab: FrontEnd) -> None:
    lab.run_each(
        ("a, b = [1], [2]", "b = [a, 6]", "d = b\nb = [a, 6]\nprint(b)"), ("1: a = sorted(map(str, a))",)
    )
    assert lab.text("2") == "[['1'], 6]"


def test_what_a_cell_has_mutated_at_a_place_that_it_leaves_is_made_anew(lab: FrontEnd) -> None:
    lab.run_each(
        ("f = 1", "other = 2", "rows = [1]\nalso = rows", "f = 1\nprint(rows)"),
        ("3: rows.append(2)\nprint(also)", "0"),
    )
    assert lab.text("3") == "[1, 2]"


def test_what_is_split_off_stays_below_what_is_left(lab: FrontEnd) -> None:
    lab.run_each(("a = 1\nprint(a)\nb = 2", "a = 3"))
    lab.run("new", "print(a)\nb = 2")
    lab.run("0", "a = 1")
    lab.sync()
    assert lab.text("new") == "1"
