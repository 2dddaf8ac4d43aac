"""Permissions, the person's brake, the audit log, and secrets: what an agent may do and see, and what is kept of it."""

import json
import os
import re
import stat
from random import Random

import pytest
from person import change, refused

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.safety import redaction
from marimo_kernel_bridge.mcp_server.safety.audit_log import AuditLog, digest
from marimo_kernel_bridge.mcp_server.safety.redaction import Redactor
from marimo_kernel_bridge.mcp_server.tool import TIERS
from marimo_kernel_bridge.protocol.inspection import Secret
from marimo_kernel_bridge.protocol.secrets import in_dotenv, in_environment

pytestmark = pytest.mark.anyio

# Each tool with the tier that it needs, and arguments with which it gets as far as its permission.
NEEDS = [
    ("list_kernels", {}, "read"),
    ("kernel_status", {}, "read"),
    ("list_cells", {}, "read"),
    ("read_variable", {"variable": "x"}, "read"),
    ("execute_code", {"code": "1", "scratch": True}, "scratch"),
    ("interrupt_run", {"run_id": "x"}, "scratch"),
    ("edit_cells", {"edits": [{"action": "add", "code": "a = 1"}], "run": False}, "edit"),
    ("execute_code", {"code": "1"}, "run"),
    ("edit_cells", {"edits": [{"action": "add", "code": "a = 1"}]}, "run"),
    ("run_cells", {"cell_ids": ["x"]}, "run"),
    ("run_cells", {"which": "all"}, "run"),
    ("control_kernel", {"action": "interrupt"}, "all"),
    ("start_kernel", {"kernelspec": "nosuch"}, "all"),
    ("set_ui_value", {"element": "x", "value": 1}, "run"),
    ("install_packages", {"packages": ["x"]}, "run"),
]


@pytest.fixture
def audit(data_dir):
    """What was written to the audit log since the test began, oldest first."""
    path = data_dir / "marimo_kernel_bridge" / "audit.jsonl"
    seen = len(path.read_text().splitlines()) if path.exists() else 0
    return lambda: [json.loads(line) for line in path.read_text().splitlines()[seen:]]


@pytest.mark.parametrize("allow", TIERS)
async def test_a_call_beyond_the_permission_is_refused_with_the_tier_that_it_needs(serve, allow):
    agent = await serve("auto", "--allow", allow)
    for tool, arguments, needs in NEEDS:
        answer = await agent(tool, **arguments)
        beyond = TIERS.index(needs) > TIERS.index(allow)
        assert ("[not_allowed]" in answer.text) == beyond, (tool, arguments)
        if beyond:
            assert f"--allow {needs}" in answer.text


async def test_every_call_is_in_the_audit_log_without_its_arguments(plain, audit):
    answer = await plain("execute_code", code="'a private matter'")
    begun, over = audit()
    assert begun["effect"] == "begins"
    assert (over["tool"], over["tier"], over["effect"], over["run_id"]) == (
        "execute_code",
        "run",
        "ok",
        answer.data["run_id"],
    )
    assert over["client"]
    assert over["arguments"] == begun["arguments"]
    assert over["time"] >= begun["time"]
    assert "private" not in json.dumps([begun, over])


async def test_refusals_are_in_the_audit_log(plain, audit):
    await plain("read_run", run_id="nosuch")
    assert [line["effect"] for line in audit()] == ["refused: no_such_run"]


def test_the_audit_log_is_for_its_owner_only_and_is_only_added_to(tmp_path):
    log = AuditLog(tmp_path / "sub" / "audit.jsonl")
    log.write({"tool": "one"})
    log.path.chmod(0o644)
    log.write({"tool": "two"})
    assert [json.loads(line)["tool"] for line in log.path.read_text().splitlines()] == ["one", "two"]
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_the_audit_log_follows_no_link(tmp_path):
    (tmp_path / "target").write_text("")
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "target")
    with pytest.raises(BridgeError) as refusal:
        AuditLog(tmp_path / "audit.jsonl").write({"tool": "one"})
    assert refusal.value.code == "not_audited"
    assert (tmp_path / "target").read_text() == ""


def test_the_same_arguments_have_the_same_digest():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})


async def test_what_cannot_be_audited_is_not_done(serve, plain_kernel, tmp_path):
    (tmp_path / "marimo_kernel_bridge").write_text("a file where the log's directory should be")
    agent = await serve("auto", env={"JUPYTER_DATA_DIR": str(tmp_path)})
    await agent.connect(plain_kernel)
    assert refused(await agent("execute_code", code="done = True"), "not_audited")
    assert not (await agent("kernel_status")).failed


async def test_a_paused_kernel_refuses_agents_and_goes_on_for_the_person(agent, reactive_kernel, person_at):
    person = await person_at(reactive_kernel)
    await agent.connect(reactive_kernel)
    await person.run("aaaa", "x = 1")
    await person.run("mmmm", "%marimo pause")
    for tool, arguments in (
        ("execute_code", {"code": "x = 2"}),
        ("execute_code", {"code": "x", "scratch": True}),
        ("edit_cells", {"edits": [change("aaaa", 1, "x = 2")]}),
        ("edit_cells", {"edits": [{"action": "add", "code": "z = 2"}]}),
        ("run_cells", {"cell_ids": ["aaaa"]}),
        ("set_ui_value", {"element": "x", "value": 2}),
    ):
        answer = await agent(tool, **arguments)
        assert refused(answer, "paused"), answer.text
        assert "%marimo resume" in answer.text
    assert (await agent("read_cell", cell_id="aaaa")).data["code"] == "x = 1"
    assert "paused" in (await agent("kernel_status")).data["message"]
    await person.run("mmmm", "%marimo resume")
    assert (await agent("execute_code", code="x", scratch=True)).data["outputs"] == "1"
    await agent("disconnect_kernel")


async def test_a_person_sees_agents_that_use_the_kernel_and_not_those_that_only_list_it(
    serve, reactive_kernel, person_at
):
    person = await person_at(reactive_kernel)
    agent = await serve("auto")
    assert (await agent("list_kernels")).data["kernels"]
    await person.run("mmmm", "%marimo agents")
    await person.until_shown("mmmm", "agents not paused\nnone has used this kernel")
    handle = await agent.connect(reactive_kernel)
    await agent("list_cells")
    await agent("list_kernels")
    await person.run("mmmm", "%marimo agents")
    not_paused, *names = person.shown("mmmm").splitlines()
    assert (not_paused, len(names)) == ("agents not paused", 1)
    assert "ran and changed nothing, last heard " in names[0]
    await agent("disconnect_kernel", kernel=handle)


# Secrets

KEY = "zq81-HUSH-hush-99!"
TOKENS = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "sk-ant-" + "a1B2" * 8,
    "hf_" + "aB3" * 12,
    "xoxb-123456789012-abcdefghij",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fw",
    "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("token", TOKENS)
def test_tokens_of_known_formats_are_taken_out(token):
    shown = Redactor(()).text(f"before {token} after")
    assert token not in shown
    assert shown.startswith("before <<redacted:")
    assert shown.endswith(">> after")


def test_known_values_are_taken_out_also_where_they_were_cut():
    redactor = Redactor([Secret("DEPLOY_KEY", KEY)])
    assert redactor.text(f"[{KEY}]") == "[<<redacted:DEPLOY_KEY>>]"
    assert redactor.text(f"'{KEY[:12]}…'") == "'<<redacted:DEPLOY_KEY>>'"
    assert redactor.data({"a": [KEY, 1]}) == {"a": ["<<redacted:DEPLOY_KEY>>", 1]}


def test_the_password_in_a_url_is_taken_out_and_the_rest_stays():
    shown = Redactor(()).text("postgresql://ada:secret@host/db")
    assert shown == "postgresql://<<redacted:password>>@host/db"


def test_plain_text_stays_as_it_is():
    text = "df.sk-learn sky http://example.org:8080/path user@host AKIA eyJ"
    assert Redactor([Secret("K", KEY)]).text(text) == text


def without_looking(redactor: Redactor, text: str) -> str:
    """What `Redactor.text` gives, without looking first what may be there."""
    formats = redaction._FORMATS
    text = redactor._values.sub(
        lambda match: f"<<redacted:{redactor._names[int(match.lastgroup[1:])]}>>", text
    )
    every = "|".join(f"(?P<f{number}>{pattern})" for number, (_, pattern, _) in enumerate(formats))
    return re.sub(
        every, lambda match: f"<<redacted:{formats[int(match.lastgroup[1:])][0]}>>", text, flags=re.DOTALL
    )


def test_looking_first_for_what_may_be_there_misses_nothing():
    secrets = [Secret("ONE", KEY), Secret("TWO", "correct horse battery"), Secret("PIN", "12-34-56-78")]
    redactor = Redactor(secrets)
    known = [part for secret in secrets for part in (secret.value, secret.value[:-4], secret.value[:4])]
    beginnings = [part for _, _, parts in redaction._FORMATS for part in parts]
    more = [f"gh{kind}_{'a1B2' * 9}" for kind in "pousr"]
    more += ["ASIAIOSFODNN7EXAMPLE", "glpat-" + "a1B2" * 5, "AIza" + "a1B2_" * 7, "npm_" + "a1B2" * 9]
    more += ["sk_live_" + "a1B2" * 6, "rk_test_" + "a1B2" * 6, "github_pat_" + "a1B2" * 12]
    more += ["pypi-" + "a1B2" * 15, "postgresql://ada:secret@host/db"]
    pieces = [*TOKENS, *more, *known, *beginnings, *" \n\"'@:/.-_a1A=", "a1B2" * 5, "<<redacted:x>>"]
    assert all("<<redacted:" in redactor.text(f"({token})") for token in [*TOKENS, *more])
    random = Random(7)
    redacted = 0
    for _ in range(3000):
        text = random.choice(["", " ", "\n"]).join(random.choices(pieces, k=random.randrange(8)))
        shown = redactor.text(text)
        assert shown == without_looking(redactor, text)
        assert redactor.data({"a": [text, 1], "b": {"c": "d"}}) == {"a": [shown, 1], "b": {"c": "d"}}
        redacted += shown != text
    assert redacted > 1000


def test_values_that_could_be_any_text_are_no_secrets(tmp_path):
    environment = {
        "API_KEY": KEY,
        "TOKEN_DIR": "/home/ada/tokens",
        "KEYBOARD": "qwertyuiop",
        "HOME": "h0me-12345",
    }
    assert in_environment(environment) == [Secret("API_KEY", KEY)]
    (tmp_path / ".env").write_text(f"# comment\nexport DB='{KEY}'\nDEBUG=1\n")
    assert in_dotenv(str(tmp_path)) == [Secret("DB", KEY)]


async def test_secrets_of_the_kernel_do_not_reach_the_model(agent, reactive_kernel, person_at):
    person = await person_at(reactive_kernel)
    await agent.connect(reactive_kernel)
    await person.run("aaaa", f"import os\nos.environ['SERVICE_TOKEN'] = {KEY!r}")
    await person.run("bbbb", "held = os.environ['SERVICE_TOKEN']\nheld")
    answers = [
        await agent("read_cell", cell_id="bbbb"),
        await agent("read_cell", cell_id="aaaa"),
        await agent("execute_code", code="print(held)", scratch=True),
        await agent("execute_code", code="raise ValueError(held)", scratch=True),
        await agent("list_variables"),
        await agent("read_variable", variable="held"),
        await agent("search_cells", query="hush"),
    ]
    for answer in answers:
        assert KEY not in answer.text + json.dumps(answer.data)
        assert "<<redacted:SERVICE_TOKEN>>" in answer.text
    # Not even in part, where a long output is cut.
    code = "print('x' * 695 + held + 'x' * 3000)"
    assert KEY[:6] not in (await agent("execute_code", code=code, scratch=True, max_chars=1000)).text
    assert (await agent("execute_code", code="len(held)", scratch=True)).data["outputs"] == str(len(KEY))
    await agent("disconnect_kernel")


async def test_a_mark_in_place_of_a_secret_is_not_taken_as_code(plain):
    answer = await plain("execute_code", code="key = '<<redacted:SERVICE_TOKEN>>'")
    assert refused(answer, "bad_request")
    assert "os.environ" in answer.text


def test_the_environment_of_this_process_is_read():
    os.environ["BRIDGE_TEST_TOKEN"] = KEY
    try:
        assert Secret("BRIDGE_TEST_TOKEN", KEY) in in_environment(os.environ)
    finally:
        del os.environ["BRIDGE_TEST_TOKEN"]
