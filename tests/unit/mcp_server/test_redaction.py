"""The audit log's file, and how secrets are found in a text."""

import html
import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.safety import redaction
from marimo_kernel_bridge.mcp_server.safety.audit_log import AuditLog, digest
from marimo_kernel_bridge.mcp_server.safety.redaction import Redactor
from marimo_kernel_bridge.protocol.inspection import Secret
from marimo_kernel_bridge.protocol.secrets import in_dotenv, in_environment

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


@pytest.mark.parametrize("token", TOKENS)
def test_tokens_of_known_formats_are_taken_out(token: str) -> None:
    shown = Redactor(()).text(f"before {token} after")
    assert token not in shown
    assert shown.startswith("before <<redacted:")
    assert shown.endswith(">> after")


def test_known_values_are_taken_out_also_where_they_were_cut() -> None:
    redactor = Redactor([Secret("DEPLOY_KEY", KEY)])
    assert redactor.text(f"[{KEY}]") == "[<<redacted:DEPLOY_KEY>>]"
    assert redactor.text(f"'{KEY[:12]}…'") == "'<<redacted:DEPLOY_KEY>>'"
    assert redactor.data({"a": [KEY, 1]}) == {"a": ["<<redacted:DEPLOY_KEY>>", 1]}


def test_the_password_in_a_url_is_taken_out_and_the_rest_stays() -> None:
    shown = Redactor(()).text("postgresql://ada:secret@host/db")
    assert shown == "postgresql://<<redacted:password>>@host/db"


def test_plain_text_stays_as_it_is() -> None:
    text = "df.sk-learn sky http://example.org:8080/path user@host AKIA eyJ"
    assert Redactor([Secret("K", KEY)]).text(text) == text


def number_of(match: re.Match[str]) -> int:
    return int((match.lastgroup or "")[1:])


def without_looking(redactor: Redactor, text: str) -> str:
    """What `Redactor.text` gives, without looking first what may be there."""
    formats = redaction._FORMATS
    assert redactor._values is not None
    text = redactor._values.sub(lambda match: f"<<redacted:{redactor._names[number_of(match)]}>>", text)
    every = "|".join(f"(?P<f{number}>{pattern})" for number, (_, pattern, _) in enumerate(formats))
    return re.sub(every, lambda match: f"<<redacted:{formats[number_of(match)][0]}>>", text, flags=re.DOTALL)


def test_looking_first_for_what_may_be_there_misses_nothing() -> None:
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


def test_values_that_could_be_any_text_are_no_secrets(tmp_path: Path) -> None:
    environment = {
        "API_KEY": KEY,
        "TOKEN_DIR": "/home/ada/tokens",
        "KEYBOARD": "qwertyuiop",
        "HOME": "h0me-12345",
    }
    assert in_environment(environment) == [Secret("API_KEY", KEY)]
    (tmp_path / ".env").write_text(f"# comment\nexport DB_KEY='{KEY}'\nDEBUG=1\n")
    assert in_dotenv(str(tmp_path)) == [Secret("DB_KEY", KEY)]


def test_the_environment_of_this_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_TEST_TOKEN", KEY)
    assert Secret("BRIDGE_TEST_TOKEN", KEY) in in_environment(os.environ)


B = "Zq8" * 22
FORMS = [
    f"Authorization: Bearer {B}",
    "Authorization: Basic YWRhOnNlY3JldA==",
    f"SG.{B[:22]}.{B[:43]}",
    "dop_v1_" + "a1" * 32,
    "dapi" + "0a" * 16,
    f"gsk_{B[:52]}",
    f"xapp-1-{B[:30]}",
    f"whsec_{B[:32]}",
    "123456789:AA" + B[:33],
    "AGE-SECRET-KEY-1" + "QX" * 29,
    f"AccountKey={B}==",
    f"redis://:{B[:12]}@host",
    f"https://{B[:30]}@github.com/x",
    f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n{B}\n-----END PGP PRIVATE KEY BLOCK-----",
]


@pytest.mark.parametrize("text", FORMS)
def test_more_tokens_are_known_by_their_form(text: str) -> None:
    hidden = Redactor([]).text(text)
    assert "<<redacted:" in hidden
    assert B[:12] not in hidden


VALUE = "a'b\"c<d>&e\\f ü/9"


@pytest.mark.parametrize(
    "written", [repr, json.dumps, html.escape, quote, lambda value: quote(value, safe="")]
)
def test_a_known_value_is_known_however_it_is_escaped(written: Callable[[str], str]) -> None:
    assert "<<redacted:DB_PASSWORD>>" in Redactor([Secret("DB_PASSWORD", VALUE)]).text(
        f"x {written(VALUE)} y"
    )


def test_keys_are_redacted_as_values_are_and_short_values_are_not() -> None:
    redactor = Redactor([Secret("A_TOKEN", "hush-hush-1"), Secret("B_TOKEN", " "), Secret("C_TOKEN", "")])
    assert redactor.data({"hush-hush-1": "a b"}) == {"<<redacted:A_TOKEN>>": "a b"}


ORDINARY = {
    "TOKENIZER_MODEL": "gpt-4o-mini", "KEYBOARD_LAYOUT": "en_US.UTF-8", "MONKEY_MODE": "us-east-1", "HOST": "localhost:8000",
    "DATE": "2024-01-01", "PWD": "/no/such/folder-1", "KEY_FILE": "/etc/hostname", "AUTHOR": "Ada Lovelace 1", "TOKEN": "1",
    "SORT_KEY": "descending", "COMPASS_MODE": "north-1234",
}  # fmt: skip
SECRET = {
    "DB_PASSWORD": "correcthorsebatterystaple", "MYSQL_PWD": "hush-1234", "GITHUB_AUTH": "hush-1234", "SLACK_WEBHOOK": "hush-1234",
    "AWS_SECRET_ACCESS_KEY": "/wJalrXUtnFEMI/K7MDENG", "APITOKEN": "hush-1234", "OPENAI_API_KEY": "hush-1234", "PGPASSWORD": "hushhush",
}  # fmt: skip


def test_names_of_which_a_word_is_a_secrets_are_secret_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "".join(f"{name}='{value}'\n" for name, value in {**ORDINARY, **SECRET}.items())
    )
    for found in (in_environment({**ORDINARY, **SECRET}), in_dotenv(str(tmp_path))):
        assert {secret.name: secret.value for secret in found} == SECRET
