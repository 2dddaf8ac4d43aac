"""`mo.output`, progress bars, redirected prints and toasts, message by message."""

import pytest

from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd

IMPORTS = "import marimo as mo, threading\nfrom IPython.display import display"


@pytest.fixture
def notebook(lab: FrontEnd) -> FrontEnd:
    assert lab.run("imports", IMPORTS).ok
    return lab


def shown(front_end: FrontEnd, cell: str) -> list[str]:
    """Return the plain text of each output of a cell; an empty one shows nothing."""
    return [
        output.get("text") or output.get("data", {}).get("text/plain") or output.get("ename", "")
        for output in front_end.outputs(cell)
    ]


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("mo.output.append('one'); mo.output.append('two')", ["one", "two"]),
        ("mo.output.append('one'); mo.output.replace('two')", ["two"]),
        ("mo.output.append('one'); mo.output.append('two'); mo.output.replace('three')", ["three", ""]),
        ("mo.output.append('one'); mo.output.clear()", [""]),
        ("mo.output.append('a'); mo.output.append('b'); mo.output.replace_at_index('c', 0)", ["c", "b"]),
        ("mo.output.append('a'); mo.output.replace_at_index('b', 1)", ["a", "b"]),
        ("mo.output.append('one'); 'value'", ["", "'value'"]),
        ("mo.output.append('one'); None", ["one"]),
        ("mo.output.append('one'); mo.stop(True, 'stopped')", ["", "'stopped'"]),
        ("mo.output.append('one'); mo.stop(True)", ["one"]),
        ("mo.output.append('one'); 1 / 0", ["one", "ZeroDivisionError"]),
        ("print('printed'); mo.output.append('one'); print('more')", ["printed\n", "one", "more\n"]),
        ("print('printed'); mo.output.append('one'); mo.output.clear_console()", ["one"]),
        ("with mo.redirect_stdout():\n    print('a'); print('b')", ["a\nb"]),
        ("import sys\nwith mo.redirect_stderr():\n    sys.stderr.write('warned')", ["warned"]),
        ("with mo.redirect_stdout():\n    print('a')\nmo.output.append('b')\nwith mo.redirect_stdout():\n    print('c')", ["a", "b", "c"]),
        ("with mo.capture_stdout() as text:\n    print('kept')\nprint(len(text.getvalue()))", ["5\n"]),
        ("with mo.status.spinner('busy') as spinner:\n    spinner.update('still')\nprint('done')", ["", "done\n"]),
        ("with mo.status.spinner('busy', remove_on_exit=False): pass", ["⏳ busy"]),
        ("for _ in mo.status.progress_bar(range(3), title='T', show_rate=False, show_eta=False): pass", ["T 3 of 3 (100%)"]),
        ("for _ in mo.status.progress_bar(range(3), remove_on_exit=True): pass", [""]),
        ("mo.status.toast('Title', 'and more')", ["Title\nand more"]),
        ("mo.output.append(display('shown'))", ["'shown'", "None"]),
    ],
)  # fmt: skip
def test_what_the_output_area_shows_in_the_end(lab: FrontEnd, code: str, texts: str) -> None:
    lab.run("imports", IMPORTS)
    lab.run("one", code)
    assert shown(lab, "one") == texts


def test_an_appended_thing_is_one_display_and_an_update_changes_it_in_place(notebook: FrontEnd) -> None:
    reply = notebook.run(
        "one", "mo.output.append('a'); mo.output.append('b'); mo.output.replace_at_index('c', 0)"
    )
    sent = [
        (m["msg_type"], m["content"]["data"]["text/plain"], m["content"]["transient"]["display_id"][-2:])
        for m in reply.messages
        if m["msg_type"].endswith("display_data")
    ]
    assert sent == [
        ("display_data", "a", "-0"),
        ("display_data", "b", "-1"),
        ("update_display_data", "c", "-0"),
    ]


def test_native_bundles_stay_native(notebook: FrontEnd) -> None:
    notebook.run(
        "one",
        "import pandas as pd\nmo.output.append(pd.DataFrame({'a': [1]}))\nmo.output.append(mo.md('*m*'))",
    )
    frame, markdown = (output["data"] for output in notebook.outputs("one"))
    assert sorted(frame) == ["text/html", "text/plain"]
    assert markdown["text/markdown"] == "*m*"


def test_a_dependents_output_area_is_replaced(notebook: FrontEnd) -> None:
    notebook.run("one", "n = 3")
    notebook.run("two", "for _i in range(n): mo.output.append(_i)")
    assert shown(notebook, "two") == ["0", "1", "2"]
    notebook.run("one", "n = 1")
    assert shown(notebook, "two") == ["0"]
    notebook.run("one", "n = 2")
    assert shown(notebook, "two") == ["0", "1"]


def test_a_dependents_progress_bar_moves_under_its_own_cell(notebook: FrontEnd) -> None:
    notebook.run("one", "n = 2")
    notebook.run("two", "for _ in mo.status.progress_bar(range(n), show_rate=False, show_eta=False): pass")
    reply = notebook.run("one", "n = 4")
    assert shown(notebook, "two") == ["4 of 4 (100%)"]
    parents = {m["parent_header"]["msg_id"] for m in reply.messages if m["msg_type"] == "update_display_data"}
    assert len(parents) == 1
    assert reply.msg_id not in parents


def test_batch_clients_have_a_dependents_output_area_updated_each_time(connect: Connect) -> None:
    batch = connect("batch")
    batch.run(None, "%marimo strict")  # else a cell of a document reads the definition above it
    batch.run(None, "import marimo as mo\nn = 1")
    batch.run("two", "mo.output.append(f'n is {n}')")
    for value in (2, 3):
        batch.run(None, f"n = {value}")
        # nbclient and papermill take updates of any cell's displays from the current request.
        assert [
            m["content"]["data"]["text/plain"] for m in batch.seen if m["msg_type"] == "update_display_data"
        ][-1] == f"n is {value}"


def test_output_functions_outside_of_cells_do_nothing(notebook: FrontEnd) -> None:
    reply = notebook.run(None, "mo.output.append('x'); mo.output.clear_console(); 5", store_history=False)
    assert reply.ok
    assert reply.text == "5"


def test_a_long_redirected_print_is_not_sent_anew_with_each_line(notebook: FrontEnd) -> None:
    reply = notebook.run("one", "with mo.redirect_stdout():\n    for i in range(400): print('x' * 200)")
    sizes = [len(str(m["content"])) for m in reply.messages if m["msg_type"].endswith("display_data")]
    assert max(sizes) < 60_000
    assert sum(text.count("x" * 200) for text in shown(notebook, "one")) == 400


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("mo.output.replace('one'); mo.output.replace('two')", ["one", "two"]),
        ("mo.output.append('one'); mo.output.append('two')", ["one", "two"]),
        (
            "for _ in mo.status.progress_bar(range(3), title='T', show_rate=False, show_eta=False): pass",
            ["T 0 of 3 (0%)", "T 3 of 3 (100%)"],
        ),
        ("with mo.redirect_stdout():\n    print('a'); print('b')", ["a", "a\nb"]),
        ("mo.output.append('one'); 'value'", ["one", "'value'"]),
    ],
)
def test_terminals_which_cannot_update_are_shown_the_last_state_when_the_cell_has_ended(
    connect: Connect, code: str, texts: str
) -> None:
    terminal = connect("terminal")
    terminal.run(None, IMPORTS)
    reply = terminal.run(None, code)
    shown_there = [
        m["content"]["data"]["text/plain"]
        for m in reply.messages
        if m["msg_type"] in {"display_data", "execute_result"}
    ]
    assert shown_there == texts
