"""What works on a kernel's texts ends by its processor time, and what takes long holds up no answer."""

import asyncio
import sys
import time
from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.media.presenter import Presenter
from marimo_kernel_bridge.mcp_server.media.worker import Worker
from marimo_kernel_bridge.protocol.redaction import Redactor

pytestmark = pytest.mark.anyio

CATASTROPHIC: dict[str, Any] = {
    "texts": [["aaaa", "code", "a" * 40 + "!"]],
    "query": "(a+)+$",
    "limit": 5,
    "regex": True,
}
PLAIN: dict[str, Any] = CATASTROPHIC | {"query": "a+!"}
FOUND = [[["aaaa", "code", 1, "a" * 40 + "!"]], 1]


async def test_no_answer_waits_for_a_catastrophic_pattern() -> None:
    presenter = Presenter()
    try:
        searching = asyncio.create_task(presenter.do("find_lines", bound=60, **CATASTROPHIC))
        await asyncio.sleep(0)
        long = "a page of text\n" * 4_000  # more than is read in the server's process
        assert await presenter.redacted(long, Redactor(())) == long
        differences = await presenter.do("line_differences", pairs=[["x = 1", "x = 2"]])
        assert differences == ["@@ -1 +1 @@\n-x = 1\n+x = 2"]
        assert not searching.done()
        searching.cancel()
    finally:
        await presenter.close()


async def test_a_catastrophic_pattern_is_stopped_and_the_next_search_answers() -> None:
    presenter = Presenter()
    try:
        with pytest.raises(BridgeError, match=r"took more than 0\.2 s of processor time") as refused:
            await presenter.do("find_lines", bound=0.2, **CATASTROPHIC)
        assert refused.value.code == "too_large"
        assert await presenter.do("find_lines", bound=10, **PLAIN) == FOUND
    finally:
        await presenter.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot limit the processor time of a process")
async def test_what_waits_for_its_turn_of_the_processors_is_not_stopped() -> None:
    worker, bound = Worker(), 0.05
    try:
        before = time.monotonic()
        assert await worker.do("find_lines", bound, **PLAIN) == FOUND
        assert time.monotonic() - before > bound  # its process had to start
    finally:
        await worker.close()
