"""A kernel dies in JupyterLab, and the next one restores what was saved: what the person sees of both."""

import pytest
from death_and_restore import CELLS, CRASH, HELD, die, restore
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.long]


def test_a_person_sees_why_the_kernel_died_and_restores_what_was_saved(lab):
    page = lab(*CELLS)
    die(page)
    told = page.outputs(0).first
    expect(told).to_contain_text("a segmentation fault (SIGSEGV) in `import ctypes`, line 2")
    expect(told).to_contain_text("can be restored with `%marimo restore`")
    restore(page)
    expect(page.outputs(HELD)).to_contain_text(["restored 3 of 4 cells"])
    expect(page.outputs(HELD)).to_contain_text(["cell `import ctypes…`: it had not run"])
    page.edit(CRASH, "len(rows), round(total)")
    page.run(CRASH)
    expect(page.outputs(CRASH)).to_contain_text(["(100000, "])


def test_outputs_that_the_page_has_lost_are_shown_again_by_a_restore(live_lab):
    page = live_lab(*CELLS[:CRASH])
    page.run_all()
    expect(page.outputs(HELD)).to_contain_text(["saved 3 cells"])
    page.page.evaluate("() => jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    expect(page.outputs(2)).to_have_count(0)
    page.restart()
    restore(page)
    expect(page.outputs(2)).to_contain_text([" in all"])
    expect(page.prompt(2)).to_have_text("[3]:")
