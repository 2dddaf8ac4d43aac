"""What a plugin declares, and the kernel that its functions get. Imports nothing of the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    import msgspec

    from marimo_kernel_bridge.plugins.values import (
        Cell,
        Drawn,
        Outcome,
        Table,
        Variable,
        VariableContent,
    )
    from marimo_kernel_bridge.protocol.permissions import Tier
    from marimo_kernel_bridge.protocol.views import How

API: Final = 1
"""The version of this interface. A plugin says which one it is written for; a server with another one leaves it out."""

GROUP: Final = "marimo_kernel_bridge.plugins"
"""The group of the entry points. An entry point's name is the first part of the names of its tools."""


class Refused(BridgeError):  # noqa: N818  # as an author says it
    """A call that makes no sense: the agent is told why, and what to do instead. Any other exception is `plugin_failed`."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("bad_request", message, hint)


@dataclass(frozen=True)
class PluginTool:
    """A tool: `async def name(kernel: Kernel, *, argument: type = default) -> str`, or a msgspec struct as the answer.

    The docstring is the description that models read, the annotations are the schema of the arguments (pydantic's `Field` in
    `Annotated` for what they mean, and their limits), which are checked strictly. A struct is sent as structured content; its
    text is `str(answer)` if its class defines that, else its JSON.

    `tier` is the permission that a call needs, and what the kernel offers to the function; there is no default.
    `runs_code` says that a call runs code in the kernel, or reaches anything beyond it.
    """

    function: Callable[..., Awaitable[str | msgspec.Struct]]
    title: str
    tier: Tier
    runs_code: bool = False


@dataclass(frozen=True)
class PluginResource:
    """Something of a kernel that clients may read by its address: `plugin://ENTRY_POINT/{kernel}/PATH`.

    `path` may have parameters in braces, which are the function's: `async def read(kernel: Kernel, *, name: str) -> str`, or
    bytes. It has the permission `read`.
    """

    path: str
    function: Callable[..., Awaitable[str | bytes]]
    title: str
    mime_type: str = "text/plain"


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What a distribution adds. `api` is the version of the interface that it is written for; write the number.

    `templates` are .ipynb or marimo .py files for `create_notebook`, called ENTRY_POINT_STEM.
    """

    name: str
    api: int
    tools: Sequence[PluginTool] = ()
    resources: Sequence[PluginResource] = ()
    templates: Sequence[Path] = ()


class Kernel(Protocol):
    """The kernel of a call. What it returns has marks in place of secrets. No sockets, keys, other kernels or other clients.

    Each method raises `BridgeError`, which is for the agent: let it pass. A method that needs more than the tool's tier
    raises `plugin_failed`.
    """

    @property
    def handle(self) -> str:
        """What the agent calls the kernel."""
        ...

    @property
    def reactive(self) -> bool:
        """Whether it has cells, variables and tables; a plain kernel only runs code."""
        ...

    async def outline(self) -> list[Cell]:
        """Return the cells that ran, in the order of the notebook. Tier: read."""
        ...

    async def variables(self) -> list[Variable]:
        """Return the global variables. Runs no code of their values. Tier: read."""
        ...

    async def variable(self, name: str, rows: int = 5, offset: int = 0) -> VariableContent:
        """Return a variable with a sample of its content. Runs no code of its value. Tier: read."""
        ...

    async def table(
        self,
        name: str,
        columns: Sequence[str] = (),
        *,
        rows: int = 1000,
        by: Sequence[str] = (),
        how: How = "count",
        bins: bool = False,
        edges: bool = False,
    ) -> Table:
        """Return a bounded part of a table that a variable holds, as numbers and text. Tier: read. Needs an idle kernel.

        At most `rows` rows, evenly chosen, and the first 50 columns unless `columns` names some. With `by`, one row for each of
        their values instead, the column combined by `how`; `bins` makes ranges of a single one with numbers or times.
        `edges`: a dict of names with lists of names is a table of pairs.
        """
        ...

    async def draw(self, spec: Mapping[str, Any]) -> Drawn:
        """Draw a Vega-Lite chart and add the picture to the tool's answer. Loads nothing. Tier: read."""
        ...

    async def evaluate(self, code: str, timeout: float = 30.0) -> Outcome:  # noqa: ASYNC109  # the code is stopped then
        """Run code outside of the graph, as a scratch cell. It is stopped after `timeout` seconds. Tier: scratch."""
        ...

    async def edit(self, edits: Sequence[Mapping[str, Any]], *, run: bool = False) -> Outcome:
        """Change cells as `edit_cells` does, with its arguments. Tier: edit, with `run` run."""
        ...
