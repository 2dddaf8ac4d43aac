"""The documentation builds as a site, without a dead link, and loads nothing from elsewhere."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from docs.mcp_reference import PAGE, reference

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what the site is made of, with the reference but a stand-in for the story, which needs a kernel."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("docs", "examples", "marimo_kernel_bridge"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "_generated")
        )
    for path in (*ROOT.glob("*.md"), ROOT / "mkdocs.yml", *ROOT.glob("tests/**/*.py")):
        (folder / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.relative_to(ROOT))
    generated = folder / "docs/_generated"
    generated.mkdir()
    (generated / PAGE).write_text(asyncio.run(reference()))
    (generated / "mcp-story.md").write_text("# The story\n")
    return folder


def build(folder, *options):
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )


def test_no_link_is_dead_and_pages_load_nothing_from_elsewhere(source):
    """Without the reference of the Python API, which takes ten times as long to make as all the rest."""
    settings = (source / "mkdocs.yml").read_text()
    before, plugins, after = re.split(r"(?m)^(plugins:\n(?:  .*\n)+)", settings)
    assert "mkdocstrings" in plugins
    (source / "without.yml").write_text(f"{before}plugins: []\n{after}")
    built = build(source, "--config-file", "without.yml", "--site-dir", "site")
    assert built.returncode == 0, built.stderr
    pages = list((source / "site").rglob("*.html"))
    loaded = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"?(https?:[^\"\s>]+)")
    assert len(pages) > 20
    assert {url for page in pages for url in loaded.findall(page.read_text())} == set()


@pytest.mark.long  # `make site` does it too
def test_reference_pages_are_made_from_the_code(source):
    built = build(source)
    assert built.returncode == 0, built.stderr
    for page, names in (
        ("api/client", ("KernelClient", "attach")),
        ("api/protocol", ("Cell", "CellWithOutputs")),
        ("_generated/mcp-reference", ("edit_cells", "run_cells")),
    ):
        text = (source / ".build/site" / page / "index.html").read_text()
        assert [name for name in names if name not in text] == []


def test_dead_links_fail_the_build(tmp_path):
    """With the site's own settings, on a site of two pages."""
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    settings |= {"nav": None, "not_in_nav": "*", "hooks": [], "plugins": []}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(settings))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/page.md").write_text("## Heading\n")
    (tmp_path / "docs/index.md").write_text(
        "[good](page.md#heading) [dead](no-such-page.md) [dead](page.md#no-such-anchor)\n"
    )
    built = build(tmp_path)
    assert built.returncode != 0
    assert "'no-such-page.md'" in built.stderr
    assert "'page.md#no-such-anchor'" in built.stderr
    assert built.stderr.count("WARNING") == 2
