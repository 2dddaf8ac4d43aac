"""Writes `extensions/protocol.d.ts`: the messages of `protocol.document` as types of TypeScript, for both front ends.

Run it with `make document-types` after a change there. A test compares the file with what this module writes.
"""

from __future__ import annotations

import types
import typing
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec

from marimo_kernel_bridge.protocol import document

WRITTEN = Path(__file__).parents[2] / "extensions" / "protocol.d.ts"
UNIONS = ("FrontEndRequest", "Reply", "DocumentChange", "Order")
_HEAD = "/** The messages between kernel and front ends, as in protocol/document.py. Written by `make document-types`. */"
_SIMPLE = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null", Any: "unknown"}


def written() -> str:
    """Return the file's text."""
    shared = sorted(_structs(), key=lambda struct: struct.__name__)
    parts = [
        _HEAD,
        *(_interface(struct) for struct in shared),
        *(f"export type {name} = {_type(getattr(document, name))};" for name in UNIONS),
    ]
    return "\n\n".join(parts) + "\n"


def _structs() -> list[type[msgspec.Struct]]:
    return [
        value
        for name, value in vars(document).items()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and not name.startswith("_")
    ]


def _interface(struct: type[msgspec.Struct]) -> str:
    hints = typing.get_type_hints(struct, include_extras=False)
    config = struct.__struct_config__
    lines = [] if config.tag is None else [f"  {config.tag_field}: '{config.tag}';"]
    # What a front end sends may lack fields with a default; the kernel sends all fields.
    sent = struct in get_args(document.FrontEndRequest) or config.forbid_unknown_fields
    for field in msgspec.structs.fields(struct):
        optional = "?" if sent and not field.required else ""
        lines.append(f"  {field.encode_name}{optional}: {_type(hints[field.name])};")
    return f"export interface {struct.__name__} {{\n" + "\n".join(lines) + "\n}"


def _type(hint: Any) -> str:
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint.__name__
    arguments = get_args(hint)
    match get_origin(hint):
        case typing.Literal:
            text = " | ".join(f"'{value}'" for value in arguments)
        case types.UnionType | typing.Union:
            text = " | ".join(map(_type, arguments))
        case origin if origin is list:
            element = _type(arguments[0])
            text = f"({element})[]" if " | " in element else f"{element}[]"
        case origin if origin is dict:
            text = f"Record<{_type(arguments[0])}, {_type(arguments[1])}>"
        case _:
            raise TypeError(hint)
    return text


if __name__ == "__main__":
    WRITTEN.write_text(written())
