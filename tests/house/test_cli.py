"""The command line: help, refusals, install, import, and what the kernel's start may import."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from jupyter_client import KernelManager

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.launch.install import found_by_jupyter, install_kernelspec

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
        timeout=250,
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


# Starting the kernel


def test_the_kernel_gets_its_arguments_before_click_or_marimo_is_imported():
    probe = (
        "import sys\n"
        "sys.argv = ['marimo-kernel-bridge', 'kernel', '-f', 'x.json', '--debug']\n"
        "from marimo_kernel_bridge import zmq_kernel\n"
        "def started(argv, **_): print(argv, [name for name in ('click', 'marimo', 'mcp') if name in sys.modules])\n"
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


def test_the_installed_kernelspec_is_found_where_jupyter_looks(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share/jupyter"))
    place = install_kernelspec(name="marimo-y", prefix=tmp_path)
    assert json.loads((place / "kernel.json").read_text())["display_name"].endswith("marimo-y")
    assert found_by_jupyter("marimo-y") == place.resolve()
    assert found_by_jupyter("marimo-z") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'."),
        ("raise SystemExit('not here')", "not here."),
        (
            "import threading; threading.Thread(target=threading.Event().wait).start()",
            "it starts a thread on import, and a process with threads cannot be forked.",
        ),
    ],
)
def test_install_refuses_what_a_pool_cannot_preload(tmp_path, monkeypatch, text, reason):
    (tmp_path / "unfit.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    result = call("install", "--prefix", tmp_path, "--pool", "--preload", "json", "--preload", "unfit")
    assert result.exit_code == 1
    assert f"A pool of {sys.executable} cannot preload unfit: {reason}" in result.stderr
    assert "Nothing was installed." in result.stderr
    assert not list(tmp_path.rglob("kernel.json"))


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
    assert "1 connection file(s) without a usable kernel; --json shows why." in listed
    assert rows["mine"]["problem"] is None
    assert rows["broken"]["state"] == "connection_file_malformed"
    assert rows["broken"]["problem"].startswith(
        f"{tmp_path / 'kernel-broken.json'} is not a Jupyter connection file"
    )


# Lab


@pytest.mark.long  # in memory: `tests/unit/cli/test_lab.py`
def test_lab_starts_jupyterlab_on_the_notebook_and_tells_how_to_attach(tmp_path):
    notebook = write_notebook(tmp_path / "ours.ipynb", "x = 1", kernelspec="marimo")
    result = python("-m", "marimo_kernel_bridge", "lab", notebook, "--version")
    assert result.returncode == 0, result.stderr
    assert f"Opening {notebook} with the kernel 'marimo (reactive Python)'." in result.stdout
    assert "claude mcp add --scope user marimo -- " in result.stdout
    assert (
        result.stdout.rstrip().splitlines()[-1].startswith("4.")
    )  # JupyterLab took over and gave its version
