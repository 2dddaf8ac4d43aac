"""How known secrets are found in a text, and which variables of an environment are secrets."""

import base64
import html
import json
import os
import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from marimo_kernel_bridge.protocol.inspection import Secret
from marimo_kernel_bridge.protocol.redaction import Redactor
from marimo_kernel_bridge.protocol.secrets import in_dotenv, in_environment

KEY = "zq81-HUSH-hush-99!"


def test_known_values_are_taken_out_also_where_they_were_cut() -> None:
    redactor = Redactor([Secret("DEPLOY_KEY", KEY)])
    assert redactor.text(f"[{KEY}]") == "[<<redacted:DEPLOY_KEY>>]"
    assert redactor.text(f"'{KEY[:12]}…'") == "'<<redacted:DEPLOY_KEY>>'"
    assert redactor.data({"a": [KEY, 1]}) == {"a": ["<<redacted:DEPLOY_KEY>>", 1]}


def test_plain_text_stays_as_it_is() -> None:
    text = "df.sk-learn sky http://example.org:8080/path user@host AKIA eyJ"
    assert Redactor([Secret("K", KEY)]).text(text) == text


def test_a_longer_value_is_found_before_one_that_it_contains() -> None:
    redactor = Redactor([Secret("A_TOKEN", "hush-1234"), Secret("B_TOKEN", "hush-1234-5678")])
    assert redactor.text("hush-1234-5678 hush-1234") == "<<redacted:B_TOKEN>> <<redacted:A_TOKEN>>"


def test_a_value_is_found_where_a_terminal_wraps_or_colors_it() -> None:
    redactor = Redactor([Secret("DEPLOY_KEY", KEY)])
    assert redactor.text(f"a\n{KEY[:4]}\n{KEY[4:]}\nb") == "a\n<<redacted:DEPLOY_KEY>>\nb"
    assert redactor.text(f"\x1b[31m{KEY[:4]}\x1b[0m{KEY[4:]}") == "<<redacted:DEPLOY_KEY>>"
    assert redactor.data([f"\x1b[31m{KEY[:4]}\x1b[0m{KEY[4:]}"]) == ["<<redacted:DEPLOY_KEY>>"]
    assert redactor.text(f"\x1b[31m{KEY}\x1b[0m") == "\x1b[31m<<redacted:DEPLOY_KEY>>\x1b[0m"


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


def test_a_value_is_known_wherever_a_line_break_is_within_it() -> None:
    value = "Kx7vQ2mN9pL4wZ8tR5yB"
    redactor = Redactor([Secret("API_KEY", value)])
    for at in range(1, len(value)):
        assert redactor.text(f"a {value[:at]}\n{value[at:]} b") == "a <<redacted:API_KEY>> b"
    lines = "\n".join(value[at : at + 5] for at in range(0, 20, 5))
    assert redactor.data({"text": f"{lines}\n"}) == {"text": "<<redacted:API_KEY>>\n"}


def test_a_value_is_known_without_what_html_takes_for_a_tag() -> None:
    redactor = Redactor([Secret("DB_PASSWORD", "zq81<h&sh>-HUSH-99"), Secret("A_KEY", "ab<c>")])
    assert redactor.text("zq81-HUSH-99: 1") == "<<redacted:DB_PASSWORD>>: 1"
    assert redactor.text("ab") == "ab"


VALUE = "a'b\"c<d>&e\\f ü/9"
SHORT = "hush-12?é"


def _for_html(value: str) -> str:
    """Return a value in JSON as Jinja writes it."""
    written = json.dumps(value)
    for letter in "<>&'":
        written = written.replace(letter, f"\\u{ord(letter):04x}")
    return written


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


WRITTEN: list[Callable[[str], str]] = [
    repr,
    ascii,
    json.dumps,
    lambda value: json.dumps(value, ensure_ascii=False),
    html.escape,
    lambda value: html.escape(value, quote=False),
    quote,
    quote_plus,
    lambda value: quote(value, safe=""),
    _base64,
    lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    lambda value: html.escape(value).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    lambda value: html.escape(value).replace("&#x27;", "&#39;"),
    lambda value: html.escape(value).replace("&#x27;", "&apos;"),
    _for_html,
    lambda value: json.dumps(value).replace("<", "\\u003C").replace(">", "\\u003E").replace("&", "\\u0026"),
    lambda value: json.dumps(value).replace("/", "\\/"),
    lambda value: json.dumps(json.dumps(value)),
    lambda value: json.dumps({"body": json.dumps({"key": value})}, ensure_ascii=False),
    lambda value: repr(repr(value)),
    lambda value: repr([f'"{value}"']),
    lambda value: html.escape(json.dumps(value)),
    lambda value: html.escape(repr([value])),
    lambda value: repr(json.dumps(value)),
    lambda value: repr(value.encode()),
    lambda value: json.dumps(repr(value.encode())),
    lambda value: re.sub("%..", lambda code: code[0].lower(), quote(value)),
    lambda value: re.sub("%..", lambda code: code[0].lower(), quote_plus(value)),
    lambda value: value.encode().hex(),
    lambda value: value.encode().hex().upper(),
    shlex.quote,
    lambda value: _base64(f"bob:{value}"),
    lambda value: _base64(f"ada:{value}\n"),
    lambda value: _base64(f"ab:{value} and more"),
]


@pytest.mark.parametrize("written", WRITTEN)
def test_a_known_value_is_known_however_it_is_escaped(written: Callable[[str], str]) -> None:
    for value in (VALUE, SHORT, "a 'quoted' word", 'a "quoted" word'):
        text = f"x {written(value)} y"
        hidden = Redactor([Secret("DB_PASSWORD", value)]).text(text)
        assert "<<redacted:DB_PASSWORD>>" in hidden
        assert len(hidden) < len(text) - len(value) + len("<<redacted:DB_PASSWORD>>") + 10


def test_a_value_of_several_lines_is_known_by_either_line_end() -> None:
    for value in ("first line\nsecond", "first line\r\nsecond"):
        redactor = Redactor([Secret("A_TOKEN", value)])
        for text in ("first line\nsecond", "first line\r\nsecond"):
            for written in (text, repr(text), json.dumps(text)):
                assert redactor.text(written).strip("'\"") == "<<redacted:A_TOKEN>>"


@pytest.mark.parametrize(
    ("output", "hidden"),
    [
        ({"text": ["a first line\n", "second b\n", "c"]}, {"text": ["a <<redacted:A_TOKEN>> b\n", "c"]}),
        (
            {"source": ("x = 'first line\r\n", "second'")},
            {"source": ["x = '<<redacted:A_TOKEN>>'"]},
        ),
        (
            {"traceback": ["E", "first line", "second", "b"]},
            {"traceback": ["E", "<<redacted:A_TOKEN>>", "b"]},
        ),
        ({"data": {"text/plain": ["hush-", "1234"]}}, {"data": {"text/plain": ["<<redacted:B_TOKEN>>"]}}),
        (
            {"text": ["machine a.org\n", "  login ada\n", "  password hush-9\n"]},
            {"text": ["machine a.org\n", "  login ada\n", "  password <<redacted:password>>\n"]},
        ),
        (["a", "hush-1234", "b"], ["a", "<<redacted:B_TOKEN>>", "b"]),
        (["\x1b[31mhush-1234", "b"], ["\x1b[31m<<redacted:B_TOKEN>>", "b"]),
    ],
)
def test_a_value_in_several_items_of_a_list_is_known(output: object, hidden: object) -> None:
    redactor = Redactor([Secret("A_TOKEN", "first line\nsecond"), Secret("B_TOKEN", "hush-1234")])
    assert redactor.data(output) == hidden


def test_items_of_a_list_that_are_no_lines_are_no_token_together() -> None:
    items = ["?token=", "0123456789-abcdef", "hush-1234"]
    assert Redactor([Secret("A_TOKEN", "hush-1234")]).data(items) == [*items[:2], "<<redacted:A_TOKEN>>"]
    assert Redactor().data(["hush-", "1234", 1, None]) == ["hush-", "1234", 1, None]


def test_ordinary_texts_are_not_taken_for_escaped_values() -> None:
    redactor = Redactor([Secret("A_TOKEN", "hush"), Secret("B_TOKEN", VALUE), Secret("C_TOKEN", SHORT)])
    for text in (
        "aHVzaA 68757368 hus h",
        "a&#39;b \\u003c 612762 a%27b",
        "df['a'] < 9 & e",
        _base64("bob:hush"),
    ):
        assert redactor.text(text) == text


def test_keys_are_redacted_as_values_are_and_short_values_are_not() -> None:
    redactor = Redactor([Secret("A_TOKEN", "hush-hush-1"), Secret("B_TOKEN", " "), Secret("C_TOKEN", "")])
    assert redactor.data({"hush-hush-1": "a b"}) == {"<<redacted:A_TOKEN>>": "a b"}


ORDINARY = {
    "TOKENIZER_MODEL": "gpt-4o-mini", "KEYBOARD_LAYOUT": "en_US.UTF-8", "MONKEY_MODE": "us-east-1", "HOST": "localhost:8000",
    "DATE": "2024-01-01", "PWD": "/no/such/folder-1", "KEY_FILE": "/etc/hostname", "AUTHOR": "Ada Lovelace 1", "TOKEN": "1",
    "SORT_KEY": "descending", "COMPASS_MODE": "north-1234", "PATH": "/no/such/bin-1:/bin", "SHELL": "/bin/no-shell-1",
    "LANG": "en_US.UTF-8", "COMPAT": "version-2024", "SASHA": "name-1234", "COMPASS": "north-1234", "BYPASS": "host-1234",
    "SESSION_COOKIE_NAME": "session-1", "SALT_MASTER": "host-1234", "SAS_VERSION": "sas-9.4-m7", "MONKEY": "us-east-1",
    "sortKey": "descending", "HOTKEY": "ctrl-alt-1", "MAX_TOKENS": "100000000", "PRIMARY_KEY": "20240101", "monkeyMode": "east-1234",
    "KEYWORDS": "alpha-1234", "PATTERN": "[a-z]-1234", "passengerCount": "many-1234", "HTTP_COOKIE_PATH": "/no/such/path-1",
}  # fmt: skip
SECRET = {
    "DB_PASSWORD": "correcthorsebatterystaple", "MYSQL_PWD": "hush-1234", "GITHUB_AUTH": "hush-1234", "SLACK_WEBHOOK": "hush-1234",
    "AWS_SECRET_ACCESS_KEY": "/wJalrXUtnFEMI/K7MDENG", "APITOKEN": "hush-1234", "PGPASSWORD": "hushhush",
    **dict.fromkeys(
        ["SSHPASS", "DBPASS", "PGPASS", "ACCESSKEY", "accessKey", "SECRETKEY", "PRIVATEKEY", "AUTHKEY", "MASTERKEY", "ACCOUNTKEY",
         "SIGNINGKEY", "GH_PAT", "SNOWFLAKE_PAT", "PASSCODE", "DATABASE_CREDS", "AZURE_SAS", "SESSION_COOKIE", "ENCRYPTION_SALT",
         "dbPassword", "clientSecret", "githubPat", "azureConnectionString", "apiKey"],
        "hush-1234",
    ),
    "OPENAI_API_KEY": "hushhushhush", "openaiApiKey": "hushhushhush", "DB_PASSWORD2": "31415926", "PASSCODE_OLD": "27182818",
}  # fmt: skip


def test_names_of_which_a_word_is_a_secrets_are_secret_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "".join(f"{name}='{value}'\n" for name, value in {**ORDINARY, **SECRET}.items())
    )
    for found in (in_environment({**ORDINARY, **SECRET}), in_dotenv(str(tmp_path))):
        assert {secret.name: secret.value for secret in found} == SECRET


def test_many_secrets_take_no_longer_than_their_text() -> None:
    secrets = [Secret(f"N{number}_TOKEN", f"{number:05}" + "-value-of-a-secret") for number in range(20_000)]
    many = Redactor(secrets)
    text = f"print {secrets[7].value}, {secrets[19_999].value[:15]} and {secrets[5].value[:9]}\n{secrets[5].value[9:]}"
    began = time.process_time()
    assert many.text(text) == Redactor([secrets[7], secrets[19_999], secrets[5]]).text(text)
    assert "<<redacted:N7_TOKEN>>" in many.text(text)
    many.text("x" * 100_000)
    assert time.process_time() - began < 0.3


def test_each_of_many_values_has_fewer_forms_than_one_alone() -> None:
    values = [Secret(f"N{number}_TOKEN", f"{number:04} 'hush'") for number in range(1001)]
    assert len(Redactor(values).spaced) < 1001 * len(Redactor(values[:1]).spaced) / 1.5


DOTENV = r"""
A_KEY=hush-1001 # a comment
B_KEY = 'hush-1002'  # a comment
export C_KEY="hush-1003" # a "comment"
D_KEY="first line-4
second line"
E_KEY="hush\t\"1005\"\\"
F_KEY='hush\t\'1006\''
G_KEY=hush#1007
H_KEY=
I_KEY=# hush-1009
J_KEY="hush-1010
K_KEY='hush-1011' more
'L_KEY'=hush-1012
# M_KEY=hush-1013
N_KEY=hush-1014"""
IN_DOTENV = {
    "A_KEY": "hush-1001", "B_KEY": "hush-1002", "C_KEY": "hush-1003", "D_KEY": "first line-4\nsecond line",
    "E_KEY": 'hush\t"1005"\\', "F_KEY": "hush\\t'1006'", "G_KEY": "hush#1007", "J_KEY": '"hush-1010',
    "K_KEY": "'hush-1011' more", "L_KEY": "hush-1012", "N_KEY": "hush-1014",
}  # fmt: skip


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_dotenv_file_is_read_as_python_dotenv_reads_it(tmp_path: Path, ends: str) -> None:
    (tmp_path / ".env").write_bytes(DOTENV.replace("\n", ends).encode("utf-8-sig"))
    assert {secret.name: secret.value for secret in in_dotenv(str(tmp_path))} == IN_DOTENV
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfA_KEY=hush-1001")
    assert in_dotenv(str(tmp_path)) == [Secret("A_KEY", "hush-1001")]


def test_other_dotenv_files_are_read_and_examples_are_not(tmp_path: Path) -> None:
    for number, name in enumerate(
        (".env", ".env.local", ".env.production.local", ".env.example", ".envrc", "a.env")
    ):
        (tmp_path / name).write_text(f"A_KEY=hush-100{number}")
    assert [secret.value for secret in in_dotenv(str(tmp_path))] == ["hush-1000", "hush-1001", "hush-1002"]
    assert in_dotenv(str(tmp_path / "none")) == []


def test_json_with_keys_that_become_texts_only_when_it_is_sent_is_read() -> None:
    redactor = Redactor([Secret("KEY", "hunter2-hunter2")])
    data = {2: "hunter2-hunter2", None: ["is hunter2-hunter2"], "empty": [], True: {}}
    assert redactor.data(data) == data | {2: "<<redacted:KEY>>", None: ["is <<redacted:KEY>>"]}
