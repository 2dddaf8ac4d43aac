"""marimo's editor on the kernel: what a person does there happens in the notebook, and what happens there is shown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from marimo_kernel_bridge.kernel.editor.editor import NotebookEditor
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import GraphProblem
from marimo_kernel_bridge.protocol.document import CellSettings
from marimo_kernel_bridge.protocol.notebook import EditorLink
from marimo_kernel_bridge.runtime.editor import interface as editor
from tests.unit.kernel.notebook_in_memory import FrontEnd, KernelInMemory


@dataclass
class Pages:
    """The pages of the editor, which only note what they are told."""

    host: editor.EditorHost
    kernel: KernelInMemory | None = None
    refused_cells: dict[str, Sequence[GraphProblem]] = field(default_factory=dict)
    values: list[tuple[str, Any]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    messages: list[bytes] = field(default_factory=list)
    completions: list[tuple[str, int, Sequence[tuple[str, str]]]] = field(default_factory=list)
    refreshed: int = 0
    done: int = 0

    def link(self, *, app: bool) -> EditorLink:
        return EditorLink(f"http://127.0.0.1:1/?app={app}", 1)

    def refresh(self) -> None:
        self.refreshed += 1

    def value_changed(self, object_id: str, value: Any) -> None:
        self.values.append((object_id, value))

    def elements_removed(self, cell_id: str) -> None:
        """Nothing is shown."""

    def notified(self, message: bytes) -> None:
        self.messages.append(message)

    def variables(self, names: Sequence[str], values: Mapping[str, Any]) -> None:
        self.names |= set(names) & values.keys()

    def completed(self, request_id: str, prefix_length: int, names: Sequence[tuple[str, str]]) -> None:
        self.completions.append((request_id, prefix_length, names))

    def refused(self, cell_id: str, problems: Sequence[GraphProblem]) -> None:
        self.refused_cells[cell_id] = problems

    # -- what a person does there ---------------------------------------------------------------------------------

    def act(self, command: editor.Command) -> None:
        """Give a command, and wait until it is carried out."""
        assert self.kernel is not None
        before = self.done
        self.host.act(command)
        assert self.kernel.run_until(lambda: self.done > before)

    def act_at_once(self, *commands: editor.Command) -> None:
        """Give commands while those before are still under way."""
        assert self.kernel is not None
        before = self.done
        for command in commands:
            self.host.act(command)
        assert self.kernel.run_until(lambda: self.done == before + len(commands))

    def run(self, **cells: str) -> None:
        """Run cells of the editor, whose document has the kernel's cells and then the new ones."""
        known = [one.cell.cell_id for one in self.host.cells()]
        order = (*known, *(cell_id for cell_id in cells if cell_id not in known))
        self.act(editor.RunCells(tuple(cells.items()), order))

    def codes(self) -> dict[str, str]:
        return {one.cell.cell_id: one.cell.code for one in self.host.cells()}

    def text(self, cell_id: str) -> str:
        (found,) = (one for one in self.host.cells() if one.cell.cell_id == cell_id)
        return "".join(
            output.get("text") or output.get("data", {}).get("text/plain") or output.get("ename", "")
            for output in found.outputs
        ).strip()


@pytest.fixture
def pages(kernel: KernelInMemory, lab: FrontEnd) -> Pages:
    """The editor, opened after a first cell."""
    made: list[Pages] = []

    def make(host: editor.EditorHost, _title: str, _running: Callable[[], bool]) -> Pages:
        made.append(Pages(host, kernel))
        return made[0]

    notebook_editor = NotebookEditor(kernel.kernel, make)
    kernel.kernel.editor = lambda: notebook_editor
    assert lab.run("one", "x = 1").ok
    assert lab.run("two", "print('x is', x)").ok
    assert lab.run("open", "%marimo open").ok
    act = notebook_editor._carry_out

    async def counted(command: editor.Command) -> None:
        try:
            await act(command)
        finally:
            made[0].done += 1

    notebook_editor._carry_out = counted  # type: ignore[method-assign]
    return made[0]


@pytest.fixture
def ids(lab: FrontEnd) -> dict[str, str]:
    """The kernel's ids by the front end's."""
    return {key: cell.cell_id for key, cell in lab.cells().items()}


def test_the_magic_shows_an_address_that_is_one_for_a_person(lab: FrontEnd, pages: Pages) -> None:
    assert "http://127.0.0.1:1/?app=False" in lab.text("open")
    assert lab.run("app", "%marimo open --app").ok
    assert "http://127.0.0.1:1/?app=True" in lab.text("app")


def test_an_agent_is_told_that_the_magic_is_the_persons(lab: FrontEnd, pages: Pages) -> None:
    metadata = {"marimo_kernel_bridge": {"client": "claude"}}
    refused = lab.run(None, "%marimo open", metadata=metadata)
    assert "person's command" in str(refused.content.get("evalue"))


def test_an_agent_gets_an_address_to_pass_on(lab: FrontEnd, pages: Pages) -> None:
    link = wire.decode_reply(lab.ask(wire.OpenEditor(app=True, client="claude"), "shell"), EditorLink)
    assert link.url.endswith("?app=True")


def test_the_editor_shows_what_the_notebook_shows(pages: Pages, ids: dict[str, str]) -> None:
    assert pages.codes()[ids["one"]] == "x = 1"
    assert pages.text(ids["two"]) == "x is 1"
    assert "x" in pages.names or pages.refreshed


def test_a_cell_that_is_changed_there_runs_with_what_depends_on_it(
    lab: FrontEnd, pages: Pages, ids: dict[str, str]
) -> None:
    pages.run(**{ids["one"]: "x = 42"})
    assert pages.text(ids["two"]) == "x is 42"
    assert (lab.cells()["one"].code, lab.cells()["one"].edited_by) == ("x = 42", "marimo")
    lab.wait_for("two", "x is 42")


def test_a_cell_runs_again_as_it_is(lab: FrontEnd, pages: Pages, ids: dict[str, str]) -> None:
    assert lab.run("clock", "import time\nprint(time.monotonic_ns())").ok
    clock, before = lab.cells()["clock"], lab.text("clock")
    pages.run(**{clock.cell_id: clock.code})
    assert pages.text(clock.cell_id) != before
    lab.wait_for("clock", pages.text(clock.cell_id))


def test_a_new_cell_keeps_the_id_that_the_editor_gave_it(pages: Pages, ids: dict[str, str]) -> None:
    order = (ids["one"], "abcd", "efgh", ids["two"], ids["open"])
    pages.act(editor.RunCells((("abcd", "y = x + 1"), ("efgh", "print(y)")), order))
    assert list(pages.codes()) == list(order)
    assert pages.text("efgh") == "2"


def test_a_cell_that_is_deleted_there_is_gone(lab: FrontEnd, pages: Pages, ids: dict[str, str]) -> None:
    pages.act(editor.DeleteCell(ids["one"]))
    assert ids["one"] not in pages.codes()
    assert pages.text(ids["two"]) == "NameError"
    pages.act(editor.DeleteCell(ids["one"]))  # asked for again


def test_cells_take_the_order_that_they_have_there(pages: Pages, ids: dict[str, str]) -> None:
    order = (ids["open"], "never", ids["two"], ids["one"])
    pages.act(editor.Arrange(order))
    assert list(pages.codes()) == [ids["open"], ids["two"], ids["one"]]


def test_a_cell_that_is_disabled_there_waits_until_it_is_enabled(
    lab: FrontEnd, pages: Pages, ids: dict[str, str]
) -> None:
    pages.act(editor.Configure(((ids["two"], True),)))
    assert lab.run("one", "x = 2").ok
    assert pages.text(ids["two"]) == "x is 1"
    pages.act(editor.Configure(((ids["two"], False),)))
    assert pages.text(ids["two"]) == "x is 2"


def test_what_the_graph_does_not_take_says_why_and_lets_the_others_run(
    pages: Pages, ids: dict[str, str]
) -> None:
    pages.run(**{ids["one"]: "x = 7", "abcd": "for"})
    assert [problem.kind for problem in pages.refused_cells["abcd"]] == ["syntax"]
    assert pages.text(ids["two"]) == "x is 7"
    assert "abcd" not in pages.codes()


def test_what_a_cell_defines_is_completed(pages: Pages) -> None:
    pages.act(editor.Complete("7", "pri"))
    (request_id, prefix, names) = pages.completions[0]
    assert (request_id, prefix) == ("7", 3)
    assert "print" in [name for name, _ in names]


def test_a_page_with_the_extension_gets_the_text_and_runs_it(
    lab: FrontEnd, pages: Pages, ids: dict[str, str]
) -> None:
    document = lab.open({"one": "x = 1", "two": "print('x is', x)", "open": "%marimo open"})
    pages.run(**{ids["one"]: "x = 5"})
    assert document.codes["one"] == "x = 5"
    lab.wait_for("two", "x is 5")
    assert lab.text("one") == ""  # no notice that it shows older code
    pages.act(editor.RunCells((("abcd", "y = 3 * x\ny"),), (ids["one"], "abcd", ids["two"], ids["open"])))
    assert list(document.codes.values())[1] == "y = 3 * x\ny"
    lab.kernel.run_until(lambda: pages.text("abcd") == "15")
    assert pages.text("abcd") == "15"
    pages.act(editor.Arrange((ids["two"], ids["one"], "abcd", ids["open"])))
    assert next(iter(document.codes)) == "two"
    pages.act(editor.DeleteCell("abcd"))
    assert "y = 3 * x\ny" not in document.codes.values()


def test_what_a_person_types_in_jupyter_is_not_overwritten_from_there(
    lab: FrontEnd, pages: Pages, ids: dict[str, str]
) -> None:
    document = lab.open({"one": "x = 1", "two": "print('x is', x)", "open": "%marimo open"})
    document.type("one", "x = 100  # not run yet")
    pages.run(**{ids["one"]: "x = 5"})
    assert document.codes["one"] == "x = 100  # not run yet"
    assert pages.text(ids["two"]) == "x is 5"


@pytest.fixture
def slider(lab: FrontEnd, pages: Pages) -> str:
    """The id of a slider that a cell shows and another one reads."""
    assert lab.run("mo", "import marimo as mo").ok
    assert lab.run("slider", "speed = mo.ui.slider(1, 9, value=3)\nspeed").ok
    assert lab.run("reader", "print('speed is', speed.value)").ok
    (found,) = (one for one in pages.host.cells() if one.cell.code.startswith("speed ="))
    html = pages.host.html(found.outputs[0]["data"]["text/html"], found.cell.cell_id)
    assert html is not None
    return html.partition("object-id='")[2].partition("'")[0]


def test_a_slider_that_a_page_moves_runs_its_readers(lab: FrontEnd, pages: Pages, slider: str) -> None:
    assert pages.host.values([slider]) == {slider: 3}
    pages.act(editor.SetValues(((slider, 7),)))
    lab.wait_for("reader", "speed is 7")
    assert pages.host.values([slider]) == {slider: 7}
    assert pages.values == []  # the server's pages tell each other


def test_a_slider_that_is_moved_elsewhere_moves_on_the_pages(
    lab: FrontEnd, pages: Pages, slider: str
) -> None:
    assert lab.run("set", "%marimo set speed 9").ok
    lab.wait_for("reader", "speed is 9")
    assert pages.values == [(slider, 9)]


def test_a_function_of_an_element_is_called_and_answered(lab: FrontEnd, pages: Pages, slider: str) -> None:
    assert lab.run("table", "table = mo.ui.table([{'a': 1}, {'a': 2}])\ntable").ok
    (found,) = (one for one in pages.host.cells() if one.cell.code.startswith("table ="))
    html = pages.host.html(found.outputs[0]["data"]["text/html"], found.cell.cell_id)
    assert html is not None
    table = html.partition("object-id='")[2].partition("'")[0]
    arguments = {"page_number": 0, "page_size": 1, "sort": [{"by": "a", "descending": True}]}
    pages.act(editor.CallFunction("call-1", table, "search", arguments))
    (message,) = pages.messages
    assert b'"function_call_id":"call-1"' in message
    assert b'\\"a\\":2' in message


def test_the_markdown_of_the_open_document_stands_between_its_code(lab: FrontEnd, pages: Pages) -> None:
    codes = {"one": "x = 1", "two": "print('x is', x)", "open": "%marimo open"}
    document = lab.open(codes)
    document.insert("title", "# Title", None, "markdown")
    document.insert("words", "Some *words*", "two", "markdown")
    document.insert("empty", " ", "two", "markdown")
    document.insert("raw", "as it is", "two", "raw")
    document.flush()
    shown = [(one.cell.code, one.is_markdown) for one in pages.host.cells()]
    assert shown == [
        ("# Title", True),
        ("x = 1", False),
        ("print('x is', x)", False),
        (" ", True),
        ("Some *words*", True),
        ("%marimo open", False),
    ]
    assert pages.host.cells()[4].outputs[0]["data"] == {"text/markdown": "Some *words*"}
    document.delete("words")
    document.flush()
    assert [one.cell.code for one in pages.host.cells() if one.is_markdown] == ["# Title", " "]


CODES = {"one": "x = 1", "two": "print('x is', x)", "open": "%marimo open"}


def markdown_id(pages: Pages) -> str:
    (found,) = (one.cell.cell_id for one in pages.host.cells() if one.is_markdown)
    return found


def test_markdown_that_is_changed_moved_and_deleted_there_is_so_in_the_document(
    lab: FrontEnd, pages: Pages, ids: dict[str, str]
) -> None:
    document = lab.open(CODES)
    document.insert("words", "Some *words*", "two", "markdown")
    words = markdown_id(pages)
    pages.act(editor.ChangeMarkdown(words, "Other *words*", frozenset({"Some *words*"})))
    assert document.codes["words"] == "Other *words*"
    pages.act(editor.ChangeMarkdown(words, "", frozenset()))
    assert markdown_id(pages) == words  # it is there for another text
    pages.act(editor.Arrange((words, ids["one"], ids["two"], ids["open"])))
    assert list(document.codes) == ["words", "one", "two", "open"]
    pages.act(editor.Arrange((ids["two"], words, ids["one"], ids["open"])))
    assert list(document.codes) == ["two", "words", "one", "open"]
    document.type("words", "typed meanwhile", flush=False)
    pages.act(editor.ChangeMarkdown(words, "too late", frozenset({""})))
    assert document.codes["words"] == "typed meanwhile"
    document.flush()
    pages.act(editor.DeleteCell(words))
    assert list(document.codes) == ["two", "one", "open"]
    pages.act(editor.ChangeMarkdown(words, "it is gone", frozenset()))
    assert list(document.codes) == ["two", "one", "open"]


def test_of_markdown_that_is_typed_faster_than_the_page_takes_it_the_last_is_in_the_document(
    lab: FrontEnd, pages: Pages
) -> None:
    document = lab.open(CODES)
    document.insert("words", "Some *words*", "two", "markdown")
    document.flush()
    words, seen = markdown_id(pages), frozenset({"Some *words*"})
    texts = ("", "O", "Other *words*")
    pages.act_at_once(*(editor.ChangeMarkdown(words, text, seen | {*texts}) for text in texts))
    assert document.codes["words"] == "Other *words*"
    assert pages.refused_cells == {}
    pages.act_at_once(
        editor.ChangeMarkdown(words, "", seen),
        editor.RunCells((), ()),
        editor.ChangeMarkdown(words, "Some *words*", seen),
    )
    assert document.codes["words"] == "Some *words*"


def test_markdown_that_jupyters_page_has_changed_is_not_replaced_by_one_that_does_not_know_it(
    lab: FrontEnd, pages: Pages
) -> None:
    document = lab.open(CODES)
    document.insert("words", "old", "two", "markdown")
    document.flush()
    words = markdown_id(pages)
    document.type("words", "newer")
    pages.act(editor.ChangeMarkdown(words, "mine", frozenset({"old"})))
    assert document.codes["words"] == "newer"
    assert "another one here by now" in pages.refused_cells[words][0].message
    pages.refused_cells.clear()
    pages.act(editor.ChangeMarkdown(words, "mine", frozenset({"old", "newer"})))
    assert (document.codes["words"], pages.refused_cells) == ("mine", {})


@pytest.mark.parametrize("has_document", [False, True], ids=["in the kernel", "in the document"])
def test_of_code_that_is_run_while_the_one_before_is_under_way_the_last_is_what_ran(
    lab: FrontEnd, pages: Pages, ids: dict[str, str], *, has_document: bool
) -> None:
    document = lab.open(CODES) if has_document else None
    order = (ids["one"], ids["two"], ids["open"])
    runs = [editor.RunCells(((ids["one"], f"x = {number}"),), order) for number in (5, 6, 7)]
    pages.act_at_once(*runs)
    lab.wait_for("two", "x is 7")
    lab.wait_quiet()
    assert pages.codes()[ids["one"]] == "x = 7"
    assert lab.text("two") == "x is 7"
    assert lab.text("one") == ("" if document is not None else lab.text("one"))
    if document is not None:
        assert document.codes["one"] == "x = 7"
        pages.act_at_once(runs[0], editor.DeleteCell(ids["one"]))
        assert "one" not in document.codes
    else:
        pages.act_at_once(runs[0], editor.DeleteCell(ids["one"]))
    assert ids["one"] not in pages.codes()


def test_names_and_hidden_code_are_those_of_the_document(
    lab: FrontEnd, pages: Pages, ids: dict[str, str]
) -> None:
    document = lab.open(CODES)
    document.settle("two", CellSettings("shows"))
    assert [one.settings.name for one in pages.host.cells()] == ["", "shows", ""]
    hidden = CellSettings("first", hide_code=True)
    pages.act(editor.SetSettings(ids["one"], hidden))
    lab.kernel.run_until(lambda: document.buffer.cells[0].settings == hidden)
    assert document.buffer.cells[0].settings == hidden
    assert pages.host.cells()[0].settings == hidden
    new = CellSettings("third")
    pages.act(editor.SetSettings("abcd", new))  # of a cell that is in the notebook when it runs
    pages.act(editor.RunCells((("abcd", "y = 3"),), (ids["one"], "abcd", ids["two"], ids["open"])))
    lab.kernel.run_until(lambda: document.buffer.cells[1].settings == new)
    assert [cell.settings for cell in document.buffer.cells] == [hidden, new, CellSettings("shows"), None]


def test_a_document_that_takes_no_settings_is_given_none(
    lab: FrontEnd, pages: Pages, ids: dict[str, str]
) -> None:
    document = lab.open(CODES)
    document.can = ("apply", "run")
    document.attach()
    pages.act(editor.SetSettings(ids["one"], CellSettings("first")))
    pages.run(**{ids["one"]: "x = 8"})
    assert document.codes["one"] == "x = 8"
    assert document.buffer.cells[0].settings is None
