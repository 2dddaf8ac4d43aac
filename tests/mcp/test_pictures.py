"""Pictures as a model gets them: scaled, readable, drawn where there is only a specification; the whole by its address."""

import base64
import io
import json
import os
import sys

import pytest
from environments import make_environment
from person import refused
from PIL import Image as Pillow

from marimo_kernel_bridge.mcp_server.media.chart_drawing import draw
from marimo_kernel_bridge.mcp_server.media.chart_text import chart_in
from marimo_kernel_bridge.mcp_server.media.output_text import MAX_IMAGE_CHARACTERS, Image, Picture, show
from marimo_kernel_bridge.mcp_server.media.pictures import LONGEST_SIDE, scaled

pytestmark = pytest.mark.anyio

BARS = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
    "data": {"values": [{"a": 1, "b": 2}, {"a": 2, "b": 3}]},
    "mark": "bar",
    "encoding": {"x": {"field": "a"}, "y": {"field": "b"}},
}


def written(picture, form: str = "PNG") -> Image:
    buffer = io.BytesIO()
    picture.save(buffer, form)
    return Image(f"image/{form.lower()}", base64.b64encode(buffer.getvalue()).decode())


def noise(width: int, height: int, mode: str = "RGB"):
    return Pillow.frombytes(mode, (width, height), os.urandom(width * height * len(mode)))


def size_of(image: Image) -> tuple[int, int]:
    return Pillow.open(io.BytesIO(base64.b64decode(image.data))).size


# Scaling


def test_an_image_that_fits_is_sent_as_it_is():
    image = written(Pillow.new("RGB", (640, 480)))
    assert scaled(image) == Picture(image, "")


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_large_image_is_scaled_to_what_models_look_at(form):
    picture = scaled(written(Pillow.new("RGB", (4000, 3000)), form))
    assert size_of(picture.image) == (LONGEST_SIDE, 1176)
    assert picture.note.startswith(f"scaled to 1568x1176 from image/{form.lower()} of")
    assert "4000x3000" in picture.note


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_image_of_many_megabytes_is_made_small_enough_to_send(mode):
    image = written(noise(2500, 2500, mode))
    assert len(image.data) > 20 * MAX_IMAGE_CHARACTERS
    picture = scaled(image)
    assert len(picture.image.data) <= MAX_IMAGE_CHARACTERS // 2
    assert picture.image.mime_type == "image/jpeg"
    assert size_of(picture.image)[0] >= 400


@pytest.mark.parametrize("data", ["iVBORw0KGgo=", "AAAA", "not base64!"])
def test_what_cannot_be_read_is_told_and_not_sent(data):
    picture = scaled(Image("image/png", data))
    assert picture.image is None
    assert "cannot be read" in picture.note


def test_the_text_says_what_was_done_to_each_image():
    png = written(Pillow.new("RGB", (10, 10)))
    outputs = [
        {"output_type": "display_data", "data": {"image/png": "unread"}},
        {"output_type": "display_data", "data": {"image/png": "unread"}},
    ]
    shown = show(
        outputs,
        {0: Picture(png, "scaled to 10x10"), 1: Picture(None, "image/png of 9 kB that cannot be read")},
    )
    assert shown.text == "[image 1: image/png, scaled to 10x10]\n[image/png of 9 kB that cannot be read]"
    assert (shown.images, shown.complete) == ((png,), False)


# Drawing


async def test_a_vega_lite_chart_is_drawn():
    assert chart_in({"application/vnd.vegalite.v5+json": BARS}) == ("vega-lite", BARS)
    drawing = await draw("vega-lite", BARS, [sys.executable])
    assert drawing.png.startswith(b"\x89PNG")


async def test_data_of_other_hosts_is_not_fetched_for_a_drawing():
    drawing = await draw(
        "vega-lite", BARS | {"data": {"url": "http://127.0.0.1:1/data.csv"}}, [sys.executable]
    )
    assert drawing.png == b"" or len(drawing.png) < 10_000  # no bars
    assert "install_packages" not in drawing.why_not


async def test_without_the_package_it_is_told_how_a_chart_can_be_drawn(tmp_path):
    bare = str(make_environment(tmp_path / "env", with_bridge=False))
    drawing = await draw("plotly", {"data": [{"y": [1, 2]}]}, [bare, "/no/such/python"])
    assert drawing.png == b""
    assert "install_packages(['kaleido'])" in drawing.why_not
    assert "vl-convert-python" in (await draw("vega-lite", BARS | {"title": "x"}, [bare])).why_not


async def test_a_specification_that_cannot_be_drawn_says_why():
    drawing = await draw("vega", {"marks": 7}, [sys.executable])
    assert "could not draw it" in drawing.why_not


# Over the protocol


@pytest.fixture
async def shared(agent, reactive_kernel, person_at):
    person = await person_at(reactive_kernel)
    handle = await agent.connect(reactive_kernel)
    yield agent, person, handle
    await agent("disconnect_kernel", kernel=handle)


def links(result) -> list[str]:
    return [str(block.uri) for block in result.content if block.type == "resource_link"]


async def test_a_large_figure_is_seen_scaled_and_read_whole_by_its_address(shared):
    agent, person, _ = shared
    code = "from PIL import Image\nimage = Image.effect_mandelbrot((3000, 2000), (-2, -1, 1, 1), 50)\nimage"
    await person.run("aaaa", code)
    result = await agent.client.call_tool("read_cell", {"cell_id": "aaaa"})
    (image,) = [block for block in result.content if block.type == "image"]
    assert size_of(Image(image.mime_type, image.data))[0] == LONGEST_SIDE
    assert "scaled to 1568x1045" in result.content[0].text
    full = result.structured_content["full"]
    assert links(result) == [full]
    assert f"resource {full}" in result.content[0].text
    (content,) = (await agent.client.read_resource(full)).contents
    assert f'"{full}/0.png"' in content.text
    (png,) = (await agent.client.read_resource(f"{full}/0.png")).contents
    assert png.mime_type == "image/png"
    assert size_of(Image("image/png", png.blob)) == (3000, 2000)


async def test_an_altair_chart_is_told_and_shown(shared):
    agent, person, handle = shared
    code = "import altair as alt, pandas as pd\nalt.Chart(pd.DataFrame({'a': [1, 2], 'b': [3, 4]})).mark_bar().encode(x='a', y='b')"
    await person.run("aaaa", code)
    answer = await agent("read_cell", cell_id="aaaa")
    assert "[Vega-Lite chart" in answer.text
    assert len(answer.images) == 1
    spec = (await agent.client.read_resource(f"marimo://{handle}/cells/aaaa/0.json")).contents[0].text
    assert "vega-lite" in spec


async def test_long_outputs_are_read_in_pages(shared):
    agent, person, _ = shared
    await person.run("aaaa", "print(''.join(f'{number:07}' for number in range(60_000)))")
    cut = await agent("read_cell", cell_id="aaaa")
    uri, text = cut.data["full"], ""
    while uri:
        (content,) = (await agent.client.read_resource(uri)).contents
        page = json.loads(content.text)
        assert len(content.text) < 200_000
        text += page["outputs"]
        uri = page.get("next")
    assert text == "".join(f"{number:07}" for number in range(60_000))
    run = await agent("execute_code", code="print('x' * 9000)", scratch=True)
    (content,) = (await agent.client.read_resource(run.data["full"])).contents
    assert json.loads(content.text)["outputs"] == "x" * 9000
    assert refused(await agent("read_run", run_id="nosuch"), "no_such_run")


async def test_what_is_whole_has_no_link(shared):
    agent, person, _ = shared
    await person.run("aaaa", "print('short')")
    result = await agent.client.call_tool("read_cell", {"cell_id": "aaaa"})
    assert links(result) == []
    assert "full" not in result.structured_content
