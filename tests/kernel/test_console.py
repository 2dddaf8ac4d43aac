"""A real terminal front end, jupyter-console, driven through a pseudo terminal."""

import os
import re
import sys

import pexpect
import pytest

PROMPT = r"In \[\d+\]: "


@pytest.fixture(scope="module")
def console(in_pool):
    """A terminal that all tests share: each has names of its own."""
    with in_pool() as kernelspec:
        environment = os.environ | {"JUPYTER_CONSOLE_TEST": "1", "TERM": "dumb"}
        environment.pop("PYTEST_CURRENT_TEST", None)
        command = ["-m", "jupyter", "console", "--kernel", kernelspec, "--simple-prompt", "--no-confirm-exit"]
        child = pexpect.spawn(
            sys.executable, command, env=environment, timeout=60, encoding="utf-8", echo=False
        )
        child.expect(PROMPT)
        yield child
        child.sendline("exit()")
        child.close(force=True)


def run(console, code: str) -> str:
    console.sendline(code)
    console.expect(PROMPT)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.before)


def test_dependents_are_printed_with_a_heading_when_they_change(console):
    run(console, "a = 1")
    assert "a is 1" in run(console, "print('a is', a)")
    shown = run(console, "a = 2")
    assert re.search(r"↻ cell \[\d+\] `print\('a is', a\)`", shown)
    assert "a is 2" in shown


def test_values_errors_and_help_look_as_with_ipykernel(console):
    assert re.search(r"Out\[\d+\]: 42", run(console, "40 + 2"))
    assert "ZeroDivisionError" in run(console, "1 / 0")
    assert "43" in run(console, "_ + 1")
