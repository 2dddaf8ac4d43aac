"""Size limits of answers: long texts are shortened in the middle, long lists at the end, each with a notice.

Texts that are read in pages (`PAGED`: outputs, code, exports) are cut by their views, which know the page. Independent
of kernels and secrets: the caller passes a function that redacts a text before it is cut, because a cut within a secret
would leave a part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from marimo_kernel_bridge.mcp_server.answers.view import fields_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marimo_kernel_bridge.mcp_server.answers.view import View

MOST_TEXT: Final = 1200
"""Characters of one text of an answer: an error's message, a name, a label."""

MOST_ITEMS: Final = 1000
"""Items of one list of an answer of a tool: more take long to be written, and no budget has room for them."""

_READ: Final = 10_000
"""Characters at both ends of a text in which secrets are looked for; far more than are shown, so that a secret is whole."""

LISTS: Final = 3000
"""The minimum of characters for everything in an answer that is not read in pages, however small `max_chars` is."""

PAGED: Final[Mapping[str, bool]] = MappingProxyType({"paged": True})
"""The metadata of a field with text that is read in pages."""

_ERRORS: Final = frozenset({"error", "message"})
"""Fields with the message of an error, which is also in the outputs of the run or cell."""

_Redact = Callable[[str], str]
_Viewed = TypeVar("_Viewed", bound="View")


def cut_middle(
    text: str, most: int, notice: Callable[[int, int], str], *, head_share: float = 0.5, around: str = " "
) -> str:
    """Return a text, without its middle if it has more than `most` characters.

    The result of `notice` replaces the middle, with `around` on both sides. `notice` receives the number of characters
    left out, and their offset.
    """
    if len(text) <= most:
        return text
    head = max(1, int(most * head_share))
    tail = max(0, most - head)
    left_out = len(text) - head - tail
    return f"{text[:head]}{around}{notice(left_out, head)}{around}{text[len(text) - tail :]}"


def bounded_text(text: str, redact: _Redact, whole: str = "") -> str:
    """Return a text shortened to about `MOST_TEXT` characters. `whole` is a sentence on how to read all of it."""
    if len(text) <= MOST_TEXT:
        return text
    unread = max(0, len(text) - 2 * _READ)
    if unread:  # in the middle, which is left out
        text = text[:_READ] + text[-_READ:]
    text = redact(text)
    return cut_middle(
        text,
        MOST_TEXT,
        lambda left_out, _: (
            f"[… {left_out + unread} of {len(text) + unread} characters left out{f'. {whole}' * bool(whole)} …]"
        ),
    )


def bounded(view: _Viewed, redact: _Redact, budget: int | None = None) -> _Viewed:
    """Return an answer with texts of at most about `MOST_TEXT` characters, except those that are read in pages.

    With `budget`, its longest lists are also shortened, until its text without the pages has about that many characters;
    the answer's note says what is left out.
    """
    view = _bounded(view, redact, inside=False)
    return view if budget is None else _within(view, budget)


def first_items(view: _Viewed) -> _Viewed:
    """Return an answer with at most `MOST_ITEMS` items in each of its lists, and a note about the others."""
    long = {
        field.name: items
        for field in fields_of(type(view))
        if isinstance(items := getattr(view, field.name), tuple) and len(items) > MOST_ITEMS
    }
    if not long:
        return view
    left_out = ", ".join(f"{len(items) - MOST_ITEMS} of {len(items)} {name}" for name, items in long.items())
    note = " ".join(filter(None, (getattr(view, "note", ""), f"Left out: {left_out}.")))
    cut: dict[str, Any] = {name: items[:MOST_ITEMS] for name, items in long.items()}
    return replace(view, **cut, **({"note": note} if hasattr(view, "note") else {}))


def _bounded(value: Any, redact: _Redact, whole: str = "", *, inside: bool = True) -> Any:
    """Return a value of an answer, bounded; the same object if nothing is too long."""
    if isinstance(value, str):
        return bounded_text(value, redact, whole)
    if isinstance(value, tuple):
        items = tuple(_bounded(item, redact) for item in value)
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    changed: dict[str, Any] = {}
    for name in _names_to_bound(type(value)):  # type: ignore[arg-type]  # mypy: classes are not Hashable
        old = getattr(value, name)
        if not old:  # most fields are as they were declared
            continue
        new = _bounded(old, redact, _way_to_the_whole(value) if name in _ERRORS else "")
        if inside and isinstance(new, tuple):
            new = _first_names(new)
        if new is not old:
            changed[name] = new
    return replace(value, **changed) if changed else value


@lru_cache(maxsize=256)
def _names_to_bound(kind: type) -> tuple[str, ...]:
    """Return the names of the fields of a part of an answer that are bounded here; of other values, none."""
    if not is_dataclass(kind):
        return ()
    return tuple(field.name for field in fields_of(kind) if "paged" not in field.metadata)


def _first_names(names: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return as many of the names as fit into one text, and the number of others."""
    if not all(isinstance(name, str) for name in names) or sum(map(len, names)) <= MOST_TEXT:
        return names
    room, kept = MOST_TEXT, 0
    while kept < len(names) and (kept == 0 or len(names[kept]) <= room):
        room -= len(names[kept])
        kept += 1
    return names if kept == len(names) else (*names[:kept], f"… {len(names) - kept} more")


def _way_to_the_whole(value: Any) -> str:
    """Return a sentence on how to read the complete error in a part of an answer."""
    run_id, cell_id = getattr(value, "run_id", None), getattr(value, "cell_id", None)
    if run_id:
        return f'read_run(run_id="{run_id}", offset=0) has all of it in its outputs, in pages'
    return (
        f'read_cell(cell_id="{cell_id}", offset=0) has all of it in its outputs, in pages' if cell_id else ""
    )


def _within(view: _Viewed, budget: int) -> _Viewed:
    """Return the view with its longest lists shortened until its text fits, and a note about it."""
    whole = view
    fields = fields_of(type(view))
    paged = sum(len(getattr(view, field.name)) for field in fields if "paged" in field.metadata)
    while (size := len(view.text()) - paged) > budget:
        lists = [(field.name, getattr(view, field.name)) for field in fields]
        long = [(name, items) for name, items in lists if isinstance(items, tuple) and len(items) > 1]
        if not long:
            break
        name, longest = max(long, key=lambda entry: len(str(entry[1])))
        kept = len(longest) // 2 if size > 2 * budget else len(longest) * 3 // 4
        view = replace(view, **{name: longest[:kept]})
    if view is whole:
        return view
    left_out = [
        f"{len(getattr(whole, field.name)) - len(getattr(view, field.name))} of {len(getattr(whole, field.name))} {field.name}"
        for field in fields
        if getattr(view, field.name) != getattr(whole, field.name)
    ]
    note = f"Cut to about {budget} characters: {', '.join(left_out)} left out. A larger max_chars shows more."
    notes: dict[str, Any] = {"note": " ".join(filter(None, (getattr(view, "note", ""), note)))}
    return replace(view, **notes)
