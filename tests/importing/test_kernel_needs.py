"""What only a Jupyter kernel has: it is told."""

import pytest
from reactive import prepared

SHELL = "_InteractiveShell.instance()"


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        (["get_ipython().kernel.do_shutdown(True)"], "has no `kernel`"),
        (["ip = get_ipython()", "ip.set_next_input('x')"], "has no `set_next_input`"),
        (["import IPython\nIPython.get_ipython().kernel"], "has no `kernel`"),
        (["get_ipython().__class__.__name__"], "no `ZMQInteractiveShell`"),
        (["from ipykernel.comm import Comm"], "what it imports works in one only"),
        (["import comm"], "what it imports works in one only"),
        (
            ["from IPython.display import clear_output\nclear_output(wait=True)"],
            "`clear_output` clears nothing",
        ),
        (
            ["from IPython.display import Javascript\nJavascript('IPython.notebook.save()')"],
            "classic notebook",
        ),
        (["%%javascript\nJupyter.notebook.save()"], "classic notebook"),
    ],
)
def test_what_needs_a_jupyter_kernel_is_told(codes, told):
    notes = prepared(codes).notes[len(codes)]
    assert [note for note in notes if told in note], notes


@pytest.mark.parametrize("code", ["x.kernel", "get_ipython", "svm(kernel='rbf')", "commit = 1", "comm = 2"])
def test_what_needs_none_is_not(code):
    assert not any("Jupyter" in note for note in prepared([code]).notes.get(1, []))


@pytest.mark.parametrize(
    ("codes", "needed"),
    [
        (["get_ipython()"], True),
        (["from IPython import get_ipython as g\ng().magics_manager"], True),
        (["import IPython", "IPython.get_ipython()"], True),
        (["from IPython import get_ipython\nget_ipython().run_line_magic('matplotlib', 'inline')"], False),
        (["# get_ipython is not used", "x = 1"], False),
        (["%matplotlib inline"], False),
    ],
)
def test_a_shell_is_made_where_somebody_asks_for_it(codes, needed):
    added = [cell.code for cell in prepared(codes).cells if not cell.positions]
    assert any(SHELL in code for code in added) == needed
