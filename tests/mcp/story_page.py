"""The story as a page: `python tests/mcp/story_page.py FOLDER` plays it on a real kernel and writes `mcp-story.md`."""

import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # for `docs`, where this is no test

from story import STORY, Accepts, Ada, Call, Changes, Opens, Read, Sees
from story_player import Seen, play

from docs.mcp_reference import block, pretty

PAGE = "mcp-story.md"


def page(steps: list[Seen]) -> str:
    """Return the page: what Ada and the agent do, what is sent and what is answered."""
    parts = [
        "# An agent beside Ada",
        (
            "Ada has `penguins.ipynb` open in JupyterLab, on the marimo kernel, and asks an agent for help. All that is "
            "answered here came from a real kernel through a real server; times, random ids and paths are replaced."
        ),
    ]
    for seen in steps:
        parts += _step(seen)
    return "\n\n".join(parts) + "\n"


def _step(seen: Seen) -> list[str]:  # noqa: PLR0911  # one for each kind of step
    match seen.step:
        case Ada() as step:
            return [_acts(step), block("python", step.code)]
        case Sees(cell, text):
            return [f"Ada sees below `{cell}`: `{text}`"]
        case Opens(cell, code, why):
            return [f"**Ada** {why} (cell `{cell}`).", block("python", code)]
        case Accepts(code, why):
            return [f"**Ada** {why}.", block("python", code)]
        case Call(tool, _, _, why, refused):
            ending = f" (`{refused}`)" if refused else ""
            call = f"[`{tool}`](mcp-reference.md#{tool}){ending}. {why}"
            return [call, block("json", pretty(seen.sent)), block("text", seen.text), *_folded(seen.data)]
        case Read(_, _, why):
            return [why, block("json", pretty(seen.sent)), block("json", pretty(seen.data))]
        case Changes(_, because, why):
            return [_acts(because), why, block("json", pretty(seen.sent))]


def _acts(step: Ada) -> str:
    shows = f" and sees `{step.shows}`" if step.shows else ""
    return f"**Ada** {step.why} (cell `{step.cell}`){shows}."


def _folded(data: str) -> list[str]:
    if not data:
        return []
    return [f"<details><summary>structured content</summary>\n\n{block('json', pretty(data))}\n\n</details>"]


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as home:
        played = asyncio.run(play(STORY, Path(home).resolve()))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(page(played), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
