"""The kernel of one notebook for the tests' controller: lines of JSON to Jupyter's messages and back, as VS Code sends them."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

from jupyter_client import BlockingKernelClient, KernelManager

from marimo_kernel_bridge.client.connection import new_connection_file

cells: dict[str, str] = {}  # by request
writing = threading.Lock()


def say(cell: str, event: str, **more: Any) -> None:
    with writing:
        sys.stdout.write(json.dumps({"cell": cell, "event": event, **more}) + "\n")
        sys.stdout.flush()


def hear(client: BlockingKernelClient) -> None:
    while True:
        message = client.get_iopub_msg(timeout=None)
        cell, content = cells.get(message["parent_header"].get("msg_id", "")), message["content"]
        match message["msg_type"]:
            case _ if cell is None:
                pass
            case "execute_input":
                say(cell, "count", count=content["execution_count"])
            case "clear_output":
                say(cell, "clear")
            case "stream":
                say(cell, "output", data={"text/plain": content["text"]})
            case "display_data" | "execute_result":
                say(
                    cell,
                    "output",
                    data={key: value for key, value in content["data"].items() if isinstance(value, str)},
                )
            case "error":
                say(cell, "error", name=content["ename"], message=content["evalue"])


def main() -> None:
    kept = Path(f"{sys.argv[1]}.kept")  # is there if the kernel outlives its window, as one on a server does
    file = kept.read_text() if kept.exists() else ""
    manager = KernelManager(kernel_name="marimo", connection_file=file or str(new_connection_file()))
    if file:
        manager.load_connection_file()
    else:
        manager.start_kernel(independent=kept.exists())
    if kept.exists():
        kept.write_text(manager.connection_file)
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    client.execute(f"__vsc_ipynb_file__ = {sys.argv[1]!r}", silent=True, store_history=False)
    threading.Thread(target=hear, args=[client], daemon=True).start()
    for line in sys.stdin:
        asked = json.loads(line)
        content = {"code": asked["code"], "silent": False, "store_history": True, "user_expressions": {}}
        content |= {"allow_stdin": True, "stop_on_error": False}
        request = client.session.msg("execute_request", content, metadata={"cellId": asked["cell"]})
        cells[request["header"]["msg_id"]] = asked["cell"]
        client.shell_channel.send(request)
        reply: dict[str, Any] = {"parent_header": {}}
        while reply["parent_header"].get("msg_id") != request["header"]["msg_id"]:
            reply = client.get_shell_msg(timeout=None)
        say(asked["cell"], "done", ok=reply["content"]["status"] == "ok")
    if not kept.exists():
        manager.shutdown_kernel(now=True)


main()
