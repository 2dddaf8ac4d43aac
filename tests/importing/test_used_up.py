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


SAVED = "import os\nsaved = []\ndef save(x):\n    saved.append(x)\n    return x\ndef numbers(n):\n    for x in range(n):\n        yield x * k\nk = 2"


@pytest.mark.parametrize(
    "codes",
    [
        [SAVED, "m = map(save, range(3))", "print(saved)", "print(list(m))", "print(saved)"],
        [SAVED, "m = map(saved.append, range(3))", "print(saved)", "print(len(list(m)))", "print(saved)"],
        [SAVED, "g = (saved.append(x) for x in range(3))", "print(saved)", "print(len(list(g)), saved)"],
        ["k = 2", "g = (x * k for x in range(3))", "k = 3", "print(list(g))", "print(k)"],
        ["k = 2", "g = filter(lambda x: x > k, range(5))", "k = 3", "print(list(g))"],
        [SAVED, "g = numbers(3)", "k = 3", "print(list(g))", "print(list(numbers(2)))"],
        [SAVED, "g = (y + k for y in numbers(3))", "k = 3\nprint(k)", "print(next(g))", "k = 4", "print(list(g))"],
    ],
)  # fmt: skip
def test_what_an_iterator_does_happens_where_it_is_advanced(codes):
    assert_shows_the_same_again_and_again(codes)


WRITTEN = "def write(text, mode='w'):\n    with open('a.txt', mode) as file:\n        file.write(text)\ndef lines():\n    with open('a.txt') as file:\n        yield from file\nimport os\nwrite('1')"


@pytest.mark.parametrize(
    "codes",
    [
        ["g = lines()", "write('2')", "print(list(g))"],
        ["g = map(lambda path: open(path).read(), ['a.txt'])", "write('2')", "print(list(g))"],
        ["g = (write(x, 'a') for x in 'xyz')", "print(open('a.txt').read())", "print(len(list(g)))", "print(open('a.txt').read())"],
        ["from pathlib import Path\ng = (line.strip() for line in open('a.txt'))", "_ = Path('a.txt').write_text('3')", "print(list(g))"],
        ["g = map(lambda x: write(x, 'a'), 'xy')", "print(os.path.getsize('a.txt'))", "print(len(list(g)), os.path.getsize('a.txt'))"],
    ],
)  # fmt: skip
def test_an_iterator_uses_files_in_the_order_of_the_notebook(codes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = in_order([WRITTEN, *codes])
    cells = prepared([WRITTEN, *codes]).cells
    shown = Reactive([cell.code for cell in cells]).run()
    for number, cell in enumerate(cells):
        if cell.positions:
            assert shown[number] == "".join(expected[at - 1] for at in cell.positions), cell.code


def test_cells_that_use_other_files_stay_out_of_the_way():
    codes = ["rows = open('a.csv')", "with open('b.csv', 'w') as file:\n    file.write('1')", "next(rows)", "f = open('c.csv')"]  # fmt: skip
    assert [cell.positions for cell in prepared(codes).cells if cell.positions] == [(1, 3), (2,), (4,)]


@pytest.mark.parametrize("call", ["Path('.').rglob('*.py')", "Path('.').glob('*.py')"])
def test_the_files_that_a_path_finds_are_an_iterator(call):
    codes = [f"from pathlib import Path\nfiles = {call}", "len(list(files))", "len(list(files))"]
    assert [cell.positions for cell in prepared(codes).cells if cell.positions] == [(1, 2, 3)]


def test_the_files_that_glob_lists_are_no_iterator():
    codes = ["import glob\nfiles = glob.glob('*.py')", "len(files)", "files[:1]"]
    assert [cell.code for cell in prepared(codes).cells] == codes
