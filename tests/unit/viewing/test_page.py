"""The viewer's page is one text that needs nothing else, and has no way to take data for markup or code."""

import gzip
import re
from html.parser import HTMLParser
from importlib import resources

from marimo_kernel_bridge.viewing import page
from marimo_kernel_bridge.viewing.page import page_html, script

FILES = {
    file.name: file.read_text(encoding="utf-8")
    for file in resources.files(page.__name__).iterdir()
    if file.is_file()
}
MODULES = {name: text for name, text in FILES.items() if name.endswith(".js")}
TAKES_TEXT_FOR_MARKUP = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|DOMParser|createContextualFragment"
)
TAKES_TEXT_FOR_CODE = r"\beval\b|\bFunction\b\(|\bimport\(|setTimeout\([\"'`]|javascript:"


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def elements(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(html)
    return parser.seen


def test_a_policy_can_allow_its_one_script_and_its_one_style_by_a_nonce() -> None:
    seen = elements(page_html("n0nce"))
    assert [(tag, attributes.get("nonce")) for tag, attributes in seen if tag in {"script", "style"}] == [
        ("style", "n0nce"),
        ("script", "n0nce"),
    ]


def test_without_a_nonce_no_attribute_of_that_name_is_there() -> None:
    assert not any("nonce" in attributes for _, attributes in elements(page_html()))


def test_a_nonce_is_an_attribute_whatever_it_is() -> None:
    tags = [tag for tag, _ in elements(page_html('"><img src=x>'))]
    assert tags == [tag for tag, _ in elements(page_html("n"))]
    assert "img" not in tags


def test_it_loads_nothing_and_has_no_style_or_handler_in_an_attribute() -> None:
    for tag, attributes in elements(page_html("n")):
        assert not attributes.keys() & {"src", "href", "style", "action", "srcset"}, tag
        assert not [name for name in attributes if name.startswith("on")], tag
    assert not re.search(r"https?://|url\(|@import", page_html("n"))


def test_no_module_takes_a_text_for_markup_or_for_code() -> None:
    for forbidden in (TAKES_TEXT_FOR_MARKUP, TAKES_TEXT_FOR_CODE):
        assert re.findall(rf".*(?:{forbidden}).*", script()) == []


def test_every_module_is_in_the_script_once_and_before_those_that_import_it() -> None:
    at = {}
    for name, text in MODULES.items():
        defined = re.search(r"^export (?:async )?(?:const|class|function) (\w+)", text, re.MULTILINE)
        if defined is None:
            assert name == "main.js"
            continue
        places = [
            found.start()
            for found in re.finditer(
                rf"^(?:async )?(?:const|class|function) {defined[1]}\b", script(), re.MULTILINE
            )
        ]
        assert len(places) == 1, name
        at[name] = places[0]
    for name, text in MODULES.items():
        for imported in re.findall(r'^import .* from "\./(.+)";$', text, re.MULTILINE):
            assert name == "main.js" or at[imported] < at[name], (name, imported)


def test_no_two_modules_have_a_top_level_name_in_common() -> None:
    top_level = re.compile(r"^(?:export )?(?:async )?(?:const|let|class|function) (\w+)", re.MULTILINE)
    names = [name for text in MODULES.values() for name in top_level.findall(text)]
    assert [name for name in names if names.count(name) > 1] == []


def test_what_is_left_out_is_imports_exports_comments_and_indentation_alone() -> None:
    assert not re.search(r"^(?:import|export|\s|/|\*)", script(), re.MULTILINE)
    for name, text in MODULES.items():
        assert not re.search(r"^[ \t]*\*[^ /\n]", text, re.MULTILINE), (
            f"{name}: a line of code begins like a comment's"
        )
        assert text.count("`") % 2 == 0, name
        for line in text.splitlines():
            assert line.count("`") % 2 == 0 or line.lstrip().startswith(("//", "*", "/*")), f"{name}: {line}"


def test_it_is_small() -> None:
    html = page_html("n").encode()
    assert len(gzip.compress(html, mtime=0)) < 28_000
    assert len(html) < 96_000
