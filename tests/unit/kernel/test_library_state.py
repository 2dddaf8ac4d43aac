"""Random generators and settings of libraries: a cell that runs again has those of its place in the document."""

import decimal
import hashlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from marimo_kernel_bridge.kernel.versions.library_state import STATES
from marimo_kernel_bridge.kernel.versions.observer import CellObserver
from marimo_kernel_bridge.kernel.versions.placed_state import LibraryState
from marimo_kernel_bridge.kernel.versions.states_by_place import StatesByPlace
from tests.unit.kernel.notebook_in_memory import FrontEnd

SEEDED = (
    "import random\nimport numpy as np",
    "random.seed(1); np.random.seed(1)",
    "a = random.random(), np.random.rand()\nprint(a)",
    "b = random.random(), np.random.rand()\nprint(b)",
    "print(a, b)",
)


LIBRARIES = """import csv, decimal, gc, locale, multiprocessing, random, signal, socket, sys, threading, time, warnings
import matplotlib.colors, numpy.random, pandas, polars"""
contexts: list[decimal.Context] = []
taken: list[tuple[LibraryState, object]] = []
"""What `STATES` names, as the test found it. Taken and restored in the kernel: decimals belong to a context."""


def take() -> None:
    taken[:] = [(state, state.now()) for state in STATES]
    contexts[:] = [decimal.getcontext(), decimal.getcontext().copy()]


def restore() -> None:
    for state, value in taken:
        assert value is None or state.set(value), state.module
    # Those of the context that all requests have a copy of, too: the one that was set is that of this request.
    shared, was = contexts
    for name in ("prec", "rounding", "Emin", "Emax", "capitals", "clamp", "traps"):
        setattr(shared, name, getattr(was, name))


@contextmanager
def as_it_was(lab: FrontEnd) -> Iterator[None]:
    """Restore all state of libraries that is known of, as a kernel that starts would have it."""
    before = f"{LIBRARIES}\nimport sys; sys.modules[{__name__!r}].take()"
    assert lab.run(None, before, store_history=False).ok
    yield
    after = f"import sys; sys.modules[{__name__!r}].restore()"
    assert lab.run(None, after, store_history=False).ok


@pytest.fixture(autouse=True)
def _as_it_was(lab: FrontEnd) -> Iterator[None]:
    with as_it_was(lab):
        yield


def test_what_a_test_leaves_is_taken_back(lab: FrontEnd) -> None:
    look = f"import sys; print(sys.modules[{__name__!r}].seen())"
    before = lab.run(None, look, store_history=False).text
    outer = taken[:], contexts[:]
    with as_it_was(lab):
        assert lab.run("0", LIBRARIES).ok
        assert lab.run("1", CHANGES).ok
        changed = lab.run(None, look, store_history=False).text
    taken[:], contexts[:] = outer
    assert lab.run(None, look, store_history=False).text == before
    assert [was == now for was, now in zip(before.split(), changed.split(), strict=True)] == [False] * len(
        before.split()
    )


def seen() -> str:
    """Return a word for each state that there is."""
    values = [state.now() for state in STATES]
    return " ".join(hashlib.sha256(repr(value).encode()).hexdigest() for value in values if value is not None)


CHANGES = """import os, sys, logging
os.chdir('/')
random.seed(70_001); numpy.random.seed(70_001)  # as no other test in this process has left them
matplotlib.rcParams['figure.dpi'] = 77
pandas.set_option('display.max_columns', 3)
numpy.set_printoptions(linewidth=33)
numpy.seterr(all='raise')
decimal.getcontext().rounding = decimal.ROUND_UP
polars.Config.set_tbl_rows(3)
warnings.simplefilter('error', category=EncodingWarning)
sys.setrecursionlimit(sys.getrecursionlimit() + 1)
gc.set_threshold(777)
socket.setdefaulttimeout(77)
locale.setlocale(locale.LC_ALL, 'C' if locale.setlocale(locale.LC_ALL) != 'C' else 'C.UTF-8')
logging.getLogger('mkb.levels').setLevel(13)
get_ipython().display_formatter.formatters['text/plain'].float_precision = '7'
if 'torch' in sys.modules: sys.modules['torch'].manual_seed(70_001)
import csv, multiprocessing, signal, threading, time, matplotlib.colors
os.umask(0o027)
os.environ['TZ'] = 'MKB-5'; time.tzset(); del os.environ['TZ']
csv.register_dialect('mkb', delimiter=';'); csv.field_size_limit(777)
logging.getLogger('mkb.levels').addHandler(logging.NullHandler())
signal.signal(signal.SIGUSR2, lambda *_: None)
gc.disable() if gc.isenabled() else gc.enable()
threading.stack_size(1 << 20)
multiprocessing.set_start_method('spawn' if multiprocessing.get_start_method(True) != 'spawn' else 'fork', force=True)
numpy.setbufsize(16_384)
matplotlib.colors.get_named_colors_mapping()['mkb'] = '#123456'
matplotlib.interactive(not matplotlib.is_interactive())
inline = getattr(sys.modules.get('matplotlib_inline.config'), 'InlineBackend', None)
if inline and inline.initialized(): inline.instance().figure_formats = {'svg'}
get_ipython().display_formatter.formatters['text/plain'].for_type(set, print);
if 'mpmath' in sys.modules: sys.modules['mpmath'].mp.dps += 1
if 'scipy.special' in sys.modules: sys.modules['scipy.special'].seterr(loss='warn')
"""


def run(lab: FrontEnd, cells: tuple[str, ...], *steps: str) -> dict[str, str]:
    """Run cells, then some again (`number: code`, or `number`). Return what each shows."""
    numbers = lab.run_each(cells, steps)
    assert not any(cell.stale for cell in lab.cells().values())
    return {number: lab.text(number) for number in numbers}


def fresh(cells: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return what cells print from top to bottom in plain Python."""
    namespace: dict[str, object] = {}
    shown = {}
    for number, code in enumerate(cells):
        exec(code, namespace)  # the reference
        shown[str(number)] = capsys.readouterr().out.strip()
    return shown


@pytest.mark.parametrize("again", ["2", "3", "23", "32", "1", "13", "2224"])
def test_a_seeded_cell_that_runs_again_draws_the_same(
    lab: FrontEnd, capsys: pytest.CaptureFixture[str], again: str
) -> None:
    expected = fresh(SEEDED, capsys)
    assert run(lab, SEEDED, *again) == expected


@pytest.mark.parametrize(
    "edit",
    [
        "1: random.seed(2); np.random.seed(2)",
        "2: a = random.random(), random.random(), np.random.rand()\nprint(a)",
        "2: a = 0\nprint(a)",
        "1: random.seed(2)",
    ],
)
def test_after_an_edit_every_cell_draws_what_a_fresh_run_draws(
    lab: FrontEnd, capsys: pytest.CaptureFixture[str], edit: str
) -> None:
    number, _, code = edit.partition(": ")
    edited = tuple(code if str(place) == number else cell for place, cell in enumerate(SEEDED))
    if edit == "1: random.seed(2)":  # NumPy's draws are not seeded any more
        shown = run(lab, SEEDED, edit)
        assert shown["2"].startswith(fresh(edited, capsys)["2"].split(",")[0])
        return
    assert run(lab, SEEDED, edit) == fresh(edited, capsys)


def test_an_edit_that_draws_as_often_runs_no_other_cell(lab: FrontEnd) -> None:
    cells = (*SEEDED[:3], "runs = []", "c = random.random()\nprint(c)\nruns.append(1)")
    run(lab, cells, "2: a = random.random(), np.random.rand()\nprint('a', a)")
    assert lab.run(None, "len(runs)", store_history=False).text == "1"


def test_a_cell_that_seeds_before_it_draws_does_not_depend_on_others(lab: FrontEnd) -> None:
    cells = (
        "import random\nruns = []",
        "random.seed(1)\nprint(random.random())",
        "random.seed(2)\nprint(random.random())\nruns.append(1)",
    )
    run(lab, cells, "1: random.seed(7)\nprint(random.random())")
    assert lab.run(None, "len(runs)", store_history=False).text == "1"


def test_a_function_that_seeds_counts(lab: FrontEnd, capsys: pytest.CaptureFixture[str]) -> None:
    cells = (
        "import random\ndef fix(n): random.seed(n)",
        "fix(1)",
        "print(random.random())",
        "print(random.random())",
    )
    assert run(lab, cells, "1: fix(2)", "2") == fresh((cells[0], "fix(2)", *cells[2:]), capsys)


def test_a_seed_that_gives_the_state_that_was_there_counts(
    lab: FrontEnd, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = ("import random", "random.seed(1)", "print(1)", "random.seed(3)\nprint(random.random())")
    edited = (*cells[:2], "print(random.random())", cells[3])
    lab.run("1", "import random\nrandom.seed(1)")
    assert run(lab, cells, "1", "3", "2: print(random.random())") == fresh(edited, capsys)


def test_without_a_seed_each_run_draws_new_numbers(lab: FrontEnd) -> None:
    cells = ("import random", "a = random.random()\nprint(a)", "b = random.random()\nprint(b)")
    first = run(lab, cells)
    assert lab.run("1", cells[1]).text != first["1"]
    assert lab.text("2") == first["2"]


def test_a_removed_seed_and_a_removed_draw_are_followed(
    lab: FrontEnd, capsys: pytest.CaptureFixture[str]
) -> None:
    run(lab, SEEDED)
    lab.run("9", "print(random.random())", metadata={"deletedCells": ["2", "4"]})
    lab.sync()
    left = fresh((SEEDED[0], SEEDED[1], SEEDED[3], "print(random.random())"), capsys)
    assert (lab.text("3"), lab.text("9")) == (left["2"], left["3"])


def test_first_runs_draw_as_in_jupyter(lab: FrontEnd, capsys: pytest.CaptureFixture[str]) -> None:
    cells = (
        "import random",
        "random.seed(1)",
        "class Draw:\n    def __add__(self, n): return random.random() + n\nd = Draw()",
        "x = d + 1",
        "print(x)",
        "print(random.random())",
    )
    assert run(lab, cells) == fresh(cells, capsys)


SETTINGS = {
    "printing of arrays": (
        "import numpy as np",
        "print(np.array([1 / 3]))",
        "np.set_printoptions(precision=2)",
        "print(np.array([1 / 3]))",
    ),
    "parameters of matplotlib": (
        "import matplotlib as mpl",
        "print(mpl.rcParams['lines.linewidth'])",
        "mpl.rcParams['lines.linewidth'] = 7",
        "print(mpl.rcParams['lines.linewidth'])",
    ),
    "errors of arrays": (
        "import numpy as np",
        "print(np.geterr()['divide'])",
        "np.seterr(divide='ignore');",
        "print(np.geterr()['divide'])",
    ),
    "options of pandas": (
        "import pandas as pd",
        "print(pd.get_option('display.max_rows'))",
        "pd.set_option('display.max_rows', 7)",
        "print(pd.options.display.max_rows)",
    ),
    "decimals": (
        "import decimal",
        "print(decimal.Decimal(1) / 3)",
        "decimal.getcontext().prec = 4",
        "print(decimal.Decimal(1) / 3)",
    ),
    "rows of frames": (
        "import polars as pl",
        "print(pl.DataFrame({'a': [1, 2, 3]}))",
        "pl.Config.set_tbl_rows(2);",
        "print(pl.DataFrame({'a': [1, 2, 3]}))",
    ),
    "filters of warnings": (
        "import warnings\nwarnings.simplefilter('ignore')",
        "print(warnings.warn('x'))",
        "warnings.simplefilter('error', UserWarning)",  # not that of ZeroMQ's contexts, which are garbage at any time
        "try: warnings.warn('x')\nexcept UserWarning: print('raised')",
    ),
    "the level of a logger": (
        "import logging",
        "print(logging.getLogger('mkb.l').level)",
        "logging.getLogger('mkb.l').setLevel(40)",
        "print(logging.getLogger('mkb.l').level)",
    ),
    "the depth of calls": (
        "import sys",
        "print(sys.getrecursionlimit())",
        "sys.setrecursionlimit(4321)",
        "print(sys.getrecursionlimit())",
    ),
}
EDITED = {
    "printing of arrays": "np.set_printoptions(precision=5)",
    "parameters of matplotlib": "mpl.rcParams['lines.linewidth'] = 9",
    "errors of arrays": "np.seterr(divide='raise');",
    "options of pandas": "pd.set_option('display.max_rows', 9)",
    "decimals": "decimal.getcontext().prec = 6",
    "rows of frames": "pl.Config.set_tbl_rows(1);",
    "filters of warnings": "warnings.simplefilter('ignore')",
    "the level of a logger": "logging.getLogger('mkb.l').setLevel(20)",
    "the depth of calls": "sys.setrecursionlimit(4322)",
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("again", ["1", "3", "13", "31", "01", "213"])
def test_a_later_setting_does_not_show_in_an_earlier_cell(lab: FrontEnd, name: str, again: str) -> None:
    cells = SETTINGS[name]
    first = run(lab, cells)
    for cell in again:
        assert lab.run(cell, cells[int(cell)]).ok
    lab.sync()
    assert (lab.text("1"), lab.text("3")) == (first["1"], first["3"])
    assert first["1"] != first["3"]


@pytest.mark.parametrize("name", SETTINGS)
def test_readers_below_run_after_an_edited_setting(lab: FrontEnd, name: str) -> None:
    cells = SETTINGS[name]
    first = run(lab, cells)
    lab.run("2", EDITED[name])
    lab.sync()
    shown = lab.text("3")
    assert lab.text("1") == first["1"]
    assert shown != first["3"]
    assert lab.run("3", cells[3]).text == shown


def test_a_setting_that_is_taken_out_of_the_cell_that_imports_is_gone(lab: FrontEnd) -> None:
    if "matplotlib" in sys.modules:  # as in a kernel that starts
        sys.modules["matplotlib"].rcdefaults()
    cells = (
        "import matplotlib.pyplot as plt\nplt.rcParams['lines.linewidth'] = 7",
        "print(plt.rcParams['lines.linewidth'])",
    )
    assert run(lab, cells, "0: import matplotlib.pyplot as plt")["1"] == "1.5"


def test_what_a_hidden_request_sets_stays(lab: FrontEnd) -> None:
    cells = ("import numpy as np", "print(np.array([1 / 3]))")
    run(lab, cells)
    lab.run(None, "np.set_printoptions(precision=3)", store_history=False)
    assert lab.run("2", "print(np.array([2 / 3]))").text == "[0.667]"


CYCLE = """
import matplotlib.pyplot as plt
import numpy as np
plt.rcParams["axes.prop_cycle"] = plt.cycler(color=plt.cm.viridis(np.linspace(0, 1, 5)))
len(plt.rcParams["axes.prop_cycle"])
"""


def test_settings_that_hold_arrays_can_be_set_again_and_again(lab: FrontEnd) -> None:
    lab.run_all({"0": CYCLE, "1": "len(plt.rcParams['axes.prop_cycle'])", "2": "k = 1\nk"})
    for _ in range(3):
        assert lab.run("0", CYCLE).text == "5"
    assert lab.run("0", CYCLE.replace("5)", "6)")).text == "6"
    lab.sync()
    assert (lab.text("1"), lab.text("2")) == ("6", "1")
    assert {cell.status for cell in lab.cells().values()} == {"ok"}


def test_a_context_of_decimal_that_a_cell_holds_stays_the_one_in_force(lab: FrontEnd) -> None:
    cells = {
        "0": "from decimal import Decimal, getcontext\nctx = getcontext()\nctx.prec = 6",
        "1": "ctx.prec = 20\nprint(Decimal(1) / 3)",
        "2": "print(Decimal(1) / 3)",
    }
    lab.run_all(cells)
    for _ in range(2):
        assert lab.run("1", cells["1"]).text == "0.33333333333333333333"
    lab.run("0", cells["0"])
    assert lab.run("2", cells["2"]).text == "0.33333333333333333333"


def test_a_cell_whose_changes_cannot_be_observed_runs_all_the_same(
    lab: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError("a bug")

    lab.run_all({"0": "rows = [1]", "1": "rows.append(2)\nprint(rows)"})
    for name in ("begin", "end"):
        monkeypatch.setattr(CellObserver, name, failing)
        monkeypatch.setattr(StatesByPlace, name, failing)
    assert lab.run("0", "rows = [3]\nprint(rows)").text == "[3]"
    lab.sync()
    assert lab.text("1") == "[3, 2]"
    assert {cell.status for cell in lab.cells().values()} == {"ok"}


SHOWS = "print(pd.Series([1 / 3]).to_string(index=False))"
SET = "pd.options.display.precision = 3"


@pytest.mark.parametrize(
    ("cells", "edit", "expected"),
    [
        (["import pandas as pd", SET, SHOWS], "1", ["0.333333"]),
        (["import pandas as pd", SET, "pd.options.display.max_rows = 7", SHOWS], "1", ["0.333333"]),
        (["import pandas as pd", SET, SHOWS, SET.replace("3", "2"), SHOWS], "3", ["0.333", "0.333"]),
        (["import pandas as pd", SET, SHOWS], "1: 1", ["0.333333"]),
    ],
    ids=["deleted", "deleted above another", "the second deleted", "now none"],
)
def test_cells_below_one_that_no_longer_sets_a_setting_run_again(
    lab: FrontEnd, cells: list[str], edit: str, expected: list[str]
) -> None:
    lab.run_each(cells)
    cell, _, code = edit.partition(": ")
    lab.run(cell if code else "probe", code, metadata={"deletedCells": [] if code else [cell]})
    lab.sync()
    shown = [str(number) for number, text in enumerate(cells) if text == SHOWS]
    assert [lab.text(number) for number in shown] == expected
    assert not any(lab.cells()[number].stale for number in shown)


def test_a_cell_that_only_shows_a_value_has_the_settings_of_its_place(lab: FrontEnd) -> None:
    lab.run_each(["import pandas as pd", "d = pd.DataFrame({'v': [1 / 3]})", "d", SET, "d"], ["2"])
    assert ("0.333333" in lab.text("2"), "0.333333" in lab.text("4")) == (True, False)


def test_an_assignment_looks_at_no_state_that_no_value_shows(
    lab: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run("a", "import logging\nlogging.getLogger('mkb.look').addHandler(logging.NullHandler())")
    kind, looks = logging.getLoggerClass(), []
    monkeypatch.setattr(logging, "getLoggerClass", lambda: looks.append(1) or kind)
    lab.run("b", "x = 1")
    assert looks == []
    lab.run("c", "print(1)")
    assert looks != []


OF_PROCESS: dict[str, tuple[str, str, str, str]] = {
    "the mask of files": (
        "import os\nfrom pathlib import Path\ndef mode(): Path('f').write_text(''); return Path('f').stat().st_mode",
        "print(mode()); os.remove('f')",
        "os.umask(0o077);",
        "os.umask(0o027);",
    ),
    "the time zone": (
        "import os, time\nfrom datetime import datetime",
        "print(datetime.fromtimestamp(0), time.tzname)",
        "os.environ['TZ'] = 'MKB-9'\ntime.tzset()",
        "os.environ['TZ'] = 'MKB-5'\ntime.tzset()",
    ),
    "dialects of CSV": (
        "import csv",
        "print(csv.list_dialects())",
        "csv.register_dialect('mkb1', delimiter=';')",
        "csv.register_dialect('mkb2', delimiter='|')",
    ),
    "handlers of a logger, added": (
        "import logging\nlog = logging.getLogger('mkb.h')",
        "print(len(log.handlers))",
        "log.addHandler(logging.NullHandler())",
        "log.addHandler(logging.NullHandler()); log.addHandler(logging.NullHandler())",
    ),
    "handlers of a logger, removed": (
        "import logging\nlog = logging.getLogger('mkb.i')\nfor _ in range(3): log.addHandler(logging.NullHandler())",
        "print(len(log.handlers))",
        "log.handlers.clear()",
        "log.removeHandler(log.handlers[0])",
    ),
    "what is called for a signal": (
        "import os, signal",
        "print(callable(h := signal.getsignal(signal.SIGUSR2)) and h())",
        "signal.signal(signal.SIGUSR2, lambda *_: 1);",
        "signal.signal(signal.SIGUSR2, lambda *_: 2);",
    ),
    "callbacks of the collector": (
        "import gc",
        "print(len(gc.callbacks))",
        "gc.callbacks.append(''.format)\nn = 1",  # which says nothing when the collector runs
        "gc.callbacks += [''.format, ''.format]\nn = 1",
    ),
    "colours by their letters": (
        "import matplotlib.colors as mc",
        "print(mc.to_hex('b'))",
        "mc.colorConverter.colors['b'] = (1, 0, 0)",
        "mc.colorConverter.colors['b'] = (0, 1, 0)",
    ),
    "how objects of a class are shown": (
        "from IPython import get_ipython\nclass A: pass\na, plain = A(), get_ipython().display_formatter.formatters['text/plain']",
        "a",
        "plain.for_type(A, lambda o, p, c: p.text('one'))",
        "plain.for_type(A, lambda o, p, c: p.text('two'))",
    ),
    "printing, in a function": (
        "import numpy as np\nclass A:\n    def show(self): return str(np.array([1 / 3]))\ndef show(): print(A().show())",
        "show()",
        "np.set_printoptions(precision=2)",
        "np.set_printoptions(precision=3)",
    ),
}


@pytest.mark.parametrize("name", OF_PROCESS)
def test_what_a_cell_sets_in_the_process_shows_below_it_as_long_as_it_is_there(
    lab: FrontEnd, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TZ", raising=False)
    loads, shows, sets, edited = OF_PROCESS[name]
    first = run(lab, (loads, shows, sets, shows))
    lab.run("2", sets)
    lab.sync()
    assert {cell: lab.text(cell) for cell in first} == first
    without = first["1"]
    assert without != first["3"]
    lab.run("2", edited)
    lab.sync()
    assert lab.text("3") not in {first["3"], without}
    lab.run("1", shows)
    assert lab.text("1") == without or lab.cells()["1"].stale
    lab.run("probe", "", metadata={"deletedCells": ["2"]})
    lab.sync()
    assert lab.text("3") == without


TICKING = (
    "import signal\nticks = []",
    "print(callable(signal.getsignal(signal.SIGUSR1)))",
    "signal.signal(signal.SIGUSR1, lambda *_: ticks.append(1));\nsignal.raise_signal(signal.SIGUSR1)",
)


def test_a_signal_for_which_a_cell_below_has_a_function_does_not_end_the_process_above(lab: FrontEnd) -> None:
    lab.run_each(TICKING)
    lab.run("1", f"{TICKING[1]}\nsignal.raise_signal(signal.SIGUSR1)")
    assert lab.text("1") == "False"
    lab.run("probe", "signal.raise_signal(signal.SIGUSR1)", metadata={"deletedCells": ["2"]})
    lab.run("2", TICKING[2])
    assert lab.run(None, "len(ticks)", store_history=False).text == "2"


LOGGED = (
    "import io, logging\nbuffer, log = io.StringIO(), logging.getLogger('mkb.w')",
    "h = logging.StreamHandler(buffer)\nh.setFormatter(logging.Formatter('A %(message)s'))\nlog.addHandler(h)",
    "log.warning('one')",
    "print(buffer.getvalue())",
)


def test_what_a_handler_has_written_is_what_a_fresh_run_writes(lab: FrontEnd) -> None:
    lab.run_each(LOGGED, ("2",))
    assert lab.run("3", LOGGED[3]).text == "A one"
    lab.run("1", LOGGED[1].replace("A", "B"))
    lab.sync()
    assert lab.text("3") == "B one"


def test_how_children_end_is_known_above_a_cell_that_hears_of_it(lab: FrontEnd) -> None:
    cells = (
        "import signal, subprocess, sys",
        "print(subprocess.run([sys.executable, '-SEc', 'raise SystemExit(3)']).returncode)",
        "signal.signal(signal.SIGCHLD, lambda *_: None);",
    )
    assert run(lab, cells, "1")["1"] == "3"


HOOKED = (
    "import numpy as np\nget_ipython().events.register('post_execute', lambda: print(np.get_printoptions()['precision']))",
    "np.set_printoptions(precision=2)",
    "1;",
    "np.set_printoptions(precision=5)",
)


def test_what_is_drawn_at_the_end_of_a_cell_is_drawn_once_with_the_settings_of_its_place(
    lab: FrontEnd,
) -> None:
    lab.run_each(HOOKED, ("2", "1"))
    assert [lab.text(number) for number in "123"] == ["2", "2", "5"]


def test_a_precision_that_is_edited_shows_below_and_not_above(lab: FrontEnd) -> None:
    lab.run_each(("1 / 3", "%precision 3", "1 / 3"), ("1: %precision 2",))
    assert (lab.text("0"), lab.text("2")) == ("0.3333333333333333", "0.33")
    lab.run("0", "1 / 3")
    assert lab.text("0") == "0.3333333333333333"
