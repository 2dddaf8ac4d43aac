"""A person in JupyterLab runs and changes cells; the dependents follow, on the page and in the saved file."""

from __future__ import annotations

import base64

import pytest
from lab_agents import zmq_agent
from lab_server import wait_for
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

# Writes to a file, because what counts is how often a body ran, not what the namespace or the page says.
RAN = """
def ran(name):
    with open("runs.log", "a") as log:
        print(name, file=log)
"""


def settle(page):
    """Wait until the kernel has nothing left to run, by its own account."""

    def settled():
        kernel = agent.describe()
        return not (kernel.busy or kernel.queued or kernel.stale)

    with zmq_agent(page.connection_file) as agent:
        wait_for(settled, "no cell runs, waits or is stale")
    page.expect_status("idle")


def test_changing_the_first_cell_renews_the_third_on_the_page_and_in_the_saved_file(lab):
    page = lab("a = 1", "b = a * 10", "print('b is', b)\nb", kernel="marimo")
    for cell in range(3):
        page.run(cell)
    expect(page.outputs(2)).to_have_text(["b is 10", "10"])

    page.edit(0, "a = 2")
    page.run(0)

    expect(page.outputs(2)).to_have_text(["b is 20", "20"])
    expect(page.outputs(0)).to_have_count(0)
    expect(page.outputs(1)).to_have_count(0)
    saved = page.save()
    stream, result = saved.cells[2].outputs
    assert saved.cells[0].source == "a = 2"
    assert (stream.name, stream.text) == ("stdout", "b is 20\n")
    assert result.data == {"text/plain": "20"}
    assert result.execution_count == saved.cells[2].execution_count == 3


@pytest.mark.long  # in memory: `tests/unit/kernel`
def test_run_all_runs_every_cell_exactly_once_however_often_it_is_pressed(lab):
    page = lab(
        RAN,
        "ran('a'); a = 1",
        "ran('b'); b = a + 1",
        "ran('c'); c = a + 10",
        "ran('d'); d = b + c\nd",
        "ran('e')\nprint('d is', d)",
    )
    log = page.path.parent / "runs.log"
    page.run_all()
    expect(page.outputs(5)).to_have_text(["d is 13"])
    settle(page)
    assert log.read_text().split() == ["a", "b", "c", "d", "e"]

    # Again and again: Lab sends the requests of one Run All up to 15 ms apart, and a kernel that does not wait for the
    # next one runs dependents too early now and then only.
    for a in range(2, 7):
        log.unlink()
        page.edit(1, f"ran('a'); a = {a}")
        page.run_all()
        expect(page.outputs(4)).to_have_text([f"{a + 1 + a + 10}"])
        expect(page.outputs(5)).to_have_text([f"d is {a + 1 + a + 10}"])
        settle(page)
        assert log.read_text().split() == ["a", "b", "c", "d", "e"]


@pytest.mark.long
def test_running_one_cell_runs_each_dependent_once_and_after_what_it_needs(lab):
    page = lab(
        RAN, "ran('a'); a = 1", "ran('b'); b = a", "ran('c'); c = a", "ran('d'); d = b + c\nd", "ran('z')"
    )
    log = page.path.parent / "runs.log"
    page.run_all()
    expect(page.outputs(4)).to_have_text(["2"])
    settle(page)
    log.unlink()

    page.edit(1, "ran('a'); a = 7")
    page.run(1)

    expect(page.outputs(4)).to_have_text(["14"])
    settle(page)
    assert log.read_text().split() in (["a", "b", "c", "d"], ["a", "c", "b", "d"])


@pytest.mark.long
def test_a_cell_above_the_definition_that_it_uses_follows_it(lab):
    page = lab("total = price * 2\ntotal", "price = 21")
    page.run(0)
    expect(page.outputs(0)).to_contain_text(["NameError"])

    page.run(1)

    expect(page.outputs(0)).to_have_text(["42"])
    assert page.save().cells[0].outputs[0].data == {"text/plain": "42"}


@pytest.mark.long
def test_run_all_brings_cells_into_order_that_stand_above_what_they_use(lab):
    page = lab("total = price * 2\ntotal", "price = 20 + more", "more = 1")

    page.run_all()

    expect(page.outputs(0)).to_have_text(["42"])
    assert page.save().cells[0].outputs[0].data == {"text/plain": "42"}


def test_streams_errors_and_charts_are_replaced_live_each_under_its_own_cell(lab):
    page = lab(
        "level = 1",
        "import sys\nprint('level', level)\nprint('warning', level, file=sys.stderr)",
        "10 / (level - 2)",
        "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([0, level], [0, 2])\nplt.show()",
    )
    page.run_all()
    expect(page.outputs(1)).to_have_text(["level 1", "warning 1"])
    expect(page.outputs(2)).to_have_text(["-10.0"])
    expect(page.images(3)).to_have_count(1)
    settle(page)
    before = page.images(3).get_attribute("src")

    page.edit(0, "level = 2")
    page.run(0)

    expect(page.outputs(1)).to_have_text(["level 2", "warning 2"])
    expect(page.outputs(2)).to_contain_text(["ZeroDivisionError: division by zero"])
    expect(page.images(3)).not_to_have_attribute("src", before)
    settle(page)
    expect(page.outputs(0)).to_have_count(0)
    expect(page.outputs(3)).to_have_count(1)
    assert page.images(3).evaluate("image => image.naturalWidth") > 100
    shown = page.images(3).get_attribute("src").removeprefix("data:image/png;base64,")
    saved = page.save()
    assert [output.output_type for output in saved.cells[1].outputs] == ["stream", "stream"]
    assert [output.ename for output in saved.cells[2].outputs] == ["ZeroDivisionError"]
    (chart,) = saved.cells[3].outputs
    assert base64.b64decode(chart.data["image/png"]) == base64.b64decode(shown)

    page.edit(0, "level = 4")
    page.run(0)

    expect(page.outputs(1)).to_have_text(["level 4", "warning 4"])
    expect(page.outputs(2)).to_have_text(["5.0"])


@pytest.mark.long
def test_dependents_of_a_failing_cell_say_so_until_it_is_fixed(lab):
    page = lab("a = 1", "b = 10 / a", "b + 1", "print('b is', b)")
    page.run_all()
    expect(page.outputs(2)).to_have_text(["11.0"])
    expect(page.outputs(3)).to_have_text(["b is 10.0"])
    settle(page)

    page.edit(0, "a = 0")
    page.run(0)

    expect(page.outputs(1)).to_contain_text(["ZeroDivisionError: division by zero"])
    for dependent in (2, 3):
        expect(page.outputs(dependent)).to_contain_text(["not run: cell [2] `b = 10 / a` failed"])
    settle(page)
    saved = page.save()
    assert [output.output_type for cell in saved.cells for output in cell.outputs] == ["error"] * 3

    page.edit(0, "a = 5")
    page.run(0)

    expect(page.outputs(2)).to_have_text(["3.0"])
    expect(page.outputs(3)).to_have_text(["b is 2.0"])
    expect(page.outputs(1)).to_have_count(0)


@pytest.mark.long
def test_a_name_defined_twice_is_told_with_the_other_cell_named_and_readers_keep_theirs(lab):
    page = lab("x = 1", "x * 10", "x = 2")
    page.run(0)
    page.run(1)
    expect(page.outputs(1)).to_have_text(["10"])

    page.run(2)

    expect(page.outputs(2)).to_contain_text(["`x`: defined here and by cell [1] `x = 1`"])
    expect(page.prompt(2)).not_to_have_text("[*]:")
    settle(page)
    expect(page.outputs(1)).to_have_text(["10"])

    page.edit(2, "y = 2\ny + x")
    page.run(2)
    expect(page.outputs(2)).to_have_text(["3"])


@pytest.mark.long
def test_cells_that_wait_for_each_other_are_refused_with_the_cells_named(lab):
    page = lab("one = two + 1", "two = one + 1")

    page.run(0)
    expect(page.outputs(0)).to_contain_text(["NameError"])
    page.run(1)

    expect(page.outputs(1)).to_contain_text(["`one = two + 1`"])
    expect(page.outputs(1)).to_contain_text(["CycleError"])
