"""JSON of kernels and servers is read in time that grows with its length alone."""

import gc
import json
import time
from collections.abc import Callable

import pytest

from marimo_kernel_bridge.client.received_json import read_json

SIZE = 500_000


def many(part: str) -> str:
    return f"[{','.join([part] * (SIZE // (len(part) + 1)))}]"


DENSE = {
    "empty lists": many("[]"),
    "deep lists": many("[" * 50 + "]" * 50),
    "points": many("[1.25,2.5]"),
    "objects": many('{"a":1}'),
    "half a character": many("[]")[:-1] + r',"\ud800"]',
}


@pytest.mark.parametrize("text", DENSE.values(), ids=DENSE)
def test_brackets_are_read_about_as_fast_as_by_python_without_garbage_collections(text: str) -> None:
    data = text.encode()
    assert any(_seconds(lambda: read_json(data)) < 4 * _seconds(lambda: _in_python(data)) for _ in range(5))


def test_objects_whose_short_keys_all_differ_are_read_faster_than_by_python() -> None:
    data = json.dumps([{f"{number:x}": 1} for number in range(40_000)], separators=(",", ":")).encode()
    assert any(_seconds(lambda: read_json(data)) < 0.7 * _seconds(lambda: _in_python(data)) for _ in range(5))


def _in_python(data: bytes) -> object:
    gc.disable()
    try:
        return json.loads(data)
    finally:
        gc.enable()


def _seconds(read: Callable[[], object]) -> float:
    before = time.thread_time()
    read()
    return time.thread_time() - before
