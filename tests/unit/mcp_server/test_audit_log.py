"""The audit log's file."""

import errno
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.safety import audit_log
from marimo_kernel_bridge.mcp_server.safety.audit_log import AuditLog, digest


def test_the_audit_log_is_for_its_owner_only_and_is_only_added_to(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "sub" / "audit.jsonl")
    log.write({"tool": "one"})
    log.path.chmod(0o644)
    log.write({"tool": "two"})
    assert [json.loads(line)["tool"] for line in log.path.read_text().splitlines()] == ["one", "two"]
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_a_name_with_line_breaks_and_control_characters_stays_in_its_line(tmp_path: Path) -> None:
    name = 'ann\n{"tool": "two"}\r\x1b[2J\u2028'
    log = AuditLog(tmp_path / "audit.jsonl")
    log.write({"tool": "one", "client": name})
    (line,) = log.path.read_bytes().splitlines()
    assert json.loads(line)["client"] == name
    assert b"\x1b" not in line


def test_the_audit_log_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("")
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "target")
    with pytest.raises(BridgeError) as refusal:
        AuditLog(tmp_path / "audit.jsonl").write({"tool": "one"})
    assert refusal.value.code == "not_audited"
    assert (tmp_path / "target").read_text() == ""


def written(path: Path, *tools: str) -> AuditLog:
    log = AuditLog(path / "audit.jsonl")
    for tool in tools:
        log.write({"tool": tool})
    return log


def test_lines_of_several_servers_make_one_chain(tmp_path: Path) -> None:
    one, other = AuditLog(tmp_path / "audit.jsonl"), AuditLog(tmp_path / "audit.jsonl")
    for number in range(3):
        one.write({"tool": f"\N{SNOWMAN} {number}", "client": "\ud800"})
        other.write({"tool": '", "chain": "', "arguments": "x" * 5000})
    assert one.problems() == []
    assert len(one.path.read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("lose", "at"),
    [
        (lambda lines: [lines[0], *lines[2:]], 2),
        (lambda lines: lines[1:], 1),
        (lambda lines: [*lines[:2], lines[2].replace("c", "x"), *lines[3:]], 3),
        (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
        (lambda lines: [*lines[:2], '{"tool": "c"}\n', *lines[2:]], 3),
    ],
)
def test_a_line_that_is_missing_or_was_changed_is_named(
    tmp_path: Path, lose: Callable[[list[str]], list[str]], at: int
) -> None:
    log = written(tmp_path, "a", "b", "c", "d")
    lines = log.path.read_text().splitlines(keepends=True)
    log.path.write_text("".join(lose(lines)))
    assert log.problems()[0].startswith(f"audit.jsonl, line {at}: ")


@pytest.mark.parametrize(
    "lose", [Path.unlink, lambda path: os.truncate(path, 0), lambda path: path.write_text("")]
)
def test_a_server_notes_that_its_lines_are_gone(tmp_path: Path, lose: Callable[[Path], object]) -> None:
    log = written(tmp_path, "a", "b")
    lose(log.path)
    log.write({"tool": "c"})
    assert [json.loads(line).get("gap") for line in log.path.read_text().splitlines()] == [True]
    assert "were gone" in log.problems()[0]
    log.write({"tool": "d"})
    assert len(log.problems()) == 1


def test_the_newest_lines_that_are_gone_are_noted_as_well(tmp_path: Path) -> None:
    log = written(tmp_path, "a", "b")
    log.path.write_text(log.path.read_text().splitlines(keepends=True)[0])
    log.write({"tool": "c"})
    assert "were gone" in log.problems()[0]


def test_the_log_does_not_grow_without_end_and_its_chain_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "_LARGEST", 1000)
    log = written(tmp_path, *map(str, range(50)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.1.jsonl", "audit.jsonl"]
    assert max(path.stat().st_size for path in tmp_path.iterdir()) < 1200
    assert log.problems() == []
    log.older.unlink()
    assert log.problems()[0].endswith("the lines before it are gone.")


def test_a_line_that_was_not_written_whole_spoils_no_other(tmp_path: Path) -> None:
    log = written(tmp_path, "a")
    with log.path.open("a") as file:
        file.write('{"tool": "b')
    log.write({"tool": "c"})
    assert [problem.partition(":")[0] for problem in log.problems()] == ["audit.jsonl, line 2"]


def test_a_log_that_somebody_else_holds_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    import fcntl  # noqa: PLC0415  # not on Windows

    log = written(tmp_path, "a")
    with log.path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BridgeError, match="another process holds it"):
            log.write({"tool": "b"})
    log.write({"tool": "c"})
    assert log.problems() == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EIO])
def test_a_file_system_without_locks_is_written_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr("fcntl.flock", refuse)
    if number == errno.EIO:
        with pytest.raises(BridgeError, match="no"):
            written(tmp_path, "a")
    else:
        assert written(tmp_path, "a", "b").problems() == []


def test_a_line_for_which_the_disk_has_no_room_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = written(tmp_path, "a")
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:20]))
        with pytest.raises(BridgeError, match="No space left") as refusal:
            log.write({"tool": "b"})
    assert refusal.value.code == "not_audited"
    log.write({"tool": "c"})
    assert [problem.partition(":")[0] for problem in log.problems()] == ["audit.jsonl, line 2"]


def test_lines_that_others_removed_by_right_are_no_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "_LARGEST", 1000)
    monkeypatch.setattr(audit_log, "_now", map("2026-01-01T00:00:{:02}".format, range(100)).__next__)
    quiet = written(tmp_path, "a")
    written(tmp_path, *map(str, range(30)))
    quiet.write({"tool": "b"})
    assert quiet.problems() == []
    quiet.path.unlink()
    quiet.write({"tool": "c"})
    assert "were gone" in quiet.problems()[-1]


def test_windows_renames_no_open_file_and_ends_lines_as_other_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = 1 << 29
    opened: list[int] = []
    opening = os.open

    def open_binary(path: Path, flags: int, mode: int) -> int:
        assert flags & binary
        opened.append(opening(path, flags & ~binary, mode))
        return opened[-1]

    def replace(path: Path, target: Path) -> None:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(opened[-1])
        os.rename(path, target)  # noqa: PTH104  # Path.replace is this

    log = AuditLog(tmp_path / "audit.jsonl")
    monkeypatch.setattr(audit_log, "_LARGEST", 100)
    monkeypatch.setattr(os, "O_BINARY", binary, raising=False)
    monkeypatch.setattr(os, "open", open_binary)
    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(sys, "platform", "win32")
    log.write({"tool": "a"})
    log.write({"tool": "b"})
    monkeypatch.undo()
    assert log.older.exists()
    assert log.problems() == []


def test_the_command_says_whether_the_log_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    log = AuditLog()
    for tool in ("a", "b"):
        log.write({"tool": tool})
    assert CliRunner().invoke(main, ["agents", "audit"]).exit_code == 0
    log.path.write_text(log.path.read_text().replace('"a"', '"x"'))
    result = CliRunner().invoke(main, ["agents", "audit", "penguins.ipynb"])
    assert (result.exit_code, "omit NOTEBOOK" in result.stderr) == (2, True)
    result = CliRunner().invoke(main, ["agents", "audit"])
    assert (result.exit_code, "line 1" in result.output) == (1, True)
    assert "lines are missing or changed." in result.output
    log.path.unlink()
    log.path.mkdir()
    result = CliRunner().invoke(main, ["agents", "audit"])
    assert "cannot be read" in result.output


def test_the_same_arguments_have_the_same_digest() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
