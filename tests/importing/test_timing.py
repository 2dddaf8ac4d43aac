"""`%timeit` and `%%timeit` as Python: how often they run what, and what they give."""

import pytest
from reactive import Reactive, prepared


def runs(*codes):
    """Import cells and run the result; return what it shows."""
    return "".join(Reactive([cell.code for cell in prepared(codes).cells]).run().values())


@pytest.mark.parametrize(
    ("codes", "shown"),
    [
        (
            ["r = %timeit -o -n1 -r1 -q 1 + 1", "print(type(r).__name__, r.loops, r.repeat)"],
            "TimeitResult 1 1\n",
        ),
        (["n = []\nr = %timeit -n 2 -r3 -o -q n.append(1)\nprint(len(n), len(r.all_runs))"], "6 3\n"),
        (["r = %timeit -q -o -n1 -r1 x = 5", "print(r.repeat)"], "1\n"),
        (["r = %timeit -n1 -r1 -q 1", "print(r)"], "None\n"),
        (["%timeit -v res -n1 -r1 -q 1", "print(res.loops)"], "1\n"),
        (["n = []\n%timeit -n3 -r2 -q n.append(1)\nprint(len(n))"], "6\n"),
        (["x = 1", "%%timeit -n2 -r1 -q x = 5\nx += 1\nprint(x)", "print(x)"], "6\n7\n1\n"),
        (["%%timeit -n1 -r1 -q x = 5\nprint(x)", "x = 1", "print(x)"], "5\n1\n"),
        (["def time_it(x): return 'own'", "%timeit -n1 -r1 -q 1", "print(time_it(1))"], "own\n"),
    ],
)
def test_what_is_timed_runs_as_often_as_in_ipython(codes, shown):
    assert runs(*codes) == shown


def test_what_ipython_prints_is_printed():
    assert "std. dev. of 1 run, 2 loops each)" in runs("%timeit -n2 -r1 1")


def test_a_value_that_option_o_asks_for_is_shown():
    assert runs("%timeit -n1 -r1 -q -o 1").startswith("<IPython.core.magics.execution.TimeitResult")
