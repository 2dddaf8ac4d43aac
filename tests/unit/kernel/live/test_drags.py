"""Values that come from a page faster than their readers run."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.unit.kernel.live.live_page import LivePage
    from tests.unit.kernel.notebook_in_memory import FrontEnd

pytestmark = pytest.mark.usefixtures("from_now_on")

LAST = 40


class Drag:
    """A person's drag of a slider: each run of a reader takes as long as the next value needs to come."""

    element = ""
    others_ask = False
    """Whether requests of other kinds come as well, which stop runs between two cells."""

    def __init__(self, page: LivePage) -> None:
        self._page = page
        self._value = 1
        self.seen: dict[str, list[int]] = {}

    def move(self) -> None:
        """Send the next value, if there is one."""
        if self.element and self._value < LAST:
            self._value += 1
            self._page.say(type="set", values=[(self.element, self._value)], wait=False)
            if self.others_ask:
                front_end = self._page.front_end
                request = front_end.session.msg("is_complete_request", {"code": ""})
                front_end.kernel.send(front_end.session.serialize(request, front_end.ident))

    def read(self, reader: str, value: int) -> None:
        """Note what a reader has read."""
        self.seen.setdefault(reader, []).append(value)
        self.move()

    def finish(self) -> None:
        """Drag to the end."""
        self.seen.clear()
        self.move()
        while self._value < LAST:
            before = self._value
            self._page.settle()
            assert self._value > before, "no reader runs any more"
        self._page.settle()


@pytest.fixture
def drag(notebook: FrontEnd, page: LivePage) -> Drag:
    """The drag of a slider with three readers and a cell that depends on one of them."""
    reads = _passed_on(drag := Drag(page))
    notebook.kernel.kernel.shell.user_ns["reads"] = reads  # not looked into, as a function would be
    assert notebook.run("slider", f"size = mo.ui.slider(1, {LAST})\nsize").ok
    for reader in ("first", "second", "third"):
        assert notebook.run(
            reader, f"read_by_{reader} = size.value\nreads.send(('{reader}', read_by_{reader}))"
        ).ok
    assert notebook.run("below", "print(read_by_second)\nreads.send(('below', read_by_second))").ok
    (drag.element,) = page.ids("slider")
    return drag


def _passed_on(drag: Drag) -> Generator[None, tuple[str, int], None]:
    def reads() -> Generator[None, tuple[str, int], None]:
        while True:
            drag.read(*(yield))

    passed_on = reads()
    next(passed_on)
    return passed_on


@pytest.mark.parametrize("others_ask", [False, True])
def test_all_readers_have_the_last_value_of_a_drag(
    notebook: FrontEnd, drag: Drag, *, others_ask: bool
) -> None:
    drag.others_ask = others_ask
    drag.finish()
    assert [drag.seen[reader][-1] for reader in ("first", "second", "third")] == [LAST, LAST, LAST]
    assert notebook.text("below") == str(LAST)


def test_all_that_depends_on_a_slider_runs_while_it_is_dragged(drag: Drag) -> None:
    drag.finish()
    runs = [len(values) for values in drag.seen.values()]
    assert len(runs) == 4
    assert len(set(runs)) == 1
    assert runs[0] >= LAST // 4


def test_readers_of_a_state_that_a_thread_sets_all_the_time_run_until_the_last_value(
    notebook: FrontEnd, page: LivePage
) -> None:
    """The thread sets the state while its reader runs, so that the notebook never comes to rest."""
    steps, wanted, given = range(1, 21), threading.Event(), threading.Event()

    def each_when_wanted() -> Iterator[int]:
        for step in steps:
            assert wanted.wait(20)
            wanted.clear()
            yield step
            given.set()

    def wait_for_step() -> None:
        wanted.set()
        given.wait(1)
        given.clear()

    notebook.kernel.kernel.shell.user_ns.update(wait_for_step=wait_for_step, steps=each_when_wanted)
    assert notebook.run("state", "step, set_step = mo.state(0)").ok
    work = "def work():\n    for each in steps():\n        set_step(each)\nmo.Thread(target=work).start()"
    assert notebook.run("thread", work).ok
    assert notebook.run("reader of the state", "seen = step()\nif seen < 20:\n    wait_for_step()").ok
    assert notebook.run("last", "print(seen)").ok
    page.settle()
    assert notebook.text("last") == "20"


@pytest.fixture
def interrupted(notebook: FrontEnd, page: LivePage) -> str:
    """The id of a slider whose first reader was interrupted at 5."""
    assert notebook.run("slider", "size = mo.ui.slider(1, 9)\nsize").ok
    assert notebook.run("reader", "if size.value == 5:\n    raise KeyboardInterrupt\nprint(size.value)").ok
    assert notebook.run("after", "print(size.value)").ok
    (element,) = page.ids("slider")
    page.set({element: 5})
    assert "KeyboardInterrupt" in str(notebook.outputs("reader"))
    return element


def test_a_reader_that_was_interrupted_runs_with_the_next_value(
    notebook: FrontEnd, page: LivePage, interrupted: str
) -> None:
    page.set({interrupted: 6})
    assert notebook.text("reader") == notebook.text("after") == "6"


@pytest.mark.usefixtures("interrupted")
def test_a_reader_that_was_interrupted_runs_with_a_value_that_waits_while_another_cell_is_requested(
    notebook: FrontEnd, page: LivePage
) -> None:
    notebook.kernel.kernel.notebook.runtime.queue_ui_value("size", 6)
    assert notebook.run("other", "1 + 1").ok
    page.settle()
    assert notebook.text("reader") == notebook.text("after") == "6"


def test_a_person_s_interrupt_of_readers_holds_while_a_thread_sets_their_state(
    notebook: FrontEnd, page: LivePage
) -> None:
    assert notebook.run("state", "step, set_step = mo.state(0)").ok
    assert notebook.run("reader", "if step() == 1:\n    raise KeyboardInterrupt\nprint(step())").ok
    assert notebook.run("after", "print(step())").ok
    for step in (1, 2):
        assert notebook.run(
            "thread", f"thread = mo.Thread(target=set_step, args=[{step}])\nthread.start()\nthread.join()"
        ).ok
        page.settle()
    assert notebook.text("reader") == "2"
    assert notebook.cells()["after"].status == "interrupted"


def test_cells_that_set_each_other_s_states_stop_beside_a_thread_that_sets_another_one(
    notebook: FrontEnd, page: LivePage
) -> None:
    runs: deque[str] = deque()
    ticks = iter(range(10_000))
    notebook.kernel.kernel.shell.user_ns.update(note=runs.append, ticks=ticks)
    assert notebook.run(
        "states", "a, set_a = mo.state(0)\nb, set_b = mo.state(0)\ntick, set_tick = mo.state(0)"
    ).ok
    thread = "thread = mo.Thread(target=set_tick, args=[next(ticks)])\nthread.start()\nthread.join()\n"
    for one, other in (("a", "b"), ("b", "a")):
        body = thread.replace("thread", f"thread_{one}") + f"note('{one}')\nset_{other}({one}() + 1)"
        assert notebook.run(one, body).ok
    page.settle()
    assert 8 <= len(runs) <= 20
