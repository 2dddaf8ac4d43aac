"""IPython's `%timeit` and `%%timeit` in Python: a function with the statement, and a call that times it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.magics import MAGICS, split_options
from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.importing.python_text import indented, is_expression

if TYPE_CHECKING:
    from marimo_kernel_bridge.importing.translation import Translated

_ARGUMENTS: Final = {"n": "number", "r": "repeat", "p": "precision"}


def inline(line: str, result: Translated) -> str:
    """Return an expression for `%timeit` in an assignment, which is None unless it has the option `-o`."""
    options, statement = split_options(line, MAGICS["timeit"].valued)
    body = f"lambda: ({statement})" if is_expression(statement) else repr(statement)
    call = f"{result.uses('time_it')}({', '.join([body, *_arguments(options)])})"
    return call if "o" in _letters(options) else f"[{call}, None][1]"


def written(line: str, body: str | None, result: Translated) -> str:
    """Return the code for `%timeit` (without a body) or `%%timeit`, whose line is what runs first."""
    options, statement = split_options(line, MAGICS["timeit"].valued)
    setup, timed = ("", statement) if body is None else (statement, body)
    call = f"{result.uses('time_it')}({', '.join(['_timed', *_arguments(options)])})"
    if setup and (both := sorted(_bound(setup) & _bound(timed))):
        timed = f"nonlocal {', '.join(both)}\n{timed}"
    code = f"def _timed():\n{indented(timed or 'pass')}"
    if setup:
        code = f"def _measured():\n{indented(setup)}\n\n{indented(code)}\n\n    return {call}"
        call = "_measured()"
    names = options.get("v", [])
    target = f"{names[-1]} = " if names else "" if "o" in _letters(options) else "_timing = "
    return f"{code}\n\n{target}{call}"


def _letters(options: dict[str, list[str]]) -> str:
    """Return the options that take no value; `-qo` is two of them."""
    return "".join(
        letter + "".join(values)
        for letter, values in options.items()
        if letter not in MAGICS["timeit"].valued
    )


def _arguments(options: dict[str, list[str]]) -> list[str]:
    arguments = [f"{name}={options[letter][-1]}" for letter, name in _ARGUMENTS.items() if letter in options]
    return [*arguments, *(["quiet=True"] if "q" in _letters(options) else [])]


def _bound(code: str) -> set[str]:
    return {
        node.id
        for node in ast.walk(parse(code))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
