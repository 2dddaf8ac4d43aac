"""Redaction of secrets: known values, and texts in the formats of well-known tokens. Pure.

Protects against accidents (a printed environment, a key in a traceback), not against code that disguises its output. A
mark with the secret's name replaces each secret; code that contains a mark is refused, because it would overwrite the
secret.
"""

from __future__ import annotations

import html
import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

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
        r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
        ("-----BEGIN ",),
    ),
    ("bearer token", r"(?<=[Bb]earer )[A-Za-z0-9._~+/=-]{16,}", ("earer ",)),
    ("password", r"(?<=[Aa]uthorization: Basic )[A-Za-z0-9+/=]{8,}", ("uthorization: Basic ",)),
    ("SendGrid key", r"\bSG\.[\w-]{16,}+\.[\w-]{16,}", ("SG.",)),
    ("DigitalOcean token", r"\bdo[oprt]_v1_[a-f0-9]{64}\b", ("_v1_",)),
    ("Databricks token", r"\bdapi[a-f0-9]{32}\b", ("dapi",)),
    ("Groq key", r"\bgsk_[A-Za-z0-9]{40,}", ("gsk_",)),
    ("Slack token", r"\bxapp-[A-Za-z0-9-]{20,}", ("xapp-",)),
    ("webhook secret", r"\bwhsec_[A-Za-z0-9+/=]{20,}", ("whsec_",)),
    ("Telegram token", r"\b[0-9]{8,10}:AA[\w-]{32,34}", (":AA",)),
    ("age key", r"\bAGE-SECRET-KEY-1[A-Z0-9]{50,}", ("AGE-SECRET-KEY-1",)),
    ("Azure key", r"(?<=AccountKey=)[A-Za-z0-9+/=]{20,}", ("AccountKey=",)),
    ("password", r"(?<=://)[^\s/:@'\"]{0,200}:[^\s/@'\"]{1,200}(?=@)", ("://",)),
    ("token", r"(?<=://)[A-Za-z0-9_-]{20,200}(?=@)", ("://",)),
)
"""Name, pattern, and texts of which one is in whatever the pattern finds, or just before it.

Looking for those takes a hundredth of the time that the patterns take, and most texts have none.
"""

_SHORTEST: Final = 4
_WHOLE: Final = 16
"""Longer values are also recognized by their first half: a text may have been cut within them."""


class Redactor:
    """Replaces known secrets in texts by marks."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        known = {(secret.value, secret.name) for secret in secrets if len(secret.value) >= _SHORTEST}
        forms = {(form, name) for value, name in known for form in _forms(value)}
        whole = [(value, re.escape(value), name) for value, name in sorted(forms, key=_longest_first)]
        cut = [
            (_beginning(value), _pattern(value), name) for value, name in sorted(known, key=_longest_first)
        ]
        found = [*whole, *cut]  # a value that is there in full ends where it ends
        self._names = [name for *_, name in found]
        self._beginnings = list(dict.fromkeys(beginning for beginning, *_ in reversed(found)))
        patterns = [f"(?P<s{number}>{pattern})" for number, (_, pattern, _) in enumerate(found)]
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
            return {self._data(key): self._data(item) for key, item in value.items()}
        return [self._data(item) for item in value] if isinstance(value, list) else value

    def _may_have_values(self, text: str) -> bool:
        return any(beginning in text for beginning in self._beginnings)


def has_mark(value: Any) -> bool:
    """Return whether JSON contains a mark, or the arguments of a tool, which hold objects with fields as well."""
    if isinstance(value, str):
        return MARK.search(value) is not None
    if hasattr(value, "__dict__"):
        value = vars(value)
    if isinstance(value, dict):
        value = [*value, *value.values()]
    return isinstance(value, list | tuple) and any(map(has_mark, value))


def _likely(text: str) -> tuple[int, ...]:
    """Return the token formats that may occur in a text."""
    return tuple(number for number, (*_, parts) in enumerate(_FORMATS) if any(part in text for part in parts))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in (*value, *value.values()) if isinstance(value, dict) else value:
            yield from _texts(item)


def _forms(value: str) -> Iterator[str]:
    """Yield a value as it is, and as Python, JSON, HTML and addresses write it."""
    yield from (
        value,
        repr(value)[1:-1],
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
        html.escape(value, quote=False),
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
    )


def _longest_first(secret: tuple[str, str]) -> tuple[int, str]:
    return -len(secret[0]), secret[0]


@cache
def _tokens(formats: tuple[int, ...]) -> re.Pattern[str]:
    """Return a pattern that finds tokens in some of the formats."""
    return re.compile("|".join(f"(?P<f{number}>{_FORMATS[number][1]})" for number in formats), re.DOTALL)


def _beginning(value: str) -> str:
    """Return the part of a secret that identifies it anywhere in a text."""
    return value if len(value) < _WHOLE else value[: max(_WHOLE // 2, len(value) // 2)]


def _pattern(value: str) -> str:
    beginning = _beginning(value)
    return re.escape(value) if beginning == value else f"{re.escape(beginning)}[^\\s'\"]*"


def _number(match: re.Match[str]) -> int:
    assert match.lastgroup is not None, "every alternative has a name"
    return int(match.lastgroup[1:])


def _mark(name: str) -> str:
    return f"<<redacted:{name}>>"
