"""What --print-config prints works when it is pasted, and --install runs the client's own command."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from served import environment, new_http

from marimo_kernel_bridge.cli.main import main

pytestmark = pytest.mark.anyio

JSON_CLIENTS = {"claude-desktop": "mcpServers", "cursor": "mcpServers", "vscode": "servers"}


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


@pytest.mark.parametrize("name", ["claude-code", "cursor"])
async def test_a_printed_configuration_reaches_the_server(server, name):
    text = printed(server.folder, "--http", "--port", str(server.port), "--print-config", name)
    (entry,) = json.loads(text)["mcpServers"].values()
    assert entry["url"] == server.url
    async with new_http(headers=entry["headers"]) as http:
        assert "connect_to_kernel" in await names_of_tools(
            streamable_http_client(entry["url"], http_client=http)
        )


def test_the_line_for_claude_code_adds_the_server(tmp_path, programs):
    line = printed(tmp_path, "--print-config", "claude-code")
    subprocess.run(["/bin/sh", "-c", line], env={"PATH": str(programs)}, check=True)
    *options, command, argument = called(programs)
    assert options == ["mcp", "add", "--scope", "user", "marimo", "--"]
    assert os.access(command, os.X_OK)
    assert argument == "mcp"


def test_the_token_is_in_no_command_line_and_in_no_file_of_a_project(tmp_path):
    for name in ("claude-code", "cursor", "vscode"):
        done = bridge(tmp_path, "--http", "--print-config", name)
        token = (tmp_path / "data/marimo-kernel-bridge/mcp-token").read_text().strip()
        assert token not in done.stderr
        config = json.loads(done.stdout)  # no command line
        if name == "vscode":
            assert token not in done.stdout
            (asked,) = config["inputs"]
            assert asked["password"] is True
            assert f"${{input:{asked['id']}}}" in config["servers"]["marimo"]["headers"]["Authorization"]
            assert "User Configuration" in done.stderr
        else:
            assert token in done.stdout
            assert "For ~/" in done.stderr


def test_a_configuration_for_http_says_how_the_server_is_started(tmp_path):
    where = ("--port", "4711", "--allow", "read")
    assert bridge(tmp_path, "--http", *where, "--print-config", "cursor").stderr.endswith(
        "Start it first, and let it run: marimo-kernel-bridge mcp --http --port 4711 --allow read\n"
    )
    assert "let it run" not in bridge(tmp_path, "--print-config", "cursor").stderr


def test_without_http_no_token_is_made(tmp_path):
    printed(tmp_path, "--print-config", "vscode")
    assert not (tmp_path / "data").exists()


def test_an_address_in_a_configuration_is_one_that_a_client_can_use(tmp_path):
    for host, shown in (("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("lab", "lab")):
        text = printed(tmp_path, "--http", "--host", host, "--print-config", "cursor")
        assert json.loads(text)["mcpServers"]["marimo"]["url"] == f"http://{shown}:27180/mcp"


@pytest.mark.parametrize("name", ["claude-code", "vscode"])
def test_install_runs_the_clients_own_command(tmp_path, programs, name):
    done = bridge(tmp_path, "--install", name, path=programs)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("Done: ")
    arguments = called(programs)
    assert shlex.split(done.stdout)[2:] == arguments
    if name == "vscode":
        option, added = arguments
        assert option == "--add-mcp"
        added = json.loads(added)
        assert (added["name"], added["type"], added["args"]) == ("marimo", "stdio", ["mcp"])
    else:
        assert arguments[:6] == ["mcp", "add", "--scope", "user", "marimo", "--"]


def test_install_passes_on_what_the_client_says_when_it_fails(tmp_path, programs, capfd):
    (programs / "claude.fails").touch()
    done = bridge(tmp_path, "--install", "claude-code", path=programs)
    assert done.exit_code == 1
    assert "there is one already" in capfd.readouterr().err
    assert "failed with exit code 1" in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        (["--install", "cursor"], 1, "no command that adds a server"),
        (["--install", "claude-desktop"], 1, "no command that adds a server"),
        (["--install", "claude-code"], 1, "add its folder to PATH"),
        (["--install", "vscode", "--http"], 2, "stdio"),
        (["--install", "vscode", "--print-config", "vscode"], 2, "one of"),
        (["--http", "--print-config", "claude-desktop"], 1, "over stdio only"),
        (["--http", "--port", "0", "--print-config", "cursor"], 2, "not 0"),
        (["--port", "1"], 2, "--http"),
        (["--allow-remote"], 2, "--http"),
        (["--print-config", "emacs"], 2, "claude-code"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(tmp_path, options, code, why):
    done = bridge(tmp_path, *options, path=tmp_path)
    assert (done.exit_code, done.stdout) == (code, "")
    assert why in done.stderr
