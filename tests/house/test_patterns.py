"""No regular expression of the package takes more than linear time, whatever text is searched by it."""

import re

import pytest

from tests.house import patterns


@pytest.fixture(scope="module")
def uses() -> list[patterns.Use]:
    """All of the package."""
    return list(patterns.uses())


@pytest.mark.parametrize("pattern", [r"\s*x", pytest.param(r".*\.b", marks=pytest.mark.long)])
def test_a_pattern_that_takes_quadratic_time_is_found(pattern: str) -> None:
    use = patterns.Use("here", "search", re.compile(pattern))
    assert patterns.slow(use, 500, 0) is not None


@pytest.mark.parametrize("pattern", [r"a{0,300}b", r"(?<!\s)\s++x", r"<[^<>]*+>", r"(\w++)(:?)(\w*+)\]"])
def test_a_pattern_that_takes_linear_time_is_not(pattern: str) -> None:
    assert patterns.slow(patterns.Use("here", "match", re.compile(pattern)), 500, 0.00005) is None


def test_the_patterns_of_the_sources_are_found(uses: list[patterns.Use]) -> None:
    found = {use.place: use for use in uses}
    assert len(found) > 250
    assert found["protocol/lines.py _LINE_END"].pattern.pattern == r"\r\n?|\n"
    assert {place for place, _ in patterns.BOUNDED} <= found.keys()


def test_no_pattern_takes_more_than_linear_time(uses: list[patterns.Use]) -> None:
    assert list(patterns.slow_ones(uses, 500)) == []


@pytest.mark.long
def test_no_pattern_takes_more_than_linear_time_for_longer_texts(uses: list[patterns.Use]) -> None:
    assert list(patterns.slow_ones(uses, 2500, 0.001)) == []
