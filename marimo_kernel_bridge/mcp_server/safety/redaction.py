"""Redaction of secrets: known values, and texts in the formats of well-known tokens. Pure.

Protects against accidents (a printed environment, a key in a traceback), not against code that disguises its output. A
mark with the secret's name replaces each secret; code that contains a mark is refused, because it would overwrite the
secret.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from marimo_kernel_bridge.protocol.inspection import Secret

MARK: Final = re.compile(r"<<redacted:[^<>\n]*>>")

_FORMATS: Final = (
    ("AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", ("AKIA", "ASIA")),
    (
        "GitHub token",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})\b",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    ),
    ("GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}", ("glpat-",)),
    ("API key", r"\bsk-[A-Za-z0-9_-]{20,}", ("sk-",)),
    ("Hugging Face token", r"\bhf_[A-Za-z0-9]{30,}\b", ("hf_",)),
    ("Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}", ("xox",)),
    ("Google API key", r"\bAIza[A-Za-z0-9_-]{35}", ("AIza",)),
    ("Stripe key", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{20,}\b", ("k_live_", "k_test_")),
    ("PyPI token", r"\bpypi-[A-Za-z0-9_-]{50,}", ("pypi-",)),
    ("npm token", r"\bnpm_[A-Za-z0-9]{36}\b", ("npm_",)),
    ("JSON web token", r"(?<![\w-])eyJ[\w-]{10,}+\.eyJ[\w-]{10,}+\.[\w-]{10,}", ("eyJ",)),
    (
        "private key",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        ("-----BEGIN ",),
    ),
    ("password", r"(?<=://)[^\s/:@'\"]{1,200}:[^\s/@'\"]{1,200}(?=@)", ("://",)),
)
"""Name, pattern, and texts of which one is in whatever the pattern finds, or just before it.

Looking for those takes a hundredth of the time that the patterns take, and most texts have none.
"""

_WHOLE: Final = 16
"""Longer values are also recognized by their first half: a text may have been cut within them."""


class Redactor:
    """Replaces known secrets in texts by marks."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        values = sorted({(secret.value, secret.name) for secret in secrets}, key=lambda pair: -len(pair[0]))
        self._names = [name for _, name in values]
        self._beginnings = [_beginning(value) for value, _ in values]
        patterns = [f"(?P<s{number}>{_pattern(value)})" for number, (value, _) in enumerate(values)]
        self._values = re.compile("|".join(patterns)) if patterns else None

    def text(self, text: str) -> str:
        """Return the text with marks in place of secrets."""
        if self._values is not None and self._may_have_values(text):
            text = self._values.sub(lambda match: _mark(self._names[_number(match)]), text)
        likely = _likely(text)
        return _tokens(likely).sub(lambda match: _mark(_FORMATS[_number(match)][0]), text) if likely else text

    def data(self, value: Any) -> Any:
        """Return JSON with marks in place of secrets."""
        together = "\n".join(
            _texts(value)
        )  # searching one joined text is faster than searching many short ones
        if not (self._may_have_values(together) or _likely(together)):
            return value
        return self._data(value)

    def _data(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self._data(item) for key, item in value.items()}
        return [self._data(item) for item in value] if isinstance(value, list) else value

    def _may_have_values(self, text: str) -> bool:
        return any(beginning in text for beginning in self._beginnings)


def has_mark(value: Any) -> bool:
    """Return whether JSON contains a mark."""
    if isinstance(value, str):
        return MARK.search(value) is not None
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list | tuple) and any(map(has_mark, value))


def _likely(text: str) -> tuple[int, ...]:
    """Return the token formats that may occur in a text."""
    return tuple(number for number, (*_, parts) in enumerate(_FORMATS) if any(part in text for part in parts))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


@cache
def _tokens(formats: tuple[int, ...]) -> re.Pattern[str]:
    """Return a pattern that finds tokens in some of the formats."""
    return re.compile("|".join(f"(?P<f{number}>{_FORMATS[number][1]})" for number in formats), re.DOTALL)


def _beginning(value: str) -> str:
    """Return the part of a secret that identifies it anywhere in a text."""
    return value if len(value) < _WHOLE else value[: max(_WHOLE // 2, len(value) // 2)]


def _pattern(value: str) -> str:
    beginning = _beginning(value)
    if beginning == value:
        return re.escape(value)
    return f"{re.escape(value)}|{re.escape(beginning)}[^\\s'\"]*"


def _number(match: re.Match[str]) -> int:
    assert match.lastgroup is not None, "every alternative has a name"
    return int(match.lastgroup[1:])


def _mark(name: str) -> str:
    return f"<<redacted:{name}>>"
