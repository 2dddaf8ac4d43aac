"""Plays the story on a real kernel, with the server as a process of its own, and keeps what everybody saw.

The one place that knows what differs from play to play (`steady`).
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environments import make_environment, make_wheel
from mcp import Client, StdioServerParameters
from mcp.shared.subscriptions import ResourceUpdated
from mcp.types import Implementation, TextResourceContents
from open_page import OpenPage
from person import BOUND, Agent, Person, until
from server import jupyter_server, opened
from story import Accepts, Ada, Call, Changes, Opens, Read, Sees, Step

CLIENT = "claude-code"


@dataclass(frozen=True)
class Seen:
    """A step and what came of it: what was sent (JSON), what a model reads, what a program reads (JSON). All steady."""

    step: Step
    sent: str = ""
    text: str = ""
    data: str = ""


async def play(story: tuple[Step, ...], folder: Path) -> list[Seen]:
    """Play the story with `folder` as Ada's home. Raises `AssertionError` naming the step that went otherwise."""
    async with joined(folder) as (person, agent, connection_file):
        player = _Player(person, agent, folder, connection_file)
        try:
            return [await player.take(step) for step in story]
        except AssertionError as problem:
            went_otherwise = problem
        finally:
            player.close()
    raise went_otherwise  # not from within: task groups wrap what passes them


@asynccontextmanager
async def joined(home: Path) -> AsyncIterator[tuple[Person, Agent, str]]:
    """A Jupyter server with Ada's notebook open, Ada at its kernel, and an agent whose server may do everything."""
    runtime, work, shelf = home / "runtime", home / "work", home / "shelf"
    for directory in (runtime, work, shelf):
        directory.mkdir(mode=0o700)
    make_environment(work / ".venv")
    make_wheel(shelf, "palmerpenguins", "0.1.4")
    ours = {"JUPYTER_RUNTIME_DIR": str(runtime), "JUPYTER_DATA_DIR": str(home / "data")}
    ours |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(shelf)}
    write_masses(work / "masses.ipynb")
    with jupyter_server(work, runtime):
        _, kernel_id = await opened(runtime, "penguins.ipynb", "marimo")
        connection_file = str(runtime / f"kernel-{kernel_id}.json")
        person = await Person.open(connection_file)
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "marimo_kernel_bridge", "mcp", "--allow", "all"],
            env=os.environ | ours,
            cwd=work,
        )
        try:
            async with Client(server, client_info=Implementation(name=CLIENT, version="1")) as client:
                yield person, Agent(client), connection_file
        finally:
            person.close()
            stop = [sys.executable, "-P", "-m", "marimo_kernel_bridge", "pool", "--stop"]
            await asyncio.to_thread(subprocess.run, stop, env=os.environ | ours, check=True)


def write_masses(path: Path) -> None:
    """Write a notebook as people write them for Jupyter: with a name that means something else further down."""
    sources = {"first": "mass = 3750", "more": "mass = mass + 50", "show": "mass"}
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": name,
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for name, source in sources.items()
    ]
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))


class _Player:
    def __init__(self, person: Person, agent: Agent, home: Path, connection_file: str) -> None:
        self._person = person
        self._agent = agent
        self._connection_file = connection_file
        self._codes: dict[str, str] = {}
        self._page: OpenPage | None = None
        self._newest = {"run": "", "cell": "", "op": ""}
        self._steady = _Steady(home)

    async def take(self, step: Step) -> Seen:  # noqa: PLR0911  # one for each kind of step
        async with asyncio.timeout(3 * BOUND):
            match step:
                case Ada():
                    return await self._acts(step)
                case Sees(cell, text):
                    await self._sees(cell, text)
                    return Seen(step)
                case Opens(cell, code):
                    self._page = OpenPage(
                        self._connection_file, {**self._codes, cell: code}, path="penguins.ipynb"
                    )
                    self._page.start()
                    self._page.do(lambda: None)
                    return Seen(step)
                case Accepts(code):
                    page, op_id = self._opened, self._newest["op"]
                    await until(lambda: op_id in page.document.proposals)
                    await asyncio.to_thread(page.do, lambda: page.document.accept(op_id, code=code))
                    return Seen(step)
                case Call():
                    return await self._calls(step)
                case Read(uri):
                    (content,) = (await self._agent.client.read_resource(uri)).contents
                    assert isinstance(content, TextResourceContents)
                    _expect(step.has, content.text, uri)
                    data = self._steady.json(json.loads(content.text))
                    return Seen(step, self._steady.json({"method": "resources/read", "uri": uri}), data=data)
                case Changes(uri, because):
                    async with self._agent.client.listen(resource_subscriptions=[uri]) as events:
                        await self._acts(because)
                        told = await anext(events)
                    assert isinstance(told, ResourceUpdated)
                    assert str(told.uri) == uri
                    return Seen(
                        step, self._steady.json({"method": "notifications/resources/updated", "uri": uri})
                    )

    def close(self) -> None:
        """Close the page, if one was opened."""
        if self._page is not None:
            self._page.close()

    @property
    def _opened(self) -> OpenPage:
        assert self._page is not None, "no Opens before"
        return self._page

    async def _sees(self, cell: str, text: str) -> None:
        page = self._page
        if page is None:
            await self._person.until_shown(cell, text)
        else:
            await until(lambda: page.shown(cell) == text)

    async def _acts(self, step: Ada) -> Seen:
        if self._page is None:
            self._codes[step.cell] = step.code
            await self._person.run(step.cell, step.code)
        else:
            await asyncio.to_thread(self._page.do, lambda: self._types_and_runs(step))
        if step.shows is not None:
            await self._sees(step.cell, step.shows)
        return Seen(step)

    def _types_and_runs(self, step: Ada) -> None:
        document = self._opened.document
        document.type(step.cell, step.code)
        document.run(step.cell)

    async def _calls(self, step: Call) -> Seen:
        arguments = {
            name: value.format(**self._newest)
            if isinstance(value, str) and re.fullmatch(r"\{\w+\}", value)
            else value
            for name, value in step.arguments.items()
        }
        answer = await self._agent(step.tool, **arguments)
        _expect(step.has, answer.text, step.tool)
        told = f"[{step.refused}] " if step.refused else ""
        assert answer.failed is bool(step.refused), f"{step.tool}: {answer.text}"
        assert told in answer.text, f"{step.tool}: {answer.text}"
        self._newest["run"] = answer.data.get("run_id", self._newest["run"])
        edit = answer.data.get("run_id") if answer.data.get("where") == "document" else None
        self._newest["op"] = answer.data.get("op_id") or edit or self._newest["op"]
        self._newest["cell"] = answer.data.get("cell_id", self._newest["cell"])
        return Seen(
            step,
            self._steady.json({"name": step.tool, "arguments": arguments}),
            self._steady.text(answer.text),
            "" if answer.failed else self._steady.json(answer.data),
        )


def _expect(words: tuple[str, ...], text: str, where: str) -> None:
    missing = [word for word in words if word not in text]
    assert not missing, f"{where} does not say {missing}: {text}"


class _Steady:
    """Replaces what differs from play to play by what stays: home, versions, numbers of processes, times, random ids."""

    def __init__(self, home: Path) -> None:
        self._replaced = (
            (re.escape(str(home)), "/home/ada"),
            (re.escape(sys.prefix), "/home/ada/jupyter"),
            (r"\b\d+(?:\.\d+)?(?:e-\d+)? (s|ms)\b", r"0.1 \1"),
            (r'("(?:(?:last_)?seconds|seconds_old)": )[\d.e-]+', r"\g<1>0.1"),
            (r"\b\d\d:\d\d:\d\d\b", "10:15:00"),
            (r'(\bpid\b"?:? )\d+', r"\g<1>4242"),
            (r"\babout \d+ bytes", "about 80 bytes"),
            (
                r'(\bCharacters \d+ to \d+ of |"total_chars": )\d+',
                r"\g<1>4000",
            ),  # with the digits of times in it
            (r"\bkernel-[0-9a-f-]{36}\b", "kernel-5f1c8e02"),
            (r"(\b[Pp]ython\"?:? \"?)3\.\d+\.\d+", r"\g<1>3.13.1"),
        )
        self._runs: dict[str, str] = {}
        self._ops: dict[str, str] = {}

    def text(self, text: str) -> str:
        for pattern, instead in self._replaced:
            text = re.sub(pattern, instead, text)
        text = re.sub(r"\b[0-9a-f]{12}\b", self._op, text)
        return re.sub(r"\b[0-9a-f]{8}-\d+\b", self._run, text)

    def json(self, value: Any) -> str:
        return self.text(json.dumps(value, ensure_ascii=False))

    def _op(self, match: re.Match[str]) -> str:
        """Number the changes of the document likewise."""
        return self._ops.setdefault(match.group(), f"op-{len(self._ops) + 1}")

    def _run(self, match: re.Match[str]) -> str:
        """Number the runs, whose ids are random, in the order in which they were told of."""
        return self._runs.setdefault(match.group(), f"run-{len(self._runs) + 1}")
