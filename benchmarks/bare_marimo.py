"""marimo without us, in a process of its own: its kernel called directly, or over its own IPC as marimo-lsp does.

    python -m benchmarks.bare_marimo process|ipc

Reads lines of JSON, `{"cells": [[id, code], ...]}` to run or `{"register": ...}` to register only, and answers each
with the seconds of wall clock and CPU that it took and, of the last cell, the value. Only this file imports marimo.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import Any, Protocol

import psutil
from marimo._ast.app_config import _AppConfig
from marimo._config.config import DEFAULT_CONFIG
from marimo._ipc.queue_manager import QueueManager
from marimo._ipc.types import KernelArgs as IpcArgs
from marimo._messaging.notification import CellNotification, CompletedRunNotification
from marimo._messaging.serde import deserialize_kernel_message
from marimo._messaging.types import KernelStreams, NoopStream
from marimo._runtime.commands import AppMetadata, ExecuteCellCommand, ExecuteCellsCommand
from marimo._runtime.kernel_lifecycle import KernelArgs, create_kernel
from marimo._session.model import SessionMode
from marimo._types.ids import CellId_t

Cells = list[tuple[str, str]]


class Marimo(Protocol):
    def run(self, cells: Cells) -> str: ...
    def register(self, cells: Cells) -> str: ...
    def cpu(self) -> float: ...


def _command(cells: Cells) -> ExecuteCellsCommand:
    return ExecuteCellsCommand(
        cell_ids=[CellId_t(cell_id) for cell_id, _ in cells], codes=[code for _, code in cells]
    )


def _metadata() -> AppMetadata:
    return AppMetadata(query_params={}, filename=None, cli_args={}, argv=[], app_config=_AppConfig())


class InProcess:
    """marimo's `Kernel`, called."""

    def __init__(self) -> None:
        stream = NoopStream()
        arguments = KernelArgs(
            streams=KernelStreams(stream=stream, stdout=None, stderr=None, stdin=None),
            debugger=None,
            configs={},
            app_metadata=_metadata(),
            user_config=DEFAULT_CONFIG,
            mode=SessionMode.EDIT,
            control_queue=asyncio.Queue(),
            set_ui_element_queue=asyncio.Queue(),
            virtual_file_storage=None,
        )
        self._kernel, _ = create_kernel(arguments)
        self._loop = asyncio.new_event_loop()

    def run(self, cells: Cells) -> str:
        self._loop.run_until_complete(self._kernel.handle_message(_command(cells)))
        return ""

    def register(self, cells: Cells) -> str:
        requests = [ExecuteCellCommand(cell_id=CellId_t(cell_id), code=code) for cell_id, code in cells]
        stale = {request.cell_id for request in requests}
        self._kernel.mutate_graph(requests, deletion_requests=[], cells_starting_stale=stale)
        return str(len(self._kernel.graph.cells))

    def value(self, name: str) -> str:
        return repr(self._kernel.globals[name])

    def cpu(self) -> float:
        return time.process_time()


class OverIpc:
    """marimo's kernel process."""

    def __init__(self) -> None:
        self._queues, connection = QueueManager.create()
        arguments = IpcArgs(
            configs={},
            app_metadata=_metadata(),
            user_config=DEFAULT_CONFIG,
            log_level=40,
            profile_path=None,
            connection_info=connection,
        )
        self._process = subprocess.Popen(
            [sys.executable, "-m", "marimo._ipc.launch_kernel"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(arguments.encode_json())
        self._process.stdin.close()
        self._process.stdout.readline()
        self._last = ""

    def run(self, cells: Cells) -> str:
        self._queues.control_queue.put(_command(cells))
        while True:
            message = deserialize_kernel_message(self._queues.stream_queue.get(timeout=120))
            if isinstance(message, CellNotification) and message.output is not None:
                self._last = str(message.output.data)
            if isinstance(message, CompletedRunNotification):
                return self._last

    def value(self, name: str) -> str:
        return self.run([("last", name)]).partition(">")[2].partition("<")[0]

    def cpu(self) -> float:
        times = psutil.Process(self._process.pid).cpu_times()
        return times.user + times.system

    def close(self) -> None:
        self._process.kill()


def main() -> None:
    marimo: Any = InProcess() if sys.argv[1] == "process" else OverIpc()
    out = sys.stdout
    sys.stdout = sys.stderr  # what marimo's cells print
    for line in sys.stdin:
        request = json.loads(line)
        cpu, start = marimo.cpu(), time.perf_counter()
        if "register" in request:
            value = marimo.register([tuple(cell) for cell in request["register"]])
        else:
            value = marimo.run([tuple(cell) for cell in request["cells"]])
        taken = {"wall": time.perf_counter() - start, "cpu": marimo.cpu() - cpu}
        if "value" in request:
            value = marimo.value(request["value"])
        out.write(json.dumps({**taken, "value": value}) + "\n")
        out.flush()
    if isinstance(marimo, OverIpc):
        marimo.close()


if __name__ == "__main__":
    main()
