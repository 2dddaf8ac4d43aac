"""What a run has shown of a cell takes part in the analysis as if its text said so."""

import ast

import pytest

from marimo_kernel_bridge.analysis.observations import Observations, observed_in
from marimo_kernel_bridge.analysis.value_flows import flows

PAIR = frozenset({("a", "b")})


def test_no_facts_are_no_text() -> None:
    assert not Observations()
    assert Observations().text() == ""


@pytest.mark.parametrize("code", ["...", "x[...]", "...\n", "x[a:b]", "'...'[0]", "f(...)"])
def test_statements_of_notebooks_are_no_observations(code: str) -> None:
    assert observed_in(ast.parse(code).body[0]) is None


def test_what_shares_an_object_is_copied_together() -> None:
    shares = Observations(shares=PAIR).text()
    told = flows(["a = make()", f"b = part(a){shares}", "b.append(1)", "print(a)"])
    assert told[2].makes == {"a", "b"}
    assert told[2].together == [("b", "a")]
    assert told[3].reads == {("a", 2)}
    assert flows(["a = make()", "b = part(a)", "b.append(1)", "print(a)"])[3].reads == {("a", 0)}


def test_a_view_is_drawn_on_and_not_copied() -> None:
    views = Observations(views=PAIR).text()
    told = flows(["a = make()", f"b = part(a){views}", "b[0] = len(b)", "print(a, b)"])
    assert told[2].draws_on == {"a", "b"}


def test_what_is_held_outside_is_never_copied() -> None:
    outside = Observations(outside=frozenset({"a"})).text()
    assert flows([f"a = make(){outside}", "a['k'] = len(a)", "print(a)"])[1].keeps == {"a": "{}"}
    assert flows(["a = make()", "a['k'] = len(a)", "print(a)"])[1].keeps == {"a": "copy.deepcopy({})"}


def test_what_was_mutated_is_a_new_version() -> None:
    mutates = Observations(mutates=frozenset({"a"})).text()
    told = flows(["a = make()", f"go(){mutates}", "print(a)"])
    assert (told[1].makes, told[1].keeps) == ({"a"}, {"a": "copy.deepcopy({})"})
    assert told[2].reads == {("a", 1)}


def test_a_function_with_state_has_versions_too() -> None:
    mutates = Observations(mutates=frozenset({"f"})).text()
    assert flows(["def f(): pass", f"f(){mutates}", "print(f())"])[2].reads == {("f", 1)}


def test_other_code_is_expected_to_mutate_the_same_and_to_share_what_it_names() -> None:
    observations = Observations(PAIR, frozenset({("c", "d")}), frozenset({"e"}), frozenset({"x"}))
    assert observations.predicted({"a", "b", "c"}) == Observations(PAIR, mutates=frozenset({"x"}))
