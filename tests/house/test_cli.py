"""The command line: help, refusals, install, import, and what the kernel's start may import."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from jupyter_client import KernelManager

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.cli.import_command import NOT_ALL_CARRIED_OVER
from marimo_kernel_bridge.cli.lab import _for_our_kernel
from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.launch.install import install_kernelspec, seen_by_jupyter

EXAMPLE = Path(__file__).parents[2] / "examples" / "penguins.ipynb"


def call(*arguments):
    return CliRunner().invoke(
        main, [str(argument) for argument in arguments], prog_name="marimo-kernel-bridge"
    )


def python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def write_notebook(path, *sources, kernelspec="python3"):
    cells = [
        {
            "cell_type": "code",
            "id": f"c{n}",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for n, source in enumerate(sources)
    ]
    metadata = {"kernelspec": {"name": kernelspec, "display_name": kernelspec, "language": "python"}}
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}))
    return path


# Help and refusals


def test_version_is_printed():
    assert call("--version").output == f"marimo-kernel-bridge, version {__version__}\n"


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_has_help_with_examples(command):
    result = call(command, "--help")
    assert result.exit_code == 0
    assert main.commands[command].help
    assert f"  marimo-kernel-bridge {command}" in result.output.split("Examples:")[1]


def test_a_refusal_is_one_line_on_stderr_that_says_what_to_do(tmp_path):
    result = call("import", tmp_path / "none.ipynb")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert (
        result.stderr == f"marimo-kernel-bridge: {tmp_path / 'none.ipynb'} does not exist. Check the path.\n"
    )


def test_an_unknown_command_is_refused_with_a_way_to_help():
    result = call("frobnicate")
    assert result.exit_code == 2
    assert "--help" in result.stderr


# Starting the kernel


def test_the_kernel_gets_its_arguments_before_click_or_marimo_is_imported():
    probe = (
        "import sys\n"
        "sys.argv = ['marimo-kernel-bridge', 'kernel', '-f', 'x.json', '--debug']\n"
        "from marimo_kernel_bridge import zmq_kernel\n"
        "def started(argv, forked=None): print(argv, [name for name in ('click', 'marimo', 'mcp') if name in sys.modules])\n"
        "zmq_kernel.main = started\n"
        "from marimo_kernel_bridge.__main__ import main\n"
        "main()\n"
    )
    assert python("-c", probe).stdout == "['-f', 'x.json', '--debug'] []\n"


def test_kernel_help_comes_from_the_command_line():
    result = python("-m", "marimo_kernel_bridge", "kernel", "--help")
    assert result.returncode == 0
    assert "marimo-kernel-bridge kernel -f connection.json" in result.stdout


# Installing the kernelspec


def test_help_says_what_the_widest_permission_lets_agents_do_unasked():
    told = " ".join(call("mcp", "--help").stdout.split())
    assert "start and stop kernels, and install packages without asking you. [default: run]" in told


def test_install_writes_a_kernelspec_with_this_interpreter_and_logos(tmp_path):
    result = call("install", "--prefix", tmp_path, "--name", "marimo-x", "--display-name", "marimo X")
    assert result.exit_code == 0, result.output
    place = tmp_path / "share/jupyter/kernels/marimo-x"
    spec = json.loads((place / "kernel.json").read_text())
    assert spec["argv"] == [sys.executable, "-m", "marimo_kernel_bridge", "kernel", "-f", "{connection_file}"]
    assert spec["display_name"] == "marimo X"
    assert {"logo-svg.svg", "logo-32x32.png", "logo-64x64.png"} <= {path.name for path in place.iterdir()}
    assert f"JUPYTER_PATH={tmp_path / 'share/jupyter'}" in result.output.replace("\n", "")


def test_the_installed_kernelspec_is_found_where_jupyter_looks(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share/jupyter"))
    place = install_kernelspec(name="marimo-y", prefix=tmp_path)
    assert json.loads((place / "kernel.json").read_text())["display_name"].endswith("marimo-y")
    assert seen_by_jupyter("marimo-y", place)
    assert not seen_by_jupyter("marimo-z", place)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'."),
        ("raise SystemExit('not here')", "not here."),
        (
            "import threading; threading.Thread(target=threading.Event().wait).start()",
            "it starts a thread when it is imported, and such a process cannot be forked.",
        ),
    ],
)
def test_install_refuses_what_a_pool_cannot_preload(tmp_path, monkeypatch, text, reason):
    (tmp_path / "unfit.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    result = call("install", "--prefix", tmp_path, "--pool", "--preload", "json", "--preload", "unfit")
    assert result.exit_code == 1
    assert f"No pool of {sys.executable} can preload unfit: {reason}" in result.stderr
    assert "Nothing was installed." in result.stderr
    assert not list(tmp_path.rglob("kernel.json"))


def test_install_for_the_user_goes_to_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    assert call("install").exit_code == 0
    assert (tmp_path / "data/kernels/marimo/kernel.json").exists()


def test_install_into_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    result = call("install", "--prefix", tmp_path / "file")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert "--user" in result.stderr
    assert result.stderr.count("\n") == 1


def test_install_refuses_two_places_and_bad_names(tmp_path):
    assert call("install", "--user", "--sys-prefix").exit_code == 2
    result = call("install", "--prefix", tmp_path, "--name", "no spaces")
    assert result.exit_code == 1
    assert "is no name for a kernelspec" in result.stderr


def test_the_logos_are_pictures_of_the_size_that_their_names_say():
    folder = EXAMPLE.parents[1] / "kernelspec"
    for size in (32, 64):
        head = (folder / f"logo-{size}x{size}.png").read_bytes()[:24]
        assert head.startswith(b"\x89PNG\r\n\x1a\n")
        assert (int.from_bytes(head[16:20]), int.from_bytes(head[20:24])) == (size, size)
    assert "<svg" in (folder / "logo-svg.svg").read_text()


# Listing kernels


def test_kernels_lists_what_runs_and_counts_what_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "kernel-broken.json").write_text("{}")
    manager = KernelManager(kernel_name="marimo", connection_file=str(tmp_path / "kernel-mine.json"))
    manager.start_kernel()
    try:
        client = manager.blocking_client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.stop_channels()
        listed = call("kernels").output
        rows = {row["kernel_id"]: row for row in json.loads(call("kernels", "--json").output)}
    finally:
        manager.shutdown_kernel(now=True)
    assert f"mine  reactive, idle, 0 cells\n  {tmp_path / 'kernel-mine.json'}\n" in listed
    assert "1 connection file(s) without a usable kernel; --json tells why." in listed
    assert rows["mine"]["problem"] is None
    assert rows["broken"]["state"] == "connection_file_malformed"
    assert rows["broken"]["problem"].startswith(
        f"{tmp_path / 'kernel-broken.json'} is not a Jupyter connection file"
    )


# Importing


def test_import_writes_beside_the_notebook_and_tells_what_happened(tmp_path):
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "", "%matplotlib inline\nprint(x)")
    result = call("import", notebook)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "n.py").exists()
    assert f"{notebook} -> {tmp_path / 'n.py'}: 3 cells, 1 kept, 1 dropped, 1 changed." in result.stdout
    assert "cell 2 [c1] dropped: it is empty" in result.stdout
    assert "cell 3 [c2] changed: `%matplotlib inline` is left out" in result.stdout
    assert "marimo check: passes" in result.stdout


def test_import_of_a_cell_that_cannot_be_converted_names_it_and_fails_with_the_file_written(tmp_path):
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "%%cython\ncdef int y")
    result = call("import", notebook, "-o", tmp_path / "out.py")
    assert result.exit_code == NOT_ALL_CARRIED_OVER
    assert result.stderr.startswith("marimo-kernel-bridge: cell 2 [c1] not converted: ")
    assert "# cdef int y" in (tmp_path / "out.py").read_text()


def test_import_reports_as_json(tmp_path):
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "%nosuch y")
    result = call("import", notebook, "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == NOT_ALL_CARRIED_OVER
    assert report["complete"] is False
    assert [cell["fate"] for cell in report["cells"]] == ["kept", "not_converted"]
    assert report["marimo_check"]["passes"] is True


def test_import_does_not_overwrite_without_force(tmp_path):
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1")
    (tmp_path / "n.py").write_text("mine")
    refused = call("import", notebook)
    assert refused.exit_code == 1
    assert "Name another file with -o, or pass --force." in refused.stderr
    assert (tmp_path / "n.py").read_text() == "mine"
    assert call("import", notebook, "--force").exit_code == 0
    assert "marimo.App" in (tmp_path / "n.py").read_text()


def test_an_imported_file_has_the_permissions_of_any_new_file(tmp_path):
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1")
    call("import", notebook)
    (tmp_path / "other.py").write_text("")
    assert stat.S_IMODE((tmp_path / "n.py").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "other.py").stat().st_mode
    )


# Lab


def test_lab_opens_a_notebook_of_ours_itself_and_a_copy_of_another(tmp_path):
    ours = write_notebook(tmp_path / "ours.ipynb", "x = 1", kernelspec="marimo")
    other = write_notebook(tmp_path / "other.ipynb", "x = 1")
    before = other.read_text()
    spec = {"name": "marimo", "display_name": "marimo (reactive Python)", "language": "python"}
    assert _for_our_kernel(ours, spec) == ours
    copy = _for_our_kernel(other, spec)
    assert copy == tmp_path / "other-marimo.ipynb"
    assert json.loads(copy.read_text())["metadata"]["kernelspec"] == spec
    assert other.read_text() == before
    copy.write_text(copy.read_text() + "\n")  # a person works on the copy; it is opened again, not made anew
    assert _for_our_kernel(other, spec).read_text().endswith("\n\n")


def test_lab_refuses_a_notebook_that_is_none(tmp_path):
    (tmp_path / "bad.ipynb").write_text("not JSON")
    result = call("lab", tmp_path / "bad.ipynb")
    assert result.exit_code == 1
    assert "is not JSON" in result.stderr


def test_lab_starts_jupyterlab_on_the_notebook_and_tells_how_to_attach(tmp_path):
    notebook = write_notebook(tmp_path / "ours.ipynb", "x = 1", kernelspec="marimo")
    result = python("-m", "marimo_kernel_bridge", "lab", notebook, "--version")
    assert result.returncode == 0, result.stderr
    assert f"Opening {notebook} with the kernel 'marimo (reactive Python)'." in result.stdout
    assert "claude mcp add --scope user marimo -- " in result.stdout
    assert (
        result.stdout.rstrip().splitlines()[-1].startswith("4.")
    )  # JupyterLab took over and gave its version
