"""What the reply to an execute_request says of the code that ran."""

import pytest

from tests.unit.kernel.notebook_in_memory import FrontEnd


def test_a_reply_has_the_count_and_the_expressions_asked_for(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    content = lab.run("two", "b = a + 1", user_expressions={"sum": "a + b", "wrong": "nope"}).content
    assert (content["status"], content["execution_count"], content["payload"]) == ("ok", 2, [])
    assert content["user_expressions"]["sum"]["data"]["text/plain"] == "3"
    assert content["user_expressions"]["wrong"]["ename"] == "NameError"


@pytest.mark.parametrize(
    ("code", "ename", "evalue"),
    [
        ("1 / 0", "ZeroDivisionError", "division by zero"),
        ("raise ValueError('no')", "ValueError", "no"),
        ("class Bad:\n    def __repr__(self): raise TypeError('unshown')\nBad()", "TypeError", "unshown"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
    ],
)
def test_a_failure_is_the_reply_and_is_shown(lab: FrontEnd, code: str, ename: str, evalue: str) -> None:
    reply = lab.run("one", code, user_expressions={"a": "1"})
    content = reply.content
    assert (content["status"], content["ename"], content["evalue"]) == ("error", ename, evalue)
    assert (content["user_expressions"], bool(content["traceback"])) == ({}, True)
    assert ename in reply.text


def test_code_that_is_no_python_is_an_error_that_is_not_run(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    assert lab.run("one", "a = (").content["ename"] == "SyntaxError"
    assert lab.run(None, "'a' in globals()", store_history=False).text == "False"


def test_a_transformer_that_fails_is_an_error_and_the_next_cell_runs(lab: FrontEnd) -> None:
    install = (
        "def broken(lines):\n    raise RuntimeError('broken')\n"
        "get_ipython().input_transformers_post.append(broken)"
    )
    lab.run(None, install, store_history=False)
    assert lab.run("one", "a = 1").content["status"] == "error"
    # Where no cell can be transformed, only the completer's way in is left.
    lab.kernel.kernel.shell.input_transformers_post.clear()
    assert lab.run("one", "a = 1").ok


def test_a_hidden_request_has_no_number_of_its_own(lab: FrontEnd) -> None:
    lab.run("one", "a = 1")
    assert lab.run(None, "a", store_history=False).text == "1"
    assert lab.run("two", "a").content["execution_count"] == 2


def test_a_payload_goes_with_the_reply_that_it_belongs_to(lab: FrontEnd) -> None:
    content = lab.run("one", "get_ipython().payload_manager.write_payload({'source': 'x'})").content
    assert content["payload"] == [{"source": "x"}]
    assert lab.run("two", "1").content["payload"] == []
