"""Which files are known of those that cells have written."""

import pytest

from marimo_kernel_bridge.kernel.versions import file_contents
from marimo_kernel_bridge.kernel.versions.file_accesses import FileUse
from marimo_kernel_bridge.kernel.versions.file_contents import FileContents

PLACE = {"above": 0, "below": 1}


def wrote(name: str) -> FileUse:
    path = frozenset({f"/{name}"})
    return FileUse(writes=path, appends=frozenset({"/"}), made=path)


def read(name: str) -> FileUse:
    path = frozenset({f"/{name}"})
    return FileUse(reads=path, contents=path)


def test_a_cell_that_writes_a_new_file_each_time_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_contents, "_MOST", 10)
    files = FileContents()
    for number in range(100):
        files.note("above", "above", wrote(f"{number}"), PLACE)
        files.note("below", f"below {number}", wrote(f"b{number}"), PLACE)
    kept = {"/", *(f"/{name}{number}" for name in ("", "b") for number in range(95, 100))}
    assert max(len(held) for held in (files._written_by, files._made_by, files._begun)) <= 10
    assert set().union(*(paths for _, paths in files._writes.values())) < kept
    files.note("above", "above", read("b99"), PLACE)
    assert files.ahead == {"above": {"/b99"}}
    files.note("above", "above", read("b3"), PLACE)
    assert files.ahead == {}


def test_what_the_earlier_code_of_a_cell_has_left_is_not_its_own() -> None:
    files = FileContents()
    files.note("above", "write", wrote("a"), PLACE)
    files.note("above", "read", read("a"), PLACE)
    assert files.ahead == {"above": {"/a"}}
    files.note("above", "write", wrote("a"), PLACE)
    assert files.ahead == {}
