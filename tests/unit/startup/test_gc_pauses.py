"""Pauses of garbage collection, and what they leave."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from marimo_kernel_bridge.startup import gc_pauses


class Node:
    itself: object = None


@pytest.fixture(autouse=True)
def _nothing_is_frozen() -> Iterator[None]:
    """As in a process that no test has prepared."""
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.fixture
def collections() -> Iterator[list[tuple[str, int]]]:
    """How often garbage was looked for."""
    looked = []

    def note(phase: str, info: dict[str, int]) -> None:
        looked.append((phase, info["generation"]))

    gc.callbacks.append(note)
    yield looked
    gc.callbacks.remove(note)


def test_nothing_is_looked_for_inside_and_all_that_came_to_be_is_old_afterwards(
    collections: list[tuple[str, int]],
) -> None:
    gc.collect()
    collections.clear()
    with gc_pauses.frozen_imports():
        kept = [Node() for _ in range(20_000)]
        kept[0].itself = kept[0]
    assert collections == []
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    assert gc.get_count()[0] < 1_000
    gone = weakref.ref(kept.pop(0))
    gc.collect()
    assert gone() is None


def test_garbage_is_looked_for_again_also_after_an_error() -> None:
    with pytest.raises(ImportError), gc_pauses.frozen_imports():
        raise ImportError
    assert gc.isenabled()


def test_who_has_switched_it_off_or_frozen_something_keeps_it_so(collections: list[tuple[str, int]]) -> None:
    collections.clear()
    gc.freeze()
    with gc_pauses.frozen_imports():
        assert gc.isenabled()
    assert gc.get_freeze_count()
    gc.unfreeze()
    gc.disable()
    try:
        with gc_pauses.frozen_imports():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_makes_many_objects_is_looked_through_once_afterwards(
    collections: list[tuple[str, int]],
) -> None:
    gc.collect()
    collections.clear()
    with gc_pauses.deferred():
        kept = [Node() for _ in range(20_000)]
        assert collections == []
    kept += [Node()]
    assert collections.count(("start", 0)) <= 1
    gc.disable()
    try:
        with gc_pauses.deferred():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
