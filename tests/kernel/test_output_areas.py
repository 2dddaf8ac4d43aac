"""marimo's output areas written to by threads, on a real kernel."""

import pytest
from front_end import FrontEnd

IMPORTS = "import marimo as mo, threading\nfrom IPython.display import display"


@pytest.fixture
def notebook(lab) -> FrontEnd:
    assert lab.run("imports", IMPORTS).ok
    return lab


def shown(front_end, cell: str) -> list[str]:
    """Return the plain text of each output of a cell; an empty one shows nothing."""
    return [
        output.get("text") or output.get("data", {}).get("text/plain") or output.get("ename", "")
        for output in front_end.outputs(cell)
    ]


def test_threads_of_marimo_write_into_the_output_area_of_their_cell(notebook):
    code = """
def work():
    for step in range(3):
        mo.output.append(f'step {step}')
        print('printed', step)
worker = mo.Thread(target=work)
worker.start()
worker.join()
"""
    notebook.run("one", code)
    assert [text for text in shown(notebook, "one") if text.startswith("step")] == [
        "step 0",
        "step 1",
        "step 2",
    ]
    assert (
        "".join(text for text in shown(notebook, "one") if text.startswith("printed")).count("printed") == 3
    )


def test_a_thread_that_outlives_its_cell_still_writes_there(notebook):
    code = """
go_on = threading.Event()
def work():
    go_on.wait(60)
    mo.output.append('late')
worker = mo.Thread(target=work)
worker.start()
mo.output.append('early')
"""
    notebook.run("one", code)
    notebook.run("two", "go_on.set(); worker.join(); print('two')")
    notebook.wait_for("one", "late")
    assert shown(notebook, "one") == ["early", "late"]
    assert shown(notebook, "two") == ["two\n"]
