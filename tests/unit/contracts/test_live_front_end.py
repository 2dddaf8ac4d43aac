"""What live elements take for granted about marimo's front end. A failure here means that marimo's release changed it."""

import re
from pathlib import Path

import pytest

from marimo_kernel_bridge.kernel.live.loader_source import PAGE
from marimo_kernel_bridge.runtime.live import release_check
from marimo_kernel_bridge.runtime.live.assets import STATIC, FrontEndFiles


@pytest.fixture
def front_end(tmp_path: Path) -> Path:
    """A copy of the part of marimo's front end that starts it."""
    (tmp_path / "assets").mkdir()
    files = FrontEndFiles()
    for name in files.base:
        (tmp_path / "assets" / name).symlink_to(STATIC / "assets" / name)
    (tmp_path / "index.html").write_text((STATIC / "index.html").read_text())
    return tmp_path


def test_the_installed_front_end_has_all_that_pages_rely_on() -> None:
    assert release_check.missing() == []


def test_each_change_that_pages_make_to_its_modules_finds_something_to_change() -> None:
    """Else, a page would get globals, a base address, styles or lines in its console that it does not have now."""
    patterns = re.findall(r"^  \[/(.+)/g, ", (PAGE / "rewriting.js").read_text(), re.MULTILINE)
    assert len(patterns) > 10
    text = "\n".join(path.read_text("utf-8") for path in sorted((STATIC / "assets").glob("*.js")))
    assert [pattern for pattern in patterns if not re.search(pattern, text)] == []


def test_its_modules_import_each_other_without_a_circle() -> None:
    files = FrontEndFiles()
    places = {name: place for place, name in enumerate(files.base)}
    for name, place in places.items():
        assert all(places[imported] < place for imported in files.imports(name))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("index.html", "index.html names no script to start with"),
        ("run-page", "there is not one run-page in"),
        ("module", "a module of its front end imports one that is missing"),
        ("name", "_marimo_private_UIElementRegistry (the registry of elements"),
    ],
)
def test_what_a_release_of_marimo_breaks_is_named(front_end: Path, broken: str, reason: str) -> None:
    (page,) = (front_end / "assets").glob("run-page-*.js")
    if broken == "index.html":
        (front_end / "index.html").write_text("<html></html>")
    elif broken == "run-page":
        page.unlink()
    elif broken == "module":
        (front_end / "assets" / FrontEndFiles(front_end).base[0]).unlink()
    else:
        (holder,) = (
            path
            for path in (front_end / "assets").iterdir()
            if "_marimo_private_UIElementRegistry" in path.read_text()
        )
        text = holder.read_text().replace("_marimo_private_UIElementRegistry", "_other")
        holder.unlink()
        holder.write_text(text)
    (missing,) = release_check.missing(FrontEndFiles(front_end))
    assert reason in missing


def test_without_the_files_nothing_fails_but_elements_are_static(tmp_path: Path) -> None:
    files = FrontEndFiles(tmp_path)
    fault = files.fault()
    assert "cannot be used" in fault
    (tmp_path / "index.html").write_text('<script type="module" src="./assets/a.js"></script>')
    assert files.fault() == fault, "it is looked for once, not at each element"
