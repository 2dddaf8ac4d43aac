"""Files by path: what one cell writes and another reads makes the reader depend on the writer."""

import builtins
import threading
from pathlib import Path

import pytest

from marimo_kernel_bridge.kernel.versions import file_mentions
from tests.unit.kernel.notebook_in_memory import FrontEnd

Notebook = tuple[tuple[str, ...], tuple[str, ...], str]

WRITTEN: dict[str, Notebook] = {
    "text": (
        ("open('t.txt', 'w').write('a');", "print(open('t.txt').read())"),
        ("0: open('t.txt', 'w').write('b');",),
        "b",
    ),
    "a path in a name": (
        (
            "from pathlib import Path\nfolder = Path('out')\nfolder.mkdir(exist_ok=True)",
            "(folder / 't.txt').write_text('a');",
            "print((folder / 't.txt').read_text())",
        ),
        ("1: (folder / 't.txt').write_text('b');",),
        "b",
    ),
    "a path that is made at run time": (
        (
            "for n in range(2):\n    with open(f'part{n}.txt', 'w') as f: print(n, file=f)",
            "import glob\nprint([open(p).read().strip() for p in sorted(glob.glob('part*.txt'))])",
        ),
        ("0: for n in range(2):\n    with open(f'part{n}.txt', 'w') as f: print(n * 7, file=f)",),
        "['0', '7']",
    ),
    "a table": (
        (
            "import pandas as pd",
            "pd.DataFrame({'a': [1]}).to_csv('t.csv', index=False)",
            "print(pd.read_csv('t.csv').a.sum())",
        ),
        ("1: pd.DataFrame({'a': [5]}).to_csv('t.csv', index=False)",),
        "5",
    ),
    "a file of a library that opens it by itself": (
        (
            "import polars as pl",
            "pl.DataFrame({'a': [1]}).write_parquet('t.parquet')",
            "print(pl.read_parquet('t.parquet')['a'].sum())",
        ),
        ("1: pl.DataFrame({'a': [5, 6]}).write_parquet('t.parquet')",),
        "11",
    ),
    "an array": (
        ("import numpy as np", "np.save('a.npy', np.arange(3))", "print(np.load('a.npy').sum())"),
        ("1: np.save('a.npy', np.arange(5))",),
        "10",
    ),
    "a pickled object through a function": (
        (
            "import pickle\ndef keep(x):\n    with open('x.pkl', 'wb') as f: pickle.dump(x, f)",
            "keep(1)",
            "print(pickle.load(open('x.pkl', 'rb')))",
        ),
        ("1: keep(2)",),
        "2",
    ),
    "a database": (
        (
            "import sqlite3\ndef run(sql):\n    with sqlite3.connect('d.db') as c: return c.execute(sql).fetchall()",
            "run('drop table if exists t'); run('create table t as select 1 as a');",
            "print(run('select a from t'))",
        ),
        ("1: run('drop table if exists t'); run('create table t as select 2 as a');",),
        "[(2,)]",
    ),
    "a file that is moved": (
        (
            "import os\nopen('a.tmp', 'w').write('a');",
            "os.replace('a.tmp', 'a.txt')",
            "print(open('a.txt').read())",
        ),
        ("0: import os\nopen('a.tmp', 'w').write('b');",),
        "b",
    ),
    "a file that is copied": (
        (
            "import shutil",
            "open('a.txt', 'w').write('a');",
            "shutil.copy('a.txt', 'b.txt');",
            "print(open('b.txt').read())",
        ),
        ("1: open('a.txt', 'w').write('b');",),
        "b",
    ),
    "a magic": (
        ("%%writefile w.txt\na", "print(open('w.txt').read().strip())"),
        ("0: %%writefile w.txt\nb",),
        "b",
    ),
    "a shell line": (
        ("!echo a > s.txt", "print(open('s.txt').read().strip())"),
        ("0: !echo bb > s.txt",),
        "bb",
    ),
    "a folder that is listed": (
        ("import os", "os.makedirs('top/a', exist_ok=True)", "print(sorted(os.listdir('top')))"),
        ("1: os.makedirs('top/b', exist_ok=True)",),
        "['a', 'b']",
    ),
    "files found by a pattern": (
        (
            "from pathlib import Path",
            "Path('a.txt').write_text('a');",
            "print(sorted(path.name for path in Path().glob('*.txt')))",
        ),
        ("1: Path('b.txt').write_text('b');",),
        "['a.txt', 'b.txt']",
    ),
    "a folder without a file": (
        ("import os", "open('a.txt', 'w').close()", "print(sorted(os.listdir()))"),
        ("1: os.remove('a.txt')",),
        "['profile']",
    ),
    "whether there is a file": (
        ("import os", "open('a.txt', 'w').close()", "print(os.path.exists('b.txt'))"),
        ("1: open('b.txt', 'w').close()",),
        "True",
    ),
    "a folder that gets another name": (
        (
            "import os\nnew = 'b'",
            "os.mkdir('a')",
            "os.rename('a', new)",
            "print(sorted(name for name in os.listdir() if name in 'abc'))",
        ),
        ("0: import os\nnew = 'c'",),
        "['b', 'c']",
    ),
    "a log to which the first of two cells adds": (
        (
            "with open('l.txt', 'a') as f: print('a', file=f)",
            "with open('l.txt', 'a') as f: print('b', file=f)",
            "print(open('l.txt').read().split())",
        ),
        ("0: with open('l.txt', 'a') as f: print('c', file=f)",),
        "['a', 'b', 'c']",
    ),
    "a file that a cell begins after another has added to it": (
        ("x = 1", "with open('l.txt', 'a') as f: f.write('b');", "print(open('l.txt').read())"),
        ("0: open('l.txt', 'w').write('A');",),
        "Ab",
    ),
    "a file that is written and appended to": (
        (
            "open('l.txt', 'w').write('a');",
            "with open('l.txt', 'a') as f: f.write('b');",
            "print(open('l.txt').read())",
        ),
        ("0: open('l.txt', 'w').write('A');",),
        "Ab",
    ),
}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("notebook", WRITTEN.values(), ids=WRITTEN)
def test_the_readers_of_a_file_run_after_the_cell_that_writes_it(lab: FrontEnd, notebook: Notebook) -> None:
    cells, steps, expected = notebook
    lab.run_each(cells, steps)
    assert lab.text(str(len(cells) - 1)) == expected


def test_readers_of_readers_run_in_order_and_once(lab: FrontEnd) -> None:
    cells = (
        "runs = []",
        "open('a.txt', 'w').write('1');\nruns.append(1)",
        "open('b.txt', 'w').write(open('a.txt').read() * 2);\nruns.append(2)",
        "print(open('b.txt').read(), open('a.txt').read())",
    )
    lab.run_each(cells, ("1: open('a.txt', 'w').write('7');\nruns.append(1)",))
    assert lab.text("3") == "77 7"


@pytest.mark.parametrize("leave", ["os.replace('a.txt', 'b.txt')", "os.remove('a.txt')"])
def test_a_file_that_is_gone_is_written_again_for_the_cell_that_needs_it(lab: FrontEnd, leave: str) -> None:
    lab.run_each(
        ("import os", "open('a.txt', 'w').write('a');", "print(open('a.txt').read())", leave), ("3", "2")
    )
    assert lab.text("2") == "a"
    assert not any(cell.stale for cell in lab.cells().values())


@pytest.mark.parametrize("again", ["0", "2"])
@pytest.mark.parametrize(
    "shows", ["sorted(os.listdir('d'))", "sorted(p.name for p in pathlib.Path('d').glob('*'))"]
)
def test_the_files_of_a_folder_that_a_cell_above_empties_are_written_again_for_who_lists_it(
    lab: FrontEnd, tmp_path: Path, shows: str, again: str
) -> None:
    cells = (
        "import os, pathlib, shutil\nshutil.rmtree('d', ignore_errors=True)\nos.mkdir('d')",
        "open('d/a.txt', 'w').write('a');",
        f"print({shows})",
    )
    lab.run_each(cells)
    if again == "2":
        (tmp_path / "d" / "a.txt").unlink()
    lab.run(again, cells[int(again)])
    lab.sync()
    assert (lab.text("2"), lab.cells()["2"].stale) == ("['a.txt']", False)


@pytest.mark.parametrize(
    "remove",
    [
        "import shutil; shutil.rmtree('d'); os.mkdir('d')",
        "!rm d/*",
        "os.remove('d/a.txt')",
        "os.system('rm d/*');",
    ],
)
def test_what_a_cell_below_removes_from_a_folder_is_not_written_again_for_who_lists_it(
    lab: FrontEnd, tmp_path: Path, remove: str
) -> None:
    lists = "print(os.listdir('d'))"
    cells = ("import os\nos.mkdir('d')", "open('d/a.txt', 'w').write('a');", remove, lists)
    lab.run_each(cells, ("3",))
    assert (lab.text("3"), lab.cells()["3"].stale) == ("[]", False)
    assert not (tmp_path / "d" / "a.txt").exists()


def test_a_file_that_is_gone_is_not_written_again_where_that_overwrites_another(
    lab: FrontEnd, tmp_path: Path
) -> None:
    cells = ("for name in 'ab': open(name + '.txt', 'w').write(name)", "print(open('a.txt').read())")
    lab.run_each(cells)
    (tmp_path / "a.txt").unlink()
    (tmp_path / "b.txt").write_text("by hand")
    assert not lab.run("1", cells[1]).ok
    assert (tmp_path / "b.txt").read_text() == "by hand"


def test_cells_that_make_files_in_one_folder_do_not_run_each_other(lab: FrontEnd) -> None:
    cells = (
        "open('a.txt', 'w').close()",
        "open('b.txt', 'w').close()",
        "import os\nprint(len(os.listdir()))",
    )
    lab.run_each(cells)
    first, second, lists = (lab.cells()[name] for name in "012")
    assert (first.upstream, second.upstream) == ((), ())
    assert set(lists.upstream) == {first.cell_id, second.cell_id}


def test_the_import_of_a_module_lists_no_folder(
    lab: FrontEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside_the_notebook.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    lab.run_each(("open('a.txt', 'w').close()", "import beside_the_notebook"))
    assert lab.cells()["1"].upstream == ()


def test_a_file_that_other_programs_write_is_nobodys(lab: FrontEnd, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("a")
    lab.run_each(("x = 1", "print(open('data.txt').read())"))
    (tmp_path / "data.txt").write_text("b")
    lab.run_each(("x = 2",))
    assert lab.text("1") == "a"
    assert not any(cell.stale or cell.upstream for cell in lab.cells().values())


def test_a_cell_that_reads_and_writes_one_file_does_not_run_in_a_loop(lab: FrontEnd) -> None:
    append = "with open('log.txt', 'a+') as f:\n    f.write('x'); f.seek(0); print(f.read())"
    lab.run_each((append, "print(len(open('log.txt').read()))"), ("0",))
    assert (lab.text("0"), lab.text("1")) == ("xx", "2")
    assert not any(cell.stale for cell in lab.cells().values())


@pytest.mark.parametrize("again", ["1", "2", "21"])
def test_running_a_reader_again_writes_no_file(lab: FrontEnd, tmp_path: Path, again: str) -> None:
    cells = (
        "open('a.txt', 'w').write('a');",
        "print(open('a.txt').read())",
        "with open('a.txt') as f: print(f.read())",
    )
    lab.run_each(cells)
    (tmp_path / "a.txt").write_text("by hand")
    for cell in again:
        assert lab.run(cell, cells[int(cell)]).ok
        assert lab.text(cell) == "by hand"
    assert (tmp_path / "a.txt").read_text() == "by hand"


@pytest.mark.parametrize("step", ["0", "0: open('a.txt', 'w').write('c');", "1"])
def test_a_file_that_two_cells_write_holds_what_the_later_one_writes(
    lab: FrontEnd, tmp_path: Path, step: str
) -> None:
    cells = (
        "open('a.txt', 'w').write('a');",
        "open('a.txt', 'w').write('b');",
        "print(open('a.txt').read())",
    )
    lab.run_each(cells, (step,))
    assert lab.text("2") == (tmp_path / "a.txt").read_text() == "b"


def test_running_a_reader_again_writes_nothing_that_comes_from_what_is_not_right(
    lab: FrontEnd, tmp_path: Path
) -> None:
    cells = (
        "open('n.txt', 'w').write('1');",
        "n = open('n.txt').read()",
        "n += '2'",
        "open('n.txt', 'w').write(n);",
        "print(open('n.txt').read())",
    )
    lab.run_each(cells, ("1", "4"))  # the second cell has read what the fourth wrote
    assert Path("n.txt").read_text(encoding="utf-8") == "12"
    assert (lab.text("4"), lab.cells()["4"].stale) == ("12", True)
    lab.run("0", cells[0])
    lab.sync()
    assert (lab.text("4"), lab.cells()["4"].stale) == ("12", False)


def test_a_reader_above_the_writer_does_not_depend_on_it(lab: FrontEnd, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    lab.run_each(("print(open('a.txt').read())", "open('a.txt', 'w').write('new');"), ("1",))
    assert lab.text("0") == "old"


@pytest.mark.parametrize(
    ("read", "write"),
    [
        ("print(open('a.txt').read())", "open('a.txt', 'w').write('b');"),
        ("import os\nprint(sorted(os.listdir('out')))", "open('out/b.txt', 'w').close()"),
        ("import os\nprint(os.path.exists('out/b.txt'))", "open('out/b.txt', 'w').close()"),
        ("from pathlib import Path\nprint(len(list(Path('out').iterdir())))", "from os import remove\nremove('out/a.txt')"),
    ],
)  # fmt: skip
def test_a_reader_that_runs_again_after_a_later_writer_is_marked_stale(
    lab: FrontEnd, read: str, write: str
) -> None:
    begin = "import os\nos.makedirs('out', exist_ok=True)\nfor n in ('a.txt', 'out/a.txt'): open(n, 'w').write('a')"
    cells = (begin, read, write)
    lab.run_each(cells)
    assert not any(cell.stale for cell in lab.cells().values())
    before = lab.text("1")
    lab.run("1", read)
    lab.sync()
    assert lab.text("1") != before
    assert {name: cell.stale for name, cell in lab.cells().items()} == {"0": False, "1": True, "2": False}
    assert not lab.kernel.kernel.status.settling
    lab.run("0", begin)  # writes a.txt
    lab.sync()
    assert (lab.text("1") == before) == (not lab.cells()["1"].stale) == ("b.txt" not in write)


@pytest.mark.parametrize(
    "path",
    [
        "path = 'a.txt'",
        "from pathlib import Path\npath = Path('.') / 'a.txt'",
        "import os\npath = os.path.join('.', 'a.txt')",
    ],
)
def test_a_cell_that_only_makes_a_path_is_not_marked_and_its_dependents_run(lab: FrontEnd, path: str) -> None:
    for cell, code in {
        "0": path,
        "1": "open(path, 'w').write('a');",
        "2": "print(open(path).read())",
    }.items():
        lab.run(cell, code)
    lab.sync()
    lab.run("0", path)
    lab.sync()
    assert not any(cell.stale for cell in lab.cells().values())
    lab.run("0", path.replace("a.txt", "b.txt"))
    lab.sync()
    assert (lab.text("2"), Path("b.txt").read_text()) == ("a", "a")


def test_files_of_tasks_of_other_cells_do_not_count(lab: FrontEnd) -> None:
    cells = (
        "import asyncio\nready = asyncio.Event()",
        "async def later():\n    await ready.wait()\n    open('t.txt', 'w').write('a')",
        "task = asyncio.create_task(later());",
        "ready.set()\nawait asyncio.sleep(0.001)\nawait asyncio.sleep(0.001)",
        "print(open('t.txt').read())",
    )
    lab.run_each(cells)
    assert lab.text("4") == "a"
    assert not any("t.txt" in cell.defines for cell in lab.cells().values())


def test_files_show_as_names_of_the_cells_that_write_and_read_them(lab: FrontEnd) -> None:
    lab.run_each(("open('out.csv', 'w').write('a');", "open('out.csv').read();"))
    cells = lab.cells()
    assert (cells["0"].defines, cells["1"].uses) == (("out.csv",), ("out.csv",))
    assert cells["1"].upstream == (cells["0"].cell_id,)


def test_a_temporary_file_of_one_cell_does_not_count(lab: FrontEnd) -> None:
    code = "import os\nopen('tmp.txt', 'w').write('a');\nprint(open('tmp.txt').read())\nos.remove('tmp.txt')"
    lab.run_each((code,))
    assert lab.cells()["0"].defines == ("os",)


def test_a_cell_that_uses_too_many_files_makes_no_edges(lab: FrontEnd) -> None:
    lab.run_each(("for n in range(60): open(f'{n}.txt', 'w').write('a')", "print(open('3.txt').read())"))
    assert lab.cells()["0"].defines == ("n",)


def test_cells_are_listed_when_the_working_directory_was_deleted(lab: FrontEnd, tmp_path: Path) -> None:
    leave = "import os, tempfile\nfolder = tempfile.mkdtemp()\nos.chdir(folder)\nos.rmdir(folder)"
    lab.run_each(("open('data.csv', 'w').write('a');", leave))
    assert lab.cells()["0"].defines == (str(tmp_path / "data.csv"),)


@pytest.mark.parametrize(
    "change",
    [
        "os.remove('data.csv', dir_fd=folder)",
        "os.unlink('data.csv', dir_fd=folder)",
        "os.rename('data.csv', 'data2.csv', src_dir_fd=folder, dst_dir_fd=folder)",
        "os.replace('data.csv', 'data2.csv', src_dir_fd=folder, dst_dir_fd=folder)",
        "os.link('data.csv', 'data2.csv', src_dir_fd=folder, dst_dir_fd=folder)",
        "os.symlink('data.csv', 'data2.csv', dir_fd=folder)",
        "shutil.rmtree('other')",
    ],
)
def test_files_relative_to_a_descriptor_are_not_those_of_the_working_directory(
    lab: FrontEnd, change: str
) -> None:
    begin = "import os, shutil\nos.mkdir('other')\nopen('other/data.csv', 'w').write('b')\nfolder = os.open('other', os.O_RDONLY)"
    cells = ("open('data.csv', 'w').write('a'); open('data2.csv', 'w').write('a');", begin, f"{change};")
    lab.run_each(cells)
    assert not {"data.csv", "data2.csv"} & set(lab.cells()["2"].defines)


def test_a_file_that_leaves_for_a_folder_of_a_descriptor_is_written_where_it_was(lab: FrontEnd) -> None:
    begin = "import os\nos.mkdir('other')\nfolder = os.open('other', os.O_RDONLY)"
    move = "os.rename('data.csv', 'data2.csv', dst_dir_fd=folder)"
    lab.run_each((begin, "open('data.csv', 'w').write('a');", move))
    assert {"data.csv", "data2.csv"} & set(lab.cells()["2"].defines) == {"data.csv"}


def test_code_may_audit_events_with_any_arguments(lab: FrontEnd) -> None:
    for event in (
        "open",
        "os.rename",
        "os.link",
        "os.symlink",
        "os.remove",
        "os.truncate",
        "sqlite3.connect",
    ):
        for arguments in ("", ", 'x'", ", 1, 2, 3, 4, 5, 6", ", object(), b'\\0', []"):
            audit = f"import sys\nsys.audit({event!r}{arguments})"
            lab.run_each(("open('t.txt', 'w').write('a');", audit))


@pytest.mark.parametrize("base", ["pathlib.PosixPath", "pathlib.PurePosixPath", "str", "os.PathLike"])
def test_paths_of_classes_of_the_user_run_no_code_of_theirs(lab: FrontEnd, base: str) -> None:
    begin = f"""import os, pathlib
calls = []
class Mine({base}):
    def __fspath__(self): calls.append(1); raise OSError
    __str__ = startswith = __fspath__
mine = Mine.__new__(Mine, 'a.txt') if {base} is not os.PathLike else Mine()"""
    lab.run_each((begin, "mine; open('b.txt', 'w').close()", "print(calls)"))
    assert lab.text("2") == "[]"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a folder of the system that may be written")
def test_a_folder_of_the_system_counts_while_it_is_the_working_directory(
    lab: FrontEnd, tmp_path: Path
) -> None:
    begin = "import os, tempfile\nopen('a.txt', 'w').close()\nfolder = tempfile.TemporaryDirectory(dir='/dev/shm')"
    write = "os.chdir(folder.name); open('b.txt', 'w').write('a')"
    lab.run_each((begin, write, f"folder.cleanup(); os.chdir({str(tmp_path)!r})"))
    assert any(name.endswith("b.txt") for name in lab.cells()["1"].defines)


@pytest.mark.parametrize(
    "cell",
    [
        "other(); 'data.csv';",
        "other(); name;",
        "other(); print('data.csv' != 'saved/to_csv.csv')",
        "other(); print(5 % len('data.csv'))",
    ],
)
def test_a_cell_that_cannot_write_does_not_write_what_others_write_meanwhile(
    lab: FrontEnd, tmp_path: Path, cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other() -> None:
        thread = threading.Thread(target=(tmp_path / "data.csv").write_text, args=["b, c"])
        thread.start()
        thread.join()

    monkeypatch.setattr(builtins, "other", other, raising=False)
    (tmp_path / "data.csv").write_text("a")
    lab.run_each(("name = 'data.csv'", cell, "print(open('data.csv').read())"))
    assert "data.csv" not in lab.cells()["1"].defines
    assert lab.cells()["1"].cell_id not in lab.cells()["2"].upstream


def test_a_reader_right_after_the_writer_does_not_write(lab: FrontEnd) -> None:
    cells = (
        "import polars as pl, sqlite3",
        "pl.DataFrame({'a': [1]}).write_parquet('t.parquet'); sqlite3.connect('d.db').execute('create table t (a)');",
        "first = 't.parquet'; pl.read_parquet(first);",
        "second = 'd.' + 'db'; sqlite3.connect(second).execute('select * from t');",
    )
    lab.run_each(cells)
    assert (lab.cells()["2"].defines, lab.cells()["3"].defines) == (("first",), ("second",))
    assert {"t.parquet", "d.db"} <= set(lab.cells()["1"].defines)


def test_a_function_that_the_cell_calls_may_write_without_open(lab: FrontEnd) -> None:
    begin = "import polars as pl\ndef put(n, to):\n    (lambda: pl.DataFrame({'a': [n]}).write_parquet(to))()"
    lab.run_each(
        (begin, "put(1, 't.parquet')", "print(pl.read_parquet('t.parquet')['a'][0])"),
        ("1: put(2, 't.parquet')",),
    )
    assert lab.text("2") == "2"


@pytest.mark.parametrize(
    "code",
    ["import os, sys, shutil", "%matplotlib inline\nimport matplotlib.pyplot as plt", "a = 7 % 3", "a != 2", "print('50 %!')",
     "profile = pathology(file_count)", "df = pd.to_datetime(df.a)", "%%time\nfit(x)", "f'{a:.2f}'", "reopened, saving"],
)  # fmt: skip
def test_cells_that_touch_no_file_need_no_hook(code: str) -> None:
    assert not file_mentions.needs_hook(code)


@pytest.mark.parametrize("code", ["!echo a > b", "x = !cat a", "  %run a", "%%writefile a\nb", "a = %sx ls", "open(a)", "df.to_csv(a)",
     "np.save(a, b)", "plt.savefig(a)", "joblib.dump(a, b)", "a.write_text(b)", "os.rename(a, b)", "sqlite3.connect(a)", "pd.read_csv(a)",
     "load('a.npy')", "shutil.move(a, b)", "from os import remove", "xr.open_dataset(a)", "model.save_pretrained(a)"])  # fmt: skip
def test_cells_that_use_files_need_the_hook(code: str) -> None:
    assert file_mentions.needs_hook(code)


def test_cells_that_add_to_a_log_do_not_run_each_other(lab: FrontEnd) -> None:
    def adding(text: str) -> str:
        return f"x = {text!r}\nwith open('runs.log', 'a') as log: print({text!r}, file=log)"

    cells = {name: adding(name) for name in "abc"} | {"reader": "print(open('runs.log').read().split())"}
    lab.run_all(cells)
    assert lab.text("reader") == "['a', 'b', 'c']"
    lab.run("a", adding("d"))
    lab.run("c", adding("e"))
    lab.sync()
    assert lab.text("reader") == "['a', 'b', 'c', 'd', 'e']"
    assert [name for name, cell in lab.cells().items() if cell.stale] == [
        "reader"
    ]  # as a fresh log has three lines
