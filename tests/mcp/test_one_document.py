"""A person's open document and an agent behind the server's process, on a real kernel."""

import asyncio
import json

import pytest
from open_page import OpenPage
from person import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def page(reactive_kernel):
    """Ada's notebook: it has Markdown, and two cells that she runs."""
    cells = {"head": "#%md Penguins", "aaaa": "x = 1", "bbbb": "y = x + 1\nprint('y is', y)"}
    page = OpenPage(reactive_kernel.connection_file, cells)
    page.start()
    yield page
    page.close()


async def test_what_an_agent_changes_is_in_the_document_and_what_the_person_types_is_seen(
    page, serve, reactive_kernel
):
    agent, doc = await serve("auto", name="claude"), page.document
    await agent.connect(reactive_kernel)
    page.do(lambda: [doc.run("aaaa"), doc.run("bbbb")])
    await until(lambda: page.shown("bbbb") == "y is 2")
    # An edit goes into the page, which runs it; dependents follow.
    edits = [
        {"action": "change", "cell_id": "aaaa", "old": "1", "new": "10"},
        {"action": "add", "type": "markdown", "code": "*by claude*", "after": ""},
        {"action": "add", "code": "z = y * 2\nz", "after": "bbbb"},
    ]
    edited = await agent("edit_cells", edits=edits)
    assert (edited.data["status"], edited.data["where"]) == ("ok", "document"), edited.text
    assert edited.data["outputs"].endswith("\n22")
    assert {ran["code"] for ran in edited.data["reran"]} == {"y = x + 1"}
    await until(lambda: page.shown("bbbb") == "y is 11")
    assert list(doc.codes.values()) == [
        "*by claude*",
        "#%md Penguins",
        "x = 10",
        doc.codes["bbbb"],
        "z = y * 2\nz",
    ]
    assert doc.saved == []
    # Unsaved text of the person is seen, and not lost: an edit for what was before it becomes a proposal.
    stale = (await agent("read_cell", cell_id="aaaa")).data["version"]
    page.do(lambda: doc.type("aaaa", "x = 100", flush=False))
    listed = await agent("list_cells")
    line = next(line for line in listed.data["cells"] if line["code"] == "x = 100")
    assert line["sync"] == "changed"
    assert "shows" not in listed.data["origin"], "it is the document"
    late = await agent(
        "edit_cells", edits=[{"action": "change", "cell_id": "aaaa", "version": stale, "code": "x = 7"}]
    )
    assert (late.data["status"], doc.codes["aaaa"]) == ("proposed", "x = 100"), late.text
    assert late.data["conflicts"][0]["code"] == "x = 100"
    # The person decides, with a text of their own.
    op_id = late.data.get("op_id") or late.data["run_id"]
    await until(lambda: op_id in doc.proposals)
    waiting = asyncio.create_task(agent("wait_for_decision", op_id=op_id, timeout=60))
    page.do(lambda: doc.accept(op_id, code="x = 8"))
    decided = (await waiting).data
    assert (decided["status"], decided["decisions"][0]["code"]) == ("decided", "x = 8")
    await until(lambda: page.shown("bbbb") == "y is 9")
    # Undone, and in step.
    page.do(lambda: doc.type("bbbb", "y = x - 1\nprint('y is', y)"))
    assert (await agent("detect_sync_needed")).data["cells"][0]["state"] == "changed"
    synced = await agent("sync")
    assert synced.data["status"] == "ok", synced.text
    await until(lambda: page.shown("bbbb") == "y is 7")
    last = await agent("edit_cells", edits=[{"action": "change", "cell_id": "aaaa", "old": "8", "new": "9"}])
    undone = await agent("undo_edit", op_id=last.data["run_id"])
    assert (undone.data["status"], doc.codes["aaaa"]) == ("ok", "x = 8"), undone.text
    changes = (await agent("diff_since", point=0)).data
    assert {change["by"] for cell in changes["cells"] for change in cell["changes"]} >= {
        "the person",
        "claude",
    }
    # An export is the document, each cell once.
    exported = json.loads((await agent("export_notebook", max_chars=100_000)).data["content"])
    assert ["".join(cell["source"]) for cell in exported["cells"]] == list(doc.codes.values())
    assert (await agent("save_notebook")).data["saved"]
    assert doc.saved == list(doc.codes.values())
