"""The environment of installed packages is the same one at each start, and others read it meanwhile."""

import os
import sys
from pathlib import Path

import pytest

from marimo_kernel_bridge.sandbox import overlay


@pytest.fixture(autouse=True)
def path_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave this process's path as it was."""
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_an_update_of_python_keeps_what_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = overlay.use(str(tmp_path))
    monkeypatch.setattr(sys, "version", "9.9.9")
    assert overlay.use(str(tmp_path)) == first
    assert len([*tmp_path.iterdir()]) == 1


def test_what_others_read_is_written_only_if_it_differs_and_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay.use(str(tmp_path))
    (settings,) = tmp_path.glob("*/pyvenv.cfg")
    (sees,) = tmp_path.glob("*/lib/*/site-packages/_packages_of_the_kernel.pth")
    texts = {path: path.read_text() for path in (settings, sees)}
    numbers = {path: path.stat().st_ino for path in texts}
    overlay.use(str(tmp_path))
    assert {path: path.stat().st_ino for path in texts} == numbers

    replace = Path.replace
    for path in texts:
        path.write_text("of an older version")

    def look(beside: Path, target: Path) -> Path:
        assert target.read_text() == "of an older version"
        return replace(beside, target)

    monkeypatch.setattr(Path, "replace", look)
    overlay.use(str(tmp_path))
    assert {path: path.read_text() for path in texts} == texts
    assert not [*tmp_path.glob("*/.*")]


def test_the_folder_is_that_of_this_build_of_python(tmp_path: Path) -> None:
    found = overlay.use(str(tmp_path))
    packages = Path(found["PYTHONPATH"].split(os.pathsep)[0])  # type: ignore[union-attr]
    standard = Path(os.__file__).parent.name  # python3.13t, where threads are free
    assert packages.relative_to(tmp_path).parts[1:] == ("lib", standard, "site-packages")
