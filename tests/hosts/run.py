"""Codex and Gemini CLI from npm, as far as no model is needed: what `mcp --install` writes is what they read.

`make hosts` runs it. Each host gets a home of its own. Codex lists the server and its command; Gemini CLI starts the server and
says that it is connected.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / ".build" / "hosts"
PACKAGES = ("@openai/codex@0.171", "@google/gemini-cli@0.61")
BRIDGE = Path(sys.executable).with_name("marimo-kernel-bridge")
BOUND = 300.0


def fetch() -> None:
    """Install the hosts, once, without their install scripts."""
    if (PROGRAMS / "node_modules" / ".bin" / "gemini").exists():
        return
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    subprocess.run(["npm", "init", "--yes"], cwd=PROGRAMS, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(
        ["npm", "install", "--no-fund", "--no-audit", "--ignore-scripts", *PACKAGES], cwd=PROGRAMS, check=True
    )


class Home:
    """A person's home directory, in which hosts are configured, and run in a folder that they trust."""

    def __init__(self, place: Path) -> None:
        self.work = place / "work"
        self.work.mkdir()
        self._environment = {
            **os.environ,
            "HOME": str(place),
            "CODEX_HOME": str(place / ".codex"),
            "PATH": f"{PROGRAMS / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
        }
        (place / ".codex").mkdir()
        (place / ".gemini").mkdir()
        (place / ".gemini" / "trustedFolders.json").write_text(json.dumps({str(self.work): "TRUST_FOLDER"}))

    def run(self, *command: str | Path) -> str:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.work,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=BOUND,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr if command[0] == "gemini" else done.stdout


def codex(home: Home) -> str:
    home.run(BRIDGE, "mcp", "--allow", "propose", "--install", "codex")
    (server,) = json.loads(home.run("codex", "mcp", "list", "--json"))
    expected = {"type": "stdio", "command": str(BRIDGE), "args": ["mcp", "--allow", "propose"]}
    assert (server["name"], server["enabled"]) == ("marimo", True), server
    assert {key: server["transport"][key] for key in expected} == expected, server
    home.run(BRIDGE, "mcp", "--uninstall", "codex")
    assert json.loads(home.run("codex", "mcp", "list", "--json")) == []
    return home.run("codex", "--version").strip()


def gemini(home: Home) -> str:
    home.run(BRIDGE, "mcp", "--allow", "propose", "--install", "gemini-cli")
    listed = home.run("gemini", "mcp", "list")
    assert "marimo" in listed, listed
    assert "Connected" in listed, listed
    home.run(BRIDGE, "mcp", "--uninstall", "gemini-cli")
    assert "Connected" not in home.run("gemini", "mcp", "list")
    return home.run("gemini", "--version").strip().splitlines()[-1]


def main() -> None:
    fetch()
    for name, check in (("Codex", codex), ("Gemini CLI", gemini)):
        with tempfile.TemporaryDirectory() as place:
            sys.stdout.write(
                f"{name}: lists the server that --install added, and not after --uninstall ({check(Home(Path(place)))})\n"
            )


if __name__ == "__main__":
    main()
