"""What `from module import *` binds, and what is run to learn it: nothing of the notebook's folder."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.importing import stars
from marimo_kernel_bridge.importing.stars import Imports, names_of
from marimo_kernel_bridge.notebooks.folder_files import text_inside

FILES = {
    "helpers.py": "import os\nx = 1\n_y = 2\ndef f(): z = 3\nif x:\n    w = 4",
    "listed.py": "__all__ = ['a', '_b']\na = _b = c = 1",
    "a_number.py": "__all__ = 5",
    "nothing.py": "__all__ = None",
    "a_text.py": "__all__ = 'ab'\na = b = 1",
    "unhashable.py": "__all__ = {[]: 1}",
    "longer.py": "__all__ = ['a']\n__all__ += ['b']\na = b = 1",
    "dynamic.py": "x = 1\nglobals().update(y=2)",
    "outer.py": "from helpers import *\nfrom listed import *\nv = 5",
    "of_math.py": "from math import *\nv = 5",
    "round.py": "from trip import *\na = 1",
    "trip.py": "from round import *\nb = 1",
    "package/__init__.py": "from .part import *\nfrom helpers import *",
    "package/part.py": "p = 1",
    "math.py": "never = 1",
    "numpy.ipynb": "{}",
    "compiled.abi3.so": "",
    "broken.py": "def",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Modules that end the process that imports one."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{text}\nopen(__file__ + '.ran', 'w').close()\n" if name != "broken.py" else text)
    return tmp_path


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path | None]]:
    """What is imported, in place of imports."""
    asked: list[tuple[str, Path | None]] = []

    def note(module: str, folder: Path | None) -> frozenset[str] | None:
        asked.append((module, folder))
        return frozenset({"pi"})

    monkeypatch.setattr(stars, "_imported", note)
    return asked


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("helpers", {"os", "x", "f", "w"}),
        ("listed", {"a", "_b"}),
        ("longer", None),
        ("a_number", None),
        ("nothing", None),
        ("a_text", None),
        ("unhashable", None),
        ("dynamic", None),
        ("outer", {"os", "x", "f", "w", "a", "_b", "v"}),
        ("round", None),
        ("package", {"p", "os", "x", "f", "w"}),
        ("package.part", {"p"}),
        ("compiled", None),
        ("broken", None),
        (".helpers", None),
    ],
)
def test_modules_of_the_folder_are_read_and_not_run(
    folder: Path, imported: list[object], module: str, names: set[str] | None
) -> None:
    assert names_of(module, folder) == names
    assert not imported


def test_each_module_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        following = f"from m{number + 1} import *\n"
        (tmp_path / f"m{number}.py").write_text(following * 2 + f"x{number} = 1")
    (tmp_path / "m60.py").write_text("y = 1")
    read: list[str] = []

    def note(folder: Path, name: str) -> str | None:
        read.append(name)
        return text_inside(folder, name)

    monkeypatch.setattr(stars, "text_inside", note)
    assert names_of("m0", tmp_path) == {"y", *(f"x{number}" for number in range(60))}
    assert len(read) == 61


@pytest.mark.parametrize("module", ["math", "numpy", "xml.sax"])
def test_installed_modules_are_imported_without_the_folder(
    folder: Path, imported: list[tuple[str, Path | None]], module: str
) -> None:
    assert names_of(module, folder) == {"pi"}
    assert imported == [(module, None)]
    assert names_of("of_math", folder) == {"pi", "v"}


@pytest.mark.parametrize("module", ["math", "numpy", "helpers", "package", "test.__main__"])
def test_without_imports_nothing_is_imported(folder: Path, imported: list[object], module: str) -> None:
    names_of(module, folder, "none")
    assert not imported


@pytest.mark.parametrize("imports", ["none", "installed", "all"])
def test_a_module_that_is_a_program_is_never_imported(imported: list[object], imports: Imports) -> None:
    assert names_of("test.__main__", None, imports) is None
    assert not imported


def test_modules_of_the_folder_are_imported_if_that_is_asked_for(
    folder: Path, imported: list[tuple[str, Path | None]]
) -> None:
    assert names_of("helpers", folder, "all") == {"pi"}
    assert imported == [("helpers", folder)]


def test_the_process_that_imports_has_no_folder_on_its_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "cmath.py").write_text((folder / "helpers.py").read_text())
    monkeypatch.chdir(folder)
    names = names_of("xml.sax", folder)
    assert names is not None
    assert "ContentHandler" in names
    assert not list(folder.rglob("*.ran"))


def test_an_import_runs_the_modules_of_the_notebooks_folder_only_if_the_person_says_so(folder: Path) -> None:
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": "from helpers import *\nx",
        "outputs": [],
    }
    notebook = {
        "cells": [cell | {"execution_count": None}],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / "a.ipynb").write_text(json.dumps(notebook))
    command = ["import", str(folder / "a.ipynb"), "--target", "bridge", "--check", "--json"]
    for option in ([], ["--no-imports"]):
        told = CliRunner().invoke(main, [*command, *option])
        assert "the import of what is used: x" in told.output, told.output
    assert not list(folder.rglob("*.ran"))
    told = CliRunner().invoke(main, [*command, "--imports"])
    assert "the import of what is used: x" in told.output, told.output
    assert [path.name for path in folder.rglob("*.ran")] == ["helpers.py.ran"]


@pytest.mark.parametrize(
    ("codes", "imported"),
    [
        (["e = 3", "from m import *", "e"], "from m import e"),
        (["from m import *", "pi", "pi = 3", "from m import *", "pi"], "from m import pi"),
        (["import e", "from m import *\nprint(e)"], "from m import e"),
        (["e = 3", "from m import *", "e = 4", "e"], "import m as _m"),
        (["e = 3\nprint(e)", "from m import *", "pi"], "from m import pi"),
        (["from m import *", "e = 4", "e"], "import m as _m"),
        (["from m import e", "from m import *\ne, pi"], "from m import pi"),
    ],
)
def test_a_star_import_binds_again_what_a_cell_above_has_bound_and_one_below_reads(
    codes: list[str], imported: str
) -> None:
    results = stars.expanded(codes, lambda _: frozenset({"e", "pi"}))
    last = [result.code for result in results if "import" in result.code and result.code != "import e"][-1]
    assert last.split("\n")[0] == imported
