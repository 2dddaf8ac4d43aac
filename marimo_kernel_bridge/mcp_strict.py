"""Functions as MCP tools whose arguments are exactly what the schema says, and whose refusals reach the model.

What the SDK does by itself: it drops unknown arguments silently, so that a misspelt `scratch` would change the notebook;
it parses JSON inside of strings and turns "3" into 3; and it passes pydantic's own texts on to the model.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import ToolAnnotations
from pydantic import ConfigDict, ValidationError, create_model
from pydantic.json_schema import GenerateJsonSchema

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_arguments import explain

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.mcpserver import Context


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
    made = _StrictTool.from_function(
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


class _StrictTool(Tool):
    """A tool whose refusals begin with their code."""

    async def run(
        self,
        arguments: dict[str, Any],
        context: Context[Any, Any],
        convert_result: bool = False,  # noqa: FBT001, FBT002  # the SDK's signature
    ) -> Any:
        try:
            self.fn_metadata.validate_arguments(arguments)
        except ValidationError as error:
            raise ToolError(explain(self.name, self.parameters, error)) from error
        try:
            return await super().run(arguments, context, convert_result)
        except ToolError as error:
            # The SDK's own text for a crash stays; what we refused goes without its "Error executing tool".
            if isinstance(error.__cause__, BridgeError):
                raise ToolError(f"[{error.__cause__.code}] {error.__cause__}") from error.__cause__
            raise


class _StrictMetadata(FuncMetadata):
    """Takes arguments as they are."""

    def pre_parse_json(self, data: dict[str, Any]) -> dict[str, Any]:
        return data


class _StrictArguments(ArgModelBase):
    model_config = ConfigDict(extra="forbid", strict=True)


class _UntitledSchema(GenerateJsonSchema):
    """Without pydantic's titles ("Cell Id" for `cell_id`): they tell a model nothing, and it pays for them."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002  # pydantic's signature
        return False
