"""Modules that are loaded when something in them is used."""

import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from marimo_kernel_bridge.startup.lazy_modules import LazyModule, lazily_imported, load

CODE = """\"\"\"Answers.\"\"\"
import sys
ran = sys.modules[__name__].__dict__.setdefault("runs", [])
ran.append(__name__)
answer = 42
def ask(): return answer
"""


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module that can be imported."""
    (tmp_path / "slow_package").mkdir()
    (tmp_path / "slow_package" / "__init__.py").touch()
    (tmp_path / "slow_package" / "slow.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "slow_package.slow"
    for name in ("slow_package.slow", "slow_package"):
        sys.modules.pop(name, None)


def imported(name: str, **known: object) -> Any:
    with lazily_imported(name, **known):
        return importlib.import_module(name)


def test_a_module_runs_when_a_name_is_asked_for_that_was_not_known(slow: str) -> None:
    module = imported(slow, ask="early")
    assert isinstance(module, LazyModule)
    from slow_package.slow import ask  # type: ignore[import-not-found]  # noqa: PLC0415

    assert ask == "early"
    assert "answer" not in vars(module)
    assert module.answer == 42
    assert type(module) is type(sys)
    assert module.ask() == 42
    assert module.runs == [slow]


def test_what_the_import_system_and_tools_ask_of_any_module_does_not_load_it(slow: str) -> None:
    module = imported(slow)
    assert module.__name__ == module.__spec__.name == slow
    assert module.__file__.endswith("slow.py")
    assert module.__spec__.loader.get_source(slow) == CODE
    assert not hasattr(module, "__path__")
    assert repr(module).startswith(f"<module '{slow}' from ")
    assert sys.modules["slow_package"].slow is module
    assert isinstance(module, LazyModule)
    assert importlib.reload(module).answer == 42


def test_only_what_is_imported_inside_is_late_and_nothing_stays_behind(slow: str) -> None:
    finders = list(sys.meta_path)
    with lazily_imported(slow), lazily_imported("nowhere.to.be.found"):
        importlib.import_module("slow_package")
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("nowhere.to.be.found")
    assert sys.meta_path == finders
    assert importlib.import_module(slow).runs == [slow]
    with lazily_imported(slow):
        assert not isinstance(importlib.import_module(slow), LazyModule)


def test_a_module_runs_once_however_many_threads_want_it(slow: str) -> None:
    module = imported(slow)
    threads = [threading.Thread(target=load, args=(module,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert module.runs == [slow]


def test_an_unknown_name_is_an_error_as_in_any_module(slow: str) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'wrong'"):
        _ = imported(slow).wrong


@pytest.mark.parametrize("ask", ["__doc__", "__all__", "__version__"])
def test_asking_for_documentation_or_a_version_runs_a_module(slow: str, ask: str) -> None:
    module = imported(slow)
    assert getattr(module, ask, None) == ("Answers." if ask == "__doc__" else None)
    assert module.__dict__["runs"] == [slow]


def test_completion_shows_all_names(slow: str) -> None:
    assert {"answer", "ask"} <= set(dir(imported(slow)))


def test_after_an_error_the_module_is_run_again(slow: str, tmp_path: Path) -> None:
    (tmp_path / "slow_package" / "slow.py").write_text("import missing_one\nanswer = missing_one.answer")
    module = imported(slow)
    with pytest.raises(ModuleNotFoundError):
        _ = module.answer
    (tmp_path / "missing_one.py").write_text("answer = 42")
    importlib.invalidate_caches()
    assert module.answer == 42
    del sys.modules["missing_one"]
