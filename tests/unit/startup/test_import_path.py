"""Imports of the kernel's own, while the notebook's folder is on the path for code of the user."""

import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from marimo_kernel_bridge.startup import import_path
from marimo_kernel_bridge.startup.import_path import _Installed, add_folders, own_imports


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, with modules of which one has the name of an installed one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    for name in ("of_the_folder_one", "of_the_folder_two", "colorsys", "wave"):
        (tmp_path / f"{name}.py").write_text("mine = True")
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield tmp_path
    for name in ("of_the_folder_one", "of_the_folder_two", "colorsys", "wave"):
        sys.modules.pop(name, None)


def test_own_imports_find_no_module_of_the_folder_and_those_of_the_user_do(folder: Path) -> None:
    finders = list(sys.meta_path)
    with own_imports():
        assert not hasattr(importlib.import_module("colorsys"), "mine")
        with pytest.raises(ModuleNotFoundError, match="of_the_folder_one"):
            importlib.import_module("of_the_folder_one")
        found: list[object] = []
        user = threading.Thread(target=lambda: found.append(importlib.import_module("of_the_folder_two")))
        user.start()
        user.join(30)
        assert [getattr(module, "mine", None) for module in found] == [True]
        assert importlib.import_module("json.tool")
    assert importlib.import_module("of_the_folder_one").mine
    assert importlib.import_module("wave").mine
    assert sys.meta_path == finders


def test_what_is_not_there_is_none_as_everywhere_and_a_hook_that_comes_meanwhile_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    finders, hook = sys.meta_path, importlib.machinery.BuiltinImporter
    with own_imports(), own_imports():
        assert importlib.util.find_spec("no_such_module") is None
        assert importlib.util.find_spec("of_the_folder_one") is None
        assert importlib.util.find_spec("json.tool") is not None
        assert list(importlib.metadata.distributions())
        finders.append(hook)  # by code that has held the list since before
    found = importlib.util.find_spec("of_the_folder_one")
    assert found is not None
    assert found.origin == str(folder / "of_the_folder_one.py")
    assert sys.meta_path is finders
    assert finders[-1] is hook
    assert importlib.machinery.PathFinder in finders


def test_a_process_that_was_forked_has_no_blocks_of_other_threads() -> None:
    finders, installed = sys.meta_path[:], _Installed()
    other = threading.Thread(target=lambda: (installed.enter(), installed._changing.acquire()))
    other.start()
    other.join()
    assert sys.meta_path != finders
    installed.keep_own()  # as in the child
    assert sys.meta_path == finders
    installed.enter()
    installed.keep_own()  # a child of a thread that imports
    assert sys.meta_path != finders
    installed.leave()
    assert sys.meta_path == finders


def test_own_imports_find_no_module_of_a_folder_that_settings_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a setting may be that of a checkout: its `pyproject.toml` names what is not installed, and the kernel asks for."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.setattr(import_path, "_OF_SETTINGS", set())
    (tmp_path / "of_settings.py").write_text("mine = True")
    monkeypatch.delitem(sys.modules, "of_settings", raising=False)
    add_folders([str(tmp_path), sys.path[0]])
    assert sys.path[-1] == str(tmp_path)
    with own_imports():
        assert importlib.util.find_spec("of_settings") is None
        assert importlib.import_module("json.tool")
    assert importlib.import_module("of_settings").mine
    del sys.modules["of_settings"]
