"""What a person sees of lazy mode and of `%marimo` on the page of JupyterLab."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

MARK = "stale: an input changed since this cell ran. Run it, or %marimo run stale."


@pytest.mark.long
def test_stale_cells_say_so_under_their_own_outputs_until_they_are_fresh(lab):
    page = lab("%marimo lazy", "a = 1", "b = a\nb", "print('b is', b)", "%marimo run stale")
    for index in range(4):
        page.run(index)
    expect(page.outputs(3)).to_have_text(["b is 1"])

    page.edit(1, "a = 2")
    page.run(1)
    expect(page.outputs(2)).to_have_text(["1", MARK])
    expect(page.outputs(3)).to_have_text(["b is 1", MARK])
    page.run(2)
    expect(page.outputs(2)).to_have_text(["2"])
    expect(page.outputs(3)).to_have_text(["b is 1", MARK])
    page.run(4)
    expect(page.outputs(3)).to_have_text(["b is 2"])
    assert [output.get("text", "") for output in page.save().cells[3].outputs] == ["b is 2\n"]


@pytest.mark.long
def test_the_graph_is_a_picture_and_the_status_a_table(lab):
    page = lab("a = 1", "b = a + 1", "%marimo graph", "%marimo status")
    page.run_all()

    image = page.images(2)
    expect(image).to_have_count(1)
    expect(image).to_have_js_property("complete", True)  # noqa: FBT003  # a property's value
    assert image.evaluate("image => image.naturalWidth") > 200
    expect(page.outputs(3).locator("td code")).to_have_text(["[1] a = 1", "[2] b = a + 1"])
    assert page.page_errors == []
