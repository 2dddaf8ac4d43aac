"""What pandas finds when a pool imports it."""

from __future__ import annotations

import builtins
import importlib
import sys
from typing import TYPE_CHECKING

import pytest

from marimo_kernel_bridge.launch.pool.pandas_import import pandas_as_in_a_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASKS = "try:\n    in_kernel = hasattr(get_ipython(), 'kernel')\nexcept NameError:\n    in_kernel = False\n"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a `pandas` that asks, as the real one does, and a module that imports it."""
    (tmp_path / "pandas").mkdir()
    (tmp_path / "pandas" / "__init__.py").write_text("from pandas.options import in_kernel\n")
    (tmp_path / "pandas" / "options.py").write_text(ASKS)
    (tmp_path / "uses_pandas.py").write_text(f"import pandas\n{ASKS}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delattr(builtins, "get_ipython", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] in {"pandas", "uses_pandas"}]:
        monkeypatch.delitem(sys.modules, name)
    yield tmp_path
    for name in ("pandas", "pandas.options", "uses_pandas"):
        sys.modules.pop(name, None)


def test_only_pandas_itself_finds_a_kernel(modules: Path) -> None:
    before = list(sys.meta_path)
    with pandas_as_in_a_kernel():
        module = importlib.import_module("uses_pandas")
    assert (module.pandas.in_kernel, module.in_kernel) == (True, False)
    assert sys.meta_path == before
    assert not hasattr(builtins, "get_ipython")


def test_a_pandas_that_cannot_be_imported_fails_as_it_does(modules: Path) -> None:
    (modules / "pandas" / "options.py").write_text("import no_such_module_at_all")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"), pandas_as_in_a_kernel():
        importlib.import_module("pandas")
    assert not hasattr(builtins, "get_ipython")
