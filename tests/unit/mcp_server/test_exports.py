"""Exports of what a kernel has: as text in pages, into files, and what is refused before anything is read."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from mcp import MCPError
from mcp.types import TextResourceContents

from marimo_kernel_bridge.client.connection import Connection
from marimo_kernel_bridge.mcp_server.views import files
from tests.unit.mcp_server.agent import Agent, Answer
from tests.unit.mcp_server.conftest import Serve
from tests.unit.mcp_server.fake_kernel import FakeKernel, stream

pytestmark = pytest.mark.anyio

KEY = "zq81-HUSH-hush-99!"


@pytest.fixture
def notebook(kernel: FakeKernel) -> FakeKernel:
    kernel.add("aaaa", "x = 1", defines=("x",), downstream=("bbbb",))
    kernel.add("bbbb", "print('x is', x)", stream("x is 1\n"), uses=("x",), upstream=("aaaa",))
    return kernel


@pytest.fixture
async def editor(
    serve: Serve, notebook: FakeKernel, connection_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Agent:
    """An agent that may not run code, connected to the notebook's kernel by a server in the test's folder."""
    monkeypatch.chdir(tmp_path)
    agent = await serve("edit")
    await agent("connect_to_kernel", connection_file=connection_file)
    return agent


def notebooks_in(folder: Path) -> list[Path]:
    return list(folder.glob("*.ipynb"))


def content_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


async def test_what_the_kernel_has_is_a_valid_notebook(connected: Agent, notebook: FakeKernel) -> None:
    answer = await connected("export_notebook", max_chars=50_000)
    document = nbformat.reads(answer.data["content"], 4)
    nbformat.validate(document)
    assert [cell.source for cell in document.cells] == ["x = 1", "print('x is', x)"]
    assert document.cells[1].outputs[0].text == "x is 1\n"
    assert (answer.data["cells"], answer.data["with_outputs"]) == (2, 1)


async def test_a_long_text_is_read_on_from_an_offset(connected: Agent, notebook: FakeKernel) -> None:
    whole = (await connected("export_notebook", format="json", max_chars=50_000)).data
    parts = ""
    while len(parts) < whole["total_chars"]:
        part = await connected("export_notebook", format="json", max_chars=300, offset=len(parts))
        assert part.data.get("offset", 0) == len(parts)
        parts += part.data["content"]
    assert parts == whole["content"]
    assert len(json.loads(parts)["cells"]) == 2


async def test_an_existing_file_is_left_alone_unless_it_may_be_overwritten(
    connected: Agent, notebook: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = tmp_path / "out.ipynb"
    answer = await connected("export_notebook", output=str(output))
    assert (answer.data["output"], "content" in answer.data) == (str(output), False)
    first = content_of(output)
    notebook.add("cccc", "x + 1")
    again = await connected("export_notebook", output=str(output))
    assert again.refused("output_exists")
    assert "overwrite=true" in again.text
    assert content_of(output) == first
    assert not (await connected("export_notebook", output=str(output), overwrite=True)).failed
    assert "x + 1" in content_of(output)


async def test_who_may_not_run_code_replaces_only_what_this_server_exported(
    editor: Agent, serve: Serve, connection_file: str, tmp_path: Path
) -> None:
    output = tmp_path / "notebook.ipynb"

    async def export(**more: Any) -> Answer:
        return await editor("export_notebook", output=str(output), overwrite=True, **more)

    assert not (await export()).failed
    assert not (await export()).failed
    mine = content_of(output)
    for change in (
        lambda: output.write_text("the person's"),
        lambda: (output.unlink(), output.symlink_to(tmp_path / "elsewhere.ipynb")),
        lambda: (tmp_path / "elsewhere.ipynb").write_text(mine),
    ):
        change()
        assert (await export()).refused("not_allowed")
    assert content_of(tmp_path / "elsewhere.ipynb") == mine
    other = await serve("edit", name="ben")
    await other("connect_to_kernel", connection_file=connection_file)
    output.unlink()
    output.write_text(mine)
    assert (await other("export_notebook", output=str(output), overwrite=True)).refused("not_allowed")
    assert not (await export()).failed


async def test_an_export_of_who_may_not_run_code_is_called_as_its_notebook(
    serve: Serve,
    notebook: FakeKernel,
    connection_file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    notebook.description = replace(notebook.description, notebook=str(tmp_path / "c.ipynb"))
    (tmp_path / "c.ipynb").write_text(
        json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    editor, runner = await serve("edit"), await serve("run", name="ben")
    for agent in (editor, runner):
        await agent("connect_to_kernel", connection_file=connection_file)
    refused = ["AGENTS.md", "claude.md", "GEMINI.md", "package.json", "notebook.ipynb", "C.json", "c1.json"]
    for output in refused:
        to = Path(output).suffix[1:]
        answer = await editor("export_notebook", format=to, output=output)
        assert answer.refused("not_allowed"), output
        assert f"For example c.{to}" in answer.text
        answer = await editor("export_notebook", file="c.ipynb", format=to, output=output)
        assert answer.refused("not_allowed"), output
    assert not any((tmp_path / output).exists() for output in refused)
    for output in ("c.json", "c-2.json", "c.v2.json"):
        assert not (await editor("export_notebook", format="json", output=output)).failed
    assert not (await runner("export_notebook", format="json", output="package.json")).failed


async def test_what_changes_while_an_export_is_made_is_not_replaced(
    editor: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "notebook.ipynb"
    as_format = files.as_format

    async def with_a_change(*arguments: Any) -> tuple[str | bytes, tuple[str, ...]]:
        result = await as_format(*arguments)
        output.write_text("the person's")
        return result

    assert not (await editor("export_notebook", output=str(output))).failed
    monkeypatch.setattr(files, "as_format", with_a_change)
    answer = await editor("export_notebook", output=str(output), overwrite=True)
    assert answer.refused("not_allowed")
    assert content_of(output) == "the person's"


@pytest.mark.parametrize(
    "output",
    [
        "../a.ipynb",
        "/a.ipynb",
        "a.html",
        "a",
        ".ipynb",
        ".git/a.ipynb",
        "linked/a.ipynb",
        "a.ipynb/b.ipynb/..",
        "a\0b.ipynb",
        "a\0/b.ipynb",
    ],
)
async def test_an_export_is_written_only_as_what_it_is_and_where_the_notebook_or_the_server_is(
    connected: Agent, notebook: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    folder, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for made in (folder / ".git", elsewhere):
        made.mkdir(parents=True)
    (folder / "linked").symlink_to(elsewhere)
    monkeypatch.chdir(folder)
    answer = await connected("export_notebook", output=output, overwrite=True)
    assert answer.refused("bad_request")
    assert "nothing was written" in answer.text
    assert notebooks_in(tmp_path) == []


async def test_a_file_is_exported_beside_itself(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    (tmp_path / "a.py").write_text("import marimo\napp = marimo.App()\n")
    for output, refused in ((tmp_path / "a.md", False), (Path("/a.md"), True)):
        answer = await agent("export_notebook", file=str(tmp_path / "a.py"), format="md", output=str(output))
        assert answer.failed == refused, answer.text


async def test_a_pdf_needs_a_file(connected: Agent, notebook: FakeKernel) -> None:
    answer = await connected("export_notebook", format="pdf")
    assert answer.refused("bad_request")
    assert "A PDF is not text" in answer.text
    assert notebook.asked == []


async def test_reading_is_allowed_to_everybody_and_writing_is_not(
    serve: Serve, notebook: FakeKernel, connection_file: str, tmp_path: Path
) -> None:
    reader = await serve("read")
    await reader("connect_to_kernel", connection_file=connection_file)
    assert not (await reader("export_notebook")).failed
    output = tmp_path / "a.ipynb"
    assert (await reader("export_notebook", output=str(output))).refused("not_allowed")
    assert (await reader("import_notebook", file="a.ipynb", check=True)).refused("not_allowed")
    assert notebooks_in(tmp_path) == []


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", KEY)


async def test_who_only_reads_exports_files_of_the_working_directory(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here, elsewhere):
        folder.mkdir()
        (folder / "a.py").write_text("import marimo\napp = marimo.App()\n")
    (here / "link.py").symlink_to(elsewhere / "a.py")
    monkeypatch.chdir(here)
    reader = await serve("edit")
    assert not (await reader("export_notebook", file="a.py", format="json")).failed
    for file in ("../elsewhere/a.py", "link.py", str(elsewhere / "a.py"), "a\0.py", "/\0/a.ipynb"):
        assert (await reader("export_notebook", file=file, format="json")).refused("not_allowed")


@pytest.mark.parametrize("here", [True, False])
async def test_a_file_that_only_the_kernel_names_is_read_in_the_working_directory_and_for_kernels_here_only(
    connected: Agent, notebook: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, here: bool
) -> None:
    monkeypatch.setattr(Connection, "here", here)
    (tmp_path / "here").mkdir()
    page = tmp_path / "a.ipynb"
    cell = {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "of the person"}
    page.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    notebook.description = replace(notebook.description, notebook=str(page))
    for folder, read in ((tmp_path / "here", False), (tmp_path, True)):
        monkeypatch.chdir(folder)
        answer = await connected("export_notebook", max_chars=50_000)
        assert ("of the person" in answer.data["content"]) == (read and here)


@pytest.mark.parametrize(
    ("suffix", "mime", "code"),
    [("ipynb", "application/x-ipynb+json", "x = 1"), ("html", "text/html", "<span")],
)
@pytest.mark.usefixtures("secret")
async def test_secrets_are_kept_out_of_exports(
    notebook: FakeKernel, connected: Agent, suffix: str, mime: str, code: str
) -> None:
    notebook.add("cccc", f"print({KEY!r})", stream(KEY))
    assert KEY not in (await connected("export_notebook", format=suffix, max_chars=50_000)).text
    (content,) = (await connected.client.read_resource(f"marimo://k1/notebook.{suffix}")).contents
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == mime
    assert code in content.text
    assert KEY not in content.text
    assert "redacted:SERVICE_TOKEN" in content.text


async def test_a_notebook_is_no_resource_in_an_unknown_format(connected: Agent, notebook: FakeKernel) -> None:
    with pytest.raises(MCPError):
        await connected.client.read_resource("marimo://k1/notebook.docx")


async def test_what_a_kernel_has_is_exported_without_outputs(connected: Agent, notebook: FakeKernel) -> None:
    answer = await connected("export_notebook", format="ipynb", include_outputs=False)
    document = json.loads(answer.data["content"])
    assert [cell["outputs"] for cell in document["cells"]] == [[], []]
    assert "x is 1" not in answer.text
