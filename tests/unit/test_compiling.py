"""On a fresh machine each test module is compiled by one worker, not by each."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook

from tests.compiling import compile_share

ALL = 6


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    files = [tmp_path / f"test_{number}.py" for number in range(ALL)]
    for file in files:
        file.write_text(f"def test():\n    assert {file.stem!r} == 'x', 'rewritten'\n")
    return files


def as_worker(number: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{number}")
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", str(count))


def test_a_worker_begins_with_its_share_and_goes_on_with_what_is_left(
    files: list[Path], pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_worker(1, 3, monkeypatch)
    assert compile_share(files, pytestconfig) == files[2:] + files[:2]


def test_what_another_worker_has_compiled_is_passed_over(
    files: list[Path], pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_worker(0, 3, monkeypatch)
    assert compile_share(files[:2], pytestconfig) == files[:2]
    as_worker(2, 3, monkeypatch)
    assert compile_share(files, pytestconfig) == files[4:] + files[2:4]


def test_a_changed_file_is_compiled_again_and_one_that_is_no_python_is_left_to_the_import(
    files: list[Path], pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_worker(0, 1, monkeypatch)
    assert compile_share(files, pytestconfig) == files
    assert compile_share(files, pytestconfig) == []
    files[0].write_text("assert 1 == 2\n")
    files[1].write_text("assert ==\n")
    assert compile_share(files, pytestconfig) == [files[0]]


def test_pytest_takes_what_was_compiled(
    files: list[Path], pytestconfig: pytest.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_worker(0, 1, monkeypatch)
    assert compile_share(files, pytestconfig) == files
    (compiled,) = tmp_path.glob("__pycache__/test_0.*-pytest-*.pyc")
    before = compiled.stat().st_ino  # another file takes its place
    hook = AssertionRewritingHook(pytestconfig)
    spec = spec_from_file_location("test_0", files[0], loader=hook)
    assert spec is not None
    module = module_from_spec(spec)
    hook.exec_module(module)
    with pytest.raises(AssertionError, match="rewritten\nassert 'test_0' == 'x'"):
        module.test()
    assert compiled.stat().st_ino == before
