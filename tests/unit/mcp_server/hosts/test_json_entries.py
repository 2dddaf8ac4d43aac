"""An entry goes into a JSON file of settings, and out again, and everything else stays as a person has written it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marimo_kernel_bridge.mcp_server.hosts.json_entries import (
    CannotEditError,
    read,
    with_entry,
    without_entry,
)

PATH = ("mcpServers", "marimo")
ENTRY = {"command": "/bin/bridge", "args": ["mcp"]}

WITH_COMMENTS = """\
// Settings of mine
{
    "theme": "dark", // not light
    /* the servers */
    "mcpServers": {
        "other": {"command": "x"}, // keep this
    },
}
"""


def test_a_file_with_comments_and_trailing_commas_keeps_them() -> None:
    edited = with_entry(WITH_COMMENTS, PATH, ENTRY)
    for kept in (
        "// Settings of mine",
        "// not light",
        "/* the servers */",
        '{"command": "x"}, // keep this',
    ):
        assert kept in edited
    assert read(edited) == {"theme": "dark", "mcpServers": {"other": {"command": "x"}, "marimo": ENTRY}}
    assert edited.index("// keep this") < edited.index('"marimo"')
    assert '        "marimo": {\n            "command": "/bin/bridge"' in edited


def test_what_was_put_in_can_be_taken_out_again() -> None:
    assert without_entry(with_entry(WITH_COMMENTS, PATH, ENTRY), PATH) == WITH_COMMENTS
    assert without_entry(WITH_COMMENTS, PATH) == WITH_COMMENTS
    assert read(without_entry(with_entry("", PATH, ENTRY), PATH)) == {"mcpServers": {}}


def test_a_second_time_changes_nothing() -> None:
    once = with_entry(WITH_COMMENTS, PATH, ENTRY)
    assert with_entry(once, PATH, ENTRY) == once


def test_an_entry_that_is_there_keeps_the_fields_that_a_person_has_added() -> None:
    own = {"command": "old", "args": ["mcp"], "disabled": True}
    edited = with_entry(json.dumps({"mcpServers": {"marimo": own}}), PATH, ENTRY)
    assert read(edited)["mcpServers"]["marimo"] == {**ENTRY, "disabled": True}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "{ }",
        "{\n}\n",
        '{"a": 1}',
        '{"mcpServers": {}}',
        '{\r\n  "a": 1\r\n}\r\n',
        "\ufeff{}",
        "{ // why\n}",
    ],
)
def test_any_file_takes_an_entry(text: str) -> None:
    assert read(with_entry(text, PATH, ENTRY))["mcpServers"]["marimo"] == ENTRY
    assert "\r" not in with_entry(text, PATH, ENTRY).replace("\r\n", "") or "\r\n" not in text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "no object"),
        ('{"mcpServers": []}', "mcpServers is no object"),
        ('{"a": 1', "line 1: a comma is missing"),
        ('{"a" 1}', "a colon is missing"),
        ("{a: 1}", "double quotes"),
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ('{"a": nothing}', "a value is missing"),
        ("{} {}", "more than one value"),
        ('{"a":' * 200, "too many levels"),
    ],
)
def test_what_cannot_be_edited_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(CannotEditError, match=why):
        with_entry(text, PATH, ENTRY)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(), _VALUES, max_size=4),
    st.dictionaries(st.text(), _VALUES, max_size=3),
    st.sampled_from([None, 2, "\t"]),
)
def test_in_any_settings_an_entry_comes_and_goes_and_the_rest_stays(
    settings: dict[str, object], servers: dict[str, object], indent: int | str | None
) -> None:
    servers.pop("marimo", None)
    settings["mcpServers"] = servers
    text = json.dumps(settings, indent=indent)
    edited = with_entry(text, PATH, ENTRY)
    assert json.loads(edited) == {**settings, "mcpServers": {**servers, "marimo": ENTRY}}
    assert json.loads(without_entry(edited, PATH)) == settings
