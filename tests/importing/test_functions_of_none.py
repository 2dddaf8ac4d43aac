"""Functions of the notebook that return nothing: their value is not shown, so a joined cell does not ask for it."""

import pytest
from reactive import prepared


@pytest.mark.parametrize(
    ("function", "silent"),
    [
        ("def f(n):\n    print(n)", True),
        ("def f(n):\n    if n:\n        return\n    return None", True),
        ("def f(n):\n    def inner():\n        return 1\n    g = lambda: 2\n    print(inner())", True),
        ("def f(n):\n    return n", False),
        ("def f(n):\n    yield n", False),
        ("@decorated\ndef f(n):\n    pass", False),
        ("def f(n): pass\nif late:\n    f = other", False),
    ],
)
def test_the_value_of_a_function_that_returns_nothing_is_not_looked_at(function, silent):
    codes = ["from IPython.display import display", function, "display(1)\nf(2)", "g = iter('ab')", "f(next(g))", "next(g)"]  # fmt: skip
    text = "\n".join(cell.code for cell in prepared(codes).cells)
    assert ("_shown = f(" not in text) is silent


def test_a_function_is_told_from_a_parameter_of_its_name():
    codes = ["def f(n): print(n)", "g = iter('ab')", "[f for f in 'x']\nf(next(g))", "next(g)"]
    assert "_shown = f(" in "\n".join(cell.code for cell in prepared(codes).cells)
