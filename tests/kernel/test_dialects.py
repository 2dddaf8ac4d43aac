"""nbclient and threads on a real kernel: what the saved notebook has of dependents."""

import nbclient
import nbformat
import pytest


@pytest.fixture
def kernelspec(home, in_pool):
    with in_pool() as kernelspec:
        yield kernelspec


def run(notebook, kernelspec: str) -> None:
    nbclient.NotebookClient(notebook, kernel_name=kernelspec, timeout=60).execute()


def printed(cell) -> str:
    """Return what a cell has printed: as several outputs if the machine is slow, as with ipykernel."""
    return "".join(output["text"] for output in cell.outputs)


def test_nbclient_sees_what_ipykernel_shows_where_a_name_is_defined_again(kernelspec):
    cells = ["a = 1", "a * 10", "print('is', a)", "a = 2", "print('is', a)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    run(notebook, kernelspec)
    assert notebook.cells[1].outputs[0]["data"]["text/plain"] == "10"
    assert [printed(cell) for cell in notebook.cells[2:]] == ["is 1\n", "", "is 2\n"]


def test_nbclient_sees_dependents_of_a_strict_redefinition_in_the_saved_notebook(kernelspec):
    cells = ["%marimo strict", "a = 1", "a * 10", "print('is', a)", "a = 2"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    run(notebook, kernelspec)
    assert notebook.cells[2].outputs[0]["data"]["text/plain"] == "20"
    assert printed(notebook.cells[3]) == "is 1\n"
    assert printed(notebook.cells[4]) == "↻ cell [4] `print('is', a)`\nis 2\n"
    nbformat.validate(notebook)


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
