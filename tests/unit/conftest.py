"""What every unit test leaves behind as it found it."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _one_marimo_context_at_a_time() -> Iterator[None]:
    """Take marimo's context away after a test: a thread has one at a time, and kernels keep theirs until they end."""
    yield
    contexts = sys.modules.get("marimo._runtime.context.types")
    if contexts is not None:
        contexts.teardown_context()
