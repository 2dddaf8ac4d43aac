"""Functions as MCP tools whose arguments are exactly what the schema says, and whose refusals reach the model.

What the SDK does by itself: it drops unknown arguments silently, so that a misspelt `cell_id` would add a new cell
instead of changing one; it parses JSON inside of strings and turns "3" into 3.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import ToolAnnotations
from pydantic import ConfigDict, create_model
from pydantic.json_schema import GenerateJsonSchema

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def tool(
    function: Callable[..., Any],
    title: str,
    *,
    reads: bool = False,
    runs_code: bool = False,
    destroys: bool = False,
    idempotent: bool = False,
) -> Tool:
    """Make a tool of a function. What neither reads only, runs code nor destroys changes nothing of a person's."""
    annotations = ToolAnnotations(
        title=title,
        read_only_hint=reads,
        destructive_hint=runs_code or destroys,
        idempotent_hint=reads or idempotent,
        open_world_hint=runs_code,  # code can reach whatever the person's own code can
    )
    made = Tool.from_function(
        function,
        title=title,
        description=inspect.getdoc(function),
        annotations=annotations,
        structured_output=True,
    )
    loose = made.fn_metadata
    strict: type[ArgModelBase] = create_model(
        loose.arg_model.__name__, __base__=(_StrictArguments, loose.arg_model)
    )
    made.fn_metadata = _StrictMetadata(
        arg_model=strict,
        output_schema=loose.output_schema,
        output_model=loose.output_model,
        wrap_output=loose.wrap_output,
    )
    made.parameters = strict.model_json_schema(by_alias=True, schema_generator=_UntitledSchema)
    return made


class _StrictMetadata(FuncMetadata):
    """See the module."""

    def pre_parse_json(self, data: dict[str, Any]) -> dict[str, Any]:
        return data

    async def call_fn(
        self,
        fn: Callable[..., Any | Awaitable[Any]],
        fn_is_async: bool,  # noqa: FBT001  # the SDK's signature
        arguments: dict[str, Any],
        arguments_to_pass_directly: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return await super().call_fn(fn, fn_is_async, arguments, arguments_to_pass_directly)
        except BridgeError as refusal:
            raise ToolError(f"[{refusal.code}] {refusal}") from refusal


class _StrictArguments(ArgModelBase):
    model_config = ConfigDict(extra="forbid", strict=True)


class _UntitledSchema(GenerateJsonSchema):
    """Without pydantic's titles ("Cell Id" for `cell_id`): they tell a model nothing, and it pays for them."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002  # pydantic's signature
        return False
