"""Measures marimo's converter and ours on a folder of notebooks: `make corpus CORPUS=folder`. Prints a table in Markdown.

Each notebook runs twice under ipykernel; those that fail there are left out. Both results run on marimo's runtime. Counted
are notebooks that are *accepted* (`marimo check` passes), *run* (no cell fails), *faithful* (each text that both runs under
ipykernel show appears) and *stable* (of those that show the same in both runs: running any one cell again, with its
dependents, changes no cell's text).
"""

import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.connection import read_connection
from marimo_kernel_bridge.client.front_end import FrontEnd, opened, started_kernel
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.importing.verify import shown_text
from marimo_kernel_bridge.marimo_format.reader import read
from marimo_kernel_bridge.notebooks.ipynb import read_notebook
from marimo_kernel_bridge.protocol.names import KERNELSPEC

CONVERTERS = {
    "marimo's converter": ("-m", "marimo", "convert", "{source}", "-o", "{result}"),
    "`marimo-kernel-bridge import`": ("-m", "marimo_kernel_bridge", "import", "{source}", "-o", "{result}"),
}
BOUND = 120.0
COUNTED = ("accepted", "run", "faithful", "stable")


@dataclass(frozen=True)
class Ran:
    """What the cells of a notebook show, the names of their errors, and whether running one again changed any."""

    texts: list[str]
    errors: set[str]
    stable: bool = True


async def original(source: Path) -> Ran:
    codes = [cell.source for cell in read_notebook(source).cells if cell.kind == "code"]
    async with (
        started_kernel("python3", source.parent, subprocess.DEVNULL) as manager,
        opened(manager) as front_end,
    ):
        await run_all(front_end, codes)
        return Ran(*seen(front_end))


async def converted(result: Path, folder: Path, *, again: bool) -> Ran:
    codes = [cell.code for cell in read(result).cells]
    async with (
        started_kernel(KERNELSPEC, folder, subprocess.DEVNULL) as manager,
        opened(manager) as front_end,
        await KernelClient.attach(read_connection(manager.connection_file), "measure") as client,
    ):
        await run_all(front_end, codes)
        await quiet(client)
        texts, errors = seen(front_end)
        for name, code in [(f"c{number}", code) for number, code in enumerate(codes)] if again else []:
            await front_end.run(name, code, bound=BOUND)
            await quiet(client)
            if seen(front_end)[0] != texts:
                return Ran(texts, errors, stable=False)
        return Ran(texts, errors)


async def run_all(front_end: FrontEnd, codes: Sequence[str]) -> None:
    for number, code in enumerate(codes):
        await front_end.run(f"c{number}", code, bound=BOUND)


async def quiet(client: KernelClient) -> None:
    """Wait until the dependents have run."""
    async with asyncio.timeout(BOUND):
        while (state := await client.reads.describe()).busy or state.settling or state.queued:  # noqa: ASYNC110  # of another process
            await asyncio.sleep(0.02)


def seen(front_end: FrontEnd) -> tuple[list[str], set[str]]:
    outputs = [list(cell.log.outputs()) for cell in front_end.cells.values()]
    errors = {output["ename"] for shown in outputs for output in shown if output["output_type"] == "error"}
    return [shown_text(shown) for shown in outputs], errors


def steady(one: list[str], other: list[str]) -> list[str]:
    return [text for text, again in zip(one, other, strict=True) if text and text == again]


def contains(texts: list[str], wanted: list[str]) -> bool:
    everything = "\n".join(texts)
    for text in wanted:
        if text not in everything:
            return False
        everything = everything.replace(text, "", 1)
    return True


def measure(source: Path, counts: dict[str, Counter[str]]) -> str:
    """Measure one notebook; return what to say of it."""
    first, second = asyncio.run(original(source)), asyncio.run(original(source))
    if first.errors:
        return f"left out: under ipykernel {', '.join(sorted(first.errors))}"
    deterministic = first.texts == second.texts
    said = []
    for name, command in CONVERTERS.items():
        counts[name]["deterministic"] += deterministic
        counts[name]["notebooks"] += 1
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder, f"{source.stem.replace(' ', '_')}.py")
            words = [word.format(source=source, result=result) for word in command]
            subprocess.run([sys.executable, *words], capture_output=True, check=False, timeout=BOUND)
            try:
                ran = asyncio.run(converted(result, source.parent, again=deterministic))
                check = subprocess.run(
                    [sys.executable, "-m", "marimo", "check", result], capture_output=True, check=False
                )
            except (BridgeError, TimeoutError) as problem:
                said.append(f"{name}: {problem}")
                continue
        met = {"accepted": check.returncode == 0}
        met["run"] = met["accepted"] and not ran.errors
        met["faithful"] = met["run"] and contains(ran.texts, steady(first.texts, second.texts))
        met["stable"] = met["run"] and deterministic and ran.stable
        counts[name].update(each for each in COUNTED if met[each])
        said.append(f"{name}: {', '.join(each for each in COUNTED if met[each]) or 'nothing'}")
    return "; ".join(said)


def main(folder: Path) -> None:
    counts: dict[str, Counter[str]] = {name: Counter() for name in CONVERTERS}
    sources = sorted(path for path in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    for source in sources:
        try:
            said = measure(source.resolve(), counts)
        except (BridgeError, TimeoutError) as problem:
            said = f"left out: {problem}"
        print(f"{source}: {said}", file=sys.stderr, flush=True)  # noqa: T201  # a program
    rows = [f"| | {' | '.join(CONVERTERS)} |", "|---|---|---|"]
    for each in COUNTED:
        of = "deterministic" if each == "stable" else "notebooks"
        cells = [f"{counts[name][each]} of {counts[name][of]}" for name in CONVERTERS]
        rows.append(f"| {each} | {' | '.join(cells)} |")
    print("\n".join(rows))  # noqa: T201  # as above


if __name__ == "__main__":
    main(Path(sys.argv[1]))
