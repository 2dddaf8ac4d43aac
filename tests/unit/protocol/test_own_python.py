"""Which programs on PATH are started."""

import sys
from pathlib import Path

import pytest

from marimo_kernel_bridge.protocol.own_python import program_on_path


def test_no_program_of_the_working_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "claude.bat" if sys.platform == "win32" else "claude"
    for folder in ("checkout", "programs"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).touch(mode=0o755)
    programs = str(tmp_path / "programs")
    monkeypatch.chdir(tmp_path / "checkout")
    for path in (
        ".",
        str(tmp_path / "checkout"),
        str(tmp_path / "programs" / ".." / "checkout"),
        "../programs",
    ):
        assert program_on_path(name, path) is None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", programs)
    assert program_on_path(name) == str(tmp_path / "programs" / name)
    assert program_on_path("nosuch") is None
    monkeypatch.setattr("shutil.which", lambda *_, **_options: f"./{name}")  # as on Windows
    assert program_on_path(name) is None
