"""Names used through `globals()` are written as names, so that cells which read them follow."""

import pytest
from reactive import Reactive, assert_shows_the_same_again_and_again, in_order, prepared

from marimo_kernel_bridge.importing.namespace_names import written_out


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("globals()['x'] = 2", "x = 2"),
        ("globals()['x'] += 2", "x += 2"),
        ("del locals()['x']", "del x"),
        ("print(vars()['x'], globals() ['y'])", "print(x, y)"),
        ("if a:\n    globals()['x'], b = 1, 2", "if a:\n    x, b = 1, 2"),
        ("f = lambda: globals()['x']", "f = lambda: x"),
        ("globals().update(x=1, y=f(2))", "x = 1; y = f(2)"),
        ("def f(a):\n    'doc'\n    globals()['x'] = a", "def f(a):\n    'doc'\n    global x\n    x = a"),
        ("def f(a): globals()['x'] = a", "def f(a): global x; x = a"),
        ("def f():\n    return globals()['x']", "def f():\n    return x"),
        ("ä = globals()['x']; b = globals()['y']", "ä = x; b = y"),
        # what stays
        ("def f(x):\n    globals()['x'] = x", "def f(x):\n    globals()['x'] = x"),
        ("def f():\n    return locals()['x']", "def f():\n    return locals()['x']"),
        ("[globals()['x'] for x in y]", "[globals()['x'] for x in y]"),
        ("class A:\n    globals()['x'] = 1", "class A:\n    globals()['x'] = 1"),
        ("globals()[name] = 1; globals()['a b'] = 2", "globals()[name] = 1; globals()['a b'] = 2"),
        ("globals().update(given)", "globals().update(given)"),
        ("try: globals()['x']\nexcept KeyError: x = 1", "try: globals()['x']\nexcept KeyError: x = 1"),
    ],
)
def test_only_literal_names_without_a_namesake_are_written_out(code, expected):
    assert written_out(code) == expected


@pytest.mark.parametrize(
    "codes",
    [
        ["x = 1", "globals()['x'] = 2", "print(x)", "globals()['x'] += 1\nprint(x)"],
        ["x = 1", "def put(v): globals()['x'] = v", "put(3)", "print(x)"],
        ["globals().update(a=1, b=2)", "print(a + b)", "globals()['a'] = 5", "print(a + b)"],
    ],
)
def test_what_a_cell_binds_through_its_namespace_reaches_the_cells_below(codes):
    assert_shows_the_same_again_and_again(codes)


def test_readers_follow_an_edit_of_what_a_cell_binds_through_its_namespace():
    result = prepared(["globals()['x'] = 1", "print(x)"])
    edited = Reactive([cell.code.replace("1", "7") for cell in result.cells])
    assert edited.downstream(0) == {0, 1}
    assert [*edited.run().values()] == in_order(["x = 7", "print(x)"])
