"""A kernel dies, and the next one restores what a checkpoint has: which cells are fresh, and what their values are."""

import os
import sys
import threading
from pathlib import Path

import pytest

from marimo_kernel_bridge.checkpoints.store import Store
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.checkpoints import capture, planning
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.checkpoints import CheckpointSummary
from tests.unit.kernel.checkpoints.lives import Lives

NOTEBOOK = {
    "imports": "import sqlite3, pandas as pd, marimo as mo",
    "load": "loads = [*globals().get('loads', []), 1]\ndf = pd.DataFrame({'a': [1, 2, 3]})",
    "step": "step = 2",
    "filter": "df = df[df['a'] > 1].reset_index(drop=True)",
    "column": "df['c'] = df['a'] * step",
    "same": "same = df",
    "bonus": "bonus = 10",
    "pay": "def pay(x):\n    return x + bonus",
    "use": "paid = [pay(each) for each in df['c']]",
    "slider": "s = mo.ui.slider(0, 10)",
    "read": "twice = s.value * 2",
    "con": "con = sqlite3.connect(':memory:')",
    "query": "one = con.execute('select 1').fetchone()",
}


def test_a_new_kernel_has_what_the_checkpoint_has_and_says_why_the_rest_is_stale(lives: Lives) -> None:
    lives.run(NOTEBOOK)
    lives.run({"": "%marimo set s 5"})
    assert lives.values["twice"] == 10
    saved = lives.save()
    assert [(lost.name, lost.type) for lost in saved.lost] == [("con", "sqlite3.Connection")]
    lives.die()
    restored = lives.restore()
    assert set(lives.named(restored.fresh)) == NOTEBOOK.keys() - {"con", "query"}
    assert lives.why(restored) == {
        "con": "`con`: a connection cannot be kept",
        "query": "reads `con` of a stale cell",
    }
    assert lives.fresh() == NOTEBOOK.keys() - {"con", "query"}
    values = lives.values
    assert values["same"] is values["df"]
    assert values["df"].to_dict("list") == {"a": [2, 3], "c": [4, 6]}
    assert (values["paid"], values["twice"], values["s"].value, values["loads"]) == ([14, 16], 10, 5, [1])


def test_after_a_restore_a_change_runs_its_readers_and_nothing_else(lives: Lives) -> None:
    lives.run(NOTEBOOK)
    lives.save()
    lives.die()
    lives.restore()
    ran = lives.ran_by("bonus", "bonus = 100")
    assert ran == ["bonus", "pay", "use"]
    assert lives.values["paid"] == [104, 106]
    # It reads the version of the first cell.
    assert lives.ran_by("filter", "df = df[df['a'] > 2].reset_index(drop=True)") == [
        "filter",
        "column",
        "same",
        "use",
    ]
    assert lives.values["df"].to_dict("list") == {"a": [3], "c": [6]}
    assert lives.values["loads"] == [1]
    assert lives.ran_by("con", NOTEBOOK["con"]) == ["con", "query"]
    assert lives.fresh() == NOTEBOOK.keys()


def test_a_cell_that_was_edited_before_the_restore_is_stale_with_what_is_below(lives: Lives) -> None:
    lives.run(NOTEBOOK)
    lives.save()
    lives.die()
    lives.write_file({**NOTEBOOK, "pay": "def pay(x):\n    return x - bonus", "new": "added = 1"})
    restored = lives.restore()
    why = lives.why(restored)
    assert why["pay"] == "its code has changed"
    assert why["use"] == "what it reads has changed"
    assert why["new"] == "is not in the checkpoint"
    assert why.keys() == {"pay", "use", "new", "con", "query"}
    assert lives.fresh() == NOTEBOOK.keys() - why.keys()


@pytest.mark.parametrize("at", [5.0, 2.0], ids=["a clock that was set back", "the same second"])
def test_a_file_that_was_saved_since_is_the_notebook_whatever_the_clock_says(lives: Lives, at: float) -> None:
    lives.write_file({"one": "a = 1"}, at=2.0)
    lives.run({"one": "a = 1", "two": "b = a"})
    lives.save()
    lives.die()
    assert lives.named(lives.restore().fresh) == ["one", "two"], (
        "the file is as it was: the kernel's cells are newer"
    )
    lives.die()
    lives.write_file({"one": "a = 1", "new": "c = 1"}, at=at)
    restored = lives.restore()
    assert lives.cells().keys() == {"one", "new"}
    assert lives.why(restored) == {"new": "is not in the checkpoint"}


def test_what_an_older_version_saved_goes_by_the_time_of_the_file(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "file_state", lambda _path: None)
    lives.run({"one": "a = 1"})
    lives.save()
    lives.write_file({"other": "c = 1"}, at=5.0)
    lives.die()
    assert lives.named(lives.restore().fresh) == ["one"]
    lives.die()
    lives.write_file({"other": "c = 1"})
    lives.restore()
    assert lives.cells().keys() == {"other"}


def test_a_preview_changes_nothing(lives: Lives) -> None:
    lives.run(NOTEBOOK)
    lives.save()
    lives.die()
    lives.run({"imports": NOTEBOOK["imports"]})
    before = lives.cells()
    shown = lives.restore(preview=True)
    assert shown.preview
    assert len(shown.fresh) == len(NOTEBOOK) - 2
    assert lives.cells() == before
    assert "df" not in lives.values
    assert set(lives.named(lives.restore().fresh)) == NOTEBOOK.keys() - {"con", "query"}


def test_the_person_saves_restores_and_lists_with_magics(lives: Lives) -> None:
    lives.run({"x": "x = 1", "y": "y = x + 1\nprint(y)"})
    assert lives.lab.run("save", "%marimo save mine").text.startswith("saved 2 cells as 'mine' in ")
    lives.die()
    assert "mine" in lives.lab.run("list", "%marimo checkpoints").text
    assert lives.lab.run("restore", "%marimo restore").ok
    lives.lab.sync()
    assert lives.lab.text("restore").startswith("restored 2 of 2 cells of ")
    assert lives.fresh() >= {"x", "y"}
    assert (lives.values["x"], lives.values["y"]) == (1, 2)
    assert lives.output("y") == "2"


def test_the_person_verifies_and_deletes_with_magics(lives: Lives) -> None:
    lives.run({"x": "import numpy as np\nx = np.arange(100_000)"})
    lives.save("first")
    lives.save("second")
    assert lives.lab.run("v", "%marimo checkpoints verify").text.split() == [
        "second",
        "whole",
        "first",
        "whole",
    ]
    store = Store()
    (blob,) = [path for path in store.folder.glob("blobs/*") if path.stat().st_size == 800_000]
    blob.write_bytes(b"\1" + blob.read_bytes()[1:])  # of an array: a restore takes it as it is
    assert "[checkpoint_broken]" in lives.lab.run("v", "%marimo checkpoints verify").text
    left = lives.lab.run("d", "%marimo checkpoints delete first").text
    assert left.startswith("second ")
    assert "\n" not in left
    assert not lives.lab.run("d", "%marimo checkpoints delete first").ok
    assert not lives.lab.run("d", "%marimo checkpoints delete").ok


def test_a_new_kernel_says_once_that_there_is_a_checkpoint(lives: Lives) -> None:
    lives.run({"x": "x = 1"})
    lives.save()
    lives.die()
    lives.write_file({"x": "x = 1"})
    lives.run({"one": "1"})
    lives.lab.wait_for("one", "There is a checkpoint of ")
    assert "1 of 1 cell can be restored with `%marimo restore`" in lives.lab.text("one")
    lives.run({"two": "2"})
    assert lives.lab.text("two") == "2"


def test_a_page_that_has_lost_its_outputs_shows_those_that_are_restored(lives: Lives) -> None:
    cells = {"x": "x = 1\nx + 1", "y": "y = x", "gone": "con = open('/dev/null')\n3"}
    lives.run(cells)
    lives.save()
    lives.die()
    page = lives.lab.open(cells)
    lives.restore(preview=True)
    assert page.outputs == {}
    lives.restore()
    assert lives.kernel.run_until(lambda: bool(page.outputs))
    assert page.outputs.keys() == {"x"}
    shown = page.outputs["x"]
    assert ([output["data"]["text/plain"] for output in shown.outputs], shown.execution_count) == (["2"], 1)


def test_a_cell_that_reads_one_of_two_ui_elements_of_a_name_is_fresh_with_its_value(lives: Lives) -> None:
    lives.run(
        {
            "mo": "import marimo as mo",
            "first": "s = mo.ui.slider(0, 9, value=3)",
            "second": "s = mo.ui.slider(0, 9, value=4)",
            "read": "t = s.value + 4",
        }
    )
    lives.save()
    lives.die()
    assert lives.why(lives.restore()) == {}
    assert lives.values["t"] == 8


def test_random_numbers_and_the_working_directory_go_on(lives: Lives) -> None:
    lives.run(
        {
            "seed": "import os, random\nrandom.seed(1)",
            "first": "first = random.random()",
            "folder": "os.makedirs('inside', exist_ok=True)\nos.chdir('inside')",
        }
    )
    lives.save()
    lives.run({"next": "second = random.random()"})
    folder, second = Path.cwd(), lives.values["second"]
    lives.die()
    os.chdir("..")
    lives.restore()
    lives.run({"next": "second = random.random()"})
    assert (Path.cwd(), lives.values["second"]) == (folder, second)


def test_the_import_path_gets_what_cells_added_and_nothing_of_the_former_interpreter(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, "/of/the/former/site-packages"])
    lives.die()
    lives.run({"path": "import sys\nsys.path.insert(0, '/mine/first')\nsys.path.append('/mine/last')"})
    lives.save()
    own = [path for path in sys.path if not path.startswith(("/mine", "/of/the/former"))]
    monkeypatch.setattr(sys, "path", own.copy())
    lives.die()
    assert lives.named(lives.restore().fresh) == ["path"]
    assert sys.path == ["/mine/first", *own, "/mine/last"]


def test_each_version_of_a_name_that_cannot_be_kept_has_its_reason(lives: Lives) -> None:
    lives.run(
        {
            "import": "import threading",
            "one": "lock = threading.Lock()",
            "two": "lock = [threading.Lock()]",
            "x": "x = 1",
        }
    )
    saved = lives.save()
    assert [(lost.name, lost.path) for lost in saved.lost] == [("lock", ""), ("lock", "[0]")]
    lives.die()
    restored = lives.restore()
    assert lives.why(restored) == {
        "one": "`lock`: a lock cannot be kept",
        "two": "`lock`: _thread.lock: a lock cannot be kept (at [0])",
    }


PRIVATE = {"a": "_k = 1\ndef f():\n    return _k", "b": "_k = 2\ndef g():\n    return _k"}


@pytest.mark.parametrize("reader_first", [True, False])
def test_private_names_of_several_cells_come_back_to_the_functions_that_read_them(
    lives: Lives, *, reader_first: bool
) -> None:
    lives.run(PRIVATE)
    if reader_first:
        lives.run({"c": "q = g()"})
    lives.save()
    lives.die()
    assert not lives.restore().stale
    assert lives.ran_by("c", "q = g()") == ["c"]
    assert lives.values["q"] == 2


def test_the_private_name_of_a_cell_that_ran_before_another_one_is_made_again_when_it_is_read(
    lives: Lives,
) -> None:
    lives.run(PRIVATE)
    lives.run({"a": PRIVATE["a"]})
    lives.save()
    lives.die()
    assert not lives.restore().stale
    assert lives.ran_by("c", "q = g()") == ["b", "c"]
    assert lives.values["q"] == 2


def test_a_cell_that_lost_its_name_to_another_has_run_also_after_a_restore(lives: Lives) -> None:
    """Else it would be new, and take the name from the other one; that one has it, and refuses it."""
    cells = {"first": "x = 1", "one": "h = lambda: x", "two": "h = lambda: x", "last": "y = h()"}
    lives.run({"mode": "%marimo strict", **cells})
    before = {key: (cell.status, cell.stale) for key, cell in lives.cells().items()}
    assert before["one"] == ("superseded", False)
    lives.save()
    lives.die()
    for _ in range(2):
        assert lives.named(lives.restore().fresh) == ["first", "two", "last"]
        after = {key: (cell.status, cell.stale) for key, cell in lives.cells().items()}
        assert {**before, **after} == before
        assert list(after) == ["first", "one", "two", "last"]
    assert lives.ran_by("one", cells["one"]) == []
    assert lives.cells()["one"].status == "refused"


def test_what_a_preview_would_bring_back_is_not_there_after_it(lives: Lives) -> None:
    lives.run({"mode": "%marimo strict", "one": "h = 1", "two": "h = 1"})
    lives.save()
    lives.die()
    lives.restore(preview=True)
    assert lives.cells() == {}


def test_a_list_says_on_demand_which_checkpoints_are_as_they_were_saved(lives: Lives, tmp_path: Path) -> None:
    lives.run({"data": "import numpy as np\ndata = np.arange(100_000)"})
    for name in ("changed", "first"):
        lives.save(name)
    lives.run({"data": "import numpy as np\ndata = np.arange(200_000)"})
    lives.save("whole")
    blob = min(path for path in tmp_path.glob("checkpoints/blobs/*") if path.stat().st_size == 800_000)
    content = blob.read_bytes()
    blob.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    next(tmp_path.glob("checkpoints/*/changed.json")).write_text("{}")

    def listed(*, verify: bool) -> dict[str, str]:
        reply = lives.lab.ask(wire.ListCheckpoints(verify=verify))
        return {each.name: each.verified for each in wire.decode_reply(reply, list[CheckpointSummary])}

    assert listed(verify=False) == {"whole": "", "first": ""}
    told = listed(verify=True)
    assert list(told) == ["whole", "first", "changed"]
    assert told.pop("whole") == "whole"
    assert {name: why.partition("]")[0] for name, why in told.items()} == {
        "first": "[checkpoint_broken",
        "changed": "[checkpoint_broken",
    }


def test_others_are_answered_while_checkpoints_are_verified(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify, answered = Store.verify, threading.Event()

    def verify_slowly(self: Store, shelf: str) -> dict[str, BridgeError | None]:
        assert answered.wait(60)
        return verify(self, shelf)

    monkeypatch.setattr(Store, "verify", verify_slowly)
    lives.run({"data": "data = 1"})
    lives.save()
    lab, request = lives.lab, wire.encode_request(wire.ListCheckpoints(verify=True))
    asked = lab.session.msg(wire.REQUEST, request)
    lives.kernel.control(lab.session.serialize(asked, lab.ident))
    assert wire.decode_reply(lives.lab.ask(wire.ListCheckpoints()), list[CheckpointSummary])
    answered.set()
    (one,) = wire.decode_reply(lab._reply(asked["header"]["msg_id"])["content"], list[CheckpointSummary])
    assert one.verified == "whole"


def test_the_notebook_goes_on_after_a_failure_that_was_expected_before_the_restore(lives: Lives) -> None:
    """It was expected once; the cell has succeeded since."""
    lives.run({"make": "x = 1\nf()", "read": "y = x + 1"})
    assert lives.values["y"] == 2
    lives.run({"function": "def f(): return 1"})
    assert lives.cells()["make"].status == "ok"
    lives.save()
    lives.die()
    lives.restore()
    assert lives.ran_by("function", "g = 1") == ["make", "read", "function"]
    assert lives.cells()["make"].status == "error"
    assert lives.cells()["read"].status == "ok"


def test_a_cell_that_takes_long_is_not_run_for_its_ui_elements(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives.run({"mo": "import marimo as mo", "s": "s = mo.ui.slider(0, 9)", "read": "twice = s.value * 2"})
    lives.save()
    lives.die()
    monkeypatch.setattr(planning, "LONG", 0.0)
    restored = lives.restore()
    assert lives.fresh() == {"mo"}
    assert lives.why(restored)["s"] == "its UI elements are made by running it, which takes long"
