"""No kernel holds up the server's event loop: what one sends is read elsewhere, and calls about others go on."""

import asyncio
import base64
import gc
import io
import json
import os
import string
import sys
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from itertools import islice, product
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image as Pillow

from marimo_kernel_bridge.client.received_json import read_json
from marimo_kernel_bridge.exporting.live import merged
from marimo_kernel_bridge.mcp_server.guard import _require_size
from marimo_kernel_bridge.mcp_server.media import work
from marimo_kernel_bridge.mcp_server.media.output_text import Shown
from marimo_kernel_bridge.mcp_server.media.presenter import Presenter
from marimo_kernel_bridge.mcp_server.views.files import as_format
from marimo_kernel_bridge.protocol.inspection import Match, Matches, UiElement, Variable
from marimo_kernel_bridge.protocol.notebook import CellError, CellWithOutputs
from marimo_kernel_bridge.protocol.own_python import python_command
from marimo_kernel_bridge.protocol.redaction import Redactor
from tests.inputs import inputs
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.fake_kernel import Execution, FakeKernel, Json, stream

pytestmark = pytest.mark.anyio

SIZE = 1_000_000
MOST = 0.05
"""Seconds between two turns of the loop, of processor time of this process, on an idle machine."""

REFERENCE = 0.02
"""Seconds that `reference` takes on an idle machine."""


def reference() -> float:
    """Return how long some work takes at present: other processes slow this one down, its processor time as well."""
    before = time.process_time()
    sum(number * number for number in range(250_000))
    return time.process_time() - before


class Pauses:
    """The pauses of the loop that are too long, by what it was asked meanwhile."""

    def __init__(self) -> None:
        self.too_long: dict[object, list[float]] = {}

    async def measure(self, what: object, work: Callable[[], Awaitable[object]], most: float = MOST) -> None:
        """Do something; up to five times, as the system may interrupt any of them."""
        pauses: list[float] = []
        for _ in range(5):
            pauses.append(await _longest_pause(work))
            if pauses[-1] <= most * max(1.0, reference() / REFERENCE):
                return
        self.too_long[what] = pauses


async def _longest_pause(work: Callable[[], Awaitable[object]]) -> float:
    over, longest = asyncio.Event(), 0.0

    async def watch() -> None:
        nonlocal longest
        while not over.is_set():
            before = time.process_time()
            await asyncio.sleep(0.002)
            longest = max(longest, time.process_time() - before)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    try:
        await work()
    finally:
        over.set()
        await watching
    return longest


@pytest.fixture
def pauses() -> Iterator[Pauses]:
    """Measure without what a server does not have: this process's millions of objects, and counted lines."""
    gc.collect()
    gc.disable()
    tracing = sys.gettrace()
    sys.settrace(None)
    yield Pauses()
    sys.settrace(tracing)
    gc.enable()


async def succeeding(agent: Agent, tool: str, **arguments: Any) -> None:
    assert not (await agent(tool, **arguments)).failed


def repeated(part: str) -> str:
    return part * (SIZE // len(part))


def displayed(mime_type: str, data: object) -> Json:
    return {"output_type": "display_data", "data": {mime_type: data}, "metadata": {}}


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def bomb() -> str:
    """Return a PNG of a few kilobytes with 400 million pixels."""
    line = bytes(1 + 20_000 // 8)
    packed = zlib.compress(line * 20_000, 9)
    chunks = [(b"IHDR", b"\0\0\x4e\x20\0\0\x4e\x20\x01\0\0\0\0"), (b"IDAT", packed), (b"IEND", b"")]
    written = b"".join(
        len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4) for kind, data in chunks
    )
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + written).decode()


def noise() -> str:
    buffer = io.BytesIO()
    Pillow.frombytes("RGB", (500, 500), os.urandom(750_000)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


VEGA = "application/vnd.vegalite.v5+json"
PLOTLY = "application/vnd.plotly.v1+json"


@cache
def outputs() -> dict[str, Json]:
    """Return outputs of a megabyte, by their names."""
    return {
        **{f"html {part!r}": displayed("text/html", repeated(part)) for part in ("<a ", "<!--", "<pre>", "<table><tr>", "&#")},
        **{f"stream {part!r}": stream(repeated(part)) for part in ("-eyJaaaaaaaaaa", "://", "hf_", "\n", "\r", "\x1b[1m")},
        "markdown": displayed("text/markdown", repeated("://a:")),
        "frames": {"output_type": "error", "ename": "E", "evalue": repeated("\n"), "traceback": list("a\n" * 99_999)},
        "json": displayed("application/json", [0] * (SIZE // 2)),
        "rows": displayed("application/vnd.dataresource+json", {"data": [{"a": 1}] * (SIZE // 8)}),
        "plotly": displayed(PLOTLY, {"data": [{"x": [0] * (SIZE // 2)}]}),
        "traces": displayed(PLOTLY, {"data": [{}] * (SIZE // 3)}),
        "vega": displayed(VEGA, {"layer": [{"mark": "image"}] * (SIZE // 17)}),
        "deep vega": displayed(VEGA, {"layer": [nested(300)]}),
        "embedded": displayed("text/html", "vegaEmbed })(" + repeated('{"a":')),
        "bomb": displayed("image/png", bomb()),
        "noise": displayed("image/png", noise()),
        "no image": displayed("image/png", repeated("A")),
    }  # fmt: skip


async def test_no_output_of_a_megabyte_holds_up_the_loop(
    connected: Agent, kernel: FakeKernel, pauses: Pauses
) -> None:
    kernel.add("aaaa", "x", outputs()["noise"])
    await connected("read_cell", cell_id="aaaa")
    for name, output in islice(outputs().items(), 0, None, inputs(3, 1)):
        kernel.add("aaaa", "x", output)
        await pauses.measure(name, partial(succeeding, connected, "read_cell", cell_id="aaaa"))
    assert pauses.too_long == {}


# Every other one in `make test`
TEXTS = ["://", "\n", "import a\n", "!python"]


async def test_no_text_of_a_megabyte_holds_up_the_loop(
    connected: Agent, kernel: FakeKernel, pauses: Pauses
) -> None:
    for part in TEXTS[:: inputs(2, 1)]:
        text = repeated(part)
        error = CellError("SyntaxError", text, (text, text))
        kernel.add("aaaa", text, status="error", error=error)
        kernel.variables = [Variable(text, "str", text)]
        kernel.elements = [UiElement("x", text, text, text, text)]
        kernel.description = replace(kernel.description, notebook=text, cwd=text)
        kernel.executions["1"] = Execution((stream(text),), error)
        for tool, arguments in (
            ("list_cells", {}),
            ("read_cell", {"cell_id": "aaaa"}),
            ("list_errors", {}),
            ("list_variables", {}),
            ("list_ui_elements", {}),
            ("read_dataflow", {"cell_id": "aaaa"}),
            ("execute_code", {"code": "1", "scratch": True}),
            ("kernel_status", {}),
            ("execute_code", {"code": text}),
        ):
            await pauses.measure((part, tool), partial(connected, tool, **arguments))
    assert pauses.too_long == {}


async def test_no_number_of_things_holds_up_the_loop(
    connected: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, pauses: Pauses
) -> None:
    many = 8_000
    ids = tuple(f"c{number}" for number in range(many))
    for cell_id in ids[:2000]:
        kernel.add(cell_id, "x", stale=True, downstream=ids[:20])
    kernel.variables = [Variable("a", "str", "1")] * many
    kernel.elements = [UiElement("x", "slider", "1", "1 to 2", "")] * many
    found = Matches((Match("aaaa", "code", 1, "x"),) * many, many)
    monkeypatch.setattr(kernel, "_matches", lambda *_: found)
    for tool, arguments in (
        ("list_cells", {"limit": 500}),
        ("list_errors", {}),
        ("list_variables", {}),
        ("list_ui_elements", {}),
        ("read_dataflow", {"cell_id": "c0"}),
        ("search_cells", {"query": "x"}),
    ):
        most = 2 * MOST  # half of it is this client's, which validates the answer
        await pauses.measure(tool, partial(succeeding, connected, tool, **arguments), most)
    assert pauses.too_long == {}


async def test_no_export_of_a_megabyte_holds_up_the_loop(
    connected: Agent, kernel: FakeKernel, pauses: Pauses
) -> None:
    """As a list of lines, line breaks become twelve megabytes."""
    kernel.add("aaaa", repeated("\n"))
    await pauses.measure("ipynb", partial(succeeding, connected, "export_notebook"))
    assert pauses.too_long == {}


async def test_no_export_of_thousands_of_cells_holds_up_the_loop(kernel: FakeKernel, pauses: Pauses) -> None:
    ids = tuple(f"c{number}" for number in range(4_000))
    added = [kernel.add(cell_id, "x", downstream=ids[:20]) for cell_id in ids]
    notebook = merged(None, [CellWithOutputs(cell, ()) for cell in added])
    presenter = Presenter()
    attached: Any = SimpleNamespace(presenter=presenter)
    try:
        await presenter.do("description", document=EMPTY, name="", graph={})
        await pauses.measure("json", partial(as_format, attached, notebook, "json"))
    finally:
        await presenter.close()
    assert pauses.too_long == {}


EMPTY: Json = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}


@pytest.mark.usefixtures("pauses")
def test_a_notebook_of_line_breaks_is_measured_in_time_as_a_resource() -> None:
    ctx: Any = SimpleNamespace(request_context=SimpleNamespace(request=None))
    content = '    "\\n",\n' * SIZE
    assert _is_done_in_time(lambda: _require_size(ctx, content))


def many_keys(kind: str) -> object:
    """Return what has 90,000 keys or values."""
    keys = ["".join(letters) for letters in islice(product(string.ascii_letters, repeat=3), 90_000)]
    return {
        "keys": dict.fromkeys(keys, 1),
        "values": dict.fromkeys(keys, ""),
        "keys of other alphabets": dict.fromkeys((f"{key}é" for key in keys), 1),
        "objects": [{key: 1} for key in keys],
    }[kind]


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("kind", ["keys", "values", "keys of other alphabets", "objects"])
def test_short_keys_that_all_differ_are_read_in_time(kind: str) -> None:
    data = json.dumps(many_keys(kind), ensure_ascii=False, separators=(",", ":")).encode()
    assert len(data) > 0.7 * SIZE
    assert _is_done_in_time(lambda: read_json(data))


def _is_done_in_time(do: Callable[[], object]) -> bool:
    return any(_seconds(do) <= MOST * max(1.0, reference() / REFERENCE) for _ in range(5))


def _seconds(do: Callable[[], object]) -> float:
    before = time.thread_time()
    do()
    return time.thread_time() - before


async def test_calls_about_other_kernels_go_on_meanwhile() -> None:
    slow, other = Presenter(), Presenter()
    redactor = Redactor(())
    try:
        reading = asyncio.create_task(slow.show([outputs()["frames"]] * 20, redactor))
        await asyncio.sleep(0)
        assert (await other.show([stream("quick")], redactor)).text == "quick"
        assert "[image 1: image/jpeg" in (await other.show([outputs()["noise"]], redactor, undrawn)).text
        assert not reading.done()
        reading.cancel()
    finally:
        await slow.close()
        await other.close()


async def undrawn(_: object) -> Any:
    raise AssertionError


async def test_what_takes_too_long_is_not_shown() -> None:
    presenter, redactor = Presenter(bound=0.01), Redactor(())
    try:
        for _ in range(2):
            shown = await presenter.show([outputs()["frames"]] * 10, redactor)
            assert shown.text.startswith(
                "[the outputs are not shown. Reading what the kernel sent took more than 0.01 s"
            )
            assert not shown.complete
    finally:
        await presenter.close()


async def test_the_worker_has_a_limit_of_memory() -> None:
    code = "from marimo_kernel_bridge.mcp_server.media import work; work._limit(); bytes(2 * work.MEMORY)"
    process = await asyncio.create_subprocess_exec(
        *python_command("-c", code), stderr=asyncio.subprocess.PIPE
    )
    _, error = await process.communicate()
    assert error.endswith(b"MemoryError\n") or sys.platform != "linux"  # others do not hold to the limit


def test_what_a_task_raises_becomes_a_refusal() -> None:
    assert (
        work.answer({"task": "redact", "arguments": {"text": 1, "secrets": []}})["refused"]["code"]
        == "too_large"
    )


async def test_a_surrogate_and_a_number_that_no_json_has_come_back_as_they_are() -> None:
    presenter = Presenter()
    try:
        shown = await presenter.show(
            [stream("\ud800" * 30_000), displayed("application/json", float("nan"))], Redactor(())
        )
        assert shown == Shown("\ud800" * 30_000 + "\nNaN")
    finally:
        await presenter.close()


async def test_a_malformed_output_leaves_the_others_readable(connected: Agent, kernel: FakeKernel) -> None:
    broken = displayed(PLOTLY, {"layout": {"title": [1, 2]}, "data": [{"x": [10**400, 1]}]})
    kernel.add("aaaa", "x", stream("before"), broken, stream("after"))
    answer = await connected("read_cell", cell_id="aaaa")
    assert "before\n[an output that cannot be read]\nafter" in answer.text


def test_the_bomb_is_a_small_file() -> None:
    assert len(bomb()) < 100_000
    assert len(json.dumps(outputs()["deep vega"])) < SIZE
