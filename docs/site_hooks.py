"""Pages of the site that stand elsewhere in the repository or nowhere: README as home page, the API from docstrings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File, Files, InclusionLevel

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

ROOT: Final = Path(__file__).parents[1]
_PAGES: Final = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "CODE_OF_CONDUCT.md": "code_of_conduct.md",
    "examples/README.md": "examples.md",
}
_API: Final = {
    "client": "A client of a running kernel, for programs that join one.",
    "protocol": "The values and messages that cross between the kernel and its clients.",
}
_LINK: Final = re.compile(r"(!?\[[^\]]*\]\()([^)#:]+)((?:#[^)]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages = {target: _moved((ROOT / source), target) for source, target in _PAGES.items()}
    for package, purpose in _API.items():
        pages[f"api/{package}.md"] = f"# {package}\n\n{purpose}\n\n::: marimo_kernel_bridge.{package}\n"
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content, inclusion=InclusionLevel.INCLUDED))
    return files


def on_page_markdown(markdown: str, page: object, config: MkDocsConfig, files: Files) -> str:
    """Point links out of docs/ to the page that stands for the file, or leave their text."""
    del config, files
    source = ROOT / "docs" / page.file.src_uri  # type: ignore[attr-defined]  # mkdocs' Page
    return _LINK.sub(lambda match: _link(match, source.parent, source.relative_to(ROOT / "docs")), markdown)


def _moved(path: Path, target: str) -> str:
    return _LINK.sub(lambda match: _link(match, path.parent, Path(target)), path.read_text(encoding="utf-8"))


def _link(match: re.Match[str], folder: Path, page: Path) -> str:
    """Return a link of a file in `folder` for a page of the site."""
    start, address, end = match.groups()
    try:
        named = (folder / address).resolve().relative_to(ROOT).as_posix()
    except ValueError:
        return match[0]
    if named in _PAGES:
        named = f"docs/{_PAGES[named]}"
    if not named.startswith("docs/"):
        return (
            start.removeprefix("!").removeprefix("[").removesuffix("](")
            if (ROOT / named).exists()
            else match[0]
        )
    up = "../" * (len(page.parts) - 1)
    return f"{start}{up}{named.removeprefix('docs/')}{end}"
