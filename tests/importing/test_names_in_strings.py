"""Names that only strings read keep their names, and the readers run after what they read."""

import pytest
from reactive import assert_shows_the_same_again_and_again, prepared

SHOW = "def show(*texts):\n    for text in texts:\n        print(text, eval(text))"
TABLES = "class Tables:\n    def __init__(self, *names): self.names = names\n    def all(self): return [eval(name) for name in self.names]"


@pytest.mark.parametrize(
    "codes",
    [
        [SHOW, "low = 1\nhigh = 5\nshow('low', 'high')", "low = 2\nshow('low + high')"],
        [SHOW, "x = 1", "show('x')", "x = 2", "show('x')"],
        ["a = 1", "print(eval('a + 1'))", "a = 2", "print(eval('a'))"],
        ["a = 1\nq = 'a * 2'", "print(eval(q))", "a = 5", "print(eval(q), a)"],
        [
            TABLES,
            "a = 1; b = 2\nprint(Tables('a', 'b').all())",
            "a = 3; b = 4\nprint(Tables('a', 'b').all())",
        ],
        ["v = 1", "print(globals()['v'])", "v = 2\nprint(v)", "print(globals()['v'])"],
        [
            "n = 1",
            "print('{n}!'.format(**globals()))",
            "n = 2",
            "print('{n}!'.format(**locals()))",
            "print('%(n)d' % vars())",
        ],
        [
            "text = '{n}!'\nn = 1",
            "print(text.format_map(globals()))",
            "n = 2",
            "print(text.format_map(globals()))",
        ],
        [
            "from string import Template\nn = 1",
            "print(Template('${n} $n').substitute(globals()))",
            "n = 2\nprint(n)",
        ],
        ["n = 1", "def f(): return '{n}'.format(**globals())", "print(f())", "n = 2", "print(f())"],
        ["rows = [1]", "rows.append(2)", "print(eval('len(rows)'))"],
        ["rows = [1]", "rows = rows + [2]", "print(eval(f'{1} + len(rows)'))"],
    ],
)
def test_a_name_that_a_string_reads_keeps_its_name(codes):
    assert_shows_the_same_again_and_again(codes)


def test_what_a_function_fills_in_of_its_own_variables_is_no_read():
    codes = ["def f(n):\n    return '{n}'.format(**locals())\nn = 1", "print(f(2))", "n = 2\nprint(n)"]
    assert [cell.positions for cell in prepared(codes).cells] == [(1,), (2,), (3,)]


def test_a_cell_mentions_what_its_strings_read():
    cells = prepared(["a = 1\nb = 2", "print(eval('a + b'))"]).cells
    assert cells[1].code.startswith("a, b  # read in strings\n")


def test_a_table_that_sql_names_keeps_its_name():
    codes = [
        "import duckdb\ndf = [1]",
        "duckdb.sql('select * from df')",
        "df = [2]",
        "duckdb.sql('select * from df')",
    ]
    (_, cell) = [
        cell.code for cell in prepared(codes).cells if "duckdb.sql" in cell.code or "import" in cell.code
    ]
    assert "df_1" not in cell


@pytest.mark.parametrize("text", ["x > 0", "select x"])
def test_a_string_that_nobody_evaluates_changes_nothing(text):
    cells = prepared(["x = 1\nx", f"x = '{text}'\nx", "eval('1')", "frame.query('x > 0')"]).cells
    assert [cell.positions for cell in cells] == [(1,), (2,), (3,), (4,)]
