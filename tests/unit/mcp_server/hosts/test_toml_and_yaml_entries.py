"""An entry goes into TOML and YAML settings, and out again, and everything else stays as a person has written it."""

import tomllib
from types import ModuleType

import pytest
import yaml

from marimo_kernel_bridge.mcp_server.hosts import toml_entries, yaml_entries
from marimo_kernel_bridge.mcp_server.hosts.json_entries import CannotEditError

CODEX = ("mcp_servers", "marimo")
GOOSE = ("extensions", "marimo")
ENTRY = {"command": "/bin/bridge", "args": ["mcp", "--allow", "propose"]}

TOML = """\
# My settings
model = "o1"  # the large one

[mcp_servers.other]
command = "x"

# What follows is about projects
[projects."/work"]
trust_level = "trusted"
"""

YAML = """\
# My settings
GOOSE_MODEL: "large"  # the large one

extensions:
  # built in
  developer:
    enabled: true
    type: builtin

# What follows is about search
GOOSE_SEARCH_PATHS:
  - "/bin"
"""


def test_toml_keeps_comments_and_tables() -> None:
    edited = toml_entries.with_entry(TOML, CODEX, ENTRY)
    assert edited.startswith(TOML)
    assert tomllib.loads(edited)["mcp_servers"] == {"other": {"command": "x"}, "marimo": ENTRY}
    assert toml_entries.with_entry(edited, CODEX, ENTRY) == edited
    assert toml_entries.without_entry(edited, CODEX).rstrip() == TOML.rstrip()


def test_yaml_keeps_comments_and_mappings() -> None:
    edited = yaml_entries.with_entry(YAML, GOOSE, ENTRY)
    for kept in YAML.splitlines():
        assert kept in edited
    assert yaml.safe_load(edited)["extensions"]["marimo"] == ENTRY
    assert edited.index("marimo") < edited.index("# What follows")
    assert yaml_entries.with_entry(edited, GOOSE, ENTRY) == edited
    assert yaml_entries.without_entry(edited, GOOSE) == YAML


def test_a_table_that_is_there_keeps_the_keys_that_a_person_has_added() -> None:
    text = '[mcp_servers.marimo] # mine\nargs = [\n  "old",\n]\nstartup_timeout_sec = 60\ncommand = "old"\n[mcp_servers.marimo.env]\nA = "1"\n'
    edited = toml_entries.with_entry(text, CODEX, ENTRY)
    assert tomllib.loads(edited)["mcp_servers"]["marimo"] == {
        **ENTRY,
        "startup_timeout_sec": 60,
        "env": {"A": "1"},
    }
    assert "# mine" in edited
    assert toml_entries.without_entry(edited, CODEX) == ""


def test_an_entry_of_yaml_that_is_there_keeps_the_fields_that_a_person_has_added() -> None:
    text = "extensions:\n  marimo:\n    command: old\n    timeout: 5\n  other: {}\n"
    edited = yaml_entries.with_entry(text, GOOSE, ENTRY)
    assert yaml.safe_load(edited)["extensions"] == {"marimo": {**ENTRY, "timeout": 5}, "other": {}}


@pytest.mark.parametrize(
    ("editor", "text"),
    [
        (toml_entries, ""),
        (toml_entries, 'a = 1\n[b]\nc = """\n[mcp_servers.marimo]\n"""'),
        (toml_entries, "a = 1\r\n"),
        (toml_entries, "[mcp_servers]\nx = {command = 'y'}\n"),
        (yaml_entries, ""),
        (yaml_entries, "# nothing yet\n"),
        (yaml_entries, "extensions: {}\na: 1\n"),
        (yaml_entries, "extensions:\na: 1\n"),
        (yaml_entries, "a: 1"),
        (yaml_entries, "extensions:\n    developer:\n        enabled: true\n"),
        (yaml_entries, 'a: |\n  extensions:\n    no\n"extensions":\n  b: 1\n'),
    ],
)
def test_any_file_takes_an_entry_and_gives_it_back(editor: ModuleType, text: str) -> None:
    path, load = (CODEX, tomllib.loads) if editor is toml_entries else (GOOSE, yaml.safe_load)
    edited = editor.with_entry(text, path, ENTRY)
    said = load(edited)
    assert said[path[0]][path[1]] == ENTRY
    del said[path[0]][path[1]]
    without = load(editor.without_entry(edited, path)) or {}
    assert {**without, path[0]: without.get(path[0]) or {}} == said


@pytest.mark.parametrize(
    ("editor", "text"),
    [
        (toml_entries, "a = "),
        (toml_entries, 'mcp_servers = "none"'),
        (yaml_entries, "a: [1"),
        (yaml_entries, "- a"),
        (yaml_entries, "extensions: {other: {}}"),
        (yaml_entries, "extensions: 3"),
        (yaml_entries, "---\na: 1\n---\nb: 2\n"),
    ],
)
def test_what_cannot_be_edited_is_refused(editor: ModuleType, text: str) -> None:
    with pytest.raises(CannotEditError):
        editor.with_entry(text, CODEX if editor is toml_entries else GOOSE, ENTRY)
