"""Where `plt.show()` is added: marimo shows the value of the last expression, Jupyter the finished figure as well."""

import pytest

from marimo_kernel_bridge.importing.figures import shown

AXES = "fig, ax = plt.subplots()\nax.plot(x)\n"
CELLS = {
    "a part of the figure at the end": (f"{AXES}ax.imshow(x)", f"{AXES}ax.imshow(x)"),
    "a label at the end": ("plt.plot(x)\nplt.xlabel('x')", "plt.plot(x)\nplt.xlabel('x')"),
    "values that are no part of the figure": ("plt.hist(x)", "display(plt.hist(x))\nplt.show()"),
    "limits": (f"{AXES}ax.set_xlim(0, 1)  # x", f"{AXES}display(ax.set_xlim(0, 1))  # x\nplt.show()"),
    "limits of axes that a frame has made": (
        "ax = df.mean().plot()\nax.set_xlim(0, 1)",
        "ax = df.mean().plot()\ndisplay(ax.set_xlim(0, 1))\nplt.show()",
    ),
    "what returns nothing": ("plt.plot(x)\nplt.grid(True)", "plt.plot(x)\nplt.grid(True)\nplt.show()"),
    "the layout of a figure": (f"{AXES}fig.tight_layout()", f"{AXES}fig.tight_layout()\nplt.show()"),
    "a function that draws": (f"{AXES}draw(ax)", f"{AXES}draw(ax)\nplt.show()"),
    "a statement": ("plt.plot(x)\ny = 1", "plt.plot(x)\ny = 1\nplt.show()"),
    "another value": ("plt.plot(x)\nlen(x)", "plt.plot(x)\nplt.show()\nlen(x)"),
    "a value of the axes": (f"{AXES}len(ax.lines)", f"{AXES}plt.show()\nlen(ax.lines)"),
    "nothing is drawn": ("len(x)", "len(x)"),
}


@pytest.mark.parametrize(("code", "expected"), CELLS.values(), ids=CELLS)
def test_the_figure_is_shown_once_it_is_drawn(code: str, expected: str) -> None:
    assert shown(["import matplotlib.pyplot as plt", code])[1] == expected
