"""Conversion of notebook outputs for language models: a text within a budget, and images.

Accepts nbformat outputs; independent of MCP and of kernels. Never puts base64 into text: content that cannot be shown
is named, with its size.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.mcp_server.answers.bounds import cut_middle
from marimo_kernel_bridge.mcp_server.media.chart_text import chart_text
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.protocol.output_log import strip_ansi
from marimo_kernel_bridge.protocol.output_text import joined
from marimo_kernel_bridge.rendering.text import html_to_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marimo_kernel_bridge.mcp_server.media.chart_text import ChartKind, MimeBundle
    from marimo_kernel_bridge.protocol.notebook import Output

IMAGE_TYPES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
MAX_IMAGE_CHARACTERS: Final = 700_000
"""Of base64, for all images of one answer: MCP clients reject messages of more than 1 MiB."""

_MOST_ROWS: Final = 50
_HEAD_SHARE: Final = 0.7
_NO_TEXT: Final = re.compile(r"\s*<[^<>\n]*>\s*")  # the default repr of an object, `<Figure size 640x480>`
_CELL_FRAME: Final = re.compile(r"\s*(Cell In|Input In|File <ipython|Cell \w)")
_LIBRARY_FRAME: Final = re.compile(
    r"\s*File .{0,1000}[/\\](site-packages|dist-packages|lib[/\\]python3\.\d+)[/\\]"
)
_WITHOUT_SOURCE: Final = "'Could not get source, probably due dynamically evaluated source code.'"
"""What IPython shows in place of compiled code, as pandas' of Cython."""
_MOST_IN_A_ROW: Final = 3
_OUR_FRAME: Final = re.compile(
    r"\s*File .*?[/\\](marimo_kernel_bridge|marimo[/\\]_runtime|marimo[/\\]_ast|ipykernel|IPython[/\\]core)[/\\]"
)


@dataclass(frozen=True)
class Image:
    """A picture, `data` in base64."""

    mime_type: str
    data: str


@dataclass(frozen=True)
class Picture:
    """An image prepared for sending, or None. `note` says how it was changed, or why there is none."""

    image: Image | None
    note: str


@dataclass(frozen=True)
class Chart:
    """A chart that is to be drawn: the position of its output, and its specification as JSON."""

    position: int
    kind: ChartKind
    specification: str


@dataclass(frozen=True)
class Shown:
    """Outputs for a model. `text` is complete; `cut` shortens it. `complete`: no image was changed or left out.

    `charts` have no picture yet.
    """

    text: str
    images: tuple[Image, ...] = ()
    complete: bool = True
    charts: tuple[Chart, ...] = ()


def show(outputs: Iterable[Output], pictures: Mapping[int, Picture] = MappingProxyType({})) -> Shown:
    """Convert nbformat outputs to text and images, in order.

    `pictures` are prepared images and drawn charts by the position of their output, from the module `pictures`.
    """
    said = _Said()
    for position, output in enumerate(outputs):
        try:
            said.add(output, pictures.get(position))
        except Exception:  # noqa: BLE001  # kernels send anything; the other outputs are shown
            said.texts.append("[an output that cannot be read]")
    text = "\n".join(text.strip("\n") for text in said.texts if text.strip())
    return Shown(text, tuple(said.images), said.complete)


class _Said:
    """What has been made of outputs so far."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.images: list[Image] = []
        self.complete = True
        self._room = MAX_IMAGE_CHARACTERS

    def add(self, output: Output, picture: Picture | None) -> None:
        match output.get("output_type"):
            case "stream":
                name = "" if output.get("name") == "stdout" else f"[{output.get('name')}]\n"
                self.texts.append(name + terminal_text(joined(output.get("text"))))
            case "error":
                self.texts.append(error_text(output))
            case _:
                self._add_bundle(output.get("data") or {}, picture)

    def _add_bundle(self, data: MimeBundle, picture: Picture | None) -> None:
        original = image_in(data)
        picture = picture or Picture(original, "")
        image = picture.image
        if original is None or chart_text(data):
            self.texts.append(bundle_text(data))
        if original is not None and image != original:
            self.complete = False
        if image is not None and image in self.images:
            self.texts.append(f"[image {self.images.index(image) + 1} again]")
        elif image is not None and len(image.data) <= self._room:
            self._room -= len(image.data)
            self.images.append(image)
            note = f", {picture.note}" if picture.note else ""
            self.texts.append(f"[image {len(self.images)}: {image.mime_type}{note}]")
        elif image is not None:
            self.texts.append(_too_large(image))
            self.complete = False
        elif picture.note:
            self.texts.append(f"[{picture.note}]")


def cut(text: str, budget: int, offset: int, rest: str) -> str:
    """Fit text into about `budget` characters, from `offset` on. `rest` is a sentence on how to read what is left out.

    Keeps the beginning and the end, where errors and last results are, with a notice in between.
    """

    def notice(left_out: int, head: int) -> str:
        where = rest.format(offset=offset + head)
        return f"[… {left_out} of {len(text)} characters left out here. {where} …]"

    return cut_middle(text[offset:], budget, notice, head_share=_HEAD_SHARE, around="\n")


def error_text(output: Output) -> str:
    """Return a traceback without colors and without internal frames of the kernel."""
    lines: Sequence[Any] = output.get("traceback") or ()
    frames = [strip_ansi(str(frame)).rstrip() for frame in lines]
    kept = [frame for frame in frames if not _OUR_FRAME.match(frame) and frame.strip("- ")]
    if (
        output.get("ename") == "KeyboardInterrupt"
    ):  # what was interrupted matters, not in which function of a library
        return "\n".join([*[frame for frame in kept if _CELL_FRAME.match(frame)][-1:], "KeyboardInterrupt"])
    kept = _without_code_of_libraries(kept)
    last = f"{output.get('ename', 'Error')}: {output.get('evalue', '')}"
    if not kept or split_lines(strip_ansi(last).strip())[0] not in "\n".join(kept):
        kept.append(strip_ansi(last))
    return "\n".join(kept)


def _without_code_of_libraries(frames: Sequence[str]) -> list[str]:
    """Return frames of a traceback, of libraries only where they are; of many in a row, the first and the last."""
    kept: list[str] = []
    row: list[str] = []
    for frame in (*frames, ""):
        if _LIBRARY_FRAME.match(frame) or (frame.startswith("File ") and _WITHOUT_SOURCE in frame):
            row.append(split_lines(frame)[0])
            continue
        if len(row) > _MOST_IN_A_ROW:
            row = [row[0], f"[… {len(row) - 2} more frames of libraries …]", row[-1]]
        kept += [*row, frame] if frame else row
        row = []
    return kept


def terminal_text(text: str) -> str:
    """Return text as a terminal shows it: without colors, and with only the last state of a progress bar."""
    return "\n".join(
        line.rstrip("\r").rsplit("\r", 1)[-1] if "\r" in line else line
        for line in strip_ansi(text).split("\n")
    )


def bundle_text(data: MimeBundle) -> str:
    """Return the representation of a mime bundle that is best for a model, as text."""
    for form in (chart_text, _written, _plain, _reduced, _rows, _json):
        if text := form(data):
            return text
    plain = strip_ansi(joined(data.get("text/plain")))
    others = [mime_type for mime_type in data if mime_type != "text/plain"]
    return "\n".join(filter(None, (plain, f"[not shown: {', '.join(others)}]" if others else "")))


def _written(data: MimeBundle) -> str:
    return joined(data.get("text/markdown") or data.get("text/latex"))


def _plain(data: MimeBundle) -> str:
    """Return the plain text, unless it is the default repr or a table drawn with lines, which cost more than its rows."""
    plain = strip_ansi(joined(data.get("text/plain")))
    markup = joined(data.get("text/html"))
    drawn = "<table" in markup and ("┌" in plain or 'class="dataframe"' in markup)
    return "" if drawn or _NO_TEXT.fullmatch(plain) else plain


def _reduced(data: MimeBundle) -> str:
    return html_to_text(joined(data["text/html"]), compact=True) if "text/html" in data else ""


def _rows(data: MimeBundle) -> str:
    rows = _dict(data.get("application/vnd.dataresource+json")).get("data")
    return _rows_text(rows) if isinstance(rows, list) else ""


def _json(data: MimeBundle) -> str:
    return json.dumps(data["application/json"], ensure_ascii=False) if "application/json" in data else ""


def _rows_text(rows: list[Any]) -> str:
    """Return a table as compact rows, with their total number."""
    names = list(_dict(rows[0])) if rows else []
    lines = [" | ".join(names)]
    lines += [" | ".join(str(_dict(row).get(name, "")) for name in names) for row in rows[:_MOST_ROWS]]
    return "\n".join([*lines, f"[{min(len(rows), _MOST_ROWS)} of {len(rows)} rows]"])


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def image_in(data: MimeBundle) -> Image | None:
    """Return the image of a mime bundle."""
    for mime_type in IMAGE_TYPES:
        if mime_type in data:
            return Image(mime_type, "".join(joined(data[mime_type]).split()))
    return None


def _too_large(picture: Image) -> str:
    kilobytes = len(picture.data) * 3 // 4 // 1024
    return f"[{picture.mime_type} of {kilobytes} kB, too large to send: make the figure smaller or lower its dpi]"
