"""Keeping secrets from a model: known values, and texts in the formats of well-known tokens.

A brake against accidents (a printed environment, a key in a traceback), no wall against code that hides what it
prints. Pure. A mark stands for each secret and has its name; whoever sends a mark back as code is refused, or it would
overwrite the secret.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.inspection import Secret

MARK: Final = re.compile(r"<<redacted:[^>\n]*>>")

_FORMATS: Final = (
    ("AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})\b"),
    ("GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    ("API key", r"\bsk-(?:[A-Za-z]+-)*[A-Za-z0-9_-]{20,}"),
    ("Hugging Face token", r"\bhf_[A-Za-z0-9]{30,}\b"),
    ("Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    ("Google API key", r"\bAIza[A-Za-z0-9_-]{35}"),
    ("Stripe key", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{20,}\b"),
    ("PyPI token", r"\bpypi-[A-Za-z0-9_-]{50,}"),
    ("npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("JSON web token", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    ("private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
    ("password", r"(?<=://)[^\s/:@'\"]{1,200}:[^\s/@'\"]{1,200}(?=@)"),
)
_TOKEN: Final = re.compile(
    "|".join(f"(?P<f{number}>{pattern})" for number, (_, pattern) in enumerate(_FORMATS)), re.DOTALL
)
_WHOLE: Final = 16
"""Longer values are known by their first half too: a text may have been cut within them."""


class Redactor:
    """Takes known secrets out of texts."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        known = sorted({(secret.value, secret.name) for secret in secrets}, key=lambda pair: -len(pair[0]))
        self._names = [name for _, name in known]
        patterns = [f"(?P<s{number}>{_pattern(value)})" for number, (value, _) in enumerate(known)]
        self._values = re.compile("|".join(patterns)) if patterns else None

    def text(self, text: str) -> str:
        """Return the text with marks in place of secrets."""
        if self._values is not None:
            text = self._values.sub(lambda match: _mark(self._names[_number(match)]), text)
        return _TOKEN.sub(lambda match: _mark(_FORMATS[_number(match)][0]), text)

    def data(self, value: Any) -> Any:
        """Return JSON with marks in place of secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.data(item) for key, item in value.items()}
        return [self.data(item) for item in value] if isinstance(value, list) else value


def has_mark(value: Any) -> bool:
    """Tell whether JSON has a mark of ours."""
    if isinstance(value, str):
        return MARK.search(value) is not None
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list | tuple) and any(map(has_mark, value))


def _pattern(value: str) -> str:
    if len(value) < _WHOLE:
        return re.escape(value)
    half = max(_WHOLE // 2, len(value) // 2)
    return f"{re.escape(value)}|{re.escape(value[:half])}[^\\s'\"]*"


def _number(match: re.Match[str]) -> int:
    assert match.lastgroup is not None, "every alternative has a name"
    return int(match.lastgroup[1:])


def _mark(name: str) -> str:
    return f"<<redacted:{name}>>"
