"""Rendering of chart specifications as static images: Vega(-Lite) with vl-convert, Plotly with Kaleido.

Neither is a dependency. They are searched for in the interpreters that the caller trusts, and run in a
separate process with limits of time and memory, so that a hanging browser affects nothing else. Rendering runs no code
of the notebook, on Linux without a network, elsewhere in an environment that leads nowhere: `loaded_by_charts` says
which charts are not drawn.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
import tempfile
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.protocol.own_python import python_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.mcp_server.media.chart_text import ChartKind

_BOUND: Final = 20.0
"""Seconds: Kaleido starts a browser."""

_NOT_THERE: Final = 3
_KEPT: Final = 32
_MOST_SPEC: Final = 20_000_000

_MEMORY: Final = 2 << 30  # bytes of data; a browser reserves far more addresses than it uses
_NOWHERE: Final = dict.fromkeys(
    ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"
) | {"no_proxy": "", "NO_PROXY": ""}
"""Variables that send whatever follows them to a port where nothing listens."""

_NEW_NAMESPACES: Final = (
    0x10000000 | 0x40000000
)  # CLONE_NEWUSER and CLONE_NEWNET; Python names them from 3.12 on
_LIMITED: Final = f"""
import json, os, sys
if sys.platform == "linux":  # without a network, where the system lets a user leave it
    import ctypes
    ids = [("setgroups", "deny")] + [(f"{{kind}}_map", f"{{i}} {{i}} 1") for kind, i in (("uid", os.getuid()), ("gid", os.getgid()))]
    if ctypes.CDLL(None).unshare({_NEW_NAMESPACES}) == 0:
        for name, text in ids:
            try:
                with open(f"/proc/self/{{name}}", "w") as file:
                    file.write(text)
            except OSError:
                pass
try:
    import resource
except ImportError:  # on Windows
    pass
else:
    for kind, most in ((resource.RLIMIT_DATA, {_MEMORY}), (resource.RLIMIT_CPU, 60), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
"""
_VEGA: Final = f"""{_LIMITED}
try:
    import vl_convert
except ImportError:
    sys.exit({_NOT_THERE})
draw = vl_convert.vegalite_to_png if sys.argv[1] == "vega-lite" else vl_convert.vega_to_png
# Data of other hosts is not fetched.
sys.stdout.buffer.write(draw(json.load(sys.stdin), allowed_base_urls=[]))
"""
_PLOTLY: Final = f"""{_LIMITED}
try:
    import kaleido
    import plotly.io
except ImportError:
    sys.exit({_NOT_THERE})
figure = json.load(sys.stdin)
sys.stdout.buffer.write(plotly.io.to_image({{k: figure[k] for k in ("data", "layout") if k in figure}}, format="png", validate=False))
"""


@dataclass(frozen=True)
class Drawing:
    """A PNG, or the reason why there is none."""

    png: bytes = b""
    why_not: str = ""
    not_there: bool = False
    """Whether no interpreter has the package."""


class ChartDrawer:
    """Draws charts, and caches the newest drawings: cells are read more often than they change."""

    def __init__(self) -> None:
        self._drawn: OrderedDict[str, Drawing] = OrderedDict()

    async def draw(self, kind: ChartKind, specification: str, interpreters: Sequence[str]) -> Drawing:
        """Draw a chart, given as JSON, with the first interpreter that has the package for it."""
        text = specification.encode()
        if len(text) > _MOST_SPEC:
            return Drawing(why_not=f"its specification of {len(text) // 1_000_000} MB is too large to draw")
        key = hashlib.sha256(text).hexdigest()
        if key in self._drawn:
            self._drawn.move_to_end(key)
            return self._drawn[key]
        drawing = await _draw(kind, text, interpreters)
        if drawing.png:
            self._drawn[key] = drawing
            while len(self._drawn) > _KEPT:
                self._drawn.popitem(last=False)
        return drawing


async def _draw(kind: ChartKind, spec: bytes, interpreters: Sequence[str]) -> Drawing:
    package = "kaleido" if kind == "plotly" else "vl-convert-python"
    drawing = Drawing(
        why_not=f"it can be drawn with {package} in the environment of an installed kernelspec or of the MCP server",
        not_there=True,
    )
    for interpreter in dict.fromkeys(interpreters):
        exit_code, png, complaint = await _run(interpreter, kind, spec)
        if exit_code == 0 and png.startswith(b"\x89PNG"):
            return Drawing(png)
        if exit_code != _NOT_THERE:
            drawing = Drawing(why_not=f"{package} could not draw it: {complaint}")
    return drawing


async def _run(interpreter: str, kind: ChartKind, spec: bytes) -> tuple[int, bytes, str]:
    code = _PLOTLY if kind == "plotly" else _VEGA
    with tempfile.TemporaryDirectory(
        prefix="marimo-kernel-bridge-"
    ) as empty:  # so that no module of the notebook is imported instead
        try:
            process = await asyncio.create_subprocess_exec(
                interpreter,
                *("-c", code, kind),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=empty,
                env=python_environment() | _NOWHERE,
                start_new_session=True,
            )
        except OSError:
            return _NOT_THERE, b"", ""  # for example, of an environment on another machine
        try:
            async with asyncio.timeout(_BOUND):
                png, complaints = await process.communicate(spec)
        except TimeoutError:
            return 1, b"", f"it took longer than {_BOUND:.0f} s"
        finally:
            if process.returncode is None:
                _kill(process.pid)
                with suppress(ProcessLookupError):
                    await process.wait()
    last = split_lines(complaints.decode(errors="replace").strip())[-1:]
    return process.returncode or 0, png, (last or ["no reason given"])[0][:200]


def _kill(pid: int) -> None:
    with suppress(OSError):
        if sys.platform == "win32":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, signal.SIGKILL)
