"""Whether tables can be shown here: a page of a view is served, and there is what reads files."""

from __future__ import annotations

import http.client
import importlib.util
from typing import Final, Literal
from urllib.parse import urlsplit

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.viewing.server.thread import ViewThread
from marimo_kernel_bridge.viewing.tables import open_value
from marimo_kernel_bridge.viewing.view import Data
from marimo_kernel_bridge.viewing.views import PERSON

_BOUND: Final = 60.0  # seconds


def state() -> tuple[Literal["ok", "FAILED", "skipped"], str, str]:
    """Open a view as a kernel does, and its address as a browser does. Return what came of it, and what to do."""
    try:
        thread = ViewThread()
    except BridgeError as error:
        return "FAILED", error.message, error.hint
    try:
        control, data = thread.server.control, Data("doctor", "doctor", "variable")
        opened = thread.submit(control.open(data, PERSON, lambda: open_value([{"a": 1}]))).result(_BOUND)
        status = _status(opened.url)
    finally:
        thread.stop()
    if status != http.client.SEE_OTHER:
        return (
            "FAILED",
            f"The address of a view answers with {status}.",
            "Does a program here change requests to 127.0.0.1?",
        )
    if importlib.util.find_spec("duckdb") is None:
        return (
            "skipped",
            "tables of the kernel are shown; those of files are not, because duckdb is not installed",
            "Run: pip install 'marimo-kernel-bridge[view]'",
        )
    return "ok", "tables of the kernel and of files are shown", ""


def _status(url: str) -> int:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=_BOUND)
    try:
        connection.request("GET", f"{address.path}?{address.query}")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
