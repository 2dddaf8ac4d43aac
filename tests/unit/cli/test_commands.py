"""The command line in memory: help, refusals, and what each command prints. No command starts a process."""

import json
import runpy
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from marimo_kernel_bridge import __main__, __version__
from marimo_kernel_bridge.cli.ceilings import MOST_SESSIONS, CeilingOptions
from marimo_kernel_bridge.cli.import_command import NOT_ALL_CARRIED_OVER
from marimo_kernel_bridge.cli.lab import _for_our_kernel
from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.client import discovery
from marimo_kernel_bridge.client.discovery import FoundKernel
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.importing import to_marimo
from marimo_kernel_bridge.launch.sessions.entries import Session, id_of
from marimo_kernel_bridge.launch.sessions.registry import Registry
from marimo_kernel_bridge.notebooks.ipynb import Conversion, Notebook
from marimo_kernel_bridge.protocol.bounds import Bounds, Sandbox


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in arguments], prog_name="marimo-kernel-bridge")


def write_notebook(path: Path, *sources: str) -> Path:
    cells = [
        {"cell_type": "code", "id": f"c{number}", "source": source, "metadata": {}, "outputs": []}
        for number, source in enumerate(sources)
    ]
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    return path


# Help and refusals


def test_version_is_printed() -> None:
    assert call("--version").output == f"marimo-kernel-bridge, version {__version__}\n"


def test_the_list_of_commands_cuts_no_sentence() -> None:
    assert "..." not in call("--help").output.replace("[ARGS]...", "")


def test_help_lists_the_commands_in_the_order_of_their_use() -> None:
    words = [line.split()[0] for line in call("--help").output.split("Commands:\n")[1].splitlines() if line]
    assert [word for word in words if word in main.commands] == [
        name for name, command in main.commands.items() if not command.hidden
    ]


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_has_help_with_examples(command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0
    assert main.commands[command].help
    assert f"  marimo-kernel-bridge {command}" in result.output.split("Examples:")[1]


def test_a_refusal_is_one_line_on_stderr_that_says_what_to_do(tmp_path: Path) -> None:
    missing = tmp_path / "none.ipynb"
    result = call("import", missing)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"marimo-kernel-bridge: {missing} does not exist. Check the path.\n"


def test_a_refusal_is_json_too_where_the_report_is(tmp_path: Path) -> None:
    result = call("import", tmp_path / "none.ipynb", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "refused": f"{tmp_path / 'none.ipynb'} does not exist.",
        "code": "bad_notebook",
        "hint": "Check the path.",
    }


def test_an_unknown_command_is_refused_with_a_way_to_help() -> None:
    result = call("frobnicate")
    assert result.exit_code == 2
    assert "--help" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("install", "--preload", "json"), "--preload needs --pool."),
        (("install", "--user", "--sys-prefix"), "Give one of --user, --sys-prefix and --prefix."),
        (("mcp", "--port", "1"), "--port needs --http or --connect."),
        (("mcp", "--token-file", "t"), "--host, --allow-remote and --token-file need --http."),
        (
            ("mcp", "--print-config", "cursor", "--install", "cursor"),
            "Give one of --print-config, --print-link, --install and --uninstall, and one of --http and --connect.",
        ),
        (("mcp", "--http", "--port", "0", "--print-config", "cursor"), "needs the port"),
        (("export", "a.py", "--json", "-o", "-"), "--json prints a report to stdout: -o must name a file."),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    arguments: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    result = call(*arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())


def test_help_says_what_the_widest_permission_lets_agents_do_unasked() -> None:
    told = " ".join(call("mcp", "--help").stdout.split())
    assert "start and stop kernels, and install packages without asking you. [default: run]" in told


# Installing the kernelspec


def test_install_writes_a_kernelspec_with_this_interpreter_and_logos(tmp_path: Path) -> None:
    result = call("install", "--prefix", tmp_path, "--name", "marimo-x", "--display-name", "marimo X")
    assert result.exit_code == 0, result.output
    place = tmp_path / "share/jupyter/kernels/marimo-x"
    spec = json.loads((place / "kernel.json").read_text())
    assert spec["argv"] == [
        sys.executable,
        "-P",
        "-m",
        "marimo_kernel_bridge",
        "kernel",
        "-f",
        "{connection_file}",
    ]
    assert spec["display_name"] == "marimo X"
    assert {"logo-svg.svg", "logo-32x32.png", "logo-64x64.png"} <= {path.name for path in place.iterdir()}
    assert f"JUPYTER_PATH={tmp_path / 'share/jupyter'}" in result.output.replace("\n", "")


def test_install_writes_limits_and_the_sandbox_into_the_command_of_the_kernel(tmp_path: Path) -> None:
    options = ("--limits", "memory=2GB,cell_seconds=30s", "--sandbox")
    result = call("install", "--prefix", tmp_path, "--name", "marimo-small", *options)
    assert result.exit_code == 0, result.output
    spec = json.loads((tmp_path / "share/jupyter/kernels/marimo-small/kernel.json").read_text())
    limits = {"memory": 2_000_000_000, "cell_seconds": 30.0}
    assert spec["argv"][-3:] == [
        "{connection_file}",
        f"--limits={json.dumps(limits, separators=(',', ':'))}",
        "--sandbox={}",
    ]
    assert spec["metadata"]["marimo_kernel_bridge"] == {"limits": limits, "sandbox": {}}
    assert spec["display_name"].endswith("marimo-small, sandbox")
    assert "with memory 2 GB, cell_seconds 30 s · sandbox: network none; files folder" in result.output
    refused = call("install", "--prefix", tmp_path, "--name", "other", "--limits", "memory=much")
    assert refused.exit_code == 1
    assert 'memory: \'much\' is no size. Write it such as "2GB" or "500 MB".' in refused.stderr
    assert not (tmp_path / "share/jupyter/kernels/other").exists()


def test_agents_in_a_sandbox_have_a_number_of_kernels_also_if_nobody_says_one() -> None:
    boxed = Bounds(sandbox=Sandbox())
    assert CeilingOptions(None, Bounds()).ceilings(None).sessions is None
    assert CeilingOptions(None, boxed).ceilings(None).sessions == MOST_SESSIONS
    assert CeilingOptions(3, boxed).ceilings(None).sessions == 3
    assert "--max-sessions" not in CeilingOptions(None, boxed).arguments()  # a later version may have another


def test_the_configuration_of_a_client_has_the_ceilings_of_the_server() -> None:
    options = (
        "--max-sessions",
        10,
        "--max-memory",
        "2GB",
        "--limits",
        "cell_seconds=5m",
        "--sandbox",
        "network=all",
    )
    printed = json.loads(call("mcp", *options, "--print-config", "cursor").stdout)
    (server,) = printed["mcpServers"].values()
    arguments = server["args"][server["args"].index("mcp") + 1 :]
    limits, sandbox = '{"memory":2000000000,"cell_seconds":300.0}', '{"network":"all"}'
    assert arguments == ["--max-sessions", "10", f"--limits={limits}", f"--sandbox={sandbox}"]
    assert (
        call("mcp", *arguments, "--print-config", "cursor").stdout
        == call("mcp", *options, "--print-config", "cursor").stdout
    )
    refused = call("mcp", "--connect", "--sandbox")
    assert refused.exit_code == 2
    assert "Limits and the sandbox are the server's" in " ".join(refused.stderr.split())


def test_calls_from_a_shell_have_ceilings_as_a_server_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    made = ("create_notebook", "--name", "a", "--allow", "run")
    refused = call("call", *made)
    assert (refused.exit_code, "This needs the permission 'all'" in refused.stderr) == (1, True), (
        refused.output
    )
    boxed = call("call", *made, "--folder", "..", "--sandbox", "strict")
    assert (boxed.exit_code, f"work in {tmp_path} and the folders in it" in boxed.stderr) == (1, True), (
        boxed.output
    )
    wrong = call("call", *made, "--max-memory", "much")
    assert (wrong.exit_code, "'much' is no size" in wrong.stderr) == (1, True), wrong.output


def test_install_names_the_kernelspec_that_comes_before_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "first/share/jupyter"))
    assert "keeps using" not in call("install", "--prefix", tmp_path / "first").output
    told = call("install", "--prefix", tmp_path / "second").output
    assert f"keeps using {tmp_path / 'first/share/jupyter/kernels/marimo'}; --name avoids" in told


def test_install_for_the_user_goes_to_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    assert call("install").exit_code == 0
    assert (tmp_path / "data/kernels/marimo/kernel.json").exists()


def test_install_into_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = call("install", "--prefix", tmp_path / "file")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert "--user" in result.stderr
    assert result.stderr.count("\n") == 1


def test_install_refuses_a_name_that_jupyter_would_refuse(tmp_path: Path) -> None:
    result = call("install", "--prefix", tmp_path, "--name", "no spaces")
    assert result.exit_code == 1
    assert "is not a valid name of a kernelspec" in result.stderr


# Listing kernels


@pytest.fixture
def one_broken_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FoundKernel:
    problem = BridgeError("connection_file_malformed", "It is no connection file.", "Delete it.")
    kernel = FoundKernel(tmp_path / "kernel-broken.json", "broken", None, problem=problem)

    async def find_kernels() -> list[FoundKernel]:
        return [kernel]

    monkeypatch.setattr(discovery, "find_kernels", find_kernels)
    return kernel


def test_kernels_that_cannot_be_used_are_counted(one_broken_kernel: FoundKernel) -> None:
    del one_broken_kernel
    assert call("kernels").output == (
        "No kernel is running. Open a notebook with the kernel 'marimo (reactive Python)' first.\n"
        "1 connection file(s) without a usable kernel; --json shows why.\n"
    )


def test_json_tells_why_a_kernel_cannot_be_used(one_broken_kernel: FoundKernel) -> None:
    (row,) = json.loads(call("kernels", "--json").output)
    assert row == {
        "kernel_id": "broken",
        "kind": "unknown",
        "state": "connection_file_malformed",
        "notebook": None,
        "connection_file": str(one_broken_kernel.path),
        "problem": "It is no connection file. Delete it.",
    }


# Importing


def test_import_writes_beside_the_notebook_and_tells_what_happened(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "", "%matplotlib inline\nprint(x)")
    result = call("import", notebook)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "n.py").exists()
    assert f"{notebook} -> {tmp_path / 'n.py'}: 3 cells, 1 kept, 1 dropped, 1 changed." in result.stdout
    assert "cell 2 [c1] dropped: it is empty" in result.stdout
    assert "cell 3 [c2] changed: `%matplotlib inline` is left out" in result.stdout
    assert "marimo check: passes" in result.stdout


def test_check_writes_nothing(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1")
    result = call("import", notebook, "--check")
    assert f"{notebook} would become {tmp_path / 'n.py'}" in result.stdout
    assert list(tmp_path.iterdir()) == [notebook]


def test_import_of_a_cell_that_cannot_be_converted_names_it_and_fails_with_the_file_written(
    tmp_path: Path,
) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "%%cython\ncdef int y")
    result = call("import", notebook, "-o", tmp_path / "out.py")
    assert result.exit_code == NOT_ALL_CARRIED_OVER
    assert result.stderr.startswith("marimo-kernel-bridge: cell 2 [c1] not converted: ")
    assert "# cdef int y" in (tmp_path / "out.py").read_text()


def test_import_reports_as_json(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "%nosuch y")
    result = call("import", notebook, "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == NOT_ALL_CARRIED_OVER
    assert report["complete"] is False
    assert [cell["fate"] for cell in report["cells"]] == ["kept", "not_converted"]
    assert report["marimo_check"]["passes"] is True


def test_import_does_not_overwrite_without_force(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1")
    (tmp_path / "n.py").write_text("mine")
    refused = call("import", notebook)
    assert refused.exit_code == 1
    assert "Name another file with -o, or pass --force." in refused.stderr
    assert (tmp_path / "n.py").read_text() == "mine"
    assert call("import", notebook, "--force").exit_code == 0
    assert "marimo.App" in (tmp_path / "n.py").read_text()


def test_a_target_of_another_suffix_is_refused(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1")
    assert "n.py: 1 cell, 1 kept." in call("import", notebook, "--check").stdout
    result = call("import", notebook, "-o", tmp_path / "n.txt")
    assert result.exit_code == 1
    assert "is no .py file" in result.stderr


def test_a_folder_is_imported_without_checkpoints_and_summed_up(tmp_path: Path) -> None:
    for name in ("a", "b", ".ipynb_checkpoints/a", "a-reactive"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_notebook(tmp_path / f"{name}.ipynb", "x = 1")
    (tmp_path / "b.py").write_text("mine")
    result = call("import", tmp_path, "-o", tmp_path / "out", "--outputs", "keep")
    assert result.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*.py")) == ["a.py", "b.py"]
    assert result.stdout.endswith("2 notebooks: 2 imported, 2 of them completely.\n")


def test_of_several_notebooks_one_that_is_refused_does_not_stop_the_others(tmp_path: Path) -> None:
    good, bad = write_notebook(tmp_path / "good.ipynb", "x = 1"), tmp_path / "bad.ipynb"
    bad.write_text("no JSON")
    result = call("import", bad, good, "--json")
    assert result.exit_code == 1
    refusal, report = json.loads(result.stdout)
    assert (refusal["notebook"], refusal["code"]) == (str(bad), "bad_notebook")
    assert report["written"] is True


def test_of_several_notebooks_one_that_uncovers_a_bug_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (write_notebook(tmp_path / f"{name}.ipynb", "x = 1") for name in "ab")
    convert = to_marimo.convert

    def failing(notebook: Notebook, **options: Any) -> Conversion:
        if notebook.path == first:
            raise IndexError("out of range")
        return convert(notebook, **options)

    monkeypatch.setattr(to_marimo, "convert", failing)
    result = call("import", tmp_path)
    assert result.exit_code == 1
    assert f"{first} cannot be imported, please report it as a bug: IndexError: out of range" in result.stderr
    assert second.with_suffix(".py").exists()


@pytest.mark.parametrize("debug", [False, True])
def test_a_bug_in_the_import_of_one_notebook_is_one_line_and_its_traceback_only_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, debug: bool
) -> None:
    def failing(*_: object, **__: object) -> Conversion:
        raise IndexError("out\nof range")

    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1")
    monkeypatch.setattr(to_marimo, "convert", failing)
    result = call("import", notebook, *(["--debug"] if debug else []))
    assert result.exit_code == 1
    *above, line = result.stderr.splitlines()
    assert line.startswith(
        f"marimo-kernel-bridge: {notebook} cannot be imported, please report it as a bug: IndexError: out of range"
    )
    assert bool(above) is ("Traceback" in result.stderr) is debug
    assert json.loads(call("import", notebook, "--json").stdout)["code"] == "cell_not_converted"


def test_an_imported_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1")
    call("import", notebook)
    (tmp_path / "other.py").write_text("")
    assert stat.S_IMODE((tmp_path / "n.py").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "other.py").stat().st_mode
    )


def test_what_is_made_of_a_private_notebook_is_private(tmp_path: Path) -> None:
    notebook = tmp_path / "a.ipynb"
    shown = {"output_type": "display_data", "data": {"text/plain": "1"}, "metadata": {}}
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": "1", "outputs": [shown]}
    document = {"cells": [cell | {"execution_count": 1}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    notebook.write_text(json.dumps(document))
    notebook.chmod(0o600)
    spec = {"name": "marimo", "display_name": "marimo", "language": "python"}
    assert _for_our_kernel(notebook, spec).name == "a-marimo.ipynb"
    for command in (
        ["import", str(notebook), "--outputs", "keep"],
        ["import", str(notebook), "--outputs", "keep", "--force"],
        ["export", str(notebook), "--to", "json"],
    ):
        assert CliRunner().invoke(main, command).exit_code == 0
    made = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    assert made == dict.fromkeys(["a.ipynb", "a-marimo.ipynb", "a.py", "a.json", "a.py.json"], 0o600)


@pytest.mark.parametrize("first", ["", "here", "elsewhere"])
def test_only_the_working_directory_is_taken_off_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    monkeypatch.chdir(tmp_path)
    entry = {"": "", "here": str(tmp_path), "elsewhere": str(tmp_path / "elsewhere")}[first]
    monkeypatch.setattr(sys, "path", [entry, *sys.path])
    monkeypatch.setattr(sys, "argv", ["marimo-kernel-bridge", "--version"])
    with pytest.raises(SystemExit):
        runpy.run_path(__main__.__file__, run_name="__main__")
    assert (entry in sys.path[:1]) == (first == "elsewhere")


@pytest.mark.parametrize("action", ["save", "restore"])
def test_a_checkpoint_is_of_one_notebook_and_not_of_any_that_is_called_so(
    action: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARIMO_KERNEL_BRIDGE_SESSIONS", str(tmp_path / "sessions"))
    registry, paths = Registry(), [tmp_path / folder / "a.ipynb" for folder in ("one", "two")]
    for path in paths:
        registry.put(Session(id=id_of(path), path=str(path), name="a", created=1.0, used=1.0))
    refused = call("checkpoints", action, "a")
    assert refused.exit_code == 1
    assert "2 notebooks are called 'a'" in refused.stderr
    assert all(str(path) in refused.stderr for path in paths)
    assert call("checkpoints", action).exit_code == 2
