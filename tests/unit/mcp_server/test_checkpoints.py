"""Checkpoints for agents, of a kernel in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.checkpoints import (
    CheckpointSaved,
    CheckpointSummary,
    LostName,
    Restored,
    StaleCell,
)

if TYPE_CHECKING:
    from tests.unit.mcp_server.agent import Agent
    from tests.unit.mcp_server.conftest import Serve
    from tests.unit.mcp_server.fake_kernel import FakeKernel

pytestmark = pytest.mark.anyio

LOST = LostName("con", "sqlite3.Connection", "a connection cannot be kept", "Hbol", '["db"]')
LOST_LINE = 'con (sqlite3.Connection): a connection cannot be kept at ["db"]; cell Hbol makes it'


async def test_checkpoints_are_listed_with_what_they_lack(connected: Agent, kernel: FakeKernel) -> None:
    kernel.checkpoints = [
        CheckpointSummary("lunch", "named", 0.0, 11, 2_500_000, (LOST,), "3.11", ("pandas was 2.0",))
    ]
    listed = (await connected("list_checkpoints")).text.splitlines()
    assert listed[0].startswith("- lunch · named · 1970-01-01 ")
    assert listed[0].endswith(" · 11 cells · 2.5 MB")
    assert listed[1:] == [f"  without {LOST_LINE}", "  pandas was 2.0"]
    resource = await connected.client.read_resource("marimo://k1/checkpoints")
    assert json.loads(resource.contents[0].text)["checkpoints"][0]["lost"] == [LOST_LINE]  # type: ignore[union-attr]  # text
    kernel.checkpoints = []
    assert "no checkpoint" in (await connected("list_checkpoints")).text


async def test_a_list_says_which_data_is_as_it_was_saved_only_if_asked(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.checkpoints = [
        CheckpointSummary("lunch", "named", 0.0, 11, 2_500_000, verified="whole"),
        CheckpointSummary("old", "named", 0.0, 0, 0, verified="[checkpoint_broken] It was changed."),
    ]
    listed = (await connected("list_checkpoints", verify=True)).text.splitlines()
    assert listed[0].endswith(" · 11 cells · 2.5 MB · whole")
    assert listed[1] == "- old · [checkpoint_broken] It was changed."
    await connected("list_checkpoints")
    asked = [request.verify for request in kernel.requests if isinstance(request, wire.ListCheckpoints)]
    assert asked == [True, False]


async def test_a_save_says_what_was_saved_and_what_cannot_be(connected: Agent, kernel: FakeKernel) -> None:
    kernel.replies["save_checkpoint"] = CheckpointSaved("lunch", 11, 1500, 0.25, (LOST,))
    saved = await connected("save_checkpoint", name="lunch")
    assert saved.text.splitlines() == [
        "Saved 11 cells as lunch in 0.2 s, 1.5 KB new on disk.",
        f"- without {LOST_LINE}",
    ]
    kernel.replies["save_checkpoint"] = BridgeError("disk_full", "There is no room.")
    assert (await connected("save_checkpoint", name="lunch")).refused("disk_full")


async def test_a_restore_says_which_cells_are_stale_and_why(connected: Agent, kernel: FakeKernel) -> None:
    stale = (
        StaleCell("Hbol", "con = sqlite3.connect(p)", "a connection cannot be kept", 0.1),
        StaleCell("MJUe", "con.execute(q)", "Hbol is stale"),
    )
    done = Restored("lunch", 0.0, 1.2, ("a", "b", "c"), stale, (LOST,), ("Figures are drawn again.",))
    kernel.replies["restore_checkpoint"] = done
    lines = (await connected("restore_checkpoint")).text.splitlines()
    assert lines[0].startswith("Restored 3 of 5 cells of lunch, 1970-01-01 ")
    assert lines[0].endswith(" in 1.2 s.")
    assert lines[1:] == [
        'Stale: run_cells(which="stale") runs these 2, 0.1 s the last time:',
        "- [Hbol] `con = sqlite3.connect(p)` (a connection cannot be kept)",
        "- [MJUe] `con.execute(q)` (Hbol is stale)",
        f"- without {LOST_LINE}",
        "Figures are drawn again.",
    ]


async def test_a_preview_of_a_restore_needs_no_more_than_reading(
    serve: Serve, kernel: FakeKernel, connection_file: str
) -> None:
    agent = await serve("read")
    await agent("connect_to_kernel", connection_file=connection_file)
    kernel.replies["restore_checkpoint"] = Restored("lunch", 0.0, 0.0, ("a",), (), preview=True)
    previewed = await agent("restore_checkpoint", preview=True)
    assert previewed.text.startswith("Would restore 1 of 1 cells of lunch")
    assert (await agent("restore_checkpoint")).refused("not_allowed")
    assert (await agent("save_checkpoint", name="x")).refused("not_allowed")


async def test_a_checkpoint_is_deleted_by_who_may_do_all(
    serve: Serve, kernel: FakeKernel, connection_file: str, connected: Agent
) -> None:
    kernel.checkpoints = [CheckpointSummary("lunch", "named", 0.0, 11, 100)]
    assert (await connected("delete_checkpoint", name="lunch")).refused("not_allowed")
    agent = await serve("all", name="ada")
    await agent("connect_to_kernel", connection_file=connection_file)
    assert not (await agent("delete_checkpoint", name="lunch")).failed
    assert kernel.checkpoints == []
    assert (await agent("delete_checkpoint", name="lunch")).refused("no_such_checkpoint")
