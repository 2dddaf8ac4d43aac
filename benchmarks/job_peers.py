"""The jobs of `benchmarks.jobs` on two peers: jupyter-mcp-server beside JupyterLab's server, and the code mode of marimo's own.

Each play is that of an agent which knows the tools (`list_tools` of jupyter-mcp-server, the documentation of `marimo._code_mode`) and
nothing of the notebook, with the fewest calls that they allow. The notebook has been run before, as the person would have.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, Protocol

import nbformat
from jupyter_client.blocking.client import BlockingKernelClient
from mcp import Client
from nbclient import NotebookClient
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from benchmarks.agents import jupyter_server, served
from benchmarks.contenders import BUILD, peer_python
from benchmarks.measuring import JUPYTER_MCP, MARIMO_CODE, UnavailableError, check
from tests.agent_jobs import BUYERS, ORDERS, SALES, Cost, CountingAgent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

_BOUND = 120.0
_KERNEL = "ipykernel"
"""The kernelspec of this environment, which has what the jobs need; `prepare_kernelspecs` writes it."""

Costs = tuple[Cost | None, Cost | None]


class Peer(Protocol):
    """A peer: its environment in .build/peers, its name on PyPI, and its play of both jobs; None for one that it cannot do."""

    environment: str
    distribution: str

    async def jobs(self, folder: Path, notes: list[str]) -> Costs: ...


class JupyterMcp:
    """jupyter-mcp-server: one cell in a call, and the agent runs again what depends on it."""

    environment = distribution = JUPYTER_MCP

    async def jobs(self, folder: Path, notes: list[str]) -> Costs:
        await asyncio.to_thread(_write_files, folder)
        await asyncio.to_thread(_write_notebooks, folder)
        async with jupyter_server(folder) as (url, token):
            codes = [text for kind, text in ORDERS if kind == "code"]
            await asyncio.to_thread(_opened_by_the_person, url, token, "orders.ipynb", codes)
            await asyncio.to_thread(_opened_by_the_person, url, token, "sales.ipynb", ["import os"])
            command = [
                str(peer_python(JUPYTER_MCP)),
                "-m",
                "jupyter_mcp_server",
                "start",
                "--transport",
                "stdio",
            ]
            command += ["--jupyter-url", url, "--jupyter-token", token]
            env = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "JUPYTER_PATH"}}
            costs = []
            for play in (_mend_cell_by_cell, _build_cell_by_cell):
                async with served(command, env) as server:
                    await play(agent := CountingAgent(server.client))
                    costs.append(agent.cost)
        notes.append(
            f"{JUPYTER_MCP}: the agent has to know which cells to run again; an Altair chart comes as text; a slider of ipywidgets "
            "is set by code, and its readers are run again by the agent; the export runs nbconvert in the kernel."
        )
        return costs[0], costs[1]


async def _mend_cell_by_cell(agent: CountingAgent) -> None:
    assert "orders.ipynb" in (await agent("list_files")).text
    await agent("use_notebook", notebook_name="orders", notebook_path="orders.ipynb")
    outline = (await agent("read_notebook", notebook_name="orders", limit=0)).text
    assert "by_region" in outline
    assert "distinct customers" in (await agent("read_cell", cell_index=11)).text
    assert "('customer', 'count')" in (await agent("read_cell", cell_index=12)).text
    await agent("execute_code", code="print(orders.head(2)); print(orders.nunique())")
    tried = await agent("execute_code", code="orders.groupby('region')['customer'].agg(['count', 'nunique'])")
    check("nunique" in tried.text, f"execute_code: {tried.text[:200]}")
    await agent(
        "edit_cell_source",
        cell_index=12,
        old_string="('customer', 'count')",
        new_string="('customer', 'nunique')",
    )
    ran = [(await agent("execute_cell", cell_index=index)).text for index in (12, 13, 14, 15, 24)]
    check("best region" in ran[3], f"execute_cell: {ran[3][:200]}")


async def _build_cell_by_cell(agent: CountingAgent) -> None:
    await agent("list_files")
    await agent("use_notebook", notebook_name="s", notebook_path="sales.ipynb")

    async def added(text: str) -> str:
        if text.startswith("#"):
            return (await agent("insert_cell", cell_index=-1, cell_type="markdown", cell_source=text)).text
        return (await agent("insert_execute_code_cell", cell_index=-1, cell_source=text)).text

    await added("# Sales by region")
    await added(
        "import altair as alt\nimport ipywidgets as widgets\nimport matplotlib.pyplot as plt\nimport numpy as np\nimport pandas as pd"
    )
    await added("sales = pd.read_csv('sales.csv')\nbuyers = pd.read_csv('buyers.csv')")
    seen = await agent(
        "execute_code", code="print(sales.describe()); print(sales.isna().sum()); print(buyers.describe())"
    )
    check("8" in seen.text, f"execute_code: {seen.text[:200]}")
    await added("## Clean and join")
    await added("paid = sales.dropna(subset=['amount'])")
    joined = await added("joined = paid.merge(buyers, on='customer')\nlen(sales), len(paid), len(joined)")
    check("(400, 392, 392)" in joined, joined[:200])
    await added("## Model")
    await added(
        "slope, start = np.polyfit(joined['age'], joined['amount'], 1)\nprint(f'amount = {start:.1f} {slope:+.3f} * age')"
    )
    await added("## Charts")
    await added(
        "_, ax = plt.subplots(figsize=(4, 3))\njoined.groupby('region')['amount'].sum().plot.bar(ax=ax)\nax.figure"
    )
    await added(
        "_, points = plt.subplots(figsize=(4, 3))\npoints.scatter(joined['age'], joined['amount'])\n"
        "points.axline((0, start), slope=slope)\npoints.figure"
    )
    await added(
        "alt.Chart(joined.groupby('date', as_index=False)['amount'].sum()).mark_line().encode(x='date', y='amount')"
    )
    await added("least = widgets.IntSlider(50, 0, 100, description='least amount')\nleast")
    await added("large = joined[joined['amount'] >= least.value]\nlen(large)")
    await agent("execute_code", code="least.value = 80")
    await agent("execute_cell", cell_index=14)
    await agent("execute_code", code="!jupyter nbconvert --to html --output report.html sales.ipynb")


def _write_files(folder: Path) -> None:
    """Make the folder of a peer, with what the notebook of job (b) reads."""
    folder.mkdir()
    (folder / "sales.csv").write_text(SALES)
    (folder / "buyers.csv").write_text(BUYERS)


def _write_notebooks(folder: Path) -> None:
    """Write the notebook of job (a) with its outputs, as it was saved, and that of job (b)."""
    cells = [
        nbformat.v4.new_markdown_cell(text) if kind == "markdown" else nbformat.v4.new_code_cell(text)
        for kind, text in ORDERS
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name=_KERNEL, timeout=int(_BOUND)).execute()
    notebook.metadata["kernelspec"] = {"name": _KERNEL, "display_name": _KERNEL, "language": "python"}
    nbformat.write(notebook, folder / "orders.ipynb")
    first = nbformat.v4.new_code_cell("import os")
    nbformat.write(
        nbformat.v4.new_notebook(cells=[first], metadata=notebook.metadata), folder / "sales.ipynb"
    )


def _opened_by_the_person(url: str, token: str, path: str, codes: list[str]) -> None:
    """Start the kernel of a notebook as its page would, and run its cells."""
    session = {"path": path, "type": "notebook", "name": "", "kernel": {"name": _KERNEL}}
    request = urllib.request.Request(  # noqa: S310  # a server of ours
        f"{url}/api/sessions",
        json.dumps(session).encode(),
        {"Authorization": f"token {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=_BOUND) as answer:  # noqa: S310  # a server of ours
        kernel_id = json.load(answer)["kernel"]["id"]
    client = BlockingKernelClient()
    client.load_connection_file(f"{os.environ['JUPYTER_RUNTIME_DIR']}/kernel-{kernel_id}.json")
    client.start_channels(hb=False)
    try:
        client.wait_for_ready(timeout=_BOUND)
        for text in codes:
            reply = client.execute_interactive(text, timeout=_BOUND, output_hook=lambda _: None)
            check(reply["content"]["status"] == "ok", f"{text[:60]!r} failed")
    finally:
        client.stop_channels()


class MarimoCode:
    """`marimo edit --mcp code-mode`: two tools, one of which runs Python that edits the notebook."""

    environment, distribution = MARIMO_CODE, "marimo"

    async def jobs(self, folder: Path, notes: list[str]) -> Costs:
        await asyncio.to_thread(_write_files, folder)
        _write_app(folder / "orders.py", [*ORDERS])
        _write_app(folder / "sales.py", [("code", "")])
        async with _opened_in_marimo(folder / "orders.py") as agent:
            await _mend_by_code(agent)
            mended = agent.cost
        async with _opened_in_marimo(folder / "sales.py") as agent:
            await _build_by_code(agent)
            built = agent.cost
        notes.append(
            f"{MARIMO_CODE}: nothing is exported, and no chart is seen: there is no tool for the one, and screenshots need a browser in "
            "the notebook's environment. An agent has to read of its API before it begins, which is not counted."
        )
        return mended, built


async def _mend_by_code(agent: CountingAgent) -> None:
    async def run(code: str) -> str:
        answer = await agent("execute_code", session_id=session, code=code)
        check(answer.data.get("success", False), f"execute_code: {answer.text[:400]}")
        return answer.text

    session = (await agent("list_sessions")).data["sessions"][0]["session_id"]
    imported = "import marimo._code_mode as cm\nctx = cm.get_context()\n"
    outline = await run(
        f"{imported}for c in ctx.cells: print(c.id, c.status, c.code.partition('\\n')[0][:80])"
    )
    assert "by_region" in outline
    found = await run(f"{imported}for c in ctx.cells.grep('(?i)distinct|^by_region'): print(c.id, c.code)")
    assert "distinct customers" in found
    await run("print(orders.head(2)); print(orders.nunique())")
    tried = await run("print(orders.groupby('region')['customer'].agg(['count', 'nunique']))")
    assert "nunique" in tried
    await run(
        "import marimo._code_mode as cm\nasync with cm.get_context() as ctx:\n"
        "    c = ctx.cells.grep('^by_region = ')[0]\n"
        "    ctx.edit_cell(c.id, c.code.replace(\"('customer', 'count')\", \"('customer', 'nunique')\"))\n"
        "    ctx.run_cell(c.id)"
    )
    shown = await run("print(by_region.round(1)); print(per_customer.round(1)); print(best); print(summary)")
    assert "north" in shown
    await run(f"{imported}print([(c.id, c.status, c.errors) for c in ctx.cells if c.errors])")


async def _build_by_code(agent: CountingAgent) -> None:
    async def run(code: str) -> str:
        answer = await agent("execute_code", session_id=session, code=code)
        check(answer.data.get("success", False), f"execute_code: {answer.text[:400]}")
        return answer.text

    async def added(*cells: str) -> None:
        codes = [f"mo.md({cell!r})" if cell.startswith("#") else cell for cell in cells]
        made = "".join(f"    ctx.run_cell(ctx.create_cell({code!r}))\n" for code in codes)
        await run(f"import marimo._code_mode as cm\nasync with cm.get_context() as ctx:\n{made}")

    session = (await agent("list_sessions")).data["sessions"][0]["session_id"]
    await added(
        "import altair as alt\nimport marimo as mo\nimport matplotlib.pyplot as plt\nimport numpy as np\nimport pandas as pd",
        "# Sales by region",
        "sales = pd.read_csv('sales.csv')\nbuyers = pd.read_csv('buyers.csv')",
    )
    seen = await run("print(sales.describe()); print(sales.isna().sum()); print(buyers.describe())")
    assert "8" in seen
    await added(
        "## Clean and join",
        "paid = sales.dropna(subset=['amount'])",
        "joined = paid.merge(buyers, on='customer')\nlen(sales), len(paid), len(joined)",
    )
    assert "392" in await run("print(len(sales), len(paid), len(joined))")
    await added(
        "## Model",
        "slope, start = np.polyfit(joined['age'], joined['amount'], 1)\nprint(f'amount = {start:.1f} {slope:+.3f} * age')",
    )
    await added(
        "## Charts",
        "_, ax = plt.subplots(figsize=(4, 3))\njoined.groupby('region')['amount'].sum().plot.bar(ax=ax)\nax.figure",
        "_, points = plt.subplots(figsize=(4, 3))\npoints.scatter(joined['age'], joined['amount'])\n"
        "points.axline((0, start), slope=slope)\npoints.figure",
        "alt.Chart(joined.groupby('date', as_index=False)['amount'].sum()).mark_line().encode(x='date', y='amount')",
    )
    await added(
        "least = mo.ui.slider(0, 100, value=50, label='least amount')\nleast",
        "large = joined[joined['amount'] >= least.value]\nlen(large)",
    )
    await run(
        "import marimo._code_mode as cm\nasync with cm.get_context() as ctx:\n    ctx.set_ui_value(least, 80)"
    )
    await run("print(least.value, len(large))")


def _write_app(path: Path, cells: list[tuple[str, str]]) -> None:
    """Write a notebook of marimo, without the names of what its cells take and give: marimo finds them."""
    texts = [f"mo.md({text!r})" if kind == "markdown" else text for kind, text in cells]
    if any(kind == "markdown" for kind, _ in cells):
        texts = ["import marimo as mo", *texts]
    lines = ["import marimo", "", "app = marimo.App()", ""]
    for text in texts:
        body = "".join(f"    {line}\n" for line in (text or "pass").split("\n"))
        lines += ["", f"@app.cell\ndef _():\n{body}    return", ""]
    path.write_text("\n".join([*lines, "", 'if __name__ == "__main__":\n    app.run()', ""]))


@contextmanager
def _marimo_server(file: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [
        "--headless",
        "--no-token",
        "--no-skew-protection",
        "--skip-update-check",
        "--mcp",
        "code-mode",
    ]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "XDG_STATE_HOME": str(file.parent / "state")
    }
    with (BUILD / "benchmarks" / "marimo-edit.log").open("ab") as log:
        process = subprocess.Popen(
            [peer_python(MARIMO_CODE), "-m", "marimo", "-q", "edit", *options, "--port", str(port), file],
            env=env, cwd=file.parent, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + _BOUND
        while not _answers(f"http://127.0.0.1:{port}/health"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise UnavailableError("its server did not start")
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310  # a server of ours
    except OSError:
        return False
    return True


@asynccontextmanager
async def _opened_in_marimo(file: Path) -> AsyncIterator[CountingAgent]:
    """Open a notebook in marimo's editor, as a page does, and run it; yields an agent at its MCP server."""
    with _marimo_server(file) as port:
        page = await websocket_connect(HTTPRequest(f"ws://127.0.0.1:{port}/ws?session_id=page-1&file={file}"))
        seen: asyncio.Queue[str] = asyncio.Queue()

        async def listen() -> None:
            while isinstance(text := await page.read_message(), str):
                await seen.put(json.loads(text)["op"])

        listening = asyncio.create_task(listen())

        async def until(op: str) -> None:
            async with asyncio.timeout(_BOUND):
                while await seen.get() != op:
                    pass

        try:
            await until("kernel-ready")
            await asyncio.to_thread(_instantiated, port)
            await until("completed-run")
            async with Client(f"http://127.0.0.1:{port}/mcp/server") as client:
                yield CountingAgent(client)
        finally:
            listening.cancel()
            page.close()


def _instantiated(port: int) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/kernel/instantiate",
        json.dumps({"objectIds": [], "values": [], "autoRun": True}).encode(),
        {"Marimo-Session-Id": "page-1", "Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=_BOUND).close()  # noqa: S310  # a server of ours


PEERS: Final[dict[str, Peer]] = {JUPYTER_MCP: JupyterMcp(), MARIMO_CODE: MarimoCode()}
"""By the names in the table."""
