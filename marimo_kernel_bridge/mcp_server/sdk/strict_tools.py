"""MCP tools that validate arguments strictly and return refusals to the model.

By default, the SDK drops unknown arguments silently, so that a misspelled `scratch` would change the notebook; it parses
any string as JSON, also where a text is meant; and it passes pydantic's messages to the model.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import ConfigDict, ValidationError, create_model

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.tables import as_objects
from marimo_kernel_bridge.mcp_server.sdk import schemas
from marimo_kernel_bridge.mcp_server.sdk.apps import meta_of
from marimo_kernel_bridge.mcp_server.sdk.argument_errors import explain
from marimo_kernel_bridge.mcp_server.sdk.meant_arguments import as_meant
from marimo_kernel_bridge.protocol.value_counts import MOST_VALUES, has_few_values

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

    from marimo_kernel_bridge.mcp_server.tool import ToolDeclaration, ToolFunction


class StrictTool(Tool):
    """An SDK tool that accepts exactly the arguments in its schema. Its refusals begin with their code."""

    @classmethod
    def of(cls, declaration: ToolDeclaration, guarded: ToolFunction) -> StrictTool:
        """Create the tool of a declaration. `guarded` is its function, wrapped by the guard."""
        return cls._described(declaration).model_copy(update={"fn": guarded})

    @classmethod
    @cache
    def _described(cls, declaration: ToolDeclaration) -> StrictTool:
        """Return the unguarded tool with its schemas, which are slow to generate."""
        function = declaration.function
        # What is the protocol's default is left out: a tool is destructive and of an open world unless it says otherwise, and of
        # one that only reads, nothing else has a meaning. Code can access everything that the person's own code can.
        annotations = ToolAnnotations(
            read_only_hint=declaration.reads or None,
            destructive_hint=None if declaration.reads or declaration.changes else False,
            idempotent_hint=(declaration.idempotent and not declaration.reads) or None,
            open_world_hint=None if declaration.runs_code else False,
        )
        described = cls.from_function(
            function,
            title=declaration.title if declaration.title != _in_words(declaration.name) else None,
            description=declaration.description,
            annotations=annotations if annotations.model_dump(exclude_none=True) else None,
            meta=meta_of(declaration),
            structured_output=False,  # the SDK would generate its own schema for each tool
        )
        assert isinstance(described, StrictTool)
        loose = described.fn_metadata.arg_model
        strict: type[ArgModelBase] = create_model(loose.__name__, __base__=(_StrictArguments, loose))
        # The SDK has made the schema already: a second one for each tool would be a twentieth of the time until a server answers.
        takes = schemas.of_arguments({**described.parameters, "additionalProperties": False})
        views, _ = schemas.answer_of(function)
        described.fn_metadata = _StrictMetadata(arg_model=strict, takes=takes, views=views)
        described.parameters = schemas.published(takes, declaration.brief)
        return described

    @property
    def takes(self) -> dict[str, Any]:
        """The schema of its arguments, with the limits that clients are not told."""
        assert isinstance(self.fn_metadata, _StrictMetadata)
        return self.fn_metadata.takes

    async def run(
        self,
        arguments: dict[str, Any],
        context: Context[Any, Any],
        convert_result: bool = False,  # noqa: FBT001, FBT002  # the SDK's signature
    ) -> Any:
        self.checked(arguments)
        try:
            return await super().run(arguments, context, convert_result)
        except ToolError as error:
            # The SDK's message for a crash is kept; refusals are sent without its prefix "Error executing tool".
            if isinstance(error.__cause__, BridgeError):
                raise ToolError(f"[{error.__cause__.code}] {error.__cause__}") from error.__cause__
            raise

    def checked(self, arguments: dict[str, Any]) -> None:
        """Raise `ToolError`, which says what to send instead, for arguments that the tool does not take."""
        self._require_usable(arguments)
        try:
            self.fn_metadata.validate_arguments(arguments)
        except ValidationError as error:
            raise ToolError(explain(self.name, self.takes, error)) from error

    def _require_usable(self, arguments: dict[str, Any]) -> None:
        """Raise for arguments that nothing can be done with, whatever the schema is, or that take long to look at."""
        if not has_few_values(arguments):
            raise ToolError(
                f"[too_large] {self.name} was not called; its arguments hold more than {MOST_VALUES:,} values. Send fewer at a time."
            )
        try:
            msgspec.json.encode(arguments)
        except (
            UnicodeEncodeError
        ):  # it would fail wherever it is written: as a path, in a message, in the answer
            raise ToolError(
                f"[bad_request] {self.name} was not called; its arguments hold half of a surrogate pair, which is no text."
            ) from None
        except ValueError:
            raise ToolError(
                f"[bad_request] {self.name} was not called; its arguments hold a number of thousands of digits."
            ) from None


def _in_words(name: str) -> str:
    """Return a name as hosts show it to people where a tool has no title."""
    return name.replace("_", " ").capitalize()


class _StrictMetadata(FuncMetadata):
    """Metadata that passes arguments as they are meant, and checks answers: `takes` is the schema of all, `views` the answer's classes."""

    takes: dict[str, Any]
    views: tuple[Any, ...]

    def pre_parse_json(self, data: dict[str, Any]) -> dict[str, Any]:
        return as_meant(self.takes, data)

    def convert_result(self, result: Any) -> Any:
        if isinstance(result, CallToolResult) and not result.is_error:
            content = as_objects(result.structured_content, *self.views)
            *others, last = self.views
            for view in others:
                with suppress(msgspec.ValidationError):
                    msgspec.convert(content, view)
                    return result
            msgspec.convert(content, last)
        return result


class _StrictArguments(ArgModelBase):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)  # until the tool is called
