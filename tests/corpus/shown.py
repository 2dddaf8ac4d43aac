"""What a cell shows, without what changes from run to run, and what one run shows that another does not."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from marimo_kernel_bridge.importing.verifying.outputs import images, look_alike
from marimo_kernel_bridge.protocol.output_log import strip_ansi
from marimo_kernel_bridge.protocol.output_text import joined

TIMED = re.compile(r"CPU times|Wall time|per loop|\bloops?, best of|(elapsed|took)[^\n]*\d", re.IGNORECASE)
_FIGURE = re.compile(r"<Figure size [^>]*>|<matplotlib\.figure\.Figure[^>]*>")


@dataclass(frozen=True)
class Shown:
    """The texts and pictures of a cell, and the name of the error with which it ended."""

    texts: tuple[str, ...] = ()
    pictures: tuple[str, ...] = field(default=(), repr=False)
    error: str = ""

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    def same(self, other: "Shown") -> bool:
        return self.text == other.text and look_alike(list(self.pictures), list(other.pictures))

    def __add__(self, other: "Shown") -> "Shown":
        return Shown(self.texts + other.texts, self.pictures + other.pictures, self.error or other.error)


Page = Mapping[str, Shown]
"""What each cell of a notebook shows, by its id."""


def page(outputs: Mapping[str, Iterable[Mapping[str, Any]]], folder: str) -> dict[str, Shown]:
    return {cell: shown(list(each), folder) for cell, each in outputs.items()}


def shown(outputs: list[Any], folder: str) -> Shown:
    texts, error = [], ""
    for output in outputs:
        match output["output_type"]:
            case "stream" if output["name"] == "stdout":
                texts.append(joined(output["text"]))
            case "execute_result" | "display_data":
                texts.append(joined(output["data"].get("text/plain", "")))
            case "error":
                error = f"{output['ename']}: {strip_ansi(output['evalue'])[:160]}"
    plain = (normal(text, folder) for text in texts)
    return Shown(
        tuple(text for text in plain if text and not TIMED.search(text)),
        tuple(re.sub(r"\s", "", joined(picture)) for picture in images(outputs)),
        error,
    )


def normal(text: str, folder: str) -> str:
    text = re.sub(r"0x[0-9a-fA-F]+", "0x", strip_ansi(text).replace(folder, "<folder>"))
    return " ".join(_FIGURE.sub("", text).split())


def lacking(wanted: Shown, given: Shown) -> list[str]:
    """The texts that a cell does not show."""
    lacks, rest = [], given.text
    for text in wanted.texts:
        if text not in rest:
            lacks.append(text)
        rest = rest.replace(text, " ", 1)
    return lacks


def apart(one: Shown, other: Shown) -> str:
    """Say where two differ, in a line."""
    if one.text == other.text:
        return f"{len(one.pictures)} pictures, {len(other.pictures)} pictures, which look different"
    at = next((i for i, (a, b) in enumerate(zip(one.text, other.text, strict=False)) if a != b), 0)
    at = max(0, at - 20) if at or one.text[:1] == other.text[:1] else 0
    return f"{one.text[at : at + 70]!r}, not {other.text[at : at + 70]!r}"
