"""Cells that are analysed in groups have the flows that they have when all are analysed together."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marimo_kernel_bridge.reactive_names.flows import flows, flows_of_all
from marimo_kernel_bridge.reactive_names.groups import groups

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


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.lists(cell, max_size=9))
def test_groups_have_the_flows_of_the_whole(cells):
    assert flows(cells) == flows_of_all(cells)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["a = 1", "b = 2", "print(a)"], [[0, 2], [1]]),
        (["import np", "a = np.x", "b = np.y", "print(a)"], [[0], [0, 1, 3], [0, 2]]),
        (["import np", "np = 1", "print(np)"], [[0, 1, 2]]),
        (["print(1)", "print(2)"], [[0], [1]]),
        (["def f(x): return x", "x = 1"], [[0, 1]]),
    ],
)
def test_a_group_is_what_a_bound_word_or_an_import_joins(cells, expected):
    assert groups(cells) == expected
