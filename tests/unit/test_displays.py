"""An update of a display goes to the cells that show it, and looks at no others."""

import pytest

from marimo_kernel_bridge.kernel.cells import Address, CellTable
from marimo_kernel_bridge.kernel.outputs.router import OutputRouter
from marimo_kernel_bridge.protocol.output_log import OutputLog


@pytest.fixture
def cells() -> CellTable:
    table = CellTable()
    for number in range(30):
        table.add(f"c{number}", "x", "notebook", Address("lab", {"msg_id": f"m{number}"}, "page"))
    return table


@pytest.fixture
def router(cells: CellTable) -> OutputRouter:
    return OutputRouter(cells, lambda _: None, lambda: False)


def show(
    router: OutputRouter, number: int, text: str, display_id: str = "shown", kind: str = "display_data"
) -> None:
    content = {"data": {"text/plain": text}, "metadata": {}, "transient": {"display_id": display_id}}
    router.route(kind, content, {"msg_id": f"m{number}"})


def texts(cells: CellTable) -> list[object]:
    return [[each["data"]["text/plain"] for each in entry.log.outputs()] for entry in cells]


def test_an_update_changes_each_cell_that_shows_the_display_and_asks_no_other(
    router: OutputRouter, cells: CellTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(router, 3, "old")
    show(router, 7, "old")
    show(router, 8, "another", display_id="other")
    asked, update = [], OutputLog.update_display
    monkeypatch.setattr(
        OutputLog, "update_display", lambda log, content: asked.append(log) or update(log, content)
    )
    show(router, 20, "new", kind="update_display_data")
    assert (texts(cells)[3], texts(cells)[7], texts(cells)[8], len(asked)) == (
        ["new"],
        ["new"],
        ["another"],
        2,
    )


def test_what_a_cell_no_longer_shows_is_forgotten(router: OutputRouter, cells: CellTable) -> None:
    first = next(iter(cells))
    for number in range(100):
        router.restart(first)
        show(router, 0, "text", display_id=f"display {number}")
    assert router._displays == {"display 99": {first.cell.cell_id}}
    router.restart(first)
    assert (router._displays, router._display_ids) == ({}, {})
