"""Exports and imports for agents, over stdio: what is given, what is written, what is refused."""

import json

import nbformat
import pytest
from mcp import MCPError
from story_player import write_masses

pytestmark = pytest.mark.anyio

KEY = "zq81-HUSH-hush-99!"


@pytest.fixture
async def shared(agent, reactive_kernel, person_at):
    """The agent's handle of a kernel in which a person has run two cells."""
    person = await person_at(reactive_kernel)
    handle = await agent.connect(reactive_kernel)
    await person.run("aaaa", "x = 1")
    await person.run("bbbb", "print('x is', x)")
    return agent, person, handle


async def test_what_the_kernel_has_is_given_as_text_and_written_to_files(shared, tmp_path):
    agent, _, handle = shared
    answer = await agent("export_notebook", kernel=handle, max_chars=50_000)
    assert not answer.failed, answer.text
    notebook = nbformat.reads(answer.data["content"], 4)
    nbformat.validate(notebook)
    assert [(cell.id, cell.source) for cell in notebook.cells] == [
        ("aaaa", "x = 1"),
        ("bbbb", "print('x is', x)"),
    ]
    assert notebook.cells[1].outputs[0].text == "x is 1\n"
    for suffix, has in (("py", "def _(x)"), ("html", "x is 1")):
        output = tmp_path / f"out.{suffix}"
        answer = await agent("export_notebook", kernel=handle, format=suffix, output=str(output))
        assert not answer.failed, answer.text
        assert has in output.read_text(), suffix
        assert "content" not in answer.data


async def test_a_file_is_checked_imported_and_exported_back(agent, tmp_path):
    write_masses(tmp_path / "masses.ipynb")
    checked = await agent("import_notebook", file=str(tmp_path / "masses.ipynb"), check=True)
    assert checked.data["written"] is False
    assert not (tmp_path / "masses.py").exists()
    done = await agent("import_notebook", file=str(tmp_path / "masses.ipynb"))
    assert done.data["complete"]
    assert "`mass` is called `mass_1`" in done.text
    back = await agent("export_notebook", file=str(tmp_path / "masses.py"), max_chars=50_000)
    assert json.loads(back.data["content"]) == json.loads((tmp_path / "masses.ipynb").read_text())


async def test_what_cannot_be_done_is_refused_with_its_code(agent):
    answer = await agent("import_notebook", file="pyproject.toml")
    assert answer.failed
    assert "[bad_notebook]" in answer.text


async def test_an_export_to_text_imports_no_module_of_the_notebook(agent, tmp_path):
    (tmp_path / "trap.py").write_text("open('sprung', 'w').close()\nvalue = 1\n")
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": "from trap import *\nvalue",
        "outputs": [],
    }
    notebook = {
        "cells": [cell | {"execution_count": None}],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (tmp_path / "a.ipynb").write_text(json.dumps(notebook))
    answer = await agent("export_notebook", file=str(tmp_path / "a.ipynb"), format="py")
    assert "from trap import value" in answer.data["content"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ipynb", "trap.py"]


async def test_the_notebook_is_a_resource_without_secrets(shared):
    agent, person, handle = shared
    await person.run("cccc", f"import os\nos.environ['SERVICE_TOKEN'] = {KEY!r}\nprint({KEY!r})")
    mimes = {"ipynb": "application/x-ipynb+json", "html": "text/html"}
    for suffix, mime in mimes.items():
        (content,) = (await agent.client.read_resource(f"marimo://{handle}/notebook.{suffix}")).contents
        assert content.mime_type == mime
        assert "x = 1" in content.text or "<span" in content.text
        assert KEY not in content.text
    with pytest.raises(MCPError):
        await agent.client.read_resource(f"marimo://{handle}/notebook.docx")
