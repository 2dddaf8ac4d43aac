"""What every unit test leaves behind as it found it."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _one_marimo_context_at_a_time() -> Iterator[None]:
    """Take away the marimo context that a test made: a thread has one at a time, and kernels keep theirs."""
    before = _marimo_context()
    yield
    if _marimo_context() is not before:
        sys.modules["marimo._runtime.context.types"].teardown_context()


def _marimo_context() -> object:
    contexts = sys.modules.get("marimo._runtime.context.types")
    return None if contexts is None else contexts.safe_get_context()
