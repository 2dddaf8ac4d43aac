"""The reference of the MCP server, made from what the server says of itself: `python docs/mcp_reference.py FOLDER`.

Writes `mcp-reference.md`: tools with permissions and arguments, resources, prompts, error codes and what hosts are
configured with. Starts no kernel. What is explained rather than listed is in docs/mcp.md, by hand.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp import Client as McpClient
from mcp.client.extension import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID

from marimo_kernel_bridge.errors import MEANINGS
from marimo_kernel_bridge.mcp_server.answers.tables import names_of
from marimo_kernel_bridge.mcp_server.hosts.clients import HOSTS
from marimo_kernel_bridge.mcp_server.hosts.installing import config_for
from marimo_kernel_bridge.mcp_server.hosts.servers import Stdio
from marimo_kernel_bridge.mcp_server.sdk import schemas
from marimo_kernel_bridge.mcp_server.sdk.strict_tools import StrictTool
from marimo_kernel_bridge.mcp_tools import TOOLS, build_server

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from mcp.types import Prompt, ResourceTemplate, Tool

    from marimo_kernel_bridge.mcp_server.tool import ToolDeclaration

PAGE = "mcp-reference.md"
_WIDTH = 110


async def reference() -> str:
    """Return the page."""
    pages = advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})
    async with McpClient(build_server("all"), extensions=[pages]) as client:
        tools = [_with_limits(tool) for tool in (await client.list_tools()).tools]
        templates = (await client.list_resource_templates()).resource_templates
        prompts = (await client.list_prompts()).prompts
    declared = {declaration.name: declaration for declaration in TOOLS}
    parts = [
        "# MCP reference",
        "What the server tells its clients. How the parts work together: [The MCP server](../mcp.md).",
        "## Tools",
        _table(("tool", "permission", ""), (_tool_row(tool, declared[tool.name]) for tool in tools)),
        *(_tool(tool, declared[tool.name]) for tool in tools),
        "## Resources",
        _table(("address", "", ""), map(_resource_row, templates)),
        "## Prompts",
        _table(("prompt", "", ""), map(_prompt_row, prompts)),
        "## Error codes",
        _table(("code", "meaning", "what to do"), _code_rows()),
        "## Configuration of hosts",
        *_configurations(),
    ]
    return "\n\n".join(parts) + "\n"


def _with_limits(tool: Tool) -> Tool:
    """Return a tool with all of its schemas, which are longer than what clients are sent."""
    (function,) = (declaration.function for declaration in TOOLS if declaration.name == tool.name)
    takes = StrictTool.of(next(one for one in TOOLS if one.name == tool.name), function).takes
    return tool.model_copy(update={"input_schema": takes, "output_schema": schemas.of_tool(function)})


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# Tools


def permission(declaration: ToolDeclaration, schema: Mapping[str, Any]) -> str:
    """Return the permission that a tool needs, and those that it needs with other arguments than the default."""
    usual = declaration.tier({})
    others = {
        f"`{declaration.tier({name: value})}` with `{name}={json.dumps(value)}`"
        for name, argument in schema["properties"].items()
        for value in argument.get("enum", (True, False) if argument.get("type") == "boolean" else ())
        if declaration.tier({name: value}) != usual
    }
    return "; ".join([f"`{usual}`", *sorted(others)])


def _tool_row(tool: Tool, declaration: ToolDeclaration) -> tuple[str, ...]:
    needs = permission(declaration, tool.input_schema)
    return f"[`{tool.name}`](#{tool.name})", needs, declaration.title


def _tool(tool: Tool, declaration: ToolDeclaration) -> str:
    hints = {
        "reads only": declaration.reads,
        "may overwrite or end something": declaration.changes,
        "idempotent": declaration.reads or declaration.idempotent,
        "may reach beyond the kernel": declaration.runs_code,
        "for pages in hosts with MCP Apps, no model may call it": declaration.app == "only",
    }
    needs = f"permission {permission(declaration, tool.input_schema)}"
    facts = " · ".join([needs, *(hint for hint, holds in hints.items() if holds)])
    arguments = [
        (f"`{name}`", _type(argument), default, argument.get("description", ""))
        for name, argument, default in _fields("", tool.input_schema)
    ]
    table = _table(("argument", "type", "default", ""), arguments) if arguments else "It takes no arguments."
    names = frozenset().union(
        *(names_of(view) for view in schemas.answer_of(declaration.function)[0] if is_dataclass(view))
    )
    answer = f"Answer: {' · or '.join(_answers(tool.output_schema or {}, names))}."
    return "\n\n".join(
        [f"### {tool.name}", f"**{declaration.title}** · {facts}", tool.description or "", table, answer]
    )


def _answers(schema: Mapping[str, Any], names: Collection[str]) -> Iterator[str]:
    """Yield the fields of each form of an answer's structured content, and which of them are tables, or `names`: one text with commas."""
    for form in schema.get("anyOf", [schema]):
        required = form.get("required", ())
        yield ", ".join(
            f"`{name}`"
            + ("" if name in required else "?")
            + (" (table)" if _is_table(field) else " (names)" if name in names else "")
            for name, field in form.get("properties", {}).items()
        )


def _is_table(field: Mapping[str, Any]) -> bool:
    items = field.get("items")
    return isinstance(items, dict) and bool({"$ref", "properties"} & items.keys())


def _fields(prefix: str, part: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Yield each argument, and below a list of objects the fields of those."""
    for name, argument in part["properties"].items():
        yield f"{prefix}{name}", argument, _default(name, argument, part)
        match argument:
            case {"type": "array", "items": {"properties": _}}:
                yield from _fields(f"{prefix}{name}[].", argument["items"])


def _default(name: str, argument: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    if name in part.get("required", ()):
        return "required"
    default = argument.get("default")
    return "" if default is None else f"`{json.dumps(default)}`"


def _type(argument: Mapping[str, Any]) -> str:
    match argument:
        case {"anyOf": choices} | {"oneOf": choices}:
            return " or ".join(_type(choice) for choice in choices if choice.get("type") != "null")
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"type": "array"}:
            return f"list of {_type(argument.get('items', {}))}"
        case {"type": str(kind), "minimum": low, "maximum": high}:
            return f"{kind}, {low} to {high}"
        case _:
            return str(argument.get("type", "anything"))


# The rest


def _resource_row(template: ResourceTemplate) -> tuple[str, ...]:
    return f"`{template.uri_template}`", template.title or "", template.description or ""


def _prompt_row(prompt: Prompt) -> tuple[str, ...]:
    return f"`{prompt.name}`", prompt.title or "", prompt.description or ""


def _code_rows() -> Iterator[tuple[str, ...]]:
    for code, (meaning, remedy) in sorted(MEANINGS.items()):
        yield f"`{code}`", meaning, remedy


def _configurations() -> Iterator[str]:
    ours = Stdio(("marimo-kernel-bridge", "mcp"))
    for client, host in HOSTS.items():
        config = config_for(client, ours)
        where = re.sub(r"\S+(?=claude_desktop_config\.json)", "", config.where)
        yield f"**{host.name}.** {where}"
        if config.text.startswith("{"):
            yield block("json", pretty(config.text))
        else:
            kind = {"toml": "toml", "yaml": "yaml", "own file": "yaml"}
            yield block("sh" if host.settings is None else kind[host.settings.format], config.text)


def block(language: str, text: str) -> str:
    """Return a fenced block of Markdown."""
    return f"```{language}\n{text}\n```"


def pretty(text: str) -> str:
    """Lay out JSON for people: what fits into a line is one."""
    return _laid_out(json.loads(text), 0)


def _laid_out(value: Any, depth: int) -> str:  # JSON
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + 2 * depth <= _WIDTH or not isinstance(value, dict | list) or not value:
        return line
    inner = "  " * (depth + 1)
    if isinstance(value, dict):
        items = [f"{inner}{json.dumps(name)}: {_laid_out(item, depth + 1)}" for name, item in value.items()]
    else:
        items = [f"{inner}{_laid_out(item, depth + 1)}" for item in value]
    first, last = ("{", "}") if isinstance(value, dict) else ("[", "]")
    return first + "\n" + ",\n".join(items) + "\n" + "  " * depth + last


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(asyncio.run(reference()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
