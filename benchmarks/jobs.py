"""Two jobs of an agent in a notebook that a person has open, beside peers: what they cost in calls and in tokens.

The jobs are those of `tests.agent_jobs`. A peer does them as its tools suggest, with the fewest calls that they allow; what it cannot
do is in the notes. Nothing is timed, so the figures are the same on a busy machine.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import asynccontextmanager, chdir, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.agents import OUR_COMMAND, served
from benchmarks.contenders import Kernel, version_of
from benchmarks.job_peers import PEERS
from benchmarks.measuring import OURS, Row, Sample, Settings, UnavailableError, run_alone, say
from tests.agent_jobs import (
    BUILD_CALLS,
    BUILD_TOKENS,
    BUYERS,
    FIND_AND_FIX_CALLS,
    FIND_AND_FIX_TOKENS,
    ORDERS,
    SALES,
    STRUCTURED,
    Cost,
    CountingAgent,
    build,
    find_and_fix,
    page_cells,
)
from tests.mcp.open_page import OpenPage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_BOUND = 600.0
_JOBS = {
    "find a wrong groupby in an unknown notebook and mend it": (FIND_AND_FIX_CALLS, FIND_AND_FIX_TOKENS),
    "build an analysis in an empty notebook": (BUILD_CALLS, BUILD_TOKENS),
}


@contextmanager
def _only_these_kernels() -> Iterator[Path]:
    """Yield a folder for files, and let nothing else that runs here be found: it would be listed, and cost tokens."""
    names = ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR")
    before = {name: os.environ[name] for name in names if name in os.environ}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            place = Path(folder, name.lower())
            place.mkdir()
            os.environ[name] = str(place)
        try:
            yield Path(folder)
        finally:
            for name in names:
                del os.environ[name]
            os.environ |= before


@asynccontextmanager
async def _opened(cells: dict[str, str], path: str) -> AsyncIterator[tuple[CountingAgent, str]]:
    """Open a notebook on a new kernel, and run it; yields an agent that knows nothing of it, and the kernel's file."""
    file = Path(os.environ["JUPYTER_RUNTIME_DIR"], f"kernel-{Path(path).stem}.json")
    kernel = Kernel(OURS, str(file))
    try:
        kernel.ready()
        page = OpenPage(str(file), cells, path)
        page.start()
        try:
            for key, text in cells.items():
                if not text.startswith("#%md "):
                    page.do(lambda key=key: page.document.run(key))
            kernel.run("pass")  # after all of them
            async with served(OUR_COMMAND) as server:
                yield CountingAgent(server.client), file.name
        finally:
            page.close()
    finally:
        kernel.close()


async def _ours(folder: Path) -> list[Cost]:
    costs = []
    async with _opened(page_cells(ORDERS), "orders.ipynb") as (agent, file):
        await find_and_fix(agent, connection_file=file)
        costs.append(agent.cost)
    (folder / "sales.csv").write_text(SALES)
    (folder / "buyers.csv").write_text(BUYERS)
    first = {"first": f"import os\nos.chdir({str(folder)!r})"}
    # The report is written where the agent's server is, as this notebook has no file.
    with chdir(folder):
        async with _opened(first, "sales.ipynb") as (agent, file):
            await build(agent, folder, connection_file=file)
            costs.append(agent.cost)
    return costs


async def _measured(settings: Settings) -> list[Row]:
    del settings
    costs: dict[str, list[Cost | None]] = {}
    notes: list[str] = []
    with _only_these_kernels() as folder:
        costs[OURS] = [*await _ours(folder)]
        say(".", end="")
        for name, peer in PEERS.items():
            try:
                async with asyncio.timeout(_BOUND):
                    costs[name] = list(await peer.jobs(folder / peer.distribution, notes))
                notes.append(
                    f"{name} is {peer.distribution} {version_of(peer.environment, peer.distribution)}."
                )
            except (UnavailableError, OSError, Exception) as error:  # noqa: BLE001  # a peer's failure is not ours
                notes.append(f"{name} could not be measured: {type(error).__name__} {error}"[:400])
            say(".", end="")
    rows = []
    for number, (job, (calls, tokens)) in enumerate(_JOBS.items()):
        done = {name: each[number] for name, each in costs.items() if each[number] is not None}
        ours = done[OURS]
        assert ours is not None

        def samples(of: Any, done: dict[str, Cost | None] = done) -> dict[str, list[Sample]]:
            return {name: [Sample(of(cost))] for name, cost in done.items()}

        rows += [
            Row(
                f"agent: {job}",
                f"≤ {calls} calls",
                calls,
                ours.calls,
                "calls",
                samples=samples(lambda cost: cost.calls),
                sample_unit="calls",
                notes=[f"{name}: {cost}." for name, cost in done.items()],
            ),
            Row(
                "the same, text of the answers",
                f"≤ {tokens:,} tokens",
                tokens,
                ours.text,
                "tokens",
                samples=samples(lambda cost: cost.text),
                sample_unit="tokens",
            ),
            Row(
                "the same, structured answers per token of text",
                f"≤ {STRUCTURED}",
                STRUCTURED,
                ours.structured / ours.text,
                samples=samples(lambda cost: cost.structured),
                sample_unit="tokens",
            ),
        ]
    rows[0].notes += notes
    return rows


def run(settings: Settings) -> Iterator[Row]:
    yield from run_alone(_measured(settings))
