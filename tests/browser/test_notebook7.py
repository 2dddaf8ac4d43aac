"""Jupyter Notebook 7 is JupyterLab's notebook on a page of its own: the same cells, late output and saving."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_dependents_follow_in_notebook_7_on_the_page_and_in_the_saved_file(lab):
    page = lab("a = 1", "b = a * 10", "print('b is', b)\nb", app="notebook", kernel="marimo")
    page.run_all()
    expect(page.outputs(2)).to_have_text(["b is 10", "10"])

    page.edit(0, "a = 2")
    page.run(0)

    expect(page.outputs(2)).to_have_text(["b is 20", "20"])
    saved = page.save()
    assert saved.cells[0].source == "a = 2"
    assert saved.cells[2].outputs[0].text == "b is 20\n"
