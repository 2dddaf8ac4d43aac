"""The text of a marimo file, and what `marimo check` finds in it."""

import ast

import pytest

from marimo_kernel_bridge.marimo_format.writer import ADDED, NewCell, WrittenFile, names_in, write


def written(*cells: NewCell, header: str = "") -> WrittenFile:
    return write(cells, header, {})


def test_a_cell_keeps_its_name_and_its_options() -> None:
    file = written(NewCell("x = 1", "cell 1", "first", {"hide_code": True}))
    assert "@app.cell(hide_code=True)\ndef first():\n    x = 1" in file.text


def test_a_name_that_marimo_reserves_or_python_refuses_is_left_out() -> None:
    for name in ("setup", "not a name", ""):
        assert "@app.cell\ndef _():\n    x = 1" in written(NewCell("x = 1", "cell 1", name)).text


def test_a_header_stands_above_the_file() -> None:
    assert written(NewCell("x = 1", "cell 1"), header="# kept").text.startswith("# kept")


def test_a_file_without_findings_passes() -> None:
    assert written(NewCell("x = 1", "cell 1"), NewCell("x + 1", "cell 2")).passes


def test_a_finding_names_the_cells_by_their_labels_and_fails_the_check() -> None:
    file = written(NewCell("x = 1", "cell 1"), NewCell("x = 2", ADDED))
    assert not file.passes
    assert any(
        "multiple" in finding and finding.endswith("(cell 1, an added cell)") for finding in file.findings
    )


def test_the_names_of_a_cell_are_those_that_marimo_sees() -> None:
    assert names_in("import math\n_own = y\nz = math.pi") == ({"math", "z"}, {"y"})


def test_a_cell_that_does_not_compile_has_no_names() -> None:
    assert names_in("x = = 1") == (frozenset(), frozenset())


EVIL = 'full"); import antigravity #'


@pytest.mark.parametrize("option", [EVIL, "a\nb", [EVIL], {"a": EVIL}, 1.5])
def test_no_setting_of_a_notebook_becomes_code(option: object) -> None:
    """marimo writes texts between quotes as they are, and a notebook's metadata may hold any."""
    names = ("width", "app_title", "css_file", "auto_download", "sql_output", "asdict", "_filename")
    cell = NewCell("x = 1", "cell 1", "class", dict.fromkeys(("hide_code", "disabled", "column"), option))
    for header in (f'"""a"""; {EVIL[8:-2]}', "import antigravity", '"""a""".join(print())'):
        file = write([cell], header, dict.fromkeys(names, option))
        assert file == write([NewCell("x = 1", "cell 1")], "", {})
        assert not any(
            isinstance(one, ast.Import) and one.names[0].name != "marimo" for one in ast.parse(file.text).body
        )


def test_settings_and_comments_of_a_notebook_are_kept() -> None:
    header = '# /// script\n# dependencies = ["marimo"]\n# ///\n"""What it is"""'
    file = write(
        [NewCell("x = 1", "cell 1", None, {"column": 2})], header, {"width": "full", "app_title": "Größe"}
    )
    assert file.text.startswith(header)
    assert 'app = marimo.App(width="full", app_title="Größe")' in file.text
    assert "@app.cell(column=2)" in file.text
