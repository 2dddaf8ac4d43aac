"""Writes docs/mcp.md: `make docs`. What is between its marks is made here; the rest is written by hand.

Made of what the server tells its clients, of the code (permissions, error codes, configurations), and of the story as it
was just played.
"""

import asyncio
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from story import STORY, Ada, Call, Changes, Read, Sees
from story_player import Played, Seen, play

from marimo_kernel_bridge.errors import MEANINGS
from marimo_kernel_bridge.mcp_server.hosts import Stdio, config_for
from marimo_kernel_bridge.mcp_tools import TOOLS

PAGE = Path(__file__).parents[2] / "docs/mcp.md"
_WIDTH = 110
_MARK = re.compile(r"(?ms)^<!-- (\w+): made by `make docs` -->\n.*?^<!-- end -->$")


def page(written: str, played: Played) -> str:
    """Return the page with all that is between marks made anew."""
    makers: dict[str, Callable[[Played], str]] = {
        "tools": _table,
        "story": _story,
        "reference": _reference,
        "resources": _resources,
        "prompts": _prompts,
        "codes": _codes,
        "configurations": _configurations,
    }
    found = [match.group(1) for match in _MARK.finditer(written)]
    assert sorted(found) == sorted(makers), f"the page has marks for {found}"
    return _MARK.sub(
        lambda match: (
            f"<!-- {match.group(1)}: made by `make docs` -->\n\n{makers[match.group(1)](played).strip()}\n\n<!-- end -->"
        ),
        written,
    )


# Tools


def permission(tool: str, schema: Mapping[str, Any]) -> str:
    """Say which permission a tool needs, and which with other arguments than the usual ones."""
    (declaration,) = (declaration for declaration in TOOLS if declaration.name == tool)
    usual = declaration.tier({})
    others = {
        f"`{declaration.tier({name: value})}` with `{name}={json.dumps(value)}`"
        for name, argument in schema["properties"].items()
        for value in argument.get("enum", (True, False) if argument.get("type") == "boolean" else ())
        if declaration.tier({name: value}) != usual
    }
    return "; ".join([f"`{usual}`", *sorted(others)])


def _table(played: Played) -> str:
    rows = [
        f"| [`{tool.name}`](#{tool.name}) | {permission(tool.name, tool.input_schema)} | {tool.title} |"
        for tool in played.tools
    ]
    return "\n".join(["| tool | permission | |", "|---|---|---|", *rows])


def _reference(played: Played) -> str:
    return "\n\n".join(_tool(tool, played.steps) for tool in played.tools)


def _tool(tool: Any, steps: list[Seen]) -> str:
    hints = tool.annotations
    words = {
        "reads only": hints.read_only_hint,
        "may overwrite or end something": hints.destructive_hint,
        "twice is as once": hints.idempotent_hint,
        "may reach beyond the kernel": hints.open_world_hint,
    }
    facts = [f"permission {permission(tool.name, tool.input_schema)}", *(w for w, so in words.items() if so)]
    parts = [
        f"### {tool.name}",
        f"**{tool.title}** · {' · '.join(facts)}",
        tool.description,
        _arguments(tool.input_schema),
    ]
    parts += [_called(seen) for seen in steps if isinstance(seen.step, Call) and seen.step.tool == tool.name]
    return "\n\n".join(parts)


def _arguments(schema: Mapping[str, Any]) -> str:
    rows = [
        f"| `{name}` | {_type(argument, schema)} | {default} | {argument.get('description', '')} |"
        for name, argument, default in _fields("", schema, schema)
    ]
    if not rows:
        return "It takes no arguments."
    return "\n".join(["| argument | | default | |", "|---|---|---|---|", *rows])


def _fields(
    prefix: str, part: Mapping[str, Any], schema: Mapping[str, Any]
) -> Iterator[tuple[str, Any, str]]:
    """Give each argument, and below a list of objects the objects' fields."""
    for name, argument in part["properties"].items():
        yield f"{prefix}{name}", argument, _default(name, argument, part)
        match argument:
            case {"type": "array", "items": {"properties": _}}:
                yield from _fields(f"{prefix}{name}[].", argument["items"], schema)


def _default(name: str, argument: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if name in schema.get("required", ()):
        return "required"
    default = argument.get("default")
    return "" if default is None else f"`{json.dumps(default)}`"


def _type(argument: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    match argument:
        case {"anyOf": choices} | {"oneOf": choices}:
            kinds = [_type(choice, schema) for choice in choices if choice.get("type") != "null"]
            told = " or ".join(kinds)
        case {"enum": values}:
            told = ", ".join(f"`{value}`" for value in values)
        case {"const": value}:
            told = f"`{value}`"
        case {"type": "array"}:
            told = f"list of {_type(argument.get('items', {}), schema)}"
        case {"type": str(kind), "minimum": low, "maximum": high}:
            told = f"{kind}, {low} to {high}"
        case _:
            told = argument.get("type", "anything")
    return told


def _called(seen: Seen) -> str:
    step = seen.step
    assert isinstance(step, Call)
    return "\n\n".join(
        [f"*{step.why}*", _block("json", pretty(seen.sent)), _block("text", seen.text), _folded(seen.data)]
    ).rstrip()


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _folded(data: str) -> str:
    if not data:
        return ""
    return f"<details><summary>structured content</summary>\n\n{_block('json', pretty(data))}\n\n</details>"


def pretty(text: str) -> str:
    """Lay out JSON for people: what fits into a line is one."""
    return _laid_out(json.loads(text), 0)


def _laid_out(value: Any, depth: int) -> str:
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


# The story, resources, prompts


def _story(played: Played) -> str:
    lines: list[str] = []
    for seen in played.steps:
        match seen.step:
            case Ada() as step:
                lines.append(f"{_acts(step)}\n\n{_indented(_block('python', step.code))}")
            case Sees(cell, text):
                lines.append(f"Ada sees below `{cell}`: `{text}`")
            case Call(tool, _, _, why, refused):
                ending = f" (`{refused}`)" if refused else ""
                lines.append(f"[`{tool}`](#{tool}){ending}. {why}")
            case Read(uri, _, why):
                lines.append(f"{why} `{uri}`")
            case Changes(uri, because, why):
                lines.append(f"{_acts(because)}. {why} `{uri}`")
    return "\n".join(f"1. {line}" for line in lines)


def _acts(step: Ada) -> str:
    shows = f" and sees `{step.shows}`" if step.shows else ""
    return f"**Ada** {step.why} (cell `{step.cell}`){shows}"


def _indented(text: str) -> str:
    return "\n".join(f"   {line}" if line else "" for line in text.splitlines())


def _resources(played: Played) -> str:
    rows = [
        f"| `{template.uri_template}` | {template.title} | {template.description} |"
        for template in played.templates
    ]
    parts = ["\n".join(["| address | | |", "|---|---|---|", *rows])]
    for seen in played.steps:
        if isinstance(seen.step, Read | Changes):
            parts += [f"*{seen.step.why}*", _block("json", pretty(seen.sent))]
            parts += [_block("json", pretty(seen.data))] if seen.data else []
    return "\n\n".join(parts)


def _prompts(played: Played) -> str:
    rows = [f"| `{prompt.name}` | {prompt.title} | {prompt.description} |" for prompt in played.prompts]
    return "\n".join(["| prompt | | |", "|---|---|---|", *rows])


# What only the code knows


def _codes(_: Played) -> str:
    rows = [f"| `{code}` | {what} | {do} |" for code, (what, do) in sorted(MEANINGS.items())]
    return "\n".join(["| code | what it means | what to do |", "|---|---|---|", *rows])


def _configurations(_: Played) -> str:
    ours = Stdio(("marimo-kernel-bridge", "mcp"))
    parts = []
    for client, name in (
        ("claude-code", "Claude Code"),
        ("claude-desktop", "Claude Desktop"),
        ("cursor", "Cursor"),
        ("vscode", "VS Code"),
    ):
        config = config_for(client, ours)
        language = "json" if config.text.startswith("{") else "sh"
        where = re.sub(r"\S+(?=claude_desktop_config\.json)", "", config.where)
        text = pretty(config.text) if language == "json" else config.text
        parts += [f"**{name}.** {where}", _block(language, text)]
    return "\n\n".join(parts)


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        played = asyncio.run(play(STORY, Path(home).resolve()))
    PAGE.write_text(page(PAGE.read_text(), played))


if __name__ == "__main__":
    main()
