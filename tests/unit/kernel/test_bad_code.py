"""What user code can do to a cell: it ends with an error of its own, the next one runs, and text of any kind is shown."""

import re

from tests.unit.kernel.notebook_in_memory import FrontEnd

BAD: dict[str, tuple[str, str | None]] = {
    "memory": ("bytearray(1 << 62)", "MemoryError"),
    "recursion": ("def f(): return f()\nf()", "RecursionError"),
    "recursion in repr": ("class R:\n    def __repr__(self): return repr(self)\nR()", "RecursionError"),
    "deep expression": ("x = " + "+".join(["1"] * 10_000), "RecursionError"),
    "deep parentheses": ("x = " + "(" * 500 + ")" * 500, "SyntaxError"),
    "repr raises": ("class R:\n    def __repr__(self): raise ValueError('no repr')\nR()", "ValueError"),
    "repr and str of the error raise": (
        "class E(Exception):\n    def __str__(self): 1 / 0\n    __repr__ = __str__\nraise E",
        "E",
    ),
    "an error that is no Exception": ("class B(BaseException): pass\nraise B('b')", "B"),
    "GeneratorExit": ("raise GeneratorExit", "GeneratorExit"),
    "CancelledError": ("import asyncio\nraise asyncio.CancelledError", "CancelledError"),
    "StopIteration": ("raise StopIteration", "StopIteration"),
    "an exception group": ("raise ExceptionGroup('g', [ValueError(1), TypeError(2)])", "ExceptionGroup"),
    "a huge message": ("raise ValueError('x' * 1_000_000)", "ValueError"),
    "sys.exit": ("import sys; sys.exit(3)", "SystemExit"),
    "raise SystemExit": ("raise SystemExit", "SystemExit"),
    "a surrogate in the message": ("raise ValueError('\\ud800')", "ValueError"),
    "NUL in the code": ("x = 1\0", None),
    "no such encoding": ("# -*- coding: nonsense -*-\nx = ", "SyntaxError"),
}
NO_PYTHON = {"deep expression", "deep parentheses", "NUL in the code", "no such encoding"}
"""These are out of the graph."""
DEEP = {"recursion", "recursion in repr"}
"""IPython takes seconds to write tracebacks of a thousand frames."""


def choose_traceback(lab: FrontEnd, what: str) -> None:
    assert lab.run(None, f"%xmode {'Minimal' if what in DEEP else 'Context'}", store_history=False).ok


def test_code_that_ends_badly_is_an_error_and_its_dependents_follow(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "print('two', a)")
    for what, (code, ename) in BAD.items():
        choose_traceback(lab, what)
        reply = lab.run("bad", code)
        assert not reply.ok, what
        assert ename in {None, reply.content["ename"]}, (what, reply.content["ename"])
        assert lab.outputs("bad"), what
        lab.run("one", f"a = {what!r}")
        assert lab.text("two") == f"two {what}"


def test_a_dependent_that_ends_badly_is_an_error_under_its_own_cell(lab: FrontEnd) -> None:
    for what, (code, ename) in BAD.items():
        if what in NO_PYTHON:
            continue
        choose_traceback(lab, what)
        lab.run("one", "a = 0")
        lab.run("bad", f"assert a\n{code}")
        assert "AssertionError" in lab.text("bad")
        assert lab.run("one", "a = 1").ok, what
        assert re.search(rf"\b{ename}\b", lab.text("bad")), what
    lab.run("bad", "print(a)")
    lab.run("one", "a = 2")
    assert lab.text("bad") == "2"


def test_what_is_no_python_does_not_follow_and_holds_up_nothing(lab: FrontEnd) -> None:
    for what in NO_PYTHON:
        lab.run("one", "a = 0")
        assert not lab.run("bad", f"a\n{BAD[what][0]}").ok, what
        lab.page.cells["bad"].log.restart()
        assert lab.run("one", "a = 1").ok, what
        assert lab.text("bad") == "", what


def test_surrogates_and_nul_are_shown(lab: FrontEnd) -> None:
    assert lab.run("one", "print('a\\0b')").text == "a\0b"
    assert lab.run("two", "print('a\\ud800b')").ok
    assert lab.text("two") == "a\ufffdb"
    assert lab.run("three", "'a\\ud800b'").text == "'a\\ud800b'"
    assert lab.run("four", "'\\ud800' + '\\U0001f600'").ok
    assert lab.run("five", "from IPython.display import HTML; HTML('a\\ud800b')").ok
    assert lab.outputs("five")[0]["data"]["text/html"] == "a\ufffdb"
