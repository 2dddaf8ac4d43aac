"""What notices show of agents is text, whatever their names and code are."""

from html.parser import HTMLParser

import mistune
import pytest

from marimo_kernel_bridge.kernel import notices
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.names import agent_name
from marimo_kernel_bridge.protocol.notebook import Cell
from tests.unit.made_cells import made_cell

HTML = "<img src=x onerror=alert(1)>"


def cell(code: str, author: str = "ann") -> Cell:
    return made_cell(code=code, edited_by=author)


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002  # HTMLParser's signature
        self.names.add(tag)


def elements(markdown: str) -> set[str]:
    """Return the elements that Markdown becomes in a front end that trusts it."""
    parser = _Elements()
    parser.feed(str(mistune.create_markdown(escape=False)(markdown)))
    return parser.names


@pytest.mark.parametrize(
    "code",
    [
        f"'''\n```\n{HTML}\n```\n'''",
        f"'''\n``````\n{HTML}\n'''",
        f"'''\n~~~\n{HTML}\n'''",
        f"x = '```'\r```\r{HTML}",
        f"'''\n   ```\n\n{HTML}\n'''",
        HTML,
        "`" * 50 + f"\n{HTML}",
    ],
)
def test_markup_in_an_agents_code_stays_text(code: str) -> None:
    data = notices.edited(cell(code))["data"]
    assert HTML in data["text/plain"]
    assert elements(data["text/markdown"]) <= {"p", "em", "strong", "pre", "code"}


@pytest.mark.parametrize(
    "name", [HTML, f"**</em>{HTML}", "a\n\n```\n", "[x](javascript:alert(1))", "&lt;img&gt;", "`"]
)
def test_markup_in_an_agents_name_stays_text(name: str) -> None:
    shown = elements(notices.edited(cell("1", name))["data"]["text/markdown"])
    assert shown <= {"p", "em", "strong", "pre", "code"}
    assert "<" not in agent_name(name)
    assert agent_name(name).isprintable()


@pytest.mark.parametrize(
    "name",
    [
        *("notebook", " Notebook\n", "the person", "THE  PERSON", "", "\x1b", "<notebook>", "notebook."),
        *("(the-person)", "\uff4eotebook", "...", "y\u200bou"[:0]),
        *(
            "the person (Ada)",
            "Person 1",
            "person2",
            "person, you",
            "username",
            "Ada@notebook",
            "p\u00e9rson",
            "pe\u0301rson",
        ),
        *("th\u0435 person", "th\u0435 human", "n\u043etebook", "\u03c1erson", "cl\u0430ude"),
        # Wholly of other scripts: Greek capitals, Cyrillic with Armenian, Greek with Cyrillic.
        *(
            "\u039d\u039f\u03a4\u0395\u0392\u039f\u039f\u039a",
            "\u0440\u0435\u0433\u0455\u043e\u0578",
            "the \u0443\u03bf\u03c5",
        ),
    ],
)
def test_no_agent_has_the_persons_name(name: str) -> None:
    assert agent_name(name) == "agent"
    request = wire.decode_request({"op": "run_stale", "client": name})
    assert getattr(request, "client", None) == "agent"


def test_usual_names_stay_as_they_are() -> None:
    for name in (
        "claude-code",
        "Visual Studio Code",
        "cursor-vscode (via mcp 1.2)",
        "Jürgen",
        "a_b/c@d",
        "Агент 7",
        "エージェント",
        "personal",
    ):
        assert agent_name(name) == name
