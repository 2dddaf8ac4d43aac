"""The MCP server as a process, spoken to by the SDK's client in both eras of the protocol."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from person import BOUND, add, refused

pytestmark = pytest.mark.anyio

TOOLS = {
    "list_kernels",
    "connect_to_kernel",
    "kernel_status",
    "disconnect_kernel",
    "execute_code",
    "read_run",
    "interrupt_run",
    "list_cells",
    "read_cell",
    "search_cells",
    "read_dataflow",
    "list_variables",
    "read_variable",
    "list_errors",
    "preview_run",
    "edit_cells",
    "run_cells",
    "set_ui_value",
    "start_kernel",
    "control_kernel",
    "list_kernelspecs",
    "install_packages",
    "export_notebook",
    "import_notebook",
    "list_ui_elements",
}
RED_DOT = "import base64; from IPython.display import Image\ndisplay(Image(base64.b64decode({!r}), format='png'))".format(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module", params=["auto", "legacy"])
async def agent(request, serve):
    """An MCP client of each era of the protocol: with `server/discover`, and with `initialize`."""
    return await serve(request.param)


def as_written(path: str) -> dict:
    return json.loads(Path(path).read_text())


# What a client sees before it calls anything


async def test_the_tools_are_described_annotated_and_strict(agent):
    tools = {tool.name: tool for tool in (await agent.client.list_tools()).tools}
    assert set(tools) == TOOLS
    for tool in tools.values():
        assert tool.title
        assert 20 < len(tool.description) < 2048
        assert tool.input_schema["additionalProperties"] is False
        for name, argument in tool.input_schema["properties"].items():
            assert argument["description"], f"{tool.name}({name})"
        assert tool.output_schema["type"] == "object"
        hints = tool.annotations
        for hint in (
            hints.read_only_hint,
            hints.destructive_hint,
            hints.idempotent_hint,
            hints.open_world_hint,
        ):
            assert isinstance(hint, bool)
    changing = {name for name, tool in tools.items() if tool.annotations.destructive_hint}
    assert changing == {
        "execute_code",
        "edit_cells",
        "run_cells",
        "set_ui_value",
        "install_packages",
        "control_kernel",
        "export_notebook",
        "import_notebook",
    }


async def test_the_list_of_tools_is_no_longer_than_it_need_be(agent):
    """Each agent pays for it, whatever it does."""
    tools = (await agent.client.list_tools()).tools
    sent = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]
    paid = [{key: value for key, value in tool.items() if key != "outputSchema"} for tool in sent]
    assert len(json.dumps(sent, separators=(",", ":"))) < 50_000
    assert len(json.dumps(paid, separators=(",", ":"))) < 26_000, "what hosts show models, and more"


async def test_the_instructions_fit_what_hosts_keep(agent):
    assert "list_kernels" in agent.client.instructions
    assert len(agent.client.instructions.encode()) < 2048


def test_the_server_starts_without_marimo_zmq_or_ipython():
    code = (
        "import sys; from marimo_kernel_bridge.mcp_tools import build_server; build_server();"
        "print(sorted({'marimo', 'zmq', 'jupyter_client', 'IPython', 'ipykernel'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_server_looks_for_garbage_only_once_all_is_imported():
    code = (
        "import gc, sys; from marimo_kernel_bridge.cli.main import main; begun = gc.get_stats()[2]['collections'];"
        "main(['mcp'], standalone_mode=False);"
        "print(gc.isenabled(), gc.get_freeze_count() > 100_000, gc.get_stats()[2]['collections'] - begun)"
    )
    done = subprocess.run([sys.executable, "-c", code], input="", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True True 0"


# Arguments


WRONG = [
    ("execute_code", {"code": "1", "tiemout": 3}, "`tiemout` is unknown. Did you mean `timeout`?"),
    ("execute_code", {"code": "1", "nonsense": 3}, "`nonsense` is unknown; leave it out."),
    ("execute_code", {"code": "1", "timeout": "3"}, '`timeout` takes a number from 0 to 600, not "3". Send 3.'),
    ("execute_code", {"code": "1", "timeout": 1e9}, "`timeout` takes a number from 0 to 600, not 1000000000.0."),
    ("execute_code", {"code": ["1"]}, '`code` takes text, not ["1"]. Send one text, its lines joined.'),
    ("execute_code", {}, "`code` is missing. It is text: Python for the kernel's shared namespace."),
    ("execute_code", {"code": "1", "scratch": "yes"}, '`scratch` takes true or false, not "yes". Send true.'),
    ("execute_code", {"source": "1"}, "`source` is unknown. Did you mean `code`?"),
    ("read_cell", {"cell": "aaaa"}, "`cell` is unknown. Did you mean `cell_id`?"),
    ("read_cell", {"cell_id": "aaaa", "max_chars": -1}, "`max_chars` takes a whole number from 200 to 100000, not -1."),
    ("read_variable", {"name": "x"}, "`name` is unknown. Did you mean `variable`?"),
    ("list_cells", {"offset": 1.5}, "`offset` takes a whole number from 0 on, not 1.5."),
    ("list_cells", {"kernel": 1}, '`kernel` takes text, not 1. Send "1".'),
    ("run_cells", {"cell_ids": "aaaa"}, 'not "aaaa". Send ["aaaa"].'),
    ("run_cells", {"which": "stail"}, '`which` takes one of "stale", "all", not "stail".'),
    ("edit_cells", {"edits": [{"action": "add", "code": "x", "cell": "a"}]}, "`edits[0].cell` is unknown. Did you mean `cell_id`?"),
    ("edit_cells", {"edits": [{"action": "change", "version": True}]}, "`edits[0].version` takes a whole number, not true."),
    ("edit_cells", {"edits": [{"code": "x = 1"}]}, '`edits[0].action` is missing. It is one of "add", "change", "delete", "move".'),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "arguments", "told"), WRONG)
async def test_wrong_arguments_are_named_with_what_to_send_instead(agent, tool, arguments, told):
    answer = await agent(tool, **arguments)
    assert refused(answer, "bad_request")
    assert told in answer.text
    assert "pydantic" not in answer.text
    assert f"{tool} takes " in answer.text


async def test_an_argument_has_one_name_and_one_kind_in_all_tools(agent):
    kinds: dict[str, dict[str, list[str]]] = {}
    for tool in (await agent.client.list_tools()).tools:
        for name, schema in tool.input_schema["properties"].items():
            kind = schema.get("type") or "|".join(
                sorted(one.get("type", "ref") for one in schema.get("anyOf", ()))
            )
            kinds.setdefault(name, {}).setdefault(kind.replace("|null", "").replace("null|", ""), []).append(
                tool.name
            )
    assert {name: kind for name, kind in kinds.items() if len(kind) > 1} == {}
    assert not kinds.keys() & {"cell", "id", "name", "notebook_path", "rows", "path", "variable_name"}


# Connecting


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "connection_file_missing"),
        ("{", "connection_file_malformed"),
        ("foreign", "connection_file_foreign"),
        ("stale", "connection_file_stale"),
        ("wrong key", "wrong_key"),
    ],
)
async def test_a_bad_connection_file_is_a_tool_error_and_nothing_is_connected(
    agent, plain_kernel, tmp_path, content, code
):
    path = tmp_path / "kernel-bad.json"
    good = as_written(plain_kernel.connection_file)
    if content is not None:
        changed = {
            "stale": good | {"shell_port": 1},
            "wrong key": good | {"key": "another"},
        }.get(content, good)
        path.write_text("{" if content == "{" else json.dumps(changed))
        path.chmod(0o666 if content == "foreign" else 0o600)
    answer = await agent("connect_to_kernel", connection_file=str(path))
    assert refused(answer, code)
    assert good["key"] not in answer.text
    assert refused(await agent("kernel_status"), "not_connected")


async def test_without_a_kernel_every_tool_says_how_to_connect(agent):
    for tool, arguments in (
        ("kernel_status", {}),
        ("execute_code", {"code": "1"}),
        ("read_run", {"run_id": "x"}),
        ("list_cells", {}),
        ("read_cell", {"cell_id": "x"}),
        ("edit_cells", {"edits": [add("1")]}),
        ("run_cells", {"cell_ids": ["x"]}),
        ("disconnect_kernel", {}),
    ):
        answer = await agent(tool, **arguments)
        assert refused(answer, "not_connected")
        assert "connect_to_kernel" in answer.text


async def test_connecting_twice_gives_the_same_handle(plain, plain_kernel):
    before = (await plain("kernel_status")).data["kernel"]
    assert await plain.connect(plain_kernel) == before


# A plain kernel


async def test_code_runs_in_a_plain_kernel(plain):
    answer = await plain("execute_code", code="print('hi'); 6 * 7")
    assert (answer.data["status"], answer.data["outputs"]) == ("ok", "hi\n42")
    assert "hi\n42" in answer.text


async def test_an_image_is_an_image_and_no_text(plain):
    answer = await plain("execute_code", code=RED_DOT)
    (image,) = answer.images
    assert image.mime_type == "image/png"
    assert image.data.startswith("iVBOR")
    assert "iVBOR" not in answer.text + json.dumps(answer.data)
    assert answer.data["images"] == 1


async def test_a_failing_cell_is_reported_as_failed_and_not_as_a_broken_tool(plain):
    answer = await plain("execute_code", code="1/0")
    assert not answer.failed
    assert answer.data["status"] == "error"
    assert "ZeroDivisionError: division by zero" in answer.data["message"]
    assert "\x1b" not in answer.text


async def test_asking_for_input_says_that_nobody_can_type(plain):
    assert "input()" in (await plain("execute_code", code="input()")).data["message"]


async def test_long_output_is_cut_with_the_way_to_the_rest(plain):
    answer = await plain("execute_code", code="print('x' * 3000 + 'MIDDLE' + 'y' * 3000)", max_chars=1000)
    assert len(answer.data["outputs"]) < 1300
    assert "MIDDLE" not in answer.text
    assert f'read_run(run_id="{answer.data["run_id"]}", offset=700)' in answer.text
    rest = await plain("read_run", run_id=answer.data["run_id"], offset=2900, max_chars=500)
    assert "MIDDLE" in rest.data["outputs"]


async def test_a_timeout_leaves_the_run_going_and_it_can_be_waited_for(plain, gate):
    first = await plain("execute_code", code=f"print('begun')\n{gate.code}; print('over')", timeout=0.3)
    assert (first.data["status"], first.data["outputs"]) == ("running", "begun")
    assert "The kernel is alive" in first.text
    status = await plain("kernel_status")
    assert status.data["state"] == "busy"
    assert status.data["working_on"][0]["run_id"] == first.data["run_id"]
    gate.open()
    second = await plain("read_run", run_id=first.data["run_id"])
    assert (second.data["status"], second.data["outputs"]) == ("ok", "begun\nover")


async def test_a_run_is_interrupted_on_demand(plain):
    run = await plain("execute_code", code="while True: pass", timeout=0.2)
    answer = await plain("interrupt_run", run_id=run.data["run_id"])
    assert answer.data["status"] == "interrupted"


async def test_cancelling_the_call_stops_the_run(plain):
    await plain("execute_code", code="print('ready')")
    call = asyncio.create_task(plain("execute_code", code="while True: pass", timeout=600))
    async with asyncio.timeout(BOUND):
        while not (await plain("kernel_status")).data.get("our_runs"):
            pass
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    answer = await plain("execute_code", code="'free again'", timeout=BOUND)
    assert answer.data["outputs"] == "'free again'"


async def test_a_plain_kernel_has_no_cells_and_says_what_works(plain):
    for tool, arguments in (
        ("list_cells", {}),
        ("read_cell", {"cell_id": "x"}),
        ("edit_cells", {"edits": [add("x = 1")]}),
        ("run_cells", {"cell_ids": ["x"]}),
    ):
        answer = await plain(tool, **arguments)
        assert refused(answer, "not_reactive")
        assert "execute_code" in answer.text
