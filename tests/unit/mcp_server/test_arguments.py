"""What a client sees of the tools before it calls one, and what it hears of wrong arguments."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from mcp.types import Tool

from marimo_kernel_bridge.mcp_server.arguments import client_name
from marimo_kernel_bridge.mcp_tools import TOOLS
from marimo_kernel_bridge.protocol.names import agent_name
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.fake_kernel import FakeKernel

pytestmark = pytest.mark.anyio


def context(name: str, session: str | None, *, http: bool = True) -> Any:
    headers = {} if session is None else {"mcp-session-id": session}
    params = SimpleNamespace(client_info=SimpleNamespace(name=name))
    request = SimpleNamespace(headers=headers) if http else None
    session_of_sdk = SimpleNamespace(client_params=params)
    return SimpleNamespace(request_context=SimpleNamespace(request=request, session=session_of_sdk))


def test_over_http_a_session_is_a_part_of_the_name_and_nobody_can_have_it_without() -> None:
    one, again, other = (client_name(context("ann", session)) for session in ("s1", "s1", "s2"))
    assert one == again != other
    assert one.startswith("ann (")
    assert client_name(context("x" * 100, "s1"))[:31] == "x" * 31
    assert agent_name(client_name(context("x" * 100, "s1"))) == client_name(context("x" * 100, "s1"))
    assert client_name(context(one, None)) != one
    assert client_name(context(one, None, http=False)) == one
    assert client_name(context("notebook", "s1")).startswith("agent (")


async def listed(agent: Agent) -> list[Tool]:
    return (await agent.client.list_tools()).tools


async def test_each_tool_and_each_argument_is_described(agent: Agent) -> None:
    for tool in await listed(agent):
        assert tool.title
        assert 20 < len(tool.description or "") < 2048
        assert tool.input_schema["additionalProperties"] is False
        for name, argument in tool.input_schema["properties"].items():
            assert argument["description"], f"{tool.name}({name})"
        assert tool.output_schema is not None
        assert tool.output_schema["type"] == "object"


async def test_the_hints_say_which_tools_may_change_something(agent: Agent) -> None:
    hints = {tool.name: tool.annotations for tool in await listed(agent)}
    # What is not said is the protocol's default: destructive, unless it only reads.
    changing = {
        name
        for name, hint in hints.items()
        if hint is None or (hint.destructive_hint is not False and not hint.read_only_hint)
    }
    assert changing == {
        "execute_code",
        "edit_cells",
        "run_cells",
        "set_ui_value",
        "sync",
        "undo_edit",
        "save_notebook",
        "rename_notebook",
        "install_packages",
        "control_kernel",
        "export_notebook",
        "import_notebook",
        "close_notebook",
        "delete_notebook",
        "save_checkpoint",
        "restore_checkpoint",
        "delete_checkpoint",
    }
    reading = {declaration.name for declaration in TOOLS if declaration.reads and declaration.app != "only"}
    assert {name for name, hint in hints.items() if hint is not None and hint.read_only_hint} == reading


async def test_the_list_of_tools_is_no_longer_than_it_need_be(agent: Agent) -> None:
    """Each agent pays for it, whatever it does.

    Each tool says all that it needs itself, because some hosts load only those that they have looked for. So one more tool is
    about 800 characters more, of which 300 are its answer's.
    """
    sent = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in await listed(agent)]
    paid = [{key: value for key, value in tool.items() if key != "outputSchema"} for tool in sent]
    assert len(json.dumps(sent, separators=(",", ":"))) < 71_000
    assert len(json.dumps(paid, separators=(",", ":"))) < 37_000, "what hosts show models, and more"


async def test_the_instructions_fit_what_hosts_keep(agent: Agent) -> None:
    instructions = agent.client.instructions or ""
    assert "list_kernels" in instructions
    assert len(instructions.encode()) < 2048


async def test_an_argument_has_one_name_and_one_kind_in_all_tools(agent: Agent) -> None:
    kinds: dict[str, set[str]] = {}
    for tool in await listed(agent):
        for name, schema in tool.input_schema["properties"].items():
            choices = {choice.get("type", "ref") for choice in schema.get("anyOf", ())} - {"null"}
            kinds.setdefault(name, set()).add(schema.get("type") or "|".join(sorted(choices)))
    assert {name: kind for name, kind in kinds.items() if len(kind) > 1} == {}
    assert not kinds.keys() & {"cell", "id", "notebook_path", "rows", "path", "variable_name"}


async def test_a_name_is_what_the_caller_gives_to_a_notebook_or_a_checkpoint(agent: Agent) -> None:
    named = {tool.name for tool in await listed(agent) if "name" in tool.input_schema["properties"]}
    assert named == {"create_notebook", "save_checkpoint", "restore_checkpoint", "delete_checkpoint"}


WRONG: list[tuple[str, dict[str, Any], str]] = [
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
async def test_wrong_arguments_are_named_with_what_to_send_instead(
    agent: Agent, tool: str, arguments: dict[str, Any], told: str
) -> None:
    answer = await agent(tool, **arguments)
    assert answer.refused("bad_request")
    assert told in answer.text
    assert "pydantic" not in answer.text
    assert f"{tool} takes " in answer.text


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        ({"action": "change", "cell_id": "aaaa", "code": "x = 2"}, "Edit 1 (change) needs version"),
        ({"action": "add", "code": "z = 2", "version": 1}, "Edit 1 (add) takes no version"),
        ({"action": "add", "code": "z = 2", "cell": "x"}, "`edits[0].cell` is unknown"),
        ({"action": "destroy", "cell_id": "aaaa"}, "`edits[0].action` takes one of"),
    ],
)
async def test_a_malformed_edit_is_refused_with_its_number_and_field(
    connected: Agent, kernel: FakeKernel, edit: dict[str, Any], fault: str
) -> None:
    answer = await connected("edit_cells", edits=[edit])
    assert answer.refused("bad_request")
    assert fault in answer.text
    assert kernel.asked == []


ABOUT_A_KERNEL: list[tuple[str, dict[str, Any]]] = [
    ("kernel_status", {}),
    ("execute_code", {"code": "1"}),
    ("read_run", {"run_id": "x"}),
    ("list_cells", {}),
    ("read_cell", {"cell_id": "x"}),
    ("edit_cells", {"edits": [{"action": "add", "code": "1"}]}),
    ("run_cells", {"cell_ids": ["x"]}),
    ("disconnect_kernel", {}),
]


@pytest.mark.parametrize(("tool", "arguments"), ABOUT_A_KERNEL)
async def test_without_a_kernel_each_tool_says_how_to_connect(
    agent: Agent, tool: str, arguments: dict[str, Any]
) -> None:
    answer = await agent(tool, **arguments)
    assert answer.refused("not_connected")
    assert "connect_to_kernel" in answer.text


@pytest.mark.parametrize(("tool", "arguments"), ABOUT_A_KERNEL[3:7])
async def test_a_plain_kernel_has_no_cells_and_says_what_works(
    connected: Agent, kernel: FakeKernel, tool: str, arguments: dict[str, Any]
) -> None:
    kernel.reactive = False
    await kernel.restart()
    await connected("kernel_status")
    answer = await connected(tool, **arguments)
    assert answer.refused("not_reactive")
    assert "execute_code" in answer.text
    assert kernel.asked == []
