"""The loader's files joined into the one module that an anywidget has."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from marimo_kernel_bridge.kernel.live.loader_source import PAGE, loader_source

if TYPE_CHECKING:
    from pathlib import Path

_AT_TOP = re.compile(r"^(?:const|let|var|class|function|async function) (\w+)", re.MULTILINE)


def test_the_joined_loader_has_all_files_no_import_and_one_export() -> None:
    source = loader_source()
    assert re.findall(r"(?m)^(?:import|export)\b.*", source) == ["export default {"]
    for path in PAGE.glob("*.js"):
        assert path.read_text("utf-8").splitlines()[0] in source, path.name


def test_no_two_files_of_the_loader_have_the_same_name_at_the_top() -> None:
    found = Counter(_AT_TOP.findall(loader_source()))
    assert found.keys() >= {"LOADER", "Line", "FrontEnd", "connect", "keepNewest"}
    assert [name for name, times in found.items() if times > 1] == []


def test_a_file_comes_after_those_that_it_imports(tmp_path: Path) -> None:
    (tmp_path / "loader.js").write_text(
        "import { b } from './b.js';\nimport { c } from './c.js';\nexport default {};\n"
    )
    (tmp_path / "b.js").write_text("import { c } from './c.js';\nexport const b = c;\n")
    (tmp_path / "c.js").write_text("export async function c() {}\nexport class D {}\n")
    assert loader_source(tmp_path) == (
        "async function c() {}\nclass D {}\n\nconst b = c;\n\nexport default {};\n"
    )
