"""The history has every line, and the next cell never waits for the disk."""

import atexit
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from marimo_kernel_bridge.kernel.ipython.history import InputHistory


class SlowConnection(sqlite3.Connection):
    """A disk that takes until `gate` is set."""

    gate, writing = threading.Event(), threading.Event()

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        self.writing.set()
        assert self.gate.wait(60)
        return super().executemany(*arguments)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[InputHistory]:
    shell = InteractiveShell()
    made = InputHistory(shell=shell, hist_file=str(tmp_path / "history.sqlite"))
    yield made
    made._stop_thread()
    made.db.close()
    atexit.unregister(shell.atexit_operations)
    shell._atexit_once()


def lines(history: InputHistory) -> list[tuple[int, object]]:
    return [(line, source) for _, line, source in history.get_tail(100, include_latest=True)]


def test_lines_are_read_back_in_their_order(history: InputHistory) -> None:
    for number in range(1, 30):
        history.store_inputs(number, f"x = {number}")
    assert lines(history) == [(number, f"x = {number}") for number in range(1, 30)]


def test_a_line_is_taken_while_earlier_ones_are_being_written(history: InputHistory) -> None:
    slow = sqlite3.connect(history.hist_file, factory=SlowConnection, check_same_thread=False)
    SlowConnection.gate.clear()
    history.db_input_cache.append((1, "first", "first"))
    writer = threading.Thread(target=history.writeout_cache, args=(slow,))
    writer.start()
    assert SlowConnection.writing.wait(60)
    history.db_cache_size = 100  # the thread of the history itself stays out of it
    taken = threading.Thread(target=history.store_inputs, args=(2, "second"))
    taken.start()
    taken.join(30)
    waited = taken.is_alive()
    SlowConnection.gate.set()
    writer.join()
    taken.join()
    slow.close()
    assert not waited
    assert lines(history) == [(1, "first"), (2, "second")]


def test_lines_that_another_process_has_under_our_number_move_to_a_new_session(history: InputHistory) -> None:
    number = history.session_number
    with history.db:
        history.db.execute("INSERT INTO history VALUES (?, ?, ?, ?)", (number, 1, "theirs", "theirs"))
    history.store_inputs(1, "ours")
    history.writeout_cache()
    kept = list(history.db.execute("SELECT session, source FROM history ORDER BY session"))
    assert kept == [(number, "theirs"), (history.session_number, "ours")]
    assert history.session_number != number


def test_outputs_are_kept_where_the_user_wants_that(history: InputHistory) -> None:
    history.db_log_output = True
    history.output_hist_reprs[1] = "42"
    history.store_inputs(1, "6 * 7")
    history.store_output(1)
    history.writeout_cache()
    assert list(history.db.execute("SELECT output FROM output_history")) == [("42",)]
