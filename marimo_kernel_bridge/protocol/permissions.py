"""What the person allows agents to do on the MCP server, as one word."""

from __future__ import annotations

from typing import Final, Literal, get_args

Tier = Literal["read", "propose", "edit", "scratch", "run", "all"]
"""What the person allows, each with all before it: look; propose changes; change cells without running them; run code that
stays out of the graph; run cells; start, restart and shut down kernels, interrupt what others run, and install packages
without being asked. Up to edit no code of an agent runs, unless the person accepts or runs it."""

TIERS: Final[tuple[Tier, ...]] = get_args(Tier)


def includes(granted: Tier, needed: Tier) -> bool:
    """Return whether what is granted includes what is needed."""
    return TIERS.index(needed) <= TIERS.index(granted)
