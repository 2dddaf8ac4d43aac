"""Pictures as a model gets them: scaled, readable, drawn where there is only a specification."""

import base64
import io
import json
import os
import socket
import subprocess
import sys
import venv
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image as Pillow

from marimo_kernel_bridge.importing.verifying.outputs import apart
from marimo_kernel_bridge.mcp_server.media.chart_drawing import _LIMITED, _NEW_NAMESPACES, ChartDrawer
from marimo_kernel_bridge.mcp_server.media.chart_text import PLOTLY, ChartKind, chart_in
from marimo_kernel_bridge.mcp_server.media.loaded_by_charts import what_it_loads
from marimo_kernel_bridge.mcp_server.media.output_text import MAX_IMAGE_CHARACTERS, Image, Picture, show
from marimo_kernel_bridge.mcp_server.media.pictures import LONGEST_SIDE, scaled
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.fake_kernel import FakeKernel

pytestmark = pytest.mark.anyio

BARS = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
    "data": {"values": [{"a": 1, "b": 2}, {"a": 2, "b": 3}]},
    "mark": "bar",
    "encoding": {"x": {"field": "a"}, "y": {"field": "b"}},
}


def written(picture: Pillow.Image, form: str = "PNG") -> Image:
    buffer = io.BytesIO()
    picture.save(buffer, form)
    return Image(f"image/{form.lower()}", base64.b64encode(buffer.getvalue()).decode())


def noise(width: int, height: int, mode: str = "RGB") -> Pillow.Image:
    return Pillow.frombytes(mode, (width, height), os.urandom(width * height * len(mode)))


def size_of(image: Image | None) -> tuple[int, int]:
    assert image is not None
    return Pillow.open(io.BytesIO(base64.b64decode(image.data))).size


# Scaling


def test_an_image_that_fits_is_sent_as_it_is() -> None:
    image = written(Pillow.new("RGB", (640, 480)))
    assert scaled(image) == Picture(image, "")


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_large_image_is_scaled_to_what_models_look_at(form: str) -> None:
    picture = scaled(written(Pillow.new("RGB", (4000, 3000)), form))
    assert size_of(picture.image) == (LONGEST_SIDE, 1176)
    assert picture.note.startswith(f"scaled to 1568x1176 from image/{form.lower()} of")
    assert "4000x3000" in picture.note


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_image_of_many_megabytes_is_made_small_enough_to_send(mode: str) -> None:
    image = written(noise(1500, 1500, mode))
    assert len(image.data) > 10 * MAX_IMAGE_CHARACTERS
    picture = scaled(image)
    assert picture.image is not None
    assert len(picture.image.data) <= MAX_IMAGE_CHARACTERS // 2
    assert picture.image.mime_type == "image/jpeg"
    assert size_of(picture.image)[0] >= 400


@pytest.mark.parametrize("data", ["iVBORw0KGgo=", "AAAA", "not base64!"])
def test_what_cannot_be_read_is_told_and_not_sent(data: str) -> None:
    picture = scaled(Image("image/png", data))
    assert picture.image is None
    assert "cannot be read" in picture.note


def test_the_text_says_what_was_done_to_each_image() -> None:
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


@pytest.mark.parametrize("form", ["EPS", "TIFF", "BMP", "ICO", "PPM", "TGA", "PCX"])
def test_what_calls_itself_a_png_and_is_another_format_is_not_decoded(form: str) -> None:
    buffer = io.BytesIO()
    Pillow.new("RGB", (2000, 20)).save(buffer, form)
    picture = scaled(Image("image/png", base64.b64encode(buffer.getvalue()).decode()))
    assert picture.image is None
    assert picture.note.endswith("that cannot be read")


def test_a_small_file_with_very_many_pixels_is_not_decoded() -> None:
    picture = scaled(written(Pillow.new("1", (5000, 4001))))
    assert picture.image is None
    assert "5000x4001: too large to scale" in picture.note


def test_pictures_that_are_compared_are_not_decoded_as_other_formats() -> None:
    pixels = noise(30, 30)
    image = written(pixels).data
    buffer = io.BytesIO()
    pixels.save(buffer, "TIFF")
    assert apart(image, written(pixels, "PNG").data) == 0
    assert apart(image, base64.b64encode(buffer.getvalue()).decode()) == 1
    assert apart("not base64!", image) == 1
    huge = written(Pillow.new("1", (5000, 4001))).data
    assert apart(huge, written(Pillow.new("1", (5000, 4002))).data) == 1


# Drawing


def test_a_chart_is_drawn_without_a_network() -> None:
    """The code before each drawing leaves it, where the system lets a user do so."""
    leaves = f"import ctypes; print(ctypes.CDLL(None).unshare({_NEW_NAMESPACES}))"
    may_leave = (
        subprocess.run([sys.executable, "-c", leaves], check=True, capture_output=True).stdout == b"0\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        connects = f"import socket; socket.create_connection({server.getsockname()!r}, 5)"
        drawn = subprocess.run(
            [sys.executable, "-c", f"{_LIMITED}\n{connects}"], capture_output=True, check=False
        )
    assert (drawn.returncode != 0) == may_leave, drawn.stderr
    assert (b"unreachable" in drawn.stderr) == may_leave


async def test_a_vega_lite_chart_is_drawn() -> None:
    assert chart_in({"application/vnd.vegalite.v5+json": BARS}) == ("vega-lite", BARS)
    drawing = await ChartDrawer().draw("vega-lite", json.dumps(BARS), [sys.executable])
    assert drawing.png.startswith(b"\x89PNG")


async def test_data_of_other_hosts_is_not_fetched_for_a_drawing() -> None:
    drawing = await ChartDrawer().draw(
        "vega-lite", json.dumps(BARS | {"data": {"url": "http://127.0.0.1:1/data.csv"}}), [sys.executable]
    )
    assert drawing.png == b"" or len(drawing.png) < 10_000  # no bars
    assert "install_packages" not in drawing.why_not


@pytest.mark.parametrize(
    ("kind", "specification"),
    [
        ("vega-lite", BARS | {"mark": "image"}),
        (
            "vega-lite",
            {"layer": [BARS, {"mark": {"type": "image"}, "encoding": {"url": {"value": "file:///a.png"}}}]},
        ),
        ("vega", {"marks": [{"type": "group", "marks": [{"type": "image"}]}]}),
        ("plotly", {"data": [], "layout": {"images": [{"source": "http://127.0.0.1:1/a.png"}]}}),
        ("plotly", {"data": [], "layout": {"template": {"layout": {"images": [{"source": "../../a.png"}]}}}}),
        ("plotly", {"data": [{"type": "image", "source": "file:///a.png"}]}),
        ("plotly", {"data": [{"type": "choropleth", "geojson": "http://127.0.0.1:1/"}]}),
        ("plotly", {"data": [{"type": "scattermap"}]}),
        ("plotly", {"data": [], "layout": {"geo": {}}}),
        ("plotly", {"data": [], "layout": {"map2": {"style": "http://127.0.0.1:1/"}}}),
        ("plotly", {"data": [], "layout": {"mapbox": {"layers": []}}}),
    ],
)
async def test_a_chart_that_would_load_something_is_not_drawn(
    connected: Agent, kernel: FakeKernel, kind: ChartKind, specification: dict[str, object]
) -> None:
    assert what_it_loads(kind, specification)
    mime_type = {"plotly": PLOTLY, "vega": "application/vnd.vega.v5+json"}.get(
        kind, "application/vnd.vegalite.v5+json"
    )
    kernel.add(
        "aaaa", "x", {"output_type": "display_data", "data": {mime_type: specification}, "metadata": {}}
    )
    answer = await connected("read_cell", cell_id="aaaa")
    assert answer.images == ()
    assert "would be loaded" in answer.text


def test_charts_with_their_own_pictures_and_without_any_are_drawn() -> None:
    assert not what_it_loads("vega-lite", BARS)
    own = {"layout": {"images": [{"source": "data:image/png;base64,AAAA"}]}, "data": [{"type": "heatmap"}]}
    assert not what_it_loads("plotly", own)
    usual = {"template": {"layout": {"geo": {}, "mapbox": {"style": "light"}}}, "mapping": {}}
    assert not what_it_loads("plotly", {"data": [], "layout": usual})


async def test_without_the_package_it_is_told_how_a_chart_can_be_drawn(tmp_path: Path) -> None:
    venv.create(tmp_path / "env", symlinks=True)
    bare = str(tmp_path / "env" / "bin" / "python")
    drawing = await ChartDrawer().draw(
        "plotly", json.dumps({"data": [{"y": [1, 2]}]}), [bare, "/no/such/python"]
    )
    assert drawing.png == b""
    assert "kaleido in the environment of an installed kernelspec" in drawing.why_not
    assert (
        "vl-convert-python"
        in (await ChartDrawer().draw("vega-lite", json.dumps(BARS | {"title": "x"}), [bare])).why_not
    )


async def test_a_program_that_only_the_kernel_names_is_not_run(
    connected: Agent, kernel: FakeKernel, tmp_path: Path
) -> None:
    planted = tmp_path / "plot.bin"
    planted.write_text(f"#!/bin/sh\necho ran > {tmp_path / 'sprung'}\n")
    planted.chmod(0o755)
    kernel.description = replace(kernel.description, interpreter=str(planted))
    bars = {"application/vnd.vegalite.v5+json": BARS | {"title": "of a hostile kernel"}}
    kernel.add("aaaa", "bars", {"output_type": "display_data", "data": bars, "metadata": {}})
    answer = await connected("read_cell", cell_id="aaaa")
    assert len(answer.images) == 1, answer.text
    assert not (tmp_path / "sprung").exists()


async def test_a_specification_that_cannot_be_drawn_says_why() -> None:
    drawing = await ChartDrawer().draw("vega", json.dumps({"marks": 7}), [sys.executable])
    assert "could not draw it" in drawing.why_not
