"""Keys of cells: equal for two sessions if the cells have the same code and read what cells with the same keys have made.

A key is a hash of the cell's code, of the keys of the cells whose versions it reads, and of the values of the UI elements
and of `mo.state` that it reads: a Merkle chain. It says nothing of files, time and random numbers. Comments and layout
do not count, and no version of Python counts either: tokens are hashed, and not syntax trees. Pure.
"""

from __future__ import annotations

import hashlib
import io
import tokenize
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_LAYOUT: Final = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER})
_BLOCKS: Final = {tokenize.NEWLINE: "\n", tokenize.INDENT: ">", tokenize.DEDENT: "<"}
_FSTRING_BEGINS, _FSTRING_ENDS = (getattr(tokenize, f"FSTRING_{end}", -1) for end in ("START", "END"))
_CYCLE: Final = "cycle"


@dataclass(frozen=True)
class KeyedCell:
    """What a key is made of: the code that runs, the makers of each name that it reads, and the values of inputs as texts."""

    code: str
    reads: Mapping[str, Collection[str]] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


def keys_of(cells: Mapping[str, KeyedCell]) -> dict[str, str]:
    """Return the key of each cell. Cells of a cycle, which the graph refuses, have keys nevertheless."""
    keys: dict[str, str] = {}
    for first in cells:
        path = {first: _makers(cells, first)}  # each with the makers above it that are left
        while path:
            cell_id, above = next(reversed(path.items()))
            maker = above.pop() if above else None
            if maker is None:
                del path[cell_id]
                keys.setdefault(cell_id, _key(cells[cell_id], cell_id, keys))
            elif maker not in keys and maker not in path:
                path[maker] = _makers(cells, maker)
    return keys


def _makers(cells: Mapping[str, KeyedCell], cell_id: str) -> list[str]:
    makers = {maker for those in cells[cell_id].reads.values() for maker in those}
    return sorted(maker for maker in makers if maker in cells and maker != cell_id)


def _key(cell: KeyedCell, cell_id: str, keys: Mapping[str, str]) -> str:
    parts = [normal(cell.code)]
    for name in sorted(cell.reads):
        parts += [name, *sorted(keys.get(maker, _CYCLE) for maker in cell.reads[name] if maker != cell_id)]
    for name in sorted(cell.inputs):
        parts += [name, cell.inputs[name]]
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()


@lru_cache(maxsize=2_000)
def normal(code: str) -> str:
    """Return code without comments and layout; unchanged if it cannot be read."""
    try:
        return "\1".join(_tokens(code))
    except (tokenize.TokenError, SyntaxError, ValueError):
        return code


def _tokens(code: str) -> Iterator[str]:
    lines = io.StringIO(code).readlines()
    begun: list[
        tuple[int, int]
    ] = []  # f-strings, which are one token in Python 3.11 and several in later versions
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == _FSTRING_BEGINS:
            begun.append(token.start)
        elif token.type == _FSTRING_ENDS:
            start = begun.pop()
            if not begun:
                yield _between(lines, start, token.end)
        elif not begun and token.type not in _LAYOUT:
            yield _BLOCKS.get(token.type, token.string)


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    first, *middle = lines[start[0] - 1 : end[0] - 1]
    return "".join((first[start[1] :], *middle, lines[end[0] - 1][: end[1]]))
