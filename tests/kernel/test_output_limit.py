"""A run that shows too much is cut off for people and kept for agents."""

import pytest
from front_end import FrontEnd
from jupyter_client import KernelManager

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.notebook import CellWithOutputs


@pytest.fixture(scope="module")
def limited():
    manager = KernelManager(kernel_name="marimo")
    manager.start_kernel(extra_arguments=["--MarimoKernel.output_limit=1000"])
    lab = FrontEnd(manager.connection_file)
    yield lab
    lab.close()
    manager.shutdown_kernel(now=True)


def test_beyond_the_limit_a_notice_stands_for_the_rest_and_the_kernel_keeps_it(limited):
    limited.run("one", "for i in range(50): print('x' * 99, flush=True)")
    shown = limited.text("one")
    assert shown.count("x") == 990
    assert shown.count("the rest is not shown") == 1
    kept = wire.decode_reply(limited.ask(wire.ReadCell(cell_id="one")), CellWithOutputs)
    assert kept.outputs[0]["text"].count("x") == 4950


def test_each_run_starts_anew(limited):
    limited.run("a", "a = 1")
    limited.run("long", "print('y' * 900, a)")
    limited.run("a", "a = 2")
    assert limited.text("long").endswith("y 2")


def test_a_live_plot_is_no_flood(limited):
    frames = "from IPython.display import clear_output\nfor i in range(30):\n    clear_output(wait=True); print(i, 'x' * 99)"
    limited.run("one", frames)
    assert limited.text("one").startswith("29 ")
