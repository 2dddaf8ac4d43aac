"""Code of agents that would install packages, for which the person must be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.arguments import kernels_of
from marimo_kernel_bridge.protocol.environment import installs_packages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.mcp_server.arguments import Ctx

_QUICK: Final = 100_000
"""Characters of code that are searched in this process."""


async def require_no_installing(ctx: Ctx, texts: Iterable[str]) -> None:
    """Refuse the magics that install packages: install_packages asks the person. Raises `BridgeError` not_allowed."""
    if kernels_of(ctx).may_install:
        return
    for code in texts:
        if await _installs(ctx, code):
            raise BridgeError(
                "not_allowed",
                "This code installs packages, for which the person must be asked; nothing was run.",
                "install_packages asks them. Do not work around it.",
            )


async def _installs(ctx: Ctx, code: str) -> bool:
    if len(code) <= _QUICK:
        return installs_packages(code)
    return bool(await kernels_of(ctx).presenter.do("installs_packages", code=code))
