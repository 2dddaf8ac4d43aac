"""marimo's elements in a JupyterLab without this project's extension: a widget without a view carries the loader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import opening
from lab_server import LabServer, running_lab
from live_elements import ELEMENTS, OF_JUPYTER, READER
from live_page import LOOK, expect_live, live
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab_page import LabPage

    from tests.isolation import Homes

pytestmark = [pytest.mark.browser, pytest.mark.long]

SLIDER = "import marimo as mo\ne = mo.ui.slider(1, 9, value=3, label='Size')\ne"
THUMB = "[role=slider]"


@pytest.fixture(scope="module")
def server_with_widgets(homes: Homes) -> Iterator[LabServer]:
    with running_lab(homes.new("widgets").folder, widgets=True) as server:
        yield server


@pytest.fixture
def widget_lab(request, browser, server_with_widgets) -> Iterator[Callable[..., LabPage]]:
    with opening(request, browser, server_with_widgets) as open_notebook:
        yield open_notebook


def test_with_a_widget_manager_elements_are_live_and_no_widget_is_saved(widget_lab):
    page = widget_lab(SLIDER, READER, own_page=True)
    before = page.page.evaluate(LOOK)
    page.run_all()
    expect(page.outputs(1)).to_have_text(["value 3"])
    expect_live(page, 0).locator(THUMB).press("ArrowRight")
    expect(page.outputs(1)).to_have_text(["value 4"])
    assert page.page.evaluate(LOOK)["body"] == before["body"]
    saved = page.save()
    assert ">4<" in saved.cells[0].outputs[0].data["text/html"]
    assert "widget" not in page.path.read_text()
    page.reload()
    expect_live(page, 0).locator(THUMB).press("ArrowRight")
    expect(page.outputs(1)).to_have_text(["value 5"])


def test_a_widget_in_an_element_is_jupyters_own_and_its_reader_follows(widget_lab):
    element = ELEMENTS[OF_JUPYTER]
    page = widget_lab(f"{element.setup}\ne = {element.code}\ne", element.reader)
    page.run_all()
    expect(page.outputs(1)).to_contain_text(["value"])
    element.use(page.outputs(0))
    expect(page.outputs(1)).to_have_text([element.then])


def test_without_a_widget_manager_the_static_form_stays(lab):
    page = lab(SLIDER, READER)
    page.run_all()
    expect(page.outputs(1)).to_have_text(["value 3"])
    expect(page.outputs(0)).to_contain_text(["Size: 3"])
    page.page.wait_for_timeout(2000)
    expect(live(page, 0)).to_have_count(0)
    page.run(1)
    expect(page.outputs(1)).to_have_text(["value 3"])
