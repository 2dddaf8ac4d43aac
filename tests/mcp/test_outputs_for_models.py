"""Outputs as a model gets them: readable text within a budget, images as images, nothing of our own machinery."""

import pytest

from marimo_kernel_bridge.mcp_outputs import (
    MAX_IMAGE_CHARACTERS,
    cut,
    error_text,
    html_text,
    show,
    terminal_text,
)


def displayed(**data) -> dict:
    data = {name.replace("_", "/", 1): value for name, value in data.items()}
    return {"output_type": "display_data", "data": data, "metadata": {}}


def stream(text, name="stdout") -> dict:
    return {"output_type": "stream", "name": name, "text": text}


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (stream("a\nb\n"), "a\nb"),
        (stream(["a\n", "b"]), "a\nb"),
        (stream("careful", "stderr"), "[stderr]\ncareful"),
        (stream("\x1b[31mred\x1b[0m"), "red"),
        (displayed(text_plain="42"), "42"),
        (displayed(text_plain="'<b>'", text_html="<b>x</b>"), "'<b>'"),
        (displayed(text_plain="<IPython.core.display.HTML object>", text_html="<b>x</b>"), "x"),
        (displayed(text_html="<p>one<br>two</p>"), "one\ntwo"),
        (displayed(text_plain="<Markdown object>", text_markdown="# Title"), "# Title"),
        (displayed(application_json={"a": [1]}), '{"a": [1]}'),
        (displayed(text_plain="<Chart>", **{"application_vnd.plotly.v1+json": {"data": []}}), "<Chart>\n[not shown: application/vnd.plotly.v1+json]"),
        (displayed(), ""),
    ],
)  # fmt: skip
def test_each_output_has_the_text_that_says_most(output, text):
    assert show([output]).text == text


def test_an_image_is_an_image_and_its_base64_is_in_no_text():
    png = "iVBORw0KGgo" * 50
    shown = show(
        [displayed(image_png=png + "\n", text_plain="<Figure size 640x480 with 1 Axes>"), stream("after")]
    )
    assert shown.text == "[image 1: image/png]\nafter"
    assert [(image.mime_type, image.data) for image in shown.images] == [("image/png", png)]


def test_images_beyond_what_clients_take_are_named_instead():
    large, small = "A" * MAX_IMAGE_CHARACTERS, "A" * 100
    shown = show([displayed(image_png=large), displayed(image_jpeg=small)])
    assert [image.data for image in shown.images] == [large]
    assert "image/jpeg of 0 kB, too large to send" in shown.text


def test_html_tables_keep_their_rows_and_scripts_vanish():
    markup = """<style>td {color: red}</style><script>alert("x")</script>
    <table><tr><th>species</th><th>mass</th></tr><tr><td>Adélie &amp; co</td><td>3750</td></tr></table>
    <img src="data:image/png;base64,AAAA" alt="a plot">"""
    assert html_text(markup) == "species | mass\nAdélie & co | 3750\n[image: a plot]"


def test_a_progress_bar_is_shown_as_it_last_was():
    assert terminal_text("10%\r50%\r100%\ndone\r\n") == "100%\ndone\n"


def test_a_traceback_has_neither_colours_nor_frames_of_the_kernel():
    traceback = [
        "\x1b[31m---------------------------------------------------------------------------\x1b[39m",
        "\x1b[31mNameError\x1b[39m                                 Traceback (most recent call last)",
        "File /env/site-packages/marimo_kernel_bridge/shell.py:10, in run_body(self)\n     9 try:\n---> 10     await x",
        "File /env/site-packages/marimo/_runtime/runner.py:1, in go()\n----> 1 go()",
        "Cell \x1b[32mIn[3]\x1b[39m, line 1\n----> 1 y",
        "\x1b[31mNameError\x1b[39m: name 'y' is not defined",
    ]
    text = error_text({"ename": "NameError", "evalue": "name 'y' is not defined", "traceback": traceback})
    assert text.splitlines() == [
        "NameError                                 Traceback (most recent call last)",
        "Cell In[3], line 1",
        "----> 1 y",
        "NameError: name 'y' is not defined",
    ]


def test_an_error_without_a_traceback_still_says_what_it_is():
    assert error_text({"ename": "CycleError", "evalue": "a and b", "traceback": []}) == "CycleError: a and b"


def test_text_within_the_budget_is_whole():
    assert cut("abc", 3, 0, "unused") == "abc"
    assert cut("abcdef", 3, 3, "unused") == "def"


def test_what_is_cut_is_said_and_can_be_read_on_to_the_end():
    text = "".join(f"{number:05}" for number in range(2000))
    first = cut(text, 1000, 0, "next: {offset}")
    assert first.startswith(text[:700])
    assert first.endswith(text[-300:])
    assert "9000 of 10000 characters left out here. next: 700" in first
    offset, read = 0, ""
    while offset < len(text):
        part = cut(text, 1000, offset, "next: {offset}")
        piece = part.split("\n[…")[0]
        read += piece
        offset += len(piece)
    assert read == text


def test_braces_in_output_do_not_disturb_the_notice():
    assert "{x}" in cut("{x}" * 1000, 300, 0, "go on at {offset}")
