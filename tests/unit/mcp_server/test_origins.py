"""Who may know what the server knows: a kernel that somebody else than itself says is in no sandbox."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from marimo_kernel_bridge.client import discovery
from marimo_kernel_bridge.client.connection import read_connection
from marimo_kernel_bridge.launch import kernelspecs
from marimo_kernel_bridge.mcp_server.origins import is_surely_open
from marimo_kernel_bridge.protocol.bounds import Bounds, Sandbox
from marimo_kernel_bridge.protocol.names import kernel_id_of
from tests.unit.mcp_server.fake_kernel import DESCRIPTION

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.notebook import KernelDescription

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("started_with", "of_jupyter", "asks", "says", "is_open"),
    [
        (None, False, False, "", False),  # by whom nobody knows
        (None, True, False, "", True),
        (None, True, None, "", False),
        (None, True, True, "", False),  # whatever its code has it say
        (Bounds(), False, None, "", True),
        (Bounds(), False, True, "", False),
        (Bounds(sandbox=Sandbox()), False, None, "", False),
        (Bounds(), True, False, '{"of a newer": "version"}', False),
    ],
)
async def test_a_kernel_is_surely_open_if_who_started_it_says_so_and_itself(  # noqa: PLR0917  # one case
    connection_file: str,
    monkeypatch: pytest.MonkeyPatch,
    started_with: Bounds | None,
    of_jupyter: bool,
    asks: bool | None,
    says: str,
    is_open: bool,
) -> None:
    path = Path(connection_file)

    async def notebooks() -> dict[str, str]:
        return {kernel_id_of(path): "/a.ipynb"} if of_jupyter else {}

    async def describe() -> KernelDescription:
        return replace(DESCRIPTION, sandbox=says)

    monkeypatch.setattr(discovery, "notebooks_by_kernel", notebooks)
    monkeypatch.setattr(kernelspecs, "asks_for_sandbox", lambda _: asks)
    client = SimpleNamespace(connection=read_connection(path), reads=SimpleNamespace(describe=describe))
    attached: Any = SimpleNamespace(client=client, started_with=started_with)
    assert await is_surely_open(attached) is is_open


def test_a_kernelspec_says_whether_its_kernels_are_in_a_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    for name, argument in (("boxed", "--sandbox=strict"), ("usual", "--limits=memory=2GB")):
        (tmp_path / "kernels" / name).mkdir(parents=True)
        text = f'{{"argv": ["python", "{argument}"], "display_name": "a", "language": "python"}}'
        (tmp_path / "kernels" / name / "kernel.json").write_text(text)
    assert kernelspecs.asks_for_sandbox("boxed") is True
    assert kernelspecs.asks_for_sandbox("usual") is False
    assert kernelspecs.asks_for_sandbox("nobody has it") is None
    assert kernelspecs.asks_for_sandbox("") is None
