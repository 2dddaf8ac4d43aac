"""Words of a command line become arguments of a tool, by the tool's schema."""

from typing import Any

import pytest

from marimo_kernel_bridge.cli.tool_words import arguments_of, help_of
from marimo_kernel_bridge.errors import WrongUsageError

SCHEMA = {
    "properties": {
        "cell_id": {"type": "string", "description": "Which one."},
        "limit": {"type": "integer", "default": 5},
        "timeout": {"type": "number"},
        "scratch": {"type": "boolean"},
        "cell_ids": {"type": "array", "items": {"type": "string"}},
        "parameters": {"type": "object"},
        "value": {},
        "which": {"type": "string", "enum": ["stale", "all"]},
    },
    "required": ["cell_id"],
}


def words(*given: str, stdin: str = "") -> dict[str, Any]:
    return arguments_of("a_tool", SCHEMA, given, lambda: stdin)


def test_words_are_read_by_the_type_of_the_argument() -> None:
    assert words("--cell-id", "3", "--limit=7", "--timeout", "0.5", "--scratch") == {
        "cell_id": "3",
        "limit": 7,
        "timeout": 0.5,
        "scratch": True,
    }
    assert words("--no-scratch", "--cell_id=--odd") == {"scratch": False, "cell_id": "--odd"}
    assert words("--scratch=false") == {"scratch": False}


def test_a_list_is_repeated_or_json() -> None:
    assert words("--cell-ids", "a", "--cell-ids", "b") == {"cell_ids": ["a", "b"]}
    assert words("--cell-ids", '["a", "b"]') == {"cell_ids": ["a", "b"]}
    assert words("--parameters", '{"x": 1}') == {"parameters": {"x": 1}}


def test_a_value_of_any_type_is_json_or_text() -> None:
    assert [words("--value", text)["value"] for text in ("3", "true", "[1]", "Bonn")] == [
        3,
        True,
        [1],
        "Bonn",
    ]


def test_a_dash_stands_for_standard_input() -> None:
    assert words("--cell-id", "-", stdin="x = 1\n") == {"cell_id": "x = 1\n"}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["c3"], "'c3' is no argument of a_tool"),
        (["--cellid", "c3"], "Did you mean --cell-id?"),
        (["--cell-id"], "has no value"),
        (["--limit", "many"], "of the type integer"),
        (["--parameters", "[1]"], "of the type object"),
        (["--cell-ids", "[1"], "Lists and objects are JSON"),
        (["--"], "no argument"),
    ],
)
def test_what_fits_no_argument_is_refused_with_what_does(given: list[str], why: str) -> None:
    with pytest.raises(WrongUsageError) as refused:
        words(*given)
    assert why in str(refused.value)


def test_help_has_each_argument() -> None:
    text = help_of("a_tool", "A tool", "It does it.", SCHEMA)
    assert "--cell-id TEXT (required)  Which one." in text
    assert "--limit NUMBER  [default: 5]" in text
    assert "--which stale | all" in text
    assert "--value JSON" in text
    assert "--cell-ids VALUE (again for each, or one JSON list)" in text
