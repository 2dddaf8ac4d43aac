"""The buttons and prompts around the cells: interrupt, stdin, restart, reload, delete."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

LOOP = "import time\nprint('endless:', endless)\nwhile endless:\n    time.sleep(0.05)"


def test_the_toolbar_interrupts_a_running_cell_and_the_kernel_goes_on(lab):
    page = lab("endless = True\n" + LOOP, "a = 6", "a * 7")
    page.run(0)
    expect(page.outputs(0)).to_have_text(["endless: True"])
    expect(page.prompt(0)).to_have_text("[*]:")

    page.interrupt()

    expect(page.outputs(0)).to_contain_text(["endless: True", "KeyboardInterrupt"])
    expect(page.prompt(0)).to_have_text("[1]:")
    page.expect_status("idle")
    page.run(1)
    page.run(2)
    expect(page.outputs(2)).to_have_text(["42"])


@pytest.mark.long
def test_the_toolbar_interrupts_a_dependent_that_runs_by_itself(lab):
    page = lab("endless = False", LOOP)
    page.run_all()
    expect(page.outputs(1)).to_have_text(["endless: False"])
    page.edit(0, "endless = True")
    page.run(0)
    expect(page.outputs(1)).to_have_text(["endless: True"])
    page.expect_status("busy")

    page.interrupt()

    expect(page.outputs(1)).to_contain_text(["endless: True", "KeyboardInterrupt"])
    page.expect_status("idle")
    expect(page.outputs(0)).to_have_count(0)
    page.edit(0, "endless = False")
    page.run(0)
    expect(page.outputs(1)).to_have_text(["endless: False"])


def test_input_asks_the_person_and_its_answer_reaches_the_dependents(lab):
    page = lab("name = input('Who? ')", "print('Hello,', name)")
    page.run(0)

    page.answer("Ada")
    page.run(1)
    expect(page.outputs(1)).to_have_text(["Hello, Ada"])

    page.run(0)
    page.answer("Grace")
    expect(page.outputs(1)).to_have_text(["Hello, Grace"])


@pytest.mark.long
def test_a_dependent_that_runs_by_itself_may_ask_too(lab):
    page = lab("question = 'Who? '", "name = input(question)\nprint('Hello,', name)")
    page.run_all()
    page.answer("Ada")
    expect(page.outputs(1)).to_contain_text(["Who?", "Hello, Ada"])

    page.edit(0, "question = 'And now? '")
    page.run(0)
    page.answer("Grace")

    expect(page.outputs(1)).to_contain_text(["And now?", "Hello, Grace"])
    page.expect_status("idle")


@pytest.mark.long
def test_restart_and_run_all_starts_from_nothing_and_shows_the_same(lab):
    page = lab(
        "try:\n    seen += 1\nexcept NameError:\n    seen = 1",
        "runs = seen\nruns",
        "print('runs:', runs)",
        kernel="marimo",
    )
    page.run_all()
    expect(page.outputs(2)).to_have_text(["runs: 1"])

    page.restart_and_run_all()

    expect(page.prompt(2)).to_have_text("[3]:")
    expect(page.outputs(1)).to_have_text(["1"])
    expect(page.outputs(2)).to_have_text(["runs: 1"])


@pytest.mark.long
def test_after_a_restart_nothing_of_the_old_namespace_is_left(lab):
    page = lab("a = 1", "a + 1")
    page.run_all()
    expect(page.outputs(1)).to_have_text(["2"])

    page.restart()
    page.run(1)

    expect(page.outputs(1)).to_contain_text(["NameError"])
    page.run(0)
    expect(page.outputs(1)).to_have_text(["2"])


@pytest.mark.long
def test_after_a_reload_dependents_are_shown_under_the_cell_that_ran_until_they_run_themselves(lab):
    # A reloaded page has forgotten its requests, and so shows no late output of them.
    page = lab("a = 1", "print('a is', a)", own_page=True)
    page.run_all()
    expect(page.outputs(1)).to_have_text(["a is 1"])
    page.save()
    page.reload()

    page.edit(0, "a = 2")
    page.run(0)
    expect(page.outputs(0)).to_contain_text(["cell [2] `print('a is', a)`\na is 2"])
    expect(page.outputs(1)).to_have_text(["a is 1"])

    page.run(1)
    expect(page.outputs(1)).to_have_text(["a is 2"])
    page.edit(0, "a = 3")
    page.run(0)
    expect(page.outputs(1)).to_have_text(["a is 3"])
    expect(page.outputs(0)).to_have_count(0)


@pytest.mark.long
def test_the_name_of_a_deleted_cell_is_gone_and_free_again(lab):
    page = lab("a = 1", "a + 1", "b = 5")
    page.run_all()
    expect(page.outputs(1)).to_have_text(["2"])

    page.delete(0)
    page.run(1)  # Lab tells of deleted cells with the next request
    expect(page.outputs(0)).to_contain_text(["NameError: name 'a' is not defined"])

    page.edit(1, "a = 5")
    page.run(1)
    expect(page.outputs(0)).to_have_text(["6"])
