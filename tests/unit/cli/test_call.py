"""Tools of the MCP server from a shell: what is printed, which exit code, and that the server's rules hold."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from mcp.types import CallToolResult, ImageContent

from marimo_kernel_bridge.cli import call_answers
from marimo_kernel_bridge.cli.main import main


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.chdir(tmp_path)


def call(*words: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["call", *words], input=stdin, prog_name="marimo-kernel-bridge")


def audited(tmp_path: Path) -> list[dict[str, Any]]:
    log = tmp_path / "data" / "marimo_kernel_bridge" / "audit.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_a_call_prints_the_answer_and_is_in_the_audit_log(tmp_path: Path) -> None:
    done = call("list_notebooks", "--state", "all", "--client", "nightly")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "No notebook" in done.stdout or done.stdout.strip()
    (line,) = audited(tmp_path)
    assert (line["client"], line["tool"], line["tier"], line["effect"]) == (
        "nightly",
        "list_notebooks",
        "read",
        "ok",
    )


def test_an_answer_is_printed_as_json() -> None:
    assert json.loads(call("list_notebooks", "--json").stdout) == {"notebooks": []}


def test_a_refusal_is_one_line_on_stderr_or_json_and_exits_with_1() -> None:
    done = call("list_cells", "--kernel", "nothing.ipynb")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("marimo-kernel-bridge: [")
    refused = call("list_cells", "--kernel", "nothing.ipynb", "--json")
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["error"]["code"] in done.stderr


def test_the_permission_of_the_server_holds(tmp_path: Path) -> None:
    done = call("create_notebook", "--name", "a", "--json")
    assert done.exit_code == 1
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "not_allowed"
    assert "call --allow all" in error["message"]
    assert "work around" not in error["message"]
    assert audited(tmp_path)[-1]["effect"] == "refused: not_allowed"
    assert not list(tmp_path.glob("*.ipynb"))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["list_notebook"], "Did you mean list_notebooks?"),
        (["list_notebooks", "--stat", "all"], "Did you mean --state?"),
        (["list_notebooks", "all"], "Arguments have names: --state."),
        ([], "Give a TOOL, --list or --batch"),
        (["--list", "list_notebooks"], "Give a TOOL, --list or --batch"),
        (["--input", "-"], "Give a TOOL"),
    ],
)
def test_wrong_usage_is_told_with_what_is_right_and_exits_with_2(words: list[str], why: str) -> None:
    done = call(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert why in done.stderr


def test_arguments_come_from_json_and_words_come_before_it(tmp_path: Path) -> None:
    (tmp_path / "arguments.json").write_text('{"state": "nowhere"}')
    assert call("list_notebooks", "--input", "arguments.json").exit_code == 1
    assert call("list_notebooks", "--input", "arguments.json", "--state", "all").exit_code == 0
    assert call("list_notebooks", "--input", "-", stdin='{"state": "all"}').exit_code == 0
    for wrong, why in (("[1]", "no JSON object"), ("{", "no JSON")):
        done = call("list_notebooks", "--input", "-", stdin=wrong)
        assert (done.exit_code, why in done.stderr) == (2, True)
    assert "cannot be read" in call("list_notebooks", "--input", "nowhere.json").stderr


def test_a_batch_has_one_server_and_prints_a_line_for_each_call(tmp_path: Path) -> None:
    calls = [
        {"tool": "list_notebooks"},
        {"tool": "create_notebook", "arguments": {"name": "a"}},
        {"tool": "list_kernels"},
    ]
    text = "\n".join(map(json.dumps, calls)) + "\n\n"
    done = call("--batch", "-", stdin=text)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["tool"], line["ok"]) for line in lines] == [
        ("list_notebooks", True),
        ("create_notebook", False),
    ]
    assert (done.exit_code, lines[1]["error"]["code"]) == (1, "not_allowed")
    (tmp_path / "calls.jsonl").write_text(text)
    done = call("--batch", "calls.jsonl", "--keep-going")
    assert (done.exit_code, len(done.stdout.splitlines())) == (1, 3)


def test_a_batch_is_looked_at_whole_before_its_first_call(tmp_path: Path) -> None:
    for wrong, why in (
        ('{"arguments": {}}', "Line 2 is no call"),
        ('{"tool": "list_notebook"}', "Did you mean"),
    ):
        text = f'{{"tool": "list_notebooks"}}\n{wrong}\n{{"tool": "list_notebooks"}}\n'
        done = call("--batch", "-", stdin=text)
        assert (done.exit_code, done.stdout, why in done.stderr) == (2, "", True)
        done = call("--batch", "-", "--keep-going", stdin=text)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert ([line["ok"] for line in lines], done.exit_code) == ([True, False, True], 2)
        assert why in lines[1]["error"]["message"]


def test_help_and_the_list_come_from_the_tools() -> None:
    listed = call("--list")
    assert "list_notebooks" in listed.stdout
    assert "view_rows" not in listed.stdout  # a page's own
    needs = {one["tool"]: one["needs"] for one in json.loads(call("--list", "--json").stdout)}
    assert (needs["list_cells"], needs["create_notebook"]) == ("read", "all")
    assert "--cell-id" in call("read_cell", "--help").stdout
    assert "Exit codes:" in " ".join(call("--help").stdout.split())


def test_a_kernel_that_would_end_with_the_command_is_not_started() -> None:
    done = call("start_kernel", "--allow", "all")
    assert done.exit_code == 1
    assert "create_notebook starts one that stays" in done.stderr


def test_exit_codes_tell_what_became_of_code() -> None:
    codes = {
        status: call_answers.exit_code(CallToolResult(content=[], structured_content={"status": status}))
        for status in ("ok", "error", "interrupted", "running", "queued", "proposed")
    }
    assert codes == {"ok": 0, "error": 4, "interrupted": 4, "running": 5, "queued": 5, "proposed": 0}


def test_pictures_of_an_answer_are_saved_under_names_that_are_free(tmp_path: Path) -> None:
    picture = ImageContent(type="image", data="aGVsbG8=", mime_type="image/png")
    result = CallToolResult(content=[picture, picture], structured_content={"a": 1})
    folder = tmp_path / "pictures"
    for first in (1, 3):
        saved = call_answers.as_json(None, result, folder)["pictures"]
        assert saved == [str(folder / f"picture-{number}.png") for number in (first, first + 1)]
    assert (folder / "picture-4.png").read_bytes() == b"hello"
