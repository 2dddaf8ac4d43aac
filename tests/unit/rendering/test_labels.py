"""Labels: HTML that may come from data, and that must run nothing."""

import pytest

from marimo_kernel_bridge.rendering.labels import harmless, runs_nothing


@pytest.mark.parametrize(
    "text",
    [
        "Size",
        "a &lt; b",
        '<span class="markdown prose"><span class="paragraph"><strong>Size</strong> in <em>mm</em></span></span>',
        '<a href="https://marimo.io" target="_blank">more</a>',
        "<a href='#size'>more</a>",
        '<img src="data:image/png;base64,AAAA" alt="a leaf" width="12">',
        '<img src="leaf.png" alt="on the leaf"/>',
        "<marimo-tex class='arithmatex'>||(x^2||)</marimo-tex>",
        '<iconify-icon icon="lucide:leaf" style="height:1em"></iconify-icon>',
        "<marimo-ui-element object-id='a-1'><marimo-slider data-label='&quot;&lt;b&gt;&quot;'></marimo-slider></marimo-ui-element>",
        '<svg viewBox="0 0 9 9"><path d="M1 1"/></svg>',
        "one<br>two<br/>three<br />four",
    ],
)
def test_a_label_keeps_its_markup(text: str) -> None:
    assert runs_nothing(text)
    assert harmless(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)>",
        '<img src="x" onerror="alert(1)">',
        "<img src='x' OnError='alert(1)'>",
        "<img/src='x'/onerror='alert(1)'>",
        "<svg onload='alert(1)'>",
        "<svg><animate onbegin='alert(1)' attributeName='x'></svg>",
        "<svg><script>alert(1)</script></svg>",
        "<script>alert(1)</script>",
        "<SCRIPT SRC='x.js'></SCRIPT>",
        "<scr<script>ipt>alert(1)</scr</script>ipt>",
        "<iframe srcdoc='&lt;script&gt;alert(1)&lt;/script&gt;'></iframe>",
        "<a href='javascript:alert(1)'>more</a>",
        "<a href='java&#10;script:alert(1)'>more</a>",
        "<a href='&#1;javascript:alert(1)'>more</a>",
        "<a href='JaVaScRiPt&colon;alert(1)'>more</a>",
        "<a href='data:text/html,&lt;script&gt;alert(1)&lt;/script&gt;'>more</a>",
        "<img src='data:image/svg+xml,&lt;svg/&gt;'>",
        "<form action='javascript:alert(1)'><button formaction='x'>go</button></form>",
        "<math><mtext><style><img src=x onerror=alert(1)></style></mtext></math>",
        "<style>* { display: none }</style>",
        "<b title='a' onclick='alert(1)'>more</b>",
        "<b title='a'onclick='alert(1)'>more</b>",
        '<b title="<img src=x onerror=alert(1)>">more</b>',
        "<!--><img src=x onerror=alert(1)>-->",
        "<p title=`a`>more</p>",
        "<meta http-equiv='refresh' content='0;url=x'>",
        "more < and <",
    ],
)
def test_a_label_that_could_run_something_has_its_text_only(text: str) -> None:
    assert not runs_nothing(text)
    assert "<" not in harmless(text)


def test_the_text_of_such_a_label_is_shown() -> None:
    assert harmless("<b onclick='alert(1)'>Size</b>") == "Size"


@pytest.mark.parametrize(
    "text", ["<b " * 100_000, "<b a" * 100_000, "<b a='" * 100_000, "<b" + " a=''" * 100_000, "<" * 100_000]
)
def test_a_long_label_takes_no_time(text: str) -> None:
    harmless(text[:50_000])
    runs_nothing(text)
