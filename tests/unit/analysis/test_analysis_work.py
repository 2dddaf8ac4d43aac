"""How much work an analysis does: lines of Python that run, counted, not timed."""

import sys
from types import FrameType
from typing import Any

import pytest

from marimo_kernel_bridge.analysis.analyze import analyze
from marimo_kernel_bridge.analysis.model import Given

KEPT = ("d = {}\nrows = []", "v{0} = [{0}]\nd['k{0}'] = v{0}\nrows.append(v{0})\nprint(v{0})")
CHAIN = ("v0 = [0]", "v{0} = [{0}, v{1}]\nv{1}.append({0})\nprint(v{0})")
AGAIN = ("rows = []", "rows.append({0})\nprint(rows)")


def lines_run(first: str, each: str, count: int) -> int:
    cells = [Given(first), *(Given(each.format(number, number - 1)) for number in range(1, count))]
    lines = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        analyze(cells)
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("notebook", [KEPT, CHAIN, AGAIN], ids=["kept", "chain", "again"])
def test_twice_the_cells_are_at_most_about_four_times_the_work(notebook: tuple[str, str]) -> None:
    assert lines_run(*notebook, count=40) < 5 * lines_run(*notebook, count=20)
