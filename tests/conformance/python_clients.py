"""Clients of other projects, each in an environment of its own below .build, on the server over stdio and over HTTP with a real kernel.

No client connects to the kernel first. Each is told to run code in the only kernel, and to read the value by the kernel's file.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE: Final = Path(__file__).parent
BUILD: Final = HERE.parents[1] / ".build" / "conformance" / "python"
BIN: Final = HERE.parents[1] / ".venv" / "bin"
BOUND: Final = 600  # seconds for any single program


@dataclass(frozen=True)
class Client:
    """A client: the requirement that installs it, and the program that uses it."""

    name: str
    requirement: str
    program: str


CLIENTS: Final = (
    Client("fastmcp 4.2.3", "fastmcp==4.2.3", "fastmcp_client.py"),
    Client("mcp-use 1.7.1", "mcp-use==1.7.1", "mcp_use_client.py"),
    Client("pydantic-ai 2.68.0", "pydantic-ai-slim[mcp]==2.68.0", "pydantic_ai_client.py"),
    Client("openai-agents 0.24.0", "openai-agents==0.24.0", "openai_agents_client.py"),
    Client(
        "langchain-mcp-adapters 0.3.2, get_tools()", "langchain-mcp-adapters==0.3.2", "langchain_client.py"
    ),
)


def install(client: Client) -> Path:
    """Install a client, unless it is; return its Python."""
    folder = BUILD / Path(client.program).stem
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text() != client.requirement:
        subprocess.run(
            [BIN / "uv", "venv", "--quiet", "--clear", "--python", BIN / "python", folder], check=True
        )
        command = [BIN / "uv", "pip", "install", "--quiet", "--python", folder, client.requirement]
        subprocess.run(command, check=True, timeout=BOUND)
        stamp.write_text(client.requirement)
    return folder / "bin" / "python"


def calls(kernel: str) -> list[tuple[str, dict[str, str]]]:
    """Return the calls of each client."""
    return [
        ("list_kernels", {}),
        ("execute_code", {"code": "answer = 6 * 7\nprint('hi')"}),
        ("read_variable", {"variable": "answer", "kernel": kernel}),
        ("list_cells", {"kernel": Path(kernel).name}),
    ]


def run(client: Client, reached: dict[str, object], kernel: str) -> str:
    """Let a client do its calls; return what went wrong, or nothing."""
    job = json.dumps({**reached, "calls": calls(kernel)})
    program = HERE / "python" / client.program
    done = subprocess.run(
        [install(client), program, job], capture_output=True, text=True, timeout=BOUND, check=False
    )
    if done.returncode:
        return done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    return " ".join(_faults(said["tools"], [str(answer) for answer in said["answers"]]))


def _faults(tools: list[str], answers: list[str]) -> Iterator[str]:
    if "execute_code" not in tools:
        yield f"tools: {tools}"
    expected = ("kernel-conformance.json", "hi", "42", "answer = 6 * 7")
    for number, text in enumerate(expected):
        if number >= len(answers) or text not in answers[number]:
            yield f"answer {number} has no {text!r}: {answers[number:][:1]}"
