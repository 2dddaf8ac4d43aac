"""How many tokens a text is for a model, by o200k_base: a public vocabulary of 200,000, which `bpe-openai` has in its wheel.

Models of other vendors have other vocabularies, which for English and JSON give similar figures.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any


@cache
def _encoding() -> Any:  # of a library without types
    import bpe_openai  # noqa: PLC0415  # other tests need not pay for it

    encoding = bpe_openai.get_encoding("o200k_base")
    with warnings.catch_warnings():  # it opens its data in an old way
        warnings.simplefilter("ignore", DeprecationWarning)
        encoding.encode_ordinary("the first text")
    return encoding


def tokens(text: str) -> int:
    """Return the number of tokens of a text."""
    return len(_encoding().encode_ordinary(text))
