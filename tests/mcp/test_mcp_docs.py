"""docs/mcp.md is what the server says of itself, and its story is what happens: played again, every answer is the same."""

import pytest
from mcp_page import PAGE, page
from story import STORY, Call
from story_player import play

from marimo_kernel_bridge.errors import CODES, MEANINGS
from marimo_kernel_bridge.mcp_tools import TOOLS

AGAIN = "`make docs` writes docs/mcp.md anew"


@pytest.mark.anyio
async def test_the_page_is_what_the_server_says_and_what_the_story_gives(tmp_path):
    written = PAGE.read_text()
    made = page(written, await play(STORY, tmp_path))
    differing = [
        f"{old!r}\n  is now\n{new!r}"
        for old, new in zip(written.splitlines(), made.splitlines(), strict=False)
        if old != new
    ]
    assert made == written, f"{AGAIN}. The first line that differs: {differing[:1]}"


def test_every_tool_has_its_place_in_the_story():
    called = {step.tool for step in STORY if isinstance(step, Call) and step.refused is None}
    assert not {declaration.name for declaration in TOOLS} - called, (
        "These tools have no Call in tests/mcp/story.py"
    )


def test_every_error_code_is_explained():
    assert set(MEANINGS) == CODES
