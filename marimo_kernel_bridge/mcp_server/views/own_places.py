"""Where agents may read and write files that no kernel asks for: the working directory, and beside the notebooks of joined kernels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.arguments import client_name, kernels_of
from marimo_kernel_bridge.protocol.regular_files import LONGEST_PATH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.mcp_server.arguments import Ctx


def is_within(file: Path, folders: Iterable[Path]) -> bool:
    """Whether a file is in one of the folders, not hidden and not behind a link to elsewhere."""
    if "\0" in str(file) or len(str(file)) > LONGEST_PATH:
        return False
    place = Path(os.path.realpath(file.parent))
    return any(
        place.is_relative_to(root)
        and not any(part.startswith(".") for part in (*place.relative_to(root).parts, file.name))
        for root in map(Path, map(os.path.realpath, folders))
        if root != Path(root.anchor)  # hosts without a folder start servers in /
    )


def require_own(ctx: Ctx, file: Path) -> None:
    """Refuse, to agents whose code does not reach it, a file elsewhere than here or beside a joined notebook. Raises `BridgeError`."""
    kernels = kernels_of(ctx)
    beside = [notebook.parent for notebook in kernels.notebook_files(client_name(ctx))]
    real = file if "\0" in str(file) else Path(os.path.realpath(file))
    if not kernels.may_reach and not is_within(real, [kernels.ceilings.root, Path.cwd(), *beside]):
        others = "the permission 'run': marimo-kernel-bridge mcp --allow run"
        raise BridgeError(
            "not_allowed",
            "The file is neither in the working directory nor beside the notebook of a connected kernel, or it is hidden.",
            f"Other files need {'a server without a sandbox' if kernels.may_run else others}. Do not work around it.",
        )
