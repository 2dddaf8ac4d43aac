"""An agent's changes of the document that a person has open: the reference front end on a real kernel, over ZMQ.

From the agent's request until the front end has answered that its cell has the new text; the run that follows is not
waited for. A page of JupyterLab adds what its editor needs.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import BOUND, Kernel, started
from benchmarks.measuring import OURS, Row, Sample, Settings, check, median, p95, say
from benchmarks.reactive import fan, run_all
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import ChangeCell
from marimo_kernel_bridge.protocol.document_edits import DocumentContent, DocumentEdit
from tests.mcp.open_page import OpenPage

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMPUTES = "import time\nuntil = time.time() + {seconds}\nwhile time.time() < until:\n    sum(range(1000))"
_REST = 0.3  # seconds between edits: what the one before has caused is over


class _Agent:
    """An agent's client on control."""

    def __init__(self, kernel: Kernel) -> None:
        self._client = kernel.client
        self._client.session.username = "claude"

    def ask(self, request: wire.Request) -> dict[str, Any]:
        message = self._client.session.msg(wire.REQUEST, wire.encode_request(request))
        self._client.control_channel.send(message)
        while True:
            reply = self._client.control_channel.get_msg(timeout=BOUND)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                content: dict[str, Any] = reply["content"]
                return content

    def change_of(self, key: str, code: str) -> wire.EditDocument:
        """Return the request that gives a cell another text."""
        content = wire.decode_reply(self.ask(wire.ReadDocument()), DocumentContent)
        version = next(cell.version for cell in content.cells if cell.key == key)
        return wire.EditDocument(
            changes=[ChangeCell(cell_id=key, version=version, code=code)], client="claude"
        )


@contextmanager
def _opened(count: int) -> Iterator[tuple[Kernel, _Agent, OpenPage]]:
    """Run a notebook of `count` cells, and open it in a page."""
    cells = dict(fan(count - 1, 1))
    with started(OURS) as kernels:
        kernel = kernels[OURS]
        run_all(kernel, list(cells.items()))
        page = OpenPage(kernel.manager.connection_file, cells)
        page.start()
        page.do(lambda: None)  # it is attached
        try:
            yield kernel, _Agent(kernel), page
        finally:
            page.close()


def _edits(kernel: Kernel, agent: _Agent, page: OpenPage, key: str, rounds: int) -> list[Sample]:
    samples: list[Sample] = []
    for number in range(rounds + 1):
        code = f"v_edited = {time.monotonic_ns()}\nv_edited"
        request = agent.change_of(key, code)
        time.sleep(_REST)
        before, start = kernel.cpu(), time.perf_counter()
        edit = wire.decode_reply(agent.ask(request), DocumentEdit)
        wall = time.perf_counter() - start
        check(edit.outcome == "applied", f"{edit.outcome}: {edit.message}")
        check(page.do(lambda: page.document.codes[key]) == code, "the page has another text")
        if number:  # the first one imports
            samples.append(Sample(wall, kernel.cpu() - before))
    say(".", end="")
    return samples


def _attaching(kernel: Kernel, page: OpenPage, rounds: int) -> list[Sample]:
    samples: list[Sample] = []
    for _ in range(rounds):
        time.sleep(_REST)
        before, start = kernel.cpu(), time.perf_counter()
        attached = page.do(page.document.attach)
        samples.append(Sample(time.perf_counter() - start, kernel.cpu() - before))
        check(len(attached.cells) == len(page.document.codes), "not all cells")
    say(".", end="")
    return samples


def _row(name: str, limit: float, samples: list[Sample]) -> Row:
    value = (p95(samples) or 0.0) * 1000
    cpu = (median(samples, "cpu") or 0.0) * 1000
    row = Row(f"{name}, p95", f"≤ {limit:.0f} ms", limit, value, "ms", samples={OURS: samples})
    row.notes.append(f"CPU of the kernel, median: {cpu:.0f} ms")
    return row


def run(settings: Settings) -> Iterator[Row]:
    rounds = settings.pick(40, 8)
    with _opened(10) as (kernel, agent, page):
        yield _row("an agent's edit shown, 10 cells", 150.0, _edits(kernel, agent, page, "cell-5", rounds))
        kernel.send(_COMPUTES.format(seconds=rounds * 2 + 10), "busy")
        samples = _edits(kernel, agent, page, "cell-5", rounds)
        yield _row("an agent's edit shown while a cell computes, 10 cells", 250.0, samples)
        kernel.manager.interrupt_kernel()
    with _opened(400) as (kernel, agent, page):
        yield _row("an agent's edit shown, 400 cells", 150.0, _edits(kernel, agent, page, "cell-200", rounds))
        yield _row("attach of 400 cells", 200.0, _attaching(kernel, page, rounds))
