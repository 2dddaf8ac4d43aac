"""When the debugger is imported, which files it leaves out, and how many patterns it has to compare with."""

import json
import sys
import threading
from pathlib import Path

import IPython
import pytest
import traitlets

from marimo_kernel_bridge.runtime import process_state
from marimo_kernel_bridge.startup import lazy_debugger
from marimo_kernel_bridge.startup.lazy_debugger import by_package

IPYTHON = Path(IPython.__file__)
STANDARD = Path(json.__file__)


def test_a_package_that_the_kernel_has_imported_is_one_pattern() -> None:
    files = [str(IPYTHON), str(IPYTHON.parent / "core/magic.py"), traitlets.__file__]
    assert sorted(by_package(files)) == sorted(
        [f"{IPYTHON.parent}/**", f"{Path(traitlets.__file__).parent}/**"]
    )


def test_of_the_standard_library_only_the_files_that_are_imported_are_left_out() -> None:
    files = [str(STANDARD), str(STANDARD.parent / "decoder.py")]
    assert by_package(files) == files


def test_a_package_that_others_import_after_the_kernel_stays_in() -> None:
    others = str(IPYTHON.parent / "core/magic.py")
    assert by_package([others]) == [others]


def test_packages_come_first_because_most_of_what_runs_beside_a_cell_is_theirs() -> None:
    files = [str(STANDARD), str(IPYTHON)]
    assert by_package(files) == [f"{IPYTHON.parent}/**", str(STANDARD)]


def test_few_patterns_stand_for_all_that_is_imported() -> None:
    files = [file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))]
    assert len(by_package(files)) < len(files) / 2


def test_debugpy_is_not_imported_while_marimo_changes_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = threading.Event()
    monkeypatch.setattr("importlib.import_module", lambda _: imported.set())
    monkeypatch.setattr(lazy_debugger, "load", lambda _: None)
    debugger = threading.Thread(target=lazy_debugger._import, daemon=True)
    with process_state.preserved():
        debugger.start()
        assert not imported.wait(0.1)
    assert imported.wait(10)
    debugger.join()
