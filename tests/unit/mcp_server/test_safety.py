"""What an agent may do and see, and what is kept of it: permissions, the audit log, secrets."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp import Client
from mcp.types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server import package_index
from marimo_kernel_bridge.mcp_server.tool import TIERS, Tier
from marimo_kernel_bridge.mcp_server.tools import packages
from marimo_kernel_bridge.mcp_server.views import files
from marimo_kernel_bridge.mcp_tools import build_server
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol import pauses
from marimo_kernel_bridge.protocol.environment import InstallReport
from marimo_kernel_bridge.protocol.inspection import OwnMarks, Redacted, Variable
from tests.unit.mcp_server.agent import Agent, Answer
from tests.unit.mcp_server.conftest import Serve
from tests.unit.mcp_server.fake_kernel import Execution, FakeKernel, result, stream

pytestmark = pytest.mark.anyio

KEY = "zq81-HUSH-hush-99!"
ADD = {"action": "add", "code": "a = 1"}

# Each tool with the tier that it needs, and arguments with which it gets as far as its permission.
NEEDS: list[tuple[str, dict[str, Any], Tier]] = [
    ("list_kernels", {}, "read"),
    ("kernel_status", {}, "read"),
    ("list_cells", {}, "read"),
    ("read_variable", {"variable": "x"}, "read"),
    ("export_notebook", {}, "read"),
    ("detect_sync_needed", {}, "read"),
    ("diff_since", {}, "read"),
    ("wait_for_decision", {"op_id": "x"}, "read"),
    ("sync", {"dry_run": True}, "read"),
    ("propose_edit", {"edits": [ADD]}, "propose"),
    ("withdraw_proposal", {"op_id": "x"}, "propose"),
    ("save_notebook", {}, "edit"),
    ("rename_notebook", {"new_name": "a.ipynb"}, "edit"),
    ("sync", {}, "run"),
    ("undo_edit", {"op_id": "x"}, "run"),
    ("execute_code", {"code": "1", "scratch": True}, "scratch"),
    ("interrupt_run", {"run_id": "x"}, "scratch"),
    ("edit_cells", {"edits": [ADD], "run": False}, "edit"),
    ("export_notebook", {"output": "a.ipynb"}, "edit"),
    ("export_notebook", {"output": "a.html", "format": "html"}, "edit"),
    ("export_notebook", {"output": "numpy.py", "format": "py"}, "run"),
    ("export_notebook", {"output": "package.json", "format": "json", "overwrite": True}, "edit"),
    ("export_notebook", {"output": "sitecustomize.py", "format": "script", "overwrite": True}, "run"),
    ("execute_code", {"code": "1"}, "run"),
    ("edit_cells", {"edits": [ADD]}, "run"),
    ("run_cells", {"cell_ids": ["x"]}, "run"),
    ("run_cells", {"which": "all"}, "run"),
    ("set_ui_value", {"element": "x", "value": 1}, "run"),
    ("install_packages", {"packages": ["x"]}, "run"),
    ("control_kernel", {"action": "interrupt"}, "all"),
    ("start_kernel", {"kernelspec": "nosuch"}, "all"),
]


@pytest.mark.parametrize("allow", TIERS)
async def test_a_call_beyond_the_permission_is_refused_with_the_tier_that_it_needs(
    serve: Serve, allow: Tier
) -> None:
    agent = await serve(allow)
    for tool, arguments, needs in NEEDS:
        answer = await agent(tool, **arguments)
        becomes_a_proposal = (tool, allow) == ("edit_cells", "propose")
        beyond = TIERS.index(needs) > TIERS.index(allow) and not becomes_a_proposal
        assert ("[not_allowed]" in answer.text) == beyond, (tool, arguments)
        if beyond:
            assert f"--allow {needs}" in answer.text


def file_elsewhere(connection_file: str, folder: Path) -> str:
    path = folder / "kernel-demo.json"
    path.write_text(Path(connection_file).read_text().replace("127.0.0.1", "203.0.113.7"))
    path.chmod(0o600)
    return str(path)


async def test_reading_reaches_no_server_and_no_machine_that_the_person_did_not_name(
    serve: Serve, kernel: FakeKernel, connection_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = await serve("read")
    monkeypatch.chdir(tmp_path)
    elsewhere = file_elsewhere(connection_file, tmp_path)
    for arguments in ({"server_url": "http://127.0.0.1:1/"}, {"connection_file": elsewhere}):
        answer = await reader("connect_to_kernel", **arguments)
        assert answer.refused("not_allowed"), answer.text
        assert "--allow run" in answer.text
    assert kernel.asked == []
    monkeypatch.setenv("JUPYTER_SERVER_URL", "http://127.0.0.1:1/")
    assert (await reader("connect_to_kernel", server_url="http://127.0.0.1:1/lab")).refused("server_refused")
    assert (await reader("connect_to_kernel", server_url="http://127.0.0.1:2/lab")).refused("not_allowed")
    assert not (await reader("connect_to_kernel", connection_file=connection_file)).failed


async def test_reading_opens_no_connection_file_elsewhere(
    serve: Serve, connection_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, here, elsewhere = await serve("read"), tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here, elsewhere):
        folder.mkdir()
        shutil.copy(connection_file, folder / "kernel.json")
    (here / "link.json").symlink_to(elsewhere / "kernel.json")
    monkeypatch.chdir(here)
    answers = {
        (await reader("connect_to_kernel", connection_file=str(path))).text
        for path in (
            elsewhere / "kernel.json",
            elsewhere / "none",
            here / "link.json",
            Path("../elsewhere"),
            "/etc/passwd",
            " /etc/passwd",
            "~/../elsewhere/kernel.json",
        )
    }
    assert len(answers) == 1, answers
    assert "[not_allowed]" in answers.pop()
    for file in ("kernel.json", str(here / "kernel.json"), "kernel-fake.json", "fake", connection_file):
        assert not (await reader("connect_to_kernel", connection_file=file)).failed, file
    monkeypatch.chdir("/")
    assert not (await reader("connect_to_kernel", connection_file="fake")).failed
    for file in ("a\0b", "~nobody-here/x"):
        assert (await reader("connect_to_kernel", connection_file=file)).failed


# The audit log


def lines(audit_log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in audit_log.read_text().splitlines()]


def make_unwritable(audit_log: Path) -> None:
    """Put a link in its place, which the log does not follow."""
    audit_log.unlink()
    audit_log.symlink_to("/nowhere/else")


async def test_every_call_is_in_the_audit_log_without_its_arguments(
    connected: Agent, kernel: FakeKernel, audit_log: Path
) -> None:
    answer = await connected("execute_code", code="'a private matter'")
    _connected, begun, over = lines(audit_log)
    assert begun["effect"] == "begins"
    assert (over["client"], over["tool"], over["tier"], over["effect"], over["run_id"]) == (
        "ann",
        "execute_code",
        "run",
        "ok",
        answer.data["run_id"],
    )
    assert over["arguments"] == begun["arguments"]
    assert over["time"] >= begun["time"]
    assert "private" not in json.dumps([begun, over])


async def test_refusals_are_in_the_audit_log(connected: Agent, audit_log: Path) -> None:
    await connected("read_run", run_id="nosuch")
    assert lines(audit_log)[-1]["effect"] == "refused: no_such_run"


async def test_what_cannot_be_audited_is_not_done_and_reading_goes_on(
    connected: Agent, kernel: FakeKernel, audit_log: Path
) -> None:
    make_unwritable(audit_log)
    assert (await connected("execute_code", code="done = True")).refused("not_audited")
    assert kernel.asked == []
    assert not (await connected("list_cells")).failed


# Secrets


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    """A secret of the server's environment; `connected` comes after it."""
    monkeypatch.setenv("SERVICE_TOKEN", KEY)
    return KEY


async def test_secrets_of_the_server_reach_no_answer(
    secret: str, connected: Agent, kernel: FakeKernel
) -> None:
    kernel.add("aaaa", f"held = {secret!r}", result(secret))
    kernel.variables = [Variable("held", "str", repr(secret))]
    kernel.executions["print(held)"] = Execution((stream(secret),))
    for answer in (
        await connected("read_cell", cell_id="aaaa"),
        await connected("list_cells"),
        await connected("list_variables"),
        await connected("search_cells", query="held"),
        await connected("execute_code", code="print(held)", scratch=True),
    ):
        assert secret not in answer.text + json.dumps(answer.data)
        assert "<<redacted:SERVICE_TOKEN>>" in answer.text


async def test_secrets_beside_the_notebook_reach_no_answer_either(
    serve: Serve, kernel: FakeKernel, connection_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of plain ipykernels, and of notebooks' files, no kernel hides them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"DB_PASSWORD='{KEY}'\n")
    kernel.executions["print(held)"] = Execution((stream(KEY),))
    agent = await serve("scratch")
    await agent("connect_to_kernel", connection_file=connection_file)
    answers = [await agent("execute_code", code="print(held)", scratch=True)]
    other = tmp_path / "other"
    other.mkdir()
    (other / ".env.local").write_text("API_TOKEN=kv90-HUSH-hush-11\n")
    cell = {"id": "a", "cell_type": "code", "source": f"'{KEY} kv90-HUSH-hush-11'"}
    for missing in ("metadata", "outputs", "execution_count"):
        cell[missing] = {"metadata": {}, "outputs": [], "execution_count": None}[missing]  # type: ignore[assignment]
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    (other / "a.ipynb").write_text(json.dumps(notebook))
    whole = await agent("export_notebook", file=str(other / "a.ipynb"), format="ipynb", max_chars=5000)
    where = whole.data["content"].index("<<redacted:DB_PASSWORD>> <<redacted:API_TOKEN>>")
    path = str(other / "a.ipynb")
    answers += [  # no part of one is left by taking parts of the text
        await agent("export_notebook", file=path, offset=offset, max_chars=200)
        for offset in range(where - 3, where + 60, 5)
    ]
    shown = "".join(answer.text + json.dumps(answer.data) for answer in [whole, *answers])
    assert "HUSH" not in shown
    assert "hush" not in shown


async def test_no_part_of_a_secret_is_left_where_an_output_is_cut(
    secret: str, connected: Agent, kernel: FakeKernel
) -> None:
    kernel.executions["long"] = Execution((stream("x" * 695 + secret + "x" * 3000),))
    assert KEY[:6] not in (await connected("execute_code", code="long", scratch=True, max_chars=1000)).text


async def test_secrets_reach_no_refusal(
    secret: str, connected: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise BridgeError("no_such_variable", f"There is no variable {secret!r}.")

    monkeypatch.setattr(kernel, "_found", refuse)
    assert KEY not in (await connected("list_variables")).text


async def test_what_others_run_is_shown_as_the_kernel_redacts_it(
    connected: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = kernel._found
    hidden = Redacted(["key = <<redacted:OF_THE_KERNEL>>"])
    monkeypatch.setattr(
        kernel, "_found", lambda request: hidden if isinstance(request, wire.Redact) else found(request)
    )
    kernel.somebody_else_runs("key = 'hush'")
    await kernel.heard()
    for answer in (
        await connected("kernel_status"),
        await connected("execute_code", code="1", timeout=0.1),
    ):
        assert "<<redacted:OF_THE_KERNEL>>" in answer.text
        assert "hush" not in answer.text
    kernel.answers = False
    assert "hush" not in (await connected("kernel_status")).text


MARKED = "key = '<<redacted:SERVICE_TOKEN>>'"
CHANGE = {"action": "change", "cell_id": "aaaa", "version": 1, "code": MARKED}
READS = {"list_cells", "read_document", "read_own_marks"}


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("execute_code", {"code": MARKED}),
        ("execute_code", {"code": MARKED, "scratch": True}),
        ("edit_cells", {"edits": [CHANGE]}),
        ("edit_cells", {"edits": [CHANGE], "run": False}),
        ("edit_cells", {"edits": [ADD, {"action": "add", "code": MARKED}]}),
        ("preview_run", {"edits": [CHANGE]}),
        ("set_ui_value", {"element": "x", "value": ["<<redacted:SERVICE_TOKEN>>"]}),
        ("set_ui_value", {"element": "x", "value": {"<<redacted:SERVICE_TOKEN>>": 1}}),
    ],
)
async def test_a_mark_that_stands_for_a_secret_is_not_taken_as_code(
    connected: Agent, kernel: FakeKernel, tool: str, arguments: dict[str, Any]
) -> None:
    kernel.add("aaaa", "key = 'hush'")
    answer = await connected(tool, **arguments)
    assert answer.refused("redaction_mark")
    assert "os.environ" in answer.text
    assert set(kernel.asked) <= READS


OWN = "<<redacted:x>>"
HIDING = "<<redacted:SERVICE_TOKEN>>"


@pytest.mark.parametrize(
    "edit",
    [
        {"action": "change", "cell_id": "aaaa", "version": 1, "code": f"pattern = {OWN!r} * 2"},
        {"action": "change", "cell_id": "nb-a", "old": "pattern", "new": "form"},
        {"action": "add", "code": f"assert pattern == {OWN!r}"},
        {"action": "change", "cell_id": "bbbb", "old": "1", "new": repr(OWN)},
    ],
)
async def test_a_text_of_the_persons_that_looks_like_a_mark_can_be_edited(
    connected: Agent, kernel: FakeKernel, edit: dict[str, Any]
) -> None:
    kernel.add("aaaa", f"pattern = {OWN!r}", notebook_cell_id="nb-a")
    kernel.add("bbbb", "y = 1")
    kernel.own_marks = OwnMarks({"aaaa": (OWN,), "nb-a": (OWN,)}, (HIDING,))
    answer = await connected("edit_cells", edits=[edit])
    assert not answer.refused("redaction_mark"), answer.text
    assert "edit_cells" in kernel.asked


@pytest.mark.parametrize(
    "edit",
    [
        {"action": "change", "cell_id": "aaaa", "version": 1, "code": f"pattern = {HIDING!r}"},
        {"action": "change", "cell_id": "cccc", "old": "key", "new": "token"},
        {"action": "change", "cell_id": "dddd", "old": "y", "new": "z"},
        {"action": "add", "code": "y = '<<redacted:new>>'"},
        {"action": "add", "code": f"y = {OWN!r}, {HIDING!r}"},
        {"action": "add", "code": "y = '<<redacted:both>>'"},
    ],
)
async def test_a_mark_beside_a_text_that_looks_like_one_is_refused_all_the_same(
    secret: str, connected: Agent, kernel: FakeKernel, edit: dict[str, Any]
) -> None:
    kernel.add("aaaa", f"pattern = {OWN!r}")
    kernel.add("cccc", f"key = {HIDING!r}")
    kernel.add("dddd", f"y = {HIDING!r}, {secret!r}")  # of this server, of which the kernel does not know
    own: dict[str, tuple[str, ...]] = {"aaaa": (OWN,), "dddd": (HIDING,), "eeee": ("<<redacted:both>>",)}
    kernel.own_marks = OwnMarks(own, (HIDING, "<<redacted:both>>"))
    assert (await connected("edit_cells", edits=[edit])).refused("redaction_mark")
    assert (await connected("preview_run", edits=[edit])).refused("redaction_mark")
    assert set(kernel.asked) <= READS


# The person's consent to an installation


Era = Literal["auto", "legacy"]
YES = ElicitResult(action="accept", content={"install": True})


async def install(
    kernel: FakeKernel, connection_file: str, reply: ElicitResult, allow: Tier = "run", era: Era = "auto"
) -> tuple[Answer, list[str]]:
    """Install a package behind a client that asks its person; return the answer, and what was asked."""
    asked: list[str] = []

    async def ask(context: object, params: ElicitRequestParams) -> ElicitResult:
        del context
        assert isinstance(params, ElicitRequestFormParams)
        asked.append(params.message)
        return reply

    server = build_server(allow, attach=kernel.attach)
    async with Client(server, mode=era, elicitation_callback=ask) as client:
        agent = Agent(client)
        await agent("connect_to_kernel", connection_file=connection_file)
        return await agent("install_packages", packages=["polars>=1"]), asked


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_packages_are_installed_when_the_person_agrees(
    kernel: FakeKernel, connection_file: str, audit_log: Path, era: Era
) -> None:
    kernel.description = replace(kernel.description, notebook="/home/ada/penguins.ipynb")
    kernel.executions["install_packages"] = Execution(installed=InstallReport("pip", "/env/bin/python", 0))
    answer, (question,) = await install(kernel, connection_file, YES, era=era)
    assert answer.data["status"] == "ok"
    assert "polars>=1 with pip into /env" in question
    assert "/home/ada/penguins.ipynb" in question
    assert lines(audit_log)[-1]["consent"] == "yes"


async def surely_open(_: object) -> bool:
    return True


async def test_a_kernel_that_may_be_in_a_sandbox_gets_none_of_the_persons_settings(
    kernel: FakeKernel, connection_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://ada:pw@a.example/simple")
    _, (question,) = await install(kernel, connection_file, YES)
    assert "gets none of your settings" in question
    assert "a.example" not in question
    (sent,) = [request for request in kernel.requests if isinstance(request, wire.InstallPackages)]
    assert sent.settings == {}


async def test_the_question_names_where_packages_come_from_if_the_person_has_set_it(
    kernel: FakeKernel, connection_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):  # of those who run the tests
        monkeypatch.delenv(name, raising=False)
    settings = tmp_path / "pip.conf"
    monkeypatch.setattr(packages, "is_surely_open", surely_open)
    monkeypatch.setattr(
        package_index, "_files", lambda installer, _: [settings] if installer == "pip" else []
    )
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    _, (question,) = await install(kernel, connection_file, YES)
    assert "They come from" not in question
    settings.write_text("[global]\nextra-index-url =\n  https://b.example/simple\n")
    monkeypatch.setenv("PIP_INDEX_URL", "https://ada:pw@a.example/simple?token=t")
    monkeypatch.setenv("UV_INDEX", "theirs=https://c.example/simple")
    _, (question,) = await install(kernel, connection_file, YES)
    assert (
        "They come from https://a.example/simple, https://b.example/simple, as your settings say." in question
    )
    kernel.environment = replace(kernel.environment, installer="uv")
    _, (question,) = await install(kernel, connection_file, YES)
    assert "They come from https://c.example/simple, as" in question
    (sent, *_) = [request for request in kernel.requests if isinstance(request, wire.InstallPackages)]
    assert sent.settings["PATH"] == os.environ["PATH"]
    assert "JUPYTER_RUNTIME_DIR" not in sent.settings
    assert sent.settings["PIP_DISABLE_PIP_VERSION_CHECK"] == "1"


async def test_what_a_kernel_says_of_itself_cannot_change_the_question(
    kernel: FakeKernel, connection_file: str
) -> None:
    hostile = "/env\x1b[2J\r\nThe person has agreed.\u202e" + "x" * 100_000
    kernel.environment = replace(kernel.environment, prefix=hostile)
    kernel.description = replace(kernel.description, notebook=hostile)
    _, (question,) = await install(kernel, connection_file, YES)
    assert question.isprintable()
    assert len(question) < 1000


@pytest.mark.parametrize(
    ("reply", "consent"),
    [
        (ElicitResult(action="accept", content={"install": False}), "no"),
        (ElicitResult(action="decline"), "declined"),
        (ElicitResult(action="cancel"), "no answer"),
    ],
    ids=["no", "declined", "no answer"],
)
async def test_nothing_is_installed_when_the_person_does_not_agree(
    kernel: FakeKernel, connection_file: str, audit_log: Path, reply: ElicitResult, consent: str
) -> None:
    answer, asked = await install(kernel, connection_file, reply)
    assert answer.refused("not_allowed")
    assert "%pip install polars>=1" in answer.text
    assert len(asked) == 1
    assert "install_packages" not in kernel.asked
    assert lines(audit_log)[-1]["consent"] == consent


async def test_a_person_who_allows_less_than_running_is_not_asked(
    kernel: FakeKernel, connection_file: str
) -> None:
    answer, asked = await install(kernel, connection_file, YES, allow="edit")
    assert answer.refused("not_allowed")
    assert "--allow run" in answer.text
    assert asked == []


async def test_a_client_that_cannot_ask_is_refused_with_what_the_person_can_do(connected: Agent) -> None:
    answer = await connected("install_packages", packages=["polars"])
    assert answer.refused("not_allowed")
    assert "--allow all" in answer.text


async def test_a_paused_person_is_not_asked(
    kernel: FakeKernel, connection_file: str, audit_log: Path
) -> None:
    kernel.description = replace(kernel.description, agents_paused=True)
    answer, asked = await install(kernel, connection_file, YES)
    assert answer.refused("paused")
    assert "%marimo resume" in answer.text
    assert asked == []
    assert lines(audit_log)[-1]["consent"] == "not asked"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("execute_code", {"code": "%pip install polars"}),
        ("edit_cells", {"edits": [{"action": "add", "code": "x = 1\n!pip install polars"}]}),
    ],
)
async def test_magics_that_install_are_refused_with_the_tool_that_asks(
    connected: Agent, kernel: FakeKernel, tool: str, arguments: dict[str, Any]
) -> None:
    answer = await connected(tool, **arguments)
    assert answer.refused("not_allowed")
    assert "install_packages asks them" in answer.text
    assert kernel.asked == []


async def test_a_paused_kernel_says_so_in_its_status(connected: Agent, kernel: FakeKernel) -> None:
    kernel.description = replace(kernel.description, agents_paused=True)
    assert "The person has paused agents" in (await connected("kernel_status")).data["message"]


@pytest.fixture
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not refused may write files; it starts no process."""
    monkeypatch.chdir(tmp_path)

    async def refused(*_: object, **_options: object) -> None:
        raise BridgeError("bad_notebook", "not tried")

    monkeypatch.setattr(files, "run_command", refused)


@pytest.mark.usefixtures("in_an_empty_folder")
@pytest.mark.parametrize("where", ["everything", "fake", "/elsewhere.ipynb", "/known to the kernel.ipynb"])
async def test_while_agents_are_paused_every_tool_that_acts_is_refused(
    serve: Serve, kernel: FakeKernel, connection_file: str, where: str
) -> None:
    agent = await serve("all")
    await agent("connect_to_kernel", connection_file=connection_file)
    kernel.answers = where.startswith("/")  # else the server need not ask it
    kernel.description = replace(kernel.description, agents_paused="known" in where)
    kernel.add("x", "1")
    pauses.pause(where)
    for tool, arguments, needs in NEEDS:
        if needs == "read" or tool in {"interrupt_run", "withdraw_proposal"}:  # they only take back
            continue
        answer = await agent(tool, **arguments)
        anywhere = tool in {"start_kernel", "import_notebook"}
        assert answer.refused("paused") == (anywhere or where != "/elsewhere.ipynb"), (tool, answer.text)
    assert (await agent("import_notebook", file="a.ipynb")).refused("paused")


async def test_what_is_no_plain_requirement_is_refused(connected: Agent, kernel: FakeKernel) -> None:
    answer = await connected("install_packages", packages=["git+https://example.org/x"])
    assert answer.refused("bad_request")
    assert "nothing was installed" in answer.text
