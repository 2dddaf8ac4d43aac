"""Pages are inert, whatever the notebook has in it, and have no file of this machine in them but its own pictures."""

import base64
import os
from pathlib import Path

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.exporting.pages import _not_embedded, to_html
from marimo_kernel_bridge.importing.stars import names_of
from marimo_kernel_bridge.importing.to_marimo import convert
from marimo_kernel_bridge.notebooks.folder_files import picture_url, text_inside
from marimo_kernel_bridge.notebooks.ipynb import parse_notebook

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
SECRET = b"ghp_ThisIsASecretOfTheMachine"


def notebook(markdown: str = "", **data: str) -> dict[str, object]:
    outputs = [{"output_type": "display_data", "data": data, "metadata": {}}] if data else []
    return {
        "cells": [
            {"cell_type": "markdown", "id": "m", "source": markdown, "metadata": {}},
            {
                "cell_type": "code",
                "id": "c",
                "source": "x",
                "outputs": outputs,
                "metadata": {},
                "execution_count": 1,
            },
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A notebook's folder, with files and links that must not get into a page."""
    here = tmp_path / "notebook"
    (here / ".git").mkdir(parents=True)
    (here / "below").mkdir()
    (here / "p.png").write_bytes(PNG)
    (here / "below" / "a b.png").write_bytes(PNG)
    (tmp_path / "outside.png").write_bytes(PNG + SECRET)
    for name in (".env", ".hidden.png", ".git/config.png", "text.png", "key", "text.svg"):
        (here / name).write_bytes(PNG + SECRET if name.startswith(".") else SECRET)
    (here / "large.png").write_bytes(PNG + SECRET + bytes(6_000_000))
    (here / "out.png").symlink_to(tmp_path / "outside.png")
    (here / "environ.png").symlink_to("/proc/self/environ")
    (here / "to_hidden.png").symlink_to(here / ".hidden.png")
    (here / "zero.png").symlink_to("/dev/zero")
    (here / "up").symlink_to(tmp_path)
    os.mkfifo(here / "pipe.png")
    return here


INSIDE = ["p.png", "./p.png", "below/a%20b.png", "below/../p.png"]
NOT = [
    ".env",
    ".hidden.png",
    ".git/config.png",
    "text.png",
    "text.svg",
    "key",
    "large.png",
    "out.png",
    "environ.png",
    "to_hidden.png",
    "zero.png",
    "pipe.png",
    "up/outside.png",
    "../outside.png",
    "%2e%2e/outside.png",
    "p.png%00",
    "missing.png",
    "below",
    ".",
    "",
]


@pytest.mark.parametrize("address", INSIDE)
def test_a_picture_in_the_folder_is_embedded(folder: Path, address: str) -> None:
    data = base64.b64encode(PNG).decode()
    assert picture_url(folder, address) == f"data:image/png;base64,{data}"
    assert data in to_html(notebook(f"![x]({address})"), "a", folder).text


@pytest.mark.parametrize("address", [*NOT, "ABSOLUTE"])
def test_no_other_file_is_embedded(folder: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    address = str(folder.parent / "outside.png") if address == "ABSOLUTE" else address
    assert picture_url(folder, address) is None
    markdown = f'![x]({address})\n\n<img src="{address}">\n\ntext <img src="{address}">'
    page = to_html(notebook(markdown, **{"text/markdown": markdown}), "a", folder).text
    assert ";base64" not in page.partition("<body")[2]
    assert (
        ";base64" not in convert(parse_notebook(folder / "a.ipynb", notebook(markdown)), imports="none").text
    )


def test_without_a_folder_nothing_is_embedded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert ";base64" not in to_html(notebook("![x](p.png)"), "a").text.partition("<body")[2]


def test_text_is_read_in_the_folder_only(folder: Path) -> None:
    (folder / "part.py").write_text("x = 1")
    assert text_inside(folder, "part.py") == "x = 1"
    for name in ("../outside.png", ".env", "/etc/passwd", "zero.png", "pipe.png", "environ.png"):
        assert text_inside(folder, name) is None


def test_names_of_a_star_import_are_read_in_the_folder_only(folder: Path) -> None:
    (folder / "part.py").write_text("x = 1\n_y = 2")
    (folder / "below" / "deep.py").write_text("z = 1")
    (folder.parent / "other.py").write_text("secret = 1")
    (folder / "link.py").symlink_to(folder.parent / "other.py")
    (folder / "zero.py").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.py")
    assert names_of("part", folder, "none") == {"x"}
    assert names_of("below.deep", folder, "none") == {"z"}
    for module in ("link", "up.other", "zero", "pipe", "missing"):
        assert names_of(module, folder, "none") is None


ACTING = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<meta http-equiv=refresh content='0;url=http://x.test'>",
    "<META/http-equiv=refresh content='0;url=http://x.test'>",
    "<link rel=preconnect href=http://x.test>",
    "<base href=http://x.test>",
    "<iframe src=file:///etc/passwd></iframe>",
    "<IFRAME/srcdoc='&lt;meta http-equiv=refresh content=&quot;0;url=http://x.test&quot;&gt;'></IFRAME>",
    "<svg><foreignObject><iframe src=http://x.test></iframe></foreignObject></svg>",
    "<frameset><frame src=http://x.test></frameset>",
    "<object data=http://x.test></object><embed src=http://x.test>",
    "<svg><script>alert(1)</script></svg>",
]


@pytest.mark.parametrize("text", ACTING)
@pytest.mark.parametrize("kind", ["text/html", "text/markdown", "image/svg+xml", "markdown"])
def test_a_page_has_a_policy_before_anything_of_the_notebook_and_no_element_that_evades_it(
    kind: str, text: str
) -> None:
    page = to_html(
        notebook(text) if kind == "markdown" else notebook(**{kind: text}), "</title><script>"
    ).text
    head, _, body = page.partition("<body")
    assert head.index("Content-Security-Policy") < head.index("<title")
    assert "default-src 'none'" in head
    assert head.count("<head>") == 1
    for element in ("<meta", "<link", "<base", "<iframe", "<frame ", "<object", "<embed"):
        assert element not in body.lower()


def test_the_picture_of_an_output_takes_the_place_of_its_script() -> None:
    page = to_html(notebook(**{"text/html": "<script>plot()</script>", "image/png": "aGVsbG8="}), "a")
    assert "aGVsbG8=" in page.text
    assert "plot()" not in page.text
    assert not page.notes
    assert to_html(notebook(**{"text/html": "<script>plot()</script>"}), "a").notes


PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({PLOTLY: "{}"}, "<em>This output needs a script"),
        ({"text/html": "<div id=v></div><SCRIPT>vega()</SCRIPT>"}, "<em>This output needs a script"),
        ({"text/html": "<IFRAME src='http://x.test'></IFRAME>"}, "<em>This output needs a script or a frame"),
        ({"text/html": "<object data='a.pdf'></object>"}, "<em>This output needs a script or a frame"),
        ({"text/html": "<frameset><frame src='a'></frameset>"}, "<em>This output needs a script or a frame"),
        ({WIDGET: "{}", "text/plain": "IntSlider(<3>)"}, "<pre>IntSlider(&lt;3&gt;)</pre>"),
        ({"application/javascript": "go()", "text/plain": "an object"}, "<pre>an object</pre>"),
    ],
)
def test_an_output_that_needs_a_script_says_so_in_its_place(data: dict[str, str], shown: str) -> None:
    page = to_html(notebook(**data), "a")
    assert shown in page.text
    assert "needs a script" in page.text
    assert page.notes == (
        "1 outputs need scripts or frames, which the page does not have: --scripts keeps them.",
    )


@pytest.mark.parametrize("mime", ["image/gif", "image/webp", "image/png"])
def test_the_picture_of_a_chart_is_shown_in_any_format(mime: str) -> None:
    page = to_html(notebook(**{PLOTLY: "{}", "text/html": "<script>a()</script>", mime: "aGVsbG8="}), "a")
    assert f"data:{mime};base64,aGVsbG8=" in page.text
    assert not page.notes


def test_pictures_that_the_page_does_not_load_are_counted(folder: Path) -> None:
    markdown = "![x](p.png) ![y](http://x.test/a.png) <img src=//x.test/b.png>"
    page = to_html(notebook(markdown, **{"text/html": "<img alt='c' src='c.png'>"}), "a", folder)
    assert page.notes == (
        "3 pictures are not in the notebook's folder, or too large, and the page does not load them.",
    )
    assert not to_html(notebook("![x](p.png)"), "a", folder).notes
    assert _not_embedded("<img " * 200_000) == 0


@pytest.mark.parametrize("metadata", [{"widgets": 3}, {"widgets": {}}, {"widgets": {"x": {"state": 1}}}])
def test_malformed_widgets_are_left_out_or_refused(metadata: dict[str, object]) -> None:
    document = notebook(**{WIDGET: "{}", "text/plain": "a slider"}) | {"metadata": metadata}
    assert "a slider" in to_html(document, "a").text
    with pytest.raises(BridgeError) as refusal:
        to_html(document, "a", scripts=True)
    assert refusal.value.code == "bad_notebook"


@pytest.mark.parametrize("metadata", [3, "x", None, []])
def test_a_notebook_with_odd_metadata_is_shown(metadata: object) -> None:
    document = {**notebook(), "metadata": metadata}
    assert "<body" in to_html(parse_notebook(Path("n.ipynb"), document).document, "n").text


def test_a_missing_or_odd_attachment_is_no_crash() -> None:
    document = notebook("![x](attachment:a.png) ![y](attachment:b.png)")
    document["cells"][0]["attachments"] = {"b.png": {"image/png": ["x"]}}  # type: ignore[index]
    assert "attachment:a.png" in to_html(document, "a").text
