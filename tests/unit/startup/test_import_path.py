"""Imports of the kernel's own, while the notebook's folder is on the path for code of the user."""

import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from marimo_kernel_bridge.startup.import_path import own_imports


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
