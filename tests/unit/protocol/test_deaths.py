"""The cause of a death from what a kernel left behind, and the sentence that says it."""

import re

import pytest

from marimo_kernel_bridge.protocol.black_box import ABANDONED, BlackBox, Born
from marimo_kernel_bridge.protocol.deaths import death_of, sentence, still_lost
from marimo_kernel_bridge.protocol.notebook import RecordedName

FILE = "/tmp/ipykernel_77/123.py"  # a name in a traceback
CRASH = f"""Fatal Python error: Segmentation fault

Thread 0x00007f03 (most recent call first):
  File "/lib/python3.11/threading.py", line 331 in wait

Current thread 0x00007f04 (most recent call first):
  File "/lib/python3.11/ctypes/__init__.py", line 519 in string_at
  File "/tmp/ipykernel_77/99.py", line 9 in helper
  File "{FILE}", line 4 in <module>
  File "/lib/IPython/core/interactiveshell.py", line 3747 in run_code
Extension modules: numpy._core (total: 1)
"""
BOX = BlackBox(
    Born(77, 1000.0, oom_kills=1),
    runs="cell",
    cell_id="abcd",
    line="big = load()",
    file=FILE,
    names=(RecordedName("np", "module"), RecordedName("x", "int"), RecordedName("df", seconds=9.0)),
)


def but(box: BlackBox = BOX, /, **fields: object) -> BlackBox:
    return BlackBox(**{name: getattr(box, name) for name in BlackBox.__dataclass_fields__} | fields)


def said(box: BlackBox, oom_kills: int = 1) -> str:
    return sentence(death_of(box, oom_kills)).removesuffix(" Lost: `df`, `x`.")


def test_a_crash_names_its_signal_the_line_of_the_cell_and_the_frames_from_the_cell_on() -> None:
    death = death_of(but(crash=CRASH))
    assert sentence(death) == (
        "The kernel died: a segmentation fault (SIGSEGV) in cell abcd `big = load()`, line 4. Lost: `df`, `x`."
    )
    assert (death.cause, death.signal, death.line) == ("signal", "SIGSEGV", 4)
    assert death.traceback == (
        "the cell, line 4, in <module>",
        "a cell, line 9, in helper",
        "/lib/python3.11/ctypes/__init__.py, line 519, in string_at",
    )


GB = 1_000_000_000


@pytest.mark.parametrize(
    ("box", "kills", "cause", "text"),
    [
        (BOX, 1, "killed", "The kernel died: it was killed from outside in cell abcd `big = load()`."),
        (but(exit_code=3), 1, "exit", "its process ended itself with exit code 3 in cell abcd"),
        (but(exit_code=ABANDONED), 1, "abandoned", "it ended with the program that had started it"),
        (BOX, 2, "out_of_memory", ": out of memory in cell abcd"),
        (but(used=8 * GB, limit=8 * GB), 2, "out_of_memory", "out of memory (8.0 GB of 8.0 GB in use)"),
        (
            but(used=75 * GB // 10, limit=8 * GB),
            1,
            "out_of_memory",
            "probably out of memory (7.5 GB of 8.0 GB",
        ),
        (but(used=5 * GB, limit=8 * GB), 1, "killed", "killed from outside"),
        (but(used=5 * GB), 1, "killed", "killed from outside"),
        (but(exit_code=3), 2, "exit", "exit code 3"),
        (but(crash=CRASH), 2, "signal", "SIGSEGV"),
        (
            but(crash="Fatal Python error: Aborted\n", used=8 * GB, limit=8 * GB),
            1,
            "signal",
            "perhaps out of",
        ),
        (but(crash="Fatal Python error: none_dealloc\n"), 1, "signal", "none_dealloc (SIGABRT)"),
        (but(runs="nothing"), 1, "killed", "killed from outside while no cell ran"),
        (but(runs="other", cell_id=""), 1, "killed", "in code outside of the cells, `big = load()`"),
        (but(heard=1e11), 1, "killed", "The kernel died at "),
        (but(heard=1e12), 1, "killed", "The kernel died: it was"),
    ],
)
def test_each_cause_is_named_and_what_ran(box: BlackBox, kills: int, cause: str, text: str) -> None:
    assert text in said(box, kills)
    assert death_of(box, kills).cause == cause


def test_what_is_probable_is_not_called_certain() -> None:
    assert death_of(BOX, 2).certain
    assert not death_of(but(used=8 * GB, limit=8 * GB)).certain


def test_the_longest_to_make_come_first_and_modules_are_not_worth_a_word() -> None:
    names = tuple(RecordedName(f"n{number}", "int", seconds=float(number)) for number in range(70))
    death = death_of(but(names=(*names, RecordedName("np", "module"))))
    assert (len(death.lost), death.total_lost, death.lost[0].name) == (50, 71, "n69")
    assert re.search(r"Lost: `n69`, `n68`, .*`n58` and 59 more\.$", sentence(death))
    assert "`np`" in sentence(death_of(but(names=(RecordedName("np", "module"),))))


def test_what_has_been_made_again_is_not_lost_any_more() -> None:
    death = death_of(BOX)
    assert still_lost(death, ["x"]) == ("df",)
    assert still_lost(death, ["x", "df", "other"]) == ()


def test_a_crash_file_that_says_nothing_is_no_crash() -> None:
    for text in ("", "Fatal", "x" * 10_000, "Fatal Python error: " + "x" * 500):
        assert death_of(but(crash=text)).cause == "killed"
