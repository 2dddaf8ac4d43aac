"""The documentation does not lie: its examples run, and it has every command and dependency."""

import doctest
import itertools
import json
import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.mcp_server.hosts.clients import HOSTS
from marimo_kernel_bridge.mcp_server.hosts.installing import config_for
from marimo_kernel_bridge.mcp_server.hosts.names import CLIENTS
from marimo_kernel_bridge.mcp_server.hosts.servers import Stdio
from marimo_kernel_bridge.protocol.redaction import Redactor

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(path, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def examples(block):
    """Split a console block into (command, what it prints)."""
    for part in re.split(r"(?m)^\$ ", block)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


CONSOLE = [
    pytest.param(block, id=block.splitlines()[0][2:]) for block in blocks(ROOT / "docs/cli.md", "console")
]


def call(words, folder, monkeypatch):
    """Run a command of this package in a folder, in this process; return what it prints and its exit code."""
    program = Path(sys.executable).with_name(words[0])
    assert program.name == "marimo-kernel-bridge"
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [str(program), *words[1:]])
    result = CliRunner().invoke(main, words[1:], prog_name=program.name)
    return result.output, result.exit_code


@pytest.mark.parametrize("block", CONSOLE)
def test_the_examples_of_the_command_line_print_what_the_documentation_shows(block, tmp_path, monkeypatch):
    for name in ("penguins.ipynb", "penguins.csv"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    assert list(examples(block))
    for command, expected in examples(block):
        output, exit_code = call(shlex.split(command), tmp_path, monkeypatch)
        shown = output + (f"[exit code {exit_code}]\n" if exit_code else "")
        matches = doctest.OutputChecker().check_output(expected, shown, doctest.ELLIPSIS)
        assert matches, f"$ {command}\n{shown}"


def test_each_promise_of_the_security_page_names_tests_that_exist():
    text = (ROOT / "docs/security.md").read_text()
    promises = [row for row in re.findall(r"(?m)^\|(.+)\|$", text) if "`test_" in row]
    rows = re.findall(r"(?m)^\| promise \| test \|\n\|---\|---\|\n((?:\|.+\|\n)+)", text)
    assert sum(part.count("\n") for part in rows) == len(promises) > 0  # no promise without one
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", text))
    assert named <= set(re.findall(r"def (test_\w+)\(", tests))


def test_each_form_of_a_password_is_hidden_as_the_security_page_says():
    text = (ROOT / "docs/security.md").read_text()
    rows = re.findall(r"(?m)^\| (`.+) \| (nothing|`[^`|]+`) \|$", text.split("| written so | hidden |")[1])
    assert len(rows) == 9
    for forms, hidden in rows:
        for form in re.findall(r"`([^`]+)`", forms):
            shown = Redactor().text(form)
            assert ("<<redacted:" in shown) == (hidden != "nothing"), form
            assert hidden == "nothing" or hidden.strip("`") not in shown, form


def test_every_command_is_documented_and_no_other():
    headings = re.findall(r"(?m)^## (.+)$", (ROOT / "docs/cli.md").read_text())
    assert headings == list(main.commands)


def test_every_option_is_documented_or_explained_by_help():
    text = (ROOT / "docs/cli.md").read_text()
    options = {
        option
        for command in main.commands.values()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    }
    assert {option for option in options if option not in text} <= {"--output"}  # documented as -o


def test_the_commands_in_shell_blocks_exist():
    for path in DOCUMENTS:
        for block in blocks(path, "sh"):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                if "marimo-kernel-bridge" in words and words[0] != "pip":
                    command = words[words.index("marimo-kernel-bridge") + 1]
                    assert command in main.commands, line


def test_the_page_of_hosts_gives_to_each_what_print_config_does(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("XDG_CONFIG_HOME", "CODEX_HOME", "CLINE_MCP_SETTINGS_PATH"):
        monkeypatch.delenv(name, raising=False)
    page = ROOT / "docs/install.md"
    ours = Stdio(("marimo-kernel-bridge", "mcp"))
    shown = {language: blocks(page, language) for language in ("sh", "json", "toml", "yaml")}
    configurations = [json.loads(block) for block in shown["json"]]
    for client in CLIENTS:
        config, settings = config_for(client, ours), HOSTS[client].settings
        text = config.text + "\n"
        if settings is None:
            assert text in shown["sh"], client
        elif settings.format == "json":
            assert json.loads(text) in configurations, client
        else:
            assert text in shown["toml" if settings.format == "toml" else "yaml"], client
        if settings is not None:
            assert f"`~/{settings.find().relative_to(Path.home())}`" in page.read_text(), client
        assert f"`{client}`" in page.read_text()


README = [
    shlex.split(line, comments=True)
    for block in blocks(ROOT / "README.md", "sh")
    for line in block.splitlines()
]


TESTED_ELSEWHERE = {
    ("demo",): "test_demo.py",
    ("lab",): "test_cli.py",
    ("doctor",): "cli.md",  # among the examples above
}


def test_the_readme_has_commands_of_the_kinds_that_are_tested_here():
    assert {words[0] for words in README} == {"python3", "make", "pip", "marimo-kernel-bridge"}
    assert [words for words in README if words[0] == "python3"] == [
        ["python3", "-m", "venv", "env", "&&", ".", "env/bin/activate"]
    ]
    assert [words for words in README if words[0] == "make"] == [["make", "demo"], ["make", "test"]]
    assert [words for words in README if words[0] == "pip"] == [
        ["pip", "install", ".[lab,demo]"]
    ]  # test_wheel.py


def test_the_programs_commands_of_the_readme_run_in_order(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "examples", tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CODEX_HOME", raising=False)
    commands = [words for words in README if words[0] == "marimo-kernel-bridge"]
    assert {tuple(words[1:]) for words in commands} > set(TESTED_ELSEWHERE)
    for words in commands:
        if tuple(words[1:]) not in TESTED_ELSEWHERE:
            output, exit_code = call(words, tmp_path, monkeypatch)
            assert exit_code == 0, f"{words}\n{output}"
    assert (tmp_path / "again.ipynb").exists()
    assert (tmp_path / ".codex/config.toml").exists()


def test_every_target_that_the_readme_names_is_in_the_makefile():
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    named = set(re.findall(r"(?m)(?:^|`)make ([a-z]+)\b", (ROOT / "README.md").read_text()))
    assert {"demo", "test"} <= named <= targets


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras_by_name = project["optional-dependencies"]
    wanted = [*project["dependencies"], *itertools.chain.from_iterable(extras_by_name.values())]
    reasons = (ROOT / "docs/decisions/0001-dependencies.md").read_text()
    missing = [name for name in wanted if f"`{re.split('[<>=]', name)[0]}`" not in reasons]
    assert not missing
    rows = re.findall(r"(?m)^\|(.*)\|[^|]*\|$", reasons.split("## Not taken")[0])
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)} - extras_by_name.keys()
    assert named <= {re.split("[<>=]", name)[0] for name in wanted}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target
