"""Groups: names whose values share what can be mutated, and the identities that come back."""

from itertools import combinations

import pytest

from marimo_kernel_bridge.kernel.checkpoints.pickling import GivenUpError, Pickling
from tests.unit.kernel.checkpoints.notebook_values import Notebook


@pytest.mark.parametrize(
    ("code", "groups"),
    [
        ("a = [1]; b = a; c = [1]", ["a b", "c"]),
        ("a = [1]; b = {'in': (0, a)}; c = (a,)", ["a b c"]),
        ("a = 'text'; b = a; c = 5; d = None; e = True", ["a", "b", "c", "d", "e"]),
        ("a = (1, 2); b = a; c = frozenset(a); d = c", ["a b", "c d"]),
        ("a = 'x' * 100_000; b = a", ["a b"]),
        ("a = [()]; b = [()]; c = ['same']; d = ['same']", ["a", "b", "c", "d"]),
        ("import datetime; t = datetime.date(2020, 1, 1); a = [t]; b = [t]", ["a", "b"]),
        ("import os; a = os; b = [os]; c = [os.path.join]; d = [os.path.join]", ["a", "b", "c", "d"]),
        ("import pandas as pd; a = [pd.NA]; b = [pd.NA, pd.NaT]; c = [pd.NaT]", ["a", "b", "c"]),
        ("import random; a = random.Random(1); b = a.random; c = [a]", ["a b c"]),
        ("import pathlib, re; p = pathlib.Path('.'); a = [p, re.compile('x')]; b = list(a)", ["a", "b"]),
        ("class T: ...\na = T(); b = T(); b.other = a; c = T()", ["a b", "c"]),
        ("class T: ...\na = T; b = [T]; c = T()", ["a", "b", "c"]),
        ("a = []; a.append(a); b = [a]", ["a b"]),
        ("a = bytearray(1); b = {1}; c = [a]; d = [b]", ["a c", "b d"]),
        ("import numpy as np; t = np.dtype('f8'); a = [t]; b = [t, np.float64(1)]", ["a", "b"]),
    ],
)
def test_names_that_share_a_mutable_object_are_one_group(
    notebook: Notebook, code: str, groups: list[str]
) -> None:
    names = " ".join(sorted(" ".join(groups).split()))
    notebook.run(code)
    assert sorted(notebook.grouped(names)) == sorted(groups)
    new = notebook.restored(names)
    for group in groups:
        for left, right in combinations(group.split(), 2):
            same = notebook.names[left] is notebook.names[right]
            assert (new.names[left] is new.names[right]) == same


def test_all_identities_inside_a_group_come_back(notebook: Notebook) -> None:
    notebook.run(
        """
        class Node:
            def __init__(self, *below): self.below = list(below); self.above = None
        leaf = Node()
        tree = Node(leaf, Node(leaf))
        leaf.above = tree
        index = {id: node for id, node in enumerate([leaf, tree])}
        """
    )
    new = notebook.restored("tree leaf index")
    assert new.value(
        "tree.below[0] is leaf is tree.below[1].below[0] is index[0] and leaf.above is tree is index[1]"
    )


def test_saving_the_same_values_twice_gives_the_same_bytes(notebook: Notebook) -> None:
    notebook.run(
        """
        import numpy as np
        class T:
            def __init__(self): self.x = {'a', 'b'}
        def f(x): return x
        values = [T(), f, np.zeros(5), {'k': 1.5}]
        """
    )
    first, second = notebook.groups("values T f"), notebook.groups("values T f")
    assert [group.stream for group in first] == [group.stream for group in second]
    restored = notebook.restored("values T f")
    assert [group.stream for group in restored.groups("values T f")] == [
        group.stream for group in restored.groups("values T f")
    ]


def test_what_is_shared_is_found_far_inside_of_large_values(notebook: Notebook) -> None:
    notebook.run(
        """
        shared, own = [0], [1]
        a = [[n] for n in range(60_000)] + [shared]
        b = [{'n': n} for n in range(50_000)] + [shared, [own]]
        c = [[n] for n in range(40_000)] + ['text', (1, 2)]
        """
    )
    assert sorted(notebook.grouped("a b c own")) == ["a b own", "c"]


def test_what_a_value_has_many_times_is_noted_once_in_each_frame(notebook: Notebook) -> None:
    notebook.run("one = [1]; a = [one] * 300_000; b = [one]")
    assert notebook.grouped("a b") == ["a b"]
    pickling = Pickling(notebook.names)
    pickling.look("a", notebook.names["a"])
    noted = sum(map(len, pickling._looked["a"].pickler.reached))
    assert noted < 300


def test_the_search_for_what_is_shared_asks_often_whether_to_give_up(notebook: Notebook) -> None:
    """A copy of the pickler's memo, as a whole, was a second for a million objects, in which a request waited."""
    asked = 0

    def ask() -> bool:
        nonlocal asked
        asked += 1
        return asked == gives_up

    gives_up = 0
    notebook.run("a = [[n] for n in range(100_000)]; b = [[n] for n in range(100_000)]")
    pickling = Pickling(notebook.names, ask)
    for name in ("a", "b"):
        assert pickling.look(name, notebook.names[name]) is None
    asked = 0
    assert pickling.groups() == (("a",), ("b",))
    assert asked >= 200_000 // 65_536 * 4
    gives_up, asked = asked, 0
    with pytest.raises(GivenUpError):
        pickling.groups()
    gives_up = 0
    assert pickling.groups() == (("a",), ("b",))
