"""What a run would cost, and what would not be computed again: hints from the last durations and the code of cells. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CACHES: Final = "cache|lru_cache|cached|persistent_cache|cache_data|cache_resource|memoize"
"""Names of decorators and context managers that keep results: marimo's, functools', joblib's and the like."""
_CACHED: Final = re.compile(
    rf"(?m)^[^\S\n]*+(?:@[^\S\n]*+|(?:async[^\S\n]++)?with[^\S\n]++)(?:\w++\.)*+(?:{_CACHES})\b(?![\w.])"
)
"""A line with one. Python's parser would hold up the event loop: it takes a second for a megabyte."""
_WORTH_IT: Final = 1.0
"""Seconds from which on a cell is worth a hint."""
_MOST: Final = 3
_LONGEST: Final = 100_000


def hints(codes: Mapping[str, str], seconds: Mapping[str, float | None], *, mo: bool) -> tuple[str, ...]:
    """Return hints about the cells that would run. `mo`: whether the notebook has marimo's `mo`.

    A cell with a cache is expected to take less than the last time, if what its function gets is the same.
    """
    known = {cell_id: last for cell_id, last in seconds.items() if last is not None}
    total = sum(known.values())
    costly = sorted(known, key=lambda cell_id: -known[cell_id])[:_MOST]
    costly = [cell_id for cell_id in costly if known[cell_id] >= max(_WORTH_IT, total / 10)]
    cached = {cell_id for cell_id in costly if keeps_results(codes.get(cell_id, ""))}
    return tuple(_hints(costly, cached, known, total, mo=mo))


def keeps_results(code: str) -> bool:
    """Return whether code asks for a cache of what it computes."""
    return _CACHED.search(code, 0, _LONGEST) is not None


def _hints(
    costly: list[str], cached: set[str], known: Mapping[str, float], total: float, *, mo: bool
) -> Iterator[str]:
    if costly and len(known) > 1:
        shares = ", ".join(f"{cell_id} {known[cell_id]:.2g} s" for cell_id in costly)
        yield f"Of {total:.2g} s: {shares}."
    kept = [cell_id for cell_id in costly if cell_id in cached]
    if kept:
        yield f"{', '.join(kept)} keep{'s' if len(kept) == 1 else ''} results in a cache: faster if its arguments are the same."
    loose = next((cell_id for cell_id in costly if cell_id not in cached), None)
    if loose is not None:
        # functools' does not take a table as an argument, which most costly cells have.
        how = "" if mo else " (`import marimo as mo`)"
        yield (
            f"{loose} computes all of it again; a function with `@mo.cache`{how}, or `with mo.persistent_cache(name=...)`, keeps what "
            "it computes for the same arguments."
        )
