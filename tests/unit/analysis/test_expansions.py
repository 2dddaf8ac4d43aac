"""What IPython expands in a command is found as IPython finds it, and in linear time."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from IPython.utils.text import DollarFormatter

from marimo_kernel_bridge.analysis import expansions
from tests.inputs import inputs


@given(st.text("$$$ab.{}'! :\n", max_size=30))
@settings(max_examples=inputs(300, 20_000), deadline=None, derandomize=True, database=None)
@example("echo '$a' $b $$c {a + 1:>4} ''$d")
@example("a\n$b c\n'$d\n$e")
def test_parts_are_those_that_ipython_finds(text: str) -> None:
    try:
        expected = list(DollarFormatter().parse(text))
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            list(expansions.parse(text))
        return
    assert list(expansions.parse(text)) == expected


@pytest.mark.parametrize("part", ["$", "$a ", "a ", "'", "' $a '", ":", "$$", "\n$a", ".$"])
def test_a_long_command_is_read_in_linear_time(part: str) -> None:
    text = part * (400_000 // len(part))
    began = time.process_time()
    list(expansions.parse(text))
    assert time.process_time() - began < 5
