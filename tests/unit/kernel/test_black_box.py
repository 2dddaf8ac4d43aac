"""What a kernel records for the case of its death, written and read in memory; no process dies here."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from marimo_kernel_bridge.kernel.black_box import BlackBoxWriter, take_over
from marimo_kernel_bridge.kernel.cells import Address, Body, Entry
from marimo_kernel_bridge.protocol import black_box as layout
from marimo_kernel_bridge.protocol.black_box import BlackBox, folder_of, read
from marimo_kernel_bridge.protocol.deaths import death_of, sentence
from marimo_kernel_bridge.protocol.notebook import Cell
from marimo_kernel_bridge.protocol.process_births import ticks_of

CELL = Cell(
    "abcd",
    "one",
    "df = load()",
    version=1,
    status="ok",
    stale=False,
    execution_count=1,
    edited_by="notebook",
    last_run_by=None,
    last_run_at=None,
    duration=2.5,
    error=None,
    defines=("df", "rows"),
)


class Timers:
    """Timers that a test lets run out."""

    def __init__(self) -> None:
        self.due: list[Callable[[], Any]] = []
        self.delay = 0.0  # of the last one

    def call_later(self, delay: float, callback: Callable[[], Any]) -> None:
        self.due.append(callback)
        self.delay = delay


class Kernel:
    """A kernel that records: its namespace, its cells, and the writer."""

    def __init__(self, file: str, notebook: str = "") -> None:
        self.names: dict[str, Any] = {"In": [], "_secret": 1}
        self._defined: dict[str, frozenset[str]] = {}
        self.timers = Timers()
        self.folder = folder_of(file)
        self.writer = BlackBoxWriter(self.folder, self.names, {"In"}, self, self.timers)
        self.writer.open(notebook)

    def snapshot(self) -> list[Cell]:
        return [CELL]

    def defined_by(self, cell_id: str) -> frozenset[str]:
        return self._defined[cell_id]

    def run(self, code: str, cell_id: str = "abcd", **made: object) -> None:
        self.begin(code, cell_id)
        self.names |= made
        self._defined[cell_id] = frozenset(made)
        self.writer.body(None)

    def begin(self, code: str, cell_id: str = "abcd") -> None:
        entry = Entry(replace(CELL, cell_id=cell_id, code=code), Address("lab", {"msg_id": "m"}, "s"))
        entry.body = Body(code, (), f"/tmp/ipykernel_{os.getpid()}/1.py", "last_expr")  # a name
        self.writer.body(entry)

    def found(self) -> BlackBox:
        box = read(self.folder)
        assert box is not None
        return box

    def dies(self) -> None:
        """Have it belong to a process that is no more."""
        born = self.found().born
        self.writer._write_born(msgspec.structs.replace(born, pid=born.pid + 1, ticks=1))


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def kernel() -> Kernel:
    return Kernel("/run/kernel-1.json")


def test_the_running_cell_and_its_first_line_are_there_while_it_runs(kernel: Kernel) -> None:
    assert kernel.found().runs == "nothing"
    kernel._defined["abcd"] = frozenset()
    kernel.begin("\n  df = load()\ndf.head()")
    box = kernel.found()
    assert (box.runs, box.cell_id, box.line) == ("cell", "abcd", "df = load()")
    assert box.file.endswith("/1.py")
    assert time.time() - box.since < 60
    kernel.writer.body(None)
    assert kernel.found().runs == "nothing"
    kernel.writer.other_code("look()")
    box = kernel.found()
    assert (box.runs, box.cell_id, box.line, box.file) == ("other", "", "look()", "")


def test_what_agents_are_not_told_is_not_in_the_line_that_they_may_read(kernel: Kernel) -> None:
    hidden = {"hush-1234": "<<redacted:A_KEY>>"}
    kernel.writer._hide = lambda line: hidden.get(line, line)
    kernel.begin("hush-1234\nx")
    assert kernel.found().line == "<<redacted:A_KEY>>"
    hidden.clear()
    kernel.writer.write_line()
    assert kernel.found().line == "hush-1234"


@pytest.mark.parametrize("plant", ["link", "pipe"])
def test_nothing_that_code_has_put_into_the_folder_is_written_through_or_waited_for(
    kernel: Kernel, tmp_path: Path, plant: str
) -> None:
    if plant == "link":
        (kernel.folder / layout.KILLED).symlink_to(tmp_path / "made")
    else:
        os.mkfifo(kernel.folder / layout.KILLED)
    layout.note_killing("/run/kernel-1.json")
    assert not (tmp_path / "made").exists()
    layout.forget_killed("/run/kernel-1.json")


def test_names_are_there_as_soon_as_the_cell_has_ended_and_with_types_once_it_is_settled(
    kernel: Kernel,
) -> None:
    kernel.run("df = load()", df=[1, 2], _private=1)
    assert [(name.name, name.cell, name.type) for name in kernel.found().names] == [("df", "abcd", "")]
    kernel.writer.settled()
    (name,) = kernel.found().names
    assert (name.name, name.type, name.size, name.cell, name.seconds) == (
        "df",
        "list",
        "2 items",
        "abcd",
        2.5,
    )


def test_names_are_written_once_a_second_and_none_is_missing_in_between(kernel: Kernel) -> None:
    kernel.run("df = load()", df=[1])
    kernel.writer.settled()
    kernel.run("rows = 3", "efgh", rows=3)
    kernel.writer.settled()
    kernel.writer.settled()
    assert [(name.name, name.cell, name.type) for name in kernel.found().names] == [
        ("df", "abcd", "list"),
        ("rows", "efgh", ""),
    ]
    (write,) = kernel.timers.due
    write()
    assert [name.type for name in kernel.found().names] == ["list", "int"]


def test_names_that_take_long_to_write_are_written_less_often(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = iter((0.0, 0.0, 0.2, 0.2))  # asked for, begun, ended, asked for again
    monkeypatch.setattr(time, "monotonic", lambda: next(passed))
    kernel.writer.settled()
    kernel.writer.settled()
    assert kernel.timers.delay == pytest.approx(100)


def test_more_new_names_than_fit_are_written_at_once(kernel: Kernel) -> None:
    many: dict[str, Any] = {f"name_{number}_{'x' * 40}": number for number in range(200)}
    kernel.run("many()", **many)
    assert {name.name for name in kernel.found().names} == set(many)


def test_no_value_is_recorded_and_a_long_line_is_cut_between_words(kernel: Kernel) -> None:
    kernel.run("word = 'hunter2'", word="hunter2", data={"hunter2": "hunter2"})
    kernel.writer.settled()
    assert b"hunter2" not in (kernel.folder / layout.NAMES).read_bytes()
    kernel.begin("f(" + "a, " * 300 + "secret" * 20 + ")")
    assert kernel.found().line.endswith("a,")


def test_only_this_user_can_read_any_of_it_and_an_orderly_end_leaves_nothing(kernel: Kernel) -> None:
    kernel.writer.settled()
    kernel.writer.write_names()
    assert kernel.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in kernel.folder.iterdir()} == {0o600}
    kernel.writer.close()
    kernel.run("still = 1", still=1)
    kernel.writer.settled()
    kernel.writer.heard(5)
    assert not kernel.folder.exists()
    assert read(kernel.folder) is None


def test_a_restarted_kernel_tells_of_the_one_before_with_the_same_connection_file(kernel: Kernel) -> None:
    kernel.run("df = load()", df=[1])
    kernel.begin("boom()")
    kernel.dies()
    death = take_over(kernel.folder, None)
    assert death is not None
    assert "it was killed from outside in cell abcd `boom()`. Lost: `df`." in sentence(death)


def test_the_next_kernel_of_a_notebook_tells_of_the_last_one_that_died_and_once(kernel: Kernel) -> None:
    for number, code in enumerate(("early()", "late()")):
        dead = Kernel(f"/run/kernel-{number + 2}.json", "/home/ada/book.ipynb")
        dead.begin(code)
        dead.dies()
    own = folder_of("/run/kernel-9.json")
    assert take_over(own, "/home/ada/other.ipynb") is None
    death = take_over(own, "/home/ada/book.ipynb")
    assert death is not None
    assert death.code == "late()"
    assert take_over(own, "/home/ada/book.ipynb") is None


def test_a_kernel_killed_for_a_restart_says_so_and_one_that_is_shut_down_is_no_death(kernel: Kernel) -> None:
    kernel.run("df = load()", df=[1])
    layout.forget_killed("/run/kernel-1.json")  # nobody has killed it
    layout.note_killing("/run/kernel-1.json")
    death = death_of(kernel.found())
    assert (death.cause, death.what) == ("restarted", "it was restarted by force")
    assert [name.name for name in death.lost] == ["df"]
    layout.forget_killed("/run/kernel-1.json")
    layout.note_killing("/run/kernel-1.json")  # of a kernel that records nothing
    assert not kernel.folder.exists()


def test_a_kernel_that_runs_is_not_dead_nor_is_one_of_another_machine(kernel: Kernel) -> None:
    alive = Kernel("/run/kernel-2.json", "/home/ada/book.ipynb")
    elsewhere = Kernel("/run/kernel-3.json", "/home/ada/book.ipynb")
    elsewhere.dies()
    elsewhere.writer._write_born(msgspec.structs.replace(elsewhere.found().born, where="another boot"))
    assert take_over(kernel.folder, "/home/ada/book.ipynb") is None
    assert alive.folder.exists()
    assert elsewhere.folder.exists()


def test_what_nobody_asks_for_is_removed_after_a_week(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = Kernel("/run/kernel-2.json")
    dead.dies()
    take_over(kernel.folder, None)
    assert dead.folder.exists()
    monkeypatch.setattr(layout, "KEPT", -1.0)
    take_over(folder_of("/run/kernel-9.json"), None)
    assert not dead.folder.exists()


def test_before_a_sandbox_is_entered_what_is_old_is_removed_and_nothing_else(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = Kernel("/run/kernel-2.json")
    dead.dies()
    layout.remove_old()
    assert dead.folder.exists()
    monkeypatch.setattr(layout, "KEPT", -1.0)
    layout.remove_old()
    assert not dead.folder.exists()
    assert kernel.folder.exists()  # it runs


def test_kernels_with_files_of_one_name_in_two_folders_have_boxes_of_their_own(tmp_path: Path) -> None:
    assert folder_of("/a/kernel.json") != folder_of("/b/kernel.json")
    (tmp_path / "kernel.json").touch()
    (tmp_path / "link.json").symlink_to(tmp_path / "kernel.json")
    assert folder_of(tmp_path / "link.json") == folder_of(tmp_path / "kernel.json")
    assert folder_of("/a/kernel-../../etc.json").parent == layout.all_boxes()


def _others_may_write(kernel: Kernel) -> None:
    (kernel.folder / layout.NOW).chmod(0o644)


def _others_may_enter(kernel: Kernel) -> None:
    kernel.folder.chmod(0o755)


def _is_a_link(kernel: Kernel) -> None:
    kernel.folder.rename(kernel.folder.with_name("moved"))
    kernel.folder.symlink_to(kernel.folder.with_name("moved"))


def _is_a_pipe(kernel: Kernel) -> None:
    (kernel.folder / layout.NOW).unlink()
    os.mkfifo(kernel.folder / layout.NOW, 0o600)


def _is_short(kernel: Kernel) -> None:
    os.truncate(kernel.folder / layout.NOW, 100)


def _is_of_another_layout(kernel: Kernel) -> None:
    kernel.writer._now[:8] = b"mkb now9"  # type: ignore[index]  # it is open


def _says_nothing_of_the_process(kernel: Kernel) -> None:
    kernel.writer._now[layout.BORN] = b'{"pid": -1}'.ljust(1024, b"\0")  # type: ignore[index]  # likewise


@pytest.mark.parametrize(
    "spoil",
    [
        _others_may_write,
        _others_may_enter,
        _is_a_link,
        _is_a_pipe,
        _is_short,
        _is_of_another_layout,
        _says_nothing_of_the_process,
    ],
)
def test_a_box_that_others_could_have_written_or_that_is_none_is_not_read(
    kernel: Kernel, spoil: Callable[[Kernel], None]
) -> None:
    spoil(kernel)
    assert read(kernel.folder) is None


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'[{"name": 3}]', b"[" * 100_000, b"\xff", b"[" + b"9" * 9_000]
)
def test_names_that_are_no_names_are_left_out(kernel: Kernel, content: bytes) -> None:
    kernel.run("df = load()", df=1)
    path = kernel.folder / layout.NAMES
    path.write_bytes(content)
    path.chmod(0o600)
    layout.WHOLE.pack_into(kernel.writer._now, layout.WHOLE_AT, 0, len(content))  # type: ignore[arg-type]  # it is open
    assert [name.name for name in kernel.found().names] == ["df"]


def test_a_kernel_that_had_the_same_number_in_another_sandbox_is_another_one() -> None:
    pid = os.getpid()
    this = layout.Born(pid, 0.0, ticks_of(pid), layout.here())
    process = layout.this_process()
    assert layout.is_of(this, process)
    assert not layout.is_of(msgspec.structs.replace(this, ticks=this.ticks + 1), process)
    assert not layout.is_of(msgspec.structs.replace(this, where="elsewhere"), process)
    assert not layout.is_of(msgspec.structs.replace(this, pid=pid + 1), process)


def test_what_a_kernel_in_a_sandbox_has_left_is_told_by_the_process_that_stood_for_it_outside(
    kernel: Kernel,
) -> None:
    """Its own number is another one outside, or nobody's."""
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as stands:
        process = layout.Process(stands.pid, ticks_of(stands.pid), layout.here())
        kernel.writer.process = process
        kernel.writer.open("/home/ada/book.ipynb")
        kernel.begin("boom()")
        assert kernel.found().born.pid == stands.pid
        assert take_over(kernel.folder, None, process) is None  # it is its own
        own = folder_of("/run/kernel-9.json")
        assert take_over(own, "/home/ada/book.ipynb") is None  # it runs
        stands.communicate(b"\n")
    death = take_over(own, "/home/ada/book.ipynb")
    assert death is not None
    assert death.code == "boom()"
