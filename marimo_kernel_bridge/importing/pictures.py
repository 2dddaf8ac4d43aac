"""Pictures and links of a Markdown text by relative path, in Markdown's own forms and in HTML; code is left alone.

Does not read files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Each pattern reads any text in linear time: its alternatives exclude one another, what they have taken they keep, and no
# repetition runs across the beginning of another match.
_CODE: Final = re.compile(
    r"^[ \t>]*+(?:[-*+][ ]++|\d++[.)][ ]++)?+(?P<fence>`{3,}+|~{3,}+)[^\n]*+\n"
    r".*?(?:^[ \t>]*+(?P=fence)[`~]*+[ \t]*+$|\Z)"
    r"|(?<!`)(?P<ticks>`++)(?:[^`\n]++|\n(?![ \t]*+\n)|(?!(?P=ticks)(?!`))`++)*+(?P=ticks)",
    re.DOTALL | re.MULTILINE,
)
_TEXT: Final = r"(?:[^\[\]]++|\[[^\[\]]*+\])*+"
"""The text of a picture or a link, in which brackets stand in pairs."""
_TARGET: Final = r"(?:<(?P<angled>[^<>\n]++)>|(?P<bare>[^\s()<>]++(?:\([^\s()]*+\)[^\s()<>]*+)*+))"
_END: Final = r"(?=\s*\)|\s+[\"'(])"
"""What follows a target: the end, or a title. A path with blanks is none."""
_ATTRIBUTE: Final = r"""(?:"(?P<double>[^"]+)"|'(?P<single>[^']+)'|(?P<plain>[^\s"'<>]+))"""
_PICTURES: Final = (
    re.compile(rf"(?P<before>!\[{_TEXT}\]\(\s*+){_TARGET}{_END}"),
    re.compile(rf"(?P<before><img\b(?:[^<>]|<(?!img\b))*?\bsrc\s*+=\s*+){_ATTRIBUTE}", re.IGNORECASE),
)
_LINKS: Final = (
    re.compile(rf"(?P<before>(?<!!)\[{_TEXT}\]\(\s*+){_TARGET}{_END}"),
    re.compile(rf"(?P<before><a\b(?:[^<>]|<(?!a\b))*?\bhref\s*+=\s*+){_ATTRIBUTE}", re.IGNORECASE),
)
_DEFINITION: Final = re.compile(
    rf"(?P<before>^[ ]{{0,3}}\[(?P<label>[^\]\n]++)\]:[ \t]*+){_TARGET}(?=\s|\Z)", re.MULTILINE
)
_REFERENCE: Final = re.compile(
    r"(?P<picture>!?)\[(?P<text>[^\[\]\n]*+)\](?:\[(?P<label>[^\[\]\n]*+)\])?(?![(:])"
)
_NOT_RELATIVE: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|[/#?]")


def with_pictures(source: str, embedded: Callable[[str], str | None]) -> str:
    """Put pictures with a relative path into the text. `embedded` returns the data of a path as an address."""
    labels = {"", *_labels(source, picture=True)}

    def replaced(found: re.Match[str]) -> str:
        path = _path(found)
        if _NOT_RELATIVE.match(path) or found.groupdict().get("label", "").casefold() not in labels:
            return found[0]
        address = embedded(_file(path))
        if address is None:
            return found[0]
        quote = '"' if any(found.groupdict().get(form) for form in ("double", "single", "plain")) else ""
        return f"{found['before']}{quote}{address}{quote}"

    parts = []
    for text, code in _parts(source):
        for form in () if code else (*_PICTURES, _DEFINITION):
            text = form.sub(replaced, text)  # noqa: PLW2901  # each form in the result of the other
        parts.append(text)
    return "".join(parts)


def relative_pictures(source: str) -> list[str]:
    """Return the relative paths of the pictures in a Markdown text, but not of those that marimo serves."""
    paths = _relative(source, _PICTURES, _labels(source, picture=True))
    return [path for path in paths if not path.startswith("public/")]


def relative_links(source: str) -> list[str]:
    """Return the relative paths that a Markdown text links to."""
    pictures = _labels(source, picture=True)
    return _relative(source, _LINKS, _labels(source, picture=False) - pictures)


def _relative(source: str, forms: tuple[re.Pattern[str], ...], labels: set[str]) -> list[str]:
    text = "".join(text for text, code in _parts(source) if not code)
    found = [match for form in forms for match in form.finditer(text)]
    found += [match for match in _DEFINITION.finditer(text) if match["label"].casefold() in labels]
    paths = [_path(match) for match in sorted(found, key=lambda match: match.start())]
    return list(dict.fromkeys(_file(path) for path in paths if not _NOT_RELATIVE.match(path)))


def _labels(source: str, *, picture: bool) -> set[str]:
    """Return the labels by which pictures, or links, refer to their definitions."""
    return {
        (match["label"] or match["text"]).casefold()
        for text, code in _parts(source)
        if not code
        for match in _REFERENCE.finditer(text)
        if bool(match["picture"]) == picture
    }


def _path(found: re.Match[str]) -> str:
    groups = found.groupdict()
    forms = ("angled", "bare", "double", "single", "plain")
    return next(path for form in forms if (path := groups.get(form)) is not None).strip()


def _file(path: str) -> str:
    return re.split(r"[?#]", path, maxsplit=1)[0]


def _parts(source: str) -> Iterator[tuple[str, bool]]:
    """Yield the text in pieces, each with whether it is code."""
    end = 0
    for code in _CODE.finditer(source):
        yield source[end : code.start()], False
        yield code[0], True
        end = code.end()
    yield source[end:], False
