"""docs/mcp.md has every tool with its permission, and no other."""

import re
from pathlib import Path

from marimo_kernel_bridge.mcp_guard import TIERS
from marimo_kernel_bridge.mcp_tools import NEEDS

TEXT = (Path(__file__).parents[2] / "docs/mcp.md").read_text()


def test_every_tool_is_documented_with_its_permission():
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \| ([^|]+) \|", TEXT))
    assert set(rows) == set(NEEDS)
    for tool, needs in NEEDS.items():
        if not callable(needs):
            assert rows[tool] == needs
        else:
            assert set(re.findall(rf"\b({'|'.join(TIERS)})\b(?!=)", rows[tool])) == {
                needs({}),
                needs({"scratch": True, "run": False}),
            }
