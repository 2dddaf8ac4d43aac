"""Prompts: three tasks with a recommended order of steps. Texts only."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final

from mcp import MCPError
from mcp.server.mcpserver.prompts import Prompt
from mcp.types import INVALID_PARAMS
from pydantic import Field

if TYPE_CHECKING:
    from mcp.server import MCPServer

LONGEST_NAME: Final = 1000
"""Characters of a notebook's name. A person chooses it, and it stands in what a model reads."""

NotebookArg = Annotated[
    str, Field(description="Path or name of the open notebook. Empty: the only one, or ask.")
]

_JOIN = (
    """First join the person's kernel: connect_to_kernel{how}. Never start a kernel of your own for this.\n"""
)


def explore_notebook(notebook: NotebookArg = "") -> str:
    """Understand a running notebook without changing anything, and explain it."""
    return _joined(notebook) + (
        "Then get an overview, changing nothing:\n"
        "1. list_cells for the outline; list_errors for what is broken; list_variables for what is in memory.\n"
        "2. Follow the data with read_dataflow from the cells that load it to those that end it.\n"
        "3. read_cell where the outline is not enough; read_variable for tables and arrays. Run no code unless a "
        "question is left, and then only with execute_code(scratch=true).\n"
        "Explain in a few paragraphs: what the notebook is for, its steps in the order of the data, what it shows, what "
        "is stale or broken, and what you would look at next."
    )


def fix_errors(notebook: NotebookArg = "") -> str:
    """Find and fix what is broken in a notebook, with the person's consent for what changes results."""
    return _joined(notebook) + (
        "Then fix what is broken, one cause at a time:\n"
        "1. list_errors. Begin with errors that block other cells; those that are only blocked run again by themselves.\n"
        "2. For each: read_cell, read_variable for the values it stumbled on, read_dataflow for where they come from. Find "
        "the cause before you edit; for a missing package use install_packages, which asks the person.\n"
        "3. preview_run with your edit: what it would run, and what the graph says. Ask first if that takes long or "
        "changes a result.\n"
        "4. edit_cells with the versions you read. On stale_version or conflicts read again: the person has changed it.\n"
        "5. Look at what re-ran, then list_errors again. Stop when it is empty, or when only the person can decide.\n"
        "At the end say for each error what the cause was and which cell you changed. Where an answer said that it is not in the document, "
        "show the new code: the person's notebook still has the old one."
    )


def make_reactive(notebook: NotebookArg = "") -> str:
    """Turn a notebook that was written for top-to-bottom runs into a clean reactive one."""
    return _joined(notebook) + (
        "Then make the notebook reactive, keeping every result:\n"
        "1. list_cells and list_errors: look for names defined in several cells, for cells that change what another one "
        "made (df['x'] = ..., list.append, in-place methods), and for hidden order.\n"
        "2. Note the results that count (outputs of the last cells), to compare afterwards.\n"
        "3. For each finding choose the smallest cure: another name for each step (df_clean = ...), the change moved into "
        "the cell that makes the value, a function, or _local names for what no other cell needs.\n"
        "4. Try the whole batch with preview_run(edits=...) until the graph has no objection, then show the person the "
        "plan and how long the run will take.\n"
        "5. After their yes: edit_cells, all at once. Compare the results with those you noted.\n"
        "At the end list each change with its reason, and the new code of each cell."
    )


def add_prompts(server: MCPServer[Any]) -> None:
    """Register the prompts."""
    for prompt in _prompts():
        server.add_prompt(prompt)


@cache
def _prompts() -> tuple[Prompt, ...]:
    """Return the prompts, whose arguments are slow to describe."""
    return (
        Prompt.from_function(explore_notebook, title="Explore this notebook"),
        Prompt.from_function(fix_errors, title="Fix its errors"),
        Prompt.from_function(make_reactive, title="Make it reactive"),
    )


def _joined(notebook: str) -> str:
    if len(notebook) > LONGEST_NAME or not notebook.isprintable():
        raise MCPError(
            code=INVALID_PARAMS,
            message=f"[bad_request] `notebook` is a path or a name of at most {LONGEST_NAME:,} characters, in one line.",
        )
    how = (
        f"(notebook={notebook!r})"
        if notebook
        else " with the notebook that list_kernels shows; with several, ask which"
    )
    return _JOIN.format(how=how)
