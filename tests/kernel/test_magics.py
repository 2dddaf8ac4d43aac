"""IPython's magics that change the process work as under ipykernel. What magics define and use is tried in memory."""

import pytest


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("%timeit -n 2 -r 1 1 + 1", "per loop"),
        ("%%timeit -n 2 -r 1\n1 + 1", "per loop"),
        ("%pip --version", "pip"),
        ("%matplotlib inline", ""),
        ("%load_ext autoreload\n%autoreload 2", ""),
        ("%who_ls", "[]"),
        ("%lsmagic", "%marimo"),
        ("%env HOME", "/"),
        ("%%html\n<b>x</b>", "<IPython.core.display.HTML object>"),
        ("%%python\nprint('other', 1)", "other 1"),
        ("%pwd", "/"),
        ("%%unheard_of\nx", "UsageError"),
    ],
)
def test_magics_work_as_under_ipykernel(shared, code, shown):
    shared.run("one", code)
    assert shown in shared.text("one")
