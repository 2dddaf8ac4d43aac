"""What only the compiler finds wrong shows as in IPython, and what IPython runs statement by statement runs."""

import ast
import json
import logging
import re
import threading
from typing import Any

import pytest

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell, EditReport
from marimo_kernel_bridge.protocol.output_log import strip_ansi
from tests.front_end_reply import Reply
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd

ONE_STATEMENT = [
    "return 5",
    "continue",
    "break",
    "nonlocal a",
    "*a = 1",
    "a = *b",
    "def f():\n    await g()",
    "def f(a, a):\n    pass",
    "lambda a, a: 1",
    "def f():\n    a = 1\n    global a",
    "def f(a):\n    global a",
    "def f():\n    nonlocal nowhere",
    "def f():\n    from math import *",
    "class A:\n    return 1",
    "yield 1",
    "def f():\n    [a async for a in b]",
    "for a in b:\n    def g():\n        continue",
    "try:\n    pass\nexcept:\n    pass\nexcept ValueError:\n    pass",
    "[a := 1 for a in b]",
    "match 1:\n    case a:\n        pass\n    case 2:\n        pass",
    "__debug__ = 1",
    "if True:\n    a = 1\n    global a",
    "from __future__ import braces",
    "async def f():\n    yield 1\n    return 2",
]
SEVERAL = [f"print('before')\n{code}\nafter = 1" for code in ONE_STATEMENT]


def errors(reply: Reply) -> list[Any]:
    """Return what a request showed and answered, with the names of files left out."""
    shown = [
        message["content"]
        for message in reply.messages
        if message["msg_type"] in {"stream", "error"} and message["parent_header"]["msg_id"] == reply.msg_id
    ]
    told = [reply.content.get(key) for key in ("status", "ename", "evalue", "traceback")]
    return [re.sub(r"\([^()]*\.py, line|In\[\d* ?\]", "(", strip_ansi(str(part))) for part in [*shown, *told]]


@pytest.mark.parametrize("rule", ["lab", "strict"])
def test_an_error_of_the_compiler_shows_as_in_ipython(request: pytest.FixtureRequest, rule: str) -> None:
    page: FrontEnd = request.getfixturevalue(rule)
    page.run("reader", "print(after)")
    for number, code in enumerate([*ONE_STATEMENT, *SEVERAL]):
        name = f"cell {number}"
        known = {name: cell.defines for name, cell in page.cells().items()}
        plain = page.run(None, code, store_history=False)
        assert plain.content["ename"] == "SyntaxError", code
        assert errors(page.run(name, code)) == errors(plain), code
        cells = page.cells()
        cell = cells.pop(name)
        assert (cell.status, cell.defines, cell.downstream) == ("error", (), ()), code
        assert {name: other.defines for name, other in cells.items()} == known, code


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("a = 1\nglobal a\na = 2\nprint(a)", "2"),
        ("global a\na: int = 3\nprint(a)", "3"),
        ("if True:\n    global a\n    a = 4\nprint(a)", "4"),
        ("print(5)\nfrom __future__ import annotations\na = 5", "5"),
        ("%time a = 6\nglobal a\nprint(a)", "6"),
    ],
)
@pytest.mark.parametrize("rule", ["lab", "strict"])
def test_what_compiles_one_statement_after_the_other_runs_and_is_followed(
    request: pytest.FixtureRequest, rule: str, code: str, shown: str
) -> None:
    page: FrontEnd = request.getfixturevalue(rule)
    page.run("reader", "print('read', a)")
    reply = page.run("cell", code)
    assert reply.ok
    assert shown in reply.text
    assert page.text("reader") == f"read {shown}"


def test_the_names_before_an_error_of_the_compiler_are_those_of_the_cell(lab: FrontEnd) -> None:
    lab.run("cell", "a = 1")
    lab.run("reader", "print(a)")
    reply = lab.run("cell", "a = 2\nb = 3\nreturn a\nc = 4")
    assert "'return' outside function" in reply.content["evalue"]
    assert lab.cells()["cell"].defines == ("a", "b")
    assert lab.text("reader") == "2", "as after an error of any other kind"
    lab.run("cell", "a = 5")
    assert lab.text("reader") == "5"


def test_an_edit_that_does_not_compile_is_refused_with_the_compilers_reason(connect: Connect) -> None:
    agent = connect("agent")
    before = agent.cells()
    batch = wire.EditCells([AddCell("a = 1\nreturn 5")])
    answer = wire.decode_reply(agent.ask(batch, "shell"), EditReport)
    assert not answer.applied
    assert [(problem.kind, problem.message) for problem in answer.problems] == [
        ("syntax", "new1: line 2: 'return' outside function")
    ]
    assert agent.cells() == before


def test_code_that_utf8_cannot_express_is_an_error_of_which_marimo_logs_nothing(
    lab: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.append(record.getMessage())

    monkeypatch.setattr(logging.getLogger("marimo"), "handlers", [Listener(logging.ERROR)])
    lab.run("one", "a = 1")
    message = lab.session.msg("execute_request", {}, metadata={"cellId": "two", "deletedCells": []})
    message["content"] = json.dumps({"code": "b = '\ud800'", "allow_stdin": False}).encode()
    assert lab.answer(message, "shell")["ename"] == "UnicodeEncodeError"
    assert lab.run("three", "a").text == "1"
    assert not logged


def test_a_function_is_compiled_without_a_copy_of_what_a_traceback_attached_to_operators(
    lab: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    (statement,) = ast.parse("-x").body
    for node in ast.walk(statement):
        if type(node) in {ast.Load, ast.USub}:  # of which all trees have the same
            monkeypatch.setattr(node, "parent", threading.Lock(), raising=False)  # which refuses to be copied
    assert lab.run("b", "def f(x): return -x\nprint(f(-1))").text == "1"
    assert "f" in lab.cells()["b"].defines
