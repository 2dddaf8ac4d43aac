"""What is copied before user code changes it, and what is not."""

import io
import threading
from collections.abc import Callable
from copy import deepcopy
from typing import Any, Never
from unittest.mock import MagicMock, call

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from marimo_kernel_bridge.kernel.versions import value_copies
from marimo_kernel_bridge.kernel.versions.value_copies import copy_of


@pytest.mark.parametrize(
    "value", [[1, [2]], {"a": [1]}, {1}, (1, [2]), np.arange(3), pd.DataFrame({"a": [1]})]
)
def test_containers_arrays_and_tables_are_copied(value: object) -> None:
    copies = copy_of(value, deepcopy)
    assert copies is not None
    copied = copies.value
    assert copied is not value
    assert repr(copied) == repr(value)


class Stubborn:
    def __deepcopy__(self, memo: object) -> Never:
        raise RuntimeError("never")


@pytest.mark.parametrize(
    "value",
    [
        Figure(),
        io.StringIO(),
        threading.Thread(),
        value_copies,
        print,
        (n for n in range(1)),
        type,
        Stubborn(),
        ([], Figure()),
    ],
)
def test_what_is_tied_to_something_outside_is_not(value: object) -> None:
    assert copy_of(value, deepcopy) is None


def test_what_is_large_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_copies, "LARGEST", 1000)
    assert copy_of(np.zeros(10), deepcopy) is not None
    assert copy_of(np.zeros(1000), deepcopy) is None
    assert copy_of(pd.DataFrame({"a": range(1000)}), deepcopy) is None


class Model:
    __slots__ = ("weights",)

    def __init__(self, weights: object) -> None:
        self.weights = weights


@pytest.mark.parametrize("around", [lambda w: {"w": w}, lambda w: [[w]], Model, lambda w: ([], Model([w]))])
def test_what_is_held_counts(monkeypatch: pytest.MonkeyPatch, around: Callable[[Any], object]) -> None:
    monkeypatch.setattr(value_copies, "LARGEST", 4000)
    assert copy_of(around(np.zeros(10)), deepcopy) is not None
    assert copy_of(around(np.zeros(1000)), deepcopy) is None


def test_a_copy_of_the_container_alone_takes_no_more_than_the_container(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(value_copies, "LARGEST", 4000)
    assert copy_of([np.zeros(1000)], list.copy) is not None


def test_what_takes_long_to_copy_is_not_looked_through() -> None:
    rows = [{"i": 1} for _ in range(100_000)]
    assert copy_of(rows, deepcopy) is None
    assert copy_of(rows, list.copy) is not None
    assert copy_of(list(range(100_000)), deepcopy) is not None


class Holder:
    def __init__(self, held: object) -> None:
        self.held = held


def test_objects_that_hold_the_same_are_not_parted() -> None:
    weights = [0]
    model = Holder(weights)
    assert value_copies.shares(model, [Holder([0]), Holder((weights,))])
    assert value_copies.shares(model, [Holder(model)])
    assert not value_copies.shares(model, [model, Holder([0]), Holder(value_copies), Holder(Model)])
    assert not value_copies.shares(weights, [model])  # the analysis knows of lists


def test_what_holds_itself_is_copied() -> None:
    value: list[object] = []
    value.append(value)
    assert copy_of(value, deepcopy) is not None


def test_all_copies_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_copies, "MOST", 1000)
    assert copy_of(np.zeros(100), deepcopy, taken=100) is not None
    assert copy_of(np.zeros(100), deepcopy, taken=300) is None


class Nowhere:
    __module__ = None  # type: ignore[assignment]  # as some classes made by C code


class Hiding:
    @property
    def nbytes(self) -> Never:
        raise RuntimeError("never")


@pytest.mark.parametrize("value", [Nowhere(), Hiding()])
def test_what_cannot_be_judged_is_no_failure(value: object) -> None:
    copy_of(value, deepcopy)


def test_a_mock_is_not_called_to_measure_it() -> None:
    mock = MagicMock()
    mock.connect()
    copy_of(mock, deepcopy)
    assert mock.mock_calls == [call.connect()]
