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
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

from marimo_kernel_bridge.protocol.output_log import strip_ansi
from marimo_kernel_bridge.protocol.token_formats import Format, likely, mark, without_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from marimo_kernel_bridge.protocol.inspection import Secret

MARK: Final = re.compile(r"<<redacted:[^<>\n]*>>")

_SHORTEST: Final = 4
_FEW: Final = 500
_WHOLE: Final = 16
"""Longer values are also recognized by their first half, because a text may have been cut within them, in base64, and
where a line break is within them."""

_BINARY: Final = ("image/", "audio/", "video/", "application/pdf")
"""Mime types whose data are no text."""

_Known = tuple[str, str]
"""A text that stands for a secret, and the secret's name."""


class _Texts:
    """Texts that stand for secrets, the longest first, and those of them that another text contains."""

    def __init__(self, known: Iterable[_Known]) -> None:
        self.all = sorted(known, key=_order)
        self._by_start: dict[str, list[_Known]] = {}
        for one in self.all if len(self.all) > _FEW else ():
            self._by_start.setdefault(one[0][:_SHORTEST], []).append(one)

    def within(self, text: str) -> list[_Known]:
        candidates = self.all
        if self._by_start:  # else looking for each takes less time
            starts = {text[at : at + _SHORTEST] for at in range(len(text))} & self._by_start.keys()
            candidates = sorted((one for start in starts for one in self._by_start[start]), key=_order)
        return [one for one in candidates if one[0] in text]


class Redactor:
    """Replaces known secrets, and texts in the formats of tokens, by marks."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        known = {(secret.value, secret.name) for secret in secrets if len(secret.value) >= _SHORTEST}
        known = {(value, name) for value, name in known if value not in "<<redacted:"}
        self.secrets = sorted((name, value) for value, name in known)
        long = [(value, name) for value, name in known if len(value) >= _WHOLE]
        self._forms = _Texts({(form, name) for value, name in known for form in _forms(value)})
        self._beginnings = _Texts((value[: len(value) // 2], name) for value, name in long)
        self._unbroken = _Texts((value, name) for value, name in long if "\n" not in value)

    @property
    def spaced(self) -> list[str]:
        """The forms of values with white space in them, which a stream may end within."""
        return [form for form, _ in self._forms.all if len(form.split()) > 1]

    def text(self, text: str) -> str:
        """Return the text with marks in place of secrets."""
        return self._text(text, self._likely_values(text), likely(text))

    def data(self, value: Any) -> Any:
        """Return JSON with marks in place of secrets. Pictures stay as they are."""
        together = "\n".join(_texts(value))  # searching one text is faster than searching many short ones
        plain = strip_ansi(together) if "\x1b" in together else together
        values, formats = self._likely_values(plain), likely(plain)
        if not values and not formats and plain is together:
            return value
        return self._data(value, values, formats)

    def _data(self, value: Any, values: list[_Known], formats: list[Format]) -> Any:
        match value:
            case str():
                return self._text(value, values, formats)
            case dict():
                return {
                    self._data(key, values, formats): item
                    if _is_binary(key)
                    else self._data(item, values, formats)
                    for key, item in value.items()
                }
            case list() | tuple():
                if any("PRIVATE KEY" in item for item in value if isinstance(item, str)):
                    value = _rejoined(value, self)  # the lines of a text
                return [self._data(item, values, formats) for item in value]
            case _:
                return value

    def _text(self, text: str, values: list[_Known], formats: list[Format]) -> str:
        redacted = self._plain(text, values, formats)
        if "\x1b" in text:  # colors may break a token
            plain = strip_ansi(text)
            without_colors = self._plain(plain, self._likely_values(plain), likely(plain))
            if without_colors != strip_ansi(redacted):
                return without_colors
        return redacted

    def _plain(self, text: str, values: list[_Known], formats: list[Format]) -> str:
        for form, name in values:
            text = text.replace(form, mark(name))
        if values:
            for beginning, name in self._beginnings.within(text):
                cut = f"{re.escape(beginning)}[^\\s'\"]*+"
                text = re.sub(cut, lambda _, name=name: mark(name), text)  # type: ignore[misc]  # called at once
            if "\n" in text:
                text = self._without_broken(text)
        return without_tokens(text, formats)

    def _without_broken(self, text: str) -> str:
        """Replace values with a line break within them, as a terminal wraps them."""
        together = text.replace("\n", "")
        for value, name in self._unbroken.within(together):
            broken = "\n?".join(map(re.escape, value))
            text = re.sub(broken, lambda _, name=name: mark(name), text)  # type: ignore[misc]  # called at once
        return text

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


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(key)
            if not _is_binary(key):
                yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _is_binary(key: object) -> bool:
    return isinstance(key, str) and key.startswith(_BINARY) and not key.startswith("image/svg")


def _rejoined(items: Iterable[Any], redactor: Redactor) -> list[Any]:
    """Return the lines of a text without the private keys in it, or items that are no lines as they are."""
    items = list(items)
    if not all(isinstance(item, str) for item in items):
        return items
    return redactor.text("\0".join(items)).split("\0")


def _forms(value: str) -> Iterator[str]:
    """Yield a value as it is, and as Python, JSON, HTML, addresses and base64 write it."""
    encoded = value.encode(errors="surrogateescape")
    quoted = quote(encoded, safe="")
    yield from (
        value,
        repr(value)[1:-1],
        ascii(value)[1:-1],
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
        html.escape(value, quote=False),
        quoted,
        re.sub("%..", lambda code: code[0].lower(), quoted),
        quote(encoded),
        quote_plus(encoded),
    )
    if len(value) >= _WHOLE:
        letters = base64.b64encode(encoded).decode().rstrip("=")
        yield from {letters, letters.translate({43: "-", 47: "_"})}


def _order(known: _Known) -> tuple[int, str, str]:
    return -len(known[0]), *known
