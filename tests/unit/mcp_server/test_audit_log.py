"""The audit log's file."""

import json
import stat
from pathlib import Path

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.safety.audit_log import AuditLog, digest


def test_the_audit_log_is_for_its_owner_only_and_is_only_added_to(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "sub" / "audit.jsonl")
    log.write({"tool": "one"})
    log.path.chmod(0o644)
    log.write({"tool": "two"})
    assert [json.loads(line)["tool"] for line in log.path.read_text().splitlines()] == ["one", "two"]
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_the_audit_log_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("")
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "target")
    with pytest.raises(BridgeError) as refusal:
        AuditLog(tmp_path / "audit.jsonl").write({"tool": "one"})
    assert refusal.value.code == "not_audited"
    assert (tmp_path / "target").read_text() == ""


def test_the_same_arguments_have_the_same_digest() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
