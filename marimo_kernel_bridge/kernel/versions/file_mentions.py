"""What the text of a cell says about files: whether it may use them, and the paths that it mentions.

Judges by words, before the cell runs, and errs on the side of files.
"""

from __future__ import annotations

import re
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Final

_COMMAND: Final = re.compile(
    r"^[ \t]*(?:\w+[ \t]*=[ \t]*)?(?:!(?!=)|%%?(?!(?:time|timeit|prun|capture|matplotlib|load_ext|reload_ext|autoreload|config)\b)[a-z])",
    re.MULTILINE,
)
"""A shell line or a magic, other than those that run no program and write no file."""
_SUSPECT: Final = re.compile(
    r"\bopen\b|\w_open\(|\bopen_\w+\(|\b(?:mkdir|makedirs|touch|unlink|rmtree|urlretrieve)\b|\b(?:os|shutil)\.(?!path\b|environ|getcwd)[a-z]"
    r"|\bfrom (?:os|shutil) import\b|write|\b(?:im)?save|savefig|\b_?dump|export|download|connect\(|\bread_\w+\("
    r"|\bto_(?:csv|json|parquet|excel|feather|pickle|hdf|sql|stata|html|latex|markdown|xml|orc|file|disk|netcdf|zarr)\b"
    r"|\.[a-z]\w{1,7}[\"']",
    re.IGNORECASE,
)
"""Occurs in the text of cells that write files. Before the first such cell there is no hook, which would make each call of
`id` and `copy.deepcopy` slower."""
_CAN_WRITE: Final = re.compile(
    r"\bto_(?!datetime|numeric|timedelta|numpy|list|dict|frame|string|series|period|timestamp|tensor|device|pandas|dense|dummies)\w"
    r"|\bsink_|write|(?<![a-z])(?:im)?save|dump|export|download|retrieve|\bcopy|\bmove\b|connect|execute|extract"
    r"|\bsql\b|\bsystem\b|\brun\b|\bcall\b|\bpopen|check_(?:call|output)",
    re.IGNORECASE,
)
"""Occurs in the names in code that writes files without Python's `open`."""
_LOOKS: Final = re.compile(r"\b(?:l?exists|isfile|isdir|is_file|is_dir)\b")
"""Occurs in code that depends on whether there is a file."""
_READS: Final = re.compile(r"(?:read|load|open|scan|parse|connect|from)\w{0,20}\(", re.IGNORECASE)
"""Occurs in code that reads files without Python's `open`, and not in code that only makes a path."""
_MODE: Final = re.compile(r"[,=]\s*[\"'](?:[wax]b?\+?|r\+b?|rb\+)[\"']\s*[,)]")
_QUOTED: Final = re.compile(r"\"([^\"\n]{1,300})\"|'([^'\n]{1,300})'")
_WORD: Final = re.compile(r"[^\s<>|;&=,()\[\]{}\"'`]+")


def needs_hook(code: str) -> bool:
    """Return whether a cell may use files, judged by its text."""
    return (_SUSPECT.search(code) or _COMMAND.search(code)) is not None


def looks(code: str) -> bool:
    """Return whether a cell depends on whether there is a file."""
    return _LOOKS.search(code) is not None


def reads(code: str) -> bool:
    """Return whether a cell calls what reads the files that it mentions."""
    return _COMMAND.search(code) is not None or _READS.search(code) is not None


@lru_cache(maxsize=1000)
def can_write(code: str) -> bool:
    """Return whether a cell may write files in ways that audit hooks do not report."""
    if _COMMAND.search(code) or _MODE.search(code):
        return True
    return _CAN_WRITE.search(_QUOTED.sub("''", code)) is not None


def function_can_write(value: object) -> bool:
    """Return whether a value is a function of Python that may write files, by the names in it."""
    codes = [value.__code__] if type(value) is FunctionType else []
    for code in codes:  # grows
        if any(map(_CAN_WRITE.search, code.co_names)):
            return True
        codes += [each for each in code.co_consts if type(each) is CodeType]
    return False


@lru_cache(maxsize=1000)
def mentioned_paths(code: str) -> frozenset[str]:
    """Return the words in a cell's strings, or in the cell if it calls other programs, that may be paths."""
    texts = [code] if _COMMAND.search(code) else [one or other for one, other in _QUOTED.findall(code)]
    words = {word for text in texts for word in _WORD.findall(text)}
    return frozenset(word for word in words if _separated(word) and word.strip("./") and "//" not in word)


def may_be_path(text: str) -> bool:
    """Return whether a text is one word that may be a path."""
    return _separated(text) and _WORD.fullmatch(text) is not None


def _separated(word: str) -> bool:
    return "." in word or "/" in word
