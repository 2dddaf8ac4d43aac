"""The architecture page and its picture say what the code is."""

import re
from pathlib import Path

import floors

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "marimo_kernel_bridge"


def test_the_picture_shows_the_imports_that_the_code_has():
    assert floors.PICTURE.read_text() == floors.picture(), "run: make floors"


def test_every_package_and_root_module_has_a_floor():
    names = {
        path.stem for path in PACKAGE.iterdir() if path.name not in {"__init__.py", "py.typed", "__pycache__"}
    }
    shipped = {"_version", "examples", "kernelspec"}
    assert names - shipped == {name for floor in floors.floors() for name in floor}


def test_the_page_says_of_every_package_what_it_owns_and_of_no_other():
    page = (ROOT / "docs/architecture.md").read_text()
    table = page.split("## Packages")[1].split("\n### ")[0]
    rows = re.findall(r"(?m)^\| `([a-z_]+)`", table)
    assert rows == [name for floor in floors.floors() for name in floor]


def test_no_arrow_goes_up():
    height = {name: number for number, floor in enumerate(floors.floors()) for name in floor}
    assert [(above, below) for above, below in floors.imports() if height[above] >= height[below]] == []
