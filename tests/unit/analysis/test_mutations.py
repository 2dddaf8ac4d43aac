"""Which objects cells change, and how: one line of cells each, what the last one changes after `=>`."""

import pytest

from marimo_kernel_bridge.analysis.mutations import mutations
from marimo_kernel_bridge.analysis.name_facts import NameFacts
from marimo_kernel_bridge.analysis.name_uses import parse

CASES = """
x = [1] | x.append(2)                               => x method
x = [1] | x[0] = 2                                  => x item
x = [[1]] | x[0][0] = 2                             => x nested
x = 1 | x.a = 2                                     => x attribute
x = [1] | x += [2]                                  => x augmented
x = 1 | x += 1                                      =>
x = {1} | y = x.pop()                               => x method
x = re.compile(p) | x.sub(a, b)                     =>
m = make() | m.fit(a)                               => m fit
m = make() | m.set_a(1)                             => m other
m = make() | y = m.set_a(1)                         =>
df = pd.DataFrame(a) | df.drop(1, inplace=True)     => df inplace
import random | random.shuffle(x)                   => x call
import numpy as np | r = np.random.default_rng() | r.normal() => r random
fig, ax = plt.subplots() | ax.plot(a)               => ax plot
fig, ax = plt.subplots() | f(ax=ax)                 => ax plot
f = open(p) | f.read()                              => f next
f = open(p) | f                                     =>
def f(a): a.append(1) | f(x)                        => x call
def f(a): a = [1]; a.append(1) | f(x)               =>
def f(): x.append(1) | f()                          => x call
class A:; ~def m(self): self.x = 1 | a = A(); a.m() => a call
(a, b), c = plt.subplots() | c.plot(a)              => c plot
a.x, b.y = plt.subplots() | a                       =>
"""


def lines(cell: str) -> str:
    parts = cell.strip().split("; ") if "~" in cell else [cell.strip()]
    return "\n".join(f"    {part[1:]}" if part.startswith("~") else part for part in parts)


@pytest.mark.parametrize("case", CASES.strip().splitlines())
def test_what_the_last_cell_changes(case: str) -> None:
    cells, _, expected = case.partition("=>")
    facts = NameFacts()
    changes: list[str] = []
    for cell in cells.split(" | "):
        changes = [f"{each.name} {each.how}" for each in mutations(parse(lines(cell)), facts)]
    assert ", ".join(changes) == expected.strip()


def test_names_that_share_an_object_are_changed_together() -> None:
    facts = NameFacts()
    mutations(parse("x = [1]\ny = {1: x}"), facts)
    (change,) = mutations(parse("y[1].append(2)"), facts)
    assert (change.name, change.how, change.together) == ("y", "nested", {"x"})


def test_a_change_that_depends_on_what_it_changes_is_not_repeatable() -> None:
    facts = NameFacts()
    mutations(parse("d = {}"), facts)
    first, second = mutations(parse("d['a'] = 1\nd['b'] = d['b'] + 1"), facts)
    assert (first.repeatable, second.repeatable) == (True, False)
