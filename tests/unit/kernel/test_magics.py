"""IPython's magics in a reactive notebook: what they define is defined, what they use is used, the rest just works."""

import json
from pathlib import Path
from typing import Any

import pytest

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.output_log import strip_ansi
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd


def cells(front_end: FrontEnd) -> Any:
    """What the kernel says of its cells, by the front end's ids."""
    return {cell["notebook_cell_id"]: cell for cell in front_end.ask(wire.ListCells())["result"]}


DEFINING = [
    ("%%time\nx = {}", "x"),
    ("%%time\nif True:\n    x = {}", "x"),
    ("%time x = {}", "x"),
    ("%%prun -q\nx = {}", "x"),
    ("%%capture out\nx = {}", "x"),
    ("%%capture out\nprint({})", "int(out.stdout)"),
    ("x = !echo {}", "int(x[0])"),
    ("x = %time {}", "x"),
    ("%%bash --out x\necho {}", "int(x)"),
    ("%%script --out x bash\necho {}", "int(x)"),
    ("%%time\n%%capture out\nx = {}", "x"),
    ("%%time\nx = !echo {}", "int(x[0])"),
    ("get_ipython().run_cell('x = {}')", "x"),
]


@pytest.mark.parametrize(("code", "value"), DEFINING, ids=[code for code, _ in DEFINING])
def test_what_a_magic_defines_is_reactive(lab: FrontEnd, code: str, value: str) -> None:
    assert lab.run("one", code.format(1)).ok
    lab.run("two", f"print('is', {value})")
    assert lab.text("two") == "is 1"
    assert lab.run("one", code.format(2)).ok
    assert lab.text("two") == "is 2"


USING = [
    "%%time\nprint('is', a)",
    "%time print('is', a)",
    "!echo is {a}",
    "!echo is $a",
    "%%time\n!echo is $a",
    "out = !echo {a}\nprint('is', out[0])",
    "%sx echo is $a",
    "%%bash -s {a}\necho is $1",
    "%timeit -n 1 -r 1 print('is', a)",
    "%%timeit -n 1 -r 1\nprint('is', a)",
]


@pytest.mark.parametrize("code", USING)
def test_what_a_magic_uses_runs_it_again(lab: FrontEnd, code: str) -> None:
    lab.run("one", "a = 1")
    assert lab.run("two", code).ok
    assert "is 1" in lab.text("two")
    lab.run("one", "a = 2")
    assert "is 2" in lab.text("two")


REGISTERING = {
    "a line": ("{m}.register_line_magic\ndef greet(line): print('{}', line)", "%greet world"),
    "a cell": ("{m}.register_cell_magic\ndef greet(line, cell): print('{}', cell.strip())", "%%greet\nworld"),
    "another name": ("{m}.register_line_magic('hi')\ndef greet(line): print('{}', line)", "%hi world"),
    "a class": (
        (
            "{m}.magics_class\nclass Greeting({m}.Magics):\n    @{m}.line_magic\n    def greet(self, line): print('{}', line)\n"
            "get_ipython().register_magics(Greeting)"
        ),
        "%greet world",
    ),
}


@pytest.mark.parametrize(("define", "call"), REGISTERING.values(), ids=REGISTERING)
def test_a_call_of_a_magic_runs_again_after_an_edit_of_the_cell_that_registers_it(
    lab: FrontEnd, define: str, call: str
) -> None:
    def defining(word: str) -> str:
        return "import IPython.core.magic as m\n" + (
            define.replace("{m}.", "@m.", 1).replace("{m}", "m").replace("{}", word)
        )

    lab.run_each((defining("hello"), call), (f"0: {defining('good night')}",))
    assert lab.text("1") == "good night world"


def test_a_magic_of_ipython_uses_no_name_that_is_like_it(lab: FrontEnd) -> None:
    lab.run_each(("matplotlib = who = 1", "%who str\n%lsmagic"))
    assert lab.cells()["1"].uses == ()


def test_writefile_and_bash_define_nothing(lab: FrontEnd, tmp_path: Path) -> None:
    lab.run("one", "x = 1")
    file = tmp_path / "f.py"
    assert lab.run("two", f"%%writefile {file}\nx = 2").text == f"Writing {file}"
    assert file.read_text() == "x = 2\n"
    assert lab.run("three", "%%bash\nx=3\necho bash $x").text == "bash 3"
    assert lab.run("four", "x").text == "1"


TIMED = [
    "%timeit -n 1 -r 1 print('is', x)",
    "%timeit -n 1 -r 1 show(x)",
    "%%timeit -n 1 -r 1\nprint('is', x)",
    "%%timeit -n 1 -r 1 y = x\nprint('is', y)",
]


@pytest.mark.parametrize("code", TIMED)
def test_what_is_timed_uses_the_version_above_it_of_a_name_that_is_defined_again(
    lab: FrontEnd, code: str
) -> None:
    lab.run("show", "def show(value): print('is', value)")
    lab.run("one", "x = 1")
    lab.run("again", "x = x + 1")
    assert lab.run("timed", code).ok
    assert "is 2" in lab.text("timed")
    *_, one, again, timed = cells(lab).values()
    assert again["cell_id"] in timed["upstream"]
    assert one["cell_id"] not in timed["upstream"]
    lab.run("one", "x = 40")
    assert "is 41" in lab.text("timed")


def test_captured_output_is_shown_anew_by_its_dependent(lab: FrontEnd) -> None:
    lab.run(
        "one",
        "%%capture out\nfrom IPython.display import display, HTML\ndisplay(HTML('<b>1</b>'))\nprint('one')",
    )
    assert lab.text("one") == ""
    lab.run("two", "out.show()")
    lab.run(
        "one",
        "%%capture out\nfrom IPython.display import display, HTML\ndisplay(HTML('<b>2</b>'))\nprint('two')",
    )
    stream, html = lab.outputs("two")
    assert (stream["text"], html["data"]["text/html"]) == ("two\n", "<b>2</b>")


def test_the_graph_shows_agents_and_people_the_cell_as_it_was_written(lab: FrontEnd) -> None:
    lab.run("one", "%%time\nx = 1")
    lab.run("two", "!echo $x")
    one, two = cells(lab).values()
    assert (one["code"], one["defines"], one["downstream"]) == ("%%time\nx = 1", ["x"], [two["cell_id"]])
    assert (two["code"], two["uses"]) == ("!echo $x", ["x"])


def test_two_cells_that_define_a_name_in_a_magic_are_told_apart(strict: FrontEnd) -> None:
    strict.run("one", "%%time\nx = 1")
    assert strict.run("two", "%time x = 2").content["ename"] == "MultipleDefinitionError"


def test_a_magic_that_is_gone_takes_its_names_along(lab: FrontEnd) -> None:
    lab.run("one", "%%time\nx = 1")
    lab.run("one", "%%time\ny = 1")
    assert lab.run("two", "x").content["ename"] == "NameError"


def test_timeit_defines_nothing(lab: FrontEnd) -> None:
    lab.run("one", "x = 1")
    assert lab.run("two", "%%timeit -n 1 -r 1\nx = 5").ok
    assert lab.run("three", "x").text == "1"


def test_private_names_reach_the_magics_of_their_cell_and_no_other_cell(strict: FrontEnd) -> None:
    assert strict.run("one", "_n = 20\n%time print('is', _n)\nx = !echo {_n + 1}").ok
    assert "is 20" in strict.text("one")
    assert strict.run("two", "x").text == "['21']"
    assert strict.run("three", "_n").content["ename"] == "NameError"
    assert strict.run("four", "%%time\n_n = 4\nprint(_n)").ok
    assert strict.run("five", "_n").content["ename"] == "NameError"


def test_private_names_that_a_function_needs_stay(lab: FrontEnd) -> None:
    lab.run("one", "%%time\n_factor = 3\ndef f(x): return x * _factor")
    assert lab.run("two", "f(2)").text == "6"


def test_run_defines_what_the_script_does(lab: FrontEnd, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("x = 1\ndef double(v): return v * 2")
    lab.run("one", f"%run {script}")
    lab.run("two", "print('is', double(x))")
    script.write_text("x = 5\ndef double(v): return v * 2")
    assert lab.run("one", f"%run {script}").ok
    assert lab.text("two") == "is 10"


def test_run_takes_a_notebook(lab: FrontEnd, tmp_path: Path) -> None:
    notebook = tmp_path / "n.ipynb"
    cell: dict[str, Any] = {
        "cell_type": "code",
        "source": "x = a",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    notebook.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}))
    lab.run("one", "a = 1")
    assert lab.run("two", f"%run {notebook}").ok
    lab.run("three", "print('is', x)")
    lab.run("one", "a = 2")
    assert lab.text("three") == "is 2"


def test_stored_names_are_defined_when_they_come_back(lab: FrontEnd) -> None:
    lab.run("zero", "%load_ext storemagic")
    lab.run("one", "kept_by_test = 41")
    assert "Stored 'kept_by_test'" in lab.run("two", "%store kept_by_test").text
    lab.run("one", "pass")
    assert lab.run("three", "%store -r kept_by_test").ok
    lab.run("four", "print('is', kept_by_test + 1)")
    assert lab.text("four") == "is 42"
    assert cells(lab)["three"]["defines"] == ["kept_by_test"]
    lab.run("five", "%store -d kept_by_test")


@pytest.mark.parametrize(("code", "told"), [("f?", "Docstring: doc of f"), ("f??", "return 41")])
def test_a_question_about_an_object_is_answered_in_the_pager_and_makes_no_edge(
    lab: FrontEnd, code: str, told: str
) -> None:
    lab.run("one", "def f():\n    'doc of f'\n    return 41")
    (page,) = lab.run("two", code).content["payload"]
    assert page["source"] == "page"
    assert told in " ".join(strip_ansi(page["data"]["text/plain"]).split())
    assert lab.run("one", "def f():\n    'another doc'\n    return 42").content["payload"] == []
    assert [cell["uses"] for cell in cells(lab).values()] == [[], []]


def test_a_dependent_opens_no_pager_with_the_reply_of_another_cell(lab: FrontEnd, connect: Connect) -> None:
    lab.run("one", "a = 1")
    assert lab.run("two", "print('is', a)\nlen?").content["payload"] != []
    lab.run("one", "a = 2")
    assert lab.text("two") == "is 2"
    assert lab.run("three", "3").content["payload"] == []
    terminal = connect("terminal")
    assert len(terminal.run(None, "print('is', a)\nlen?").content["payload"]) == 1
    lab.run("one", "a = 3")
    assert [payload["source"] for payload in terminal.run(None, "int?").content["payload"]] == ["page"]


def test_history_is_there_by_all_its_names(lab: FrontEnd) -> None:
    lab.run("one", "40 + 2")
    lab.run("two", "'other'")
    shown = lab.run("three", "print(_, __, _1, Out[1], In[1], _i1, _oh[2], _ih[2], _i)").text
    assert shown == "other 42 42 42 40 + 2 40 + 2 other 'other' 'other'"
    assert lab.run("four", "%history -n 1").text == "1: 40 + 2"


def test_run_of_a_script_by_the_agent_is_analysed_too(connect: Connect, lab: FrontEnd) -> None:
    agent = connect("agent")
    agent.run(None, "%%time\nshared = 7")
    assert lab.run("one", "shared").text == "7"


def test_a_failing_body_is_an_error_of_its_cell_and_cancels_those_below(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "%%time\nb = 1 / a")
    lab.run("three", "print(b)")
    lab.run("one", "a = 0")
    assert "ZeroDivisionError" in lab.text("two")
    assert lab.text("three").startswith("UpstreamError")


@pytest.mark.parametrize("code", ["%%time\nx = (", "%%capture out\nx = (", "%time x ="])
def test_a_body_that_is_not_python_is_an_error_and_its_old_names_are_gone(lab: FrontEnd, code: str) -> None:
    lab.run("one", "%%time\nx = 1")
    lab.run("two", "print('is', x)")
    lab.run("one", code)
    assert "is 1" not in lab.text("two")
    lab.run("one", "%%time\nx = 2")
    assert lab.text("two") == "is 2"


def test_automagic_and_aliases_work(lab: FrontEnd) -> None:
    assert lab.run("one", "pwd").text.startswith("'/")
    assert "Wall time" in lab.run("two", "%alias_magic t time\n%t 1 + 1").text
