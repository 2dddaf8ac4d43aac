"""What the table of magics says of lines and scripts."""

import pytest

from marimo_kernel_bridge.analysis.magics import MAGICS, names_of_script, split_options


@pytest.mark.parametrize(
    ("line", "valued", "options", "rest"),
    [
        ("f(x)", "n", {}, "f(x)"),
        ("-n 10 -r3 f(x)", "nr", {"n": ["10"], "r": ["3"]}, "f(x)"),
        ("-q f(x)", "n", {"q": [""]}, "f(x)"),
        ("--no-raise-error x", "", {"no-raise-error": [""]}, "x"),
        ("-1 * x", "", {}, "-1 * x"),
    ],
)
def test_options_are_split_off_the_start_of_a_line(
    line: str, valued: str, options: dict[str, list[str]], rest: str
) -> None:
    assert split_options(line, valued) == (options, rest)


@pytest.mark.parametrize(
    ("name", "line", "bound"),
    [
        ("capture", "--no-stderr out more", ["out"]),
        ("sql", "rows << select 1", ["rows"]),
        ("sql", "rows = << select 1", ["rows"]),
        ("bash", "--out text --err=problems", ["text", "problems"]),
        ("sx", "--out files", ["files"]),
        ("macro", "m 1-3", ["m"]),
        ("sc", "files = ls", ["files"]),
        ("time", "x = 1", []),
    ],
)
def test_names_that_a_line_binds(name: str, line: str, bound: list[str]) -> None:
    assert MAGICS[name].bound(line) == bound


def test_a_script_binds_some_names_for_certain_and_others_perhaps() -> None:
    names = names_of_script("import os\nif os.name:\n    x = 1\ndef f():\n    y = 1")
    assert names.certain == {"os", "f"}
    assert names.possible == {"os", "f", "x"}


def test_what_is_not_python_binds_nothing() -> None:
    assert names_of_script("x = ").possible == frozenset()
