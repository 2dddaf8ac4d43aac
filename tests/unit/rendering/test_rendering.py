"""marimo's elements found in a text, drawn, and read as text: without marimo, Jupyter or a kernel."""

import time
from typing import Any

import pytest

from marimo_kernel_bridge.rendering import tables
from marimo_kernel_bridge.rendering.components import draw
from marimo_kernel_bridge.rendering.elements import Element, inline, rewrite, split_blocks
from marimo_kernel_bridge.rendering.page import Control
from marimo_kernel_bridge.rendering.text import html_to_text
from marimo_kernel_bridge.rendering.tree import tree


class Page:
    """Knows the controls that a test gives it."""

    def __init__(self, **controls: Control) -> None:
        self.controls = controls
        self.natives: list[tuple[str, object, str]] = []

    def html(self, text: str) -> str:
        return rewrite(text, lambda element: draw(element, self))

    def control(self, element: Element) -> Control | None:
        return self.controls.get(element.object_id or "")

    def native(self, mime_type: str, data: object, text: str = "") -> str:
        self.natives.append((mime_type, data, text))
        return "(below)"


def found(text: str) -> tuple[str, list[Element]]:
    """Return the elements in a text, and the text with each replaced by `[name]`."""
    elements: list[Element] = []
    rewritten = rewrite(text, lambda element: elements.append(element) or f"[{element.name}]")
    return rewritten, elements


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a < b && c > d",
        "<p>plain <span class='x'>spans</span> and <b>others</b></p>",
        "unclosed <span> and </span></span> too many",
        "`<marimo-` is no tag, nor is <marimo- >",
        "List<span>[int]",
        "x <spanner> y </spanner>",
    ],
)
def test_what_is_no_element_stays_as_it_is(text: str) -> None:
    assert found(text) == (text, [])


def test_attributes_are_parsed_as_json_and_others_as_text() -> None:
    _, (element,) = found(
        "<marimo-slider data-initial-value='3' data-label='&quot;a &#92;u003cb&#92;u003e &#36;&quot;' "
        "data-options='[&quot;x&#x27;s&quot;]' data-broken='{' class=\"y\" hidden></marimo-slider>"
    )
    assert element == Element(
        "marimo-slider",
        {
            "initial-value": 3,
            "label": "a <b> $",
            "options": ["x's"],
            "broken": "{",
            "class": "y",
            "hidden": "",
        },
        "",
    )


def test_an_element_knows_the_ui_element_around_it_and_inner_ones_come_first() -> None:
    text, elements = found(
        "<marimo-ui-element object-id='a-0'><marimo-form data-x='1'>in <marimo-ui-element object-id='a-1'>"
        "<marimo-text></marimo-text></marimo-ui-element> it</marimo-form></marimo-ui-element> after"
    )
    assert text == "[marimo-form] after"
    assert [(e.name, e.object_id, e.content) for e in elements] == [
        ("marimo-text", "a-1", ""),
        ("marimo-form", "a-0", "in [marimo-text] it"),
    ]


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("<marimo-x/>", "[marimo-x]"),
        ("<marimo-x data-a='>'>b", "[marimo-x]"),
        ("<span class='q'><marimo-x></span>y</marimo-x>", "<span class='q'>[marimo-x]"),
        ("a</marimo-x>b", "ab"),
        ("<marimo-x><marimo-y></marimo-x>z", "[marimo-x]z"),
    ],
)
def test_broken_html_loses_no_text_around_it(text: str, rewritten: str) -> None:
    assert found(text)[0] == rewritten


def test_marimos_spans_become_the_blocks_that_they_stand_for() -> None:
    text = (
        '<span class="markdown prose contents"><span class="paragraph">a <span class="k">b</span></span>'
        '<span class="paragraph"><div>c</div></span><span class="admonition-title">d</span></span>'
    )
    assert found(text)[0] == (
        '<div><p>a <span class="k">b</span></p><div><div>c</div></div><div><b>d</b></div></div>'
    )


def test_much_text_takes_little_time() -> None:
    started = time.thread_time()
    for text in (
        "<span>" * 100_000,
        "<marimo-x a='" * 20_000,
        "</span>" * 100_000,
        "<span class='a'" * 50_000,
    ):
        rewrite(text, lambda _: "")
    assert time.thread_time() - started < 5


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("<div><p>a <b>b</b></p></div>", "a <b>b</b>"),
        ("<p>a</p><p>b</p>", "<p>a</p><p>b</p>"),
        ("a", "a"),
        ("", ""),
    ],
)
def test_a_label_is_taken_out_of_its_paragraph(text: str, label: str | None) -> None:
    assert inline(text) == label


def test_blocks_are_split_by_depth() -> None:
    assert split_blocks("<div>a<div>b</div></div><div data-kind='tab'>c</div>") == ["a<div>b</div>", "c"]


def test_an_element_that_nobody_knows_shows_its_content_or_else_its_name() -> None:
    page = Page()
    assert page.html("<marimo-new>inside</marimo-new>") == "inside"
    assert html_to_text(page.html("<marimo-new></marimo-new>")) == "(new: shown by marimo only)"


def test_a_control_shows_its_present_value_and_not_its_first() -> None:
    text = "<marimo-ui-element object-id='a'><marimo-number data-initial-value='1'></marimo-number></marimo-ui-element>"
    assert html_to_text(Page().html(text)) == "1 (number)"
    page = Page(a=Control(name="n", value=5, shown="5"))
    assert html_to_text(page.html(text)) == "5 (number · %marimo set n VALUE)"


def test_a_form_tells_what_was_submitted() -> None:
    text = "<marimo-ui-element object-id='a'><marimo-form data-initial-value='null'>fields</marimo-form></marimo-ui-element>"
    page = Page(a=Control(name="f", value="x", shown="'sent'"))
    assert html_to_text(page.html(text)) == "fields\n(form, submitted: 'sent' · %marimo set f VALUE)"


@pytest.mark.parametrize(
    ("data", "parsed"),
    [
        ('[{"a": 1, "_marimo_row_id": 0}, {"a": 2, "b": 3}]', (["a", "b"], [[1, None], [2, 3]])),
        ({"a": [1, 2], "b": [3, 4]}, (["a", "b"], [[1, 3], [2, 4]])),
        ([1, "x"], (["value"], [[1], ["x"]])),
        ([], ([], [])),
        ("data:text/csv;base64,YSxiCjEseAo=", (["a", "b"], [["1", "x"]])),
        ("data:application/json;base64,W3siYSI6IDF9XQ==", (["a"], [[1]])),
        ("data:text/csv;base64,/w==", None),
        ("not json", None),
        (5, None),
    ],
)
def test_table_data_in_every_form_that_marimo_sends(data: Any, parsed: object) -> None:
    assert tables.parse(data) == parsed


def test_a_table_says_how_much_it_leaves_out() -> None:
    html = tables.table(["a"] * 60, [[1] * 60] * 30, 1000)
    assert "1,000 rows, 60 columns, the first 20 shown, the first 50 columns shown" in html
    assert (html.count("<tr>"), html.count("<th>")) == (21, 50)
    assert "more rows than were counted" in tables.table(["a"], [], "too_many")
    assert "<td>&lt;b&gt;</td>" in tables.table(["a"], [["<b>"]], None)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([1, "a", None], "[1, 'a', None]"),
        (["text/plain+float:2.5", "text/plain+set:[1]", "text/plain+tuple:[1, 2]"], "[2.5, {1}, (1, 2)]"),
        ({"text/plain+int:1": "x", "text/plain+str:text/plain+y": 2}, "{1: 'x', text/plain+y: 2}"),
        (["text/html:<b>bold</b>"], "list of 1\n- 0: bold"),
        (list(range(200)), "list of 200\n- 0: 0"),
        ({"k": "v" * 80}, "dict of 1\n- 'k': '" + "v" * 80 + "'"),
    ],
)
def test_trees_are_written_as_python_writes_them(data: Any, text: str) -> None:
    assert html_to_text(tree(data, Page(), python=True)).startswith(text)


def test_json_is_written_as_json() -> None:
    assert html_to_text(tree({"a": [None, True, "é"]}, Page(), python=False)) == '{"a": [null, true, "é"]}'


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h2>Title</h2><p>one\n two</p><p>three</p>", "## Title\none two\n\nthree"),
        ("<ul><li>a<ul><li>b</li></ul></li></ul><ol><li>c</li><li>d</li></ol>", "- a\n  - b\n\n1. c\n2. d"),
        ("<table><tr><th>a</th><th>long</th></tr><tr><td>1</td><td>2</td></tr></table>", "a  long\n1  2"),
        ("<pre>  kept\n    as is</pre>", "  kept\n    as is"),
        ("a<br>b<hr>c", "a\nb\n---\nc"),
        ("<script>no</script><style>no</style>yes", "yes"),
        ("<blockquote><p>said</p><p>twice</p></blockquote>", "> said\n>\n> twice"),
        ("<img src='data:x' alt='a dot'><img src='https://e.org/x.png'>", "[image: a dot][image: https://e.org/x.png]"),
        ("<audio src='data:x'></audio><iframe srcdoc='x'></iframe>", "[audio][page]"),
        ("<div role='img' aria-label='a chart'><div>x</div><script>y</script></div>after", "a chartafter"),
        ("<div style='display: flex;flex-direction: row'><b>a</b><i>b</i></div>", "a  b"),
        ("<div style='display:flex;flex-direction:column'><b>a <u>b</u></b><i>c</i></div>", "a b\nc"),
        ("&lt;b&gt; &amp; &eacute;", "<b> & é"),
        ("<p>unclosed <b>tags", "unclosed tags"),
        ("</div>too many</p>", "too many"),
        ("", ""),
    ],
)  # fmt: skip
def test_html_reads_as_text(html: str, text: str) -> None:
    assert html_to_text(html) == text


def test_what_only_a_front_end_can_draw_is_handed_on_with_its_text() -> None:
    page = Page()
    mime_type = "application/vnd.jupyter.widget-view+json"
    drawn = page.html(
        f"<marimo-mime-renderer data-mime='&quot;{mime_type}&quot;' data-data='{{&quot;model_id&quot;: 1}}' "
        "data-text='&quot;IntSlider()&quot;'></marimo-mime-renderer>"
    )
    assert (drawn, page.natives) == ("(below)", [(mime_type, {"model_id": 1}, "IntSlider()")])
