"""An update of a display goes to the cells that show it, and looks at no others."""

import pytest

from marimo_kernel_bridge.kernel.cells import Address, CellTable
from marimo_kernel_bridge.kernel.outputs.router import Outlet
from marimo_kernel_bridge.protocol.output_log import OutputLog


@pytest.fixture
def cells() -> CellTable:
    table = CellTable()
    for number in range(30):
        table.add(f"c{number}", "x", "notebook", Address("lab", {"msg_id": f"m{number}"}, "page"))
    return table


@pytest.fixture
def outlet(cells: CellTable) -> Outlet:
    return Outlet(cells, lambda _: None, lambda: False)


def show(
    outlet: Outlet, number: int, text: str, display_id: str = "shown", kind: str = "display_data"
) -> None:
    content = {"data": {"text/plain": text}, "metadata": {}, "transient": {"display_id": display_id}}
    outlet.route(kind, content, {"msg_id": f"m{number}"})


def texts(cells: CellTable) -> list[object]:
    return [[each["data"]["text/plain"] for each in entry.log.outputs()] for entry in cells]


def test_an_update_changes_each_cell_that_shows_the_display_and_asks_no_other(
    outlet: Outlet, cells: CellTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(outlet, 3, "old")
    show(outlet, 7, "old")
    show(outlet, 8, "another", display_id="other")
    asked, update = [], OutputLog.update_display
    monkeypatch.setattr(
        OutputLog, "update_display", lambda log, content: asked.append(log) or update(log, content)
    )
    show(outlet, 20, "new", kind="update_display_data")
    assert (texts(cells)[3], texts(cells)[7], texts(cells)[8], len(asked)) == (
        ["new"],
        ["new"],
        ["another"],
        2,
    )


def test_what_a_cell_no_longer_shows_is_forgotten(outlet: Outlet, cells: CellTable) -> None:
    first = next(iter(cells))
    for number in range(100):
        outlet.restart(first)
        show(outlet, 0, "text", display_id=f"display {number}")
    assert outlet._displays == {"display 99": {first.cell.cell_id}}
    outlet.restart(first)
    assert (outlet._displays, outlet._display_ids) == ({}, {})
