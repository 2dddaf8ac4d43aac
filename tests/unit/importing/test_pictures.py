"""Pictures and links by relative path, in every form that Markdown and HTML have for them."""

from __future__ import annotations

import pytest

from marimo_kernel_bridge.importing.pictures import relative_links, relative_pictures, with_pictures


@pytest.mark.parametrize(
    ("text", "path", "written"),
    [
        ("![a](images/a.png)", "images/a.png", "![a](DATA)"),
        ("![a]( a.png )", "a.png", "![a]( DATA )"),
        ("![a](a.png 'title')", "a.png", "![a](DATA 'title')"),
        ("![a](<images/a b.png>)", "images/a b.png", "![a](DATA)"),
        ("![a](a%20b.png)", "a%20b.png", "![a](DATA)"),
        ("![a](a_(1).png)", "a_(1).png", "![a](DATA)"),
        ("![a](../a.png)", "../a.png", "![a](DATA)"),
        ("![](a.png?raw=true)", "a.png", "![](DATA)"),
        ("![a][fig]\n\n[fig]: a.png", "a.png", "![a][fig]\n\n[fig]: DATA"),
        ("![Fig][]\n\n[fig]: <a b.png> 'title'", "a b.png", "![Fig][]\n\n[fig]: DATA 'title'"),
        ("![fig]\n\n[fig]: a.png", "a.png", "![fig]\n\n[fig]: DATA"),
        ('<img src="a.png" width=3>', "a.png", '<img src="DATA" width=3>'),
        ("<img alt='x' src='a b.png'/>", "a b.png", "<img alt='x' src=\"DATA\"/>"),
        ("<IMG SRC=a.png>", "a.png", '<IMG SRC="DATA">'),
        ("<img\n  src = 'a.png'>", "a.png", '<img\n  src = "DATA">'),
        ("[![a](a.png)](b.ipynb)", "a.png", "[![a](DATA)](b.ipynb)"),
        ("[0,1) ![a](a.png)", "a.png", "[0,1) ![a](DATA)"),
        ("![a [1] b](a.png)", "a.png", "![a [1] b](DATA)"),
        ("<img alt='x < y' src='a.png'>", "a.png", "<img alt='x < y' src=\"DATA\">"),
        ("``a ` b`` ![a](a.png)", "a.png", "``a ` b`` ![a](DATA)"),
    ],
)
def test_a_picture_is_found_and_replaced(text: str, path: str, written: str) -> None:
    assert relative_pictures(text) == [path]
    assert with_pictures(text, lambda name: "DATA" if name == path else None) == written
    assert with_pictures(text, lambda _: None) == text


@pytest.mark.parametrize(
    "text",
    [
        "`![a](a.png)`",
        "``` \n![a](a.png)\n```",
        "~~~md\n<img src='a.png'>\n~~~",
        "- x\n  ```\n  ![a](a.png)\n  ```",
        "![a](https://a.org/a.png)",
        "![a](data:image/png;base64,AA)",
        "![a](/a.png)",
        "![a](a b.png)",
        "[a](a.png)",
        "[fig]: a.png",
        "![fig][other]\n\n[fig]: a.png",
        "![a][fig]\n\n[fig]: https://a.org/a.png",
    ],
)
def test_what_is_no_picture_by_relative_path_is_left_alone(text: str) -> None:
    assert relative_pictures(text) == []
    assert with_pictures(text, lambda _: "DATA") == text


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("[x](02.ipynb#part) [y](02.ipynb)", ["02.ipynb"]),
        ("[x][r]\n\n[r]: 02.ipynb", ["02.ipynb"]),
        ("<a class='x' href='b.ipynb'>x</a>", ["b.ipynb"]),
        ("[![a](a.png)](b.ipynb)", ["b.ipynb"]),
        ("[0,1) [x](b.ipynb) [y [1]](c.ipynb)", ["b.ipynb", "c.ipynb"]),
        ("[x](#part) [y](https://a.org) [z](mailto:a@b.c)", []),
        ("`[x](a.ipynb)`", []),
        ("![a](a.png)", []),
    ],
)
def test_links_by_relative_path_are_found(text: str, paths: list[str]) -> None:
    assert relative_links(text) == paths
