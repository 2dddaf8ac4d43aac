"""Names that code must not make are held by empty folders, which go when nobody holds them."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.sandbox import light, placeholders
from marimo_kernel_bridge.sandbox.namespaces import processes_can_be_shown

fcntl = pytest.importorskip("fcntl", reason="Windows has none")


def test_only_what_is_not_there_is_held_and_it_goes_at_the_end(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "CLAUDE.md").write_text("mine")
    (tmp_path / ".envrc").symlink_to("nowhere")
    held = placeholders.put({str(tmp_path): [".git", "CLAUDE.md", ".envrc", ".vscode", "mise.toml"]})
    assert held.paths == [f"{tmp_path}/.vscode", f"{tmp_path}/mise.toml"]
    assert [*(tmp_path / ".vscode").iterdir()] == []
    held.give_back()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".envrc", ".git", "CLAUDE.md"]


def test_one_that_another_kernel_holds_stays_until_that_ends(tmp_path: Path) -> None:
    first = placeholders.put({str(tmp_path): [".git"]})
    second = placeholders.put({str(tmp_path): [".git"]})
    assert second.paths == first.paths
    first.give_back()
    assert (tmp_path / ".git").is_dir()
    second.give_back()
    assert not (tmp_path / ".git").exists()


def test_one_that_a_killed_kernel_has_left_is_the_next_ones(tmp_path: Path) -> None:
    left = placeholders.put({str(tmp_path): [".git"]})
    for descriptor in left.descriptors():
        os.close(descriptor)  # as the system does when a process is killed
    placeholders.put({str(tmp_path): [".git"]}).give_back()
    assert not (tmp_path / ".git").exists()


def test_what_has_been_put_into_one_from_outside_is_the_persons(tmp_path: Path) -> None:
    held = placeholders.put({str(tmp_path): [".vscode"]})
    (tmp_path / ".vscode").chmod(0o700)
    (tmp_path / ".vscode/settings.json").write_text("mine")
    (tmp_path / ".vscode").chmod(0o500)
    assert placeholders.put({str(tmp_path): [".vscode"]}).paths == []
    held.give_back()
    assert (tmp_path / ".vscode/settings.json").read_text() == "mine"


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "folder").symlink_to("elsewhere")
    with pytest.raises(BridgeError) as refused:
        placeholders.put({str(tmp_path / "folder"): [".git"]})
    assert refused.value.code == "sandbox_unavailable"
    assert [*(tmp_path / "elsewhere").iterdir()] == []


def test_no_descriptor_of_a_folder_stays_open_for_code(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o500)
    (tmp_path / "other").mkdir(mode=0o700)
    (tmp_path / "mine").chmod(0o700)
    (tmp_path / "mine/file").write_text("")
    (tmp_path / "mine").chmod(0o500)
    before = _open()
    held = placeholders.put({str(tmp_path): ["mine", "other"]})
    assert held.paths == []
    assert _open() == before
    held = placeholders.put({str(tmp_path): [".git", "mine", "other"]})
    assert _open() - before == held.descriptors()
    held.leave()
    assert _open() == before


def test_a_process_that_has_left_them_closes_nothing_of_others(tmp_path: Path) -> None:
    held = placeholders.put({str(tmp_path): [".git"]})
    numbers = held.descriptors()
    held.leave()
    others = [os.open(tmp_path, os.O_RDONLY) for _ in numbers]
    assert set(others) == numbers
    held.give_back()
    for each in others:
        os.close(each)  # raises, had it been closed
    assert (tmp_path / ".git").is_dir()


def test_the_process_that_becomes_the_kernel_has_left_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = placeholders.put({str(tmp_path): [".git"]})
    monkeypatch.setattr(os, "fork", lambda: 0)
    monkeypatch.setattr(light, "fork_kernel", lambda outside, _: outside.close())
    light._fork(held, None)
    assert not held.descriptors()
    held.give_back()  # what the rest of its start does where it fails
    assert (tmp_path / ".git").is_dir()


def test_one_that_another_kernel_removes_meanwhile_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = placeholders.put({str(tmp_path): [".git"]})
    make = os.mkdir

    def and_then_the_other_ends(*arguments: Any, **named: Any) -> None:
        try:
            make(*arguments, **named)
        finally:
            first.give_back()

    monkeypatch.setattr(os, "mkdir", and_then_the_other_ends)
    held = placeholders.put({str(tmp_path): [".git"]})
    assert held.paths == [f"{tmp_path}/.git"]
    held.give_back()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP])
def test_on_a_file_system_without_locks_one_stays_because_nobody_knows_who_else_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", _fails_with(number))
    held = placeholders.put({str(tmp_path): [".git"]})
    assert held.paths == [f"{tmp_path}/.git"]
    held.give_back()
    assert (tmp_path / ".git").is_dir()


@pytest.mark.parametrize(
    ("fails", "number", "hint"),
    [(fcntl, errno.EIO, ""), (os, errno.ENOSPC, "make room"), (os, errno.EDQUOT, "make room")],
)
def test_a_start_that_is_refused_leaves_none_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Any, number: int, hint: str
) -> None:
    before = _open()
    monkeypatch.setattr(fails, "flock" if fails is fcntl else "mkdir", _fails_with(number))
    with pytest.raises(BridgeError) as refused:
        placeholders.put({str(tmp_path): [".git"]})
    assert refused.value.code == "sandbox_unavailable"
    assert hint in refused.value.hint
    assert [*tmp_path.iterdir()] == []
    assert not _open() - before


def _fails_with(number: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def _open() -> set[int]:
    """Return the descriptors of this process that are open."""
    found = set()
    for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        with suppress(OSError):  # that of the list itself
            os.fstat(number)
            found.add(number)
    return found


@pytest.mark.parametrize(
    ("place", "shown"),
    [("/proc/sys/fs/binfmt_misc", True), ("/proc/kcore", False), ("/proc/sys", False), ("/process", True)],
)
def test_users_may_mount_a_proc_where_nothing_hides_a_part_of_this_one(place: str, shown: bool) -> None:
    mounts = f"20 1 0:5 / /proc rw - proc proc rw\n21 20 0:6 / {place} rw - tmpfs none rw\n"
    assert processes_can_be_shown(mounts) is shown
