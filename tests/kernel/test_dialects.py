"""What each kind of front end needs, at the message level. JupyterLab's way is all of test_reactivity.py."""

import time
from pathlib import Path

import nbclient
import nbformat

from marimo_kernel_bridge.protocol import messages as wire


def test_vscode_dependents_run_after_its_queue_is_quiet(connect):
    code = connect("vscode")
    code.run("one", "a = 1; log = []")
    code.run("two", "b = a + 1; log.append(b)\nb")
    for value in (10, 20):  # Run All: each request after the reply to the one before
        code.wait_quiet()
        code.run("one", f"a = {value}; log = []")
        answered = time.monotonic()
        queued = code.send("two", "b = a + 1; log.append(b)\nb")
        assert time.monotonic() - answered < 0.3, "this machine is too busy to play VS Code"
        code.finish(queued)
        assert code.run(None, "log", store_history=False).text == f"[{value + 1}]"
    code.wait_quiet()
    code.run("one", "a = 30; log = []")
    assert code.text("two") == "21"
    code.wait_for("two", "31")


def test_no_late_message_reaches_a_vscode_cell_while_a_run_all_is_on(connect):
    code = connect("vscode")
    code.run("one", "a = 1")
    code.run("two", "print('two', a)")
    code.wait_quiet()
    busy = code.send("busy", "import time; time.sleep(0.5)")
    seen = len(code.seen)
    # Over the same socket, so that it is sure to come second.
    changes = code.send(None, "a = 5", metadata={wire.METADATA_KEY: {"client": "agent"}})
    queued = code.send("two", "print('two again', a)")
    assert code.finish(busy).ok
    code.finish(changes)
    assert code.finish(queued).text == "two again 5"
    assert [m for m in code.seen[seen:] if m["msg_type"] == "clear_output"] == []


def test_a_vscode_ancestor_that_runs_early_shows_its_output_when_all_is_quiet(connect):
    code = connect("vscode")
    code.run("one", "a = 1")
    code.run("two", "b = a; print('two', b)")
    code.run("one", "a = 2")
    code.run("three", "print('three', b)")
    assert (code.text("two"), code.text("three")) == ("two 1", "three 2")
    code.wait_for("two", "two 2")


def test_output_held_for_a_vscode_cell_is_dropped_when_it_runs_again(connect):
    code = connect("vscode")
    code.run("one", "a = 1")
    code.run("two", "b = a; print('two', b)")
    code.run("one", "a = 2")
    code.run("three", "print('three', b)")
    code.run("two", "b = a; print('again', b)")
    code.wait_for("three", "three 2")
    code.wait_quiet()
    assert code.text("two") == "again 2"


def test_vscode_ids_of_another_session_are_other_cells(connect):
    first = connect("vscode")
    first.run("W0", "a = 1")
    again = connect("vscode")
    assert again.run("W0", "b = 2").ok
    assert again.run(None, "a, b", store_history=False).text == "(1, 2)"


def test_nbclient_sees_what_ipykernel_shows_where_a_name_is_defined_again():
    cells = ["a = 1", "a * 10", "print('is', a)", "a = 2", "print('is', a)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    nbclient.NotebookClient(notebook, kernel_name="marimo", timeout=60).execute()
    assert notebook.cells[1].outputs[0]["data"]["text/plain"] == "10"
    assert [cell.outputs[0]["text"] if cell.outputs else "" for cell in notebook.cells[2:]] == [
        "is 1\n",
        "",
        "is 2\n",
    ]


def test_nbclient_sees_dependents_of_a_strict_redefinition_in_the_saved_notebook():
    cells = ["%marimo strict", "a = 1", "a * 10", "print('is', a)", "a = 2"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    nbclient.NotebookClient(notebook, kernel_name="marimo", timeout=60).execute()
    assert notebook.cells[2].outputs[0]["data"]["text/plain"] == "20"
    assert notebook.cells[3].outputs[0]["text"] == "is 1\n"
    assert (
        "".join(output["text"] for output in notebook.cells[4].outputs)
        == "↻ cell [4] `print('is', a)`\nis 2\n"
    )
    nbformat.validate(notebook)


def test_a_batch_accumulator_is_not_run_again_by_itself(connect):
    batch = connect("batch")
    batch.run(None, "step = 1")
    batch.run(None, "total = 0")
    batch.run(None, "total = total + step")
    assert batch.run(None, "total").text == "1"
    batch.run(None, "step = 5")
    assert batch.run(None, "total").text == "1"


def test_a_terminal_prints_changed_dependents_with_a_heading(connect):
    terminal = connect("terminal")
    terminal.run(None, "a = 1")
    terminal.run(None, "print('a is', a)")
    terminal.run(None, "a + 0 * 5 > 0")
    reply = terminal.run(None, "a = 2")
    assert reply.text == "↻ cell [2] `print('a is', a)`\na is 2"


def test_output_of_a_thread_that_outlives_a_batch_dependent_goes_to_the_request_around_it(connect):
    terminal = connect("terminal")
    terminal.run(None, "import threading; go = threading.Event(); a = 1")
    terminal.run(None, "a; t = threading.Thread(target=lambda: (go.wait(60), print('late'))); t.start()")
    terminal.run(None, "a = 2")
    terminal.run(None, "go.set()")
    while not any(m["msg_type"] == "stream" and "late" in m["content"]["text"] for m in terminal.seen):
        terminal._take(10)
    sent = [m for m in terminal.seen if m["msg_type"] == "stream" and "late" in m["content"]["text"]]
    assert all("/" not in m["parent_header"]["msg_id"] for m in sent)


def test_hidden_requests_never_touch_the_graph(lab):
    lab.run("one", "a = 1")
    lab.run("two", "print(a)")
    for options in ({"silent": True}, {"store_history": False}):
        assert lab.run(None, "a = 5", **options).ok
        assert lab.text("two") == "1"
    hidden = lab.run(None, "print(a); a", store_history=False)
    assert hidden.text == "5\n5"
    assert lab.run(None, "1/0", store_history=False).content["ename"] == "ZeroDivisionError"


def test_vscodes_hidden_probes_work(lab):
    lab.run("one", "import math; numbers = [1, 2]")
    assert "numbers" in lab.run(None, "%who_ls", store_history=False, stop_on_error=False).text
    assert lab.run(None, "import sys; print(sys.executable)", store_history=False).ok
    assert lab.run(None, "%config Completer.use_jedi = False", store_history=False).ok


def test_code_that_is_too_deep_is_an_error_and_vscode_stays_reactive(connect):
    code = connect("vscode")
    code.run("one", "a = 1")
    code.run("two", "b = a + 1; print('b', b)")
    deep = code.run("deep", "r = " + "+".join(["1"] * 20_000))
    assert deep.content["ename"] in {"RecursionError", "MemoryError", "NotebookError"}
    code.run("one", "a = 2")
    code.wait_for("two", "b 3")


def test_nbclient_runs_the_example_with_its_chart():
    path = Path(__file__).parents[2] / "examples" / "penguins.ipynb"
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    nbclient.NotebookClient(notebook, kernel_name="marimo", timeout=120, resources=where).execute()
    nbformat.validate(notebook)
    kinds = {
        kind
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        for kind in output.get("data", ())
    }
    assert {"image/png", "text/html", "text/plain"} <= kinds
    assert "Adelie penguins weigh" in "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ())
    )
