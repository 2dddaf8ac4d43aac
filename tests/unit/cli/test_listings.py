"""What the commands print of kernels and pools that run, and of what `demo`, `doctor` and `lab` find."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from marimo_kernel_bridge.cli import demo, doctor
from marimo_kernel_bridge.cli.demo import DemoFailedError
from marimo_kernel_bridge.cli.doctor import Finding
from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.client import discovery
from marimo_kernel_bridge.client.discovery import FoundKernel
from marimo_kernel_bridge.client.life import KernelInfo
from marimo_kernel_bridge.client.marimo_editor import host
from marimo_kernel_bridge.client.marimo_editor.host import Host, MarimoNotebook
from marimo_kernel_bridge.launch.pool import preload_check
from marimo_kernel_bridge.launch.pool.protocol import ArrivingRequest, PoolState, own_directory, send_line
from tests.unit.mcp_server.fake_kernel import DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="marimo-kernel-bridge")


# Kernels

INFO = KernelInfo("marimo_kernel_bridge", "1", "python", "3.11", session="process 1")


def test_kernels_are_listed_with_what_each_does_and_its_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    async def find_kernels() -> list[FoundKernel]:
        busy = replace(DESCRIPTION, busy=True, cells=3)
        plain = replace(INFO, implementation="ipython")
        bounded = replace(DESCRIPTION, limits='{"memory":2000000000}', sandbox="{}")
        return [
            FoundKernel(Path("/run/kernel-1.json"), "1", "/home/ada/a.ipynb", INFO, busy),
            FoundKernel(Path("/run/kernel-2.json"), "2", None, INFO, bounded),
            FoundKernel(Path("/run/kernel-3.json"), "3", None, INFO),
            FoundKernel(Path("/run/kernel-4.json"), "4", None, plain),
        ]

    async def running_notebooks() -> list[MarimoNotebook]:
        return [MarimoNotebook(Host("http://127.0.0.1:2718", 7, "secret"), "n1", "/home/ada/b.py")]

    monkeypatch.setattr(discovery, "find_kernels", find_kernels)
    monkeypatch.setattr(host, "running_notebooks", running_notebooks)
    assert call("kernels").output.splitlines() == [
        "1  reactive, busy, 3 cells",
        "  /run/kernel-1.json",
        "  /home/ada/a.ipynb",
        "2  reactive, idle, 0 cells",
        "  /run/kernel-2.json",
        "  memory 2 GB · sandbox: network none; files folder",
        "3  reactive, running",
        "  /run/kernel-3.json",
        "4  not reactive, running",
        "  /run/kernel-4.json",
        "n1  reactive, in marimo's editor",
        "  http://127.0.0.1:2718",
        "  /home/ada/b.py",
    ]
    printed = call("kernels", "--json").output
    assert json.loads(printed)[-1]["server"] == "http://127.0.0.1:2718"
    assert "secret" not in printed


# Pools

STATE = PoolState(7, "/env/bin/python", ("pandas",), 900, (8, 9), 3)


@pytest.fixture
def pool() -> Iterator[Callable[[PoolState | bytes], list[str]]]:
    """Have a pool that answers: `pool(state)`. Returned is what it was asked."""
    made: list[tuple[socket.socket, threading.Thread]] = []

    def pool(answer: PoolState | bytes) -> list[str]:
        asked: list[str] = []
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(own_directory() / f"{len(made)}.sock"))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                arriving = ArrivingRequest()
                while not arriving.receive(connection):
                    pass
                request = arriving.request()
                assert request is not None
                asked.append("stop" if request.stop else "status")
                if isinstance(answer, bytes):
                    connection.sendall(answer)
                else:
                    send_line(connection, answer)

        thread = threading.Thread(target=serve)
        thread.start()
        made.append((listening, thread))
        return asked

    yield pool
    for listening, thread in made:
        thread.join(10)
        listening.close()


def test_no_pool_is_told(pool: Callable[[PoolState | bytes], list[str]]) -> None:
    del pool
    assert call("pool").output == "No pool is running.\n"


def test_pools_are_listed_and_what_is_none_is_passed_over(
    pool: Callable[[PoolState | bytes], list[str]],
) -> None:
    asked = pool(STATE)
    pool(replace_state(trouble="pandas cannot be imported", preload=()))
    pool(b"nonsense\n")
    (own_directory() / "9.sock").touch()  # nobody listens
    assert call("pool").output.splitlines() == [
        "/env/bin/python, process 7: 2 kernels running, 3 forked, with pandas",
        "/env/bin/python, process 7: 2 kernels running, 3 forked",
        "  not in use, kernels start without it: pandas cannot be imported",
    ]
    assert asked == ["status"]


def test_pools_are_stopped(pool: Callable[[PoolState | bytes], list[str]]) -> None:
    asked = pool(STATE)
    assert call("pool", "--stop").output.startswith("/env/bin/python, process 7")
    assert asked == ["stop"]


def replace_state(**fields: Any) -> PoolState:  # fields of `PoolState`
    return PoolState(**{name: getattr(STATE, name) for name in STATE.__struct_fields__} | fields)


# Preloading


def test_modules_that_a_pool_cannot_preload_are_told_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brdg_thread.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    (tmp_path / "brdg_ends.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert preload_check.trouble(sys.executable, ["json"]) == ""
    assert preload_check.trouble(sys.executable, ["json", "brdg_thread", "brdg_ends", "nosuch"]) == (
        f"brdg_thread: {preload_check.STARTS_A_THREAD}; brdg_ends: the interpreter ended with 3; "
        "nosuch: ModuleNotFoundError: No module named 'nosuch'"
    )
    assert "No such file" in preload_check.trouble("/no/such/python", ["json"])


# Trials


def test_a_demo_that_fails_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_demo(keep: Path | None, say: Callable[[str], None]) -> None:
        say(f"Keeping in {keep}")
        raise DemoFailedError("cell 3 shows nothing")

    monkeypatch.setattr(demo, "run_demo", run_demo)
    result = call("demo", "--keep", "here")
    assert (result.exit_code, result.stdout) == (1, "Keeping in here\n")
    assert result.stderr == "marimo-kernel-bridge: the demo failed: cell 3 shows nothing\n"


@pytest.mark.parametrize(("verdict", "ends_with"), [("ok", 0), ("FAILED", 1)])
def test_doctor_prints_its_findings_and_ends_by_the_worst(
    monkeypatch: pytest.MonkeyPatch, verdict: Any, ends_with: int
) -> None:
    finding = Finding("kernelspec", verdict, "found", "Do this.")

    def examine(report: Callable[[Finding], None]) -> list[Finding]:
        report(finding)
        return [finding]

    monkeypatch.setattr(doctor, "examine", examine)
    result = call("doctor")
    assert (result.exit_code, result.output) == (ends_with, f"{finding}\n")
    assert result.output.endswith("kernelspec: found\n         Do this.\n")
    as_json = call("doctor", "--json")
    assert (as_json.exit_code, json.loads(as_json.output)) == (ends_with, [finding.as_json()])


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The programs that this process would have become."""
    programs: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda _path, arguments, _env: programs.append(arguments))
    return programs


def test_lab_opens_a_copy_of_a_notebook_of_another_kernel_with_jupyters_options(
    became: list[list[str]], tmp_path: Path
) -> None:
    notebook = tmp_path / "a.ipynb"
    notebook.write_text('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}')
    result = call("lab", str(notebook), "--no-browser", "--port=8899")
    copy = tmp_path / "a-marimo.ipynb"
    assert result.output.startswith(f"Opening {copy} with the kernel 'marimo (reactive Python)'.")
    assert " mcp\n" in result.output
    (program,) = became
    assert program[0] == sys.executable
    assert program[-5:] == ["-m", "jupyterlab", str(copy), "--no-browser", "--port=8899"]


def test_lab_without_a_notebook_opens_the_example(became: list[list[str]]) -> None:
    assert call("lab", "--no-browser").exit_code == 0
    shown = Path(became[0][-2])
    assert (shown.parent / "penguins.ipynb").exists()
    assert became[0][-1] == "--no-browser"
    for file in sorted(shown.parent.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    shown.parent.rmdir()


def test_lab_says_what_is_missing(
    became: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("JUPYTER_PATH", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr("jupyter_client.kernelspec.KernelSpecManager.kernel_dirs", [])
    assert "Jupyter finds no kernelspec 'marimo'" in call("lab").stderr
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    assert "pip install 'marimo-kernel-bridge[lab]'" in call("lab").stderr
    assert became == []
