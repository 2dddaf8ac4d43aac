"""Files that agents export and import: by our own command line, which runs in this process here."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from click.testing import CliRunner

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.files import (
    CellDifference,
    ExportedNotebook,
    ImportedCell,
    ImportedNotebook,
)
from marimo_kernel_bridge.mcp_server.views import command_line, imports
from marimo_kernel_bridge.mcp_server.views import files as file_views
from marimo_kernel_bridge.mcp_server.views.command_line import (
    ExportReport,
    ImportReport,
    in_words_of_tools,
    parse_report,
    run_command,
)
from tests.unit.mcp_server.fake_kernel import FakeKernel, stream

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.mcp_server.agent import Agent
    from tests.unit.mcp_server.conftest import Serve

pytestmark = pytest.mark.anyio

_Report = TypeVar("_Report", ExportReport, ImportReport)


@pytest.fixture(autouse=True)
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that were run."""
    run: list[tuple[str, ...]] = []

    async def in_this_process(kind: type[_Report], *arguments: str, bound: float) -> _Report:
        run.append(arguments)
        result = await asyncio.to_thread(CliRunner().invoke, main, [*arguments, "--json"])
        return parse_report(kind, result.stdout_bytes)

    for module in (file_views, imports):
        monkeypatch.setattr(module, "run_command", in_this_process)
    return run


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A notebook whose cells say the same name twice."""
    sources = ["x = 1", "x = x + 1\nx"]
    cells: list[Any] = [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources)
    ]
    path = tmp_path / "counts.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    return path


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


async def test_a_notebook_is_checked_imported_and_exported_back(agent: Agent, notebook: Path) -> None:
    checked = await agent("import_notebook", file=str(notebook), check=True)
    assert (checked.data["written"], files_in(notebook.parent)) == (False, ["counts.ipynb"])
    assert "would become" in checked.text
    done = await agent("import_notebook", file=str(notebook))
    assert done.text.startswith(f"{notebook} -> {notebook.with_suffix('.py')}: 1 cell kept, 1 changed.")
    assert "- cell 2 [c1]" in done.text
    assert "x_1" in notebook.with_suffix(".py").read_text()
    back = await agent("export_notebook", file=str(notebook.with_suffix(".py")), max_chars=50_000)
    assert json.loads(back.data["content"]) == json.loads(text_of(notebook))


async def test_an_import_is_told_what_it_was_asked_for(
    agent: Agent, notebook: Path, commands: list[tuple[str, ...]], tmp_path: Path
) -> None:
    output = tmp_path / "own.ipynb"
    answer = await agent(
        "import_notebook", file=str(notebook), target="bridge", output=str(output), keep_outputs=True
    )
    assert (answer.data["output"], files_in(tmp_path)) == (str(output), ["counts.ipynb", "own.ipynb"])
    assert commands == [
        ("import", str(notebook), "--target", "bridge", "--outputs", "keep", "-o", str(output)),
    ]


async def test_an_import_leaves_an_existing_file_alone_unless_it_may_be_overwritten(
    agent: Agent, notebook: Path
) -> None:
    made = notebook.with_suffix(".py")
    made.write_text("mine = 1")
    refused = await agent("import_notebook", file=str(notebook))
    assert refused.refused("output_exists")
    assert "overwrite=true" in refused.text
    assert made.read_text() == "mine = 1"
    assert not (await agent("import_notebook", file=str(notebook), overwrite=True)).failed
    assert made.read_text() != "mine = 1"


async def test_an_export_to_text_imports_no_module_of_the_notebook(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trap.py").write_text("open('sprung', 'w').close()\nvalue = 1\n")
    cell = {
        "cell_type": "code",
        "id": "a",
        "source": "from trap import *\nvalue",
        "metadata": {},
        "outputs": [],
    }
    document = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [cell | {"execution_count": None}],
    }
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(document))
    answer = await agent("export_notebook", file=str(path), format="py")
    assert "from trap import value" in answer.data["content"]
    assert files_in(tmp_path) == ["a.ipynb", "trap.py"]
    assert "trap" not in sys.modules


async def test_what_is_no_notebook_is_refused(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("a = 1")
    answer = await agent("import_notebook", file=str(tmp_path / "a.toml"))
    assert answer.refused("bad_notebook")
    with pytest.raises(BridgeError, match="null byte"):
        await run_command(ImportReport, "import", "a\0.ipynb", bound=60)


async def test_a_command_may_take_its_processor_time_and_not_less_on_a_busy_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command_line, "_LOOK_EVERY", 0.02)

    def is_command(code: str) -> None:
        monkeypatch.setattr(command_line, "module_command", lambda *_: [sys.executable, "-S", "-c", code])

    is_command("while True: pass")
    with pytest.raises(BridgeError, match=r"import took more than 1 s of processor time"):
        await run_command(ImportReport, "import", "a.ipynb", bound=1)
    refusal = json.dumps({"refused": "it was slow", "code": "bad_notebook"})
    is_command(f"import time; time.sleep(1.2); print({refusal!r})")
    with pytest.raises(BridgeError, match="it was slow"):
        await run_command(ImportReport, "import", "a.ipynb", bound=1)


async def test_a_file_is_exported_to_a_file_and_an_existing_one_is_left_alone(
    serve: Serve, notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    editor = await serve("edit")
    output = tmp_path / f"{notebook.stem}-2.md"
    answer = await editor("export_notebook", file=str(notebook), format="md", output=str(output))
    assert answer.text.startswith(f"{notebook} -> {output}: 2 cells, 0 with outputs.")
    assert "content" not in answer.data
    before = output.read_text()
    again = await editor("export_notebook", file=str(notebook), format="md", output=str(output))
    assert again.refused("output_exists")
    again = await editor(
        "export_notebook", file=str(notebook), format="md", output=str(output), overwrite=True
    )
    assert (again.failed, output.read_text()) == (False, before)
    output.write_text("the person's")
    again = await editor(
        "export_notebook", file=str(notebook), format="md", output=str(output), overwrite=True
    )
    assert again.refused("not_allowed")
    assert output.read_text() == "the person's"
    runner = await serve("run")
    answer = await runner(
        "export_notebook", file=str(notebook), format="md", output=str(output), overwrite=True
    )
    assert (answer.failed, output.read_text()) == (False, before)


@pytest.mark.parametrize(("to", "has"), [("py", "def _(x)"), ("script", "x = 1"), ("md", "```python")])
async def test_what_a_kernel_has_is_written_as_marimo_writes_it(
    connected: Agent, kernel: FakeKernel, to: str, has: str
) -> None:
    kernel.add("aaaa", "x = 1", defines=("x",), downstream=("bbbb",))
    kernel.add("bbbb", "print('x is', x)", stream("x is 1\n"), uses=("x",), upstream=("aaaa",))
    answer = await connected("export_notebook", format=to, max_chars=50_000)
    assert has in answer.data["content"]
    assert answer.data["cells"] == 2


async def test_a_long_import_reports_its_progress(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, notebook: Path
) -> None:
    reported: list[tuple[float, str | None]] = []
    enough = asyncio.Event()

    async def report(progress: float, total: float | None, message: str | None) -> None:
        reported.append((progress, message))
        if len(reported) > 1:
            enough.set()

    async def slow(*_: object, **__: object) -> ImportReport:
        await enough.wait()
        raise BridgeError("bad_notebook", "At last.")

    monkeypatch.setattr(imports, "_PROGRESS_EVERY", 0.001)
    monkeypatch.setattr(imports, "run_command", slow)
    answer = await agent.client.call_tool(
        "import_notebook", {"file": str(notebook)}, progress_callback=report
    )
    assert answer.is_error
    assert reported[1] == (0.002, "importing, 0 s")


# The process


def write_command(path: Path, *lines: str) -> str:
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(0o755)
    return str(path)


async def test_the_command_line_is_this_interpreter_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = '{"cells": 1, "with_outputs": 0, "notes": []}'
    python = write_command(
        tmp_path / "python", f'echo "$*" > {tmp_path}/arguments', f"echo '{report}'", "cat >&2"
    )
    monkeypatch.setattr(sys, "executable", python)
    assert await run_command(ExportReport, "export", "a.py", bound=60) == ExportReport(1, 0, ())
    arguments = text_of(tmp_path / "arguments")
    assert arguments.endswith("-m marimo_kernel_bridge export a.py --json\n")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            ["echo 'Traceback ...' >&2", "echo 'OSError: full' >&2", "exit 1"],
            "The export failed: OSError: full.",
        ),
        (["exit 1"], "The export failed: it printed nothing."),
    ],
)
async def test_a_command_that_fails_is_told_by_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], told: str
) -> None:
    monkeypatch.setattr(sys, "executable", write_command(tmp_path / "python", *lines))
    with pytest.raises(BridgeError) as refused:
        await run_command(ExportReport, "export", "a.py", bound=60)
    assert (refused.value.code, refused.value.message) == ("bad_notebook", told)


async def test_a_command_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_line, "_WAITS", 0.3)
    monkeypatch.setattr(sys, "executable", write_command(tmp_path / "python", "exec sleep 60"))
    with pytest.raises(BridgeError, match=r"took more than 0\.01 s of processor time, or waited"):
        await run_command(ExportReport, "export", "a.py", bound=0.01)  # of processor time: sleep takes none


# What is answered


DONE = ImportedNotebook("a.ipynb", "a.py", written=True, complete=True, kept=2)


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (DONE, "a.ipynb -> a.py: 2 cells kept, 0 changed."),
        (replace(DONE, kept=1, written=False), "a.ipynb would become a.py: 1 cell kept, 0 changed."),
        (
            replace(
                DONE,
                changed=(ImportedCell(3, "c", "left_out", ("no Python", "see there")),),
                added=("import os",),
            ),
            "a.ipynb -> a.py: 2 cells kept, 1 changed.\nadded: import os\n- cell 3 [c] left out: no Python; see there",
        ),
        (
            replace(DONE, complete=False, marimo_check=("MB002: x twice",)),
            """a.ipynb -> a.py: 2 cells kept, 0 changed.
marimo check: MB002: x twice
Not complete: a cell could not be carried over, or marimo check fails. See above.""",
        ),
        (replace(DONE, same=True), "a.ipynb -> a.py: 2 cells kept, 0 changed.\nVerified: the same."),
        (
            replace(DONE, same=False, differences=(CellDifference((1, 2), "text", "1", "2"),)),
            """a.ipynb -> a.py: 2 cells kept, 0 changed.
Verified: these cells show something else:
- cell 1+2: text: '1' became '2'""",
        ),
    ],
)
def test_an_import_is_told_in_short(report: ImportedNotebook, text: str) -> None:
    assert report.text() == text


def test_an_export_that_is_shown_in_part_says_which() -> None:
    part = ExportedNotebook("md", "a.py", 2, 1, content="bc", offset=1, total_chars=4, notes=("No outputs.",))
    assert part.text() == (
        "a.py as md: 2 cells, 1 with outputs.\n- No outputs.\nCharacters 1 to 3 of 4:\n\nbc"
    )


@pytest.mark.parametrize(
    "name", ["--live", "--run", "--force", "--help", "--version", "-o", "-", "--kernel=x"]
)
async def test_the_name_of_a_file_is_no_option(serve: Serve, name: str) -> None:
    agent = await serve("all")
    for tool in ("export_notebook", "import_notebook"):
        answer = await agent(tool, file=name)
        assert answer.refused("bad_notebook")


CONTENTS = {
    "markdown": "# Title\n\n```python\nx = 1\n```\n",
    "py": "# %% [markdown]\n# # Title\n# %%\nx = 1\n",
    "json": json.dumps({"cells": [{"kind": "markdown", "source": "# Title"}, {"code": "x = 1"}]}),
    "ipynb": json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {},
            "cells": [
                {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Title"},
                {
                    "cell_type": "code",
                    "id": "b",
                    "metadata": {},
                    "source": "x = 1",
                    "outputs": [],
                    "execution_count": None,
                },
            ],
        }
    ),
}


@pytest.mark.parametrize("kind", list(CONTENTS))
async def test_a_notebook_is_imported_from_its_content(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = await agent("import_notebook", content=CONTENTS[kind], target="bridge", output="made.ipynb")
    assert not answer.failed, answer.text
    assert answer.data["notebook"] == f"content ({kind})"
    made = json.loads((tmp_path / "made.ipynb").read_text())
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in made["cells"]] == [
        ("markdown", "# Title"),
        ("code", "x = 1"),
    ]
    assert files_in(tmp_path) == ["made.ipynb"]


async def test_content_of_marimos_own_becomes_a_notebook_of_jupyter(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    x = 1\n    return (x,)\n"
    answer = await agent("import_notebook", content=text, target="bridge", output="made.ipynb")
    assert not answer.failed, answer.text
    assert "x = 1" in (tmp_path / "made.ipynb").read_text()


async def test_content_that_is_wrong_or_goes_nowhere_is_refused(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    missing = await agent("import_notebook", content="x")
    assert missing.refused("bad_request")
    assert "output is missing" in missing.text
    assert (await agent("import_notebook")).refused("bad_request")
    assert (await agent("import_notebook", content="x", file="a.ipynb", output="a.py")).refused("bad_request")
    answer = await agent("import_notebook", content="{", format="json", output="a.py")
    assert answer.refused("bad_notebook")
    assert "content is not JSON" in answer.text
    for empty, kind in (("", None), ("[]", "json"), ("\n\n", "py")):
        assert (await agent("import_notebook", content=empty, format=kind, output="a.py")).refused(
            "bad_notebook"
        )
    wrong = await agent("import_notebook", content="x", target="bridge", output="a.py")
    assert (wrong.refused("bad_request"), " --" in wrong.text) == (True, False)
    assert (await agent("import_notebook", content="x", output="a.ipynb", open=True)).refused("not_allowed")
    assert files_in(tmp_path) == []


def give_an_output(notebook: Path) -> None:
    document = json.loads(notebook.read_text())
    document["cells"][-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "2"}]
    notebook.write_text(json.dumps(document))


async def test_a_file_is_exported_without_its_outputs(agent: Agent, notebook: Path) -> None:
    give_an_output(notebook)
    whole = await agent("export_notebook", file=str(notebook), format="json")
    without = await agent("export_notebook", file=str(notebook), format="json", include_outputs=False)
    outputs = [
        [
            cell.get("outputs")
            for cell in json.loads(answer.data["content"])["cells"]
            if cell["kind"] == "code"
        ]
        for answer in (whole, without)
    ]
    assert any(outputs[0])
    assert not any(outputs[1])


async def test_content_is_checked_without_a_name_and_taken_as_the_json_that_it_is(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    checked = await agent("import_notebook", content="# %%\nx = 1\n", check=True)
    assert (checked.failed, checked.data["written"], files_in(tmp_path)) == (False, False, [])
    given = json.loads(CONTENTS["ipynb"])
    made = await agent("import_notebook", content=given, target="bridge", output="made.ipynb")
    assert not made.failed, made.text
    assert made.data["output"] == str(tmp_path / "made.ipynb")


async def test_a_path_in_the_home_directory_is_understood(
    agent: Agent, notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    made = await agent("import_notebook", file=str(notebook), output="~/made.py")
    assert made.data["output"] == str(tmp_path / "home" / "made.py")
    assert files_in(tmp_path / "home") == ["made.py"]
    again = await agent("import_notebook", content="# %%\nx = 1", output="~/made.py")
    assert again.refused("output_exists")


async def test_code_that_is_nested_too_deeply_is_refused_and_leaves_no_file(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = await agent(
        "import_notebook", content="x = " + "-" * 100_000 + "1", format="py", output="deep.py"
    )
    assert not answer.refused("cell_not_converted"), answer.text
    assert files_in(tmp_path) == ([] if answer.failed else ["deep.py"])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Name another file with -o.", "Name another file as output."),
        ("--target bridge writes one: name it so.", "target=bridge writes one: name it so."),
        ("The importer changed 2 cells: `import --check` says how.", "The importer changed 2 cells: import_notebook(check=true) says how."),
        ("Name another file with -o, or pass --force.", "Name another file as output, or pass overwrite=true."),
        ("It becomes an .ipynb by: marimo-kernel-bridge export a.py --to ipynb", "It becomes an .ipynb by: marimo-kernel-bridge export a.py --to ipynb"),
    ],
)  # fmt: skip
def test_messages_of_the_command_line_speak_of_arguments_of_tools(said: str, told: str) -> None:
    assert in_words_of_tools(said) == told
