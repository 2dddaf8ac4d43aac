"""What is right before it is damaged: connection files, messages, calls of tools, requests, notebooks, black boxes."""

from __future__ import annotations

from typing import Any, Final

from marimo_kernel_bridge.kernel.live.messages import LOADER
from marimo_kernel_bridge.protocol import black_box as layout
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.document import DOCUMENT_PROTOCOL, DOCUMENT_REQUEST
from marimo_kernel_bridge.protocol.names import LIVE_TARGET

Json = Any  # Jupyter's, nbformat's, the tools'

_CHANNELS: Final = ("shell", "iopub", "stdin", "control", "hb")
_FILE: Final[Json] = {f"{name}_port": 40_000 + at for at, name in enumerate(_CHANNELS)} | {
    "ip": "127.0.0.1",
    "transport": "tcp",
    "signature_scheme": "hmac-sha256",
    "key": "k" * 36,
    "kernel_name": "m",
}
_CURVE: Final = {
    "curve_publickey": "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
    "curve_secretkey": "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6",
}
CONNECTION_FILES: Final[list[Json]] = [
    _FILE,
    _FILE | _CURVE,
    _FILE | {"transport": "ipc", "ip": "kernel-ipc"},
]

PARENT: Final[Json] = {"msg_id": "r-1", "msg_type": "execute_request", "username": "ada", "session": "s"}
HEADER: Final[Json] = {"msg_id": "m-1", "username": "k", "session": "s-1", "date": "2026-01-01T00:00:00Z"}
_SHOWN: Final[Json] = {"data": {"text/plain": "1"}, "metadata": {}, "transient": {"display_id": "a"}}
CONTENTS: Final[list[tuple[str, Json]]] = [
    ("stream", {"name": "stdout", "text": "hi"}),
    ("status", {"execution_state": "idle"}),
    ("execute_input", {"code": "1", "execution_count": 1}),
    ("execute_result", _SHOWN | {"execution_count": 1}),
    ("update_display_data", _SHOWN),
    ("error", {"ename": "E", "evalue": "x", "traceback": ["a"]}),
    ("execute_reply", {"status": "ok", "execution_count": 1}),
    ("kernel_info_reply", {"implementation": "x", "language_info": {"name": "python"}}),
    ("input_request", {"prompt": "?", "password": False}),
    (wire.REPLY, {"status": "error", "protocol": 2, "code": "bad_request", "evalue": "x", "hint": ""}),
]

_CHANGE: Final[Json] = {"action": "change", "cell_id": "aaaa", "version": 1, "code": "x = 2"}
_EDITS: Final[Json] = [
    _CHANGE,
    {"action": "add", "code": "y = 1"},
    {"action": "delete", "cell_id": "aaaa", "version": 1},
]
_REPLACING: Final[Json] = [
    {"action": "change", "cell_id": "aaaa", "old": "1", "new": "2"},
    {"action": "add", "type": "markdown", "code": "# T", "after": ""},
]
_STRUCTURE: Final[Json] = [{"cell_id": "aaaa"}, {"cell_id": "t", "type": "markdown", "code": "# T"}]
CALLS: Final[list[tuple[str, Json]]] = [
    ("list_kernels", {}),
    ("connect_to_kernel", {"connection_file": "FILE", "notebook": None}),
    ("connect_to_kernel", {"notebook": "a.ipynb"}),
    ("connect_to_kernel", {"server_url": "http://127.0.0.1:1/lab", "token": "t"}),
    ("start_kernel", {"kernelspec": "no", "directory": ".", "interpreter": None}),
    ("control_kernel", {"action": "interrupt"}),
    ("kernel_status", {"kernel": "k1"}),
    ("list_cells", {"kernel": "k1", "offset": 0, "limit": 10, "max_chars": 1000}),
    ("read_cell", {"cell_id": "aaaa", "offset": 0, "max_chars": 500}),
    ("search_cells", {"query": "x", "limit": 5}),
    ("read_dataflow", {"cell_id": "aaaa"}),
    ("read_dataflow", {"variable": "x"}),
    ("list_variables", {"query": "x", "offset": 0, "limit": 3}),
    ("list_ui_elements", {"offset": 0}),
    ("read_variable", {"variable": "x", "offset": 0, "limit": 5}),
    ("list_errors", {}),
    ("preview_run", {"cell_ids": ["aaaa"], "edits": []}),
    ("preview_run", {"edits": _EDITS}),
    ("preview_run", {"which": "stale"}),
    ("execute_code", {"code": "1", "scratch": False, "timeout": 0.1}),
    ("execute_code", {"code": "print(1)", "scratch": True}),
    ("read_run", {"run_id": "ann-2", "timeout": 0.1}),
    ("interrupt_run", {"run_id": "ann-2"}),
    ("edit_cells", {"edits": _EDITS, "run": True, "timeout": 0.1}),
    ("edit_cells", {"edits": _REPLACING, "run": False}),
    ("propose_edit", {"edits": _REPLACING, "note": "why"}),
    ("wait_for_decision", {"op_id": "op-1", "timeout": 0.1}),
    ("withdraw_proposal", {"op_id": "op-1"}),
    ("detect_sync_needed", {"structure_override": _STRUCTURE, "code_override": {"aaaa": "x = 2"}}),
    ("list_cells", {"structure_override": _STRUCTURE, "offset": 0}),
    ("search_cells", {"query": "x+", "regex": False, "code_override": {"aaaa": "x = 2"}}),
    ("sync", {"dry_run": True, "timeout": 0.1}),
    ("diff_since", {"point": 3}),
    ("undo_edit", {"op_id": "op-1", "timeout": 0.1}),
    ("save_notebook", {}),
    ("rename_notebook", {"new_name": "a.ipynb"}),
    ("run_cells", {"cell_ids": ["aaaa"], "timeout": 0.1}),
    ("run_cells", {"which": "stale"}),
    ("set_ui_value", {"variable": "x", "value": 3, "timeout": 0.1}),
    ("install_packages", {"packages": ["polars", "dask[array]>=2025.1"]}),
    ("export_notebook", {"format": "ipynb"}),
    ("export_notebook", {"format": "json", "output": "a.json"}),
    ("export_notebook", {"file": "missing.ipynb", "format": "html"}),
    ("import_notebook", {"file": "missing.ipynb", "check": True, "output": "b.py"}),
    ("import_notebook", {"content": "# %%\nx = 1", "format": "py", "check": True}),
    ("list_kernelspecs", {}),
    ("list_notebooks", {"state": None}),
    ("list_templates", {}),
    (
        "create_notebook",
        {
            "name": "made",
            "template": "data_analysis",
            "parameters": {"a": 1},
            "limits": "memory=2GB",
            "sandbox": None,
        },
    ),
    ("open_notebook", {"notebook": "made", "limits": {"memory": "2GB"}, "sandbox": None}),
    ("close_notebook", {"notebook": "made.ipynb", "save": False}),
    ("delete_notebook", {"notebook": "made.ipynb"}),
    ("complete_code", {"code": "x.", "limit": 5}),
    ("inspect_code", {"code": "len"}),
    ("list_checkpoints", {}),
    ("save_checkpoint", {"name": "a"}),
    ("restore_checkpoint", {"name": "a"}),
    ("delete_checkpoint", {"name": "a"}),
    ("view_data", {"data": "df", "kernel": "k1"}),
    ("read_view", {"view": "v1"}),
    ("view_rows", {"view": "v1", "request": "{}", "key": "k"}),
    ("cell_visualize", {"data": "df", "type": "bar", "options": {"x": "a"}}),
    ("disconnect_kernel", {"kernel": "k1"}),
    ("search_cells", {"query": "(a+)+$", "regex": True}),
]

RESOURCES: Final = [
    "marimo://k1/notebook",
    "marimo://k1/history",
    "marimo://k1/cells/aaaa",
    "marimo://k1/cells/aaaa?offset=1",
    *(f"marimo://k1/cells/aaaa/{number}.{kind}" for number in range(3) for kind in ("json", "png", "jpeg")),
    "marimo://k1/runs/ann-2?offset=0",
    "marimo://k1/variables/x",
    "marimo://k1/notebook.ipynb",
    "marimo://k1/events?since=1",
    "marimo://k1/events/output?since=0",
    "marimo://k1/death",
    "marimo://k1/checkpoints",
    "marimo://views?view=v1",
]

_RUN: Final[Json] = {
    "code": "x = 1",
    "silent": False,
    "store_history": True,
    "user_expressions": {"a": "1"},
    "allow_stdin": False,
    "stop_on_error": True,
}


def _ours(op: str, **fields: Json) -> tuple[str, Json]:
    return wire.REQUEST, {"protocol": wire.PROTOCOL, "op": op, **fields}


def _front_end(op: str, **fields: Json) -> tuple[str, Json]:
    return DOCUMENT_REQUEST, {"protocol": DOCUMENT_PROTOCOL, "op": op, "client": "c", **fields}


_TEXT_CELL: Final[Json] = {"key": "one", "type": "code", "code": "x = 1\nx", "by": None}
_CELL: Final[Json] = {"kind": "change", "cell_id": "one", "version": 1, "code": "x = 2"}


def _page(kind: str, **fields: Json) -> tuple[str, Json]:
    return "comm_msg", {"comm_id": "page", "data": {"type": kind, "page": "p", **fields}}


SHELL: Final[list[tuple[str, Json]]] = [
    ("execute_request", _RUN),
    ("execute_request", _RUN | {"silent": True}),
    ("complete_request", {"code": "imp", "cursor_pos": 3}),
    ("inspect_request", {"code": "len", "cursor_pos": 2, "detail_level": 0}),
    ("history_request", {"output": False, "raw": True, "hist_access_type": "tail", "n": 3, "pattern": "*"}),
    ("is_complete_request", {"code": "if 1:"}),
    ("comm_info_request", {"target_name": "x"}),
    ("comm_open", {"comm_id": "u", "target_name": "jupyter.widget", "data": {"state": {}}}),
    ("comm_msg", {"comm_id": "u", "data": {"method": "update", "state": {}}}),
    ("comm_close", {"comm_id": "u", "data": {}}),
    ("comm_open", {"comm_id": "page", "target_name": LIVE_TARGET, "data": {}}),
    _page("hello", loader=LOADER),
    _page("get", req="r", out="1"),
    _page("assets", req="r", names=["x.js"]),
    _page("set", values=[["x-0", 1]]),
    _page("call", call="c", namespace="x-0", name="search", args={"a": 1}),
    _page("failed", reason="none"),
    ("kernel_info_request", {}),
    ("input_reply", {"value": "x"}),
    _ours(
        "edit_cells",
        changes=[_CELL, {"kind": "add", "code": "y = 1", "after": None}],
        dry_run=False,
        client="a",
    ),
    _ours("run_cells", cell_ids=["one"], client="a"),
    _ours("run_stale"),
    _ours("set_ui_value", ui_element="x", value=3),
    _ours("install_packages", requirements=5),
    _ours("describe"),
    _ours("inspect_variable", name="x", rows=5, offset=0),
    _ours("read_table", name="x", columns=["a"], rows=5, by=["a"], how="mean", bins=True, edges=True),
]
CONTROL: Final[list[tuple[str, Json]]] = [
    *map(_ours, ("describe", "list_cells", "read_observations", "list_variables", "list_ui_elements")),
    _ours("read_environment"),
    _ours("read_outline", offset=0, limit=3),
    _ours("read_cell", cell_id="one", most_output=100),
    _ours("read_run", run_id="r"),
    _ours("read_outcome", run_id="r"),
    _ours("read_history", limit=5),
    _ours("search_cells", query="x", limit=5),
    _ours("inspect_variable", name="x", rows=5, offset=0),
    _ours("redact", value={"a": "b"}),
    _ours("preview_run", cell_ids=["one"]),
    _ours("cancel_run", run_id="r"),
    ("kernel_info_request", {}),
    _ours("read_document"),
    _ours("edit_document", changes=[_CELL, {"kind": "add", "code": "y = 1"}], run=False, client="a"),
    _ours(
        "edit_document", changes=[{"kind": "move", "cell_id": "one", "version": 1}], propose=True, note="n"
    ),
    _ours("read_proposal", op_id="o"),
    _ours("withdraw_proposal", op_id="o"),
    *map(_ours, ("compare_document", "sync_document", "read_changes", "save_document")),
    _ours("undo_edit", op_id="o"),
    _front_end(
        "attach",
        front_end="f",
        version="1",
        path="n.ipynb",
        cells=[_TEXT_CELL, {"key": "text", "type": "markdown", "code": "Words"}],
        shared_id="s",
        can=["apply", "propose"],
    ),
    _front_end(
        "changed", revision=1, order=["one", "text"], cells=[_TEXT_CELL], editing="one", path="m.ipynb"
    ),
    _front_end(
        "done",
        op_id="o",
        result="applied",
        conflicts=[{"key": "one", "code": None}],
        added={"new1": "two"},
        runs=[{"key": "two", "msg_id": None}],
    ),
    _front_end("decided", op_id="o", change=0, decision="accepted", rest=0, code="x = 2", key="one"),
    _front_end("undo", op_id="o"),
    _front_end("pause", paused=False),
    _front_end("compare"),
    _front_end("detach"),
]

_PNG: Final = "iVBORw0KGgo="
_OUTPUTS: Final[list[Json]] = [
    {
        "output_type": "execute_result",
        "execution_count": 1,
        "data": {
            "text/plain": "1",
            "text/html": ["<b>1</b>"],
            "image/png": _PNG,
            "application/json": {"a": 1},
        },
        "metadata": {"image/png": {"width": 3}},
    },
    {"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]},
    {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]},
]
_CELLS: Final[list[Json]] = [
    {
        "cell_type": "markdown",
        "id": "m1",
        "metadata": {},
        "source": ["# T\n", "![](attachment:p.png) $x$ [a](b.ipynb)"],
        "attachments": {"p.png": {"image/png": _PNG}},
    },
    {
        "cell_type": "code",
        "id": "c1",
        "metadata": {"marimo": {"config": {"hide_code": True}, "name": "first"}, "tags": ["t"]},
        "execution_count": 1,
        "source": "import os\n%matplotlib inline\nx = 1\n!ls\nx",
        "outputs": _OUTPUTS,
    },
    {"cell_type": "code", "id": "c2", "metadata": {}, "source": "x = x + 1\nprint(x)", "outputs": []},
    {"cell_type": "raw", "id": "r1", "metadata": {"format": "text/x"}, "source": "raw"},
]
_OLD_CELLS: Final[list[Json]] = [
    {
        "cell_type": "code",
        "input": ["x = 1"],
        "language": "python",
        "outputs": [{"output_type": "pyout", "prompt_number": 1, "text": ["1"]}],
        "metadata": {},
    },
    {"cell_type": "heading", "level": 2, "source": ["H"], "metadata": {}},
]
NOTEBOOKS: Final[list[Json]] = [
    {
        "cells": _CELLS,
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "P", "language": "python"},
            "language_info": {"name": "python"},
            "marimo": {"app_config": {"width": "full"}, "header": "# h"},
            "title": "T",
            "authors": [{"name": "A"}],
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    },
    {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": "n"},
        "worksheets": [{"cells": _OLD_CELLS, "metadata": {}}],
    },
]
MARIMO: Final = '''\
# /// script
# dependencies = ["marimo"]
# ///
import marimo

__generated_with = "0.25.0"
app = marimo.App(width="full")


@app.cell
def first():
    x = 1
    return (x,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""# T""")
    return


@app.cell
def _(x):
    y = x + 1
    y
    return (y,)


if __name__ == "__main__":
    app.run()
'''

_BORN: Final = b'{"pid":77,"started":1000.0,"ticks":5,"where":"boot ns","notebook":"/n.ipynb","cgroup":"/sys/fs/cgroup/a","oom_kills":1}'
_HEAD: Final = layout.HEAD.pack(layout.MAGIC, layout.RUNS_CELL, layout.NO_EXIT, 1000.0, 1001.0, 5, 6)
_NAMES: Final = b'[{"name":"df","type":"DataFrame","size":"5 x 2","cell":"abcd","seconds":2.5},{"name":"x"}]'
BLACK_BOX: Final[dict[str, bytes]] = {
    layout.NOW: _HEAD.ljust(56, b"\0")
    + layout.WHOLE.pack(0, len(_NAMES))
    + b"abcd".ljust(64, b"\0")
    + b"/tmp/ipykernel_77/1.py".ljust(256, b"\0")
    + b"big = load()".ljust(640, b"\0")
    + b"abcd x\nefgh y\n".ljust(2048, b"\0")
    + _BORN.ljust(1024, b"\0"),
    layout.NAMES: _NAMES,
    layout.CRASH: b"Fatal Python error: Segmentation fault\n\nCurrent thread 0x1 (most recent call first):\n"
    b'  File "/tmp/ipykernel_77/1.py", line 4 in <module>\n  File "/lib/a.py", line 5 in run\n',
}

_EXECUTION: Final[Json] = {
    "id": "run-1-1",
    "cell_id": "Hbol",
    "run_id": "run-1",
    "runtime_id": "rt-1",
    "status": "completed",
    "code_hash": "h",
    "started_at": "2026-11-29T09:00:00Z",
    "completed_at": "2026-11-29T09:00:01Z",
    "outcome": {
        "kind": "value",
        "display": {"mimetype": "text/html", "data": "<marimo-stat data-value='1'>"},
    },
}
_FAILED: Final[Json] = {
    "kind": "exception",
    "name": "E",
    "message": "m",
    "traceback": {"mimetype": "text/html", "data": "<b>"},
}
EVENTS: Final[list[tuple[str, Json]]] = [
    (
        "runtime",
        {"runtime": {"id": "rt-1", "notebook_id": "nb", "status": "running", "marimo_version": "0.25.2"}},
    ),
    ("cell", {"cell": {"id": "Hbol", "code": "x = y", "etag": "e", "code_hash": "h", "version": 1}}),
    ("cell", {"cell": {"id": "MJUe", "code": "y = x", "etag": "e", "code_hash": "h", "version": 2}}),
    ("document", {"document": {"order": ["Hbol", "MJUe"], "etag": "d", "order_etag": "o", "version": 2}}),
    (
        "analysis",
        {
            "analysis": {
                "document_etag": "d",
                "cells": {"Hbol": {"defs": ["x"], "refs": ["y"]}, "MJUe": {"defs": ["y"], "refs": ["x"]}},
            }
        },
    ),
    ("run", {"run": {"id": "run-1", "status": "running"}, "request_id": "marimo-kernel-bridge/ann/1"}),
    ("execution", {"execution": _EXECUTION}),
    (
        "execution",
        {"execution": _EXECUTION | {"id": "run-1-2", "outcome": {"kind": "error", "error": _FAILED}}},
    ),
    ("console", {"console": {"id": "i", "execution_id": "run-1-1", "seq": 0, "name": "stdout", "text": "a"}}),
    (
        "display",
        {
            "display": {
                "id": "j",
                "execution_id": "run-1-1",
                "seq": 1,
                "mimetype": "application/vnd.marimo+mimebundle",
                "data": '{"text/plain": "a"}',
            }
        },
    ),
    ("execution.removed", {"id": "run-1-1"}),
]
"""Of marimo's host API."""
