"""The processes that this package starts import no module of the working directory."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import marimo_kernel_bridge
from marimo_kernel_bridge.launch import kernelspecs
from marimo_kernel_bridge.mcp_server.views.command_line import ExportReport, run_command
from marimo_kernel_bridge.protocol.own_python import module_command, python_command, python_environment

PACKAGE = Path(marimo_kernel_bridge.__file__).parent
NOT_STARTED = {
    "Path",  # what lies beside the interpreter
    "Environment",  # what an agent is told
    "InstallReport",
    "KernelDescription",
    "str",
}
OTHERS = {
    "protocol/own_python.py": "the one place",
    "launch/install.py": "a kernelspec, which has `-P`",
    "launch/pool/preload_check.py": "the interpreter of a kernelspec, in an empty folder",
    "launch/pool/server.py": "what a pool says of itself",
    "launch/kernelspecs.py": "the interpreter of a kernelspec",
    "cli/doctor.py": "the interpreter of a kernelspec, in an empty folder",
    "inspecting/packages.py": "whose packages are changed, for pip",
    "sandbox/overlay.py": "the interpreter that an environment in a sandbox is of",
    "sandbox/files.py": "a folder that code in a sandbox may read",
    "sandbox/variables.py": "the command line of this process, anew",
}

pytestmark = pytest.mark.anyio


def uses_of_the_interpreter(tree: ast.Module) -> Iterator[int]:
    """Yield each `sys.executable` that could become a part of a command line."""
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    for node, direct in parents.items():
        if not (
            isinstance(node, ast.Attribute) and node.attr == "executable" and ast.unparse(node.value) == "sys"
        ):
            continue
        parent = direct
        while isinstance(parent, ast.BoolOp | ast.keyword | ast.UnaryOp | ast.IfExp):
            parent = parents[parent]
        if isinstance(parent, ast.FormattedValue | ast.If | ast.Compare):
            continue
        if isinstance(parent, ast.Call) and ast.unparse(parent.func) in NOT_STARTED:
            continue
        if isinstance(parent, ast.List) and ast.unparse(parent.elts[-2:][0]) == "'--python'":  # for uv
            continue
        yield node.lineno


def test_only_one_module_builds_command_lines_of_this_interpreter() -> None:
    found = {
        f"{path.relative_to(PACKAGE).as_posix()}:{line}"
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).as_posix() not in OTHERS
        if "sys.executable" in (text := path.read_text(encoding="utf-8"))
        for line in uses_of_the_interpreter(ast.parse(text))
    }
    assert not found, "use protocol.own_python"


@pytest.fixture
def trapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with modules that would take the place of those that we and Python import."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    trap = f"open({str(tmp_path / 'sprung')!r}, 'a').write(__name__ + ' ')\nraise SystemExit(3)\n"
    for name in ("click", "json", "email", "queue", "nbformat", "msgspec", "marimo", "sitecustomize", "pip"):
        (folder / f"{name}.py").write_text(trap)
    (folder / "marimo_kernel_bridge").mkdir()
    for name in ("__init__", "__main__"):
        (folder / "marimo_kernel_bridge" / f"{name}.py").write_text(trap)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep)  # twice the working directory, for Python
    return folder


async def test_an_export_for_an_agent_runs_no_module_of_the_working_directory(trapped: Path) -> None:
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": "1",
        "outputs": [],
        "execution_count": None,
    }
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (trapped / "a.ipynb").write_text(json.dumps(notebook))
    report = await run_command(
        ExportReport, "export", "a.ipynb", "--to", "json", "--output", "a.json", bound=300
    )
    assert report.cells == 1
    assert not (trapped.parent / "sprung").exists()


def test_a_kernelspec_of_an_earlier_version_runs_no_package_of_the_notebooks_folder(tmp_path: Path) -> None:
    """It has no `-P`: Python itself imports from the folder until our first line has run."""
    (tmp_path / "click.py").write_text("raise SystemExit(3)")
    command = [sys.executable, "-m", "marimo_kernel_bridge", "--version"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)


@pytest.mark.parametrize("command", [python_command("-c", "import json, queue"), module_command("--version")])
def test_our_command_lines_run_no_module_of_the_working_directory(trapped: Path, command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, env=python_environment())
    assert not (trapped.parent / "sprung").exists()


@pytest.mark.parametrize(
    ("path", "kept"),
    [(":/a", "/a"), ("/a::/b:", "/a:/b"), (".:src:../x:/a", "/a"), (":", None), ("src", None), (None, None)],
)
def test_our_processes_get_only_absolute_entries_of_pythonpath(
    monkeypatch: pytest.MonkeyPatch, path: str | None, kept: str | None
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if path is not None:
        monkeypatch.setenv("PYTHONPATH", path)
    environment = python_environment()
    assert environment.get("PYTHONPATH") == kept
    assert environment.items() <= dict(os.environ, PYTHONPATH=kept or "").items()


WITH_ANOTHER_ENVIRONMENT = {
    "mcp_server/hosts/installing.py": "programs of agents, none of which is Python",
    "sandbox/containers.py": "podman and docker, and no Python in their folder",
    "sandbox/bubblewrap.py": "bwrap, and no Python in it",
    "sandbox/entering.py": "the program of an engine, with what goes into the sandbox",
    "sandbox/variables.py": "this program anew, with what goes into the sandbox",
}
STARTS = ("create_subprocess_exec", "subprocess.run", "Popen", "StdioServerParameters", "execve")


def test_our_processes_are_started_with_that_environment() -> None:
    without = [
        f"{path.relative_to(PACKAGE).as_posix()}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).as_posix() not in WITH_ANOTHER_ENVIRONMENT
        if "own_python" in (text := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(STARTS)
        if "environ" not in ast.unparse(node) or "os.environ" in ast.unparse(node)
    ]
    assert without == []


def test_asking_an_interpreter_about_itself_runs_no_module_beside_it(trapped: Path) -> None:
    program = trapped / "python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    assert kernelspecs.of_interpreter(str(program)).argv[0] == str(program)
    assert not (trapped.parent / "sprung").exists()
