"""What --print-config prints works when it is pasted, and --install runs the client's own command."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner
from mcp import Client, StdioServerParameters
from served import environment

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.mcp_server.transport import address, http, run_files

pytestmark = pytest.mark.anyio

JSON_CLIENTS = {
    "claude-desktop": "mcpServers",
    "cursor": "mcpServers",
    "vscode": "servers",
    "gemini-cli": "mcpServers",
    "windsurf": "mcpServers",
    "zed": "context_servers",
    "cline": "mcpServers",
}


def bridge(folder, *options, path=None):
    """Run `mcp` in this process with its files in `folder`, and with `path` for PATH."""
    variables = environment(folder) | ({"PATH": str(path)} if path else {})
    return CliRunner(env=variables).invoke(main, ["mcp", *options], prog_name="marimo-kernel-bridge")


def printed(folder, *options):
    done = bridge(folder, *options)
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.fixture
def programs(tmp_path):
    """A folder for PATH in which `claude` and `code` write their arguments to a file, and fail if told to."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("claude", "code"):
        program = folder / name
        program.write_text(
            f"#!{sys.executable}\nimport json, os, sys\n"
            f"shown = {str(folder / 'shown')!r}\n"
            "if sys.argv[2:3] == ['get']:\n"
            "    print(open(shown).read()) if os.path.exists(shown) else sys.exit(1)\n"
            "    sys.exit(0)\n"
            f"json.dump(sys.argv[1:], open({str(folder / 'called')!r}, 'w'))\n"
            "sys.exit('there is one already' if os.path.exists(__file__ + '.fails') else 0)\n"
        )
        program.chmod(0o755)
    return folder


def called(programs):
    return json.loads((programs / "called").read_text())


async def names_of_tools(transport):
    async with Client(transport) as client:
        return {tool.name for tool in (await client.list_tools()).tools}


async def test_a_printed_configuration_starts_the_server_the_same_for_each_client(tmp_path):
    entries = [
        one
        for name, key in JSON_CLIENTS.items()
        for one in json.loads(printed(tmp_path, "--print-config", name))[key].values()
    ]
    commands = {(entry["command"], *entry["args"]) for entry in entries}
    assert (len(entries), len(commands)) == (len(JSON_CLIENTS), 1)
    entry = entries[0]
    assert Path(entry["command"]).is_absolute()
    server = StdioServerParameters(command=entry["command"], args=entry["args"])
    assert "connect_to_kernel" in await names_of_tools(server)


async def test_a_printed_configuration_joins_the_running_server_without_a_token(server):
    text = printed(server.folder, "--http", "--port", str(server.port), "--print-config", "cursor")
    (entry,) = json.loads(text)["mcpServers"].values()
    assert entry["args"] == ["mcp", "--connect", "--port", str(server.port)]
    joining = StdioServerParameters(
        command=entry["command"], args=entry["args"], env=environment(server.folder)
    )
    assert "connect_to_kernel" in await names_of_tools(joining)


def test_the_line_for_claude_code_adds_the_server(tmp_path, programs):
    line = printed(tmp_path, "--print-config", "claude-code")
    subprocess.run(["/bin/sh", "-c", line], env={"PATH": str(programs)}, check=True)
    *options, command, argument = called(programs)
    assert options == ["mcp", "add", "--scope", "user", "marimo", "--"]
    assert os.access(command, os.X_OK)
    assert argument == "mcp"


@pytest.mark.parametrize("client", ["claude-code", "claude-desktop", "cursor", "vscode"])
def test_a_configuration_for_http_has_no_token_and_makes_none(tmp_path, client):
    done = bridge(tmp_path, "--http", "--print-config", client)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.rstrip().endswith("--connect") or json.loads(done.stdout)
    assert "http://" not in done.output
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["mcp-port"]


def test_no_client_is_sent_to_a_port_on_which_another_user_listens(tmp_path, monkeypatch):
    monkeypatch.setattr(address, "foreign_listener", lambda _, port: {4711: 4242}.get(port))
    for options in (["--print-config", "cursor"], ["--install", "codex"], []):
        done = bridge(tmp_path, "--http", "--port", "4711", *options)
        assert (done.exit_code, done.stdout) == (1, "")
        assert "User id 4242 listens on port 4711" in done.stderr


def test_options_without_an_effect_are_refused(tmp_path):
    for options in (["--connect", "--allow", "read"], ["--connect", "--allow", "run", "--install", "vscode"]):
        done = bridge(tmp_path, *options)
        assert done.exit_code == 2
        assert "--allow is the server's: give it to mcp --http." in done.stderr


def test_a_system_without_unix_sockets_is_told_of_http_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(run_files, "HAVE_SOCKETS", False)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / ("x" * 100)))
    done = bridge(tmp_path, "--connect")
    assert done.exit_code == 2
    assert "which this system lacks: use the URL and the token" in done.stderr
    monkeypatch.setattr(http, "serve_http", lambda *arguments: arguments[-1]())
    printed = bridge(tmp_path, "--http", "--port", "0").stdout
    assert re.search(r"Serving MCP at http://127.0.0.1:\d+/mcp with the token in \S+\.token\.", printed)
    assert "the token as a bearer token" in printed
    assert "--print-config" not in printed


def test_a_configuration_for_http_says_how_the_server_is_started(tmp_path):
    where = ("--port", "4711", "--allow", "read", "--token-file", "a token")
    assert bridge(tmp_path, "--http", *where, "--print-config", "cursor").stderr.endswith(
        "Start it first, and let it run: marimo-kernel-bridge mcp --http --port 4711 --allow read --token-file 'a token'\n"
    )
    assert "let it run" not in bridge(tmp_path, "--print-config", "cursor").stderr


def test_without_http_no_port_is_chosen(tmp_path):
    printed(tmp_path, "--print-config", "vscode")
    assert not (tmp_path / "data").exists()


def test_an_address_of_a_server_is_one_that_a_client_can_use():
    for host, shown in (("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("lab", "lab")):
        assert address.url_of(host, 1) == f"http://{shown}:1/mcp"


def test_install_runs_claude_codes_own_command_and_writes_the_skill(tmp_path, programs, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    done = bridge(tmp_path, "--install", "claude-code", path=programs)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("Done: ")
    arguments = called(programs)
    assert shlex.split(done.stdout.splitlines()[0])[2:] == arguments
    assert arguments[:6] == ["mcp", "add", "--scope", "user", "marimo", "--"]
    assert (tmp_path / "claude/skills/marimo-kernel-bridge/SKILL.md").exists()
    done = bridge(tmp_path, "--uninstall", "claude-code", path=programs)
    assert called(programs) == ["mcp", "remove", "--scope", "user", "marimo"]
    assert not (tmp_path / "claude/skills/marimo-kernel-bridge").exists()


@pytest.mark.parametrize("client", ["codex", "continue", "cursor"])
def test_install_edits_the_file_of_a_host_without_a_command(tmp_path, monkeypatch, client):
    monkeypatch.setenv("HOME", str(tmp_path))
    for what, said in (("--install", "added to"), ("--install", "already"), ("--uninstall", "removed from")):
        done = bridge(tmp_path, what, client)
        assert (done.exit_code, said in done.stdout) == (0, True), done.output


def test_a_link_starts_the_server_that_a_configuration_starts(tmp_path):
    link = printed(tmp_path, "--allow", "propose", "--print-link", "vscode").strip()
    entry = json.loads(unquote(link.partition("?")[2]))
    (printed_entry,) = json.loads(printed(tmp_path, "--allow", "propose", "--print-config", "vscode"))[
        "servers"
    ].values()
    assert {"name": "marimo", **printed_entry} == entry


def test_another_server_of_claude_code_with_this_name_stays(tmp_path, programs):
    (programs / "claude.fails").touch()  # the name is taken
    (programs / "shown").write_text("marimo: http://localhost:2718/mcp/server (HTTP)")
    for option in ("--install", "--uninstall"):
        done = bridge(tmp_path, option, "claude-code", path=programs)
        assert done.exit_code == 1
        assert "another server called 'marimo'" in done.stderr
    assert called(programs)[:2] == ["mcp", "add"]


def test_install_passes_on_what_the_client_says_when_it_fails(tmp_path, programs, capfd):
    (programs / "claude.fails").touch()
    done = bridge(tmp_path, "--install", "claude-code", path=programs)
    assert done.exit_code == 1
    assert "there is one already" in capfd.readouterr().err
    assert "failed with exit code 1" in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        (["--install", "claude-code"], 1, "add its folder to PATH"),
        (["--install", "vscode", "--print-config", "vscode"], 2, "one of"),
        (["--install", "vscode", "--uninstall", "vscode"], 2, "one of"),
        (["--print-link", "zed"], 2, "cursor"),
        (["--http", "--port", "0", "--print-config", "cursor"], 2, "not 0"),
        (["--port", "1"], 2, "--http"),
        (["--http", "--connect"], 2, "one of --http and --connect"),
        (["--token-file", "t"], 2, "--http"),
        (["--allow-remote"], 2, "--http"),
        (["--print-config", "emacs"], 2, "claude-code"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(tmp_path, options, code, why):
    done = bridge(tmp_path, *options, path=tmp_path)
    assert (done.exit_code, done.stdout) == (code, "")
    assert why in done.stderr
