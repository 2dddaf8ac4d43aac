"""marimo's own server on a notebook: what its pages get, and what they can ask for."""

import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketTestSession

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.changes import GraphProblem
from marimo_kernel_bridge.protocol.document import CellSettings
from marimo_kernel_bridge.runtime.editor import answers
from marimo_kernel_bridge.runtime.editor import interface as editor
from marimo_kernel_bridge.runtime.editor.server import EditorServer
from marimo_kernel_bridge.runtime.editor.site import UNSENT, Site
from tests.unit.runtime.editor.test_news import display, shown

SLIDER = "<marimo-ui-element object-id='Hbol-0'><marimo-slider></marimo-slider></marimo-ui-element>"


@dataclass
class Notebook:
    """A notebook with a slider, as the host of marimo's server."""

    commands: list[editor.Command] = field(default_factory=list)
    interrupts: int = 0
    value: Any = 5
    commands_shown: list[editor.EditorCell] = field(default_factory=list)

    def cells(self) -> Sequence[editor.EditorCell]:
        slider = display(text_html="a slider", text_plain="5")
        return [
            shown("Hbol", "slider = mo.ui.slider(1, 9)\nslider", slider, defines=("slider",)),
            shown("MJUe", "slider.value", display(text_plain="5"), uses=("slider",)),
            *self.commands_shown,
        ]

    def html(self, shown: str, cell_id: str) -> str | None:
        return SLIDER if (shown, cell_id) == ("a slider", "Hbol") else None

    def values(self, object_ids: Iterable[str]) -> Mapping[str, Any]:
        return dict.fromkeys(object_ids, self.value)

    def act(self, command: editor.Command) -> None:
        self.commands.append(command)

    def interrupt(self) -> None:
        self.interrupts += 1


class Browser:
    """A browser that has opened an address of a site."""

    def __init__(self, site: Site) -> None:
        url = site.link().url
        self.address = url.partition("/?")[0]
        self._client = TestClient(site.guard, base_url=self.address)
        self.page = self._client.get(url).text
        found = re.search(r'"serverToken": "([^"]+)"', self.page)
        assert found is not None
        self._token = found[1]

    def post(self, path: str, content: Mapping[str, Any], session: str = "s_first1") -> int:
        headers = {"Marimo-Server-Token": self._token, "Marimo-Session-Id": session, "Origin": self.address}
        return self._client.post(path, json=content, headers=headers).status_code

    @contextmanager
    def tab(self, session: str = "s_first1") -> Iterator[WebSocketTestSession]:
        address = f"{self.address.replace('http', 'ws')}/ws?session_id={session}"
        with self._client.websocket_connect(address, headers={"Origin": self.address}) as socket:
            yield socket


def until(socket: WebSocketTestSession, op: str, **fields: Any) -> dict[str, Any]:
    """Return the data of the next message of a kind, with these fields."""
    while True:
        message = json.loads(socket.receive_text())
        if message["op"] == op and all(message["data"].get(key) == value for key, value in fields.items()):
            data: dict[str, Any] = message["data"]
            return data


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def open_site(notebook: Notebook) -> Iterator[Callable[[str], Browser]]:
    """Opens the editor of the notebook, or its app view."""
    with ExitStack() as stack:

        def open_site(view: str = "editor") -> Browser:
            site = Site(notebook, "penguins", app=view == "app")
            stack.callback(site.close)
            return Browser(site)

        yield open_site


def test_the_persons_own_handlers_of_marimos_logs_get_what_they_got(
    open_site: Callable[[], Browser],
) -> None:
    logger, mine = logging.getLogger("marimo"), logging.StreamHandler(io.StringIO())
    mine.setLevel("WARNING")
    logger.addHandler(mine)
    try:
        open_site()
        logger.info("one")
        logger.warning("two")
        logger.error("three")
        assert mine.stream.getvalue() == "two\nthree\n"
        own = [each for each in logger.handlers if each is not mine and type(each) is logging.StreamHandler]
        assert {each.level for each in own} == {logging.ERROR}
    finally:
        logger.removeHandler(mine)


def test_the_editor_shows_the_cells_and_their_values_and_asks_for_what_a_person_does(
    notebook: Notebook, open_site: Callable[[], Browser]
) -> None:
    browser = open_site()
    assert '"filename": "penguins.py"' in browser.page
    assert UNSENT in browser.page
    with browser.tab() as tab:
        ready = until(tab, "kernel-ready")
        assert (ready["cell_ids"], ready["codes"][1]) == (["Hbol", "MJUe"], "slider.value")
        assert (ready["ui_values"], ready["resumed"]) == ({"Hbol-0": 5}, True)
        assert until(tab, "cell-op", cell_id="Hbol")["output"]["data"] == SLIDER
        assert until(tab, "cell-op", cell_id="MJUe")["output"]["data"] == "5"
        created = {
            "type": "create-cell",
            "cellId": "mine",
            "code": "",
            "name": "_",
            "config": {},
            "after": "Hbol",
        }
        assert browser.post("/api/document/transaction", {"changes": [created]}) == 200
        moved = {"type": "move-cell", "cellId": "mine", "after": "MJUe"}
        assert browser.post("/api/document/transaction", {"changes": [moved]}) == 200
        assert browser.post("/api/kernel/run", {"cellIds": ["mine"], "codes": ["1"]}) == 200
        assert (
            browser.post("/api/kernel/set_ui_element_value", {"objectIds": ["Hbol-0"], "values": [7]}) == 200
        )
        assert browser.post("/api/kernel/delete", {"cellId": "mine"}) == 200
        assert browser.post("/api/kernel/interrupt", {}) == 200
        order = ("Hbol", "MJUe", "mine")
        assert notebook.commands == [
            editor.SetSettings("mine", CellSettings()),
            editor.Arrange(order),
            editor.RunCells((("mine", "1"),), order),
            editor.SetValues((("Hbol-0", 7),)),
            editor.DeleteCell("mine"),
        ]
        assert notebook.interrupts == 1
    notebook.value = 7
    with browser.tab("s_second") as again:  # the tab was closed, and opened again
        ready = until(again, "kernel-ready")
        assert (ready["cell_ids"], ready["ui_values"]) == (["Hbol", "MJUe", "mine"], {"Hbol-0": 7})


def test_a_second_tab_sees_what_the_first_one_does(open_site: Callable[[], Browser]) -> None:
    browser = open_site()
    with browser.tab() as first, browser.tab("s_second") as second:
        until(first, "cell-op", cell_id="MJUe")
        assert until(second, "kernel-ready")["kiosk"] is True
        assert (
            browser.post("/api/kernel/set_ui_element_value", {"objectIds": ["Hbol-0"], "values": [3]}) == 200
        )
        told = until(second, "send-ui-element-message")
        assert (told["ui_element"], told["message"]["value"]) == ("Hbol-0", 3)
        assert browser.post("/api/kernel/run", {"cellIds": ["MJUe"], "codes": ["1"]}, "s_second") == 403


def test_the_app_view_has_controls_and_no_code(
    notebook: Notebook, open_site: Callable[[str], Browser]
) -> None:
    notebook.commands_shown.append(replace(shown("vblA", "%marimo open"), is_command=True))
    browser = open_site("app")
    assert UNSENT not in browser.page
    with browser.tab() as tab, browser.tab("s_second") as other:
        ready = until(tab, "kernel-ready")
        assert (ready["codes"], ready["last_executed_code"], ready["ui_values"]) == (
            ["", ""],
            {},
            {"Hbol-0": 5},
        )
        assert until(tab, "cell-op", cell_id="MJUe")["output"]["data"] == "5"
        until(other, "kernel-ready")  # else it may get the value with its first state
        assert (
            browser.post("/api/kernel/set_ui_element_value", {"objectIds": ["Hbol-0"], "values": [3]}) == 200
        )
        assert notebook.commands == [editor.SetValues((("Hbol-0", 3),))]
        assert until(other, "send-ui-element-message")["message"]["value"] == 3
        assert browser.post("/api/kernel/run", {"cellIds": ["MJUe"], "codes": ["1"]}) == 404
        assert "slider.value" not in browser.page


def test_another_marimo_is_told_and_nothing_is_served(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "marimo_kernel_bridge.runtime.editor.site", None)
    server = EditorServer(notebook, "penguins", lambda: False)
    with pytest.raises(BridgeError) as refused:
        server.link(app=False)
    assert refused.value.code == "runtime_mismatch"
    server.refresh()


def test_markdown_is_shown_drawn_and_changed_as_text_that_never_runs(
    notebook: Notebook, open_site: Callable[[], Browser]
) -> None:
    text = display(text_markdown="# Title\n*words*")
    notebook.commands_shown.append(replace(shown("md-1", "# Title\n*words*", text), is_markdown=True))
    browser = open_site()
    with browser.tab() as tab:
        ready = until(tab, "kernel-ready")
        code = ready["codes"][2]
        assert code == 'mo.md(r"""\n# Title\n*words*\n""")'
        assert ready["last_executed_code"]["md-1"] == code  # it does not seem to wait for its first run
        drawn = until(tab, "cell-op", cell_id="md-1")["output"]
        assert "<em>words</em>" in drawn["data"]
        run = {"cellIds": ["Hbol", "md-1"], "codes": ["x = 1", code]}
        assert browser.post("/api/kernel/run", run) == 200
        changed = {"cellIds": ["md-1"], "codes": ['mo.md("mine, *too*")']}
        assert browser.post("/api/kernel/run", changed) == 200
        typed = {"type": "set-code", "cellId": "md-1", "code": 'mo.md("mine, typed on")'}
        assert browser.post("/api/document/transaction", {"changes": [typed]}) == 200
        no_text = {"cellIds": ["md-1"], "codes": ["mo.md(f'{speed}')"]}
        assert browser.post("/api/kernel/run", no_text) == 200
        refused = until(tab, "cell-op", cell_id="md-1", status="running")["output"]
        assert "which has text alone" in str(refused["data"])
        assert browser.post("/api/kernel/delete", {"cellId": "md-1"}) == 200
        order = ("Hbol", "MJUe", "md-1")
        assert notebook.commands == [
            editor.RunCells((("Hbol", "x = 1"),), order),
            editor.ChangeMarkdown("md-1", "mine, *too*", frozenset({"# Title\n*words*"})),
            editor.RunCells((), order),
            editor.ChangeMarkdown("md-1", "mine, typed on", frozenset({"# Title\n*words*", "mine, *too*"})),
            editor.RunCells((), order),
            editor.DeleteCell("md-1"),
        ]


def test_why_a_cell_is_not_taken_stays_until_the_cell_has_something_new(notebook: Notebook) -> None:
    text = display(text_markdown="words")
    cells = [
        replace(shown("md-1", "words", text), is_markdown=True),
        shown("vblA", "1", display(text_plain="1")),
    ]
    notebook.commands_shown.extend(cells)
    site = Site(notebook, "penguins", app=False)
    told: list[Any] = []
    send = site.send
    try:
        site.refresh()
        site.send = lambda message, *_: (told.append(message), send(message))  # type: ignore[method-assign, assignment]
        for one in cells:
            refused = answers.refusal(one.cell.cell_id, [GraphProblem("syntax", "not this", ())])
            site.show_instead(one.cell.cell_id, refused)
            told.clear()
            site.refresh()
            assert told == []
        notebook.commands_shown[-1] = replace(cells[1], cell=replace(cells[1].cell, last_run_at=11.0))
        site.refresh()
        assert [one.output.data for one in told if getattr(one, "output", None) is not None] == ["1"]
    finally:
        site.close()


def test_names_and_hidden_code_of_the_notebook_are_the_editors_and_the_other_way(
    notebook: Notebook, open_site: Callable[[], Browser]
) -> None:
    named = CellSettings("speeds", hide_code=True)
    notebook.commands_shown.append(replace(shown("vblA", "1"), settings=named))
    browser = open_site()
    with browser.tab() as tab:
        ready = until(tab, "kernel-ready")
        assert ready["names"] == ["_", "_", "speeds"]
        assert ready["configs"][2]["hide_code"] is True
        changes = [
            {"type": "set-name", "cellId": "Hbol", "name": "knob"},
            {
                "type": "set-config",
                "cellId": "Hbol",
                "column": None,
                "disabled": False,
                "hideCode": True,
                "expandOutput": False,
            },
        ]
        assert browser.post("/api/document/transaction", {"changes": changes}) == 200
        knob = CellSettings("knob", hide_code=True)
        assert notebook.commands == [
            editor.SetSettings("Hbol", knob),
            editor.Configure((("Hbol", False),)),
            editor.SetSettings("Hbol", knob),
        ]
