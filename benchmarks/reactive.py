"""Graphs: a root changes and all that depends on it is fresh again; many cells; Run All.

The measure of ipykernel is a client that runs the cells again one by one, as a person does with the keyboard. ipyflow
re-runs nothing over ZMQ. marimo by itself is measured without a front end, so it is spared all of Jupyter's messages.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.contenders import Kernel, started
from benchmarks.measuring import (
    MARIMO,
    MARIMO_IPC,
    OURS,
    STOCK,
    Row,
    Sample,
    Settings,
    check,
    interleave,
    median,
    ratio,
    say,
    timed,
)
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell, EditReport

if TYPE_CHECKING:
    from collections.abc import Iterator

Cells = list[tuple[str, str]]
_FEW = 2
"""Rounds of what takes ipykernel half a minute."""


def chain(count: int, root: int) -> Cells:
    """Return a root and `count` cells, each of which reads the one before."""
    cells = [("cell-0", f"v0 = {root}")]
    return cells + [(f"cell-{n}", f"v{n} = v{n - 1} + 1\nv{n}") for n in range(1, count + 1)]


def fan(count: int, root: int) -> Cells:
    """Return a root and `count` cells that read it."""
    cells = [("cell-0", f"v0 = {root}")]
    return cells + [(f"cell-{n}", f"v{n} = v0 + {n}\nv{n}") for n in range(1, count + 1)]


SHAPES = {"chain": chain, "fan-out": fan}


class Bare:
    """marimo in a process of its own."""

    def __init__(self, how: str) -> None:
        command = [sys.executable, "-m", "benchmarks.bare_marimo", how]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, request: dict[str, object], value: str | None = None) -> Sample:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        check(line, "marimo's process ended")
        answer = json.loads(line)
        check(value is None or answer["value"] == value, f"{answer['value']} instead of {value}")
        return Sample(answer["wall"], answer["cpu"])

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)


@contextmanager
def bare(*ways: str) -> Iterator[dict[str, Bare]]:
    marimos = {way: Bare({MARIMO: "process", MARIMO_IPC: "ipc"}[way]) for way in ways}
    try:
        yield marimos
    finally:
        for marimo in marimos.values():
            marimo.close()


def run_all(kernel: Kernel, cells: Cells) -> list[dict[str, object]]:
    """Send all cells at once, as JupyterLab does. Return what came on iopub."""
    messages = kernel.until_idle({kernel.send(code, cell) for cell, code in cells})
    check(all(kernel.reply()["content"]["status"] == "ok" for _ in cells), "a cell of the Run All failed")
    return messages


def results(messages: list[dict[str, object]]) -> list[str]:
    return [m["content"]["data"]["text/plain"] for m in messages if m["msg_type"] == "execute_result"]  # type: ignore[index]  # Jupyter's messages


class Changing:
    """A root whose value is another one each time."""

    def __init__(self, shape: str, count: int) -> None:
        self._shape, self._count, self._root = SHAPES[shape], count, 0

    def cells(self) -> Cells:
        self._root += 1
        return self._shape(self._count, self._root)

    def fresh(self) -> list[str]:
        """Return what the dependents show."""
        return sorted(str(self._root + n) for n in range(1, self._count + 1))

    def reactively(self, kernel: Kernel) -> Sample:
        """Change the root; until all dependents have shown what they are now."""
        cell, code = self.cells()[0]
        with timed(kernel.cpu) as taken:
            seen = kernel.run(code, cell)
        check(sorted(results(seen)) == self.fresh(), "not every dependent is fresh")
        return taken[0]

    def one_by_one(self, kernel: Kernel) -> Sample:
        cells = self.cells()
        with timed(kernel.cpu) as taken:
            seen = [message for cell, code in cells for message in kernel.run(code, cell)]
        check(sorted(results(seen)) == self.fresh(), "not every cell ran")
        return taken[0]

    def in_marimo(self, marimo: Bare) -> Sample:
        cells = self.cells()
        return marimo.ask({"cells": cells[:1], "value": f"v{self._count}"}, str(self._root + self._count))


def root_changed(shape: str, count: int, rounds: int, notes: list[str]) -> dict[str, list[Sample]]:
    with started(STOCK, OURS) as kernels, bare(MARIMO, MARIMO_IPC) as marimos:
        stock, ours = Changing(shape, count), Changing(shape, count)
        run_all(kernels[OURS], ours.cells())
        contenders = {
            STOCK: partial(stock.one_by_one, kernels[STOCK]),
            OURS: partial(ours.reactively, kernels[OURS]),
        }
        for name, marimo in marimos.items():
            changing = Changing(shape, count)
            marimo.ask({"cells": changing.cells()})
            contenders[name] = partial(changing.in_marimo, marimo)
        return interleave(rounds, contenders, notes, warm_up=int(count < 1000))


def register(kernel: Kernel, cells: Cells) -> Sample:
    """Add cells to the graph without running them, as an agent does."""
    request = wire.EditCells(changes=[AddCell(code=code) for _, code in cells], run=False)
    message = kernel.client.session.msg(wire.REQUEST, wire.encode_request(request))
    with timed(kernel.cpu) as taken:
        kernel.client.shell_channel.send(message)
        reply = kernel.reply()
    report = wire.decode_reply(reply["content"], EditReport)
    check(report.applied and len(report.added) == len(cells), f"not added: {report.problems[:1]}")
    kernel.until_idle({message["header"]["msg_id"]})
    return taken[0]


def _registering(settings: Settings, count: int) -> Row:
    """Measure each time in a new kernel."""
    cells, notes = chain(count - 1, 1), []

    def ours() -> Sample:
        with started(OURS) as kernels:
            kernels[OURS].run("pass", "first")  # marimo is there
            return register(kernels[OURS], cells)

    def alone() -> Sample:
        with bare(MARIMO) as marimos:
            marimos[MARIMO].ask({"cells": [["first", "pass"]]})
            return marimos[MARIMO].ask({"register": cells}, str(count + 1))

    samples = interleave(settings.pick(3, 2), {OURS: ours, MARIMO: alone}, notes, warm_up=0)
    seconds = median(samples[OURS]) or 0.0
    row = Row(f"registering {count:,} cells", "≤ 500 ms", 500.0, seconds * 1000, "ms", samples=samples)
    row.notes = notes
    return row


def _independent(settings: Settings, count: int) -> Row:
    """Measure one run of one cell, alone and beside many others."""
    notes: list[str] = []
    with started(OURS) as few, started(OURS) as many, bare(MARIMO) as marimos:
        cells = [(f"cell-{n}", f"i{n} = {n}") for n in range(count)]
        few[OURS].run("pass", "first")
        many[OURS].run("pass", "first")
        register(many[OURS], cells)
        marimos[MARIMO].ask({"register": cells})
        turn = [0]

        def one(kernel: Kernel) -> Sample:
            turn[0] += 1
            with timed(kernel.cpu) as taken:
                kernel.run(f"x = {turn[0]}", "x")
            check(kernel.value("x") == str(turn[0]), "the cell did not run")
            return taken[0]

        def alone() -> Sample:
            turn[0] += 1
            request = {"cells": [["x", f"x = {turn[0]}"]], "value": "x"}
            return marimos[MARIMO].ask(request, str(turn[0]))

        contenders = {
            f"{OURS}, 1 cell": partial(one, few[OURS]),
            f"{OURS}, {count:,} cells": partial(one, many[OURS]),
            f"{MARIMO}, {count:,} cells": alone,
        }
        samples = interleave(settings.pick(30, 10), contenders, notes)
    alone_, beside = list(samples.values())[:2]
    more = statistics.median(b.wall - a.wall for a, b in zip(alone_, beside, strict=True))
    name = f"one run beside {count:,} independent cells, more than alone"
    return Row(name, "≤ 5 ms", 5.0, more * 1000, "ms", samples=samples, notes=notes)


def _long_run_all(counts: tuple[int, int], rounds: int) -> Row:
    """Measure what each cell of a Run All of a chain costs, of a short and of a long one: in new kernels, then again."""
    first: dict[int, list[float]] = {count: [] for count in counts}
    again: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(rounds):
        for count in counts:
            with started(OURS) as kernels:
                kernel = kernels[OURS]
                kernel.run("pass", "first")  # marimo is there
                for taken in (first, again):
                    with timed(kernel.cpu) as sample:
                        run_all(kernel, chain(count - 1, 1))
                    taken[count].append((sample[0].cpu or 0.0) / count)
                check(kernel.value(f"v{count - 1}") == str(count), "the last cell is not fresh")
        say(".", end="")
    few, many = ({what: statistics.median(taken[n]) * 1000 for what, taken in (("first", first), ("repeated", again))} for n in counts)  # fmt: skip
    notes = [
        f"CPU per cell, {what}: {few[what]:.2f} ms of {counts[0]:,}, {many[what]:.2f} ms of {counts[1]:,}."
        for what in few
    ]
    flat = max(many[what] / few[what] for what in few)
    name = f"Run All of a chain, CPU per cell at {counts[1]:,} against {counts[0]:,}"
    return Row(name, "≤ 1.3", 1.3, flat, kind="cpu", notes=notes)


def _exactly_once(count: int) -> Iterator[Row]:
    """Count what a Run All runs, the first time, the second time, and from below: each cell shows its value when it runs."""
    runs = []
    with started(OURS) as kernels:
        kernel = kernels[OURS]
        for turn, order in enumerate((1, 1, -1)):
            messages = run_all(kernel, chain(count - 1, turn)[::order])
            runs.append((len(results(messages)) + 1) / count)  # the root shows nothing
            check(kernel.value(f"v{count - 1}") == str(turn + count - 1), "the last cell is not fresh")
    name = f"executions of a Run All of {count:,} cells, and repeated"
    yield Row(name, "exactly 1 per cell", 1.0, max(runs[:2]), "per cell", notes=[f"per cell: {runs[:2]}"])
    yield Row("the same once more, from the last cell to the first", "reported", None, runs[2], "per cell")


def run(settings: Settings) -> Iterator[Row]:
    per_cell = {}
    for count in (10, 100) if settings.quick else (10, 100, 1000):
        notes: list[str] = []
        samples = root_changed("chain", count, settings.rounds if count < 1000 else _FEW, notes)
        value = ratio(samples, OURS, STOCK)
        yield Row(
            f"chain of {count:,} cells, root changed", "≤ 0.5", 0.5, value, samples=samples, notes=notes
        )
        per_cell[count] = (median(samples[OURS], "cpu") or 0.0) / count
    if 1000 in per_cell:
        flat = per_cell[1000] / per_cell[100]
        yield Row("chain, CPU per cell at 1,000 against 100", "≤ 1.3", 1.3, flat, kind="cpu")
    notes = []
    count = settings.pick(1000, 100)
    samples = root_changed("fan-out", count, _FEW, notes)
    value = ratio(samples, OURS, STOCK)
    yield Row(f"fan-out to {count:,} cells", "≤ 0.5", 0.5, value, samples=samples, notes=notes)
    yield _registering(settings, settings.pick(1000, 200))
    yield _independent(settings, settings.pick(5000, 500))
    yield _long_run_all((100, settings.pick(1000, 200)), settings.pick(3, 1))
    yield from _exactly_once(settings.pick(200, 50))
