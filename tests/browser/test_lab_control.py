"""The control of the experiment: what JupyterLab does with a kernel that is not reactive."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


@pytest.mark.long
def test_on_the_stock_kernel_a_changed_first_cell_leaves_the_third_as_it_was(lab):
    page = lab("a = 1", "b = a * 10", "print('b is', b)\nb", kernel="python3")
    page.run_all()
    expect(page.outputs(2)).to_have_text(["b is 10", "10"])

    page.edit(0, "a = 2\nif a:\n    a = 3\na")
    page.run(0)

    expect(page.outputs(0)).to_have_text(["3"])
    page.expect_status("idle")
    expect(page.outputs(2)).to_have_text(["b is 10", "10"])
    saved = page.save()
    assert saved.cells[0].source == "a = 2\nif a:\n    a = 3\na"
    assert saved.cells[2].outputs[0].text == "b is 10\n"
