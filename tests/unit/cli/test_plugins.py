"""Plugins on the command line: named to hosts, told when they are left out, and listed by `doctor`."""

from __future__ import annotations

import gc
import json
import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from marimo_kernel_bridge import mcp_tools
from marimo_kernel_bridge.cli.doctor import _plugins as findings
from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.configuration import configuration, configuration_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from marimo_kernel_bridge.mcp_server.plugins.loading import Plugins

CODE = """
from marimo_kernel_bridge.plugins import Kernel, Plugin, PluginTool

async def look(kernel: Kernel) -> str:
    '''Look.'''
    return ""

def plugin():
    return Plugin(name="Acme", api=1, tools=[PluginTool(look, "Look", tier="read")])
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's configuration, which is not there yet."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    path = configuration_path()
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A distribution with a plugin."""
    module = "acme_of_the_command_line"
    info = tmp_path / "site" / "acme_tools-1.0.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "site" / f"{module}.py").write_text(CODE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tools\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[marimo_kernel_bridge.plugins]\nacme = {module}:plugin\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return "acme-tools"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Plugins]]:
    """The plugins of servers that would run."""
    served: list[Plugins] = []
    monkeypatch.setattr(mcp_tools, "run_stdio", lambda *given: served.append(given[2]))
    yield served
    gc.enable()  # as a server that runs does


def test_the_server_has_the_plugins_of_the_command_line_and_of_the_users_configuration(
    config: Path, acme: str, served: list[Plugins]
) -> None:
    result = CliRunner().invoke(main, ["mcp", "--plugin", acme, "--plugin", "nosuch"])
    assert result.exit_code == 0
    assert "The plugin nosuch is left out: no distribution of this name is installed" in result.stderr
    config.write_text(f'[mcp]\nplugins = ["{acme}"]\n')
    config.chmod(0o600)
    assert CliRunner().invoke(main, ["mcp"]).exit_code == 0
    assert [[tool.name for tool in plugins.tools] for plugins in served] == [["acme_look"], ["acme_look"]]


def test_no_configuration_of_a_project_is_read(
    config: Path, acme: str, served: list[Plugins], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    for name in (
        "config.toml",
        "marimo_kernel_bridge/config.toml",
        ".jupyter/marimo_kernel_bridge/config.toml",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(f'[mcp]\nplugins = ["{acme}"]\n')
    (project / "pyproject.toml").write_text(f'[tool.marimo_kernel_bridge.mcp]\nplugins = ["{acme}"]\n')
    monkeypatch.chdir(project)
    assert CliRunner().invoke(main, ["mcp"]).exit_code == 0
    assert served[0].tools == ()


def test_hosts_are_configured_with_the_plugins() -> None:
    result = CliRunner().invoke(main, ["mcp", "--plugin", "a", "--plugin", "b", "--print-config", "cursor"])
    (server,) = json.loads(result.stdout)["mcpServers"].values()
    assert server["args"][-4:] == ["--plugin", "a", "--plugin", "b"]
    refused = CliRunner().invoke(main, ["mcp", "--connect", "--plugin", "a"])
    assert "--plugin is the server's" in refused.output


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        ("[mcp]\nplugin = ['a']\n", 0o600, "unknown field `plugin`"),
        ("[mcp\n", 0o600, "cannot be used"),
        ("[mcp]\nplugins = 'a'\n", 0o600, "Expected `array`"),
        ("", 0o666, "other users can write to it"),
    ],
)
def test_a_configuration_that_is_wrong_or_not_the_users_alone_starts_no_server(
    config: Path, served: list[Plugins], content: str, mode: int, why: str
) -> None:
    config.write_text(content)
    config.chmod(mode)
    result = CliRunner().invoke(main, ["mcp"])
    assert result.exit_code == 1
    assert why in result.output
    assert not served
    (finding,) = findings()
    assert finding.verdict == "FAILED"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such owners")
def test_a_configuration_of_another_user_is_not_used(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("")
    config.chmod(0o600)
    os.chown(config, 12345, -1) if os.getuid() == 0 else monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(BridgeError, match="belongs to user id"):
        configuration()


def test_doctor_lists_the_plugins_with_their_permissions(config: Path, acme: str) -> None:
    (none,) = findings()
    assert (none.verdict, str(config) in none.detail) == ("skipped", True)
    config.write_text(f'[mcp]\nplugins = ["{acme}", "nosuch"]\n')
    config.chmod(0o600)
    good, bad = findings()
    assert str(good) == "ok       plugins: acme-tools 1.0, entry point acme: acme_look (read)"
    assert (bad.verdict, "nosuch is left out" in bad.detail) == ("FAILED", True)
