"""Schemas of tools say what they must, once, and nothing else."""

from dataclasses import dataclass
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from marimo_kernel_bridge.mcp_server.sdk.schemas import Without, of_answer, of_arguments
from marimo_kernel_bridge.mcp_server.sdk.strict_tools import StrictTool
from marimo_kernel_bridge.mcp_server.tool import ToolDeclaration
from marimo_kernel_bridge.mcp_tools import TOOLS


@dataclass(frozen=True)
class Once:
    """What has a `title`.

    It is used in one place.
    """

    title: str
    seconds: float | None = None


@dataclass(frozen=True)
class Twice:
    """What is used in two."""

    known: str | None


@dataclass(frozen=True)
class Perhaps:
    """What may be missing."""

    found: bool


@dataclass(frozen=True)
class View:
    """Not repeated: the tool says it."""

    first: tuple[Twice, ...]
    only: Once
    second: Twice | None = None
    perhaps: Perhaps | None = None
    count: int = 0
    note: str = ""
    lines: tuple[str, ...] = ()


TWICE = {
    "type": "object",
    "properties": {"known": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    "required": ["known"],
}
ONCE = {
    "description": "What has a `title`.",
    "type": "object",
    "properties": {"title": {"type": "string"}, "seconds": {"type": "number"}},
    "required": ["title"],
}
PERHAPS = {
    "type": "object",
    "properties": {"found": {"type": "boolean"}},
    "required": ["found"],
}
TO_TWICE = {"$ref": "#/$defs/Twice"}


def test_an_answers_schema_tells_what_may_be_missing_and_of_parts_only_what_explains_fields() -> None:
    assert of_answer(View, Without()) == {
        "$defs": {"Twice": TWICE},
        "type": "object",
        "properties": {
            "first": {"type": "array", "items": TO_TWICE},
            "only": ONCE,
            "second": TO_TWICE,
            "perhaps": PERHAPS,
            "count": {"type": "integer"},
            "note": {"type": "string"},
            "lines": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["first", "only"],
    }


def test_a_tool_can_leave_out_fields_that_its_answers_never_have_and_what_only_those_use() -> None:
    schema = of_answer(View, Without(("first", "second", "lines")))
    assert "$defs" not in schema
    assert list(schema["properties"]) == ["only", "perhaps", "count", "note"]


class Part(BaseModel):
    name: str


class Arguments(BaseModel):
    parts: list[Part]
    kernel: Annotated[str | None, Field(description="Which.")] = None
    limit: Annotated[int, Field(ge=1)] = 5


def test_an_arguments_schema_has_no_titles_and_no_nulls() -> None:
    assert of_arguments(Arguments.model_json_schema()) == {
        "type": "object",
        "properties": {
            "parts": {
                "type": "array",
                "items": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            },
            "kernel": {"type": "string", "description": "Which."},
            "limit": {"type": "integer", "minimum": 1, "default": 5},
        },
        "required": ["parts"],
    }


@pytest.mark.parametrize("declaration", TOOLS, ids=lambda one: one.name)
def test_the_schema_of_a_tool_is_that_of_the_model_that_checks_its_arguments(
    declaration: ToolDeclaration,
) -> None:
    tool = StrictTool.of(declaration, declaration.function)
    assert tool.takes == of_arguments(tool.fn_metadata.arg_model.model_json_schema(by_alias=True))
