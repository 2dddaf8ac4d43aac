"""How many inputs a test tries that compares with a model or with marimo: some in `make test`, many in `make test-long`."""

import os

MANY = "MANY_INPUTS"
"""The variable with which `make test-long` asks for the many."""


def inputs(some: int, many: int) -> int:
    """Return how many to try."""
    return many if os.environ.get(MANY) else some
