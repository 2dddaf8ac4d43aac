"""Declarations of tools: the title, the required permission, and the hints for clients.

`@tool` turns a function into a declaration. The guard, the registration, the documentation and the tests read it. This
module registers nothing, so that no tool can reach a client without the guard.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from mcp.types import CallToolResult

from marimo_kernel_bridge.protocol import permissions

if TYPE_CHECKING:
    from types import ModuleType

Tier: TypeAlias = permissions.Tier
TIERS: Final = permissions.TIERS

App = Literal["no", "shows", "only"]
"""Whether a tool has to do with the page in hosts with MCP Apps: its answer is shown on it, or only the page may call it."""

Arguments = Mapping[str, Any]  # of a call, validated against the tool's schema
ToolFunction = Callable[..., Awaitable[CallToolResult]]


@dataclass(frozen=True)
class ToolDeclaration:
    """A function declared as a tool: its name, the required permission, and its effects on kernels and files."""

    function: ToolFunction
    title: str
    needs: Tier | Callable[[Arguments], Tier]
    """The permission, or a function that derives it from the arguments."""
    reads: bool
    runs_code: bool
    destroys: bool
    idempotent: bool
    proposes: bool
    """Whether a call, of an agent that may only propose, becomes a proposal."""
    while_paused: bool
    """Whether a call that needs more than `read` is allowed while the person has paused agents."""
    audited: Callable[[Arguments], Mapping[str, str]]
    """Returns the arguments that the audit log records as they are; of the others it records a digest."""
    joins: bool | Callable[[Arguments], bool]
    """Whether a call that names no kernel, of a client that is attached to none, is about the only one that runs."""
    app: App = "no"
    listed_from: Tier = "read"
    """The lowest permission with which it is of use: below, it is not listed."""
    brief: tuple[str, ...] = ()
    """Lists of objects whose fields another tool's schema tells: here only a sentence names them."""
    in_sandbox: bool = False
    """Whether the permission `run` is enough where code of agents runs in a sandbox only: it is about kernels there."""

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def description(self) -> str:
        return inspect.getdoc(self.function) or ""

    @property
    def changes(self) -> bool:
        """Whether a call may change, overwrite or end something that belongs to the person."""
        return self.runs_code or self.destroys

    @property
    def for_a_kernel(self) -> bool:
        return "kernel" in inspect.signature(self.function).parameters

    def joins_for(self, arguments: Arguments) -> bool:
        """Whether a call with these arguments joins the only kernel that runs."""
        return self.joins(arguments) if callable(self.joins) else self.joins

    def tier(self, arguments: Arguments) -> Tier:
        """Return the permission that a call with these arguments needs."""
        return self.needs(arguments) if callable(self.needs) else self.needs


def _nothing(_: Arguments) -> Mapping[str, str]:
    return {}


def tool(
    title: str,
    *,
    needs: Tier | Callable[[Arguments], Tier],
    reads: bool = False,
    runs_code: bool = False,
    destroys: bool = False,
    idempotent: bool = False,
    proposes: bool = False,
    while_paused: bool = False,
    audited: Callable[[Arguments], Mapping[str, str]] = _nothing,
    joins: bool | Callable[[Arguments], bool] = True,
    app: App = "no",
    listed_from: Tier | None = None,
    brief: tuple[str, ...] = (),
    in_sandbox: bool = False,
) -> Callable[[ToolFunction], ToolDeclaration]:
    """Declare a function as a tool. Its docstring is the description, its signature the schemas.

    A tool without any of the flags changes nothing that belongs to the person: for example, it connects to a kernel.
    `listed_from` is by default what it needs, if that is the same for all arguments.
    """

    def declared(function: ToolFunction) -> ToolDeclaration:
        return ToolDeclaration(
            function,
            title,
            needs,
            reads,
            runs_code,
            destroys,
            idempotent,
            proposes,
            while_paused,
            audited,
            joins,
            app,
            listed_from or ("read" if callable(needs) else needs),
            brief,
            in_sandbox,
        )

    return declared


def tools_of(*modules: ModuleType) -> tuple[ToolDeclaration, ...]:
    """Return the tools that modules declare, in the order of their declarations."""
    return tuple(
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, ToolDeclaration) and value.function.__module__ == module.__name__
    )
