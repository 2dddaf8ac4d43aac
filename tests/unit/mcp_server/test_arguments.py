"""What a client sees of the tools before it calls one, and what it hears of wrong arguments."""

import time
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import Tool
from pydantic import TypeAdapter, ValidationError

from marimo_kernel_bridge.errors import CODES
from marimo_kernel_bridge.mcp_server.arguments import client_name
from marimo_kernel_bridge.mcp_server.sdk.strict_tools import StrictTool
from marimo_kernel_bridge.mcp_server.tool import TIERS, Tier
from marimo_kernel_bridge.mcp_tools import TOOLS
from marimo_kernel_bridge.protocol.names import agent_name
from tests.agent_jobs import compact
from tests.tokens import tokens
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.conftest import Serve
from tests.unit.mcp_server.fake_kernel import FakeKernel

pytestmark = pytest.mark.anyio


def context(name: str, session: str | None, *, http: bool = True) -> Any:
    headers = {} if session is None else {"mcp-session-id": session}
    params = SimpleNamespace(client_info=SimpleNamespace(name=name))
    request = SimpleNamespace(headers=headers) if http else None
    session_of_sdk = SimpleNamespace(client_params=params, _connection=SimpleNamespace(state={}))
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


async def test_each_tool_and_each_argument_is_described(serve: Serve) -> None:
    agent = await serve("all")
    for tool in await listed(agent):
        assert 20 < len(tool.description or "") < 2048
        assert "additionalProperties" not in tool.input_schema, "a refusal names it"
        for name, argument in tool.input_schema["properties"].items():
            assert argument["description"], f"{tool.name}({name})"
            assert not argument.keys() & {"minimum", "maximum", "minLength", "maxLength"}, (
                "a refusal names it"
            )
        assert tool.output_schema is None, "it would be as long as all else, and hosts show it to no model"
    edit = next(tool for tool in await listed(agent) if tool.name == "edit_cells").input_schema
    fields = edit["properties"]["edits"]["items"]
    assert all(field["description"] for field in fields["properties"].values())


async def test_a_title_is_told_where_it_says_more_than_the_name(serve: Serve) -> None:
    told = {tool.name: tool.title for tool in await listed(await serve("all"))}
    titles = {declaration.name: declaration.title for declaration in TOOLS if declaration.app != "only"}
    in_words = {name: name.replace("_", " ").capitalize() for name in titles}
    assert told == {name: None if title == in_words[name] else title for name, title in titles.items()}
    assert told["list_cells"] == "Outline the notebook"


def descriptions(part: Any) -> Iterator[str]:  # JSON
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "properties":
                yield from (field.get("description", "") for field in value.values())
            yield from descriptions(value)
    elif isinstance(part, list):
        for one in part:
            yield from descriptions(one)


async def test_descriptions_of_arguments_can_be_understood_without_their_names(serve: Serve) -> None:
    alone = {"First.", "Where.", "Which.", "Too.", "Of content.", "Whole text."}
    for tool in await listed(await serve("all")):
        for said in descriptions(tool.input_schema):
            assert said not in alone, tool.name
            assert said.endswith((".", "...")), tool.name
            assert len(said.split()) > 1 or said == "", (tool.name, said)
            assert said, tool.name


async def test_the_hints_say_which_tools_may_change_something(serve: Serve) -> None:
    agent = await serve("all")
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


def model_sees(tool: Tool) -> str:
    """A tool as hosts give it to a model."""
    return compact({"name": tool.name, "description": tool.description, "input_schema": tool.input_schema})


def sent(tool: Tool) -> str:
    return compact(tool.model_dump(mode="json", by_alias=True, exclude_none=True))


@pytest.mark.parametrize(
    ("allow", "most_sent", "most_seen"), [("all", 9000, 6000), ("run", 6000, 5200), ("propose", 4000, 3600)]
)
async def test_the_list_of_tools_costs_an_agent_no_more_tokens_than_it_need(
    serve: Serve, allow: Tier, most_sent: int, most_seen: int
) -> None:
    """Each agent pays for it, whatever it does: one more tool is about a hundred tokens, and sixty can be enough."""
    tools = await listed(await serve(allow))
    each = {tool.name: tokens(model_sees(tool)) for tool in tools}
    assert tokens(f"[{','.join(map(sent, tools))}]") <= most_sent
    assert sum(each.values()) <= most_seen, sorted(each.items(), key=lambda entry: -entry[1])


PATHS = frozenset({"file", "output", "folder", "directory", "interpreter", "connection_file"})
"""Arguments that are paths and nothing else. Other names of notebooks and kernels are read in `which_kernel`, with `~` too."""
OTHER_NAMES = frozenset({"kernel", "notebook", "data"})


def test_each_argument_that_is_a_path_knows_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "USERPROFILE"):  # Windows has the other one
        monkeypatch.setenv(variable, "/home/ada")
    seen = set()
    for declaration in TOOLS:
        arguments = StrictTool.of(declaration, declaration.function).fn_metadata.arg_model.model_fields
        for name, field in arguments.items():
            if name in PATHS:
                seen.add(name)
                assert field.annotation is not None
                adapter: TypeAdapter[Any] = TypeAdapter(field.annotation)
                assert adapter.validate_python("~/a.ipynb") == "/home/ada/a.ipynb", (declaration.name, name)
                for user in ("root", "nobody-here"):  # which of them there is, is not told
                    with pytest.raises(ValidationError, match="is your own home directory only"):
                        adapter.validate_python(f"~{user}/a.ipynb")
                assert adapter.validate_python("~a.ipynb") == "~a.ipynb", "the name of a file"
            elif name not in OTHER_NAMES:
                assert "path" not in (field.description or "").split(), (declaration.name, name)
    assert seen == PATHS


async def test_only_tools_that_the_person_allows_are_listed_and_others_say_what_they_need(
    serve: Serve,
) -> None:
    names = {tier: {tool.name for tool in await listed(await serve(tier))} for tier in TIERS}
    assert names["read"] < names["propose"] < names["edit"] < names["scratch"] < names["run"] < names["all"]
    assert "edit_cells" in names["propose"], "there it proposes"
    assert "execute_code" not in names["edit"]
    assert {"start_kernel", "list_kernelspecs", "list_templates"} <= names["all"] - names["run"]
    assert names["all"] == {tool.name for tool in TOOLS if tool.app != "only"}
    refused = await (await serve("read"))("execute_code", code="1")
    assert refused.refused("not_allowed")
    assert "--allow run" in refused.text


async def test_the_instructions_fit_what_hosts_keep(agent: Agent) -> None:
    instructions = agent.client.instructions or ""
    assert "list_kernels" in instructions
    assert len(instructions.encode()) < 2048


async def test_an_argument_has_one_name_and_one_kind_in_all_tools(serve: Serve) -> None:
    agent = await serve("all")
    kinds: dict[str, set[str]] = {}
    for tool in await listed(agent):
        for name, schema in tool.input_schema["properties"].items():
            choices = {choice.get("type", "ref") for choice in schema.get("anyOf", ())} - {"null"}
            kinds.setdefault(name, set()).add(schema.get("type") or "|".join(sorted(choices)))
    assert {name: kind for name, kind in kinds.items() if len(kind) > 1} == {}
    assert not kinds.keys() & {"cell", "id", "notebook_path", "rows", "path", "variable_name"}


async def test_a_name_is_what_the_caller_gives_to_a_notebook_or_a_checkpoint(serve: Serve) -> None:
    agent = await serve("all")
    named = {tool.name for tool in await listed(agent) if "name" in tool.input_schema["properties"]}
    assert named == {"create_notebook", "save_checkpoint", "restore_checkpoint", "delete_checkpoint"}


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("execute_code", {"code": "1", "tiemout": 3}, "`tiemout` is unknown. Did you mean `timeout`?"),
    ("execute_code", {"code": "1", "nonsense": 3}, "`nonsense` is unknown; leave it out."),
    ("execute_code", {"code": "1", "timeout": "900"}, "`timeout` takes a number from 0 to 600, not 900."),
    ("execute_code", {"code": "1", "timeout": "soon"}, '`timeout` takes a number from 0 to 600, not "soon".'),
    ("execute_code", {"code": "1", "timeout": 1e9}, "`timeout` takes a number from 0 to 600, not 1000000000.0."),
    ("execute_code", {"code": ["1", "2"]}, '`code` takes text, not ["1", "2"]. Send one text, its lines joined.'),
    ("execute_code", {}, "`code` is missing. It is text: Python code."),
    ("execute_code", {"code": "1", "scratch": "perhaps"}, '`scratch` takes true or false, not "perhaps".'),
    ("export_notebook", {"file": "~nobody-here/a.ipynb"}, "`file`: ~ is your own home directory only. Give the whole path; one in a folder of that name begins with ./"),
    ("execute_code", {"source": "1"}, "`source` is unknown. Did you mean `code`?"),
    ("read_cell", {"cell": "aaaa"}, "`cell` is unknown. Did you mean `cell_id`?"),
    ("read_cell", {"cell_id": "aaaa", "max_chars": -1}, "`max_chars` takes a whole number from 200 to 100000, not -1."),
    ("read_variable", {"name": "x"}, "`name` is unknown. Did you mean `variable`?"),
    ("list_cells", {"offset": 1.5}, "`offset` takes a whole number from 0 on, not 1.5."),
    ("list_cells", {"kernel": ["k1", "k2"]}, '`kernel` takes text, not ["k1", "k2"]. Send one of them.'),
    ("edit_cells", {"edits": "x = 1"}, '`edits` takes a list of objects of at most 100 entries, not "x = 1". Send [{"action": …, …}].'),
    ("edit_cells", {"edits": ["x = 1"]}, '`edits[0]` takes an object, not "x = 1". Send {"action": …, …}.'),
    ("read_cell", {"cell_id": ["a", "c"], "cell_ids": ["b"]}, '`cell_id` takes text, not ["a", "c"]. Send one of them.'),
    ("export_notebook", {"format": "word"}, '`format` takes one of "py", "ipynb", '),
    ("run_cells", {"which": "stail"}, '`which` takes one of "stale", "all", not "stail".'),
    ("edit_cells", {"edits": [{"action": "add", "code": "x", "cell": "a"}]}, "`edits[0].cell` is unknown. Did you mean `cell_id`?"),
    ("edit_cells", {"edits": [{"action": "change", "version": True}]}, "`edits[0].version` takes a whole number, not true."),
    ("edit_cells", {"edits": [{"code": "x = 1"}]}, '`edits[0].action` is missing. It is one of "add", "change", "delete", "move": What to do.'),
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


MEANT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("execute_code", {"code": "1", "timeout": "3"}, {"code": "1", "timeout": 3}),
    ("execute_code", {"code": "1", "timeout": " 1.5 "}, {"code": "1", "timeout": 1.5}),
    ("execute_code", {"code": "1", "scratch": "True"}, {"code": "1", "scratch": True}),
    ("execute_code", {"code": "[1]"}, {"code": "[1]"}),
    ("execute_code", {"code": 1}, {"code": "1"}),
    ("execute_code", {"code": 1.5}, {"code": "1.5"}),
    ("execute_code", {"code": ["1"], "scratch": "yes"}, {"code": "1", "scratch": True}),
    ("execute_code", {"code": "1", "scratch": 0}, {"code": "1", "scratch": False}),
    ("list_cells", {"kernel": ["k1"]}, {"kernel": "k1"}),
    ("read_cell", {"cell_id": ["a"], "cell_ids": ["b"]}, {"cell_id": "a", "cell_ids": ["b"]}),
    ("list_cells", {"offset": 2.0, "limit": "300"}, {"offset": 2, "limit": 300}),
    ("list_cells", {"offset": None, "kernel": None}, {}),
    ("list_cells", {"offset": "1.5"}, {"offset": 1.5}),
    ("run_cells", {"cell_ids": "aaaa"}, {"cell_ids": ["aaaa"]}),
    ("run_cells", {"cell_ids": '["aaaa", "bbbb"]'}, {"cell_ids": ["aaaa", "bbbb"]}),
    ("run_cells", {"which": "null"}, {"which": "null"}),
    ("edit_cells", {"edits": '[{"action": "delete", "cell_id": "a", "version": "2"}]'}, {"edits": [{"action": "delete", "cell_id": "a", "version": 2}]}),
    ("edit_cells", {"edits": {"action": "add", "code": "[1]"}}, {"edits": [{"action": "add", "code": "[1]"}]}),
    ("edit_cells", {"edits": "[" * 100_000}, {"edits": "[" * 100_000}),
    ("read_cell", {"cell_id": ["a", "b"]}, {"cell_ids": ["a", "b"]}),
    ("read_cell", {"cell_id": '["a"]', "cell_ids": []}, {"cell_ids": ["a"]}),
    ("read_dataflow", {"cell_id": "[a]"}, {"cell_id": "[a]"}),
    ("export_notebook", {"format": "Markdown"}, {"format": "md"}),
    ("export_notebook", {"format": "PDF"}, {"format": "pdf"}),
    ("export_notebook", {"format": "notebook"}, {"format": "ipynb"}),
    ("import_notebook", {"format": "markdown"}, {"format": "markdown"}),
    ("import_notebook", {"format": "md"}, {"format": "md"}),
    ("edit_cells", {"edits": [{"action": "add", "type": "md", "code": "MD"}]}, {"edits": [{"action": "add", "type": "markdown", "code": "MD"}]}),
    ("list_cells", {"code_override": '{"a": "x = 1"}'}, {"code_override": {"a": "x = 1"}}),
    ("set_ui_value", {"element": "x", "value": "5"}, {"element": "x", "value": "5"}),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "arguments", "meant"), MEANT)
def test_arguments_in_another_form_are_taken_as_they_are_meant(
    tool: str, arguments: dict[str, Any], meant: dict[str, Any]
) -> None:
    (declaration,) = (declaration for declaration in TOOLS if declaration.name == tool)
    metadata = StrictTool.of(declaration, declaration.function).fn_metadata
    assert metadata.pre_parse_json(arguments) == meant


MANY: list[tuple[str, dict[str, Any]]] = [
    ("run_cells", {"cell_ids": [1.5] * 200_000}),
    ("run_cells", {"cell_ids": "[" + "1.7976931348623157e308," * 40_000 + "1]"}),
    ("run_cells", {"cell_ids": "[" * 500_000}),
    ("edit_cells", {"edits": [{"a": 1}] * 80_000}),
    ("edit_cells", {"edits": [{f"k{number}": 1 for number in range(50_000)}]}),
    ("edit_cells", {"edits": '[{"action": "add", "code": "x"}' * 40_000}),
    ("list_cells", {f"k{number}": 1 for number in range(9_000)}),
    ("list_cells", {"kernel" * 160_000: 1}),
    ("list_cells", {"code_override": dict.fromkeys(map(str, range(50_000)), 1)}),
    ("list_cells", {"limit": "9" * 1_000_000}),
    ("list_cells", {"limit": 9**9_999}),
    ("set_ui_value", {"element": "x", "value": {"a": [9**9_999]}}),
    ("set_ui_value", {"element": "x", "value": [1] * 400_000}),
]


@pytest.mark.parametrize(("tool", "arguments"), MANY)
async def test_arguments_of_a_megabyte_are_refused_shortly_and_at_once(
    connected: Agent, tool: str, arguments: dict[str, Any]
) -> None:
    made = next(one for one in TOOLS if one.name == tool)
    strict = StrictTool.of(made, made.function)
    before = time.process_time()
    with suppress(ToolError):
        strict.checked(arguments)
    assert time.process_time() - before < 0.5  # two seconds for some of them; a tenth on an idle machine
    answer = await connected(tool, **arguments)
    assert any(map(answer.refused, ("bad_request", "too_large", "no_such_cell")))
    assert len(answer.text) < 5_000


async def test_an_edit_in_json_text_is_made(connected: Agent, kernel: FakeKernel) -> None:
    answer = await connected("edit_cells", edits='[{"action": "change", "cell_id": "aaaa", "code": "x"}]')
    assert "Edit 1 (change) needs version" in answer.text


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


LONG = "a" * 300
"""More than a file may be called: to ask whether it is there raises an error, as below a closed folder."""


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("start_kernel", {"directory": LONG}),
        ("start_kernel", {"interpreter": LONG}),
        ("create_notebook", {"name": LONG[:200], "folder": LONG}),
        ("create_notebook", {"name": "x", "interpreter": LONG}),
        ("open_notebook", {"notebook": f"{LONG}.ipynb"}),
        ("view_data", {"data": LONG}),
        ("view_data", {"data": f"{LONG}#t"}),
        ("export_notebook", {"file": f"{LONG}.ipynb"}),
        ("import_notebook", {"file": f"{LONG}.ipynb", "check": True}),
        ("connect_to_kernel", {"connection_file": LONG}),
        ("connect_to_kernel", {"notebook": LONG}),
        ("kernel_status", {"kernel": f"{LONG}.json"}),
    ],
)
async def test_a_path_that_cannot_be_is_refused_with_a_code(
    serve: Serve, tool: str, arguments: dict[str, Any]
) -> None:
    answer = await (await serve("all"))(tool, **arguments)
    assert any(map(answer.refused, CODES)), answer.text
