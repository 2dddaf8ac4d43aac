"""What an answer about the notebook shows: the document that is open, the saved file, given texts, or the kernel's cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from marimo_kernel_bridge.mcp_server.answers.durations import took

FRESH: Final = 5
"""Seconds up to which a document's age is not told: its page tells at once of what is typed."""

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


@dataclass(frozen=True)
class Origin:
    """Where the cells are from, and how old that is.

    `shows` is document if it is missing (open in a front end, unsaved text included), file (the saved one; the code of cells that ran is the
    kernel's), given (texts of the call), or kernel (only cells that ran, in the kernel's order). `person_in` is the cell in
    which the person is.
    """

    shows: str = "document"
    path: str | None = None
    front_end: str | None = None
    seconds_old: float | None = None
    unsaved: bool = False
    person_in: str | None = None
    others: tuple[str, ...] = ()

    def line(self) -> str:
        """Return it as a sentence."""
        match self.shows:
            case "document":
                facts = [self.path or "", "with unsaved changes" if self.unsaved else "", self._age]
                where = f" The person is in cell {self.person_in}." if self.person_in else ""
                others = f" Also open: {', '.join(self.others)}." if self.others else ""
                return f"The document in {self.front_end} ({_listed(facts)}).{where}{others}"
            case "file":
                return (
                    f"The saved file ({_listed([self.path or '', self._age])}), with the kernel's code where that differs; "
                    "text that is not saved is not known."
                )
            case "given":
                return "The texts of this call."
            case _:
                return (
                    "What ran in the kernel; Markdown and cells that never ran are not known: no front end with the extension has "
                    "the notebook."
                )

    @property
    def brief(self) -> str:
        """Return it in a few words, "" for what the person sees or what ran."""
        match self.shows:
            case "file":
                return f"the saved file, {self._age}"
            case "given":
                return "this call"
            case _:
                return ""

    @property
    def _age(self) -> str:
        old = self.seconds_old or 0.0
        return "" if old < FRESH else f"{duration(old)} old"


def duration(seconds: float) -> str:
    """Return a time as a person says it."""
    for size, unit in ((_DAY, "days"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return took(max(0.0, seconds))


def _listed(facts: list[str]) -> str:
    return ", ".join(filter(None, facts))


KERNEL: Final = Origin("kernel")
