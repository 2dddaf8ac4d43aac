"""The views of files, which a process of this user shows: a `ViewSource` over its blocking client."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from marimo_kernel_bridge.client.views import MOST_ANSWERED, MOST_ASKED, require_size
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.regular_files import is_there

if TYPE_CHECKING:
    from marimo_kernel_bridge.launch.viewer.client import Viewer
    from marimo_kernel_bridge.protocol.views import OpenedView, StateChange, ViewDescription


class FileViews:
    """The views of files. Their process outlives this one."""

    async def open(self, data: str, session: str) -> OpenedView:
        """Open a view. `data` is a file's path, perhaps with `#` and the name of a table or sheet in it."""
        from marimo_kernel_bridge.launch.viewer.client import Viewer  # noqa: PLC0415  # a server starts without it

        path, table = split_table(data)
        viewer = await asyncio.to_thread(Viewer.started)
        return await asyncio.to_thread(viewer.open_view, path, session, table)

    async def read(self, view: str, session: str) -> ViewDescription:
        viewer = await _running()
        return await asyncio.to_thread(viewer.read_view, view, session)

    async def set(self, view: str, session: str, change: StateChange) -> ViewDescription:
        viewer = await _running()
        return await asyncio.to_thread(viewer.set_view, view, session, change)

    async def ask(self, view: str, session: str, request: str) -> str:
        require_size(len(request), MOST_ASKED)
        viewer = await _running()
        answer = (await asyncio.to_thread(viewer.ask_view, view, session, request)).answer
        require_size(len(answer), MOST_ANSWERED)
        return answer


def split_table(data: str) -> tuple[Path, str]:
    """Return the file, and the table in it, that a text names: a `#` in the name of an existing file is a part of that."""
    file, mark, table = data.rpartition("#")
    if mark and file and not is_there(data) and is_there(file):
        return Path(file), table
    return Path(data), ""


async def _running() -> Viewer:
    from marimo_kernel_bridge.launch.viewer.client import Viewer  # noqa: PLC0415  # a server starts without it

    viewer = await asyncio.to_thread(Viewer.running)
    if viewer is None:
        raise BridgeError(
            "no_such_view",
            "The process that showed the file has ended: nobody had looked for half an hour.",
            "view_data opens the file again.",
        )
    return viewer
