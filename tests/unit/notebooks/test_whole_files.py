"""Notebook files are written whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.notebooks.whole_files import write_whole


def test_an_existing_file_is_overwritten_only_if_asked(tmp_path: Path) -> None:
    target = tmp_path / "mine.py"
    target.write_text("precious")
    with pytest.raises(BridgeError) as refused:
        write_whole(target, "new", overwrite=False)
    assert refused.value.code == "output_exists"
    assert target.read_text() == "precious"
    write_whole(target, b"new", overwrite=True)
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("private", [0o600, 0o640, 0o400, 0o755])
def test_what_is_overwritten_keeps_its_mode_and_what_repeats_it_is_no_more_open(
    tmp_path: Path, private: int
) -> None:
    target, other = tmp_path / "a.py", tmp_path / "b.py"
    target.write_text("old")
    target.chmod(private)
    write_whole(target, "new", overwrite=True)
    write_whole(other, "new", overwrite=False, like=target)
    assert (target.read_bytes(), mode(target)) == (b"new", private)
    assert mode(other) & ~private & 0o177 == 0
    assert mode(other) & 0o600 == 0o600, "a read-only source is no reason not to write the copy"
    write_whole(tmp_path / "c.py", "new", overwrite=True, like=tmp_path / "none")
    assert mode(tmp_path / "c.py") & 0o600 == 0o600


def test_a_link_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "a.py").symlink_to(tmp_path / "target")
    write_whole(tmp_path / "a.py", "new", overwrite=True)
    assert (tmp_path / "target").read_text() == "old"
    assert not (tmp_path / "a.py").is_symlink()


def test_a_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(BridgeError, match="cannot be written"):
        write_whole(Path("a\0b"), "new", overwrite=True)


def test_force_is_suggested_only_where_it_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted", str(source), None, str(target))

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(BridgeError, match="pass --force"):
        write_whole(tmp_path / "a.py", "new", overwrite=False)
    with pytest.raises(BridgeError, match="cannot be written") as refused:
        write_whole(tmp_path / "none" / "a.py", "new", overwrite=False)
    assert "--force" not in str(refused.value)


def test_a_failed_write_leaves_no_other_file_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(BridgeError, match="folder cannot be written"):
        write_whole(tmp_path / "folder", "new", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_file_in_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="cannot be written: No such file or directory"):
        write_whole(tmp_path / "no" / "such.py", "new", overwrite=False)
