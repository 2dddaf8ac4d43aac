"""Redaction of secrets in what agents see: known values, and texts in the formats of well-known tokens. Pure.

The kernel redacts whatever it sends to an agent, before it is cut: it knows the values. The MCP server redacts its
answers as well, for kernels that do not, and with the values of its own environment.

Protects against accidents (a printed environment, a key in a traceback), not against code that disguises its output. A
mark with the secret's name replaces each secret; code that contains a mark is refused, because it would overwrite the
secret.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

from marimo_kernel_bridge.protocol.inspection import OwnMarks
from marimo_kernel_bridge.protocol.output_log import strip_ansi
from marimo_kernel_bridge.protocol.token_formats import (
    Format,
    likely,
    mark,
    with_literals,
    without_broken_tokens,
    without_tokens,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from marimo_kernel_bridge.protocol.inspection import Secret

MARK: Final = re.compile(r"<<redacted:[^<>\n]*>>")

_SHORTEST: Final = 4
_START: Final = 8
"""Letters by which many texts are looked up, longer ones by more: fewer texts begin like a secret and are none."""

_FEW: Final = 1000
_MANY: Final = 1000
"""Values beyond which no text is known that is escaped twice: some have a hundred of those."""

_WHOLE: Final = 16
"""Longer values are also recognized by their first half, because a text may have been cut within them, in base64, and
where a line break is within them."""

_ENCODED: Final = 8
"""Bytes from which a value is known in base64 and hexadecimal digits."""

_PLAIN: Final = re.compile("[A-Za-z0-9_.-]*")
"""Text that everything but base64 writes as it is."""

_TAG: Final = re.compile("<[A-Za-z/!?][^<>]*>")

_JSON_IN_HTML: Final = tuple(
    {ord(letter): f"\\u{ord(letter):04{case}}" for letter in letters}
    for letters, case in (("<>&'", "x"), ("<>&'", "X"), ("<>&", "x"), ("<>&", "X"))
)
"""Codes of letters in JSON within HTML: Jinja and Go write small letters in them, Django capital ones."""

_QUOTES_IN_HTML: Final = (
    ('"', "'"), ("&quot;", "'"), ("&quot;", "&#x27;"), ("&#34;", "&#39;"), ("&quot;", "&#39;"), ("&quot;", "&apos;"),
)  # fmt: skip

_BINARY: Final = ("image/", "audio/", "video/", "application/pdf")
"""Mime types whose data are no text."""

_REMEMBERED: Final = 1000
"""Texts of an answer that are read once."""

_Hide = Callable[[str], str]

_Known = tuple[str, str]
"""A text that stands for a secret, and the secret's name."""


class _Texts:
    """Texts that stand for secrets, the longest first, and those of them that another text contains."""

    def __init__(self, known: Iterable[_Known]) -> None:
        self.all = sorted(known, key=_order)
        self._by_start: dict[int, dict[str, list[_Known]]] = {}
        for one in self.all if len(self.all) > _FEW else ():
            width = _START if len(one[0]) >= _START else _SHORTEST
            self._by_start.setdefault(width, {}).setdefault(one[0][:width], []).append(one)

    def within(self, text: str) -> list[_Known]:
        if not self._by_start:  # looking for each takes less time
            return [one for one in self.all if one[0] in text]
        found: list[_Known] = []
        for width, by_start in self._by_start.items():
            for start in {text[at : at + width] for at in range(len(text))} & by_start.keys():
                found += (one for one in by_start[start] if one[0] in text)
        return sorted(found, key=_order)


class Redactor:
    """Replaces known secrets, and texts in the formats of tokens, by marks."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        known = {(secret.value, secret.name) for secret in secrets if len(secret.value) >= _SHORTEST}
        known = {(value, name) for value, name in known if value not in "<<redacted:"}
        self.secrets = sorted((name, value) for value, name in known)
        long = [(value, name) for value, name in known if len(value) >= _WHOLE]
        self._forms = _Texts(
            {(form, name) for value, name in known for form in _forms(value, nested=len(known) <= _MANY)}
        )
        self._beginnings = _Texts((value[: len(value) // 2], name) for value, name in long)
        self._unbroken = _Texts((value, name) for value, name in long if "\n" not in value)

    @property
    def spaced(self) -> list[str]:
        """The forms of values with white space in them, which a stream may end within."""
        return [form for form, _ in self._forms.all if len(form.split()) > 1]

    @property
    def longest(self) -> int:
        """The length of the longest form of a value."""
        return len(self._forms.all[0][0]) if self._forms.all else 0

    def text(self, text: str) -> str:
        """Return the text with marks in place of secrets."""
        return self._text(text, *self._likely(text))

    def data(self, value: Any) -> Any:
        """Return JSON with marks in place of secrets. Pictures stay as they are."""
        texts: dict[str, None] = {}
        _collect(value, texts)
        together = "\n".join(texts)  # searching one text is faster than searching many short ones
        plain = strip_ansi(together) if "\x1b" in together else together
        values, formats = self._likely(plain)
        if not values and not formats and plain is together:
            return value
        # The names of fields, and many values, are the same in each item of a list.
        hide = lru_cache(maxsize=_REMEMBERED)(lambda text: self._text(text, values, formats))
        return self._data(value, hide, lambda text: self._text(text, values, []))

    def _data(self, value: Any, hide: _Hide, hide_values: _Hide) -> Any:
        match value:
            case str():
                return hide(value)
            case dict():
                return {
                    self._data(key, hide, hide_values): item
                    if _is_binary(key)
                    else self._list(item, hide, hide_values, "\n")
                    if key == "traceback" and isinstance(item, list | tuple)
                    else self._data(item, hide, hide_values)
                    for key, item in value.items()
                }
            case list() | tuple():
                return self._list(value, hide, hide_values, "")
            case _:
                return value

    def _list(self, items: Iterable[Any], hide: _Hide, hide_values: _Hide, between: str) -> list[Any]:
        """Return items with marks in place of secrets; of a text in several items, also of those in more than one."""
        items = list(items)
        if any("PRIVATE KEY" in item for item in items if isinstance(item, str)):
            items = _rejoined(items, self)  # the lines of a text
        redacted = [self._data(item, hide, hide_values) for item in items]
        if len(items) > 1 and _are_texts(items):
            are_lines = between or all(item.endswith("\n") for item in items[:-1])
            whole = between.join(items if are_lines else redacted)
            hidden = hide(whole) if are_lines else hide_values(whole)
            if hidden != between.join(redacted):
                return hidden.split(between) if between else re.findall(r"[^\n]*\n|[^\n]+", hidden)
        return redacted

    def _text(self, text: str, values: list[_Known], formats: list[Format]) -> str:
        redacted = self._plain(text, values, formats)
        if "\x1b" in text:  # colors may break a token
            plain = strip_ansi(text)
            without_colors = self._plain(plain, *self._likely(plain))
            if without_colors != strip_ansi(redacted):
                return without_colors
        return redacted

    def _plain(self, text: str, values: list[_Known], formats: list[Format]) -> str:
        for form, name in values:
            text = text.replace(form, mark(name))
        if values:
            if "\n" in text:  # first: where its beginning is replaced, the rest of a value would not be known
                text = self._without_broken(text)
            for beginning, name in self._beginnings.within(text):
                cut = f"{re.escape(beginning)}[^\\s'\"]*+"
                text = re.sub(cut, lambda _, name=name: mark(name), text)  # type: ignore[misc]  # called at once
        if formats and "\n" in text:  # first: the beginning of a token may be one by itself
            text = without_broken_tokens(text, formats)
        return without_tokens(text, formats)

    def _without_broken(self, text: str) -> str:
        """Replace values with a line break within them, as a terminal wraps them."""
        together = text.replace("\n", "")
        for value, name in self._unbroken.within(together):
            broken = "\n?".join(map(re.escape, value))
            text = re.sub(broken, lambda _, name=name: mark(name), text)  # type: ignore[misc]  # called at once
        return text

    def _likely(self, text: str) -> tuple[list[_Known], list[Format]]:
        """Return what may have to be replaced in a text; of formats, more if a value is: the mark may end a token before it."""
        values = self._likely_values(text)
        return values, with_literals(text) if values else likely(text)

    def _likely_values(self, text: str) -> list[_Known]:
        """Return the forms of values that are in a text; of values that are cut or broken in it, one that is not."""
        if found := self._forms.within(text):
            return found
        if self._beginnings.within(text) or ("\n" in text and self._unbroken.within(text.replace("\n", ""))):
            return self._forms.all[:1]
        return []


def has_mark(value: Any) -> bool:
    """Return whether JSON contains a mark, or the arguments of a tool, which hold objects with fields as well."""
    if isinstance(value, str):
        return MARK.search(value) is not None
    if hasattr(value, "__dict__"):
        value = vars(value)
    if isinstance(value, dict):
        value = [*value, *value.values()]
    return isinstance(value, list | tuple) and any(map(has_mark, value))


def marks_in(text: str, shown: str) -> tuple[set[str], set[str]]:
    """Return what looks like a mark in a text and is its own, and what stands for secrets where it is `shown` without them.

    One that is both is not its own: whoever reads it cannot tell which of them is which.
    """
    if "<<redacted:" not in shown:
        return set(), set()
    before, after = Counter(MARK.findall(text)), Counter(MARK.findall(shown))
    return {one for one in before if after[one] == before[one]}, {
        one for one in after if after[one] > before[one]
    }


def own_marks(texts: Iterable[tuple[Iterable[str], str]], hide: Callable[[str], str]) -> OwnMarks:
    """Return what looks like a mark in texts, each with the ids of its cell."""
    own: dict[str, tuple[str, ...]] = {}
    hiding: set[str] = set()
    for ids, text in texts:
        of_text, hidden = marks_in(text, hide(text))
        hiding |= hidden
        if of_text:
            own |= dict.fromkeys(ids, tuple(sorted(of_text)))
    return OwnMarks(own, tuple(sorted(hiding)))


def _collect(value: Any, texts: dict[str, None]) -> None:
    """Add the texts in JSON to `texts`, each once: the names of fields, and many values, are in each item of a list."""
    if isinstance(value, str):
        texts[value] = None
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str):
                texts[key] = None
            if item and not isinstance(item, int | float) and not _is_binary(key):
                _collect(item, texts)
                if key == "traceback" and _are_texts(item):
                    texts["\n".join(item)] = None
    elif isinstance(value, list | tuple):
        if _are_texts(value):
            texts |= dict.fromkeys(value)
            texts["".join(value)] = None
        else:
            for item in value:
                _collect(item, texts)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _is_binary(key: object) -> bool:
    return isinstance(key, str) and "/" in key and key.startswith(_BINARY) and not key.startswith("image/svg")


def _rejoined(items: Iterable[Any], redactor: Redactor) -> list[Any]:
    """Return the lines of a text without the private keys in it, or items that are no lines as they are."""
    items = list(items)
    if not _are_texts(items):
        return items
    return redactor.text("\0".join(items)).split("\0")


def _forms(value: str, *, nested: bool) -> Iterator[str]:
    """Yield a value as it is, and as languages and formats write it, also (`nested`) one within another."""
    if "\n" in value:
        lines = value.replace("\r\n", "\n")
        yield from (
            form for ends in (lines, lines.replace("\n", "\r\n")) for form in _written(ends, nested=nested)
        )
    yield from _written(value, nested=nested)


def _written(value: str, *, nested: bool) -> Iterator[str]:
    encoded = value.encode(errors="surrogateescape")
    yield value
    if _PLAIN.fullmatch(value) is None:
        once = {*_in_python(value), *_in_bytes(encoded), *_in_json(value)}
        if (
            "<" in value and len(rest := _TAG.sub("", value)) >= _START
        ):  # as HTML, it loses what looks like a tag
            once.add(rest)
        yield from (*once, *_in_html(value), *_in_addresses(encoded))
        for form in once if nested else ():
            yield from (*_in_python(form), json.dumps(form)[1:-1], *_in_html(form))
        for apostrophe in ("'\"'\"'", "'\\''"):  # within single quotes of a shell
            yield value.replace("'", apostrophe)
    if len(encoded) >= _ENCODED:
        yield from (encoded.hex(), encoded.hex().upper())
        for form in _in_base64(encoded):
            yield from (form, form.translate({43: "-", 47: "_"}))


def _in_python(text: str) -> Iterator[str]:
    """Yield what stands between the quotes, also within a text with double quotes."""
    for written in (repr, ascii):
        yield from (written(text)[1:-1], written(f'"{text}')[2:-1])


def _in_bytes(encoded: bytes) -> Iterator[str]:
    yield from (repr(encoded)[2:-1], repr(b'"' + encoded)[3:-1])


def _in_addresses(encoded: bytes) -> Iterator[str]:
    for address in (quote(encoded, safe=""), quote(encoded), quote_plus(encoded)):
        yield from (address, re.sub("%..", lambda code: code[0].lower(), address))


def _in_json(text: str) -> Iterator[str]:
    """Yield what stands between the quotes, also as libraries write it that protect HTML or slashes."""
    for written in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        yield from (written, written.replace("/", "\\/"))
        for codes in _JSON_IN_HTML:
            yield written.translate(codes)


def _in_html(text: str) -> Iterator[str]:
    """Yield a text as the standard library, MarkupSafe, Django and XML escape it."""
    escaped = html.escape(text, quote=False)
    for double, single in _QUOTES_IN_HTML:
        yield escaped.replace('"', double).replace("'", single)


def _in_base64(encoded: bytes) -> Iterator[str]:
    """Yield a value in base64, alone and as the part that is the same whatever stands before and behind it."""
    yield base64.b64encode(encoded).decode().rstrip("=")
    for before in range(3):
        letters = base64.b64encode(bytes(before) + encoded).decode()
        yield letters[-(-before * 8 // 6) : (before + len(encoded)) * 8 // 6]


def _order(known: _Known) -> tuple[int, str, str]:
    return -len(known[0]), *known
