"""What doctor says where an agent's call is refused: what is wrong and what to do, once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.cli import doctor
from marimo_kernel_bridge.cli.demo_agent import ToolFailedError

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_refusal_is_told_once_and_is_no_bug_to_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "edit_cells: [not_audited] The audit log cannot be written (Permission denied). Ask to make it writable."

    class Refused:
        async def __aenter__(self) -> None:
            raise ExceptionGroup("the SDK's", [ToolFailedError(told), ToolFailedError(told)])

        async def __aexit__(self, *_raised: object) -> None:
            pass

    monkeypatch.setattr(doctor, "attached_agent", lambda *_: Refused())
    person: Any = SimpleNamespace(cells={"dependent": None})
    manager: Any = SimpleNamespace(connection_file="kernel-1.json")
    finding = asyncio.run(doctor._mcp(person, manager, tmp_path))
    assert (finding.verdict, finding.detail, finding.hint) == ("FAILED", told, "")
