"""Cells that act outside of the notebook run when a person runs them or a cell above, and not for the sake of a cell below."""

import csv
import importlib.util
import sys
from pathlib import Path

import pytest

from marimo_kernel_bridge.kernel.versions.acting_cells import _acts
from marimo_kernel_bridge.kernel.versions.open_files import written_through
from marimo_kernel_bridge.kernel.versions.value_copies import mapped
from marimo_kernel_bridge.kernel.versions.written_modules import forget_modules
from tests.unit.kernel.notebook_in_memory import FrontEnd

APPENDS = "with open('log', 'a') as log: log.write('x')"
NOTE = "def note(text):\n    with open('log', 'a') as log: log.write(text)"

UNASKED: dict[str, tuple[tuple[str, ...], str, str]] = {
    "the reader of a log to which a cell was made to append twice": (
        ("open('log', 'w').write('-');", "open('log', 'a').write('x');", "print(open('log').read())"),
        "12",
        "-xx",
    ),
    "an iterator that it has made, and that others use up": (
        (f"it = iter('abc')\n{APPENDS}", "print(next(it))"),
        "11",
        "x",
    ),
    "an object that it has made, and that others mutate unseen": (
        (f"import operator\nrows = []\n{APPENDS}", "operator.iadd(rows, [1]);", "print(rows)"),
        "121",
        "x",
    ),
    "a bystander of a cell that is made to run for another": (
        ("it = iter('abc')\nn = 5", "print(next(it))", "open('log', 'a').write(str(n));"),
        "11",
        "5",
    ),
    "the cell above an appender": (
        ("x = 'x'", "open('log', 'a').write(x);", "print(open('log').read())"),
        "0202",
        "x",
    ),
    "a cell above what begins the file": (
        ("x = 'x'", "open('log', 'w').write('-');", "open('log', 'a').write(x);"),
        "00",
        "-x",
    ),
    "a function that appends": ((NOTE, "it = iter('abc')\nn = 'x'", "print(next(it))", "note(n)"), "22", "x"),
    "a counter that builds on its own earlier run": (
        (
            "open('log', 'w').write('0');",
            "n = int(open('log').read()) + 1\nopen('log', 'w').write(str(n));",
            "print(open('log').read())",
        ),
        "12",
        "2",
    ),
    "a program that is started": (
        ("import os\nos.system('echo x | tr -d \"\\\\n\" >> log')\nit = iter('abc')", "print(next(it))"),
        "1",
        "x",
    ),
}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("cells", "again", "log"), UNASKED.values(), ids=UNASKED)
def test_what_acts_does_not_act_unasked(
    lab: FrontEnd, tmp_path: Path, cells: tuple[str, ...], again: str, log: str
) -> None:
    lab.run_each(cells, tuple(again))
    assert (tmp_path / "log").read_text() == log


def test_what_runs_on_an_object_as_it_is_is_marked_until_its_maker_runs(
    lab: FrontEnd, tmp_path: Path
) -> None:
    cells = (f"it = iter('abc')\n{APPENDS}", "print(next(it))", "print('read')")
    lab.run_each(cells, ("1",))
    assert (lab.text("1"), lab.cells()["1"].stale, lab.cells()["2"].stale) == ("b", True, False)
    lab.run("0", cells[0])
    lab.sync()
    assert (lab.text("1"), lab.cells()["1"].stale) == ("a", False)
    assert (tmp_path / "log").read_text() == "xx"


def test_what_acts_runs_when_what_it_reads_has_changed(lab: FrontEnd, tmp_path: Path) -> None:
    cells = ("text = 'x'", "with open('log', 'a') as log: log.write(text)", "print(open('log').read())")
    lab.run_each(cells, ("0: text = 'y'",))
    assert (lab.text("2"), (tmp_path / "log").read_text()) == ("xy", "xy")


SETS = ("set_state(2)", "mo.Thread(target=set_state, args=[2]).start()", "%marimo set element 2")
MADE = "import marimo as mo\nstate, set_state = mo.state(1)\nelement = mo.ui.slider(1, 9)"


@pytest.mark.parametrize("sets", SETS)
@pytest.mark.parametrize(
    "read", ["", "def read(): return state(), element.value"], ids=["itself", "by a function"]
)
def test_what_acts_runs_when_a_state_or_an_element_that_it_reads_is_set(
    lab: FrontEnd, tmp_path: Path, read: str, sets: str
) -> None:
    text = "{read()}" if read else "{state(), element.value}"
    lab.run_each((MADE, read, f"with open('log', 'a') as log: print(f'{text}', file=log)"))
    lab.run("sets", sets)
    assert lab.kernel.run_until(lambda: len((tmp_path / "log").read_text().splitlines()) == 2, 5)


def test_what_acts_has_read_the_value_of_an_element_that_came_before_its_turn(
    lab: FrontEnd, tmp_path: Path
) -> None:
    acts = "with open('log', 'a') as log: log.write(f'{n}{element.value} ')"
    cells = lab.run_each((MADE, "it = iter('abcdef')\nn = 5", "print(next(it))", acts))
    lab.kernel.kernel.notebook.runtime.queue_ui_value("element", 2)
    lab.run(cells[3], acts)
    lab.run(cells[2], "print(next(it))")
    lab.sync()
    assert (tmp_path / "log").read_text() == "51 52 "


def test_what_acts_and_was_made_stale_in_lazy_mode_has_the_state_that_a_thread_set_then(
    lab: FrontEnd, tmp_path: Path
) -> None:
    lab.run_each((MADE, "go = 1", "with open('log', 'a') as log: log.write(f'{go}{state()} ')"))
    lab.run("mode", "%marimo lazy")
    lab.run("1", "go = 1")
    lab.run("sets", "thread = mo.Thread(target=set_state, args=[4])\nthread.start()\nthread.join()")
    lab.run("mode", "%marimo autorun")
    lab.sync()
    assert (tmp_path / "log").read_text() == "11 14 "


def test_who_reads_what_was_added_twice_is_marked_until_the_file_is_begun_again(lab: FrontEnd) -> None:
    begins, adds = "open('log', 'w').write('-');", "open('log', 'a').write('x');"
    lab.run_each((begins, adds, "print(open('log').read())"), ("1: open('log', 'a').write('y');", "2"))
    assert (lab.text("2"), lab.cells()["2"].stale) == ("-xy", True)
    lab.run("0", begins)
    lab.sync()
    assert (lab.text("2"), [cell.stale for cell in lab.cells().values()]) == ("-y", [False] * 3)


def test_what_acts_runs_after_the_cell_that_begins_its_file(lab: FrontEnd) -> None:
    cells = ("open('log', 'w').write('-');", "open('log', 'a').write('x');", "print(open('log').read())")
    lab.run_each(cells, ("0",))
    assert (lab.text("2"), lab.cells()["2"].stale) == ("-x", False)


def test_what_acts_and_failed_runs_again(lab: FrontEnd, tmp_path: Path) -> None:
    lab.run("0", "ready = []")
    lab.run("1", "with open('log', 'a') as log: log.write(str(ready[0]))")
    lab.run("0", "ready = [1]")
    lab.sync()
    assert (tmp_path / "log").read_text() == "1"


HANDLES: dict[str, tuple[tuple[str, ...], str]] = {
    "a file": (
        ("f = open('t', 'w')", "f.write('a');", "f.close()", "print(open('t').read())"),
        "1: f.write('b');",
    ),
    "a file that a function writes": (
        (
            "f = open('t', 'w')\ndef put(text): f.write(text)",
            "put('a')",
            "f.close()",
            "print(open('t').read())",
        ),
        "1: put('b')",
    ),
    "a file that a function prints into": (
        (
            "f = open('t', 'w')\ndef say(text): print(text, end='', file=f)",
            "say('a')",
            "f.close()",
            "print(open('t').read())",
        ),
        "1: say('b')",
    ),
    "a file that a closure has": (
        (
            "def opened():\n    f = open('t', 'w')\n    def say(text):\n        f.write(text); f.flush()\n    return say\nsay = opened()",
            "say('a')",
            "1",
            "print(open('t').read())",
        ),
        "1: say('b')",
    ),
    "a file in a partial function": (
        (
            "from functools import partial\nsay = partial(print, file=open('t', 'w'), end='', flush=True)",
            "say('a')",
            "1",
            "print(open('t').read())",
        ),
        "1: say('b')",
    ),
    "a file of an object": (
        (
            "class Report:\n    def __init__(self): self.f = open('t', 'w')\n    def say(self, text): self.f.write(text)\nr = Report()",
            "r.say('a')",
            "r.f.flush()",
            "print(open('t').read())",
        ),
        "1: r.say('b')",
    ),
    "a writer of CSV": (
        (
            "import csv\nf = open('t', 'w')\nw = csv.writer(f)",
            "w.writerow(['a']);",
            "f.close()",
            "print(open('t').read().strip())",
        ),
        "1: w.writerow(['b']);",
    ),
    "an archive": (
        (
            "import zipfile\nz = zipfile.ZipFile('t', 'w')",
            "z.writestr('a', 'a')",
            "z.close()",
            "print(zipfile.ZipFile('t').read('a').decode())",
        ),
        "1: z.writestr('a', 'b')",
    ),
    "a memory map": (
        (
            "import numpy as np\nm = np.memmap('t', dtype='S1', mode='w+', shape=1)",
            "m[0] = b'a'\nm.flush()",
            "1",
            "print(open('t').read())",
        ),
        "1: m[0] = b'b'\nm.flush()",
    ),
    "a dictionary on disk": (
        (
            "import shelve\nwith shelve.open('t') as s: s['k'] = ''",
            "with shelve.open('t') as s: s['k'] += 'a'",
            "1",
            "with shelve.open('t') as s: print(s['k'])",
        ),
        "1: with shelve.open('t') as s: s['k'] += 'b'",
    ),
}


@pytest.mark.parametrize(("cells", "edit"), HANDLES.values(), ids=HANDLES)
def test_who_reads_what_is_written_through_something_open_is_right_or_marked(
    lab: FrontEnd, cells: tuple[str, ...], edit: str
) -> None:
    lab.run_each(cells)
    assert (lab.text("3"), lab.cells()["3"].stale) == ("a", False)
    lab.run("1", edit.removeprefix("1: "))
    lab.sync()
    assert lab.cells()["3"].stale or lab.text("3") == "b"


@pytest.mark.parametrize(
    ("maps", "changes"),
    [("m = {}", "m[{}] = b'x'"), ("m = {}\nv = m[1:]", "v[{}] = b'x'"), ("d = [{}]", "d[0][{}] = b'x'")],
)
def test_a_change_of_a_memory_map_is_made_in_its_file(
    lab: FrontEnd, tmp_path: Path, maps: str, changes: str
) -> None:
    (tmp_path / "t").write_bytes(b"abc")
    opened = maps.format("np.memmap('t', dtype='S1', mode='r+')")
    lab.run_each((f"import numpy as np\n{opened}", changes.format(0), "print(np.fromfile('t', 'S1'))"))
    lab.run("1", changes.format(1))
    lab.sync()
    assert (tmp_path / "t").read_bytes().count(b"x") == 2  # nobody takes back what is on disk
    assert lab.cells()["2"].stale


@pytest.mark.parametrize("reader", ["import {0}\nprint({0}.v)", "from {0} import v\nprint(v)"])
def test_a_module_that_a_cell_has_written_is_imported_anew(lab: FrontEnd, reader: str) -> None:
    name = f"written_{len(reader)}"
    write = "open('{}.py', 'w').write('v = {}');"
    importing, printing = reader.format(name).split("\n")
    lab.run_each(
        (write.format(name, 1), f"import sys; sys.path.insert(0, '')\n{importing}", printing),
        (f"0: {write.format(name, 2)}",),
    )
    assert (lab.text("2"), lab.cells()["2"].stale) == ("2", False)


@pytest.mark.parametrize("again", ["import importlib\nimportlib.reload({0})", "import {0}"])
def test_a_module_that_a_cell_above_has_loaded_stays_until_it_is_loaded_again(
    lab: FrontEnd, again: str
) -> None:
    name = f"loaded_{len(again)}"
    reloads = "reload" in again
    write = "open('{}.py', 'w').write('v = {}');"
    cells = (
        f"import sys; sys.path.insert(0, '')\n{write.format(name, 1)}\nimport {name}",
        write.format(name, 22),
        f"{again.format(name)}\nprint({name}.v)",
    )
    lab.run_each(cells)
    assert lab.text("2") == ("22" if reloads else "1")
    lab.run("1", write.format(name, 333))
    lab.sync()
    assert lab.text("2") == ("333" if reloads else "1")


class Odd(dict[str, int]):
    __module__ = property(lambda _: "x")  # as proxies have it


class Nowhere:
    __module__ = None  # type: ignore[assignment]


def test_files_behind_values_are_looked_for_whatever_their_classes_say(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        values = [Odd(a=1), Nowhere(), 5, csv.writer(log)]
        assert [mapped(value) for value in values] == [None] * 4
        assert list(written_through(values)) == [str(tmp_path / "log")]


def test_a_type_of_numbers_is_no_map_of_a_file(lab: FrontEnd) -> None:
    lab.run_each(("import numpy as np\nkind = np.dtype('f8')", "print(np.zeros(1, kind))", "same = kind"))
    assert lab.text("1") == "[0.]"


def test_modules_are_looked_through_without_their_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Raises:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError(name)

    (tmp_path / "waits.py").write_text("raise SystemExit")
    spec = importlib.util.spec_from_file_location("waits", tmp_path / "waits.py")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "waits", module)
    monkeypatch.setitem(sys.modules, "raises", Raises())
    assert not forget_modules([str(tmp_path / "other.py")], "x = 1", lambda _: ())


@pytest.mark.parametrize(
    ("code", "acts"),
    [
        ("log.info(x)", True),
        ("logging.getLogger('a').warning(x)", True),
        ("self._logger.error(x)", True),
        ("df.info()", False),
        ("st.error(x)", False),
        ("open('log', 'a')", True),
        ("open('log')", False),
        ("df.to_sql('t', con)", True),
    ],
)
def test_cells_act_by_their_text(code: str, acts: bool) -> None:  # a parameter of the test
    assert _acts(code) is acts
