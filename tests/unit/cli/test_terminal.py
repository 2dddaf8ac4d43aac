"""What commands print on a terminal cannot act on it, whoever has written it."""

import io
import json
import re
import sys
from pathlib import Path

import pytest

from marimo_kernel_bridge.cli import terminal
from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.cli.terminal import confirmed, echo, encodable, visible
from marimo_kernel_bridge.launch.sessions.entries import Session, id_of
from marimo_kernel_bridge.launch.sessions.registry import Registry

SIGN = "\N{REPLACEMENT CHARACTER}"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07 \x1b[8mhidden\r", f"{SIGN}]0;title{SIGN} {SIGN}[8mhidden{SIGN}"),
        ("\u202egnp.exe \u2066x\u2069 a\u2028b \x9b31m \ud800", f"{SIGN}gnp.exe {SIGN}x{SIGN} a{SIGN}b {SIGN}31m {SIGN}"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("é 日本 👩\u200d🔬 1\u00a0000", "é 日本 👩\u200d🔬 1\u00a0000"),
    ],
)  # fmt: skip
def test_what_would_act_on_a_terminal_is_a_sign_in_place_of_it(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_file_gets_the_text_and_a_terminal_what_can_be_seen_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, shown in ((_Terminal(), f"a{SIGN}b\n"), (io.StringIO(), "a\x07b\n")):
        for name, err in (("stdout", False), ("stderr", True)):
            with monkeypatch.context() as patched:
                patched.setattr(sys, name, stream)
                echo("a\x07b", err=err)
                assert stream.getvalue() == shown
                stream.truncate(stream.seek(0))


def test_the_name_of_an_agents_notebook_does_not_act_on_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    path = tmp_path / "a\x1b[31m\u202e.ipynb"
    Registry().put(Session(id=id_of(path), path=str(path), name="a", created=1.0, used=2.0))
    stream = _Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    main(["notebooks"], standalone_mode=False)
    assert f"a{SIGN}[31m{SIGN}.ipynb" in stream.getvalue()


def test_a_question_does_not_act_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = _Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert confirmed("Let 'x\x1b[2K' do it?")
    assert stream.getvalue() == f"Let 'x{SIGN}[2K' do it? [y/N]: "


def test_commands_print_by_one_function() -> None:
    package = Path(terminal.__file__).parents[1]
    found = [
        path.name
        for path in package.rglob("*.py")
        if re.search(r"\bclick\.(?:echo|secho|confirm|prompt)\b", path.read_text(encoding="utf-8"))
        and path != Path(terminal.__file__)
    ]
    assert found == []


def test_what_a_stream_cannot_write_is_escaped_as_in_json(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    line = {"tool": "\ud800é"}
    echo(json.dumps(line, ensure_ascii=False))
    assert json.loads(capsysbinary.readouterr().out) == line


@pytest.mark.parametrize(("encoding", "written"), [("ascii", b"a\\xe9"), ("utf-8", "aé".encode())])
def test_other_encodings_get_what_they_have(encoding: str, written: bytes) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    assert encodable("aé", stream).encode(encoding) == written
