"""Values that cannot be kept: each is named with its type, the reason and the path, and fails nothing else."""

import asyncio
import gc
import itertools
import threading
import weakref
from contextlib import suppress
from types import SimpleNamespace

import pytest

from marimo_kernel_bridge.kernel.checkpoints.capture import Captured
from marimo_kernel_bridge.kernel.checkpoints.choice import Choice
from marimo_kernel_bridge.kernel.checkpoints.own_code import OwnCode
from marimo_kernel_bridge.kernel.checkpoints.pickling import (
    GivenUpError,
    LoadError,
    Pickling,
    load_group,
    pickle_groups,
)
from marimo_kernel_bridge.kernel.checkpoints.refusals import Refusal, path_to
from marimo_kernel_bridge.kernel.checkpoints.value_pickler import ValuePickler
from marimo_kernel_bridge.kernel.messaging.sigint import Interrupts
from tests.unit.kernel.checkpoints.notebook_values import Notebook


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        ("import os; x = open(os.devnull)", "_io.TextIOWrapper", "an open file cannot be kept"),
        ("import os; x = open(os.devnull, 'rb')", "_io.BufferedReader", "an open file cannot be kept"),
        (
            "import sqlite3; x = sqlite3.connect(':memory:')",
            "sqlite3.Connection",
            "a connection cannot be kept",
        ),
        ("import duckdb; x = duckdb.connect()", "_duckdb.DuckDBPyConnection", "a connection cannot be kept"),
        ("import socket; x = socket.socket()", "socket.socket", "a connection cannot be kept"),
        ("x = (n for n in [1])", "generator", "a generator cannot be kept in the middle of its run"),
        ("import threading; x = threading.Lock()", "_thread.lock", "a lock cannot be kept"),
        ("import threading; x = threading.Event()", "threading.Event", "a lock cannot be kept"),
        ("import threading; x = threading.Thread()", "threading.Thread", "a thread cannot be kept"),
        (
            "import asyncio; loop = asyncio.new_event_loop(); x = loop.create_future(); loop.close()",
            "_asyncio.Future",
            "a running task cannot be kept",
        ),
        (
            "import concurrent.futures as f; x = f.ThreadPoolExecutor()",
            "concurrent.futures.thread.ThreadPoolExecutor",
            "a process cannot be kept",
        ),
        ("x = memoryview(b'')", "memoryview", "a view of another object's memory cannot be kept"),
        (
            "import tempfile; x = tempfile.TemporaryDirectory(); x.cleanup()",
            "tempfile.TemporaryDirectory",
            "a temporary file or folder ends with the process",
        ),
        (
            "import marimo as mo; x = mo.ui.slider(1, 9)",
            "marimo._plugins.ui._impl.input.slider",
            "its state is in the page: running its cell makes it again",
        ),
        (
            "import ipywidgets; x = ipywidgets.IntSlider()",
            "ipywidgets.widgets.widget_int.IntSlider",
            "its state is in the page: running its cell makes it again",
        ),
        (
            "import weakref; s = {1}; x = weakref.ref(s)",
            "weakref.ReferenceType",
            "a weak reference cannot be kept",
        ),
        (
            "import weakref; s = {1}; x = weakref.proxy(s)",
            "weakref.ProxyType",
            "a weak reference cannot be kept",
        ),
        (
            "import weakref; s = {1}; x = weakref.finalize(s, int)",
            "weakref.finalize",
            "a weak reference cannot be kept",
        ),
        (
            "import multiprocessing; x, y = multiprocessing.Pipe(); y.close()",
            "multiprocessing.connection.Connection",
            "a connection cannot be kept",
        ),
        ("import ctypes; x = ctypes.CDLL(None)", "ctypes.CDLL", "what a loaded library has of its own"),
        ("import ctypes; x = (ctypes.c_int * 3)(1)", "c_int_Array_3", "no module has the class of an array"),
        ("x = globals()", "dict", "the namespace of the notebook itself cannot be kept"),
    ],
)
def test_what_belongs_to_the_process_is_refused(
    notebook: Notebook, code: str, kind: str, reason: str
) -> None:
    notebook.run(code)
    refusal = notebook.refused("x")["x"]
    assert (refusal.kind, refusal.path) == (kind, "")
    assert refusal.reason.startswith(reason)
    if hasattr(type(notebook.names["x"]), "close"):  # not that of the C library, which closes any descriptor
        notebook.run("x.close()")


def test_files_in_memory_are_kept(notebook: Notebook) -> None:
    notebook.run("import io\na, b = io.BytesIO(b'x'), io.StringIO('y')")
    assert notebook.restored("a b").value("a.getvalue(), b.getvalue()") == (b"x", "y")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("{'db': [0, Holder(lock)]}", "['db'][1].held"),
        ("(1, {2: lock})", "[1][2]"),
        ("functools.partial(print, lock)", "…[0]"),
        ("remembering(lock)", ".<closure>.held"),
        ("collections.deque([lock])", "…"),
        ("Slotted(lock)", "…"),
    ],
)
def test_the_path_leads_to_the_obstacle(notebook: Notebook, value: str, path: str) -> None:
    notebook.run(
        f"""
        import collections, functools, threading
        class Holder:
            def __init__(self, held): self.held = held
        class Slotted:
            __slots__ = ('held',)
            def __init__(self, held): self.held = held
        def remembering(held): return lambda: held
        lock = threading.Lock()
        x = {value}
        """
    )
    refusal = notebook.refused("x")["x"]
    assert (refusal.path, refusal.reason) == (path, "_thread.lock: a lock cannot be kept")


def test_an_array_of_a_mapped_file_is_refused(notebook: Notebook, tmp_path: object) -> None:
    notebook.run(
        f"import numpy as np\nx = np.memmap('{tmp_path}/file', 'u1', 'w+', shape=9)\nview = np.asarray(x)[2:]"
    )
    assert {each.reason.rpartition(": ")[2] for each in notebook.refused("x view").values()} == {
        "a file that is mapped into memory cannot be kept"
    }


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise BaseException('no')", "BaseException: no"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("raise MemoryError", "there is not enough memory to pickle it"),
        ("raise Silent", "Silent"),
        ("raise ValueError('x' * 1000)", f"ValueError: {'x' * 187}…"),
        ("return 'nowhere'", "Can't pickle"),
        ("return 5", "__reduce__ must return a string or tuple"),
    ],
)
def test_whatever_a_class_raises_is_a_reason(notebook: Notebook, body: str, reason: str) -> None:
    notebook.run(
        f"""
        class Silent(Exception):
            def __str__(self): raise RuntimeError
        class Bad:
            def __reduce__(self): {body}
        bad, good = [Bad()], [1]
        """
    )
    groups, refused, _ = pickle_groups(
        {name: notebook.names[name] for name in ("bad", "good")}, notebook.names
    )
    assert [group.names for group in groups] == [("good",)]
    assert refused["bad"].reason.startswith(reason)


def test_an_interrupt_ends_the_save(notebook: Notebook) -> None:
    notebook.run("class Slow:\n def __reduce__(self): raise KeyboardInterrupt\nslow = Slow()")
    with pytest.raises(KeyboardInterrupt):
        notebook.refused("slow")


def test_deep_nesting_is_a_reason(notebook: Notebook) -> None:
    notebook.run("x = []\nfor _ in range(100_000): x = [x]")
    assert notebook.refused("x")["x"] == Refusal("list", "it is nested too deeply")
    notebook.run("while x: x = x.pop()")  # the interpreter must not free it by recursion


@pytest.mark.parametrize(("name", "at_least"), [("rows", 10), ("objects", 3)])
def test_pickling_is_given_up_in_the_middle_and_begins_again(
    notebook: Notebook, name: str, at_least: int
) -> None:
    notebook.run(
        "class P: ...\nrows = [[str(n)] for n in range(50_000)]\nobjects = [P() for _ in range(3_000)]"
    )
    asked: list[None] = []

    def waits() -> bool:
        asked.append(None)
        return len(asked) == 3

    pickling = Pickling(notebook.names, waits)
    with pytest.raises(GivenUpError):
        pickling.look(name, notebook.names[name])
    left = pickling._given_up[name]  # freeing it would be in somebody's way
    assert pickling.groups() == ()
    assert pickling.look("other", [1]) is None
    assert pickling.look(name, notebook.names[name]) is None
    assert pickling._looked[name].pickler is left, "its memo has grown already"
    assert len(asked) >= at_least
    assert pickling.groups() == (("other",), (name,))
    again = Pickling(notebook.names)
    assert again.look(name, notebook.names[name]) is None
    assert again.pickled([name]) == pickling.pickled([name])
    pickling.forget(name)
    assert not pickling._given_up


def test_a_request_waits_for_a_few_thousand_objects_at_most(notebook: Notebook) -> None:
    """Those of a frame are pickled, which takes most of the time, and then sorted out: in between somebody may ask."""
    notebook.run("rows = [[n] for n in range(60_000)]")
    parts: list[int] = []
    pickling = Pickling(notebook.names, lambda: parts.append(len(pickling_now[0]._reached.met)) or False)
    pickling_now: list[ValuePickler] = []
    run = ValuePickler.run

    def noted(self: ValuePickler, values: object) -> None:
        pickling_now.append(self)
        run(self, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ValuePickler, "run", noted)
        assert pickling.look("rows", notebook.names["rows"]) is None
    before, after = parts[::2], parts[1::2]
    assert len(before) > 4
    assert all(before)
    assert not any(after)
    assert max(before) < 40_000


def test_large_data_is_not_held_after_pickling_was_given_up(notebook: Notebook) -> None:
    """Who asked may have deleted it, for want of memory."""
    notebook.run("import numpy as np\nmixed = [np.zeros(100_000), [[n] for n in range(50_000)]]")
    pickling = Pickling(notebook.names, lambda: True)
    with pytest.raises(GivenUpError):
        pickling.look("mixed", notebook.names["mixed"])
    assert not pickling._given_up


def test_a_deleted_value_is_freed_by_the_next_attempt_after_one_that_was_given_up(
    notebook: Notebook,
) -> None:
    notebook.run("class Row(list): pass\nrows = [Row() for n in range(3_000)]\nother = [1]")
    cells = SimpleNamespace(
        cells=[], runtime=SimpleNamespace(values=notebook.names, nodes=dict, descendants=lambda *_: set())
    )
    owner = SimpleNamespace(mode="all", left={}, is_worth=lambda *_: True)
    asked: list[None] = []

    def third() -> bool:
        asked.append(None)
        return len(asked) == 3

    def captured(*names: str) -> Captured:
        values = {name: notebook.names[name] for name in names}
        return SimpleNamespace(values=values, makers=dict.fromkeys(names, ""), cells=())  # type: ignore[return-value]  # all that is looked at

    own_code = OwnCode(Interrupts())
    attempts = Choice(owner, cells, None, None, third, own_code=own_code)  # type: ignore[arg-type]  # the same
    with pytest.raises(GivenUpError):
        asyncio.run(attempts.next(captured("rows", "other")))
    gone = weakref.ref(notebook.names["rows"][0])
    del notebook.names["rows"]
    group = asyncio.run(attempts.next(captured("other")))
    assert group is not None
    assert group.names == ("other",)
    gc.collect()  # the traceback of what was raised
    assert gone() is None


@pytest.mark.parametrize("gives_up", [False, True])
def test_no_collection_of_garbage_looks_into_what_is_noted_of_a_value(
    notebook: Notebook, gives_up: bool
) -> None:
    """Each would take as long as one of everything, in the middle of somebody's request."""
    notebook.run("rows = [[n] for n in range(50_000)]")
    asked: list[None] = []
    pickling = Pickling(notebook.names, lambda: asked.append(None) or (gives_up and len(asked) > 1))
    gc.collect()
    with suppress(GivenUpError):
        pickling.look("rows", notebook.names["rows"])
    noted = [young for young in gc.get_objects(0) if len(gc.get_referents(young)) > 1_000]
    assert noted == []
    assert bool(pickling._given_up) == gives_up


def test_what_was_noted_of_a_value_is_freed_without_the_collector(notebook: Notebook) -> None:
    notebook.run("class Row(list): pass\nrows = [Row() for n in range(3_000)]")
    pickling = Pickling(notebook.names)
    gc.collect()
    gc.disable()
    try:
        assert pickling.look("rows", notebook.names["rows"]) is None
        gone = weakref.ref(notebook.names["rows"][0])
        pickling.forget("rows")
        notebook.names["rows"].clear()
        assert gone() is None
    finally:
        gc.enable()


def test_a_value_of_too_many_objects_is_by_itself_and_told(notebook: Notebook) -> None:
    notebook.run(
        "inner = [1]\nrows = [[n] for n in range(1_000)] + [inner]\nsmall = [inner]\nnoise = bytes([148]) * 9_000"
    )
    pickling = Pickling(notebook.names, most_objects=1_000)
    for name in ("inner", "rows", "small", "noise"):
        assert pickling.look(name, notebook.names[name]) is None
    assert pickling.groups() == (("inner", "small"), ("rows",), ("noise",))
    assert pickling.told == (
        "`noise`, `rows`: too many objects to search for those shared with other names; each comes back by itself.",
    )


def test_a_name_is_forgotten_and_looked_at_again(notebook: Notebook) -> None:
    pickling = Pickling(notebook.names)
    shared = [1]
    pickling.look("a", shared)
    pickling.look("b", [shared])
    assert pickling.groups() == (("a", "b"),)
    pickling.look("b", [2])
    assert pickling.groups() == (("a",), ("b",))
    assert pickling.look("b", threading.Lock()) is not None
    pickling.forget("a")
    assert pickling.groups() == ()


def test_a_group_that_does_not_load_says_why(notebook: Notebook) -> None:
    notebook.run("import sys, types\nsys.modules['gone'] = gone = types.ModuleType('gone')\nclass T: ...")
    notebook.run("T.__module__ = 'gone'; gone.T = T; x = T()")
    (group,) = notebook.groups("x")
    notebook.run("del sys.modules['gone']")
    with pytest.raises(LoadError, match="No module named 'gone'"):
        load_group(group.stream, (), notebook.names)


def test_an_iterator_with_holes_is_not_looked_into() -> None:
    """Which would end the process."""
    used = itertools.zip_longest("ab", "c")
    next(used), next(used)  # now one of its iterators is gone
    lock = threading.Lock()
    assert path_to({"a": used, "b": [[[lock]]]}, lock) == "['b'][0][0][0]"
