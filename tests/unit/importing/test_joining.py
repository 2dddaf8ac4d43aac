"""Cells that become one still show the values of all of them."""

import pytest

from marimo_kernel_bridge.importing.joining import joined


@pytest.mark.parametrize(
    ("codes", "code", "needs"),
    [
        (["x = 1", "x"], "x = 1\n\nx", set()),
        (["x", "y"], "display(x)\n\ny", {"display"}),
        (["x;", "y"], "x;\n\ny", set()),
        (["x, y", "z"], "display((x, y))\n\nz", {"display"}),
        (["print(x)", "y"], "print(x)\n\ny", set()),
        (["None", "y"], "None\n\ny", set()),
        (["f(x)", "y"], "_shown = f(x)\nif _shown is not None:\n    display(_shown)\n\ny", {"display"}),
        (["", "y"], "y", set()),
    ],
)
def test_the_last_value_of_each_cell_is_displayed(codes: list[str], code: str, needs: set[str]) -> None:
    assert joined(codes) == (code, needs)
