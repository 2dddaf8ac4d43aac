"""What libraries hand out piece by piece, iterators and results of databases, and what cells take out of an object."""

import pytest
from reactive import Reactive, assert_shows_the_same_again_and_again, in_order, prepared

ROWS = "import csv, io\nrows = csv.reader(io.StringIO('a,b\\n1,2\\n3,4'))"
TABLE = "import sqlite3\nconn = sqlite3.connect(':memory:')\ncur = conn.cursor()\ncur.execute('create table t (n)')\nNone"


@pytest.mark.parametrize(
    "codes",
    [
        [f"{ROWS}\nnext(rows)", "list(rows)"],
        [ROWS, "next(rows)", "[row for row in rows]"],
        ["from csv import DictReader\nrows = DictReader(['a', '1', '2'])", "next(rows)", "for row in rows:\n    print(row)"],
        ["import itertools as it\nabc = it.cycle('abc')", "next(abc)", "[next(abc) for _ in 'xy']"],
        ["from itertools import islice\nfew = islice(range(9), 4)", "next(few)", "sum(few)"],
        ["import re\nwords = re.finditer('.a', 'cat hat')", "next(words)[0]", "[word[0] for word in words]"],
        ["import re\nwords = re.compile('.a').finditer('cat hat')\nfirst = next(words)", "[word[0] for word in words]"],
        ["class Source:\n    def stream(self):\n        return iter([1, 2, 3])\nit = Source().stream()", "next(it)", "list(it)"],
        ["import queue\nq = queue.Queue()", "q.put(1)\nq.put(2)", "print(q.get())", "print(q.qsize())"],
        [TABLE, "rows = conn.execute('values (1), (2), (3)')", "rows.fetchone()", "rows.fetchall()"],
    ],
)  # fmt: skip
def test_cells_that_take_from_an_iterator_of_a_library_are_joined_with_its_maker(codes):
    assert_shows_the_same_again_and_again(codes)


def test_what_pandas_reads_in_chunks_is_an_iterator():
    codes = ["import pandas as pd\nparts = pd.read_csv('a.csv', chunksize=2)", "len(next(parts))", "for part in parts:\n    print(part)"]  # fmt: skip
    assert [cell.positions for cell in prepared(codes).cells if cell.positions] == [(1, 2, 3)]


def test_itertools_tee_gives_a_tuple():
    codes = ["import itertools\npair = itertools.tee([1])", "len(pair)", "len(pair)"]
    assert [cell.code for cell in prepared(codes).cells] == codes


def test_a_cell_that_fetches_is_joined_with_the_one_that_executes_and_runs_after_those_above():
    codes = [
        TABLE,
        "n = 3\ncur.execute('insert into t values (?)', (n,))\nNone",
        "cur.execute('select n from t')\nNone",
        "cur.fetchall()",
        "cur.execute('select count(*) from t')\nNone",
        "cur.fetchone()",
    ]
    cells = prepared(codes).cells
    assert [cell.positions for cell in cells if cell.positions][2:] == [(3, 4), (5, 6)]
    reactive = Reactive([cell.code for cell in cells])
    shown = reactive.run()
    assert list(shown.values())[-2:] == in_order(codes)[3::2]
    maker, *others = (number for number, cell in enumerate(cells) if cell.positions)
    assert reactive.downstream(others[0]) >= set(others)
    for number in others[1:]:
        assert reactive.run([number])[number] == shown[number]
    assert reactive.downstream(maker) >= set(others)


@pytest.mark.parametrize(
    "codes",
    [
        ["import pandas as pd\ndf = pd.DataFrame({'a': [1], 'b': [2]})", "b = df.pop('b')\nprint(b.sum())", "print(df)"],
        ["import json\nd = json.loads('{\"a\": 1, \"b\": 2}')", "b = d.pop('b')\nb", "d"],
        ["stack = [1, 2, 3]", "top = stack.pop()\ntop", "last = stack.pop()\nlast", "stack"],
    ],
)  # fmt: skip
def test_what_a_cell_takes_out_and_keeps_is_gone_for_the_cells_below_alone(codes):
    assert_shows_the_same_again_and_again(codes)


def test_cells_below_run_after_one_that_takes_out_of_an_object_of_a_library():
    codes = ["import library\nbox = library.open_box()", "top = box.pop()\ntop", "box.size"]
    assert [cell.code for cell in prepared(codes).cells][1:] == [
        "box_1 = box\ntop = box_1.pop()\ntop",
        "box_1.size",
    ]
