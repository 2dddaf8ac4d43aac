"""Secrets of a process: the values of variables with telling names, in its environment and in `.env` files.

Used in the kernel for its environment (a notebook may load a `.env` at any time), and in the MCP process for its own.
Neither sends them to the other: each redacts what it knows (`redaction`).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol.inspection import Secret
from marimo_kernel_bridge.protocol.regular_files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WORDS: Final = frozenset(
    """KEY KEYS APIKEY TOKEN TOKENS SECRET SECRETS PASS PASSWORD PASSWORDS PASSWD PASSCODE PASSPHRASE PWD CREDENTIAL
    CREDENTIALS CREDS PRIVATE DSN AUTH WEBHOOK""".split()  # noqa: SIM905  # a list of words
)
_LAST_WORDS: Final = frozenset({"COOKIE", "PAT", "SALT", "SAS"})
"""Words that stand for a secret at the end of a name: SESSION_COOKIE, but not SESSION_COOKIE_NAME."""

_ENDS: Final = re.compile(
    r"(?:TOKEN|SECRET|PASSWORD|PASSWD|(?<!COM)(?<!BY)(?<!TRES)(?<!SUR)PASS"
    r"|(?:ACCESS|ACCOUNT|API|AUTH|ENCRYPTION|MASTER|PRIVATE|SECRET|SERVICE|SHARED|SIGNING|STORAGE)KEY)$"
)
_WORD_ENDS: Final = re.compile(r"[\W_]+|(?<=[a-z0-9])(?=[A-Z])")
_SURE: Final = re.compile(
    "PASS|SECRET|TOKEN|PWD|(?:ACCESS|ACCOUNT|API|AUTH|ENCRYPTION|MASTER|PRIVATE|SIGNING)_?KEY"
)
"""Names of which a word is a secret, too: elsewhere it may be the name of a method or a place."""
_SURE_NUMBER: Final = re.compile("PASS|PWD")
"""Names of which a number is a secret, too: elsewhere it may be a limit."""
_PLACES: Final = frozenset({"DIR", "DIRECTORY", "FILE", "FOLDER", "HOME", "PATH", "SOCK", "SOCKET"})
_FOLDERS: Final = frozenset({"PWD", "OLDPWD"})
_LINE: Final = re.compile(
    r"""(?mx) ^ [ \t]*+ (?:export[ \t]++)? (?P<name>'[^'\n]++'|[A-Za-z_][\w.-]*+) [ \t]*+ = [ \t]*+
    (?: (?P<quoted>'(?:[^'\\]|\\.|\\\n)*+'|"(?:[^"\\]|\\.|\\\n)*+") [ \t]*+ (?:\#[^\n]*+)? $ | (?P<plain>[^\n]*+) )"""
)
_COMMENT: Final = re.compile(r"(?:^|(?<=\s))\#.*", re.VERBOSE)
_ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_EXAMPLES: Final = (".example", ".sample", ".template", ".dist")
_MOST_FILES: Final = 20
_SHORTEST: Final = 8
_LARGEST_FILE: Final = 64 * 1024


def in_environment(environment: Mapping[str, str]) -> list[Secret]:
    """Return the variables with names that identify secrets."""
    return [
        Secret(name, value)
        for name, value in list(environment.items())
        if _names_a_secret(name) and _could_be_secret(name, value)
    ]


def dotenv_files(directory: str) -> list[Path]:
    """Return the files `.env` and `.env.*` of a directory, a limited number of them, without examples."""
    try:
        with os.scandir(directory) as entries:
            names = [
                entry.name for entry in entries if entry.name == ".env" or entry.name.startswith(".env.")
            ]
    except (OSError, ValueError):
        return []
    return [Path(directory, name) for name in sorted(names) if not name.endswith(_EXAMPLES)][:_MOST_FILES]


def in_dotenv(directory: str) -> list[Secret]:
    """Return the variables of a directory's `.env` and `.env.*` with names that identify secrets."""
    return [
        Secret(name, value)
        for path in dotenv_files(directory)
        for name, value in _variables(path)
        if _names_a_secret(name) and _could_be_secret(name, value)
    ]


def _variables(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what python-dotenv reads in a file, except that it does not replace variables in values."""
    try:
        text = read_bytes(path, _LARGEST_FILE).decode("utf-8-sig", errors="replace")
    except OSError:
        return
    for line in _LINE.finditer(text.replace("\r\n", "\n").replace("\r", "\n")):
        quoted = line["quoted"]
        yield (
            line["name"].strip("'"),
            _COMMENT.sub("", line["plain"]).strip() if quoted is None else _unquoted(quoted),
        )


def _unquoted(quoted: str) -> str:
    if quoted[0] == "'":
        return re.sub(r"\\([\\'])", r"\1", quoted[1:-1])
    return re.sub(r"""\\([\\'"abfnrtv])""", lambda found: _ESCAPES.get(found[1], found[1]), quoted[1:-1])


def _words(name: str) -> list[str]:
    """Return the words of a name, without numbers behind them."""
    return [word.upper().rstrip("0123456789") for word in _WORD_ENDS.split(name)]


def _names_a_secret(name: str) -> bool:
    """Whether a variable's name has a word of secrets in it: DB_PASSWORD, but not KEYBOARD_LAYOUT or TOKENIZER_MODEL."""
    words = _words(name)
    return name.upper() not in _FOLDERS and (
        "CONNECTION_STRING" in "_".join(words)
        or words[-1] in _LAST_WORDS
        or any(word in _WORDS or _ENDS.search(word) for word in words)
    )


def _could_be_secret(name: str, value: str) -> bool:
    """Return False for words, numbers and paths of files, which also occur in texts without secrets."""
    words = _words(name)
    sure = _SURE if value.isalpha() else _SURE_NUMBER if value.isdigit() else None
    if len(value) < _SHORTEST or (sure is not None and sure.search("_".join(words)) is None):
        return False
    return not (Path(value).is_absolute() and (words[-1] in _PLACES or _exists(value)))


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False
