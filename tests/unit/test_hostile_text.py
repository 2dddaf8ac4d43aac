"""Text that kernels, notebooks and agents write is read in time that grows with its length, and no faster."""

import builtins
import io
import math
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from marimo_kernel_bridge.analysis.magics import split_options
from marimo_kernel_bridge.analysis.naming import _NUMBER
from marimo_kernel_bridge.client.marimo_editor.outputs import _text
from marimo_kernel_bridge.importing.failing import _without_last_comments
from marimo_kernel_bridge.importing.markdown import as_marimo_shows_it
from marimo_kernel_bridge.importing.own_magics import _REGISTERED
from marimo_kernel_bridge.importing.pictures import relative_links, relative_pictures, with_pictures
from marimo_kernel_bridge.importing.to_ipynb import _LINE
from marimo_kernel_bridge.importing.to_marimo import _TITLE
from marimo_kernel_bridge.importing.verifying.effects import _NOT_PYTHON
from marimo_kernel_bridge.inspecting.code_help import complete, explain
from marimo_kernel_bridge.kernel.ipython import magic_names
from marimo_kernel_bridge.kernel.ipython.magic_names import graph_code, read_script
from marimo_kernel_bridge.kernel.versions.file_mentions import can_write, mentioned_paths, needs_hook
from marimo_kernel_bridge.mcp_server.package_index import named
from marimo_kernel_bridge.protocol.environment import installs_packages
from marimo_kernel_bridge.protocol.inspection import Secret
from marimo_kernel_bridge.protocol.redaction import Redactor, has_mark
from marimo_kernel_bridge.protocol.secrets import in_dotenv
from marimo_kernel_bridge.protocol.token_formats import FORMATS
from marimo_kernel_bridge.rendering.components import _ADMONITION
from marimo_kernel_bridge.rendering.text import html_to_text
from marimo_kernel_bridge.runtime.display.drawing import _ROUTES
from marimo_kernel_bridge.viewing.tables.asked_values import _duration
from marimo_kernel_bridge.viewing.tables.text_files import _headings

LENGTH = 50_000
MOST = 0.8
"""Seconds of CPU time: each is read within two tenths. Quadratic time would be seconds to minutes."""

MARKUP = [
    *(
        "<a ",
        "<!--",
        "</",
        "<?",
        "<![CDATA[",
        "<a b='",
        '<a b="',
        "<![",
        "<!",
        "<script>",
        "<pre>",
        "&#",
        "<a b='>",
    ),
    *("<table><tr>", "<!-- -", "<b title='<", "< ", "<style><", "\n \n"),
]
TOKENS = [
    *("-eyJaaaaaaaaaa", "eyJaaaaaaaaaa.", "sk-a-", "-sk-", "sk-aaaa…", "ghp_a", "SG.", "SG.aaaaaaaaaaaaaaaaaaaa", "key-0", "0-us"),
    *("-----BEGIN ", "-----BEGIN PRIVATE KEY-----\n-----END A ", "-----BEGIN PRIVATE KEY-----'", "-----END PRIVATE KEY-----"),
    *("://a:", "://", "://:", "://a@", "://a:b@?", "@", "?token=", "&a.token=", "?aaaaaaaaaaaaaaatoken", "&amp;token"),
    *("host=a password=", "host=a  ", ";password=", "machine a login b password ", "machine a ", "Private-Lines: 1 "),
    *("Authorization: Basic ", "Bearer ", "Bearer aaaaaaaaaaaaaaaaaaaa", "secret_access_key=", "session_token ", "1:AA", "a:AA"),
    *("x-api-key", "x-a-a-key:", "-key", "api-key: a", "cookie:", "cookie: a=", "Cookie: a=aaaaaaaa; ", "access_token", "id_token="),
    *("curl ", "curl -u ", "curl -u a:", "curl a", "SK0", "pata", ".atlasv1.", "EAAA", "MTk4.", "MMMMMMMMMMMMMMMMMMMMMMMM.aaaaaa."),
    *("password='", "_API_KEY=a", "_TOKEN:", "[a]\nusername = b\n", "[a]\n", "'auth': '", "1/1", "A3-AAAAAA-", "s='&quot;&amp;", "AZDO", "aaQ~"),
    *("hooks.slack.com/services/", "dt0c01.", "AGE-SECRET-KEY-1", "\x1b[0m", "\x1b[", "…", "\n", "e\ny\nJ\n", "a\n"),
]  # fmt: skip

# fmt: off
MARKDOWN = [
    "![a](b.png) ", "[a](b.ipynb) ", "[![a](b.png)](c) ", "[a][", "[a]", "[", "![", "](", "[a](",
    "![a](b(c)", "[a](b ", "[a](<b ", "<img ", "<img src=", "<img src='", '<img "', "<a ",
    "<a href='", "[a]: <", "[a]: b(", "\n[a]: b(c)", "`", "```", "~~~\n", "`a``", "$", "$$",
    "$\\$", "\\ ", "\\\\", " ", "| ", "|-", "-|", "- ", "\n",
]
# fmt: on


def cpu_seconds(function: Callable[[str], object], text: str) -> float:
    """Return the CPU time of this thread, the least of three runs at most: garbage of other tests is collected during one."""
    least = math.inf
    for _ in range(3):
        before = time.thread_time()
        function(text)
        least = min(least, time.thread_time() - before)
        if least < MOST:
            break
    return least


def repeated(part: str) -> str:
    return part * (LENGTH // len(part))


@pytest.mark.parametrize("part", MARKUP)
def test_html_is_read_in_linear_time(part: str) -> None:
    for text in (repeated(part), f"{repeated(part)}>", f"<a {repeated(part)}>", f"<!--{repeated(part)}"):
        assert cpu_seconds(html_to_text, text) < MOST


@pytest.mark.parametrize("part", TOKENS)
def test_secrets_are_looked_for_in_linear_time(part: str) -> None:
    redactor = Redactor([Secret("A_TOKEN", "eyJaaaaaaaaaa-and-more"), Secret("B_TOKEN", "a" * 40)])
    text = f"eyJaaaaaaaaaa-and-more {part * (100_000 // len(part))}"
    assert cpu_seconds(redactor.text, text) < MOST


def test_text_of_what_tokens_begin_with_is_read_in_linear_time() -> None:
    for part in [*MARKUP, *(part for _, parts, _ in FORMATS for part in parts)]:
        assert cpu_seconds(Redactor().text, repeated(part)) < MOST


def test_marks_are_looked_for_in_linear_time() -> None:
    for part in ("<<redacted:", "<<redacted:>", "<"):
        assert cpu_seconds(has_mark, repeated(part)) < MOST


@pytest.mark.parametrize(
    "text", ["!" + "python" * 30_000, "\n" * 200_000, "!python" + " " * 200_000, "%pip " + "in" * 90_000]
)
def test_installing_lines_are_looked_for_in_linear_time(text: str) -> None:
    assert cpu_seconds(installs_packages, text) < MOST


@pytest.mark.parametrize(
    "code",
    [
        "%pip install x",
        "!uv pip install x",
        "!python -m pip install x",
        "!  /a/python3.12 -m pip install x",
        "1\n %conda install y",
    ],
)
def test_lines_that_install_are_found(code: str) -> None:
    assert installs_packages(code)


def test_headings_and_tags_are_read_in_linear_time() -> None:
    database = SimpleNamespace(error=ValueError, head=lambda *_: ([], [["a", "b"]]))
    for part in ("1", "1a", "_1", "_"):
        names = ["a", f"{repeated(part)}a"]
        assert cpu_seconds(lambda _, names=names: _headings(database, "", "", names), "") < MOST  # type: ignore[misc, arg-type]
    shown = SimpleNamespace(mimetype="text/html", data=repeated("<"))
    assert cpu_seconds(lambda _: _text(shown), "") < MOST  # type: ignore[arg-type]


def test_durations_are_read_in_linear_time() -> None:
    def read(text: str) -> None:
        with suppress(ValueError):
            _duration(text)

    for part in (" ", "1 ", "-", "1d", "1:"):
        for text in (f"{repeated(part)}x", f"1{repeated(part)}x", f"-{repeated(part)}d 1:2x"):
            assert cpu_seconds(read, text) < MOST


def test_options_and_numbered_names_are_read_in_linear_time() -> None:
    for part in ("-a ", "-i a ", "--a ", "--a=b ", "--a-", "- "):
        assert cpu_seconds(lambda line: split_options(line, "i"), repeated(part)) < MOST
    for name in (f"a{'0' * LENGTH}x1", f"a{'0_' * (LENGTH // 2)}x1", f"a{'_' * LENGTH}1"):
        assert cpu_seconds(lambda word: _NUMBER.sub("", word), name) < MOST
    assert [_NUMBER.sub("", name) for name in ("x1_23", "x12", "x_1", "x1y", "_1")] == [
        "x1",
        "x",
        "x",
        "x1y",
        "",
    ]
    assert split_options("-i a -b --c=d  -e x y", "i") == (
        {"i": ["a"], "b": [""], "c=d": [""], "e": [""]},
        "x y",
    )
    assert split_options("-i", "i") == ({"i": [""]}, "")


@pytest.mark.parametrize(
    ("pattern", "text", "found", "groups"),
    [
        (_TITLE, f"# {'# ' * 20_000}[", "# A title  #\nmore", ["A title"]),
        (
            _REGISTERED,
            f"@cell_magic({' ' * 40_000}x",
            "@register_cell_magic( 'a' )\ndef a(l, c): ...",
            ["register_", "a", "a"],
        ),
        (_NOT_PYTHON, "\t" * 40_000 + "x", "  !ls", ["  ", "!ls"]),
        (_LINE, " " * 40_000 + "x", "  x?", ["  ", "x?"]),
        (_ADMONITION, f'<div class="admonition {"a" * 40_000}', '<div class="admonition note"', ["note"]),
    ],
    ids=["title", "magic", "not python", "line", "admonition"],
)
def test_notebooks_are_searched_in_linear_time(
    pattern: re.Pattern[str], text: str, found: str, groups: list[str]
) -> None:
    look = pattern.match if pattern is _TITLE else pattern.search
    assert cpu_seconds(look, text) < 1.0
    match = look(found)
    assert match is not None
    assert [group for group in match.groups() if group] == groups


def test_comments_above_what_fails_are_found_in_linear_time() -> None:
    for part in ("#\n", "\n#", "\n", "\n #x"):
        assert cpu_seconds(_without_last_comments, f"{part * 30_000}x\n") < 1.0
        assert cpu_seconds(_without_last_comments, f"{part * 30_000}\n") < 1.0
    assert _without_last_comments("\n\n# one\n  # two\n") == "\n\n"
    assert _without_last_comments("; # its own\n# two\n") == "; # its own\n"
    assert _without_last_comments("# one") == "# one"


def test_help_for_code_is_found_in_linear_time() -> None:
    for code in (f"{'a' * LENGTH} ", f"{'a_' * (LENGTH // 2)}(", "a" * LENGTH, "x." * (LENGTH // 2)):
        assert cpu_seconds(lambda code: complete({"x": 1}, code, 30, {}), code) < 1.0
        assert cpu_seconds(lambda code: explain({"x": 1}, {}, code), code) < 1.0


def test_settings_of_installers_are_read_in_linear_time(tmp_path: Path) -> None:
    """In a kernel's environment there is one, too: the kernel says where that is."""
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    (tmp_path / "uv").mkdir()
    for part in (" ", "a.", "{a="):
        text = f"[global]\nindex-url{part * (60_000 // len(part))}= 1"
        (tmp_path / "pip.conf").write_text(text)
        (tmp_path / "uv/uv.toml").write_text(text.partition("\n")[2])
        assert cpu_seconds(lambda prefix: named("pip", prefix, environ), str(tmp_path)) < MOST
        assert cpu_seconds(lambda prefix: named("uv", prefix, environ), str(tmp_path)) < MOST
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://a.example/s\n" + "#" * 70_000)
    assert "https://a.example/s" not in named("pip", str(tmp_path), environ)


def test_files_that_a_cell_names_are_looked_for_in_linear_time() -> None:
    for text in (f"!echo {'0' * 50_000}", f"a = {'0f' * 25_000}", f"x{'_' * 50_000}", f"!{' ' * 50_000}"):
        for read in (can_write, mentioned_paths, needs_hook):
            assert cpu_seconds(read, text) < MOST


@pytest.mark.parametrize("opening", ["[0,1) ", "![<img ", "$`", "| a |\n"])
@pytest.mark.parametrize("part", MARKDOWN)
def test_markdown_is_read_in_linear_time(opening: str, part: str) -> None:
    text = f"{opening}{part * (40_000 // len(part))}x|"
    for read in (
        relative_links,
        relative_pictures,
        lambda text: with_pictures(text, lambda _: "DATA"),
        as_marimo_shows_it,
    ):
        assert cpu_seconds(read, text) < MOST


def test_code_and_labels_of_many_kinds_are_read_in_linear_time() -> None:
    ticks = " ".join("`" * length for length in range(600))
    labels = "".join(f"![a][{number}]\n\n[{number}]: a.png\n\n" for number in range(6000))
    for text in (ticks, f"{'`' * 100_000}{'a' * 100_000}", labels):
        assert cpu_seconds(lambda text: with_pictures(text, lambda _: "DATA"), text) < MOST
        assert cpu_seconds(as_marimo_shows_it, text) < MOST


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 60_000,
        "A=" + " " * 60_000 + "x",
        "A" * 60_000,
        "A='" * 20_000,
        "A='\n" * 15_000,
        'A="\\' * 15_000,
        "A=a #" + " #" * 30_000,
    ],
)
def test_a_dotenv_file_is_read_in_linear_time(tmp_path: Path, text: str) -> None:
    (tmp_path / ".env").write_text(text)
    assert cpu_seconds(in_dotenv, str(tmp_path)) < MOST


def test_a_tag_that_does_not_end_is_text_and_comments_are_left_out() -> None:
    assert html_to_text("<p>1 < 2 and <b>3</b><!-- <i>no</i> - -->4</p>") == "1 < 2 and 34"
    assert "x" in html_to_text(f"<img alt='a' src='data:image/png;base64,{'A' * 5000}'>x")


@pytest.mark.parametrize("part", [":", "{{ ", "{{", " :a", "{{ a }}"])
def test_names_in_sql_are_found_in_linear_time(part: str) -> None:
    assert cpu_seconds(lambda code: graph_code(code, lambda same: same), f"%sql {repeated(part)}") < 2 * MOST


def test_what_run_names_is_read_only_if_it_is_a_file_of_a_scripts_size(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.py").write_bytes(b"#" * 1_000_001)
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "script.py").write_text("x = 1")
    assert read_script(str(tmp_path / "script")) == "x = 1"
    for name in (
        "/dev/zero",
        str(tmp_path / "pipe"),
        str(tmp_path / "large"),
        str(tmp_path / "link"),
        str(tmp_path),
    ):
        assert read_script(name) is None


def test_scripts_that_run_one_another_are_read_a_limited_number_of_times(tmp_path: Path) -> None:
    read: list[str] = []

    def text_of(name: str) -> str:
        read.append(name)
        return "".join(f"get_ipython().run_line_magic('run', '{name}{at}.ipy')\n" for at in range(9))

    code = "get_ipython().run_line_magic('run', 'a.ipy')\n" * 100
    assert cpu_seconds(lambda code: graph_code(code, lambda same: same, text_of), code) < 5 * MOST
    assert len(read) < 100
    deep = "[" * 100_000
    assert graph_code(
        "get_ipython().run_line_magic('run', 'a.ipynb')", lambda same: same, lambda _: deep
    ).code


def test_a_disk_that_does_not_answer_holds_the_reader_up_for_seconds_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = threading.Event()
    monkeypatch.setattr(magic_names, "_READ_BOUND", 0.01)
    monkeypatch.setattr(magic_names, "read_bytes", lambda *_: gone.wait() and b"")
    begun = time.monotonic()
    for _ in range(2):
        assert read_script("/mnt/gone/a.py") is None
    graph_code("get_ipython().run_line_magic('run', 'a')\n" * 1000, lambda same: same)
    assert time.monotonic() - begun < 5
    gone.set()


def test_no_magic_but_run_has_a_file_read_to_find_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    magics = (
        *(
            "load",
            "loadpy",
            "pycat",
            "pfile",
            "env",
            "cd",
            "pushd",
            "bookmark",
            "store -r",
            "logstart",
            "macro m",
        ),
        *("file", "writefile", "run -m", "edit", "recall", "dotenv", "sql", "R", "alias", "sx", "pastebin"),
        *("timeit -v", "prun -D", "mprun -f", "notebook", "history -f", "save", "rerun", "unknown"),
    )
    lines = [f"%{magic} /etc/passwd" for magic in magics] + [
        "!cat /etc/passwd {x}",
        "y = !cat $x",
        "/etc/passwd?",
    ]
    cells = [*lines, *(f"%%{magic} /etc/passwd\nx" for magic in magics), "%%bash < /etc/passwd\ncat"]
    transform = TransformerManager().transform_cell

    def opened(path: object, *_: object, **__: object) -> None:
        raise AssertionError(path)

    texts = [str(transform(cell)) for cell in cells]
    for module, name in ((os, "open"), (os, "stat"), (builtins, "open"), (io, "open"), (Path, "open")):
        monkeypatch.setattr(module, name, opened)
    made = [graph_code(text, transform, opened) for text in texts]
    monkeypatch.undo()
    assert len(made) == len(cells)


def test_routes_are_looked_for_in_linear_time() -> None:
    start = "<marimo-ui-element object-id='a'><marimo-routes"
    for part in (
        start,
        f"{start}>",
        f"{start}>x</marimo-routes>",
        f"{start} <",
        "<marimo-ui-element object-id='a'> ",
    ):
        assert cpu_seconds(_ROUTES.search, repeated(part)) < MOST
    found = _ROUTES.search(f"{start} data-x='1'><p>y</p>\n</marimo-routes></marimo-ui-element>")
    assert found is not None
    assert found[1] == "a"
