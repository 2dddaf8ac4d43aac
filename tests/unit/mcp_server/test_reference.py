"""The reference has all that the server offers, and the story calls each tool."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from docs.mcp_reference import PAGE, reference
from marimo_kernel_bridge.errors import CODES, MEANINGS
from marimo_kernel_bridge.mcp_tools import TOOLS
from tests.mcp.story import STORY, Call


@pytest.fixture(scope="module")
def page() -> str:
    return asyncio.run(reference())


def test_every_tool_is_documented_with_its_permission_and_its_arguments(page: str) -> None:
    for declaration in TOOLS:
        assert f"\n### {declaration.name}\n" in page
        assert declaration.description in page
    assert "| [`execute_code`](#execute_code) | `run`; `scratch` with `scratch=true` | Execute code |" in page
    assert "| `edits[].version` | integer |  | As last read. |" in page
    assert "\nAnswer: `cells` (table), `total`, `origin`, `offset`?, `note`?.\n" in page
    assert "`rows`?, " in page
    assert "`columns`? (table), " in page
    assert "| `timeout` | number, 0 to 600 | `30.0` |" in page


def test_resources_prompts_and_hosts_are_documented(page: str) -> None:
    assert "| `marimo://{kernel}/cells/{cell_id}{?offset}` | A cell and its outputs |" in page
    assert "| `fix_errors` | Fix its errors |" in page
    assert "claude mcp add --scope user marimo -- marimo-kernel-bridge mcp" in page


def test_every_error_code_is_explained(page: str) -> None:
    assert set(MEANINGS) == CODES
    assert all(f"| `{code}` |" in page for code in CODES)


def test_every_tool_has_its_place_in_the_story() -> None:
    called = {step.tool for step in STORY if isinstance(step, Call) and step.refused is None}
    for_agents = {declaration.name for declaration in TOOLS if declaration.app != "only"}
    assert not for_agents - called, "no Call in tests/mcp/story.py"


def test_the_reference_is_written_into_a_folder(tmp_path: Path) -> None:
    script = Path(__file__).parents[3] / "docs" / "mcp_reference.py"
    subprocess.run([sys.executable, str(script), str(tmp_path / "new")], check=True)
    assert (tmp_path / "new" / PAGE).read_text(encoding="utf-8").startswith("# MCP reference\n")
