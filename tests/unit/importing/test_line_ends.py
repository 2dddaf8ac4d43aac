"""Line ends are Python's: a carriage return ends a line, and no other character but a line feed does."""

import ast

import pytest

from marimo_kernel_bridge.importing import to_marimo
from marimo_kernel_bridge.marimo_format.line_breaks import with_escaped_breaks
from marimo_kernel_bridge.notebooks.ipynb import CellKind, Conversion, Notebook, NotebookCell

BREAKS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"


def imported(*sources: str, kind: CellKind = "code") -> Conversion:
    cells = [
        NotebookCell(number, f"c{number}", kind, source) for number, source in enumerate(sources, start=1)
    ]
    return to_marimo.convert(Notebook(tuple(cells), {}), imports="none")


def strings_in(text: str) -> list[str]:
    constants = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    return [value for value in constants if isinstance(value, str)]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("x = 1\rprint(x)", "x = 1\nprint(x)"),
        ("x = 1\r\nprint(x)\r", "x = 1\nprint(x)"),
        ("# a comment\rx = 1", "# a comment\nx = 1"),
        ("x = '''a\rb'''", "x = '''a\nb'''"),
        ("if x:\r    y = 1\r\relse:\r    y = 2", "if x:\n    y = 1\n\nelse:\n    y = 2"),
        ("\f\nx = 1", "x = 1"),
        ("if x:\n\f    y = 1", "if x:\n    y = 1"),
        ("# a\u2028b\nx = 1", "# a b\nx = 1"),
    ],
)
def test_a_line_of_code_ends_where_python_ends_it(source: str, code: str) -> None:
    assert imported(source).codes == (code,)


def test_a_carriage_return_ends_the_line_of_a_magic() -> None:
    conversion = imported("%%writefile a.txt\rone\r\ntwo", "%env A=1\r%env B=2")
    assert "'one" not in conversion.text
    assert "one\n" in conversion.codes[1]
    assert conversion.complete
    assert "os.environ['B']" in conversion.codes[2]


@pytest.mark.parametrize("character", BREAKS)
@pytest.mark.parametrize(
    "literal", ["'a{}b'", "'''a{}\n  b'''", "r'a{}b'", "'\\\\{}b'", "f'a{}{{1}}'", "b'a' + 'a{}b'.encode()"]
)
def test_a_character_in_a_string_that_ends_no_line_stays(literal: str, character: str) -> None:
    code = f"def f():\n    return {literal.replace('{}', character).replace('{{1}}', '{1}')}"
    written = with_escaped_breaks(code)
    assert ast.dump(ast.parse(written)) == ast.dump(ast.parse(code))
    assert character not in written
    values = strings_in(imported(code).text)
    assert [value for value in strings_in(code) if value not in values] == []


@pytest.mark.parametrize("character", ["\r", "\r\n", *BREAKS])
def test_markdown_and_raw_cells_may_have_any_character(character: str) -> None:
    for kind in ("markdown", "raw"):
        conversion = imported(f"one{character}two", kind=kind)
        assert conversion.check_passes
        assert "one" in conversion.text
        assert "two" in conversion.text
