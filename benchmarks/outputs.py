"""Much output: nothing may be lost, and it should not take longer than with ipykernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import Kernel, started
from benchmarks.measuring import (
    OURS,
    STOCK,
    Row,
    Sample,
    Settings,
    check,
    interleave,
    ratio,
    timed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KERNELS = (
    STOCK,
    OURS,
)  # a Jupyter client alone takes half a minute for what the peers send for 100,000 lines


@dataclass(frozen=True)
class Output:
    """Code that puts something out, and what must arrive."""

    name: str
    code: str
    is_whole: Callable[[list[dict[str, Any]]], bool]


def _text(messages: list[dict[str, Any]]) -> str:
    return "".join(message["content"]["text"] for message in messages if message["msg_type"] == "stream")


def samples_of_output(settings: Settings) -> list[Output]:
    lines, size = settings.pick(100_000, 10_000), settings.pick(50_000_000, 5_000_000)
    displays, long = settings.pick(2_000, 200), settings.pick(10_000_000, 1_000_000)
    printed = "".join(f"{number}\n" for number in range(lines))
    return [
        Output(
            f"print {lines:,} lines",
            f"for line in range({lines}): print(line)",
            lambda seen: _text(seen) == printed,
        ),
        Output(
            f"{size // 10**6} MB in one write",
            f"import sys; _ = sys.stdout.write('x' * {size})",
            lambda seen: _text(seen) == "x" * size,
        ),
        Output(
            f"{displays:,} displays",
            f"from IPython.display import HTML, display\nfor shown in range({displays}): display(HTML(f'<b>{{shown}}</b>'))",
            lambda seen: (
                [m["content"]["data"]["text/html"] for m in seen if m["msg_type"] == "display_data"]
                == [f"<b>{number}</b>" for number in range(displays)]
            ),
        ),
        Output(
            f"a repr of {long // 10**6} MB",
            f"class R:\n    def __repr__(self): return 'r' * {long}\nR()",
            lambda seen: (
                [m["content"]["data"]["text/plain"] for m in seen if m["msg_type"] == "execute_result"]
                == ["r" * long]
            ),
        ),
    ]


def put_out(kernel: Kernel, output: Output, cell: str) -> Sample:
    with timed(kernel.cpu) as taken:
        seen = kernel.run(output.code, cell)
    check(output.is_whole(seen), f"{output.name}: something was lost or changed")
    return taken[0]


def run(settings: Settings) -> Iterator[Row]:
    with started(*KERNELS) as kernels:
        for number, output in enumerate(samples_of_output(settings)):
            notes: list[str] = []
            contenders = {n: partial(put_out, k, output, f"cell-{number}") for n, k in kernels.items()}
            samples = interleave(settings.rounds, contenders, notes)
            yield Row(output.name, "≤ 1.05", 1.05, ratio(samples, OURS, STOCK), samples=samples, notes=notes)
