"""`from __future__ import annotations`: annotations stay strings, in all cells that come later."""

import pytest
from reactive import Reactive, prepared

FUTURE = "from __future__ import annotations\n"


def runs(*codes):
    """Import cells and run the result; return what it shows."""
    reactive = Reactive([cell.code for cell in prepared(codes).cells])
    assert reactive.problems() == []
    return "".join(reactive.run().values())


@pytest.mark.parametrize(
    ("codes", "shown"),
    [
        (["class Node:\n    def link(self, other: Node) -> Node: return other", "print(Node().link(3))"], "3\n"),
        (
            ["from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas as pd\ndef f(x: pd.DataFrame) -> int: return 1", "print(f(0))"],
            "1\n",
        ),
        (["def f(x: Later, *a: int, k: 'a' = 1) -> Later | None: pass", "print(f.__annotations__)"], "{'x': 'Later', 'a': 'int', 'k': \"'a'\", 'return': 'Later | None'}\n"),
        (["class C:\n    x: int = 1\n    y: Unknown[\n        str,  # why\n    ]", "print(C.__annotations__)"], "{'x': 'int', 'y': 'Unknown[str,]'}\n"),
        (["def f():\n    v: Unknown = 1\n    class C:\n        z: Unknown = 2\n    return C.__annotations__", "print(f())"], "{'z': 'Unknown'}\n"),
        (["x: Unknown = 3", "print(x)"], "3\n"),
        (["import typing\nclass Item: pass", "def f(x: Item): pass\nprint(typing.get_type_hints(f)['x'].__name__)"], "Item\n"),
        (["class A:\n    b: B = None\n    def get(self): return B()", "class B:\n    a: A = None\n    def get(self): return A()", "print(type(A().get()).__name__)"], "B\n"),
    ],
)  # fmt: skip
def test_annotations_are_not_evaluated(codes, shown):
    assert runs(FUTURE + codes[0], *codes[1:]) == shown
    assert runs(FUTURE, *codes) == shown


def test_without_the_statement_annotations_are_values():
    assert runs("def f(x: int): pass\nprint(f.__annotations__['x'] is int)", FUTURE) == "True\n"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("from __future__ import annotations; x = 1", "pass; x = 1"),
        (
            "from __future__ import (\n    annotations,\n    division)\nx = 1",
            "# from __future__ import (\n#     annotations,\n#     division)\nx = 1",
        ),
        (
            "s = '''\nfrom __future__ import annotations\n'''",
            "s = '''\nfrom __future__ import annotations\n'''",
        ),
    ],
)
def test_only_the_statement_itself_becomes_a_comment(source, code):
    assert prepared([source]).cells[0].code == code


def test_a_future_statement_in_a_file_that_a_cell_writes_stays():
    (_, cell) = prepared(["%%writefile m.py\nfrom __future__ import annotations\nx: Unknown = 1"]).cells
    assert "\nx: Unknown" in cell.code
    assert "# from" not in cell.code
