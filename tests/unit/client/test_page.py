"""Which cell shows which message, and what a front end sends; no kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from marimo_kernel_bridge.client.page import Page, execute_content, execute_metadata

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.names import Dialect


def message(msg_type: str, request_id: str | None, **content: Any) -> dict[str, Any]:
    return {
        "header": {"msg_type": msg_type},
        "parent_header": {} if request_id is None else {"msg_id": request_id},
        "content": content,
    }


def printed(request_id: str | None, text: str) -> dict[str, Any]:
    return message("stream", request_id, name="stdout", text=text)


IDLE = {"execution_state": "idle"}


def test_a_cell_shows_what_belongs_to_its_request() -> None:
    page = Page()
    page.sent("one", "r-1")
    page.sent("two", "r-2")
    page.show(printed("r-2", "second\n"))
    page.show(printed("r-1", "first\n"))
    page.show(printed("r-3", "a stranger's\n"))
    page.show(printed(None, "nobody's\n"))
    assert (page.cells["one"].text, page.cells["two"].text) == ("first", "second")


def test_a_cell_that_runs_again_is_cleared_and_drops_what_the_request_before_shows() -> None:
    page = Page()
    page.sent("one", "r-1")
    page.show(printed("r-1", "old"))
    page.sent("one", "r-2")
    assert page.cells["one"].text == ""
    page.show(printed("r-1", "older"))
    page.show(message("status", "r-1", **IDLE))
    assert (page.cells["one"].text, page.cells["one"].over) == ("", False)


def test_what_comes_after_idle_is_shown_and_called_late() -> None:
    page = Page()
    cell = page.sent("one", "r-1")
    page.show(printed("r-1", "old"))
    page.show(message("status", "r-1", **IDLE))
    assert (cell.over, cell.late) == (True, [])
    page.show(message("clear_output", "r-1", wait=True))
    page.show(printed("r-1", "new"))
    assert (cell.text, cell.late) == ("new", ["clear_output", "stream"])


def test_outputs_are_found_by_their_mime_type() -> None:
    page = Page()
    cell = page.sent("one", "r-1")
    page.show(printed("r-1", "text"))
    page.show(
        message("display_data", "r-1", data={"image/png": "one", "text/plain": "<Figure>"}, metadata={})
    )
    page.show(message("display_data", "r-1", data={"image/png": "two"}, metadata={}))
    assert (cell.mime("image/png"), cell.mime("text/html")) == ("one", None)


@pytest.mark.parametrize(
    ("dialect", "metadata"),
    [
        ("lab", {"cellId": "one", "deletedCells": [], "recordTiming": False}),
        ("vscode", {"cellId": "vscode-notebook-cell:/n.ipynb#one"}),
        ("agent", {"marimo_kernel_bridge": {"client": "agent"}}),
        ("batch", {}),
        ("terminal", {}),
    ],
)
def test_each_front_end_names_its_cells_in_its_own_way(dialect: Dialect, metadata: dict[str, Any]) -> None:
    assert execute_metadata("one", dialect) == metadata


def test_only_who_has_a_person_in_front_asks_for_input_and_vs_code_keeps_its_queue() -> None:
    contents = {dialect: execute_content("x", dialect) for dialect in ("lab", "vscode", "batch")}
    assert [content["allow_stdin"] for content in contents.values()] == [True, True, False]
    assert [content["stop_on_error"] for content in contents.values()] == [True, False, True]
