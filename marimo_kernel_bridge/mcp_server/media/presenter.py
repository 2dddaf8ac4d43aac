"""The outputs of one kernel for models: what is read in this process and what in workers, and the drawing of charts.

Answers are read and redacted in one worker. What somebody asks for apart (a search, differences, an export) takes as long as
its pattern or its texts make it take, so each such task has a worker of its own, and no answer waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.media.output_text import Chart, Image, Shown
from marimo_kernel_bridge.mcp_server.media.presentation import present
from marimo_kernel_bridge.mcp_server.media.worker import BOUND, Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from marimo_kernel_bridge.mcp_server.media.chart_drawing import Drawing
    from marimo_kernel_bridge.protocol.notebook import Output
    from marimo_kernel_bridge.protocol.redaction import Redactor

    Draw = Callable[[Chart], Awaitable[Drawing]]

SMALL: Final = 30_000
"""Characters that are redacted in this process: no text of that length takes a hundredth of a second."""

_QUICK: Final = 20_000
"""The cost of outputs that are read in this process: no outputs of that cost take two hundredths of a second."""

_COSTS: Final = {"text/html": 5, "text/plain": 1, "text": 1}
_COST_OF_A_VALUE: Final = 30

_OF_EVERY_ANSWER: Final = frozenset({"show", "redact", "redact_answer", "installs_packages"})
"""Tasks that have one worker together."""


class Presenter:
    """Makes texts and images of one kernel's outputs."""

    def __init__(self, bound: float = BOUND) -> None:
        """`bound`: seconds of processor time that a task may take."""
        self._workers: dict[str, Worker] = {}
        self._bound = bound

    async def show(self, outputs: Sequence[Output], redactor: Redactor, draw: Draw | None = None) -> Shown:
        """Return outputs as text without secrets and, if charts are to be drawn by `draw`, with images."""
        try:
            shown = await self._shown(outputs, redactor, None, pictures=draw is not None)
            if shown.charts and draw is not None:
                drawings = {chart.position: await draw(chart) for chart in shown.charts}
                shown = await self._shown(outputs, redactor, drawings, pictures=True)
        except BridgeError as refusal:
            return Shown(f"[the outputs are not shown. {refusal}]", complete=False)
        return shown

    async def _shown(
        self,
        outputs: Sequence[Output],
        redactor: Redactor,
        drawings: dict[int, Drawing] | None,
        *,
        pictures: bool,
    ) -> Shown:
        if drawings is None and _cost(outputs) <= _QUICK:
            shown = present(outputs, None, pictures=pictures)
            return Shown(redactor.text(shown.text), (), shown.complete, shown.charts)
        drawn = {at: (drawing.png.hex(), drawing.why_not) for at, drawing in (drawings or {}).items()}
        return _parsed(
            await self.do(
                "show",
                outputs=list(outputs),
                drawings=None if drawings is None else drawn,
                secrets=redactor.secrets,
                pictures=pictures,
            )
        )

    async def redacted(self, text: str, redactor: Redactor) -> str:
        """Return a text without secrets. Raises `BridgeError` too_large."""
        if len(text) <= SMALL:
            return redactor.text(text)
        return str(await self.do("redact", text=text, secrets=redactor.secrets))

    async def redacted_answer(
        self, texts: list[str], data: Any, redactor: Redactor
    ) -> tuple[list[str], Any]:  # JSON
        """Return the texts and the structured content of an answer without secrets. Raises `BridgeError` too_large."""
        if sum(map(len, texts)) <= SMALL:  # the structured content says the same
            return list(map(redactor.text, texts)), redactor.data(data)
        redacted, data = await self.do("redact_answer", texts=texts, data=data, secrets=redactor.secrets)
        return redacted, data

    async def do(self, task: str, *, bound: float | None = None, **arguments: Any) -> Any:  # JSON
        """Return what a task of `work` returns. Raises `BridgeError`: too_large, and what the task raises."""
        worker = self._workers.setdefault("answers" if task in _OF_EVERY_ANSWER else task, Worker())
        return await worker.do(task, self._bound if bound is None else bound, **arguments)

    async def close(self) -> None:
        """End the workers."""
        for worker in self._workers.values():
            await worker.close()


def _cost(outputs: Sequence[Output]) -> int:
    """Return about how long outputs take to be read, but not much more than `_QUICK`."""
    cost = 0
    waiting: list[tuple[str, Any]] = [("", output) for output in outputs]
    while waiting and cost <= _QUICK:
        kind, value = waiting.pop()
        cost += _COST_OF_A_VALUE + len(kind)
        if kind.startswith("image/"):
            return _QUICK + 1  # decoders are written in C, and kernels send what they like
        if isinstance(value, str):
            cost += len(value) * _COSTS.get(kind, 2)
        elif isinstance(value, dict):
            cost += len(value) * _COST_OF_A_VALUE
            if cost <= _QUICK:
                waiting += value.items()
        elif isinstance(value, list | tuple):
            cost += len(value) * _COST_OF_A_VALUE
            if cost <= _QUICK:
                waiting += ((kind, item) for item in value)
    return cost


def _parsed(shown: dict[str, Any]) -> Shown:
    return Shown(
        shown["text"],
        tuple(Image(**image) for image in shown["images"]),
        shown["complete"],
        tuple(Chart(**chart) for chart in shown["charts"]),
    )
