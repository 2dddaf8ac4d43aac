"""Pictures that a real kernel puts out, as an agent gets them; the whole by its address."""

import base64
import io

import pytest
from PIL import Image as Pillow

from marimo_kernel_bridge.mcp_server.media.output_text import Image
from marimo_kernel_bridge.mcp_server.media.pictures import LONGEST_SIDE

pytestmark = pytest.mark.anyio


def size_of(image: Image) -> tuple[int, int]:
    return Pillow.open(io.BytesIO(base64.b64decode(image.data))).size


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
