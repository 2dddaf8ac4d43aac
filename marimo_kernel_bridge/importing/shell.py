"""Shell commands as Python: the equivalents of `!cmd`, `x = !cmd` and `%%bash`."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis import expansions

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_PIP: Final = re.compile(
    r"\s*(?:(?:python3?|\{sys\.executable\}|\S+/python3?)\s+-m\s+)?(?:uv\s+)?(?:pip3?|conda|mamba)\s+install\b(.*)",
    re.DOTALL,
)
_VALUED: Final = frozenset(
    "-i --index-url --extra-index-url -f --find-links -t --target --prefix --root -c --constraint -n --name --channel".split()  # noqa: SIM905  # a list of words
)


def run(subprocess: str, command: str, names: AbstractSet[str]) -> str:
    """Return a call that runs a command in a shell and prints its output, as `!command` does."""
    return (
        f"print({subprocess}.run({quoted(command, names)}, shell=True, text=True, "
        f'stdout={subprocess}.PIPE, stderr={subprocess}.STDOUT).stdout, end="")'
    )


def lines_of(subprocess: str, command: str, names: AbstractSet[str]) -> str:
    """Return an expression for the lines of a command's output, as `x = !command` returns them."""
    return (
        f"{subprocess}.run({quoted(command, names)}, shell=True, text=True, "
        f"stdout={subprocess}.PIPE, stderr={subprocess}.STDOUT).stdout.splitlines()"
    )


def requirements(command: str) -> list[str] | None:
    """Return the requirements that `pip install ...` installs; None for any other command."""
    match = _PIP.fullmatch(command.split("#", maxsplit=1)[0].rstrip("; \n"))
    if match is None:
        return None
    try:
        words = shlex.split(match[1].split("&&")[0].split("|")[0].split(">/")[0])
    except ValueError:
        return None
    packages: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = word in _VALUED or word in {"-r", "--requirement", "-e", "--editable"}
        elif re.match(r"[A-Za-z0-9][\w.\-]*(\[[\w,\- ]+\])?\s*([<>=!~].*)?$", word):
            packages.append(re.sub(r"(?<![<>=!~])=(?!=)", "==", word))
        elif word.startswith("git+") or "://" in word:
            name = re.split(r"[/#@]", word.rstrip("/"))[-1].removesuffix(".git")
            packages.append(f"{name} @ {word}")
    return packages


def quoted(command: str, names: AbstractSet[str]) -> str:
    """Return an expression for a command in which IPython expands `{expression}` and `$name`."""
    try:
        parsed = list(expansions.parse(command))
    except (SyntaxError, ValueError):
        return text_literal(command)
    pieces: list[tuple[str, bool]] = []
    for literal, field, spec, _ in parsed:
        if literal:
            pieces.append((literal, False))
        if field is None:
            continue
        if not _is_python(field) or (field.isidentifier() and field not in names):
            return text_literal(command)  # IPython then expands nothing, and `$HOME` is the shell's
        pieces.append((f"{field}:{spec}" if spec else field, True))
    if not any(filled for _, filled in pieces):
        return text_literal("".join(text for text, _ in pieces))
    if any(character in text for text, filled in pieces if filled for character in "\"'\\\n"):
        return " + ".join(f"str({text})" if filled else text_literal(text) for text, filled in pieces)
    body = "".join(
        f"{{{text}}}" if filled else text.replace("{", "{{").replace("}", "}}") for text, filled in pieces
    )
    return f"f{text_literal(body)}"


def _is_python(expression: str) -> bool:
    try:
        compile(expression, "<command>", "eval", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def text_literal(text: str) -> str:
    """Return a string literal, with triple quotes if the text has several lines."""
    if "\n" in text.strip("\n") and '"""' not in text and "\\" not in text and not text.endswith('"'):
        return f'"""{text}"""' if text.isprintable() or _printable(text) else repr(text)
    written = repr(text)
    if written.startswith("'") and '"' not in written:
        return '"' + written[1:-1].replace("\\'", "'") + '"'
    return written


def _printable(text: str) -> bool:
    return all(character.isprintable() or character in "\n\t" for character in text)
