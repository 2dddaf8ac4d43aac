"""Markdown shows in marimo what it shows in Jupyter."""

import base64
import re
from pathlib import Path

import marimo  # noqa: TID251  # what marimo shows is the subject
import pytest

from marimo_kernel_bridge.importing import to_marimo
from marimo_kernel_bridge.importing.markdown import as_marimo_shows_it
from marimo_kernel_bridge.notebooks.ipynb import Conversion, Notebook, NotebookCell


def html(source: str) -> str:
    """Return what marimo shows, without line ends."""
    return re.sub(r"\n\s*", "", marimo.md(f"\n{as_marimo_shows_it(source)}").text)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("The share $ s $ of", "||(s||)"),
        ("is $$ y $$ here", 'is </span><marimo-tex class="arithmatex">||[y||]</marimo-tex>'),
        ("$$ y $$ where", '||[y||]</marimo-tex><span class="paragraph">where</span>'),
        ("is $$y\n= x$$", "||[y= x||]"),
        ("- is $$ y $$ here\n- b", '||[y||]</marimo-tex><span class="paragraph">here</span></li><li>b</li>'),
        ("- a\n\n    $$y$$\n\n- b", "||[y||]</marimo-tex></li>"),
        ("a | b\n--|--\n$$y$$ | 2", '<td><marimo-tex class="arithmatex">||(y||)</marimo-tex></td>'),
        ("is $$\ny\n$$ here", '||[y||]</marimo-tex><span class="paragraph">here</span>'),
        ("> Note:\n> - a\n>   - b", "<ul><li>a<ul><li>b</li></ul>"),
        ("a\n> is $$ y $$ here\nb", "||[y||]"),
        ("1) a\n2) b", "<ol><li>a</li><li>b</li></ol>"),
        (
            '<div class="alert alert-info">\n\n**a** $x$\n\n</div>',
            'admonition info"><span class="paragraph"><strong>a</strong>',
        ),
        (
            '<div class="alert alert-block alert-danger">\n\n- a\n</div>\nb',
            'admonition danger"><ul><li>a</li></ul></div>',
        ),
        (
            "<div align=center>\n\n<div>\n\n**a**\n\n</div>\n</div>\n\n*b*",
            '<strong>a</strong></span><span class="paragraph"><em>b</em>',
        ),
        (
            "<details>\n<summary>See <b>it</b></summary>\n\n```python\nx = 1\n```\n\n</details>",
            "<details><summary>See it</summary><div",
        ),
        (
            '<div class="alert alert-info"> <b>Tip</b>\n\n*use* it\n</div>',
            '<b>Tip</b></span><span class="paragraph"><em>use</em> it',
        ),
        ('<div class="alert alert-info"><h4>Tip</h4>\n\n*use* it\n\n</div>', "<h4>Tip</h4>"),
        (
            "<details><summary>\n  See\n</summary>\n\n*it*\n\n</details>",
            '<summary>See</summary><span class="paragraph"><em>it</em>',
        ),
        ("> if a > b -> c", "if a &gt; b -&gt; c"),
        ("> a\n>> b\n>\n> c", '<blockquote><span class="paragraph">b</span></blockquote>'),
        ("- a\n\n  > b\n\n- c", '<blockquote><span class="paragraph">b</span></blockquote></li><li>'),
        ("- a\n  > b\n- c", '<blockquote><span class="paragraph">b</span></blockquote></li><li>'),
        ("- a\n> b", "</ul><blockquote>"),
        ("- a\n- b\n---\nc", '<li>b</li></ul><hr /><span class="paragraph">c'),
        ("| n | $|x|$ |\n|--|--|\n| 1 | $P(A|B)$ |", "||(P(A&#124;B)||)</marimo-tex></td>"),
        ("**So: $$x=1$$**", "<strong>So: <marimo-tex"),
        ("#tag and x^2+y^2=1 or 10~20~30", "#tag and x^2+y^2=1 or 10~20~30"),
        ("- #1 is e^x*e^y", "<li>#1 is e^x*e^y</li>"),
        ("$x^2+y^2$ and `a^b^c`", "||(x^2+y^2||)</marimo-tex> and <code>a^b^c</code>"),
        ("see \\[1\\] and \\(2\\)", "see &#91;1] and &#40;2)"),
        ("## Of $$y$$", 'Of <marimo-tex class="arithmatex">||(y||)</marimo-tex></h2>'),
        ("is \\\\( a_1 \\\\) here", "||(a_1||)"),
        ("is \\\\[ a\n= b \\\\] here", "||[a= b||]"),
        ("one line\\\nand another", "one line<br /> and another".replace("> a", ">a")),
        ("costs \\$ 5 or \\$ 6", "costs $ 5 or $ 6"),
        ("is `$ s $` in code", "<code>$ s $</code>"),
        ("Parts:\n* one\n  * half\n* two", "<ul><li>one<ul><li>half</li></ul></li><li>two</li></ul>"),
        (
            "1. a\n   - b\n     - c\n2. d",
            "<ol><li>a<ul><li>b<ul><li>c</li></ul></li></ul></li><li>d</li></ol>",
        ),
        ("* a\n\n  more\n* b", '<span class="paragraph">more</span></li>'),
        ("- a\n    - b", "<ul><li>a<ul><li>b</li></ul></li></ul>"),
        ("The sizes are\n| a | b |\n|---|---|\n| 1 | 2 |", "<td>1</td><td>2</td>"),
        ("a | b\n--|--\n1 | 2", "<td>1</td><td>2</td>"),
        (
            "Thus\n\n$$\n\\begin{split}\na &= b\n\\end{split}\n$$\nand",
            "||[\\begin{split}a &amp;= b\\end{split}||]</marimo-tex><span",
        ),
        ("$$\\frac{a}{b}\n$$", "||[\\frac{a}{b}||]"),
        ("a vector $u = 1\\ $ has", "||(u = 1||)"),
        ("a break $a \\\\ $ has", "||(a \\\\||)"),
        (
            "We have\n\\begin{align*}\na &= b\n\\end{align*}\nand",
            "||[\\begin{align*}a &amp;= b\\end{align*}||]",
        ),
    ],
)
def test_marimo_shows_what_jupyter_shows(source: str, shown: str) -> None:
    assert shown in html(source)


@pytest.mark.parametrize(
    "source",
    [
        "# A title\n\nText with $x$, `code` and **more**.\n\n* a\n* b\n\n1. one\n2. two",
        "```python\nx = $ 1 $\n* no list\n  * none\n```",
        "~~~\n| a |\n|---|\n~~~",
        "a line\n12. of text",
        "<div>\n<b>raw</b>\n\n**as in Jupyter**</div>",
        "<div>\n\n**no end**",
        "```html\n<div>\n\n**a**\n\n</div>\n```",
        "---\n\n***\n\ntext",
        "    an indented\n      * code block",
        "a  \nhard break\n\n- a  \n- b",
    ],
)  # fmt: skip
def test_what_both_show_alike_stays(source: str) -> None:
    assert as_marimo_shows_it(source) == source


def imported(folder: Path, source: str) -> Conversion:
    notebook = Notebook((NotebookCell(1, "c1", "markdown", source),), {}, folder / "n.ipynb")
    return to_marimo.convert(notebook, imports="none")


@pytest.mark.parametrize(
    "text", ["![a](images/a%20b.png)", '<img width="3" src="images/a b.png">'.replace(" b", "%20b")]
)
def test_a_picture_beside_the_notebook_is_written_into_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a b.png").write_bytes(b"\x89PNG\r\n\x1a\npicture")
    conversion = imported(tmp_path, text)
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\npicture").decode()
    assert f"data:image/png;base64,{picture}" in conversion.text
    assert conversion.cells[0].notes == ("pictures are written into it: images/a%20b.png",)


def test_a_picture_that_is_not_there_and_a_link_to_a_file_are_told(tmp_path: Path) -> None:
    conversion = imported(tmp_path, "![a](b.png) ![c](https://x.org/d.png) [next](02.ipynb) [part](#part)")
    assert conversion.cells[0].notes == (
        "marimo shows pictures of the folder `public` only, not b.png",
        "marimo cannot open what it links to: 02.ipynb",
    )


def test_a_line_of_a_formula_that_ends_with_backslashes_stays() -> None:
    source = "\\begin{eqnarray}\nu &=& 4 \\\\\\\nv\n\\end{eqnarray}"
    assert as_marimo_shows_it(source).strip() == source


@pytest.mark.parametrize(
    "source",
    [
        "a\n\n\\begin{align}\nx\n\\end{align}\n\nb",
        "a\n\n\\begin{align}\nx\n\\end{align}",
        "> a\n>\n> $$x$$\n>\n> b",
        "> $$x$$",
        "> $$x$$\n>\n> $$y$$",
    ],
)
def test_no_blank_line_is_added_where_there_is_one(source: str) -> None:
    assert as_marimo_shows_it(source) == source
    assert "||" in html(source)
