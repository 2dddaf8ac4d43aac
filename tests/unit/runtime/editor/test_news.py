"""What marimo's editor is told of changes in the notebook."""

from dataclasses import replace
from typing import Any

import pytest
from marimo._ast.cell import CellConfig  # noqa: TID251  # what marimo's editor is told
from marimo._messaging.notebook.changes import (  # noqa: TID251  # the same
    CreateCell,
    SetCode,
    SetName,
    Transaction,
)
from marimo._messaging.notebook.document import NotebookDocument  # noqa: TID251  # the same
from marimo._types.ids import CellId_t  # noqa: TID251  # the same

from marimo_kernel_bridge.protocol.document import CellSettings
from marimo_kernel_bridge.protocol.notebook import Cell
from marimo_kernel_bridge.runtime.editor.interface import EditorCell
from marimo_kernel_bridge.runtime.editor.news import News

HIDING = '<div class="mkb-live" data-mkb-out="1" data-mkb-hides="1">a chart</div>'


def shown(cell_id: str, code: str = "", *outputs: dict[str, Any], **fields: Any) -> EditorCell:
    cell = Cell(cell_id, None, code, 1, "ok", False, 1, "notebook", "notebook", 10.0, 1.0, None)  # noqa: FBT003  # the field
    return EditorCell(replace(cell, **fields), outputs)


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def display(**data: Any) -> dict[str, Any]:
    return {
        "output_type": "display_data",
        "data": {key.replace("_", "/"): value for key, value in data.items()},
        "metadata": {},
    }


class Editor:
    """An editor's document, with what it was told."""

    def __init__(self) -> None:
        self.document = NotebookDocument()
        self.news = News(lambda html, _: {"<slider>": "<marimo-slider>", HIDING: "<marimo-vega>"}.get(html))

    def tell(self, *cells: EditorCell) -> list[str]:
        """Tell the editor, and return the notifications in short."""
        changes = self.news.of_document(self.document, cells)
        self.document.apply(Transaction(tuple(changes), "kernel"))
        return [
            f"{one.cell_id} {one.status}"
            + (
                ""
                if one.output is None or not one.output.data
                else f" {one.output.mimetype} {one.output.data}"
            )
            + ("" if one.console is None else f" {[out.data for out in one.console]}")  # type: ignore[union-attr]  # a list
            + (" stale" if one.stale_inputs else "")
            for one in self.news.of_cells(cells)
        ]

    def gives(self, cell_id: str, typed: str, text: str) -> frozenset[str]:
        return self.news.gives_markdown(self.document, cell_id, typed, text)

    def person(self, *changes: Any) -> None:
        self.document.apply(Transaction(changes, "frontend"))

    @property
    def codes(self) -> dict[str, str]:
        return {cell.id: cell.code for cell in self.document.cells}


def test_a_cell_that_ran_is_queued_runs_and_is_idle() -> None:
    editor = Editor()
    cell = shown("a", "print(1); 2", stream("1\n"), display(text_plain="2"))
    assert editor.tell(cell) == ["a queued", "a running text/plain 2 []", "a None ['1\\n']", "a idle"]
    assert editor.tell(cell) == []


def test_a_cell_that_never_ran_has_run_nothing() -> None:
    editor = Editor()
    assert editor.tell(shown("a", "x", status="new", stale=True, last_run_at=None)) == ["a idle stale"]


def test_what_a_running_cell_prints_is_appended() -> None:
    editor = Editor()
    running = shown("a", "...", status="running", last_run_at=None)
    assert editor.tell(running) == ["a queued", "a running []"]
    assert editor.tell(replace(running, outputs=(stream("1\n"),))) == ["a running ['1\\n']"]
    assert editor.tell(replace(running, outputs=(stream("1\n2\n"),))) == ["a running ['2\\n']"]
    done = shown("a", "...", stream("1\n2\n"))
    assert editor.tell(done) == ["a running", "a idle"]


def test_an_error_is_shown_with_its_traceback() -> None:
    editor = Editor()
    error = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["Traceback", "no"]}
    told = editor.tell(shown("a", "raise", error, status="error"))
    assert (
        "application/vnd.marimo+error [MarimoExceptionRaisedError(msg='no', exception_type='ValueError'"
        in told[1]
    )
    assert told[2] == "a None ['Traceback\\nno']"


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([display(text_html="<b>x</b>", text_plain="x")], "text/html <b>x</b>"),
        ([display(text_html="<slider>", text_plain="5")], "text/html <marimo-slider>"),
        ([display(text_html=HIDING), display(image_png="a")], "text/html <marimo-vega>"),
        ([display(image_png="aGk=\n", text_plain="a figure")], "image/png data:image/png;base64,aGk="),
        ([display(application_json={"a": 1})], 'application/json {"a": 1}'),
        ([display(text_html=["<b>", "x</b>"])], "text/html <b>x</b>"),
        (
            [display(text_plain="<1>"), display(text_html="<i>2</i>")],
            "text/html <pre>&lt;1&gt;</pre><div><i>2</i></div>",
        ),
        ([display(application_x=1)], "text/plain (application/x)"),
    ],
)
def test_outputs_have_the_form_that_marimo_shows(outputs: list[dict[str, Any]], expected: str) -> None:
    assert f"a running {expected} []" in Editor().tell(shown("a", "x", *outputs))


def test_a_slider_that_moves_is_not_drawn_anew() -> None:
    editor = Editor()
    editor.news = News(lambda html, _: "<marimo-slider>" if "slider" in html else None)
    editor.tell(shown("a", "slider", display(text_html="<slider value=1>")))
    assert editor.tell(shown("a", "slider", display(text_html="<slider value=2>"))) == ["a idle"]


def test_the_document_follows_the_notebook() -> None:
    editor = Editor()
    editor.tell(shown("a", "1"), shown("b", "2"))
    editor.tell(shown("c", "3"), shown("b", "22"), shown("d", "4"))
    assert editor.codes == {"c": "3", "b": "22", "d": "4"}
    editor.tell(shown("d", "4"), shown("c", "3"), shown("b", "22"))
    assert list(editor.codes) == ["d", "c", "b"]


def test_the_settings_of_cells_follow_the_notebook_and_those_of_the_editor_stay_else() -> None:
    editor = Editor()
    editor.tell(shown("a", "1"), shown("b", "2"))
    editor.person(SetName(CellId_t("b"), "mine"))
    named = replace(shown("a", "1"), settings=CellSettings("first", hide_code=True, column=1))
    editor.tell(named, shown("b", "2"))
    (first, second) = editor.document.cells
    assert (first.name, first.config) == ("first", CellConfig(column=1, hide_code=True))
    assert second.name == "mine"
    editor.tell(shown("a", "1"), shown("b", "2"))
    (first, second) = editor.document.cells
    assert (first.name, first.config, second.name) == ("_", CellConfig(), "mine")


def test_what_a_person_typed_there_and_did_not_run_stays() -> None:
    editor = Editor()
    editor.tell(shown("a", "1"), shown("b", "2"))
    new = CreateCell(CellId_t("mine"), "", "_", CellConfig(), after=CellId_t("a"))
    editor.person(new, SetCode(CellId_t("b"), "2 + typed"))
    editor.tell(shown("b", "changed"), shown("a", "1"))
    assert editor.codes == {"b": "2 + typed", "a": "1", "mine": ""}


def test_what_a_person_types_on_is_not_replaced_by_what_the_notebook_has_made_of_it() -> None:
    editor = Editor()
    editor.tell(replace(shown("a", "old"), is_markdown=True))
    editor.person(SetCode(CellId_t("a"), "mo.md('new')"))
    assert editor.gives("a", "mo.md('new')", "new") == {"old"}
    editor.tell(replace(shown("a", "new"), is_markdown=True))
    assert editor.codes["a"] == "mo.md('new')"
    editor.tell(replace(shown("a", "newer"), is_markdown=True))
    assert editor.codes["a"] == 'mo.md(r"""\nnewer\n""")'


@pytest.mark.parametrize("is_markdown", [False, True], ids=["code", "Markdown"])
def test_what_a_person_has_run_there_is_not_told_back_while_the_document_does_not_have_it_yet(
    *, is_markdown: bool
) -> None:
    """marimo's editor sends what is typed later than the order to run it. What is typed on meanwhile would be gone."""
    editor = Editor()

    def tell(text: str) -> None:
        editor.tell(replace(shown("a", text), is_markdown=is_markdown))

    def gives(typed: str, text: str) -> None:
        if is_markdown:
            editor.gives("a", typed, text)
        else:
            editor.news.gives(editor.document, "a", typed, text)

    tell("old")
    before = editor.codes["a"]
    gives("emptied", "")
    tell("")
    assert editor.codes["a"] == before
    gives("typed on", "typed on")
    tell("")
    tell("typed on")
    assert editor.codes["a"] == before
    editor.person(SetCode(CellId_t("a"), "emptied"))
    tell("typed on")
    editor.person(SetCode(CellId_t("a"), "typed on"))
    tell("typed on")
    assert editor.codes["a"] == "typed on"
    tell("theirs")
    assert "theirs" in editor.codes["a"]


def test_markdown_is_for_the_notebook_if_it_has_another_text_or_is_about_to_get_one() -> None:
    editor = Editor()
    old = replace(shown("a", "old"), is_markdown=True)
    editor.tell(old)
    code = editor.codes["a"]
    assert not editor.news.asks_for("a", code)
    assert editor.news.asks_for("a", "mo.md('')")
    editor.gives("a", "mo.md('')", "")
    assert editor.news.asks_for("a", code), "it was deleted, and that is taken back"
    assert editor.gives("a", code, "old") == {"old", ""}
    assert not editor.news.asks_for("a", code)


def test_markdown_that_the_notebook_keeps_replaces_the_editors_once_it_is_changed_there() -> None:
    editor = Editor()
    editor.tell(replace(shown("a", "old"), is_markdown=True))
    editor.person(SetCode(CellId_t("a"), "mo.md('mine')"))
    theirs = replace(shown("a", "theirs"), is_markdown=True)
    editor.gives("a", "mo.md('mine')", "mine")
    editor.tell(theirs)
    editor.news.kept("a")
    editor.tell(theirs)
    assert editor.codes["a"] == "mo.md('mine')"
    assert "theirs" not in editor.gives("a", "mo.md('mine')", "mine"), "the editor has not shown it"
    editor.news.kept("a")
    editor.tell(replace(shown("a", "newer"), is_markdown=True))
    assert editor.codes["a"] == 'mo.md(r"""\nnewer\n""")'


def test_the_text_that_the_notebook_has_is_known_as_shown_however_many_it_does_not_take() -> None:
    editor = Editor()
    editor.tell(replace(shown("a", "old"), is_markdown=True))
    for number in range(60):
        seen = editor.gives("a", f"mo.md('{number}')", f"{number}")
    assert "old" in seen
    editor.tell()
    assert not editor.news._given
    assert "old" not in editor.gives("a", "mo.md('1')", "1"), "another cell with its name"


def test_an_order_that_a_person_makes_there_stays_until_the_notebook_has_another() -> None:
    editor = Editor()
    editor.tell(shown("a"), shown("b"))
    moved = editor.news.of_document(NotebookDocument(editor.document.cells[::-1]), [shown("a"), shown("b")])
    assert moved == []


def test_names_are_told_when_they_change() -> None:
    news = News(lambda *_: None)
    cells = [shown("a", "x = 1", defines=("x",)), shown("b", "x", uses=("x", "print"))]
    told = news.of_variables(cells)
    assert told is not None
    assert [(one.name, one.declared_by, one.used_by) for one in told.variables] == [("x", ["a"], ["b"])]
    assert news.of_variables(cells) is None
