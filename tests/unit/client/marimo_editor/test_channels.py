"""A client of a notebook in marimo's editor; the server is in this process and runs nothing."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.marimo_editor import channels, runs
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell
from tests.unit.client.marimo_editor.served_host import ServedHost, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from marimo_kernel_bridge.client.runs import Run

pytestmark = pytest.mark.anyio

BOUND = 20.0
RUNS = "POST /runtime/runs"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "_AGAIN", 0.01)
    monkeypatch.setattr(runs, "_LOOK_EVERY", 0.01)


@pytest.fixture
async def served() -> AsyncIterator[ServedHost]:
    async with serving() as served:
        yield served


@pytest.fixture
async def client(served: ServedHost) -> AsyncIterator[KernelClient]:
    async with await KernelClient.attach(served.notebook, "ann", BOUND) as client:
        yield client


def running(served: ServedHost, *, over: bool = True, value: Any = None, cells: tuple[str, ...] = ()) -> None:
    """Have the server take runs: scratch code with a value, and cells that it runs."""

    def run(body: Any) -> tuple[int, Any]:
        number = len(served.asked)
        taken = {"id": f"run-{number}", "status": "running", "started_at": "2026-11-29T09:00:00Z"}
        key = served.asked[-1][2]
        served.put("run", taken, key)
        display = None if value is None else {"mimetype": "application/json", "data": json.dumps(value)}
        served.ran(None, taken["id"], outcome={"kind": "value", "display": display})
        for cell_id in cells:
            served.ran(cell_id, taken["id"])
        if over:
            served.put("run", {**taken, "status": "completed", "outcome": "succeeded"}, key)
        return 202, taken

    served.answers[RUNS] = run


def always(status: int, content: Any) -> Callable[[Any], tuple[int, Any]]:
    """Return an answer of the server to any body."""
    return lambda _: (status, content)


async def until(held: Callable[[], object]) -> None:
    async with asyncio.timeout(BOUND):
        while not held():  # noqa: ASYNC110  # the server in this process tells nobody
            await asyncio.sleep(0.001)


async def ended(client: KernelClient, run: Run) -> str:
    assert await client.runs.wait(run, BOUND)
    return run.status


def refused(run: Run, code: str) -> bool:
    with pytest.raises(BridgeError) as refusal:
        run.report()
    return bool(refusal.value.code == code)


async def test_the_notebook_is_read_like_that_of_a_reactive_kernel(
    client: KernelClient, served: ServedHost
) -> None:
    assert client.info.reactive
    assert (client.info.implementation, client.info.implementation_version) == ("marimo", "0.25.2")
    assert [(cell.cell_id, cell.code) for cell in await client.reads.list_cells()] == [
        ("Hbol", "x = 1"),
        ("MJUe", "y = x + 1"),
    ]
    description = await client.reads.describe()
    assert (description.notebook, description.busy, description.cells) == ("/home/ada/plots/a.py", False, 2)
    content = await client.document.read()
    assert content is not None
    assert content.active is not None
    assert (content.active.front_end, content.active.dirty) == ("marimo", False)
    assert [match.cell_id for match in (await client.reads.search("X +", 9)).found] == ["MJUe"]
    assert [expected.cell_id for expected in await client.reads.preview_run(["MJUe"])] == ["MJUe"]
    with pytest.raises(BridgeError, match="no cell 'nope'"):
        await client.reads.read_cell("nope")


async def test_cells_run_in_marimo_and_the_report_says_which(
    client: KernelClient, served: ServedHost
) -> None:
    running(served, cells=("Hbol", "MJUe"))
    run = await client.run_cells(["Hbol"])
    assert await ended(client, run) == "ok"
    report = run.report()
    assert report is not None
    assert (report.requested, [ran.cell_id for ran in report.cells]) == (("Hbol",), ["Hbol", "MJUe"])
    (_, body, key) = served.asked[-1]
    assert "['Hbol']" in body["code"]
    assert key.startswith("marimo-kernel-bridge/ann/")
    assert {cell.last_run_by for cell in await client.reads.list_cells()} == {"ann"}
    assert (await client.reads.outcome(run.run_id)).report == report
    assert await ended(client, await client.run_stale()) == "ok"
    assert len(served.asked) == 1  # nothing was stale


async def test_an_edit_names_what_was_read_and_runs_what_it_wrote(
    client: KernelClient, served: ServedHost
) -> None:
    running(served, cells=("Hbol",))

    def edit(body: Any) -> tuple[int, Any]:
        added = body["changes"][1]["cell"]["id"]
        served.cells(Hbol="x = 2", MJUe="y = x + 1", **{added: "z = 1"})
        versions = {name: {"etag": f"new-{name}", "version": 2} for name in ("Hbol", added)}
        return 200, {"document": served.objects["document", ""], "cells": versions}

    served.answers["POST /edits"] = edit
    done = await client.document.edit([ChangeCell("Hbol", 1, "x = 2"), AddCell("z = 1")])
    change = served.asked[0][1]["changes"][0]
    assert (change["base_etag"], change["cell"]["code"]) == ("e-Hbol-1", "x = 2")
    assert (done.outcome, done.front_end) == ("applied", "marimo")
    assert done.op_id is not None
    run = client.document_runs.follow(done.op_id, done.runs)
    assert await ended(client, run) == "ok"
    assert str(["Hbol", *done.added]) in served.asked[1][1]["code"]

    def undone(body: Any) -> tuple[int, Any]:
        served.cells(Hbol="x = 1", MJUe="y = x + 1")
        return 200, {"document": served.objects["document", ""], "cells": {}}

    served.answers["POST /edits"] = undone
    assert (await client.document.undo(done.op_id)).outcome == "applied"
    kinds = [(change["kind"], change["base_etag"]) for change in served.asked[2][1]["changes"]]
    assert kinds == [("put_cell", "new-Hbol"), ("delete_cell", f"new-{done.added[0]}"), ("set_order", "o2")]
    with pytest.raises(BridgeError) as refusal:
        await client.document.undo(done.op_id)
    assert refusal.value.code == "no_such_edit"


@pytest.mark.parametrize("told", [True, False])
async def test_an_edit_of_what_has_changed_meanwhile_changes_nothing(
    client: KernelClient, served: ServedHost, told: bool
) -> None:
    if told:
        served.cells(Hbol="x = 10", MJUe="y = x + 1")
        while (await client.reads.list_cells())[0].version == 1:
            pass
    else:
        cell = {"id": "Hbol", "code": "x = 10", "etag": "e", "code_hash": "h", "version": 7}
        served.answers["POST /edits"] = always(409, {"type": "conflict", "edit": {"cell": cell}})
    with pytest.raises(BridgeError, match="x = 10") as refusal:
        await client.document.edit([DeleteCell("Hbol", 1)])
    assert refusal.value.code == "stale_version"


async def test_scratch_code_prints_and_has_a_value(client: KernelClient, served: ServedHost) -> None:
    running(served, over=False)
    run = await client.execute("6 * 7", store_history=False)
    await until(lambda: served.asked)
    item = {"execution_id": "run-1-None", "seq": 0, "name": "stdout", "text": "on the way\n"}
    served.put("console", {"id": "i-1", **item})
    while not run.printed():
        await client.runs.wait(run, 0.01)
    assert run.status == "running"
    served.ran(None, "run-1", outcome={"kind": "value", "display": {"mimetype": "text/plain", "data": "42"}})
    served.put("run", {"id": "run-1", "status": "completed"})
    assert await ended(client, run) == "ok"
    assert [output.get("text") or output["data"] for output in run.log.outputs()] == [
        "on the way\n",
        {"text/plain": "42"},
    ]


async def test_code_that_would_be_a_cell_of_its_own_is_refused(client: KernelClient) -> None:
    run = await client.execute("x = 3")
    assert await ended(client, run) == "error"
    assert refused(run, "not_offered")


async def test_a_run_waits_for_the_persons_and_can_be_cancelled_before_its_turn(
    client: KernelClient, served: ServedHost
) -> None:
    running(served)
    served.put("run", {"id": "run-x", "status": "running"})
    while not (await client.reads.describe()).busy:
        pass
    run, cancelled = (
        await client.execute("1", store_history=False),
        await client.execute("2", store_history=False),
    )
    with pytest.raises(BridgeError) as refusal:
        await client.reads.list_variables()
    assert refusal.value.code == "kernel_busy"
    await client.abandon(cancelled)
    assert (run.status, served.asked) == ("queued", [])
    served.answers["DELETE /runtime/runs/run-x"] = always(202, {})
    await client.interrupt()
    assert served.asked[-1][0] == "DELETE /runtime/runs/run-x"
    served.put("run", {"id": "run-x", "status": "completed"})
    assert await ended(client, run) == "ok"
    assert await ended(client, cancelled) == "aborted"
    assert [body["code"] for asked, body, _ in served.asked if asked == RUNS] == ["1"]


async def test_variables_are_read_by_code_that_leaves_nothing(
    client: KernelClient, served: ServedHost
) -> None:
    served.put(
        "analysis",
        {"document_etag": "d1", "cells": {"Hbol": {"defs": ["x"]}, "MJUe": {"defs": ["y"], "refs": ["x"]}}},
    )
    one = {"name": "x", "type": "int", "summary": "1", "ui_element": False}
    running(served, value=[one, {**one, "name": "get_ipython"}])
    (variable,) = await client.reads.list_variables()
    assert (variable.name, variable.summary, variable.defined_by) == ("x", "1", "Hbol")
    running(served, value={"variable": one, "items": [], "total_items": 0})
    content = await client.reads.inspect_variable("x", 5)
    assert (content.variable.type, content.variable.defined_by, content.sampled) == ("int", "Hbol", True)
    running(served, value=None)
    with pytest.raises(BridgeError):
        await client.reads.inspect_variable("nope", 5)


async def test_every_request_is_answered_or_refused_with_what_to_do_instead(client: KernelClient) -> None:
    for request in (
        wire.ListUiElements(),
        wire.ReadChanges(),
        wire.DeleteCheckpoint(name="a"),
        wire.ReadProposal(op_id="a"),
        wire.WithdrawProposal(op_id="a"),
        wire.EditDocument(changes=[], propose=True),
        wire.EditDocument(changes=[], dry_run=True),
        wire.SaveDocument(name="b.py"),
    ):
        with pytest.raises(BridgeError) as refusal:
            await client.reads.ask(request, object)
        assert refusal.value.code == "not_offered"
        assert refusal.value.hint
    for run in (await client.set_ui_value("s", 3), await client.install(["numpy"])):
        await ended(client, run)
        assert refused(run, "not_offered")
    with pytest.raises(BridgeError, match="Loading cells"):
        await client.document.load()
    assert await client.reads.observations() == []
    assert await client.reads.history(5) == []
    assert await client.reads.redact("text") == "text"
    assert (await client.reads.environment()).installer is None
    assert (await client.document.compare()).never_run == ("Hbol", "MJUe")


async def test_the_file_is_saved_by_marimo(client: KernelClient, served: ServedHost) -> None:
    served.answers["POST /save"] = always(200, {})
    assert (await client.document.save()).outcome == "applied"
    served.answers["POST /save"] = always(409, {"detail": "The notebook cannot be saved"})
    with pytest.raises(BridgeError, match="marimo refuses this: The notebook cannot be saved"):
        await client.document.save()


async def test_a_restart_of_marimos_kernel_is_one_of_the_kernel(
    client: KernelClient, served: ServedHost
) -> None:
    running(served, over=False)
    run = await client.execute("1", store_history=False)
    await until(lambda: served.asked)
    served.remove("runtime", "rt-1")
    assert await ended(client, run) == "lost"
    assert client.end is not None
    assert "shut down" in client.end.message
    served.put("runtime", {"id": "rt-2", "notebook_id": served.notebook.notebook_id, "status": "running"})
    async with asyncio.timeout(BOUND):
        while client.restarts == 0:
            with suppress(BridgeError):
                await client.require_alive()
            await asyncio.sleep(0.01)
    assert all(cell.stale for cell in await client.reads.list_cells())


@pytest.mark.parametrize(
    ("message", "told"), [("Killed by signal 9", "ended unexpectedly"), (None, "was shut down")]
)
async def test_a_kernel_that_died_is_told_from_one_that_the_person_ended(
    client: KernelClient, served: ServedHost, message: str | None, told: str
) -> None:
    failed = {"id": "rt-1", "notebook_id": served.notebook.notebook_id, "status": "failed"}
    served.put("runtime", {**failed, "message": message})
    async with asyncio.timeout(BOUND):
        while await client.liveness() != "dead":
            pass
    assert client.end is not None
    assert told in client.end.message


async def test_a_connection_that_breaks_is_opened_again(client: KernelClient, served: ServedHost) -> None:
    served.drop()
    served.cells(Hbol="x = 5", MJUe="y = x + 1")
    async with asyncio.timeout(BOUND):
        while (await client.reads.list_cells())[0].code != "x = 5":
            pass
    assert client.restarts == 0
    assert await client.liveness() == "alive"


async def test_a_server_that_is_gone_or_another_one_is_the_end(
    client: KernelClient, served: ServedHost
) -> None:
    served.token = "another server's"
    served.drop()
    async with asyncio.timeout(BOUND):
        while await client.liveness() != "dead":
            pass
    with pytest.raises(BridgeError) as refusal:
        await client.reads.list_cells()
    assert refusal.value.code == "kernel_dead"


async def test_nobody_attaches_without_a_running_notebook_or_the_secret(served: ServedHost) -> None:
    served.remove("runtime", "rt-1")
    with pytest.raises(BridgeError, match="open it in marimo") as refusal:
        await KernelClient.attach(served.notebook, "ann", 0.1)
    assert refusal.value.code == "no_such_notebook"
    served.token = "another"
    with pytest.raises(BridgeError, match="has ended") as refusal:
        await KernelClient.attach(served.notebook, "ann", 0.1)
    assert refusal.value.code == "server_refused"
    assert "s3cret" not in str(refusal.value) + repr(served.notebook)
