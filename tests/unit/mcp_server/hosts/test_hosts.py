"""The server is added to each host in the file that the host reads, and taken away again."""

import base64
import inspect
import json
import re
import tomllib
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml

from marimo_kernel_bridge.errors import CODES, BridgeError
from marimo_kernel_bridge.mcp_server.arguments import TimeoutArg
from marimo_kernel_bridge.mcp_server.hosts import servers, skill
from marimo_kernel_bridge.mcp_server.hosts.clients import HOSTS
from marimo_kernel_bridge.mcp_server.hosts.installing import config_for, install, uninstall
from marimo_kernel_bridge.mcp_server.hosts.links import link_for
from marimo_kernel_bridge.mcp_server.hosts.names import CLIENTS, Client
from marimo_kernel_bridge.mcp_server.hosts.servers import Stdio
from marimo_kernel_bridge.mcp_tools import TOOLS

SERVER = Stdio(("/a folder/marimo-kernel-bridge", "mcp", "--allow", "propose"))
ENTRY = {"command": "/a folder/marimo-kernel-bridge", "args": ["mcp", "--allow", "propose"]}
BY_FILE = [client for client in CLIENTS if HOSTS[client].settings is not None]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("XDG_CONFIG_HOME", "CODEX_HOME", "CLINE_MCP_SETTINGS_PATH", "CLAUDE_CONFIG_DIR", "UV"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def file_of(client: Client) -> Path:
    settings = HOSTS[client].settings
    assert settings is not None
    return settings.find()


def entry_in(client: Client) -> Any:
    """Return the server as a host would read it: by the format and the names in the host's own documentation."""
    text = file_of(client).read_text()
    match client:
        case "codex":
            return tomllib.loads(text)["mcp_servers"]["marimo"]
        case "goose":
            return yaml.safe_load(text)["extensions"]["marimo"]
        case "continue":
            (server,) = yaml.safe_load(text)["mcpServers"]
            return server
        case "zed":
            return json.loads(text)["context_servers"]["marimo"]
        case "vscode":
            return json.loads(text)["servers"]["marimo"]
        case _:
            return json.loads(text)["mcpServers"]["marimo"]


def test_each_host_has_its_file_where_its_documentation_says(home: Path) -> None:
    assert {client: str(file_of(client).relative_to(home)) for client in BY_FILE} == {
        "claude-desktop": ".config/Claude/claude_desktop_config.json",
        "cursor": ".cursor/mcp.json",
        "vscode": ".config/Code/User/mcp.json",
        "codex": ".codex/config.toml",
        "gemini-cli": ".gemini/settings.json",
        "windsurf": ".codeium/windsurf/mcp_config.json",
        "zed": ".config/zed/settings.json",
        "cline": ".cline/data/settings/cline_mcp_settings.json",
        "continue": ".continue/mcpServers/marimo.yaml",
        "goose": ".config/goose/config.yaml",
    }


@pytest.mark.parametrize("client", BY_FILE)
def test_a_host_gets_the_server_once_and_loses_it_again(client: Client) -> None:
    assert str(file_of(client)) in install(client, SERVER)
    entry = entry_in(client)
    command = entry["cmd"] if client == "goose" else entry["command"]
    assert {"command": command, "args": entry["args"]} == ENTRY
    before = file_of(client).read_bytes()
    assert "nothing was changed" in install(client, SERVER)
    assert file_of(client).read_bytes() == before
    assert "removed" in uninstall(client)
    assert not file_of(client).exists() or "marimo" not in file_of(client).read_text()
    assert "nothing was changed" in uninstall(client)


@pytest.mark.parametrize("client", BY_FILE)
def test_what_is_printed_to_be_pasted_is_what_is_installed(client: Client) -> None:
    printed = config_for(client, SERVER)
    install(client, SERVER)
    assert file_of(client).read_text().strip() == printed.text.strip()
    assert file_of(client).name in printed.where


def test_another_command_replaces_the_one_before() -> None:
    install("codex", SERVER)
    other = Stdio(("/bin/python3", "-P", "-m", "marimo_kernel_bridge", "mcp"))
    install("codex", other)
    assert entry_in("codex") == {
        "command": "/bin/python3",
        "args": ["-P", "-m", "marimo_kernel_bridge", "mcp"],
        "startup_timeout_sec": 60,
        "tool_timeout_sec": 660,
    }


def test_hosts_with_short_limits_wait_as_long_as_a_tool_may() -> None:
    longest = next(part.le for part in get_args(TimeoutArg)[1].metadata if hasattr(part, "le"))
    for client in ("codex", "gemini-cli"):
        install(client, SERVER)
    assert entry_in("codex")["tool_timeout_sec"] > longest
    assert entry_in("gemini-cli")["timeout"] > 1000 * longest


def test_a_file_that_cannot_be_edited_stays_as_it_is(home: Path) -> None:
    file_of("zed").parent.mkdir(parents=True)
    file_of("zed").write_text("{ broken")
    for change in (lambda: install("zed", SERVER), lambda: uninstall("zed")):
        with pytest.raises(BridgeError, match="cannot be edited") as refused:
            change()
        assert "--print-config zed" in refused.value.hint
    assert file_of("zed").read_text() == "{ broken"


def test_a_file_of_this_servers_own_that_somebody_has_changed_stays() -> None:
    install("continue", SERVER)
    for change in (
        lambda text: text + "# mine\n",
        lambda text: text + "- name: other\n  command: x\n  args: []\n",
        lambda text: text + "  env: {TOKEN: abc}\n",
        lambda text: text + "rules:\n- be kind\n",
        lambda text: text.replace("version: 1.0.0", "version: 2.0.0"),
    ):
        uninstall("continue")
        install("continue", SERVER)
        changed = change(file_of("continue").read_text())
        file_of("continue").write_text(changed)
        for attempt in (
            lambda: install("continue", Stdio(("/new/marimo-kernel-bridge", "mcp"))),
            lambda: uninstall("continue"),
        ):
            with pytest.raises(BridgeError, match="somebody has changed it"):
                attempt()
        assert file_of("continue").read_text() == changed
        file_of("continue").unlink()


FOREIGN: dict[str, str] = {
    "cursor": '{"mcpServers": {"marimo": {"type": "http", "url": "http://localhost:2718/mcp/server", "headers": {}}}}',
    "gemini-cli": '{"mcpServers": {"marimo": {"httpUrl": "http://localhost:2718/mcp/server"}}}',
    "vscode": '{"servers": {"marimo": {"command": "other-server", "args": ["-x"], "env": {"K": "v"}}}}',
    "zed": '{"context_servers": {"marimo": {"command": "uvx", "args": ["marimo", "mcp"]}}}',
    "codex": '[mcp_servers.marimo]\nurl = "http://localhost:2718/mcp/server"\n',
    "goose": "extensions:\n  marimo:\n    type: streamable_http\n    uri: http://localhost:2718/mcp/server\n",
}


@pytest.mark.parametrize("client", list(FOREIGN))
def test_another_server_of_the_same_name_stays(client: Client) -> None:
    file_of(client).parent.mkdir(parents=True)
    file_of(client).write_text(FOREIGN[client])
    for attempt in (lambda: install(client, SERVER), lambda: uninstall(client)):
        with pytest.raises(BridgeError, match="'marimo' is another server, which stays"):
            attempt()
    assert file_of(client).read_text() == FOREIGN[client]


def test_an_entry_that_starts_nothing_yet_is_filled_in() -> None:
    file_of("cursor").parent.mkdir(parents=True)
    file_of("cursor").write_text('{"mcpServers": {"marimo": {"timeout": 60}}}')
    install("cursor", SERVER)
    assert entry_in("cursor") == {"timeout": 60, **ENTRY}


def test_a_linked_file_stays_a_link(home: Path) -> None:
    real = home / "dotfiles.json"
    real.write_text("{}")
    file_of("cursor").parent.mkdir(parents=True)
    file_of("cursor").symlink_to(real)
    install("cursor", SERVER)
    assert file_of("cursor").is_symlink()
    assert json.loads(real.read_text())["mcpServers"]["marimo"] == ENTRY


def test_cline_before_it_had_a_folder_of_its_own_is_found(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = home / ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"
    older.parent.mkdir(parents=True)
    older.write_text("{}")
    assert file_of("cline") == older
    monkeypatch.setenv("CLINE_MCP_SETTINGS_PATH", str(home / "mine.json"))
    assert file_of("cline") == home / "mine.json"


def test_links_hold_the_server_as_cursor_and_vs_code_read_it() -> None:
    cursor = urlsplit(link_for("cursor", SERVER))
    assert (cursor.scheme, cursor.netloc, cursor.path) == (
        "cursor",
        "anysphere.cursor-deeplink",
        "/mcp/install",
    )
    query = parse_qs(cursor.query, strict_parsing=True)
    assert query["name"] == ["marimo"]
    assert json.loads(base64.b64decode(query["config"][0], validate=True)) == ENTRY
    code = urlsplit(link_for("vscode", SERVER))
    assert (code.scheme, code.path) == ("vscode", "mcp/install")
    assert json.loads(unquote(code.query)) == {"name": "marimo", "type": "stdio", **ENTRY}


# The command


def test_in_an_environment_of_uvx_hosts_start_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    (cache / "archive-v0" / "abc").mkdir(parents=True)
    (cache / "CACHEDIR.TAG").touch()
    monkeypatch.setattr("sys.prefix", str(cache / "archive-v0" / "abc"))
    assert "tool" not in servers.our_command().command
    monkeypatch.setenv("UV", "/bin/uv")
    told: dict[str, Any] = {}
    monkeypatch.setattr(servers, "distribution", lambda _: _Distribution(told))
    for url, source in (
        (None, "marimo-kernel-bridge==7"),
        ({"url": "file:///a%20folder", "dir_info": {}}, "/a folder"),
        ({"url": "file:///a.whl", "archive_info": {}}, "/a.whl"),
        (
            {"url": "https://x/y.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "git+https://x/y.git@abc",
        ),
    ):
        told["url"] = url
        command = servers.our_command("--allow", "read").command
        assert command == (
            "/bin/uv",
            "tool",
            "run",
            "--from",
            source,
            "marimo-kernel-bridge",
            "mcp",
            "--allow",
            "read",
        )


class _Distribution:
    version = "7"

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told

    def read_text(self, _name: str) -> str | None:
        return None if self._told["url"] is None else json.dumps(self._told["url"])


# The skill


def test_the_skill_is_written_once_replaced_while_it_is_ours_and_kept_when_it_was_changed(home: Path) -> None:
    file = home / ".claude/skills/marimo-kernel-bridge/SKILL.md"
    assert str(file) in skill.install_skill()
    assert "already" in skill.install_skill()
    older = file.read_text().replace("## The rules", "## Rules of old")
    body, _, end = older.rpartition("\n<!-- ")
    signed = f"{body}\n<!-- {end.rsplit(' ', 2)[0]} {skill._digest(body)} -->\n"
    file.write_text(signed)
    skill.install_skill()
    assert file.read_text() == skill.skill_text()
    file.write_text(skill.skill_text().replace("cheap", "very cheap"))
    assert "changed by somebody" in skill.install_skill()
    assert "very cheap" in file.read_text()
    assert "stays" in skill.uninstall_skill()
    file.write_text(skill.skill_text())
    skill.uninstall_skill()
    assert not file.parent.exists()


def test_the_skill_names_tools_that_exist_and_says_when_it_is_for() -> None:
    text = skill.skill_text()
    front = yaml.safe_load(text.split("---")[1])
    assert front["name"] == skill.SKILL
    assert 50 < len(front["description"]) <= 1024
    arguments = {name for tool in TOOLS for name in inspect.signature(tool.function).parameters}
    known = {tool.name for tool in TOOLS} | arguments | CODES | {"orders_clean"}
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", text))
    assert set(re.findall(r"`([a-z_]+)=", text)) <= arguments
    assert {"cell_ids", "edit_cells"} <= named
    assert named <= known
