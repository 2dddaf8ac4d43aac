"""JupyterLab's debugger on a reactive notebook."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

READER = "def double(n):\n    twice = n * 2\n    return twice\nprint(double(a))"


@pytest.mark.long
def test_a_breakpoint_stops_a_cell_and_the_dependent_that_runs_by_itself(lab):
    page = lab("a = 21", READER)
    debugger = page.page.locator(".jp-DebuggerSidebar")
    names = debugger.locator(".jp-DebuggerVariables-name")
    values = debugger.locator(".jp-DebuggerVariables-detail")
    frames = debugger.locator(".jp-DebuggerCallstackFrame")
    page.run(0)
    page.page.locator(".jp-DebuggerBugButton").click()
    expect(names.get_by_text("a", exact=True)).to_be_attached()  # until it has begun, it forgets breakpoints
    gutter = page.cell(1).locator(".cm-breakpoint-gutter .cm-gutterElement")
    gutter.nth(2).click()  # the first is a spacer
    expect(debugger.locator(".jp-DebuggerBreakpoint")).to_have_count(1)

    page.run(1)
    expect(values).to_have_text(["21"])
    expect(frames).to_contain_text(["double", "<module>"])
    expect(frames).to_have_count(2)
    debugger.locator("[data-command='debugger:next']").click()
    expect(names).to_have_text(["n", "twice"])
    expect(values).to_have_text(["21", "42"])
    debugger.locator("[data-command='debugger:continue']").click()
    expect(page.outputs(1)).to_have_text(["42"])

    page.edit(0, "a = 4")
    page.run(0)
    expect(values).to_have_text(["4"])
    debugger.locator("[data-command='debugger:continue']").click()
    expect(page.outputs(1)).to_have_text(["8"])
