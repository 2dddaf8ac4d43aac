"""Who reads whose version of a name, cell by cell, when the cells run as they are. One line each."""

import pytest

from marimo_kernel_bridge.analysis.value_flows import flows


def reads(*cells):
    """`"1x0"`: cell 1 reads the x of cell 0."""
    return " ".join(
        f"{number}{name}{maker}"
        for number, flow in enumerate(flows(cells))
        for name, maker in sorted(flow.reads)
    )


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["x = 1", "x", "x = 2", "x"], "1x0 3x2"),
        (["x = 1", "x = x + 1", "x"], "1x0 2x1"),
        (["x = 1", "x += 1", "x"], "1x0 2x1"),
        (["x = 1", "x = 2; x", "x"], "2x1"),
        (["x", "x = 1"], "0x1"),
        (["x", "x = 1", "x = 2"], "0x1"),
        (["for i in y: i", "for i in z: i"], ""),
        (["x = 1", "if y: x = 2", "x"], "1x0 2x1"),
        (["x = 1", "if y: x = 2\nelse: x = 3", "x"], "2x1"),
        (["x = []", "x.append(1)", "x"], "1x0 2x1"),
        (["x = {}", "x['a'] = 1", "x['b'] = 2", "x"], "1x0 2x1 3x2"),
        (["x = []", "y = x", "y.append(1)", "x"], "1x0 2x0 2y1 3x2"),
        (["x = 1", "del x", "x"], "1x0 2x1"),
        (["x = 1", "del x", "x = 2", "x"], "1x0 3x2"),
        (["import a", "import a", "a"], "1a0 2a0"),
        (["def f(): return k", "k = 1", "f()", "k = 2", "f()"], "2f0 2k1 4f0 4k3"),
        (["def f(): return k", "k = 1; f()"], "1f0"),
        (["def f(): return g()", "def g(): return f() if k else 1", "k = 0", "f()"], "3f0 3g1 3k2"),
        (["k = 0\ndef f():\n    global k\n    k += 1", "f()", "k"], "1f0 1k0 2k1"),
        (["k = 1", "f = lambda: k", "k = 2", "f()"], "3f1 3k2"),
        (["k = 1", "class A:\n    def m(self): return k", "a = A()", "k = 2", "a.m()"], "2A1 2k0 4a2 4k3"),
        (["fig, ax = plt.subplots()", "ax.plot(x)", "fig"], "1ax0 1fig0 2fig1"),
        (["_x = 1", "_x"], "1_x0"),
        (["1", "_"], ""),
        (["x = 1", "not python", "x"], "2x0"),
        (["x = 1", "[x for x in range(3)]", "x"], "2x0"),
        (["x = 1", "print(f'{x}')", "x = 2", "print(f'{x=}')"], "1x0 3x2"),
    ],
)
def test_reads(cells, expected):
    assert reads(*cells) == expected


@pytest.mark.parametrize(
    ("cells", "keeps"),
    [
        (["x = [1]", "x.append(2)"], {"x": "{}.copy()"}),
        (["x = [1]", "x += [2]"], {"x": "{}.copy()"}),
        (["x = {}", "x['a'] = 1"], {"x": "{}.copy()"}),
        (["x = 1", "x += 1"], {}),
        (["x = 1", "x = x + 1"], {}),
        (["x = f()", "x.y.z = 1"], {"x": "copy.deepcopy({})"}),
        (["x = f()", "x.fit(1)"], {"x": "{}"}),
        (["x = 1", "del x"], {"x": "{}"}),
    ],
)
def test_what_a_cell_changes_is_kept(cells, keeps):
    assert flows(cells)[-1].keeps == keeps


def test_a_redefinition_is_told_where_others_read_the_name():
    cells = ["x = 1; i = 1", "x", "x = 2; i = 2"]
    assert [flow.redefines for flow in flows(cells)] == [{}, {}, {"x": 0}]


def test_figures_are_drawn_on_again():
    assert flows(["fig, ax = plt.subplots()", "ax.plot(x)"])[1].draws_on == {"ax", "fig"}


def test_an_array_that_is_changed_by_a_view_of_it_is_made_again():
    cells = ["import numpy as np", "x = np.ones(3)", "y = x[:1]", "y /= 2", "print(x)"]
    assert flows(cells)[3].draws_on == {"x", "y"}
    assert flows([*cells[:2], "x /= 2"])[2].draws_on == set()


def test_names_of_one_object_are_kept_in_an_order_that_does_not_depend_on_hashes() -> None:
    cells = ["a = [1]", "h = g = f = e = d = c = b = a", "def put(): a.append(2)", "put()"]
    assert list(flows(cells)[-1].keeps) == list("abcdefgh")
