"""The commands about state that outlives kernels: notebooks as sessions, and checkpoints."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import click

from marimo_kernel_bridge.cli.group import examples
from marimo_kernel_bridge.cli.terminal import echo
from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from pathlib import Path

    from marimo_kernel_bridge.checkpoints.store import Store

CheckpointAction: TypeAlias = Literal["list", "verify", "delete", "save", "restore"]


@click.command(
    epilog=examples(
        "marimo-kernel-bridge notebooks",
        "marimo-kernel-bridge notebooks --json",
        "marimo-kernel-bridge notebooks end penguins.ipynb",
        "marimo-kernel-bridge notebooks forget penguins.ipynb",
    )
)
@click.argument("action", type=click.Choice(["list", "end", "forget"]), default="list")
@click.argument("notebook", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def notebooks(*, action: Literal["list", "end", "forget"], notebook: str | None, as_json: bool) -> None:
    """List the notebooks of agents.

    Those that agents have created or opened. `end` ends the kernel of one, and `forget` forgets one. NOTEBOOK is the id of one, or its path. Its file stays in any case.
    """
    from marimo_kernel_bridge.launch.sessions.registry import Registry  # noqa: PLC0415  # only for this command

    if action == "list":
        sessions = Registry().all()
        rows = [
            {
                "id": session.id,
                "state": session.state,
                "why": "" if session.state == "active" else session.why_suspended,
                "path": session.path,
                "description": session.description,
                "pid": session.kernel.pid
                if session.kernel is not None and session.state == "active"
                else None,
            }
            for session in sessions
        ]
        if as_json:
            echo(json.dumps(rows, indent=2))
            return
        for row in rows:
            why = f" ({row['why']})" if row["why"] else ""
            echo(f"{row['id']}  {row['state']}{why}\n  {row['path']}")
        if not rows:
            echo("No agent has created or opened a notebook of its own.")
        return
    if notebook is None:
        raise click.UsageError(f"Which notebook? notebooks {action} NOTEBOOK")
    asyncio.run(_end(notebook, forget=action == "forget"))


async def _end(notebook: str, *, forget: bool) -> None:
    from marimo_kernel_bridge.mcp_server.sessions.sessions import Sessions  # noqa: PLC0415  # only for this command

    sessions = Sessions()
    session = sessions.named(notebook)
    asked = False
    if session.state == "active":
        asked = await _ask_to_end(session.kernel.connection_file if session.kernel is not None else "")
    await sessions.closed(session.id, "you ended it", asked=asked)
    if forget:
        await sessions.deleted(session, file=False)
    echo(f"{'Forgotten' if forget else 'Ended'}: {session.path}")


async def _ask_to_end(connection_file: str) -> bool:
    from marimo_kernel_bridge.client.client import KernelClient  # noqa: PLC0415  # only for this command
    from marimo_kernel_bridge.client.connection import read_connection  # noqa: PLC0415

    try:
        async with await KernelClient.attach(read_connection(connection_file), "") as client:
            await client.shut_down()
    except BridgeError:
        return False
    return True


@click.command(
    epilog=examples(
        "marimo-kernel-bridge checkpoints",
        "marimo-kernel-bridge checkpoints list penguins.ipynb",
        "marimo-kernel-bridge checkpoints verify",
        "marimo-kernel-bridge checkpoints delete penguins.ipynb lunch",
        "marimo-kernel-bridge checkpoints save penguins.ipynb lunch",
        "marimo-kernel-bridge checkpoints restore penguins.ipynb",
    )
)
@click.argument("action", type=click.Choice(get_args(CheckpointAction)), default="list")
@click.argument("notebook", required=False)
@click.argument("name", required=False)
def checkpoints(*, action: CheckpointAction, notebook: str | None, name: str | None) -> None:
    """List, verify, delete, save or restore checkpoints of notebooks.

    NOTEBOOK is the path of a notebook; without it, all are listed or verified. `save` and `restore` are for a notebook whose kernel runs,
    which may also be named by its connection file; without NAME, `saved` and the newest.
    """
    if action in {"save", "restore"}:
        if notebook is None:
            raise click.UsageError(f"Which notebook? checkpoints {action} NOTEBOOK")
        asyncio.run(_ask_kernel(notebook, name, restores=action == "restore"))
        return
    from marimo_kernel_bridge.checkpoints.store import Store, shelf_of  # noqa: PLC0415  # only for this command

    store = Store()
    shelf = None if notebook is None else shelf_of(os.path.abspath(notebook))  # noqa: PTH100  # as kernels name it
    if action == "delete":
        if shelf is None or name is None:
            raise click.UsageError("Which? checkpoints delete NOTEBOOK NAME")
        echo(f"Deleted {name}: {_size(store.delete(shelf, name))} are free.")
        return
    shelves = store.shelves() if shelf is None else (shelf,)
    broken = sum(_show(store, one, verify=action == "verify") for one in shelves)
    if not any(store.manifests(one) or store.refused(one) for one in shelves):
        echo("There is no checkpoint.")
    if broken:
        raise SystemExit(1)


async def _ask_kernel(notebook: str, name: str | None, *, restores: bool) -> None:
    from marimo_kernel_bridge.client.client import KernelClient  # noqa: PLC0415  # only for this command
    from marimo_kernel_bridge.client.connection import read_connection  # noqa: PLC0415

    async with await KernelClient.attach(read_connection(await _kernel_of(notebook)), "") as client:
        if restores:
            restored = await client.checkpoints.restore(name)
            total = len(restored.fresh) + len(restored.stale)
            echo(f"Restored {len(restored.fresh)} of {total} cells of {restored.name}.")
            for cell in restored.stale:
                echo(f"  stale: {cell.code} ({cell.why})")
            for sentence in restored.told:
                echo(sentence)
        else:
            saved = await client.checkpoints.save(name or "saved")
            echo(f"Saved {saved.cells} cells as {saved.name}: {_size(saved.bytes_written)} are new.")
            for lost in saved.lost:
                echo(f"  without {lost.name} ({lost.type}): {lost.reason}")
            for sentence in saved.told:
                echo(sentence)


async def _kernel_of(notebook: str) -> str | Path:
    """Return the connection file of the kernel that runs a notebook, of an agent's session or of a front end. Raises `BridgeError`."""
    from marimo_kernel_bridge.client.connection import locate  # noqa: PLC0415  # only for this command
    from marimo_kernel_bridge.client.discovery import connection_file_of  # noqa: PLC0415
    from marimo_kernel_bridge.launch.sessions.called import the_session_called  # noqa: PLC0415
    from marimo_kernel_bridge.launch.sessions.registry import Registry  # noqa: PLC0415

    session = the_session_called(Registry(), notebook)
    if session is not None and session.state == "active" and session.kernel is not None:
        return session.kernel.connection_file
    return await connection_file_of(notebook) if notebook.endswith(".ipynb") else locate(notebook)


def _show(store: Store, shelf: str, *, verify: bool) -> int:
    """Print the checkpoints of a notebook; return how many cannot be used."""
    broken, verified = 0, store.verify(shelf) if verify else {}
    for manifest in store.manifests(shelf):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(manifest.at))
        facts = f"{manifest.kind}, {when}, {len(manifest.cells)} cells, {_size(manifest.size())}"
        state = ""
        if manifest.name in verified:
            refusal = verified[manifest.name]
            state = ": whole" if refusal is None else f": [{refusal.code}] {refusal}"
            broken += refusal is not None
        echo(f"{manifest.notebook or manifest.kernel_id}  {manifest.name}\n  {facts}{state}")
    for name, why in store.refused(shelf).items():
        echo(f"{shelf}  {name}\n  [{why.code}] {why}")
        broken += 1
    return broken


def _size(count: int) -> str:
    return f"{count / 10**6:.1f} MB" if count >= 10**5 else f"{count} bytes"
