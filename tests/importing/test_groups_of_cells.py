"""Cells that are analyzed in groups, as they come and go, have the flows that they have when all are analyzed together."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marimo_kernel_bridge.analysis.components import Groups
from marimo_kernel_bridge.analysis.value_flows import flows
from marimo_kernel_bridge.kernel.versions.value_flow import Source, ValueFlow
from tests.inputs import inputs

NAMES = ["a", "b", "c", "d", "f", "g", "np", "pd", "plt"]
name = st.sampled_from(NAMES)


def cells_like(text):
    return st.builds(text.format, name, name, name)


statement = st.one_of(
    *map(
        cells_like,
        """\
{0} = {1} + {2}
{0} = 1
{0} = [{1}]
{0} = {1}
{0} = {1}.values[1:]
{0} += 1
{0}.append({1})
{0}["x"] = {1}
{0}.x = {1}
{0}.drop(columns="x", inplace=True)
del {0}
print({0}, {1})
import {0}
import {0}, {1}
from {0} import {1}
import numpy as {0}
import matplotlib.pyplot as {0}
{0} = {1}.array([1, 2])
{0}, {1} = {2}.subplots()
{0}.plot({1})
{0} = iter({1}); next({0})
for {0} in {1}: print({2})
def {0}({1}): return {1} + {2}
def {0}(): return {1}({2})
def {0}():\\n    global {1}\\n    {1} = {2}
class {0}({1}):\\n    def m(self): return {2}
{0} = lambda {1}: {1} + {2}
{0} = {{{1}: {2} for {1} in {2}}}
with open({1}) as {0}: print({2})
try:\\n    {0} = {1}\\nexcept Exception as {2}:\\n    pass
eval("{0} + {1}")
exec("{0} = {1}")
match {0}:\\n    case {1}: print({2})
if {0}: {1} = {2}
_x = {0}
print(_x, {0})
{0} = pd.DataFrame({1}); {0}.fillna({2})
np.random.seed({0})
np.random.shuffle({0})
{0} = np.random.rand(3)
{0} = await {1}
{0} = (
""".splitlines(),
    )
).map(lambda text: text.replace("\\n", "\n"))
cell = st.lists(statement, min_size=1, max_size=2).map("\n".join)


ids = st.sampled_from("ABCDEFGHI")
step = st.one_of(
    st.tuples(st.just("put"), st.dictionaries(ids, cell, min_size=1, max_size=3)),
    st.tuples(st.just("put"), st.dictionaries(ids, cell, min_size=1, max_size=3)),
    st.tuples(st.just("remove"), st.sets(ids, min_size=1, max_size=3)),
    st.tuples(st.just("move"), st.permutations("ABCDEFGHI")),
)


def looked_at(flow):
    """What is known of all cells, with all that stands for cells by ids."""
    return {
        "reads": {one: part.reads for one, part in flow.parts.items()},
        "early": {one: part.early for one, part in flow.parts.items()},
        "redefines": {one: part.redefines for one, part in flow.parts.items()},
        "circular": {one: part.circular for one, part in flow.parts.items()},
        "names": {one: part.names for one, part in flow.parts.items()},
        "text": {one: part.source for one, part in flow.parts.items()},
        "rest": {
            one: (part.flow.makes, part.flow.keeps, part.flow.together, part.flow.repeats, part.flow.late)
            for one, part in flow.parts.items()
        },
        "makers": flow.makers,
        "governed": flow.governed(),
        "versions": {name: flow.has_versions(name) for name in flow.makers},
        "place": sorted(flow.place, key=flow.place.get),
        "having": {name: flow.having(name) for name in NAMES},
    }


def afresh(sources, order):
    flow = ValueFlow(lambda _: False)
    flow.update(sources, {one: place for place, one in enumerate(order)}, moved=False)
    return flow


@settings(max_examples=inputs(100, 2000), deadline=None, derandomize=True, database=None)
@given(st.lists(step, max_size=9))
def test_what_is_known_after_changes_is_what_a_new_look_finds(steps):
    flow, sources, order = ValueFlow(lambda _: False), {}, list("ABCDEFGHI")
    for kind, what in steps:
        news, moved = {}, False
        match kind:
            case "put":
                news = {one: Source(text) for one, text in what.items()}
            case "remove":
                news = dict.fromkeys(what & sources.keys())
            case "move":
                order, moved = list(what), True
        before = looked_at(flow)
        old_parts, old_makers = dict(flow.parts), dict(flow.makers)
        sources = {one: text for one, text in {**sources, **news}.items() if text is not None}
        changes = flow.update(news, {one: place for place, one in enumerate(order)}, moved=moved)
        new, now = afresh(sources, order), looked_at(flow)
        assert now == looked_at(new)
        parts = {
            one for one in old_parts.keys() | flow.parts if old_parts.get(one) is not flow.parts.get(one)
        }
        assert changes.parts == {one: old_parts.get(one) for one in parts}
        makers = {
            one for one in old_makers.keys() | flow.makers if old_makers.get(one) != flow.makers.get(one)
        }
        assert {one: changes.makers[one] for one in makers} == {
            one: old_makers.get(one, []) for one in makers
        }
        assert before["governed"] ^ now["governed"] <= changes.names
        assert {one for one in makers if now["versions"].get(one)} <= changes.names


@settings(max_examples=inputs(150, 2000), deadline=None, derandomize=True, database=None)
@given(st.lists(cell, max_size=9))
def test_groups_have_the_flows_of_the_whole(cells):
    numbers = dict(enumerate(cells))
    flow = afresh({number: Source(text) for number, text in numbers.items()}, numbers)
    for number, whole in enumerate(flows(cells)):
        part = flow.parts[number]
        assert (part.flow.makes, part.flow.keeps, part.flow.together) == (
            whole.makes,
            whole.keeps,
            whole.together,
        )
        assert (part.flow.draws_on, part.flow.repeats) == (whole.draws_on, whole.repeats)
        assert (part.flow.mentions, part.flow.late) == (whole.mentions, whole.late)
        early = {name: maker for name, maker in whole.early.items() if name not in part.circular}
        assert (part.early, part.redefines) == (early, whole.redefines)
        assert part.reads == {each for each in whole.reads if each[0] not in part.circular}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["a = 1", "b = 2", "print(a)"], [[0, 2], [1]]),
        (["import np", "a = np.x", "b = np.y", "print(a)"], [[0], [0, 1, 3], [0, 2]]),
        (["import np", "np = 1", "print(np)"], [[0, 1, 2]]),
        (["print(1)", "print(2)"], [[0], [1]]),
        (["def f(x): return x", "x = 1"], [[0, 1]]),
        (["print = 1", "print(2)"], [[0, 1]]),
    ],
)
def test_a_group_is_what_a_bound_word_or_an_import_joins(cells, expected):
    groups = Groups()
    gone, new = groups.change(dict(enumerate(cells)))
    assert (gone, sorted(sorted(group.cells) for group in new)) == ([], expected)
    for number in range(len(cells)):
        groups.change({number: None})
        groups.change({number: cells[number]})
        assert sorted(sorted(group.cells) for group in groups.all()) == expected


def test_a_cell_that_imports_something_else_makes_new_groups_of_all_that_use_it():
    groups = Groups()
    groups.change(dict(enumerate(["import np", "a = np.x", "b = np.y", "c = 1"])))
    _, new = groups.change({0: "import numpy as np"})
    assert sorted(sorted(group.cells) for group in new) == [[0], [0, 1], [0, 2]]


@pytest.mark.parametrize("ids", ["ABC", "BCA", "CAB", "ACB", "XYZ", "ZXY"])
def test_a_circle_is_found_when_another_cell_leaves_its_group(ids):
    calling, function, other = ids
    sources = {function: "def f(): return a", calling: "a = f()", other: "a = 1"}
    flow = afresh({one: Source(text) for one, text in sources.items()}, (function, calling, other))
    assert not flow.closes_cycle("a")
    changes = flow.update({other: Source("c = 1")}, {other: 2}, moved=False)
    assert flow.closes_cycle("a")
    assert "a" in changes.names
